/* Calls of all kinds through the public library, over networks that lose and reorder. */
#include "sim/rpc_world.h"

static void bad_network(world *w) {
    rn_sim_link link = {.latency_ns = 10 * RN_MILLISECOND,
                        .jitter_ns = 3 * RN_MILLISECOND,
                        .loss = 0.05,
                        .duplicate = 0.02,
                        .reorder = 0.1};
    rn_sim_set_default_link(w->sim, &link);
}

static void assert_ok(const probe *at) {
    assert_int_equal(at->statuses, 1);
    if (at->code != RPCNET_GRPC_OK) {
        fail_msg("code %d: %s", at->code, at->text);
    }
    assert_false(at->wrong || at->late);
}

static void test_unary(void **state) {
    (void)state;
    world *w = world_start(1);
    probe at = {0};
    call_unary(w, &at, "/t/Echo", 1000); /* while it connects */
    assert_int_equal(at.statuses, 0);
    run_until_over(w, &at);
    assert_ok(&at);
    assert_int_equal(at.messages, 1);
    assert_int_equal(at.bytes, 1000);
    assert_int_equal(at.headers, 1);
    assert_string_equal(at.text, "done");
    run_ms(w, 100);
    assert_int_equal(at.closes, 1);
    probe_del(&at);
    probe again = {0};
    call_unary(w, &again, "/t/Echo", 10); /* while it is connected */
    run_until_over(w, &again);
    assert_ok(&again);
    probe_del(&again);
    rpcnet_channel_stats stats;
    rpcnet_channel_get_stats(w->channel, &stats);
    assert_int_equal(stats.connections_opened, 1);
    assert_int_equal(stats.handshakes_completed, 1);
    assert_int_equal(stats.calls_started, 2);
    assert_true(rpcnet_channel_rtt(w->channel) >= 10 * RN_MILLISECOND);
    assert_int_equal(strncmp(rpcnet_channel_local_address(w->channel), CLIENT_HOST ":", 9), 0);
    world_del(w);
}

static void test_empty_message(void **state) {
    (void)state;
    world *w = world_start(2);
    probe at = {0};
    call_to(w, &at, "/t/Echo");
    assert_int_equal(rpcnet_call_send(at.call, NULL, 0), RPCNET_OK);
    assert_int_equal(rpcnet_call_half_close(at.call), RPCNET_OK);
    assert_int_equal(rpcnet_call_half_close(at.call), RPCNET_ERR_STATE);
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_ERR_STATE);
    run_until_over(w, &at);
    assert_ok(&at);
    assert_int_equal(at.messages, 1);
    assert_int_equal(at.bytes, 0);
    probe_del(&at);
    world_del(w);
}

/* In two pieces, each of which may be empty, while the call waits for a connection and later. */
static void test_empty_pieces(void **state) {
    (void)state;
    world *w = world_start(23);
    const char bytes[] = {(char)pattern(0), (char)pattern(1)};
    for (size_t head = 0; head <= 2; head += 2) {
        probe waiting = {0};
        probe ready = {0};
        probe *both[] = {&waiting, &ready};
        for (size_t i = 0; i < 2; i++) {
            call_to(w, both[i], "/t/Echo");
            assert_int_equal(
                rpcnet_call_send2(both[i]->call, bytes, head, bytes + head, sizeof bytes - head),
                RPCNET_OK);
            assert_int_equal(rpcnet_call_half_close(both[i]->call), RPCNET_OK);
            run_until_over(w, both[i]);
            assert_ok(both[i]);
            assert_int_equal(both[i]->messages, 1);
            assert_int_equal(both[i]->bytes, sizeof bytes);
            probe_del(both[i]);
        }
        rpcnet_channel_del(w->channel);
        world_connect(w);
    }
    world_del(w);
}

static void test_server_stream_over_loss(void **state) {
    (void)state;
    world *w = world_start(3);
    bad_network(w);
    probe at[8] = {0};
    for (size_t i = 0; i < 8; i++) {
        call_unary(w, &at[i], "/t/Tokens", 10);
    }
    for (size_t i = 0; i < 8; i++) {
        run_until_over(w, &at[i]);
        assert_ok(&at[i]);
        assert_int_equal(at[i].messages, 300);
        assert_int_equal(at[i].bytes, 300 * 1000);
        probe_del(&at[i]);
    }
    world_del(w);
}

