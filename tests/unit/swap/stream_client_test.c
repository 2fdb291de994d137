/* Unit tests of src/swap/stream: the client's inputs and its deadline, in every state. */
#include "stream_fixture.h"

static void client_messages_are_kept_and_forwarded(void **state) {
    (void)state;
    assert_int_equal(client("one").kind, RN_SWAP_NOTHING); /* IDLE */
    open_stream();
    assert_int_equal(client("two").kind, RN_SWAP_NOTHING);
    assign(1);
    rn_swap_action action = client("three");
    assert_int_equal(action.kind, RN_SWAP_FORWARD);
    assert_int_equal(action.sequence, 3);
    assert_true(rn_bytes_is(action.payload, "three"));
    event("connected");
    assert_int_equal(client("four").sequence, 4);
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 1);
    assert_int_equal(client("five").kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_requests_messages(&stream.requests).count, 5);
    assign(2);
    assert_int_equal(rn_swap_stream_half_close(&stream).kind, RN_SWAP_FORWARD_HALF_CLOSE);
    assert_int_equal(rn_swap_stream_half_close(&stream).kind, RN_SWAP_NOTHING);
    action = client("six");
    ends(action, RN_SWAP_CODE_INTERNAL, "a message came after the end of the request");
    assert_true(action.close_worker);
}

static void cancel_in_every_state(void **state) {
    (void)state;
    for (unsigned at = RN_SWAP_IDLE; at <= RN_SWAP_FLOWING; at++) {
        rn_swap_stream_fini(&stream);
        begin(NULL);
        if (at >= RN_SWAP_WAITING) {
            open_stream();
        }
        if (at >= RN_SWAP_ASSIGNING) {
            assign(1);
        }
        if (at >= RN_SWAP_FLOWING) {
            event("connected");
        }
        assert_int_equal(stream.state, at);
        client("prompt");
        rn_swap_action action = rn_swap_stream_cancel(&stream);
        ends(action, RN_SWAP_CODE_CANCELLED, "cancelled by the client");
        assert_int_equal(action.close_worker, at >= RN_SWAP_ASSIGNING);
        assert_int_equal(counters.ended_cancelled, 1);
        assert_int_equal(counters.opened, 1); /* whenever it was */
        assert_int_equal(rn_swap_stream_open(&stream, now, RN_NEVER).kind, RN_SWAP_NOTHING);
    }
}

/* What else may end a client's call, and how it is counted. */
static void other_ends(void **state) {
    (void)state;
    open_stream();
    flow(1);
    rn_swap_action action = rn_swap_stream_client_lost(&stream);
    ends(action, RN_SWAP_CODE_UNAVAILABLE, "the client's connection has ended");
    assert_true(action.close_worker);
    assert_int_equal(counters.ended_cancelled, 1);
    assert_int_equal(rn_swap_stream_client_lost(&stream).kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_swap_stream_fail(&stream, RN_SWAP_CODE_INTERNAL, "late").kind,
                     RN_SWAP_NOTHING);
    rn_swap_stream_fini(&stream);
    begin(NULL);
    open_stream();
    flow(1);
    ends(rn_swap_stream_fail(&stream, RN_SWAP_CODE_UNIMPLEMENTED, "nobody knows it"),
         RN_SWAP_CODE_UNIMPLEMENTED, "nobody knows it");
    assert_int_equal(counters.ended_other, 1);
    assert_int_equal(counters.ended_cancelled + counters.ended_exhausted, 0);
}

static void deadline_in_every_state(void **state) {
    (void)state;
    for (unsigned at = RN_SWAP_WAITING; at <= RN_SWAP_FLOWING; at++) {
        rn_swap_stream_fini(&stream);
        begin(NULL);
        uint64_t deadline = now + 10 * RN_SECOND;
        assert_int_equal(rn_swap_stream_open(&stream, now, deadline).kind, RN_SWAP_CHOOSE);
        if (at >= RN_SWAP_ASSIGNING) {
            assign(1);
        }
        if (at >= RN_SWAP_FLOWING) {
            event("connected");
        }
        assert_true(rn_swap_stream_next_deadline(&stream) == deadline);
        assert_int_equal(rn_swap_stream_tick(&stream, deadline - 1).kind, RN_SWAP_NOTHING);
        rn_swap_action action = rn_swap_stream_tick(&stream, deadline);
        ends(action, RN_SWAP_CODE_DEADLINE_EXCEEDED, "the deadline has passed");
        assert_int_equal(action.close_worker, at >= RN_SWAP_ASSIGNING);
    }
}

/* The client's side of the call knows it first. */
static void deadline_found_elsewhere(void **state) {
    (void)state;
    rn_swap_stream_open(&stream, now, now + RN_SECOND);
    flow(1);
    rn_swap_action action = rn_swap_stream_expire(&stream);
    ends(action, RN_SWAP_CODE_DEADLINE_EXCEEDED, "the deadline has passed");
    assert_true(action.close_worker);
    assert_int_equal(counters.ended_deadline, 1);
    assert_int_equal(rn_swap_stream_expire(&stream).kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_swap_stream_cancel(&stream).kind, RN_SWAP_NOTHING);
}

static void deadline_that_has_passed(void **state) {
    (void)state;
    ends(rn_swap_stream_open(&stream, now, now), RN_SWAP_CODE_DEADLINE_EXCEEDED,
         "the deadline has passed");
}

static void worker_lost_after_the_deadline(void **state) {
    (void)state;
    rn_swap_stream_open(&stream, now, now + 1);
    flow(1);
    now += 1;
    rn_swap_action action = lost(RN_SWAP_HUNG);
    ends(action, RN_SWAP_CODE_DEADLINE_EXCEEDED, "the deadline has passed");
    assert_true(action.close_worker);
}

static void a_limit_of_others(void **state) {
    (void)state;
    ends(rn_swap_stream_exhaust(&stream, "before it was open"), RN_SWAP_CODE_RESOURCE_EXHAUSTED,
         "before it was open");
    rn_swap_stream_fini(&stream);
    rn_swap_stream_init(&stream, &config, &counters, &budget, EPOCH);
    open_stream();
    flow(1);
    message(1, "a");
    rn_swap_action action = rn_swap_stream_exhaust(&stream, "it holds most");
    ends(action, RN_SWAP_CODE_RESOURCE_EXHAUSTED, "it holds most");
    assert_true(action.close_worker);
    assert_int_equal(counters.ended_exhausted, 2);
    assert_int_equal(rn_swap_stream_exhaust(&stream, "again").kind, RN_SWAP_NOTHING);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(client_messages_are_kept_and_forwarded),
        TEST(cancel_in_every_state),
        TEST(other_ends),
        TEST(deadline_in_every_state),
        TEST(deadline_found_elsewhere),
        TEST(deadline_that_has_passed),
        TEST(worker_lost_after_the_deadline),
        TEST(a_limit_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
