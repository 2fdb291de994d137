/* Tests of common/alias with the programs' own tables: older names, newer names, warnings. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "common/alias.h"
#include "worker/config.h"

static void shift_is(const char *address, unsigned delta, const char *expected) {
    rn_alias out;
    assert_int_equal(rn_alias_shift(address, delta, &out), RPCNET_OK);
    assert_string_equal(out.text, expected);
}

static void test_shift(void **state) {
    (void)state;
    rn_alias out = {.text = "kept"};
    shift_is("127.0.0.1:61000", 1, "127.0.0.1:61001");
    shift_is("127.0.0.1:62001", 1000, "127.0.0.1:63001");
    shift_is("[::1]:61000", 1, "[::1]:61001");
    shift_is("director.example:61000", 1, "director.example:61001");
    shift_is("127.0.0.1:0", 1000, "127.0.0.1:0");
    shift_is("127.0.0.1:65534", 1, "127.0.0.1:65535");
    assert_int_equal(rn_alias_shift("127.0.0.1:65535", 1, &out), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_alias_shift("127.0.0.1:64535", 1000, &out), RPCNET_OK);
    assert_int_equal(rn_alias_shift("127.0.0.1:64536", 1000, &out), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_alias_shift("127.0.0.1", 1, &out), RPCNET_ERR_ADDRESS);
    assert_int_equal(rn_alias_shift("", 1, &out), RPCNET_ERR_ADDRESS);
}

/* The longest host still fits with its new port. */
static void test_shift_longest(void **state) {
    (void)state;
    char address[RN_HOST_MAX + 8];
    rn_alias out;
    memset(address, 'a', RN_HOST_MAX);
    strcpy(address + RN_HOST_MAX, ":9999");
    assert_int_equal(rn_alias_shift(address, 1, &out), RPCNET_OK);
    assert_string_equal(out.text + RN_HOST_MAX, ":10000");
}

static int read_worker(rn_settings *settings, rn_worker_config *config, char *const envp[],
                       char *option) {
    static char program[] = "worker";
    char *argv[] = {program, option, NULL};
    memset(config, 0, sizeof *config);
    return rn_settings_read(settings, rn_worker_spec()->settings, config, option != NULL ? 2 : 1,
                            argv, envp);
}

static void test_worker_older_names(void **state) {
    (void)state;
    char addr[] = "CONNECTION_SWAP_WORKER_ADDR=127.0.0.1:62002";
    char target[] = "CONNECTION_SWAP_DIRECTOR_TARGET=localhost:61000";
    char *const envp[] = {addr, target, NULL};
    rn_settings settings;
    rn_worker_config config;
    assert_int_equal(read_worker(&settings, &config, envp, NULL), RPCNET_OK);
    assert_string_equal(config.user_addr, "127.0.0.1:62002");
    assert_string_equal(config.mgmt_addr, "127.0.0.1:63002");
    assert_string_equal(config.director_mgmt_addr, "localhost:61001");
    assert_int_equal(settings.warning_count, 0);
}

static void test_worker_newer_names_win(void **state) {
    (void)state;
    char addr[] = "CONNECTION_SWAP_WORKER_ADDR=127.0.0.1:62002";
    char user[] = "CONNECTION_SWAP_WORKER_USER_ADDR=127.0.0.1:7000";
    char mgmt[] = "CONNECTION_SWAP_WORKER_MGMT_ADDR=127.0.0.1:7001";
    char target[] = "CONNECTION_SWAP_DIRECTOR_TARGET=localhost:61000";
    char director[] = "CONNECTION_SWAP_DIRECTOR_MGMT_ADDR=127.0.0.1:7002";
    char *const envp[] = {addr, user, mgmt, target, director, NULL};
    rn_settings settings;
    rn_worker_config config;
    assert_int_equal(read_worker(&settings, &config, envp, NULL), RPCNET_OK);
    assert_string_equal(config.user_addr, "127.0.0.1:7000");
    assert_string_equal(config.mgmt_addr, "127.0.0.1:7001");
    assert_string_equal(config.director_mgmt_addr, "127.0.0.1:7002");
    assert_int_equal(settings.warning_count, 2); /* one for each older name */
    assert_string_equal(settings.warnings[0],
                        "worker: CONNECTION_SWAP_WORKER_USER_ADDR: wins over the older "
                        "CONNECTION_SWAP_WORKER_ADDR");
    assert_non_null(strstr(settings.warnings[1], "CONNECTION_SWAP_DIRECTOR_MGMT_ADDR: wins"));
}