static void test_client_stream_over_loss(void **state) {
    (void)state;
    world *w = world_start(4);
    bad_network(w);
    probe at = {.to_send = 3000000, .piece = 5000, .finish_when_sent = true};
    call_to(w, &at, "/t/Collect");
    probe_pump(&at);
    run_until_over(w, &at);
    assert_ok(&at);
    assert_string_equal(at.text, "3000000");
    assert_int_equal(w->served[0].messages, 600);
    assert_false(w->served[0].wrong);
    assert_true(at.writables > 1);
    probe_del(&at);
    world_del(w);
}

static void test_bidi_over_loss(void **state) {
    (void)state;
    world *w = world_start(5);
    bad_network(w);
    probe at = {.to_send = 400000, .piece = 777, .finish_when_sent = true};
    call_to(w, &at, "/t/Echo");
    probe_pump(&at);
    run_until_over(w, &at);
    assert_ok(&at);
    assert_int_equal(at.bytes, 400000);
    assert_int_equal(at.messages, (400000 + 776) / 777);
    probe_del(&at);
    world_del(w);
}

static void test_big_messages(void **state) {
    (void)state;
    world *w = world_start(6);
    bad_network(w);
    probe at = {.to_send = 3 << 20, .piece = 1 << 20, .finish_when_sent = true};
    call_to(w, &at, "/t/Collect");
    probe_pump(&at);
    run_until_over(w, &at);
    assert_ok(&at);
    assert_int_equal(w->served[0].messages, 3);
    probe_del(&at);
    world_del(w);
}

static void test_message_limits(void **state) {
    (void)state;
    world *w = world_start(7);
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.send_max = 100;
    options.receive_max = 50;
    uint8_t bytes[101] = {0};
    probe waiting = {0};
    call_with(w, &waiting, "/t/Echo", &options); /* while it connects */
    assert_int_equal(rpcnet_call_send(waiting.call, bytes, 101), RPCNET_ERR_LIMIT);
    assert_int_equal(rpcnet_call_send(waiting.call, bytes, 51), RPCNET_OK);
    assert_int_equal(rpcnet_call_send(waiting.call, bytes, 1), RPCNET_ERR_AGAIN);
    run_until_over(w, &waiting);
    assert_int_equal(waiting.code, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_true(waiting.writables == 1);
    probe_del(&waiting);
    probe at = {0};
    call_with(w, &at, "/t/Echo", &options);
    assert_int_equal(rpcnet_call_send(at.call, bytes, 101), RPCNET_ERR_LIMIT);
    assert_int_equal(rpcnet_call_send(at.call, bytes, 50), RPCNET_OK);
    assert_int_equal(rpcnet_call_half_close(at.call), RPCNET_OK);
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    probe_del(&at);
    world_del(w);
}

static void test_arguments(void **state) {
    (void)state;
    world *w = world_start(8);
    rpcnet_call *call;
    static const char *const paths[] = {"", "/", "t/Echo", "/t/Ec ho", "/t/\x01"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(
            rpcnet_call_new(&call, w->channel, paths[i], NULL, &client_callbacks, NULL),
            RPCNET_ERR_ARGUMENT);
    }
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.urgency = 8;
    assert_int_equal(
        rpcnet_call_new(&call, w->channel, "/t/Echo", &options, &client_callbacks, NULL),
        RPCNET_ERR_ARGUMENT);
    options.urgency = 7;
    options.struct_size++;
    assert_int_equal(
        rpcnet_call_new(&call, w->channel, "/t/Echo", &options, &client_callbacks, NULL),
        RPCNET_ERR_ARGUMENT);
    probe at = {0};
    call_to(w, &at, "/t/Echo");
    assert_string_equal(rpcnet_call_path(at.call), "/t/Echo");
    assert_int_equal(rpcnet_call_send2(at.call, "", 65, NULL, 0), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rpcnet_call_finish(at.call, 0, NULL, NULL), RPCNET_ERR_STATE);
    assert_int_equal(rpcnet_call_send_headers(at.call, NULL), RPCNET_ERR_STATE);
    assert_int_equal(rpcnet_call_room(at.call), 0);
    probe_del(&at);
    world_del(w);
}

static bool only_the_authorized(rpcnet_server *server, const char *identity, void *user) {
    const world *w = user;
    assert_ptr_equal(server, w->server);
    assert_string_equal(identity, "rpcnet://role/worker/worker-a");
    return w->authorized;
}

/* No handler is asked, not even the fallback. */
static void test_roles(void **state) {
    (void)state;
    world *w = world_new(31);
    rpcnet_credentials_del(w->client_credentials);
    w->client_credentials = load("worker-a", "ca", false);
    rpcnet_credentials_del(w->server_credentials);
    w->server_credentials = load("director", "ca", true);
    w->server_options.authorize = only_the_authorized;
    world_serve(w);
    world_connect(w);
    rpcnet_server_set_fallback(w->server, method_echo, w);
    for (unsigned i = 0; i < 2; i++) {
        probe at = {0};
        call_unary(w, &at, i == 0 ? "/t/Echo" : "/t/Nothing", 10);
        run_until_over(w, &at);
        assert_int_equal(at.code, RPCNET_GRPC_PERMISSION_DENIED);
        assert_int_equal(at.headers, 0);
        probe_del(&at);
    }
    assert_int_equal(w->served_count, 0);
    w->authorized = true;
    probe at = {0};
    call_unary(w, &at, "/t/Echo", 10);
    run_until_over(w, &at);
    assert_ok(&at);
    probe_del(&at);
    world_del(w);
}

static void test_unknown_method_and_fallback(void **state) {
    (void)state;
    world *w = world_start(9);
    probe at = {0};
    call_unary(w, &at, "/t/Nothing", 10);
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_UNIMPLEMENTED);
    assert_int_equal(at.headers, 0);
    probe_del(&at);
    rpcnet_server_set_fallback(w->server, method_echo, w);
    probe again = {0};
    call_unary(w, &again, "/t/Nothing", 10);
    run_until_over(w, &again);
    assert_ok(&again);
    assert_string_equal(rpcnet_call_path(w->served[0].call), "/t/Nothing");
    probe_del(&again);
    world_del(w);
}

