/* Servers: their methods, their graceful and their sudden end, and the health service. */
#include "quic/conn_internal.h"
#include "rpc/internal.h"
#include "sim/rpc_world.h"

static uint64_t in_ms(const world *w, uint64_t ms) {
    return rn_sim_now(w->sim) + ms * RN_MILLISECOND;
}

static void test_arguments(void **state) {
    (void)state;
    world *w = world_new(1);
    rpcnet_server *server;
    assert_int_equal(rpcnet_server_new(&server, w->server_env, SERVER_ADDRESS, &w->server_options),
                     RPCNET_ERR_ARGUMENT);                 /* no credentials */
    w->server_options.credentials = w->client_credentials; /* without a certificate */
    assert_int_equal(rpcnet_server_new(&server, w->server_env, SERVER_ADDRESS, &w->server_options),
                     RPCNET_ERR_ARGUMENT);
    w->server_options.credentials = w->server_credentials;
    assert_int_equal(rpcnet_server_new(&server, w->server_env, "nonsense", &w->server_options),
                     RPCNET_ERR_ADDRESS);
    w->server_limits.send_ring_bytes = 4095;
    assert_int_equal(rpcnet_server_new(&server, w->server_env, SERVER_ADDRESS, &w->server_options),
                     RPCNET_ERR_ARGUMENT);
    w->server_limits.send_ring_bytes = 4096;
    w->server_limits.streams_max = 0;
    assert_int_equal(rpcnet_server_new(&server, w->server_env, SERVER_ADDRESS, &w->server_options),
                     RPCNET_ERR_ARGUMENT);
    w->server_limits.streams_max = 1;
    static const size_t no_headers_max[] = {1023, 16385};
    for (size_t i = 0; i < 2; i++) {
        w->server_limits.headers_max = no_headers_max[i];
        assert_int_equal(
            rpcnet_server_new(&server, w->server_env, SERVER_ADDRESS, &w->server_options),
            RPCNET_ERR_ARGUMENT);
    }
    w->server_limits.headers_max = 16384;
    w->server_limits.struct_size++;
    assert_int_equal(rpcnet_server_new(&server, w->server_env, SERVER_ADDRESS, &w->server_options),
                     RPCNET_ERR_ARGUMENT);
    w->server_limits.struct_size--;
    world_serve(w);
    assert_string_equal(rpcnet_server_address(w->server), SERVER_ADDRESS);
    assert_int_equal(rpcnet_server_new(&server, w->server_env, SERVER_ADDRESS, &w->server_options),
                     RPCNET_ERR_ADDRESS_IN_USE);
    world_del(w);
}

/* Limits are no part of the options' layout: none are the defaults, and those of an older program
 * end earlier. */
static void test_limits_of_others(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        world *w = world_new(1);
        w->server_limits.struct_size = offsetof(rpcnet_limits, memory);
        memset(&w->server_limits.memory, 0xff, sizeof w->server_limits.memory); /* not to be read */
        if (i == 1) {
            w->server_options.limits = NULL;
            w->channel_options.limits = NULL;
        }
        world_serve(w);
        world_connect(w);
        probe at = {0};
        call_unary(w, &at, "/t/Echo", 100);
        run_until_over(w, &at);
        assert_int_equal(at.code, RPCNET_GRPC_OK);
        probe_del(&at);
        world_del(w);
    }
}

static void test_method_limit(void **state) {
    (void)state;
    world *w = world_start(2);
    char path[32];
    int rv = RPCNET_OK;
    size_t added = 4; /* the world's own */
    for (; rv == RPCNET_OK; added += rv == RPCNET_OK) {
        (void)snprintf(path, sizeof path, "/m/%zu", added);
        rv = rpcnet_server_add_method(w->server, path, method_echo, w);
    }
    assert_int_equal(rv, RPCNET_ERR_LIMIT);
    assert_int_equal(added, 256);
    assert_int_equal(rpcnet_server_add_method(w->server, "/t/Echo", method_echo, w),
                     RPCNET_ERR_EXISTS);
    assert_int_equal(rpcnet_server_add_method(w->server, "m", method_echo, w), RPCNET_ERR_ARGUMENT);
    world_del(w);
}

