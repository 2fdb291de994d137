/* Messages that are read while they are sent: whole and in order, and not in memory twice. */
#include "h3/internal.h"
#include "quic/conn_internal.h"
#include "rpc/internal.h"
#include "sim/rpc_world.h"

enum { LONG = 1000000, RING = 65536, ACCOUNT_SLACK = 16384 };

/* Who holds a message of `len` bytes of the pattern, from `first` on. */
typedef struct holder {
    size_t first;
    size_t len;
    size_t at;     /* up to where it was asked for */
    unsigned asks; /* how often */
    bool forward;  /* what was asked for never went back */
} holder;

static uint8_t memory_of[LONG];

/* Two pieces, of which the first is short. */
static size_t read_pattern(void *user, size_t offset, rpcnet_piece out[RPCNET_SOURCE_PIECES_MAX]) {
    holder *h = user;
    assert_true(offset < h->len);
    h->forward = h->forward && offset >= h->at;
    h->at = offset;
    h->asks++;
    for (size_t i = offset; i < h->len; i++) {
        memory_of[i] = pattern(h->first + i);
    }
    size_t head = h->len - offset < 7 ? h->len - offset : 7;
    out[0] = (rpcnet_piece){.data = memory_of + offset, .len = head};
    out[1] = (rpcnet_piece){.data = memory_of + offset + head, .len = h->len - offset - head};
    return 2;
}

static holder hold(size_t first, size_t len) {
    return (holder){.first = first, .len = len, .forward = true};
}

static int send_held(rpcnet_call *call, holder *h) {
    rpcnet_source source = {.len = h->len, .read = read_pattern, .user = h};
    return rpcnet_call_send_source(call, &source);
}

static size_t used(const rpcnet_memory *memory) {
    rpcnet_memory_stats stats;
    rpcnet_memory_get_stats(memory, &stats);
    return stats.used;
}

/* A client's call that has no stream yet holds nothing, and then no more than its ring. */
static void test_a_client_sends_what_it_holds(void **state) {
    (void)state;
    world *w = world_new(90);
    rpcnet_memory *memory = NULL;
    assert_int_equal(rpcnet_memory_new(&memory, SIZE_MAX), RPCNET_OK);
    w->channel_limits.memory = memory;
    w->channel_limits.send_ring_bytes = RING;
    world_serve(w);
    world_connect(w);
    rn_sim_set_link(w->sim, CLIENT_HOST, SERVER_HOST,
                    &(rn_sim_link){.latency_ns = 10 * RN_MILLISECOND, .loss = 0.02});
    probe at = {0};
    holder first = hold(0, LONG);
    holder second = hold(LONG, 10);
    call_to(w, &at, "/t/Collect");
    assert_int_equal(send_held(at.call, &first), RPCNET_OK);
    assert_true(rpcnet_call_is_sending(at.call));
    assert_int_equal(send_held(at.call, &second), RPCNET_ERR_AGAIN);
    assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_ERR_AGAIN);
    assert_true(used(memory) < ACCOUNT_SLACK);
    assert_int_equal(first.asks, 0);
    size_t peak = 0;
    while (at.writables == 0) {
        run_ms(w, 1);
        assert_int_equal(rpcnet_call_is_sending(at.call), at.writables == 0);
        peak = used(memory) > peak ? used(memory) : peak;
        if (first.asks > 1 && at.writables == 0) {
            assert_int_equal(rpcnet_call_send(at.call, "x", 1), RPCNET_ERR_AGAIN);
        }
    }
    assert_true(peak < RING + ACCOUNT_SLACK);
    assert_true(first.forward && first.asks > 5);
    assert_int_equal(send_held(at.call, &second), RPCNET_OK);
    assert_int_equal(second.asks, 1);
    assert_false(rpcnet_call_is_sending(at.call));
    assert_int_equal(rpcnet_call_half_close(at.call), RPCNET_OK);
    assert_int_equal(send_held(at.call, &second), RPCNET_ERR_STATE);
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    assert_string_equal(at.text, "1000010");
    assert_int_equal(w->served[0].messages, 2);
    assert_false(w->served[0].wrong);
    probe_del(&at);
    world_del(w);
    rpcnet_memory_del(memory);
}

/* Limits are those of any message; an empty one is never read. */
static void test_lengths(void **state) {
    (void)state;
    for (size_t waits = 0; waits <= 1; waits++) {
        world *w = world_start(91);
        rpcnet_call_options options;
        rpcnet_call_options_init(&options);
        options.send_max = 100;
        run_ms(w, waits == 0 ? 500 : 0);
        probe at = {0};
        call_with(w, &at, "/t/Collect", &options);
        holder most = hold(0, 100);
        holder more = hold(0, 101);
        holder none = hold(0, 0);
        assert_int_equal(send_held(at.call, &more), RPCNET_ERR_LIMIT);
        assert_int_equal(send_held(at.call, &most), RPCNET_OK);
        run_ms(w, 500);
        assert_int_equal(send_held(at.call, &none), RPCNET_OK);
        assert_int_equal(rpcnet_call_half_close(at.call), RPCNET_OK);
        run_until_over(w, &at);
        assert_string_equal(at.text, "100");
        assert_int_equal(w->served[0].messages, 2);
        assert_false(w->served[0].wrong);
        assert_int_equal(more.asks + none.asks, 0);
        probe_del(&at);
        world_del(w);
    }
}

