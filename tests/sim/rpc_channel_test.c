/* Channels: connecting, losing, coming back; and what they say about it. */
#include "sim/rpc_world.h"

static void test_states(void **state) {
    (void)state;
    world *w = world_start(1);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_CONNECTING);
    assert_int_equal(w->state_count, 0);
    assert_string_equal(rpcnet_channel_local_address(w->channel), "");
    assert_int_equal(rpcnet_channel_rtt(w->channel), 0);
    run_ms(w, 200);
    assert_int_equal(w->state_count, 1);
    assert_int_equal(w->state_log[0], RPCNET_CHANNEL_READY);
    assert_int_equal(w->connections, 1);
    assert_string_equal(w->identity, "");
    rpcnet_channel_del(w->channel);
    w->channel = NULL;
    assert_int_equal(w->state_count, 1); /* the owner knows */
    run_ms(w, 50);
    assert_int_equal(w->disconnections, 1); /* long before any timeout: it was told */
    world_del(w);
}

static void test_targets(void **state) {
    (void)state;
    world *w = world_new(2);
    rpcnet_channel *channel;
    static const char *const targets[] = {"", "host", "host:", "host:0", "host:70000", "[::1:5"};
    w->channel_options.credentials = w->client_credentials;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_int_equal(
            rpcnet_channel_new(&channel, w->client_env, targets[i], &w->channel_options),
            RPCNET_ERR_ADDRESS);
    }
    w->channel_options.backoff_min_ns = 0;
    assert_int_equal(
        rpcnet_channel_new(&channel, w->client_env, SERVER_ADDRESS, &w->channel_options),
        RPCNET_ERR_ARGUMENT);
    w->channel_options.backoff_min_ns = 1;
    w->channel_options.credentials = NULL;
    assert_int_equal(
        rpcnet_channel_new(&channel, w->client_env, SERVER_ADDRESS, &w->channel_options),
        RPCNET_ERR_ARGUMENT);
    world_del(w);
}

/* "localhost" has two addresses on most machines, and a server often listens on one. */
static void test_all_addresses_of_a_name_are_tried(void **state) {
    (void)state;
    world *w = world_new(71);
    world_serve(w);
    rn_sim_set_name(w->sim, "director.test", SERVER_HOST);
    rn_sim_host_new(w->sim, "10.9.9.9"); /* a machine where nobody listens */
    rn_sim_set_name(w->sim, "director.test", "10.9.9.9");
    w->channel_options.credentials = w->client_credentials;
    assert_int_equal(
        rpcnet_channel_new(&w->channel, w->client_env, "director.test:61000", &w->channel_options),
        RPCNET_OK);
    probe at = {0};
    call_unary(w, &at, "/t/Echo", 10);
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    assert_int_equal(w->states[RPCNET_CHANNEL_WAITING], 0); /* one attempt, two addresses */
    probe_del(&at);
    world_del(w);
}

static void test_name_is_resolved(void **state) {
    (void)state;
    world *w = world_new(3);
    world_serve(w);
    w->channel_options.credentials = w->client_credentials;
    w->channel_options.backoff_min_ns = 100 * RN_MILLISECOND;
    assert_int_equal(
        rpcnet_channel_new(&w->channel, w->client_env, "director.test:61000", &w->channel_options),
        RPCNET_OK);
    probe at = {0};
    call_unary(w, &at, "/t/Echo", 10);
    run_ms(w, 20);
    assert_int_equal(w->state_log[0], RPCNET_CHANNEL_WAITING);
    assert_int_equal(w->loss, RPCNET_LOSS_RESOLVE);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(at.closes, 1);
    probe_del(&at);
    rn_sim_set_name(w->sim, "director.test", SERVER_HOST);
    call_unary(w, &at, "/t/Echo", 10);
    at.statuses = 0;
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    probe_del(&at);
    world_del(w);
}

