/* The echo over a network that loses, reorders, marks and rebinds; the ways in which connections
 * begin and end; and what is on record before a flight leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "support/quic_echo.h"

#define SERVER "10.0.0.1"
#define CLIENT "10.0.0.2"

typedef struct world {
    rn_sim *sim;
    rn_env *server_env;
    rn_env *client_env;
    rn_echo_server server;
    rn_echo_client client;
    rn_address address; /* of the server */
} world;

static void begin(world *w, uint64_t seed, const rn_sim_link *link) {
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(rn_sim_seed(seed));
    if (link != NULL) {
        rn_sim_set_default_link(w->sim, link);
    }
    w->server_env = rn_sim_host_new(w->sim, SERVER);
    w->client_env = rn_sim_host_new(w->sim, CLIENT);
}

static void end(world *w) {
    rn_echo_client_stop(&w->client);
    rn_echo_server_stop(&w->server);
    rn_sim_del(w->sim);
}

static void start_server(world *w, const rn_quic_limits *limits) {
    rn_echo_server_options options = {
        .certificate = "server", .secret_byte = 7, .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    if (limits != NULL) {
        options.limits = *limits;
    }
    assert_int_equal(rn_echo_server_start(&w->server, w->server_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
    w->address = *rn_port_address(w->server.port);
}

static rn_echo_client_options client_options(const world *w, size_t streams, uint64_t bytes) {
    return (rn_echo_client_options){.expect = {.server_name = "localhost"},
                                    .server = w->address,
                                    .streams = streams,
                                    .bytes = bytes,
                                    .limits = RN_QUIC_LIMITS_DEFAULT};
}

static void start_client(world *w, size_t streams, uint64_t bytes) {
    rn_echo_client_options options = client_options(w, streams, bytes);
    assert_int_equal(rn_echo_client_start(&w->client, w->client_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
}

static bool client_is_done(void *user) {
    const world *w = user;
    return w->client.done || w->client.closed;
}

static bool client_is_closed(void *user) {
    return ((const world *)user)->client.closed;
}

static bool client_is_established(void *user) {
    return ((const world *)user)->client.established;
}

static bool half_is_echoed(void *user) {
    const world *w = user;
    return w->client.streams[0].echoed > w->client.bytes / 2;
}

static void run_until(world *w, bool (*done)(void *user)) {
    assert_true(rn_sim_run_until_done(w->sim, done, w, rn_sim_now(w->sim) + 120 * RN_SECOND));
}

static const rn_endpoint_stats *server_stats(const world *w) {
    return rn_endpoint_get_stats(rn_port_endpoint(w->server.port));
}

static void check_echo(world *w) {
    run_until(w, client_is_done);
    assert_true(w->client.done);
    assert_false(w->client.wrong);
    assert_int_equal(server_stats(w)->handshakes_completed, 1);
}

/* ---- the network ---- */

static void on_a_good_network(void **state) {
    (void)state;
    world w;
    begin(&w, 1, NULL);
    start_server(&w, NULL);
    start_client(&w, 8, 100000);
    check_echo(&w);
    assert_null(w.server.conn->tls); /* its part is over */
    end(&w);
}

static void with_loss_and_disorder(void **state) {
    (void)state;
    const rn_sim_link link = {.latency_ns = 10 * RN_MILLISECOND,
                              .jitter_ns = 3 * RN_MILLISECOND,
                              .loss = 0.05,
                              .duplicate = 0.02,
                              .reorder = 0.05,
                              .ecn_mark = 0.01};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        world w;
        begin(&w, seed, &link);
        start_server(&w, NULL);
        start_client(&w, 4, 60000);
        check_echo(&w);
        end(&w);
    }
}

static void much_through_small_windows(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.stream_window_bytes = 8192;
    limits.connection_window_bytes = 16384;
    limits.send_ring_bytes = 10240;
    limits.streams_bidi_max = 2; /* the others wait for their turn */
    world w;
    begin(&w, 3, NULL);
    start_server(&w, &limits);
    start_client(&w, 10, 100000);
    check_echo(&w);
    end(&w);
}

static void the_client_changes_its_address(void **state) {
    (void)state;
    world w;
    begin(&w, 4, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 2000000);
    run_until(&w, half_is_echoed);
    assert_int_equal(rn_sim_rebind(w.client_env, 0, "203.0.113.7:4000"), RPCNET_OK);
    check_echo(&w);
    assert_int_equal(server_stats(&w)->path_changes, 1);
    char text[RN_ADDRESS_TEXT_MAX];
    assert_string_equal(rn_address_format(rn_conn_remote(w.server.conn), text), "203.0.113.7:4000");
    end(&w);
}

static void keys_are_updated(void **state) {
    (void)state;
    world w;
    begin(&w, 5, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 1000000);
    run_until(&w, half_is_echoed);
    assert_int_equal(rn_conn_update_key(w.server.conn), RPCNET_OK);
    check_echo(&w);
    assert_int_equal(w.server.conn->protection.generation_transmit, 1);
    assert_int_equal(w.server.conn->protection.generation_receive, 1);
    assert_int_equal(w.client.conn->protection.generation_receive, 1);
    assert_memory_equal(w.client.conn->protection.phase[1].receive,
                        w.server.conn->protection.phase[1].transmit, 32);
    end(&w);
}

static void reset_first_stream(void *user) {
    rn_echo_client *client = user;
    client->on_change = NULL;
    rn_stream_reset(client->streams[0].stream, 5);
}

static bool client_streams_are_closed(void *user) {
    const rn_echo_client *client = &((world *)user)->client;
    return client->streams_failed + client->streams_done == client->streams_wanted;
}

/* Before the first flight of 1-RTT packets: the peer has not heard of the stream, and does. */
static void a_stream_is_reset_at_once(void **state) {
    (void)state;
    world w;
    begin(&w, 6, NULL);
    start_server(&w, NULL);
    w.client.on_change = reset_first_stream;
    w.client.user = &w.client;
    start_client(&w, 3, 5000);
    run_until(&w, client_streams_are_closed);
    assert_true(w.client.streams[0].closed);
    assert_int_equal(w.client.streams_failed, 1);
    assert_false(w.client.wrong);
    end(&w);
}

/* ---- beginnings ---- */

static void retry_proves_the_address(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.retry_above = 0;
    world w;
    begin(&w, 7, NULL);
    start_server(&w, &limits);
    start_client(&w, 1, 1000);
    check_echo(&w);
    assert_int_equal(server_stats(&w)->retries_sent, 1);
    /* The token that it got spares the next connection the Retry. */
    assert_true(w.client.token_len > 0);
    uint8_t token[256];
    size_t token_len = w.client.token_len;
    memcpy(token, w.client.token, token_len);
    rn_echo_client_stop(&w.client);
    rn_echo_client_options options = client_options(&w, 1, 1000);
    options.token = token;
    options.token_len = token_len;
    assert_int_equal(rn_echo_client_start(&w.client, w.client_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
    run_until(&w, client_is_done);
    assert_true(w.client.done);
    assert_int_equal(server_stats(&w)->retries_sent, 1);
    end(&w);
}

static void retry_with_loss(void **state) {
    (void)state;
    const rn_sim_link link = {.latency_ns = 5 * RN_MILLISECOND, .loss = 0.2};
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.retry_above = 0;
    limits.handshake_timeout_ns = 60 * RN_SECOND;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        world w;
        begin(&w, seed, &link);
        start_server(&w, &limits);
        rn_echo_client_options options = client_options(&w, 1, 1000);
        options.limits.handshake_timeout_ns = 60 * RN_SECOND;
        assert_int_equal(rn_echo_client_start(&w.client, w.client_env, RN_TEST_CERTS, &options),
                         RPCNET_OK);
        check_echo(&w);
        end(&w);
    }
}

typedef struct wire {
    rn_udp *udp;
    size_t received;
    uint8_t bytes[2048];
    size_t len;
} wire;

static void wire_receive(const rn_datagram *datagram, void *user) {
    wire *raw = user;
    raw->received++;
    raw->len = datagram->len < sizeof raw->bytes ? datagram->len : sizeof raw->bytes;
    memcpy(raw->bytes, datagram->data, raw->len);
}

static void wire_open(world *w, wire *raw) {
    static const rn_udp_handler handler = {.receive = wire_receive};
    rn_udp_options options = {.connect = w->address};
    memset(raw, 0, sizeof *raw);
    assert_int_equal(rn_env_udp_open(w->client_env, &options, &handler, raw, &raw->udp), RPCNET_OK);
}

static void wire_send(world *w, wire *raw, const uint8_t *bytes, size_t len) {
    rn_transmit transmit = {.remote = w->address, .data = bytes, .len = len, .segment_size = len};
    assert_int_equal(w->client_env->ops->udp_send(raw->udp, &transmit), RPCNET_OK);
    rn_sim_run_for(w->sim, RN_SECOND);
}

static void unknown_versions_are_answered(void **state) {
    (void)state;
    world w;
    wire raw;
    uint8_t initial[1200] = {0xc0, 0xba, 0xba, 0xba, 0xba, 8, 1, 2, 3, 4,
                             5,    6,    7,    8,    4,    9, 9, 9, 9};
    begin(&w, 8, NULL);
    start_server(&w, NULL);
    wire_open(&w, &raw);
    wire_send(&w, &raw, initial, sizeof initial);
    assert_int_equal(raw.received, 1);
    static const uint8_t expected[] = {0, 0, 0, 0, 4, 9, 9, 9, 9, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    assert_true((raw.bytes[0] & 0x80) != 0);
    assert_memory_equal(raw.bytes + 1, expected, sizeof expected);
    assert_memory_equal(raw.bytes + raw.len - 4, "\0\0\0\1", 4); /* version 1 is offered */
    /* A datagram that is too small for a first one is not answered (RFC 9000, 5.2.2). */
    wire_send(&w, &raw, initial, 1199);
    assert_int_equal(raw.received, 1);
    assert_int_equal(server_stats(&w)->version_negotiations_sent, 1);
    w.client_env->ops->udp_close(raw.udp);
    end(&w);
}

/* Nobody can foresee the server's id, but with the same seed it is the same (RFC 9000, section
 * 17.2.5.1: the client's own must not come back). */
static void retry_does_not_repeat_the_clients_id(void **state) {
    uint8_t id[RN_CONNECTION_ID_LEN] = {1};
    (void)state;
    for (size_t foreseen = 0; foreseen <= 1; foreseen++) {
        uint8_t initial[1200] = {0xc3, 0, 0, 0, 1, sizeof id};
        rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
        limits.retry_above = 0;
        world w;
        wire raw;
        begin(&w, 19, NULL);
        start_server(&w, &limits);
        wire_open(&w, &raw);
        memcpy(initial + 6, id, sizeof id); /* the client's source id is empty */
        wire_send(&w, &raw, initial, sizeof initial);
        assert_int_equal(server_stats(&w)->retries_sent, foreseen ? 0 : 1);
        assert_int_equal(raw.received, foreseen ? 0 : 1);
        if (!foreseen) {
            assert_int_equal(raw.bytes[0] & 0xf0, 0xf0);
            assert_int_equal(raw.bytes[6], sizeof id);
            memcpy(id, raw.bytes + 7, sizeof id);
        }
        w.client_env->ops->udp_close(raw.udp);
        end(&w);
    }
}

static void garbage_is_counted_and_dropped(void **state) {
    (void)state;
    world w;
    wire raw;
    begin(&w, 9, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 200000);
    run_until(&w, half_is_echoed);
    wire_open(&w, &raw);
    for (size_t i = 0; i < 300; i++) {
        uint8_t bytes[1300];
        rn_env_random(w.client_env, bytes, sizeof bytes);
        size_t len = 1 + i * 4;
        if (i % 3 == 0) {
            static const uint8_t start[] = {0xc3, 0, 0, 0, 1, 16};
            memcpy(bytes, start, sizeof start); /* looks like an Initial packet */
        }
        rn_transmit transmit = {
            .remote = w.address, .data = bytes, .len = len, .segment_size = len};
        assert_int_equal(w.client_env->ops->udp_send(raw.udp, &transmit), RPCNET_OK);
    }
    check_echo(&w);
    rn_sim_run_for(w.sim, 20 * RN_SECOND); /* half-open ones are given up */
    assert_true(server_stats(&w)->datagrams_dropped > 200);
    assert_int_equal(server_stats(&w)->connections, 1);
    assert_int_equal(server_stats(&w)->handshakes, 0);
    w.client_env->ops->udp_close(raw.udp);
    end(&w);
}

static void too_many_connections_are_refused(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.connections_max = 1;
    world w;
    begin(&w, 10, NULL);
    start_server(&w, &limits);
    start_client(&w, 1, 10);
    check_echo(&w);
    rn_echo_client second;
    memset(&second, 0, sizeof second);
    rn_echo_client_options options = client_options(&w, 1, 10);
    assert_int_equal(rn_echo_client_start(&second, w.client_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
    rn_sim_run_for(w.sim, 5 * RN_SECOND);
    assert_true(second.closed);
    assert_int_equal(second.close.code, NGTCP2_CONNECTION_REFUSED);
    assert_int_equal(server_stats(&w)->connections_refused, 1);
    rn_echo_client_stop(&second);
    end(&w);
}

/* ---- ends ---- */

static void a_close_is_heard(void **state) {
    (void)state;
    world w;
    begin(&w, 11, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 1000000);
    run_until(&w, half_is_echoed);
    rn_conn_close(w.server.conn, 0x101, "enough");
    run_until(&w, client_is_closed);
    assert_int_equal(w.client.close.cause, RN_CLOSE_PEER);
    assert_true(w.client.close.application);
    assert_int_equal(w.client.close.code, 0x101);
    assert_string_equal(w.client.close.text, "enough");
    assert_int_equal(w.server.closed, 1);
    assert_int_equal(w.server.close.cause, RN_CLOSE_LOCAL);
    rn_sim_run_for(w.sim, 10 * RN_SECOND); /* closing is over: nothing is left */
    assert_int_equal(server_stats(&w)->connections, 0);
    end(&w);
}

typedef struct overheard {
    uint8_t bytes[2048];
    size_t len;
} overheard;

static void overhear(const rn_sim_seen *seen, void *user) {
    overheard *last = user;
    char from[RN_ADDRESS_TEXT_MAX];
    bool of_client = strncmp(rn_address_format(&seen->from, from), CLIENT, strlen(CLIENT)) == 0;
    if (of_client && seen->data.len <= sizeof last->bytes && (seen->data.data[0] & 0x80) == 0) {
        last->len = seen->data.len;
        memcpy(last->bytes, seen->data.data, seen->data.len);
    }
}

/* Late packets of a client that has closed are not answered for some time, also not with a reset
 * (RFC 9000, section 10.2.2). Its place is free at once. */
static void a_closed_connection_drains(void **state) {
    (void)state;
    overheard late = {.len = 0};
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.connections_max = 1;
    world w;
    wire raw;
    begin(&w, 20, NULL);
    start_server(&w, &limits);
    rn_sim_set_tap(w.sim, overhear, &late);
    start_client(&w, 1, 1000);
    check_echo(&w);
    rn_sim_set_tap(w.sim, NULL, NULL);
    assert_true(late.len > 21); /* more than the shortest reset */
    rn_conn_close(w.client.conn, 7, "");
    run_until(&w, client_is_closed);
    rn_sim_run_for(w.sim, 10 * RN_MILLISECOND);
    assert_int_equal(w.server.close.cause, RN_CLOSE_PEER);
    wire_open(&w, &raw);
    rn_transmit again = {
        .remote = w.address, .data = late.bytes, .len = late.len, .segment_size = late.len};
    assert_int_equal(w.client_env->ops->udp_send(raw.udp, &again), RPCNET_OK);
    rn_sim_run_for(w.sim, 20 * RN_MILLISECOND);
    assert_int_equal(raw.received, 0);
    assert_int_equal(server_stats(&w)->connections, 1);
    rn_sim_run_for(w.sim, 10 * RN_SECOND);
    assert_int_equal(server_stats(&w)->connections, 0);
    wire_send(&w, &raw, late.bytes, late.len);
    assert_int_equal(raw.received, 1); /* it is forgotten: now it is reset */
    w.client_env->ops->udp_close(raw.udp);
    end(&w);
}

static void a_draining_connection_takes_no_place(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.connections_max = limits.connections_per_address = 1;
    world w;
    begin(&w, 21, NULL);
    start_server(&w, &limits);
    for (size_t i = 1; i <= 3; i++) {
        start_client(&w, 1, 10);
        run_until(&w, client_is_done);
        assert_true(w.client.done);
        assert_int_equal(server_stats(&w)->handshakes_completed, i);
        rn_conn_close(w.client.conn, 7, "");
        run_until(&w, client_is_closed);
        rn_echo_client_stop(&w.client);
        rn_sim_run_for(w.sim, 10 * RN_MILLISECOND);
        assert_int_equal(w.server.closed, i);
        assert_int_equal(server_stats(&w)->connections, 1);
    }
    assert_int_equal(server_stats(&w)->connections_refused, 0);
    rn_echo_server_stop(&w.server);
    rn_sim_del(w.sim);
}

static void silence_ends_a_connection(void **state) {
    (void)state;
    world w;
    begin(&w, 12, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 10);
    check_echo(&w);
    rn_sim_host_kill(w.client_env);
    rn_sim_run_for(w.sim, 29 * RN_SECOND);
    assert_int_equal(w.server.closed, 0);
    rn_sim_run_for(w.sim, 12 * RN_SECOND);
    assert_int_equal(w.server.closed, 1);
    assert_int_equal(w.server.close.cause, RN_CLOSE_IDLE);
    end(&w);
}

static void keep_alive_holds_a_silent_connection(void **state) {
    (void)state;
    world w;
    begin(&w, 13, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 10);
    check_echo(&w);
    rn_sim_run_for(w.sim, 300 * RN_SECOND);
    assert_int_equal(w.server.closed, 0);
    assert_false(w.client.closed);
    end(&w);
}

/* The peer's idle timeout may be shorter than our keep-alive; and what is not to be kept alive is
 * not.
 */
static void keep_alive_knows_the_peers_idle_timeout(void **state) {
    (void)state;
    for (uint64_t alive = 0; alive <= 1; alive++) {
        world w;
        rn_sim_link link = {.latency_ns = 5 * RN_MILLISECOND, .loss = 0.1};
        rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
        begin(&w, 22, &link);
        limits.idle_timeout_ns = RN_SECOND;
        limits.keep_alive_ns = 0;
        start_server(&w, &limits);
        rn_echo_client_options options = client_options(&w, 1, 10);
        options.limits.keep_alive_ns = alive * 10 * RN_SECOND;
        options.limits.keep_alive_waiting_ns = 0;
        assert_int_equal(rn_echo_client_start(&w.client, w.client_env, RN_TEST_CERTS, &options),
                         RPCNET_OK);
        check_echo(&w);
        rn_sim_run_for(w.sim, 20 * RN_SECOND);
        assert_int_equal(w.client.closed, !alive);
        end(&w);
    }
}

static void a_restarted_server_resets(void **state) {
    (void)state;
    world w;
    begin(&w, 14, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 3000000);
    run_until(&w, half_is_echoed);
    /* A new process with the same secret and nothing else. */
    rn_sim_host_kill(w.server_env);
    rn_echo_server_stop(&w.server);
    w.server_env = rn_sim_host_new(w.sim, SERVER);
    start_server(&w, NULL);
    run_until(&w, client_is_closed);
    assert_int_equal(w.client.close.cause, RN_CLOSE_RESET);
    assert_true(server_stats(&w)->stateless_resets_sent > 0);
    end(&w);
}

/* A silent client sends a few bytes now and then; these must be enough to learn of the restart. */
static void a_restart_is_learnt_from_small_packets(void **state) {
    (void)state;
    world w;
    begin(&w, 19, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 10);
    check_echo(&w);
    rn_sim_host_kill(w.server_env);
    rn_echo_server_stop(&w.server);
    w.server_env = rn_sim_host_new(w.sim, SERVER);
    start_server(&w, NULL);
    rn_sim_run_for(w.sim, 11 * RN_SECOND); /* the first keep-alive comes after 10 s */
    assert_true(w.client.closed);
    assert_int_equal(w.client.close.cause, RN_CLOSE_RESET);
    end(&w);
}

static void the_handshake_times_out(void **state) {
    (void)state;
    world w;
    begin(&w, 15, NULL);
    start_server(&w, NULL);
    rn_sim_host_kill(w.server_env);
    const rn_sim_link dead = {.latency_ns = RN_MILLISECOND, .loss = 1.0};
    rn_sim_set_default_link(w.sim, &dead);
    start_client(&w, 1, 10);
    run_until(&w, client_is_closed);
    assert_int_equal(w.client.close.cause, RN_CLOSE_HANDSHAKE_TIMEOUT);
    end(&w);
}

/* ---- commit before send, and the books ---- */

typedef struct watched {
    rn_env_ops ops;
    const rn_env_ops *real;
    rn_conn *conn;
    uint64_t committed; /* packet numbers below it were on record when a flight left */
    size_t commits;
    unsigned dirty;
    size_t flights;
    bool early; /* a flight left before its commit */
} watched;

/* The env's ops are a member of `watched`, so that its functions find it. */
static watched *watched_of(rn_env *env) {
    return RN_CONTAINER_OF(env->ops, watched, ops);
}

static void note_commit(rn_env *env, void *connection, unsigned dirty) {
    watched *seen = watched_of(env);
    const rn_conn *conn = connection;
    seen->conn = connection;
    seen->committed = conn->books.packet_number_next;
    seen->commits++;
    seen->dirty |= dirty;
}

static watched *watched_socket; /* udp_send has no env: one at a time in this test */

static int note_send(rn_udp *udp, const rn_transmit *transmit) {
    watched *seen = watched_socket;
    if (seen->conn != NULL && seen->conn->quic != NULL) {
        seen->flights++;
        if (seen->conn->books.packet_number_next != seen->committed) {
            seen->early = true;
        }
    }
    return seen->real->udp_send(udp, transmit);
}

static void nothing_leaves_before_it_is_committed(void **state) {
    (void)state;
    world w;
    watched seen = {.commits = 0};
    begin(&w, 16, NULL);
    seen.real = w.server_env->ops;
    seen.ops = *seen.real;
    seen.ops.commit = note_commit;
    seen.ops.udp_send = note_send;
    watched_socket = &seen;
    w.server_env->ops = &seen.ops;
    start_server(&w, NULL);
    start_client(&w, 3, 300000);
    check_echo(&w);
    assert_true(seen.flights > 20);
    assert_false(seen.early);
    /* One for each flight, not for each packet. */
    assert_true(seen.commits <= seen.flights);
    assert_true(w.server.conn->books.packet_number_next > 2 * seen.commits);
    unsigned expected = RN_DIRTY_PACKET_NUMBERS | RN_DIRTY_STREAM_BYTES | RN_DIRTY_ACKED_RECEIVED |
                        RN_DIRTY_IDS | RN_DIRTY_LIMITS;
    assert_int_equal(seen.dirty & expected, expected);
    w.server_env->ops = seen.real;
    end(&w);
}

/* ---- turns ---- */

static size_t sent_by_server;
static const rn_env_ops *real_ops;

static int count_send(rn_udp *udp, const rn_transmit *transmit) {
    sent_by_server++;
    return real_ops->udp_send(udp, transmit);
}

/* As many connections as one turn may send flights, and `more`, have something to say at once. In
 * how many turns is it said? */
static size_t turns_to_send(size_t more) {
    enum { CLIENTS_MAX = RN_PORT_FLIGHTS_MAX + 1 };
    static rn_echo_client clients[CLIENTS_MAX];
    world w;
    size_t count = RN_PORT_FLIGHTS_MAX + more;
    size_t turns = 0;
    begin(&w, 19, NULL);
    real_ops = w.server_env->ops;
    rn_env_ops counting = *real_ops;
    counting.udp_send = count_send;
    w.server_env->ops = &counting;
    start_server(&w, NULL);
    for (size_t i = 0; i < count; i++) {
        rn_echo_client_options options = client_options(&w, 1, 10);
        assert_int_equal(rn_echo_client_start(&clients[i], w.client_env, RN_TEST_CERTS, &options),
                         RPCNET_OK);
    }
    rn_sim_run_for(w.sim, 2 * RN_SECOND);
    const rn_endpoint *endpoint = rn_port_endpoint(w.server.port);
    assert_int_equal(endpoint->stats.handshakes_completed, count);
    for (rn_list *link = endpoint->conns.next; link != &endpoint->conns; link = link->next) {
        rn_conn_close(RN_CONTAINER_OF(link, rn_conn, link), 7, "");
    }
    for (size_t before = sent_by_server = 0; sent_by_server < count; before = sent_by_server) {
        assert_true(rn_sim_step(w.sim));
        turns += sent_by_server > before;
    }
    assert_int_equal(sent_by_server, count);
    rn_sim_run_for(w.sim, RN_SECOND);
    for (size_t i = 0; i < count; i++) {
        assert_true(clients[i].closed);
        assert_int_equal(clients[i].close.code, 7);
        rn_echo_client_stop(&clients[i]);
    }
    w.server_env->ops = real_ops;
    rn_echo_server_stop(&w.server);
    rn_sim_del(w.sim);
    return turns;
}

static void a_turn_sends_to_so_many(void **state) {
    (void)state;
    assert_int_equal(turns_to_send(0), 1);
    assert_int_equal(turns_to_send(1), 2);
}

static void books_know_what_ngtcp2_does_not_tell(void **state) {
    (void)state;
    const rn_sim_link link = {.latency_ns = 10 * RN_MILLISECOND, .loss = 0.1};
    world w;
    begin(&w, 17, &link);
    start_server(&w, NULL);
    start_client(&w, 2, 200000);
    bool pieces_seen = false;
    while (!client_is_done(&w)) {
        assert_true(rn_sim_step(w.sim));
        if (w.server.conn != NULL && w.server.conn->books.pieces_count > 0) {
            pieces_seen = true;
        }
    }
    check_echo(&w);
    rn_sim_run_for(w.sim, 5 * RN_SECOND);
    const rn_books *server = &w.server.conn->books;
    const rn_books *client = &w.client.conn->books;
    assert_true(pieces_seen); /* bytes beyond a gap were held */
    assert_int_equal(server->pieces_count, 0);
    assert_true(server->pieces_complete);
    assert_true(server->handshake_done_acknowledged);
    assert_true(server->received_count > 0);
    assert_true(server->received[server->received_count - 1].high < client->packet_number_next);
    assert_true(server->largest_acknowledged < server->packet_number_next);
    /* Each side knows the other's ids as the other has issued them. */
    assert_int_equal(server->peer_ids_count + 1, w.client.conn->own_ids_count);
    for (size_t i = 0; i < server->peer_ids_count; i++) {
        const rn_peer_id *peer = &server->peer_ids[i];
        assert_true(ngtcp2_cid_eq(&peer->id, &w.client.conn->own_ids[peer->sequence].id));
    }
    assert_memory_equal(w.client.conn->protection.phase[0].receive,
                        w.server.conn->protection.phase[0].transmit, 32);
    assert_memory_equal(w.client.conn->protection.header_transmit,
                        w.server.conn->protection.header_receive, 16);
    end(&w);
}

static void the_handshake_ends_before_the_client_is_gone(void **state) {
    (void)state;
    world w;
    begin(&w, 18, NULL);
    start_server(&w, NULL);
    start_client(&w, 1, 10);
    run_until(&w, client_is_established);
    rn_echo_client_stop(&w.client); /* without a word */
    rn_sim_run_for(w.sim, 60 * RN_SECOND);
    assert_int_equal(server_stats(&w)->connections, 0);
    assert_int_equal(server_stats(&w)->handshakes, 0);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_good_network),
        cmocka_unit_test(with_loss_and_disorder),
        cmocka_unit_test(much_through_small_windows),
        cmocka_unit_test(the_client_changes_its_address),
        cmocka_unit_test(keys_are_updated),
        cmocka_unit_test(a_stream_is_reset_at_once),
        cmocka_unit_test(retry_proves_the_address),
        cmocka_unit_test(retry_with_loss),
        cmocka_unit_test(unknown_versions_are_answered),
        cmocka_unit_test(retry_does_not_repeat_the_clients_id),
        cmocka_unit_test(garbage_is_counted_and_dropped),
        cmocka_unit_test(too_many_connections_are_refused),
        cmocka_unit_test(a_close_is_heard),
        cmocka_unit_test(a_closed_connection_drains),
        cmocka_unit_test(a_draining_connection_takes_no_place),
        cmocka_unit_test(silence_ends_a_connection),
        cmocka_unit_test(keep_alive_holds_a_silent_connection),
        cmocka_unit_test(keep_alive_knows_the_peers_idle_timeout),
        cmocka_unit_test(a_restarted_server_resets),
        cmocka_unit_test(a_restart_is_learnt_from_small_packets),
        cmocka_unit_test(the_handshake_times_out),
        cmocka_unit_test(nothing_leaves_before_it_is_committed),
        cmocka_unit_test(a_turn_sends_to_so_many),
        cmocka_unit_test(books_know_what_ngtcp2_does_not_tell),
        cmocka_unit_test(the_handshake_ends_before_the_client_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