static world *serve_slowly(uint64_t seed, probe *at, holder *h) {
    world *w = world_new(seed);
    w->server_limits.send_ring_bytes = RING;
    world_serve(w);
    world_connect(w);
    call_to(w, at, "/t/Sink");
    rpcnet_call_hold(at->call, true);
    run_ms(w, 200);
    assert_int_equal(send_held(w->served[0].call, h), RPCNET_OK);
    assert_true(rpcnet_call_is_sending(w->served[0].call));
    run_ms(w, 500);
    return w;
}

/* The end waits for the message, as for any. */
static void test_a_server_finishes_behind_it(void **state) {
    (void)state;
    probe at = {0};
    holder h = hold(0, LONG);
    world *w = serve_slowly(92, &at, &h);
    assert_int_equal(rpcnet_call_finish(w->served[0].call, RPCNET_GRPC_OK, "whole", NULL),
                     RPCNET_OK);
    run_ms(w, 500);
    assert_int_equal(at.statuses, 0);
    rpcnet_call_hold(at.call, false);
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    assert_string_equal(at.text, "whole");
    assert_int_equal(at.bytes, LONG);
    assert_false(at.wrong);
    probe_del(&at);
    world_del(w);
}

/* Nobody is asked once the call is deleted, and a message that is cut is no end. */
static void test_a_holder_that_goes(void **state) {
    (void)state;
    for (size_t finished = 0; finished <= 1; finished++) {
        probe at = {0};
        holder h = hold(0, LONG);
        world *w = serve_slowly(93, &at, &h);
        if (finished == 1) {
            assert_int_equal(rpcnet_call_finish(w->served[0].call, RPCNET_GRPC_OK, NULL, NULL),
                             RPCNET_OK);
        }
        probe_del(&w->served[0]);
        unsigned asks = h.asks;
        rpcnet_call_hold(at.call, false);
        run_until_over(w, &at);
        assert_true(at.code != RPCNET_GRPC_OK);
        assert_int_equal(at.messages, 0);
        assert_int_equal(h.asks, asks);
        probe_del(&at);
        world_del(w);
    }
}

/* The client's side: given up while it waits, and while it sends. */
static void test_a_client_that_gives_up(void **state) {
    (void)state;
    for (uint64_t after_ms = 0; after_ms <= 500; after_ms += 500) {
        world *w = world_start(94);
        w->serve_held = true;
        probe at = {0};
        holder h = hold(0, LONG);
        call_to(w, &at, "/t/Sink");
        assert_int_equal(send_held(at.call, &h), RPCNET_OK);
        run_ms(w, after_ms);
        assert_int_equal(h.asks > 0, after_ms > 0);
        unsigned asks = h.asks;
        if (after_ms > 0) {
            rpcnet_call_cancel(at.call);
            assert_int_equal(send_held(at.call, &h), RPCNET_ERR_CLOSED);
        }
        probe_del(&at);
        run_ms(w, 500);
        assert_int_equal(h.asks, asks);
        world_del(w);
    }
}

/* A server that wants no more of a message, and goes on with its own: who sends it learns so. */
static void test_a_server_that_wants_no_more(void **state) {
    (void)state;
    world *w = world_new(95);
    w->channel_limits.send_ring_bytes = RING;
    w->serve_held = true;
    world_serve(w);
    world_connect(w);
    probe at = {0};
    holder h = hold(0, LONG);
    call_to(w, &at, "/t/Sink");
    assert_false(rpcnet_call_is_stopped(at.call)); /* it waits for a stream */
    assert_int_equal(send_held(at.call, &h), RPCNET_OK);
    run_ms(w, 500);
    assert_true(rpcnet_call_is_sending(at.call) && !rpcnet_call_is_stopped(at.call));
    rn_h3_stop_receiving(rn_call_stream(w->served[0].call->inner), RN_H3_REQUEST_REJECTED);
    run_ms(w, 100);
    assert_int_equal(at.writables, 1);
    assert_true(rpcnet_call_is_stopped(at.call) && !rpcnet_call_is_sending(at.call));
    assert_int_equal(send_held(at.call, &h), RPCNET_ERR_CLOSED);
    unsigned asks = h.asks;
    assert_int_equal(rpcnet_call_send(w->served[0].call, "still here", 10), RPCNET_OK);
    run_ms(w, 100);
    assert_int_equal(at.messages, 1);
    assert_int_equal(rpcnet_call_finish(w->served[0].call, RPCNET_GRPC_OK, "so far", NULL),
                     RPCNET_OK);
    run_until_over(w, &at);
    assert_string_equal(at.text, "so far");
    assert_true(rpcnet_call_is_stopped(at.call));
    assert_int_equal(h.asks, asks);
    probe_del(&at);
    world_del(w);
}