static void test_unreachable(void **state) {
    (void)state;
    world *w = world_new(4);
    w->channel_options.reconnect = false;
    world_connect(w);
    probe at = {0};
    call_unary(w, &at, "/t/Echo", 10);
    run_ms(w, 100);
    assert_int_equal(w->state_count, 1);
    assert_int_equal(w->state_log[0], RPCNET_CHANNEL_CLOSED);
    assert_int_equal(w->loss, RPCNET_LOSS_UNREACHABLE);
    assert_int_equal(at.statuses, 1);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    probe_del(&at);
    rpcnet_call *call;
    assert_int_equal(rpcnet_call_new(&call, w->channel, "/t/Echo", NULL, &client_callbacks, NULL),
                     RPCNET_ERR_CLOSED);
    world_del(w);
}

/* The process dies under a call: known one round trip after the next packet. */
static void test_killed_server(void **state) {
    (void)state;
    world *w = world_start(5);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    world_kill_server(w, false);
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_OK);
    run_ms(w, 50);
    assert_int_equal(at.statuses, 1);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(at.closes, 1);
    assert_int_equal(w->loss, RPCNET_LOSS_UNREACHABLE);
    assert_int_equal(w->states[RPCNET_CHANNEL_WAITING], 1);
    probe_del(&at);
    world_serve(w);
    run_ms(w, 500);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    call_unary(w, &at, "/t/Echo", 10);
    at.statuses = 0;
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    probe_del(&at);
    rpcnet_channel_stats stats;
    rpcnet_channel_get_stats(w->channel, &stats);
    assert_int_equal(stats.handshakes_completed, 2);
    world_del(w);
}

/* Off: silence alone ends the connection, so that another process may take the place. */
static void test_unreachable_is_not_fatal(void **state) {
    (void)state;
    world *w = world_new(6);
    w->channel_options.unreachable_is_fatal = false;
    w->channel_limits.idle_timeout_ns = 5 * RN_SECOND;
    w->channel_limits.keep_alive_ns = RN_SECOND;
    world_serve(w);
    world_connect(w);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    world_kill_server(w, false);
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_OK);
    run_ms(w, 1000);
    assert_int_equal(at.statuses, 0);
    assert_int_equal(w->state_count, 1);
    run_ms(w, 10000);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(w->loss, RPCNET_LOSS_TIMEOUT);
    probe_del(&at);
    world_del(w);
}

/* A new process with the same secret answers for the old one. */
static void test_stateless_reset(void **state) {
    (void)state;
    world *w = world_start(7);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    world_kill_server(w, true);
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_OK);
    run_ms(w, 30);
    assert_int_equal(at.statuses, 1);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(w->loss, RPCNET_LOSS_RESET);
    run_ms(w, 300);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    probe_del(&at);
    world_del(w);
}

static void test_silence(void **state) {
    (void)state;
    world *w = world_new(8);
    w->channel_limits.handshake_timeout_ns = 3 * RN_SECOND;
    w->channel_options.reconnect = false;
    rn_sim_link cut = {.latency_ns = RN_MILLISECOND, .loss = 1.0};
    rn_sim_set_default_link(w->sim, &cut);
    world_serve(w);
    world_connect(w);
    run_ms(w, 2900);
    assert_int_equal(w->state_count, 0);
    run_ms(w, 200);
    assert_int_equal(w->state_log[0], RPCNET_CHANNEL_CLOSED);
    assert_int_equal(w->loss, RPCNET_LOSS_TIMEOUT);
    world_del(w);
}