/* Who wants no connection without need stays idle until the next call. */
static void test_goodbye_leaves_a_channel_idle(void **state) {
    (void)state;
    world *w = world_new(70);
    w->channel_options.reconnect_when_drained = false;
    world_serve(w);
    world_connect(w);
    rpcnet_channel_stats stats;
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    rpcnet_server_drain(w->server, in_ms(w, 60000));
    run_ms(w, 3000);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_IDLE);
    rpcnet_channel_get_stats(w->channel, &stats);
    assert_int_equal(stats.connections_opened, 1);
    assert_int_equal(at.statuses, 0); /* the call goes on */
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_OK);
    run_ms(w, 100);
    assert_int_equal(w->served[0].messages, 1);
    probe next = {0};
    call_unary(w, &next, "/t/Echo", 10);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_CONNECTING);
    run_ms(w, 100);
    rpcnet_channel_get_stats(w->channel, &stats);
    assert_int_equal(stats.connections_opened, 2);
    probe_del(&next);
    probe_del(&at);
    world_del(w);
}

static void test_drain_lets_calls_finish(void **state) {
    (void)state;
    world *w = world_start(3);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    rpcnet_server_drain(w->server, in_ms(w, 5000));
    assert_int_equal(w->drained, 0);
    probe crossing = {0}; /* its request and the first GOAWAY meet on the way: it is served */
    call_unary(w, &crossing, "/t/Echo", 10);
    run_ms(w, 10);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_WAITING);
    run_until_over(w, &crossing);
    assert_int_equal(crossing.code, RPCNET_GRPC_OK);
    probe_del(&crossing);
    run_ms(w, 1000);
    /* The client knows and looks for another server; its call goes on. */
    assert_int_equal(w->loss, RPCNET_LOSS_PEER);
    assert_int_equal(at.statuses, 0);
    assert_int_equal(w->drained, 0);
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_OK);
    run_ms(w, 100);
    assert_int_equal(w->served[0].messages, 1);
    assert_int_equal(rpcnet_call_finish(w->served[0].call, RPCNET_GRPC_OK, NULL, NULL), RPCNET_OK);
    run_ms(w, 500);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    assert_int_equal(at.statuses, 1);
    assert_int_equal(w->drained, 1);
    assert_int_equal(w->disconnections, 1);
    rpcnet_server_drain(w->server, 0);
    run_ms(w, 100);
    assert_int_equal(w->drained, 1);
    probe_del(&at);
    world_del(w);
}

static void test_drain_without_connections(void **state) {
    (void)state;
    world *w = world_new(4);
    world_serve(w);
    rpcnet_server_drain(w->server, in_ms(w, 5000));
    assert_int_equal(w->drained, 0); /* never inside */
    run_ms(w, 1);
    assert_int_equal(w->drained, 1);
    w->channel_limits.handshake_timeout_ns = RN_SECOND;
    world_connect(w);
    run_ms(w, 1500);
    assert_int_equal(w->loss, RPCNET_LOSS_TIMEOUT); /* nobody is let in */
    assert_int_equal(w->connections, 0);
    world_del(w);
}

static void test_drain_cuts_at_its_deadline(void **state) {
    (void)state;
    world *w = world_start(5);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    rpcnet_server_drain(w->server, in_ms(w, 1000));
    run_ms(w, 990);
    assert_int_equal(at.statuses, 0);
    assert_int_equal(w->served[0].cancels, 0);
    run_ms(w, 60);
    assert_int_equal(w->served[0].cancels, 1);
    assert_int_equal(w->served[0].code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(w->drained, 1);
    probe_del(&at);
    world_del(w);
}

/* Without `reconnect` a channel whose server drains takes no new calls. */
static void test_drain_and_no_reconnect(void **state) {
    (void)state;
    world *w = world_new(6);
    w->channel_options.reconnect = false;
    world_serve(w);
    world_connect(w);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    rpcnet_server_drain(w->server, in_ms(w, 1000));
    run_ms(w, 100);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    rpcnet_call *call;
    assert_int_equal(rpcnet_call_new(&call, w->channel, "/t/Echo", NULL, &client_callbacks, NULL),
                     RPCNET_ERR_CLOSED);
    run_ms(w, 1500);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_CLOSED);
    assert_int_equal(w->loss, RPCNET_LOSS_PEER);
    probe_del(&at);
    world_del(w);
}