static void test_metadata_and_peer(void **state) {
    (void)state;
    world *w = world_new(10);
    rpcnet_credentials_del(w->client_credentials);
    w->client_credentials = load("worker-a", "ca", false);
    rpcnet_credentials_del(w->server_credentials);
    w->server_credentials = load("director", "ca", true);
    assert_string_equal(rpcnet_credentials_identity(w->server_credentials), IDENTITY);
    assert_true(rpcnet_credentials_expiry(w->server_credentials) > 1700000000);
    world_serve(w);
    world_connect(w);
    rpcnet_metadata *metadata;
    assert_int_equal(rpcnet_metadata_new(&metadata), RPCNET_OK);
    assert_int_equal(rpcnet_metadata_add(metadata, "x-one", "1", 1), RPCNET_OK);
    assert_int_equal(rpcnet_metadata_add(metadata, "x-two-bin", "\0\xff", 2), RPCNET_OK);
    assert_int_equal(rpcnet_metadata_add(metadata, "Upper", "1", 1), RPCNET_ERR_ARGUMENT);
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.metadata = metadata;
    options.deadline_ns = rpcnet_now(w->client_env) + 5 * RN_SECOND;
    probe at[2] = {0};
    call_with(w, &at[0], "/t/Sink", &options);
    rpcnet_metadata_del(metadata); /* it was copied */
    call_to(w, &at[1], "/t/Sink");
    run_ms(w, 200);
    assert_int_equal(w->served_count, 2);
    rpcnet_call *served = w->served[0].call;
    const rpcnet_metadata *got = rpcnet_call_metadata(served);
    const void *value;
    size_t len;
    assert_int_equal(rpcnet_metadata_count(got), 2);
    assert_true(rpcnet_metadata_find(got, "x-two-bin", &value, &len));
    assert_int_equal(len, 2);
    assert_memory_equal(value, "\0\xff", 2);
    assert_false(rpcnet_metadata_find(got, "x-three", &value, &len));
    const char *name;
    size_t name_len;
    rpcnet_metadata_at(got, 0, &name, &name_len, &value, &len);
    assert_int_equal(name_len, 5);
    assert_memory_equal(name, "x-one", 5);
    uint64_t deadline = rpcnet_call_deadline(served);
    assert_true(deadline > rpcnet_now(w->server_env) + 4 * RN_SECOND);
    assert_true(deadline < rpcnet_now(w->server_env) + 6 * RN_SECOND);
    rpcnet_peer peer;
    rpcnet_call_peer(w->served[1].call, &peer);
    assert_int_equal(peer.connection, 1);
    assert_int_equal(peer.call, 2);
    assert_string_equal(peer.identity, "rpcnet://role/worker/worker-a");
    assert_string_equal(peer.address, rpcnet_channel_local_address(w->channel));
    assert_string_equal(w->identity, peer.identity);
    probe_del(&at[0]);
    probe_del(&at[1]);
    run_ms(w, 100);
    assert_int_equal(w->served[1].cancels, 1);
    assert_int_equal(w->served[1].code, RPCNET_GRPC_CANCELLED);
    rpcnet_call_peer(w->served[1].call, &peer);
    assert_int_equal(peer.call, 2);
    world_del(w);
}