static void test_backoff(void **state) {
    (void)state;
    world *w = world_new(9);
    w->channel_options.backoff_min_ns = 100 * RN_MILLISECOND;
    w->channel_options.backoff_max_ns = 1000 * RN_MILLISECOND;
    world_connect(w);
    run_ms(w, 8000);
    uint64_t waited = 0;
    uint64_t expected = 100 * RN_MILLISECOND;
    size_t waits = 0;
    for (size_t i = 0; i + 1 < w->state_count; i += 2) {
        assert_int_equal(w->state_log[i], RPCNET_CHANNEL_WAITING);
        assert_int_equal(w->state_log[i + 1], RPCNET_CHANNEL_CONNECTING);
        waited = w->state_time[i + 1] - w->state_time[i];
        assert_true(waited >= expected * 3 / 4 && waited <= expected * 5 / 4);
        expected = expected * 2 < RN_SECOND ? expected * 2 : RN_SECOND;
        waits++;
    }
    assert_true(waits >= 8);
    /* A call that begins between two attempts belongs to the next one. */
    probe at = {0};
    while (rpcnet_channel_get_state(w->channel) != RPCNET_CHANNEL_WAITING) {
        run_ms(w, 1);
    }
    call_unary(w, &at, "/t/Echo", 10);
    run_ms(w, 1);
    assert_int_equal(at.statuses, 0);
    world_serve(w);
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    probe_del(&at);
    world_del(w);
}

static void expect_refused(world *w, const char *text) {
    w->channel_options.reconnect = false;
    world_serve(w);
    world_connect(w);
    run_ms(w, 500);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_CLOSED);
    assert_int_equal(w->loss, RPCNET_LOSS_REFUSED);
    if (strstr(w->loss_text, text) == NULL) {
        fail_msg("'%s' does not say '%s'", w->loss_text, text);
    }
    assert_int_equal(w->served_count, 0);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.connections_open, 0);
    assert_int_equal(stats.calls, 0);
}

static void test_wrong_identity(void **state) {
    (void)state;
    world *w = world_new(10);
    w->channel_options.identity = "rpcnet://role/worker/worker-a";
    expect_refused(w, "certificate refused");
    world_del(w);
}

static void test_wrong_name(void **state) {
    (void)state;
    world *w = world_new(11);
    w->channel_options.identity = NULL; /* the target's address, which no certificate bears */
    expect_refused(w, "certificate refused");
    world_del(w);
}

static void test_right_name(void **state) {
    (void)state;
    world *w = world_new(12);
    rpcnet_credentials_del(w->server_credentials);
    w->server_credentials = load("server", "ca", false);
    w->channel_options.identity = NULL;
    w->channel_options.server_name = "localhost";
    world_serve(w);
    world_connect(w);
    run_ms(w, 200);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    world_del(w);
}

static void test_missing_client_certificate(void **state) {
    (void)state;
    world *w = world_new(13);
    rpcnet_credentials_del(w->server_credentials);
    w->server_credentials = load("director", "ca", true);
    expect_refused(w, "TLS alert 116");
    assert_int_equal(w->connections, 0);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.handshakes_failed, 1);
    world_del(w);
}

/* The client believes the handshake done before the server refuses it: no flood of attempts. */
static void test_refused_after_ready_backs_off(void **state) {
    (void)state;
    world *w = world_new(14);
    rpcnet_credentials_del(w->server_credentials);
    w->server_credentials = load("director", "ca", true);
    world_serve(w);
    world_connect(w);
    run_ms(w, 10000);
    rpcnet_channel_stats stats;
    rpcnet_channel_get_stats(w->channel, &stats);
    assert_true(stats.connections_opened >= 5 && stats.connections_opened <= 14);
    world_del(w);
}