static void test_rolling_restart(void **state) {
    (void)state;
    world *w = world_start(7);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    rpcnet_server_drain(w->server, in_ms(w, 5000));
    run_ms(w, 300);
    assert_int_equal(rpcnet_call_finish(w->served[0].call, RPCNET_GRPC_OK, NULL, NULL), RPCNET_OK);
    run_ms(w, 300);
    assert_int_equal(w->drained, 1);
    probe_del(&w->served[0]);
    rpcnet_server_del(w->server);
    world_serve(w);
    probe next = {0};
    call_unary(w, &next, "/t/Echo", 10);
    run_until_over(w, &next);
    assert_int_equal(next.code, RPCNET_GRPC_OK);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    probe_del(&at);
    probe_del(&next);
    world_del(w);
}

static void test_delete_tells_everybody(void **state) {
    (void)state;
    world *w = world_start(8);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 200);
    rpcnet_server_del(w->server);
    w->server = NULL;
    assert_int_equal(w->served[0].cancels, 1); /* inside */
    assert_int_equal(w->served[0].code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(rpcnet_call_send(w->served[0].call, "x", 1), RPCNET_ERR_CLOSED);
    assert_int_equal(w->disconnections, 0); /* the owner knows */
    run_ms(w, 20);
    assert_int_equal(at.statuses, 1);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(w->loss, RPCNET_LOSS_PEER);
    rpcnet_peer peer;
    rpcnet_call_peer(w->served[0].call, &peer);
    assert_int_equal(peer.connection, 1);
    assert_string_equal(peer.identity, "");
    probe_del(&at);
    world_del(w);
}

static void test_connection_limit(void **state) {
    (void)state;
    world *w = world_new(9);
    w->server_limits.connections_max = 1;
    world_serve(w);
    world_connect(w);
    run_ms(w, 200);
    w->channel_options.reconnect = false;
    rpcnet_channel *second;
    assert_int_equal(
        rpcnet_channel_new(&second, w->client_env, SERVER_ADDRESS, &w->channel_options), RPCNET_OK);
    w->state_count = 0;
    run_ms(w, 200);
    assert_int_equal(rpcnet_channel_get_state(second), RPCNET_CHANNEL_CLOSED);
    assert_int_equal(rpcnet_channel_get_state(w->channel), RPCNET_CHANNEL_READY);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.connections_accepted, 1);
    assert_int_equal(stats.connections_open, 1);
    assert_true(stats.connections_refused >= 1);
    rpcnet_channel_del(second);
    world_del(w);
}

/* ---- health ---- */

typedef struct watcher {
    rpcnet_call *call;
    int heard[16];
    size_t count;
    int code; /* -1 until the end */
} watcher;

static void on_health(rpcnet_call *call, const void *data, size_t len, void *user) {
    watcher *at = user;
    const uint8_t *bytes = data;
    (void)call;
    assert_true(at->count < 16);
    assert_true(len == 0 || (len == 2 && bytes[0] == 0x08));
    at->heard[at->count++] = len == 0 ? 0 : bytes[1];
}

static void on_health_status(rpcnet_call *call, int code, const char *message,
                             const rpcnet_metadata *trailers, void *user) {
    (void)call;
    (void)message;
    (void)trailers;
    ((watcher *)user)->code = code;
}