/* The numbers are those of the client's order, whatever the network does to it. */
static void test_numbers(void **state) {
    enum { CALLS = 60 };
    (void)state;
    world *w = world_start(19);
    bad_network(w);
    probe at[CALLS] = {0};
    bool disorder = false;
    for (size_t i = 0; i < CALLS; i++) {
        call_unary(w, &at[i], "/t/Echo", i + 1);
    }
    for (size_t i = 0; i < CALLS; i++) {
        run_until_over(w, &at[i]);
        assert_ok(&at[i]);
        probe_del(&at[i]);
    }
    assert_int_equal(w->served_count, CALLS);
    for (size_t i = 0; i < CALLS; i++) {
        rpcnet_peer peer;
        rpcnet_call_peer(w->served[i].call, &peer);
        assert_int_equal(peer.call, w->served[i].bytes);
        disorder |= w->served[i].bytes != i + 1;
    }
    assert_true(disorder); /* or nothing was tried */
    world_del(w);
}

static void test_deadline(void **state) {
    (void)state;
    world *w = world_start(11);
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    uint64_t begin = rpcnet_now(w->client_env);
    options.deadline_ns = begin + 300 * RN_MILLISECOND;
    probe at = {0};
    call_with(w, &at, "/t/Sink", &options);
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(rn_sim_now(w->sim), begin + 300 * RN_MILLISECOND);
    run_ms(w, 100);
    assert_int_equal(w->served[0].cancels, 1);
    assert_int_equal(w->served[0].closes, 1);
    assert_int_equal(at.closes, 1);
    probe_del(&at);
    probe past = {0}; /* never inside rpcnet_call_new */
    call_with(w, &past, "/t/Sink", &options);
    assert_int_equal(past.statuses, 0);
    run_until_over(w, &past);
    assert_int_equal(past.code, RPCNET_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(past.closes, 1);
    assert_int_equal(w->served_count, 1);
    probe_del(&past);
    call_with(w, &past, "/t/Sink", &options);
    probe_del(&past); /* before it could be told */
    run_ms(w, 10);
    assert_int_equal(past.statuses, 1);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.calls, 1);
    assert_int_equal(stats.calls_open, 0);
    world_del(w);
}

