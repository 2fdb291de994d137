/* Metadata: names, values, base64 and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "grpc/base64.h"
#include "grpc/metadata.h"
#include "rpcnet/error.h"

static rn_bytes text(const char *value) {
    return rn_bytes_text(value);
}

static void base64_known_answers(void **state) {
    static const struct {
        const char *bytes;
        const char *plain;
        const char *padded;
    } known[] = {{"", "", ""},
                 {"f", "Zg", "Zg=="},
                 {"fo", "Zm8", "Zm8="},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                 {"\xfb\xff\xfe", "+//+", "+//+"}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        rn_buffer out;
        rn_buffer_init(&out, 64);
        assert_int_equal(rn_base64_encode(&out, text(known[i].bytes)), RPCNET_OK);
        assert_true(rn_bytes_is(rn_buffer_bytes(&out), known[i].plain));
        assert_int_equal(out.len, rn_base64_encoded_len(strlen(known[i].bytes)));
        rn_buffer_clear(&out);
        assert_int_equal(rn_base64_decode(&out, text(known[i].plain)), RPCNET_OK);
        assert_true(rn_bytes_is(rn_buffer_bytes(&out), known[i].bytes));
        rn_buffer_clear(&out);
        assert_int_equal(rn_base64_decode(&out, text(known[i].padded)), RPCNET_OK);
        assert_true(rn_bytes_is(rn_buffer_bytes(&out), known[i].bytes));
        rn_buffer_fini(&out);
    }
}

static void base64_round_trips(void **state) {
    (void)state;
    srand(5);
    for (size_t len = 0; len < 300; len++) {
        uint8_t bytes[300];
        rn_buffer encoded;
        rn_buffer decoded;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)rand();
        }
        rn_buffer_init(&encoded, 1000);
        rn_buffer_init(&decoded, 1000);
        assert_int_equal(rn_base64_encode(&encoded, rn_bytes_of(bytes, len)), RPCNET_OK);
        assert_int_equal(rn_base64_decode(&decoded, rn_buffer_bytes(&encoded)), RPCNET_OK);
        assert_true(rn_bytes_equal(rn_buffer_bytes(&decoded), rn_bytes_of(bytes, len)));
        rn_buffer_fini(&encoded);
        rn_buffer_fini(&decoded);
    }
}

static void base64_refuses(void **state) {
    static const char *const bad[] = {"A",    "AAAAA", "Zh==",  "Zm9=", "Zg=",  "=",    "==",
                                      "====", "Z===",  "Zm9v=", "Zm 9", "Zm-_", "Zg=a", "Zm\n9"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rn_buffer out;
        rn_buffer_init(&out, 64);
        assert_int_equal(rn_buffer_append(&out, "x", 1), RPCNET_OK);
        assert_int_equal(rn_base64_decode(&out, text(bad[i])), RPCNET_ERR_PARSE);
        assert_int_equal(out.len, 1);
        rn_buffer_fini(&out);
    }
}

static void names_and_values(void **state) {
    rn_metadata metadata;
    (void)state;
    rn_metadata_init(&metadata);
    assert_int_equal(rn_metadata_add(&metadata, text("a-b_c.9"), text("v w~!")), RPCNET_OK);
    assert_int_equal(rn_metadata_add(&metadata, text("empty"), text("")), RPCNET_OK);
    assert_int_equal(rn_metadata_add(&metadata, text("x-bin"), rn_bytes_of("\0\xff", 2)),
                     RPCNET_OK);
    assert_int_equal(rn_metadata_add(&metadata, text("grpc-status-details-bin"), text("d")), 0);
    static const char *const names[] = {
        "",       "A",           "a b", "a:",           ":path",
        "grpc-x", "grpc-status", "te",  "content-type", "user-agent",
        "host",   "caf\xc3\xa9"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(rn_metadata_add(&metadata, text(names[i]), text("v")),
                         RPCNET_ERR_ARGUMENT);
    }
    static const char *const values[] = {" v", "v ", "a\nb", "\x7f", "\x80", "a\tb"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(rn_metadata_add(&metadata, text("n"), text(values[i])),
                         RPCNET_ERR_ARGUMENT);
    }
    assert_int_equal(rn_metadata_count(&metadata), 4);
    rn_bytes value;
    assert_true(rn_metadata_find(&metadata, "x-bin", &value));
    assert_int_equal(value.len, 2);
    assert_false(rn_metadata_find(&metadata, "nothing", &value));
    rn_metadata_fini(&metadata);
}

static void from_the_wire(void **state) {
    rn_metadata metadata;
    (void)state;
    rn_metadata_init(&metadata);
    assert_int_equal(rn_metadata_add_wire(&metadata, text("grpc-timeout"), text("1S")), RPCNET_OK);
    assert_int_equal(rn_metadata_add_wire(&metadata, text(":path"), text("/")), RPCNET_OK);
    assert_int_equal(rn_metadata_add_wire(&metadata, text("te"), text("trailers")), RPCNET_OK);
    assert_int_equal(rn_metadata_add_wire(&metadata, text("odd!"), text("1")), RPCNET_OK);
    assert_int_equal(rn_metadata_add_wire(&metadata, text("latin"), text("\xe9")), RPCNET_OK);
    assert_int_equal(rn_metadata_count(&metadata), 0);
    assert_int_equal(rn_metadata_add_wire(&metadata, text("k"), text(" v ")), RPCNET_OK);
    assert_int_equal(rn_metadata_add_wire(&metadata, text("k-bin"), text("Zg==, Zm8,")), RPCNET_OK);
    assert_int_equal(rn_metadata_count(&metadata), 4);
    assert_true(rn_bytes_is(rn_metadata_at(&metadata, 0).value, "v"));
    assert_true(rn_bytes_is(rn_metadata_at(&metadata, 1).value, "f"));
    assert_true(rn_bytes_is(rn_metadata_at(&metadata, 2).value, "fo"));
    assert_true(rn_bytes_is(rn_metadata_at(&metadata, 3).value, ""));
    assert_int_equal(rn_metadata_add_wire(&metadata, text("k-bin"), text("%")), RPCNET_ERR_PARSE);
    assert_int_equal(rn_metadata_count(&metadata), 4);
    rn_metadata_fini(&metadata);
}

static void limits(void **state) {
    rn_metadata metadata;
    rn_metadata copy;
    static char large[RN_METADATA_BYTES_MAX];
    (void)state;
    memset(large, 'x', sizeof large);
    rn_metadata_init(&metadata);
    rn_metadata_init(&copy);
    for (size_t i = 0; i < RN_METADATA_FIELDS_MAX; i++) {
        assert_int_equal(rn_metadata_add(&metadata, text("k"), text("v")), RPCNET_OK);
    }
    assert_int_equal(rn_metadata_add(&metadata, text("k"), text("v")), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_metadata_add(&copy, text("mine"), text("v")), RPCNET_OK);
    assert_int_equal(rn_metadata_copy(&copy, &metadata), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_metadata_count(&copy), 1);
    rn_metadata_clear(&copy);
    assert_int_equal(rn_metadata_copy(&copy, &metadata), RPCNET_OK);
    assert_int_equal(rn_metadata_count(&copy), RN_METADATA_FIELDS_MAX);
    rn_metadata_clear(&metadata);
    rn_bytes value = rn_bytes_of(large, RN_METADATA_BYTES_MAX - 2);
    assert_int_equal(rn_metadata_add(&metadata, text("k"), value), RPCNET_OK);
    assert_int_equal(rn_metadata_add(&metadata, text("k"), text("v")), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_metadata_add(&metadata, text("k"), text("")), RPCNET_OK);
    rn_metadata_clear(&metadata);
    value.len = RN_METADATA_BYTES_MAX;
    assert_int_equal(rn_metadata_add(&metadata, text("k"), value), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_metadata_count(&metadata), 0);
    rn_metadata_fini(&metadata);
    rn_metadata_fini(&copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_known_answers), cmocka_unit_test(base64_round_trips),
        cmocka_unit_test(base64_refuses),       cmocka_unit_test(names_and_values),
        cmocka_unit_test(from_the_wire),        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