static void ask(world *w, watcher *at, const char *method, const char *service) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_health,
                                                    .on_status = on_health_status};
    char path[64];
    uint8_t request[300] = {0x0a};
    size_t len = strlen(service);
    *at = (watcher){.code = -1};
    (void)snprintf(path, sizeof path, "/grpc.health.v1.Health/%s", method);
    assert_int_equal(rpcnet_call_new(&at->call, w->channel, path, NULL, &callbacks, at), RPCNET_OK);
    assert_true(len < 128);
    request[1] = (uint8_t)len;
    (void)snprintf((char *)request + 2, sizeof request - 2, "%s", service);
    assert_int_equal(rpcnet_call_send(at->call, request, len > 0 ? len + 2 : 0), RPCNET_OK);
    assert_int_equal(rpcnet_call_half_close(at->call), RPCNET_OK);
    run_ms(w, 100);
}

static void test_health_check(void **state) {
    (void)state;
    world *w = world_start(20);
    rpcnet_health *health;
    assert_int_equal(rpcnet_health_new(&health, w->server), RPCNET_OK);
    assert_int_equal(rpcnet_health_set(health, "a.B", RPCNET_NOT_SERVING), RPCNET_OK);
    assert_int_equal(rpcnet_health_set(health, "u", RPCNET_SERVING_UNKNOWN), RPCNET_OK);
    const struct {
        const char *service;
        int code;
        int status;
    } cases[] = {{"", RPCNET_GRPC_OK, RPCNET_SERVING},
                 {"a.B", RPCNET_GRPC_OK, RPCNET_NOT_SERVING},
                 {"u", RPCNET_GRPC_OK, RPCNET_SERVING_UNKNOWN},
                 {"a.b", RPCNET_GRPC_NOT_FOUND, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        watcher at;
        ask(w, &at, "Check", cases[i].service);
        assert_int_equal(at.code, cases[i].code);
        assert_int_equal(at.count, cases[i].status >= 0 ? 1 : 0);
        assert_int_equal(at.heard[0], cases[i].status >= 0 ? cases[i].status : 0);
        rpcnet_call_del(at.call);
    }
    probe at = {0};
    call_to(w, &at, "/grpc.health.v1.Health/Check");
    assert_int_equal(rpcnet_call_half_close(at.call), RPCNET_OK); /* no request at all */
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_INVALID_ARGUMENT);
    probe_del(&at);
    probe bad = {0};
    call_to(w, &bad, "/grpc.health.v1.Health/Watch");
    assert_int_equal(rpcnet_call_send(bad.call, "\x0a\x7f", 2), RPCNET_OK);
    run_until_over(w, &bad);
    assert_int_equal(bad.code, RPCNET_GRPC_INTERNAL);
    probe_del(&bad);
    rpcnet_server_del(w->server);
    w->server = NULL;
    rpcnet_health_del(health);
    world_del(w);
}