static void test_deadline_on_the_server(void **state) {
    (void)state;
    world *w = world_start(12);
    run_ms(w, 100);
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.deadline_ns = rpcnet_now(w->client_env) + 200 * RN_MILLISECOND;
    probe at = {0};
    call_with(w, &at, "/t/Sink", &options);
    run_ms(w, 50);
    rn_sim_link cut = {.latency_ns = RN_MILLISECOND, .loss = 1.0};
    rn_sim_set_default_link(w->sim, &cut);
    run_ms(w, 250);
    assert_int_equal(w->served[0].cancels, 1);
    assert_int_equal(w->served[0].code, RPCNET_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(at.code, RPCNET_GRPC_DEADLINE_EXCEEDED);
    probe_del(&at);
    world_del(w);
}

static void test_deadline_while_waiting(void **state) {
    (void)state;
    world *w = world_new(13);
    rn_sim_link cut = {.latency_ns = RN_MILLISECOND, .loss = 1.0};
    rn_sim_set_default_link(w->sim, &cut);
    world_connect(w);
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.deadline_ns = rpcnet_now(w->client_env) + 200 * RN_MILLISECOND;
    probe at = {0};
    call_with(w, &at, "/t/Sink", &options);
    run_ms(w, 300);
    assert_int_equal(at.code, RPCNET_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(at.statuses, 1);
    assert_int_equal(at.closes, 1);
    probe_del(&at);
    world_del(w);
}

static void test_cancel_by_the_client(void **state) {
    (void)state;
    world *w = world_start(14);
    probe waiting = {0};
    call_to(w, &waiting, "/t/Sink");
    rpcnet_call_cancel(waiting.call); /* no stream yet */
    assert_int_equal(waiting.statuses, 1);
    assert_int_equal(waiting.code, RPCNET_GRPC_CANCELLED);
    rpcnet_call_cancel(waiting.call);
    run_ms(w, 200);
    assert_int_equal(waiting.statuses, 1);
    assert_int_equal(waiting.closes, 1);
    assert_int_equal(w->served_count, 0);
    probe_del(&waiting);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 100);
    rpcnet_call_cancel(at.call);
    assert_int_equal(at.statuses, 1);
    assert_int_equal(at.code, RPCNET_GRPC_CANCELLED);
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_ERR_CLOSED);
    run_ms(w, 100);
    assert_int_equal(w->served[0].cancels, 1);
    assert_int_equal(w->served[0].code, RPCNET_GRPC_CANCELLED);
    assert_int_equal(rpcnet_call_send(w->served[0].call, "x", 1), RPCNET_ERR_CLOSED);
    assert_int_equal(at.closes, 1);
    assert_false(at.late || w->served[0].late);
    probe_del(&at);
    world_del(w);
}

static void test_cancel_by_the_server(void **state) {
    (void)state;
    world *w = world_start(15);
    probe at[2] = {0};
    call_to(w, &at[0], "/t/Sink");
    call_to(w, &at[1], "/t/Sink");
    run_ms(w, 100);
    rpcnet_call_cancel(w->served[0].call);
    probe_del(&w->served[1]); /* without finishing it */
    assert_int_equal(w->served[0].cancels, 0);
    run_ms(w, 100);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(at[i].statuses, 1);
        assert_int_equal(at[i].code, RPCNET_GRPC_CANCELLED);
        assert_int_equal(at[i].closes, 1);
        probe_del(&at[i]);
    }
    assert_int_equal(w->served[0].closes, 1);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.calls_open, 0);
    assert_int_equal(stats.connections_open, 1);
    world_del(w);
}

/* What was finished arrives although its call was deleted at once. */
static void test_finish_and_forget(void **state) {
    (void)state;
    world *w = world_start(16);
    bad_network(w);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 500);
    probe *served = &w->served[0];
    served->to_send = 1 << 20;
    served->piece = 1 << 20;
    probe_pump(served);
    assert_int_equal(rpcnet_call_room(served->call), 0);
    assert_int_equal(rpcnet_call_finish(served->call, RPCNET_GRPC_OK, NULL, NULL), RPCNET_OK);
    assert_int_equal(rpcnet_call_finish(served->call, RPCNET_GRPC_OK, NULL, NULL),
                     RPCNET_ERR_STATE);
    probe_del(served);
    run_until_over(w, &at);
    assert_ok(&at);
    assert_int_equal(at.bytes, 1 << 20);
    probe_del(&at);
    world_del(w);
}

static void test_slow_reader(void **state) {
    (void)state;
    world *w = world_start(17);
    probe at = {.hold = true};
    call_to(w, &at, "/t/Tokens");
    rpcnet_call_hold(at.call, true); /* before it has a stream */
    assert_int_equal(rpcnet_call_half_close(at.call), RPCNET_OK);
    w->serve_held = false;
    run_ms(w, 3000);
    size_t first = at.bytes;
    assert_true(first > 100000 && first <= 262144); /* the stream's window */
    assert_int_equal(at.statuses, 0);
    run_ms(w, 3000);
    assert_int_equal(at.bytes, first);
    while (at.statuses == 0) {
        size_t before = at.bytes;
        rpcnet_call_hold(at.call, false);
        rpcnet_call_hold(at.call, true);
        at.held = 0;
        run_ms(w, 500);
        assert_true(at.bytes > before || at.statuses > 0);
    }
    assert_ok(&at);
    assert_int_equal(at.bytes, 300 * 1000);
    probe_del(&at);
    world_del(w);
}

