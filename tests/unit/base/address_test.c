/* Tests of base/address: what is accepted and how it is shown, as one table. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "naive.h"
#include "rpcnet/error.h"

typedef struct sample {
    const char *text;
    const char *host; /* NULL: rn_address_split refuses */
    unsigned port;
    const char *shown; /* NULL: rn_address_parse refuses */
} sample;

static const sample samples[] = {
    {"127.0.0.1:61000", "127.0.0.1", 61000, "127.0.0.1:61000"},
    {"0.0.0.0:0", "0.0.0.0", 0, "0.0.0.0:0"},
    {"255.255.255.255:65534", "255.255.255.255", 65534, "255.255.255.255:65534"},
    {"1.2.3.4:65535", "1.2.3.4", 65535, "1.2.3.4:65535"},
    {"1.2.3.4:65536", NULL, 0, NULL},
    {"1.2.3.4:00080", "1.2.3.4", 80, "1.2.3.4:80"},
    {"1.2.3.4:000080", NULL, 0, NULL},
    {"[::1]:61000", "::1", 61000, "[::1]:61000"},
    {"[::]:0", "::", 0, "[::]:0"},
    {"[2001:DB8:0:0:0:0:0:1]:1", "2001:DB8:0:0:0:0:0:1", 1, "[2001:db8::1]:1"},
    {"[::ffff:1.2.3.4]:5", "::ffff:1.2.3.4", 5, "[::ffff:1.2.3.4]:5"},
    {"[fe80::1%7]:443", "fe80::1%7", 443, "[fe80::1%7]:443"},
    {"[fe80::1%4294967295]:443", "fe80::1%4294967295", 443, "[fe80::1%4294967295]:443"},
    {"[fe80::1%4294967296]:443", "fe80::1%4294967296", 443, NULL},
    {"[fe80::1%eth0]:443", "fe80::1%eth0", 443, NULL},
    {"[fe80::1%]:443", NULL, 0, NULL},
    {"[fe80::1%e/0]:443", NULL, 0, NULL},
    {"localhost:61000", "localhost", 61000, NULL},
    {"worker-1.example_net.:9", "worker-1.example_net.", 9, NULL},
    {"1host:9", "1host", 9, NULL},
    {"1.2.3:4", NULL, 0, NULL},
    {"1.2.3.4.5:4", NULL, 0, NULL},
    {"256.1.1.1:4", NULL, 0, NULL},
    {"01.2.3.4:4", NULL, 0, NULL},
    {"61000:4", NULL, 0, NULL},
    {"", NULL, 0, NULL},
    {":", NULL, 0, NULL},
    {":61000", NULL, 0, NULL},
    {"[]:61000", NULL, 0, NULL},
    {"[:1", NULL, 0, NULL},
    {"127.0.0.1", NULL, 0, NULL},
    {"127.0.0.1:", NULL, 0, NULL},
    {"127.0.0.1:-1", NULL, 0, NULL},
    {"127.0.0.1:+1", NULL, 0, NULL},
    {"127.0.0.1: 1", NULL, 0, NULL},
    {"127.0.0.1:1 ", NULL, 0, NULL},
    {"127.0.0.1:0x50", NULL, 0, NULL},
    {"127.0.0.1:http", NULL, 0, NULL},
    {" 127.0.0.1:1", NULL, 0, NULL},
    {"::1:61000", NULL, 0, NULL},
    {"::1", NULL, 0, NULL},
    {"[::1]", NULL, 0, NULL},
    {"[::1]61000", NULL, 0, NULL},
    {"[::1:61000", NULL, 0, NULL},
    {"::1]:61000", NULL, 0, NULL},
    {"[[::1]]:61000", NULL, 0, NULL},
    {"[127.0.0.1]:1", NULL, 0, NULL},
    {"[localhost]:1", NULL, 0, NULL},
    {"[1:2:3:4:5:6:7:8:9]:1", NULL, 0, NULL},
    {"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:1", NULL, 0, NULL},
    {"http://host:1", NULL, 0, NULL},
    {"host name:1", NULL, 0, NULL},
    {"h\xc3\xb6st:1", NULL, 0, NULL},
};

static void test_samples(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const sample *s = &samples[i];
        char host[RN_HOST_MAX + 1];
        char shown[RN_ADDRESS_TEXT_MAX];
        uint16_t port = 0;
        rn_address address;
        int split = rn_address_split(s->text, host, &port);
        int parsed = rn_address_parse(&address, s->text);
        if (split != (s->host != NULL ? RPCNET_OK : RPCNET_ERR_ADDRESS) ||
            parsed != (s->shown != NULL ? RPCNET_OK : RPCNET_ERR_ADDRESS)) {
            fail_msg("'%s': split %d, parse %d", s->text, split, parsed);
        }
        if (s->host != NULL) {
            assert_string_equal(host, s->host);
            assert_int_equal(port, s->port);
        }
        assert_string_equal(rn_address_format(&address, shown), s->shown != NULL ? s->shown : "-");
        assert_int_equal(rn_address_port(&address), s->shown != NULL ? s->port : 0);
    }
}