/* As many as a datagram tells of, each blocked by its window. */
static void test_many_are_stopped_at_once(void **state) {
    (void)state;
    enum { MANY = 40 };
    static probe at[MANY];
    static holder held[MANY];
    world *w = world_new(97);
    w->channel_limits.send_ring_bytes = RING;
    w->serve_held = true;
    world_serve(w);
    world_connect(w);
    for (size_t i = 0; i < MANY; i++) {
        at[i] = (probe){0};
        held[i] = hold(0, LONG);
        call_to(w, &at[i], "/t/Sink");
        assert_int_equal(send_held(at[i].call, &held[i]), RPCNET_OK);
    }
    run_ms(w, 5000);
    assert_int_equal(w->served_count, MANY);
    for (size_t i = 0; i < MANY; i++) {
        rn_h3_stop_receiving(rn_call_stream(w->served[i].call->inner), RN_H3_REQUEST_REJECTED);
    }
    run_ms(w, 500);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(rpcnet_call_is_stopped(at[i].call));
        assert_int_equal(at[i].writables, 1);
        probe_del(&at[i]);
    }
    world_del(w);
}

/* A STOP_SENDING that comes before the request is no end of a stream that nobody serves yet. */
static void test_stopped_before_it_is_served(void **state) {
    (void)state;
    world *w = world_start(96);
    run_ms(w, 500);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    rn_stream *quic = rn_call_stream(at.call->inner)->stream;
    rn_list_remove(&quic->ready); /* as if the packet with the request was lost */
    rn_h3_stop_receiving(rn_call_stream(at.call->inner), RN_H3_REQUEST_CANCELLED);
    rn_conn_wake(quic->conn);
    run_ms(w, 100);
    assert_int_equal(w->served_count, 0);
    rn_stream_update_ready(quic);
    rn_conn_wake(quic->conn);
    run_ms(w, 100);
    assert_int_equal(w->served_count, 1);
    assert_int_equal(rpcnet_call_send(w->served[0].call, "abc", 3), RPCNET_OK);
    run_ms(w, 100);
    assert_int_equal(w->served[0].cancels, 1);
    probe_del(&at);
    world_del(w);
}

/* What a callback may do to all of them when several are told at once. */
static probe crowd[8];

static void drop_one(probe *at) {
    probe_del(at);
}

static void drop_crowd(probe *at) {
    (void)at;
    for (size_t i = 0; i < 8; i++) {
        probe_del(&crowd[i]);
    }
}

static void drop_channel(probe *at) {
    rpcnet_channel_del(at->world->channel);
    at->world->channel = NULL;
}

static void cancel_crowd(probe *at) {
    (void)at;
    for (size_t i = 0; i < 8; i++) {
        rpcnet_call_cancel(crowd[i].call);
    }
}

static void test_acts_of_the_stopped(void **state) {
    (void)state;
    static void (*const acts[])(probe *) = {drop_one, drop_crowd, drop_channel, cancel_crowd};
    static holder held[8];
    for (size_t act = 0; act < sizeof acts / sizeof acts[0]; act++) {
        world *w = world_new(99);
        w->channel_limits.send_ring_bytes = RING;
        w->serve_held = true;
        world_serve(w);
        world_connect(w);
        for (size_t i = 0; i < 8; i++) {
            crowd[i] = (probe){.moment = IN_WRITABLE, .act = acts[act]};
            held[i] = hold(0, LONG);
            call_to(w, &crowd[i], "/t/Sink");
            assert_int_equal(send_held(crowd[i].call, &held[i]), RPCNET_OK);
        }
        run_ms(w, 1000);
        for (size_t i = 0; i < 8; i++) {
            rn_h3_stop_receiving(rn_call_stream(w->served[i].call->inner), RN_H3_NO_ERROR);
        }
        run_ms(w, 1000);
        for (size_t i = 0; i < 8; i++) {
            assert_true(crowd[i].act == NULL || act > 0);
            probe_del(&crowd[i]);
        }
        world_del(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_sends_what_it_holds),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_a_server_finishes_behind_it),
        cmocka_unit_test(test_a_holder_that_goes),
        cmocka_unit_test(test_a_client_that_gives_up),
        cmocka_unit_test(test_a_server_that_wants_no_more),
        cmocka_unit_test(test_many_are_stopped_at_once),
        cmocka_unit_test(test_stopped_before_it_is_served),
        cmocka_unit_test(test_acts_of_the_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
