/* A server with a connection that is idle or busy, and a newcomer, while an allocation fails: what
 * was there goes on, what is new is whole or ends, and afterwards there is room for others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "oom/oom.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "support/quic_echo.h"

enum { CLIENTS = 3, SEED = 20, BYTES = 40000, RUNS = 60 };

typedef struct world {
    rn_sim *sim;
    rn_env *server_env;
    rn_env *client_env[CLIENTS];
    rn_echo_server server;
    rn_address address;
} world;

static void start_client(world *w, rn_echo_client *client, size_t host, int *result) {
    rn_echo_client_options options = {.expect = {.server_name = "localhost"},
                                      .server = w->address,
                                      .streams = 2,
                                      .bytes = BYTES,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    *result = rn_echo_client_start(client, w->client_env[host], RN_TEST_CERTS, &options);
}

static void world_begin(world *w) {
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(SEED);
    w->server_env = rn_sim_host_new(w->sim, "10.0.0.1");
    rn_oom_env(w->server_env);
    for (size_t i = 0; i < CLIENTS; i++) {
        static const char *const hosts[CLIENTS] = {"10.0.0.2", "10.0.0.3", "10.0.0.4"};
        w->client_env[i] = rn_sim_host_new(w->sim, hosts[i]);
        rn_oom_env(w->client_env[i]);
    }
    rn_echo_server_options options = {
        .certificate = "server", .secret_byte = 7, .limits = RN_QUIC_LIMITS_DEFAULT};
    options.limits.connections_per_address = 4;
    assert_int_equal(rn_address_parse(&options.bind, "10.0.0.1:61000"), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&w->server, w->server_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
    w->address = *rn_port_address(w->server.port);
}

static bool is_over(void *user) {
    const rn_echo_client *client = user;
    return client->closed ||
           (client->established &&
            client->streams_done + client->streams_failed >= client->streams_wanted);
}

static bool is_half_way(void *user) {
    return ((const rn_echo_client *)user)->streams[0].echoed > BYTES / 4;
}

static void run_until(world *w, bool (*done)(void *user), rn_echo_client *client) {
    assert_true(rn_sim_run_until_done(w->sim, done, client, rn_sim_now(w->sim) + 60 * RN_SECOND));
}

/* The server serves: a whole echo for somebody new. */
static void check_serves(world *w) {
    rn_echo_client fresh = {0};
    int result;
    start_client(w, &fresh, 2, &result);
    assert_int_equal(result, RPCNET_OK);
    run_until(w, is_over, &fresh);
    assert_true(fresh.done && !fresh.wrong);
    rn_echo_client_stop(&fresh);
}

static void world_end(world *w) {
    rn_echo_server_stop(&w->server);
    rn_sim_del(w->sim);
}

static void newcomer(void *user) {
    world w;
    rn_echo_client there = {0};
    rn_echo_client fresh = {0};
    int result;
    (void)user;
    world_begin(&w);
    start_client(&w, &there, 0, &result);
    assert_int_equal(result, RPCNET_OK);
    run_until(&w, is_over, &there);
    assert_true(there.done);

    rn_oom_begin();
    start_client(&w, &fresh, 1, &result);
    if (result == RPCNET_OK) {
        run_until(&w, is_over, &fresh);
        rn_echo_client_stop(&fresh);
    } else {
        assert_true(result == RPCNET_ERR_MEMORY || result == RPCNET_ERR_TLS);
        assert_true(rn_oom_failures() > 0);
    }
    rn_oom_end();
    assert_false(fresh.wrong);
    assert_true(fresh.done || rn_oom_failures() > 0);
    /* The idle one has not noticed, and is of use. */
    assert_false(there.closed);
    there.streams_wanted = 4;
    rn_stream *stream;
    assert_int_equal(rn_conn_open_bidi(there.conn, &stream), RPCNET_OK);
    rn_stream_reset(stream, 0);
    check_serves(&w);
    assert_false(there.closed);
    rn_echo_client_stop(&there);
    world_end(&w);
}

static void busy(void *user) {
    world w;
    rn_echo_client at[2] = {{0}, {0}};
    int result;
    (void)user;
    world_begin(&w);
    for (size_t i = 0; i < 2; i++) {
        start_client(&w, &at[i], i, &result);
        assert_int_equal(result, RPCNET_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        run_until(&w, is_half_way, &at[i]);
    }
    rn_oom_begin();
    for (size_t i = 0; i < 2; i++) {
        run_until(&w, is_over, &at[i]);
        assert_false(at[i].wrong);
    }
    rn_oom_end();
    /* One allocation is of one connection. */
    assert_true(at[0].done || at[1].done || rn_oom_burst() > 1);
    assert_true((at[0].done && at[1].done) || rn_oom_failures() > 0);
    check_serves(&w);
    rn_echo_client_stop(&at[0]);
    rn_echo_client_stop(&at[1]);
    world_end(&w);
}

static void test_newcomer(void **state) {
    (void)state;
    rn_oom_each(&(rn_oom_case){
        .name = "quic newcomer", .kind = RN_OOM_OURS, .runs_max = RUNS, .run = newcomer});
}

static void test_newcomer_libraries(void **state) {
    (void)state;
    rn_oom_each(&(rn_oom_case){.name = "quic newcomer, libraries",
                               .kind = RN_OOM_LIBRARIES,
                               .libraries = RN_OOM_SANS_IO,
                               .runs_max = RUNS,
                               .run = newcomer});
}

static void test_busy(void **state) {
    (void)state;
    rn_oom_each(
        &(rn_oom_case){.name = "quic busy", .kind = RN_OOM_OURS, .runs_max = RUNS, .run = busy});
}

static void test_busy_libraries(void **state) {
    (void)state;
    rn_oom_each(&(rn_oom_case){.name = "quic busy, libraries",
                               .kind = RN_OOM_LIBRARIES,
                               .libraries = RN_OOM_SANS_IO,
                               .runs_max = RUNS,
                               .run = busy});
}

int main(void) {
    const struct CMUnitTest tests[] = {RN_OOM_TEST(test_newcomer),
                                       RN_OOM_TEST(test_newcomer_libraries), RN_OOM_TEST(test_busy),
                                       RN_OOM_TEST(test_busy_libraries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