static void test_longest_host(void **state) {
    (void)state;
    for (size_t len = RN_HOST_MAX - 1; len <= RN_HOST_MAX + 1; len++) {
        char text[RN_HOST_MAX + 8];
        char host[RN_HOST_MAX + 1];
        uint16_t port;
        memset(text, 'a', len);
        memcpy(text + len, ":1", 3);
        assert_int_equal(rn_address_split(text, host, &port),
                         len <= RN_HOST_MAX ? RPCNET_OK : RPCNET_ERR_ADDRESS);
        if (len <= RN_HOST_MAX) {
            assert_int_equal(strlen(host), len);
        }
    }
}

static void test_longest_text_fits(void **state) {
    (void)state;
    static const char longest[] = "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535";
    char shown[RN_ADDRESS_TEXT_MAX];
    rn_address address;
    assert_int_equal(rn_address_parse(&address, longest), RPCNET_OK);
    assert_string_equal(rn_address_format(&address, shown), longest);
}

static void test_from_sockaddr(void **state) {
    (void)state;
    rn_address parsed;
    rn_address copy;
    struct sockaddr_un_like {
        sa_family_t family;
        char path[20];
    } other = {.family = AF_UNIX};
    assert_int_equal(rn_address_parse(&parsed, "[fe80::1%3]:5"), RPCNET_OK);
    assert_int_equal(rn_address_from_sockaddr(&copy, &parsed.sa, parsed.len), RPCNET_OK);
    assert_true(rn_address_equal(&copy, &parsed));
    assert_int_equal(rn_address_from_sockaddr(&copy, &parsed.sa, parsed.len - 1),
                     RPCNET_ERR_ADDRESS);
    assert_int_equal(copy.len, 0);
    assert_int_equal(rn_address_parse(&parsed, "10.0.0.1:5"), RPCNET_OK);
    struct sockaddr_storage storage;
    memset(&storage, 0xff, sizeof storage);
    memcpy(&storage, &parsed.in, offsetof(struct sockaddr_in, sin_zero));
    assert_int_equal(
        rn_address_from_sockaddr(&copy, (const struct sockaddr *)&storage, sizeof storage),
        RPCNET_OK);
    assert_int_equal(copy.len, sizeof(struct sockaddr_in));
    /* Padding of the kernel's does not make equal addresses differ as bytes. */
    assert_memory_equal(&copy, &parsed, sizeof copy);
    assert_int_equal(rn_address_from_sockaddr(&copy, &parsed.sa, parsed.len - 1),
                     RPCNET_ERR_ADDRESS);
    assert_int_equal(rn_address_from_sockaddr(&copy, (const struct sockaddr *)(const void *)&other,
                                              sizeof other),
                     RPCNET_ERR_ADDRESS);
    assert_int_equal(rn_address_from_sockaddr(&copy, &parsed.sa, 0), RPCNET_ERR_ADDRESS);
    assert_int_equal(rn_address_from_sockaddr(&copy, NULL, 0), RPCNET_ERR_ADDRESS);
}

static void test_comparing(void **state) {
    (void)state;
    static const char *const texts[] = {"127.0.0.1:1",   "127.0.0.1:2",    "127.0.0.2:1",
                                        "[::1]:1",       "[::1]:2",        "[fe80::1%1]:1",
                                        "[fe80::1%2]:1", "[::127.0.0.1]:1"};
    static const int hosts[] = {0, 0, 1, 2, 2, 3, 4, 5};
    rn_address none = {.len = 0};
    for (size_t i = 0; i < 8; i++) {
        rn_address a;
        assert_int_equal(rn_address_parse(&a, texts[i]), RPCNET_OK);
        assert_false(rn_address_equal(&a, &none));
        assert_false(rn_address_same_host(&none, &a));
        for (size_t j = 0; j < 8; j++) {
            rn_address b;
            assert_int_equal(rn_address_parse(&b, texts[j]), RPCNET_OK);
            assert_int_equal(rn_address_equal(&a, &b), i == j);
            assert_int_equal(rn_address_same_host(&a, &b), hosts[i] == hosts[j]);
        }
        rn_address moved = a;
        rn_address_set_port(&moved, 7777);
        assert_int_equal(rn_address_port(&moved), 7777);
        assert_true(rn_address_same_host(&moved, &a));
        assert_false(rn_address_equal(&moved, &a));
    }
    assert_true(rn_address_equal(&none, &none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),           cmocka_unit_test(test_longest_host),
        cmocka_unit_test(test_longest_text_fits), cmocka_unit_test(test_from_sockaddr),
        cmocka_unit_test(test_comparing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
