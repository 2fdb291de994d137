/* quic_echo over real UDP sockets on loopback, IPv4 and IPv6, with and without mutual TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loop/loop.h"
#include "rpcnet/error.h"
#include "support/quic_echo.h"

typedef struct world {
    rn_loop_stderr err;
    rn_log *log;
    rn_loop *loop;
    rn_env *env;
    rn_echo_server server;
    rn_echo_client client;
} world;

static void stop(void *user) {
    world *w = user;
    if (w->client.done || w->client.closed) {
        rn_loop_stop(w->loop);
    }
}

static void begin(world *w) {
    rn_log_sink sink = rn_loop_stderr_sink(&w->err);
    assert_int_equal(rn_log_new(&w->log, "error", &sink, NULL), RPCNET_OK);
    rn_loop_options options = {.log = w->log};
    assert_int_equal(rn_loop_new(&w->loop, &options), RPCNET_OK);
    w->env = rn_loop_env(w->loop);
    w->client.on_change = stop;
    w->client.user = w;
}

static void end(world *w) {
    rn_echo_client_stop(&w->client);
    rn_echo_server_stop(&w->server);
    rn_loop_del(w->loop);
    rn_log_del(w->log);
    rn_loop_stderr_fini(&w->err);
}

static void start_server(world *w, const char *address, bool require_client) {
    rn_echo_server_options options = {.certificate = require_client ? "director" : "server",
                                      .require_client = require_client,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_address_parse(&options.bind, address), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&w->server, w->env, RN_TEST_CERTS, &options), RPCNET_OK);
}

static void echo(const char *address, const char *name, size_t streams, uint64_t bytes) {
    world w = {0};
    begin(&w);
    start_server(&w, address, false);
    rn_echo_client_options options = {.expect = {.server_name = name},
                                      .server = *rn_port_address(w.server.port),
                                      .streams = streams,
                                      .bytes = bytes,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_echo_client_start(&w.client, w.env, RN_TEST_CERTS, &options), RPCNET_OK);
    rn_loop_run(w.loop);
    assert_true(w.client.done);
    assert_false(w.client.wrong);
    assert_int_equal(w.server.accepted, 1);
    const rn_endpoint_stats *stats = rn_endpoint_get_stats(rn_port_endpoint(w.server.port));
    assert_int_equal(stats->handshakes_completed, 1);
    end(&w);
}

static void over_ipv4(void **state) {
    (void)state;
    echo("127.0.0.1:0", "127.0.0.1", 1, 100);
}

static void over_ipv6(void **state) {
    (void)state;
    echo("[::1]:0", "::1", 3, 5000);
}

static void to_a_host_name(void **state) {
    (void)state;
    echo("127.0.0.1:0", "localhost", 1, 1);
}

static void much_on_many_streams(void **state) {
    (void)state;
    echo("127.0.0.1:0", "127.0.0.1", 40, 400000);
}

static void with_roles_on_both_sides(void **state) {
    (void)state;
    world w = {0};
    begin(&w);
    start_server(&w, "127.0.0.1:0", true);
    rn_echo_client_options options = {.certificate = "worker-a",
                                      .expect = {.identity = "rpcnet://role/director"},
                                      .server = *rn_port_address(w.server.port),
                                      .streams = 1,
                                      .bytes = 1000,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_echo_client_start(&w.client, w.env, RN_TEST_CERTS, &options), RPCNET_OK);
    rn_loop_run(w.loop);
    assert_true(w.client.done);
    assert_string_equal(w.server.identity, "rpcnet://role/worker/worker-a");
    end(&w);
}

static void refused(const char *client_certificate, const char *ca, rn_tls_expect expect,
                    const char *why) {
    world w = {0};
    begin(&w);
    start_server(&w, "127.0.0.1:0", true);
    rn_echo_client_options options = {.certificate = client_certificate,
                                      .ca = ca,
                                      .expect = expect,
                                      .server = *rn_port_address(w.server.port),
                                      .streams = 1,
                                      .bytes = 100000000,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_echo_client_start(&w.client, w.env, RN_TEST_CERTS, &options), RPCNET_OK);
    rn_loop_run(w.loop);
    assert_true(w.client.closed);
    assert_false(w.client.done);
    if (why != NULL) {
        assert_int_equal(w.client.close.cause, RN_CLOSE_HANDSHAKE_FAILED);
        assert_non_null(strstr(w.client.close.text, why));
    }
    end(&w);
}

static void without_a_client_certificate(void **state) {
    (void)state;
    refused(NULL, NULL, (rn_tls_expect){.identity = "rpcnet://role/director"}, NULL);
}

static void another_role_than_expected(void **state) {
    (void)state;
    refused("worker-a", NULL, (rn_tls_expect){.identity = "rpcnet://role/worker/worker-b"},
            "the peer is rpcnet://role/director, not rpcnet://role/worker/worker-b");
}

static void a_name_that_the_certificate_does_not_bear(void **state) {
    (void)state;
    refused("worker-a", NULL, (rn_tls_expect){.server_name = "example.org"}, "name");
}

/* The server's own certificate is no authority for it. */
static void an_authority_that_does_not_know_the_server(void **state) {
    (void)state;
    refused("worker-a", "worker-b", (rn_tls_expect){.identity = "rpcnet://role/director"},
            "certificate");
}

static void nobody_listens(void **state) {
    (void)state;
    world w = {0};
    begin(&w);
    start_server(&w, "127.0.0.1:0", false);
    rn_echo_client_options options = {.expect = {.server_name = "127.0.0.1"},
                                      .server = *rn_port_address(w.server.port),
                                      .streams = 1,
                                      .bytes = 1,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    rn_echo_server_stop(&w.server);
    options.limits.handshake_timeout_ns = 200 * RN_MILLISECOND;
    assert_int_equal(rn_echo_client_start(&w.client, w.env, RN_TEST_CERTS, &options), RPCNET_OK);
    rn_loop_run(w.loop);
    assert_true(w.client.closed);
    assert_true(w.client.unreachable > 0);
    assert_int_equal(w.client.close.cause, RN_CLOSE_HANDSHAKE_TIMEOUT);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_ipv4),
        cmocka_unit_test(over_ipv6),
        cmocka_unit_test(to_a_host_name),
        cmocka_unit_test(much_on_many_streams),
        cmocka_unit_test(with_roles_on_both_sides),
        cmocka_unit_test(without_a_client_certificate),
        cmocka_unit_test(another_role_than_expected),
        cmocka_unit_test(a_name_that_the_certificate_does_not_bear),
        cmocka_unit_test(an_authority_that_does_not_know_the_server),
        cmocka_unit_test(nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