static void test_option_wins(void **state) {
    (void)state;
    char addr[] = "CONNECTION_SWAP_WORKER_ADDR=127.0.0.1:62002";
    char option[] = "--mgmt-addr=127.0.0.1:9";
    char *const envp[] = {addr, NULL};
    rn_settings settings;
    rn_worker_config config;
    assert_int_equal(read_worker(&settings, &config, envp, option), RPCNET_OK);
    assert_string_equal(config.user_addr, "127.0.0.1:62002");
    assert_string_equal(config.mgmt_addr, "127.0.0.1:9");
    assert_int_equal(settings.warning_count, 1);
    assert_string_equal(settings.warnings[0],
                        "worker: --mgmt-addr: wins over the older CONNECTION_SWAP_WORKER_ADDR");
}

static void test_malformed(void **state) {
    (void)state;
    static char values[][64] = {"CONNECTION_SWAP_WORKER_ADDR=nonsense",
                                "CONNECTION_SWAP_WORKER_ADDR=127.0.0.1:65000",
                                "CONNECTION_SWAP_DIRECTOR_TARGET=127.0.0.1:65535"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char *const envp[] = {values[i], NULL};
        rn_settings settings;
        rn_worker_config config;
        assert_int_equal(read_worker(&settings, &config, envp, NULL), RPCNET_ERR_ARGUMENT);
        *strchr(values[i], '=') = '\0';
        assert_non_null(strstr(settings.error, values[i]));
    }
}

/* The director's settings under the names that rn_alias_director asks for. */
typedef struct director {
    const char *user;
    const char *mgmt;
    rn_alias alias;
} director;

static int director_check(rn_settings *settings, void *values) {
    director *config = values;
    return rn_alias_director(settings, &config->alias);
}

static void test_director(void **state) {
    (void)state;
    static const rn_setting table[] = {
        {.option = "user-addr",
         .variable = "U",
         .kind = RN_SETTING_ADDRESS,
         .value = "h:1",
         .help = "x",
         .offset = offsetof(director, user)},
        {.option = "mgmt-addr",
         .variable = "M",
         .kind = RN_SETTING_ADDRESS,
         .value = "h:2",
         .help = "x",
         .offset = offsetof(director, mgmt)},
    };
    static const rn_settings_spec spec = {.program = "d",
                                          .version = "1",
                                          .summary = "x",
                                          .table = table,
                                          .count = 2,
                                          .check = director_check};
    char addr[] = "CONNECTION_SWAP_DIRECTOR_ADDR=127.0.0.1:61000";
    char *const envp[] = {addr, NULL};
    char *const none[] = {NULL};
    char program[] = "d";
    char *argv[] = {program, NULL};
    rn_settings settings;
    director config;
    assert_int_equal(rn_settings_read(&settings, &spec, &config, 1, argv, envp), RPCNET_OK);
    assert_string_equal(config.user, "127.0.0.1:61000");
    assert_string_equal(config.mgmt, "127.0.0.1:61001");
    assert_int_equal(settings.warning_count, 0);
    assert_int_equal(rn_settings_read(&settings, &spec, &config, 1, argv, none), RPCNET_OK);
    assert_string_equal(config.user, "h:1");
    assert_string_equal(config.mgmt, "h:2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shift),
        cmocka_unit_test(test_shift_longest),
        cmocka_unit_test(test_worker_older_names),
        cmocka_unit_test(test_worker_newer_names_win),
        cmocka_unit_test(test_option_wins),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_director),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