static void test_room(void **state) {
    (void)state;
    world *w = world_start(18);
    run_ms(w, 100);
    w->serve_held = true;
    probe at = {.piece = 1000};
    call_to(w, &at, "/t/Sink");
    size_t room = rpcnet_call_room(at.call);
    assert_true(room > 200000 && room < 262144);
    uint8_t *bytes = calloc(1, room);
    assert_int_equal(rpcnet_call_send(at.call, bytes, room), RPCNET_OK); /* fits to the byte */
    free(bytes);
    run_ms(w, 1000);
    assert_int_equal(w->served[0].held, room);
    probe *served = &w->served[0]; /* its header section has still to come */
    room = rpcnet_call_room(served->call);
    assert_true(room > 200000 && room < 262144);
    bytes = calloc(1, room);
    assert_int_equal(rpcnet_call_send(served->call, bytes, room), RPCNET_OK);
    free(bytes);
    run_ms(w, 1000);
    assert_int_equal(at.messages, 1);
    assert_int_equal(served->writables, 0);
    assert_int_equal(at.writables, 0); /* nothing had to be kept */
    at.to_send = 1000000;
    at.piece = 200000;
    probe_pump(&at);
    assert_true(at.sent < at.to_send);
    assert_int_equal(rpcnet_call_room(at.call), 0);
    probe_del(&at);
    world_del(w);
}

static void begin_another(world *w, enum rpcnet_channel_state state) {
    static probe another;
    if (state == RPCNET_CHANNEL_READY) {
        another = (probe){0};
        call_unary(w, &another, "/t/Echo", 222);
    } else if (state == RPCNET_CHANNEL_WAITING) {
        probe_del(&another);
    }
}

/* Nobody overtakes a call that waits, not even in the callback that ends the waiting. */
static void test_order(void **state) {
    (void)state;
    world *w = world_start(22);
    w->on_state = begin_another;
    probe first = {0};
    call_unary(w, &first, "/t/Echo", 111);
    run_ms(w, 200);
    assert_int_equal(w->served_count, 2);
    assert_int_equal(w->served[0].bytes, 111);
    assert_int_equal(w->served[1].bytes, 222);
    probe_del(&first);
    world_kill_server(w, false);
    run_ms(w, 15000); /* keep-alive notices; the other one is deleted then */
    world_del(w);
}

static void test_urgency(void **state) {
    (void)state;
    world *w = world_start(21);
    rn_sim_link slow = {.latency_ns = 20 * RN_MILLISECOND};
    rn_sim_set_default_link(w->sim, &slow);
    run_ms(w, 200);
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.urgency = 6;
    probe late = {.to_send = 250000, .piece = 50000};
    call_with(w, &late, "/t/Collect", &options);
    options.urgency = 1;
    probe first = {.to_send = 250000, .piece = 50000};
    call_with(w, &first, "/t/Collect", &options);
    probe_pump(&late);
    probe_pump(&first);
    assert_int_equal(rpcnet_call_half_close(late.call), RPCNET_OK);
    assert_int_equal(rpcnet_call_half_close(first.call), RPCNET_OK);
    run_until_over(w, &first);
    assert_int_equal(late.statuses, 0);
    run_until_over(w, &late);
    assert_ok(&first);
    assert_ok(&late);
    probe_del(&first);
    probe_del(&late);
    world_del(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_empty_message),
        cmocka_unit_test(test_empty_pieces),
        cmocka_unit_test(test_server_stream_over_loss),
        cmocka_unit_test(test_client_stream_over_loss),
        cmocka_unit_test(test_bidi_over_loss),
        cmocka_unit_test(test_big_messages),
        cmocka_unit_test(test_message_limits),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_unknown_method_and_fallback),
        cmocka_unit_test(test_metadata_and_peer),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_deadline_on_the_server),
        cmocka_unit_test(test_deadline_while_waiting),
        cmocka_unit_test(test_cancel_by_the_client),
        cmocka_unit_test(test_cancel_by_the_server),
        cmocka_unit_test(test_finish_and_forget),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_urgency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