static void test_credentials(void **state) {
    (void)state;
    rpcnet_credentials *credentials;
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials_options options;
    rpcnet_credentials_options_init(&options);
    options.certificate_file = "/nowhere.crt";
    assert_int_equal(rpcnet_credentials_new(&credentials, &options, error), RPCNET_ERR_ARGUMENT);
    options.key_file = "/nowhere.key";
    assert_int_equal(rpcnet_credentials_new(&credentials, &options, error), RPCNET_ERR_TLS);
    assert_non_null(strstr(error, "/nowhere.crt"));
    rpcnet_credentials_options_init(&options);
    options.require_client_certificate = true;
    assert_int_equal(rpcnet_credentials_new(&credentials, &options, error), RPCNET_ERR_ARGUMENT);
    options.struct_size = 3;
    assert_int_equal(rpcnet_credentials_new(&credentials, &options, error), RPCNET_ERR_ARGUMENT);
    rpcnet_credentials_del(NULL);
    rpcnet_channel_del(NULL);
    rpcnet_server_del(NULL);
    rpcnet_call_del(NULL);
    rpcnet_metadata_del(NULL);
    rpcnet_health_del(NULL);
}

/* Calls end inside rpcnet_channel_del, and nothing comes afterwards. */
static void test_delete_ends_calls(void **state) {
    (void)state;
    world *w = world_start(15);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    rpcnet_channel_del(w->channel);
    w->channel = NULL;
    assert_int_equal(at.statuses, 1);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    run_ms(w, 200);
    assert_int_equal(at.statuses, 1);
    assert_int_equal(at.closes, 1);
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_ERR_CLOSED);
    assert_int_equal(rpcnet_call_room(at.call), 0);
    assert_int_equal(w->served[0].cancels, 1);
    assert_int_equal(w->served[0].code, RPCNET_GRPC_UNAVAILABLE);
    probe_del(&at);
    world_del(w);
}

static void test_delete_while_connecting(void **state) {
    (void)state;
    for (uint64_t ms = 0; ms < 40; ms++) { /* at every stage of the handshake */
        world *w = world_start(16 + ms);
        probe at = {0};
        call_unary(w, &at, "/t/Echo", 10);
        run_ms(w, ms);
        unsigned before = at.statuses;
        rpcnet_channel_del(w->channel);
        w->channel = NULL;
        assert_int_equal(at.statuses, 1);
        assert_true(before == 1 || at.code == RPCNET_GRPC_UNAVAILABLE);
        run_ms(w, 100);
        assert_int_equal(at.closes, 1);
        probe_del(&at);
        world_del(w);
    }
}

static void test_paused_server_and_idle_timeout(void **state) {
    (void)state;
    world *w = world_new(60);
    w->channel_limits.idle_timeout_ns = 2 * RN_SECOND;
    w->channel_limits.keep_alive_ns = 0;
    w->server_limits.keep_alive_ns = 0;
    world_serve(w);
    world_connect(w);
    run_ms(w, 1900);
    assert_int_equal(w->state_count, 1);
    run_ms(w, 1000);
    assert_int_equal(w->loss, RPCNET_LOSS_TIMEOUT);
    assert_int_equal(w->state_log[1], RPCNET_CHANNEL_WAITING);
    run_ms(w, 500); /* an idle connection is made again all the same */
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    world_del(w);
}

/* A token of the first connection spares the second one the round trip of a Retry. */
static void test_address_token(void **state) {
    (void)state;
    world *w = world_new(61);
    w->server_limits.retry_above = 0;
    world_serve(w);
    world_connect(w);
    run_ms(w, 300);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.retries_sent, 1);
    rpcnet_server_del(w->server);
    world_serve(w);
    run_ms(w, 500);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.handshakes_completed, 1);
    assert_int_equal(stats.retries_sent, 0);
    world_del(w);
}