static void test_health_watch(void **state) {
    (void)state;
    world *w = world_start(21);
    rpcnet_health *health;
    assert_int_equal(rpcnet_health_new(&health, w->server), RPCNET_OK);
    watcher whole;
    watcher later;
    watcher gone;
    ask(w, &whole, "Watch", "");
    ask(w, &later, "Watch", "later");
    ask(w, &gone, "Watch", "");
    assert_int_equal(later.heard[0], 3); /* SERVICE_UNKNOWN */
    rpcnet_call_del(gone.call);
    run_ms(w, 100);
    assert_int_equal(rpcnet_health_set(health, "", RPCNET_SERVING), RPCNET_OK); /* no change */
    assert_int_equal(rpcnet_health_set(health, "", RPCNET_NOT_SERVING), RPCNET_OK);
    assert_int_equal(rpcnet_health_set(health, "later", RPCNET_SERVING), RPCNET_OK);
    run_ms(w, 100);
    assert_int_equal(whole.count, 2);
    assert_int_equal(whole.heard[0], RPCNET_SERVING);
    assert_int_equal(whole.heard[1], RPCNET_NOT_SERVING);
    assert_int_equal(later.count, 2);
    assert_int_equal(later.heard[1], RPCNET_SERVING);
    assert_int_equal(whole.code, -1);
    rpcnet_server_drain(w->server, in_ms(w, 10000)); /* ends watches, and is not held up by them */
    run_ms(w, 1000);
    assert_int_equal(whole.code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(w->drained, 1);
    rpcnet_call_del(whole.call);
    rpcnet_call_del(later.call);
    rpcnet_server_del(w->server);
    w->server = NULL;
    rpcnet_health_del(health);
    world_del(w);
}

/* The request of a watch may come when the watches have been ended already. */
static void test_health_watch_that_comes_late(void **state) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_health,
                                                    .on_status = on_health_status};
    (void)state;
    world *w = world_start(25);
    rpcnet_health *health;
    watcher late = {.code = -1};
    assert_int_equal(rpcnet_health_new(&health, w->server), RPCNET_OK);
    assert_int_equal(rpcnet_call_new(&late.call, w->channel, "/grpc.health.v1.Health/Watch", NULL,
                                     &callbacks, &late),
                     RPCNET_OK);
    run_ms(w, 200);
    rpcnet_server_drain(w->server, in_ms(w, 10000));
    assert_int_equal(rpcnet_call_send(late.call, NULL, 0), RPCNET_OK);
    run_ms(w, 1000);
    assert_int_equal(late.code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(late.count, 0);
    assert_int_equal(w->drained, 1);
    rpcnet_call_del(late.call);
    rpcnet_server_del(w->server);
    w->server = NULL;
    rpcnet_health_del(health);
    world_del(w);
}

static void test_health_limits(void **state) {
    (void)state;
    world *w = world_start(22);
    rpcnet_health *health;
    assert_int_equal(rpcnet_health_new(&health, w->server), RPCNET_OK);
    char name[257];
    memset(name, 'x', 256);
    name[256] = '\0';
    assert_int_equal(rpcnet_health_set(health, name, RPCNET_SERVING), RPCNET_ERR_ARGUMENT);
    name[255] = '\0';
    assert_int_equal(rpcnet_health_set(health, name, RPCNET_SERVING), RPCNET_OK);
    assert_int_equal(rpcnet_health_set(health, "x", (enum rpcnet_serving)3), RPCNET_ERR_ARGUMENT);
    for (size_t i = 2; i < 64; i++) {
        (void)snprintf(name, sizeof name, "%zu", i);
        assert_int_equal(rpcnet_health_set(health, name, RPCNET_SERVING), RPCNET_OK);
    }
    assert_int_equal(rpcnet_health_set(health, "one more", RPCNET_SERVING), RPCNET_ERR_LIMIT);
    assert_int_equal(rpcnet_health_set(health, "63", RPCNET_NOT_SERVING), RPCNET_OK);
    watcher at;
    ask(w, &at, "Watch", "");
    rpcnet_server_del(w->server); /* with a watch */
    w->server = NULL;
    rpcnet_health_del(health);
    run_ms(w, 50);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    rpcnet_call_del(at.call);
    world_del(w);
}

/* One that could not be made leaves nothing behind. */
static void test_health_without_room(void **state) {
    (void)state;
    world *w = world_start(23);
    rpcnet_health *health = NULL;
    assert_int_equal(
        rpcnet_server_add_method(w->server, "/grpc.health.v1.Health/Watch", method_echo, w),
        RPCNET_OK);
    assert_int_equal(rpcnet_health_new(&health, w->server), RPCNET_ERR_EXISTS);
    assert_null(health);
    watcher at;
    ask(w, &at, "Check", "");
    assert_int_equal(at.code, RPCNET_GRPC_UNIMPLEMENTED);
    rpcnet_call_del(at.call);
    rpcnet_server_drain(w->server, in_ms(w, 100));
    run_ms(w, 200);
    world_del(w);
}

