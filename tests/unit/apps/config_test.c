/* Tests of the worker's and the client's settings: defaults, refusals, announced addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "client/config.h"
#include "worker/config.h"

static int read_with(const rn_program_spec *spec, rn_settings *settings, void *values,
                     const char *option) {
    char program[] = "x";
    char text[256];
    char *argv[] = {program, text, NULL};
    char *envp[] = {NULL};
    strcpy(text, option != NULL ? option : "");
    return rn_settings_read(settings, spec->settings, values, option != NULL ? 2 : 1, argv, envp);
}

static void test_defaults(void **state) {
    (void)state;
    rn_settings settings;
    rn_worker_config worker = {0};
    rn_client_config client = {0};
    assert_int_equal(read_with(rn_worker_spec(), &settings, &worker, NULL), RPCNET_OK);
    assert_string_equal(worker.user_addr, "127.0.0.1:62001");
    assert_string_equal(worker.mgmt_addr, "127.0.0.1:63001");
    assert_string_equal(worker.label, "worker-a");
    assert_string_equal(worker.director_mgmt_addr, "127.0.0.1:61001");
    assert_int_equal(worker.fail_after_ns, 15 * RN_SECOND);
    assert_int_equal(worker.recover_after_ns, 10 * RN_SECOND);
    assert_int_equal(worker.drain_timeout_ns, 10 * RN_SECOND);
    assert_int_equal(worker.token_interval_ns, 100 * RN_MILLISECOND);
    assert_null(worker.advertise_addr);
    assert_null(worker.common.cert);
    assert_string_equal(worker.common.log, "info");
    assert_int_equal(read_with(rn_client_spec(), &settings, &client, NULL), RPCNET_OK);
    assert_string_equal(client.target, "127.0.0.1:61000");
    assert_int_equal(client.streams, 1);
    assert_int_equal(client.tokens, 0);
    assert_int_equal(client.print, RN_PRINT_LOG);
    assert_null(client.prompt);
    assert_null(client.common.secret_file);
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const worker_options[] = {"--label=a/b",
                                                 "--label=",
                                                 "--user-addr=nonsense",
                                                 "--streams-max=65537",
                                                 "--fail-after=15",
                                                 "--advertise-addr=a b:x",
                                                 "--advertise-mgmt-addr=h:0",
                                                 "--lable=x"};
    static const char *const client_options[] = {"--streams=0", "--streams=1001", "--print=xml",
                                                 "--target=", "--pace=2h"};
    rn_settings settings;
    rn_worker_config worker;
    rn_client_config client;
    for (size_t i = 0; i < sizeof worker_options / sizeof worker_options[0]; i++) {
        assert_int_equal(read_with(rn_worker_spec(), &settings, &worker, worker_options[i]),
                         RPCNET_ERR_ARGUMENT);
        assert_int_equal(strncmp(settings.error, "worker: ", 8), 0);
    }
    for (size_t i = 0; i < sizeof client_options / sizeof client_options[0]; i++) {
        assert_int_equal(read_with(rn_client_spec(), &settings, &client, client_options[i]),
                         RPCNET_ERR_ARGUMENT);
    }
}

static void announced_is(const char *setting, const char *bound, const char *expected) {
    rn_alias out;
    assert_int_equal(rn_worker_advertised(setting, bound, &out), RPCNET_OK);
    assert_string_equal(out.text, expected);
}

static void test_announced(void **state) {
    (void)state;
    rn_alias out;
    announced_is(NULL, "127.0.0.1:62001", "127.0.0.1:62001");
    announced_is(NULL, "0.0.0.0:62001", "0.0.0.0:62001");
    announced_is(NULL, "[::]:62001", "[::]:62001");
    announced_is("10.0.0.5", "0.0.0.0:62001", "10.0.0.5:62001");
    announced_is("10.0.0.5:7000", "0.0.0.0:62001", "10.0.0.5:7000");
    announced_is("gpu-1.example", "0.0.0.0:62001", "gpu-1.example:62001");
    announced_is("[2001:db8::1]", "[::]:62001", "[2001:db8::1]:62001");
    assert_int_equal(rn_worker_advertised("host:0", "0.0.0.0:1", &out), RPCNET_ERR_ADDRESS);
    assert_int_equal(rn_worker_advertised("2001:db8::1", "[::]:1", &out), RPCNET_ERR_ADDRESS);
    assert_int_equal(rn_worker_advertised("", "0.0.0.0:1", &out), RPCNET_ERR_ADDRESS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