/* Servers come and say goodbye one after another; calls stay where they are, up to a limit. */
static void test_retired_connections(void **state) {
    (void)state;
    enum { SERVERS = 6, KEPT = 4 };
    world *w = world_new(62);
    rpcnet_server *servers[SERVERS];
    probe at[SERVERS] = {0};
    w->channel_options.credentials = w->client_credentials;
    w->server_options.credentials = w->server_credentials;
    for (size_t i = 0; i < SERVERS; i++) {
        char host[32];
        char address[40];
        (void)snprintf(host, sizeof host, "10.0.1.%zu", i + 1);
        (void)snprintf(address, sizeof address, "%s:61000", host);
        rn_sim_set_name(w->sim, "director.test", host);
        assert_int_equal(rpcnet_server_new(&servers[i], rn_sim_host_new(w->sim, host), address,
                                           &w->server_options),
                         RPCNET_OK);
        assert_int_equal(rpcnet_server_add_method(servers[i], "/t/Sink", method_sink, w),
                         RPCNET_OK);
        if (i == 0) {
            assert_int_equal(rpcnet_channel_new(&w->channel, w->client_env, "director.test:61000",
                                                &w->channel_options),
                             RPCNET_OK);
        } else {
            rpcnet_server_drain(servers[i - 1], rn_sim_now(w->sim) + 60 * RN_SECOND);
        }
        run_ms(w, 2500);
        call_to(w, &at[i], "/t/Sink");
        run_ms(w, 100);
        assert_int_equal(w->served_count, i + 1);
        for (size_t j = 0; j <= i; j++) {
            bool cut = j + KEPT < i;
            assert_int_equal(at[j].statuses, cut ? 1 : 0);
            assert_int_equal(at[j].code, cut ? RPCNET_GRPC_UNAVAILABLE : 0);
        }
    }
    rpcnet_channel_stats stats;
    rpcnet_channel_get_stats(w->channel, &stats);
    assert_int_equal(stats.handshakes_completed, SERVERS);
    rpcnet_channel_del(w->channel);
    w->channel = NULL;
    for (size_t i = 0; i < SERVERS; i++) {
        assert_int_equal(at[i].statuses, 1);
        probe_del(&at[i]);
        rpcnet_server_del(servers[i]);
    }
    world_del(w);
}

/* The NAT forgets a client that waits for a quiet server: what the server says then is lost, until
 * the client has shown itself. */
static uint64_t silence_after_rebinding(uint64_t keep_alive_calls_ns) {
    world *w = world_new(31);
    probe at = {0};
    w->channel_limits.keep_alive_calls_ns = keep_alive_calls_ns;
    world_serve(w);
    world_connect(w);
    call_unary(w, &at, "/t/Sink", 10);
    run_ms(w, 1000);
    assert_int_equal(w->served_count, 1);
    uint64_t since = rn_sim_now(w->sim);
    assert_int_equal(rn_sim_rebind(w->client_env, 0, "203.0.113.7:4000"), RPCNET_OK);
    w->served[0].to_send = w->served[0].piece = 100;
    probe_pump(&w->served[0]);
    while (at.messages == 0) {
        assert_true(rn_sim_now(w->sim) < since + 60 * RN_SECOND);
        run_ms(w, 10);
    }
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    uint64_t silence = rn_sim_now(w->sim) - since;
    probe_del(&at);
    world_del(w);
    return silence;
}

static void test_rebinding_while_waiting(void **state) {
    (void)state;
    uint64_t with = silence_after_rebinding(2 * RN_SECOND);
    uint64_t without = silence_after_rebinding(0);
    assert_true(with < 3 * RN_SECOND);
    assert_true(without > 5 * RN_SECOND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rebinding_while_waiting),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_all_addresses_of_a_name_are_tried),
        cmocka_unit_test(test_name_is_resolved),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_killed_server),
        cmocka_unit_test(test_unreachable_is_not_fatal),
        cmocka_unit_test(test_stateless_reset),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_wrong_identity),
        cmocka_unit_test(test_wrong_name),
        cmocka_unit_test(test_right_name),
        cmocka_unit_test(test_missing_client_certificate),
        cmocka_unit_test(test_refused_after_ready_backs_off),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_delete_ends_calls),
        cmocka_unit_test(test_delete_while_connecting),
        cmocka_unit_test(test_paused_server_and_idle_timeout),
        cmocka_unit_test(test_address_token),
        cmocka_unit_test(test_retired_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