/* Streams of which the client resets its direction alone, before there is a request, and waits:
 * without an end of the other direction they would count against its limit for ever. */
static void test_a_reset_before_the_request(void **state) {
    (void)state;
    static const uint8_t part[] = {0x01, 0x20, 0x00, 0x00}; /* of HEADERS; or nothing at all */
    world *w = world_start(90);
    probe at = {0};
    call_unary(w, &at, "/t/Echo", 1);
    run_until_over(w, &at);
    run_ms(w, 100);
    rn_conn *conn = rn_h3_session_conn(w->channel->link->session);
    uint64_t left = rn_conn_streams_left(conn);
    for (size_t len = 0; len <= sizeof part; len += sizeof part) {
        rn_stream *stream = NULL;
        rn_bytes piece = rn_bytes_of(part, len);
        assert_int_equal(rn_conn_open_bidi(conn, &stream), RPCNET_OK);
        int64_t id = rn_stream_id(stream);
        assert_int_equal(rn_stream_write(stream, &piece, 1, false), RPCNET_OK);
        run_ms(w, 100);
        rn_stream_close_write(stream);
        assert_int_equal(ngtcp2_conn_shutdown_stream_write(conn->quic, 0, id, 0x10c), 0);
        rn_conn_wake(conn);
        run_ms(w, 100);
        assert_int_equal(rn_conn_streams_left(conn), left);
    }
    assert_int_equal(w->states[RPCNET_CHANNEL_READY], 1);
    assert_int_equal(w->disconnections, 0);
    probe_del(&at);
    world_del(w);
}

/* A client asks for an urgency; a server that sets something else of its call leaves that, and one
 * that wants an urgency of its own gets it. */
static void test_urgency_that_is_asked_for(void **state) {
    (void)state;
    world *w = world_start(24);
    rpcnet_metadata *asked;
    rpcnet_call_options options;
    assert_int_equal(rpcnet_metadata_new(&asked), RPCNET_OK);
    assert_int_equal(rpcnet_metadata_add(asked, "priority", "u=1", 3), RPCNET_OK);
    rpcnet_call_options_init(&options);
    options.metadata = asked;
    w->serve_held = true; /* sets options */
    probe at = {0};
    call_with(w, &at, "/t/Sink", &options);
    run_ms(w, 200);
    rpcnet_call *served = w->served[0].call;
    const rn_conn *conn = rn_h3_session_conn(rn_h3_stream_session(rn_call_stream(served->inner)));
    rn_list *link;
    rn_list *after;
    const rn_stream *stream = NULL;
    RN_LIST_FOREACH(link, after, &conn->streams) {
        const rn_stream *found = RN_CONTAINER_OF(link, rn_stream, link);
        stream = found->id == 0 ? found : stream;
    }
    if (stream == NULL) {
        fail_msg("the server has no stream 0");
        return;
    }
    assert_int_equal(stream->urgency, 1);
    rpcnet_call_options_init(&options);
    options.urgency = 5;
    rpcnet_call_set_options(served, &options);
    assert_int_equal(stream->urgency, 5);
    rpcnet_metadata_del(asked);
    probe_del(&at);
    world_del(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_limits_of_others),
        cmocka_unit_test(test_method_limit),
        cmocka_unit_test(test_goodbye_leaves_a_channel_idle),
        cmocka_unit_test(test_drain_lets_calls_finish),
        cmocka_unit_test(test_drain_without_connections),
        cmocka_unit_test(test_drain_cuts_at_its_deadline),
        cmocka_unit_test(test_drain_and_no_reconnect),
        cmocka_unit_test(test_rolling_restart),
        cmocka_unit_test(test_delete_tells_everybody),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_a_reset_before_the_request),
        cmocka_unit_test(test_health_check),
        cmocka_unit_test(test_health_watch),
        cmocka_unit_test(test_health_watch_that_comes_late),
        cmocka_unit_test(test_health_limits),
        cmocka_unit_test(test_health_without_room),
        cmocka_unit_test(test_urgency_that_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
