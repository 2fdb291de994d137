/* Unit tests of src/swap/stream: what cannot be resumed, credit, events and acknowledgement, each
 * at its limit. */
#include "stream_fixture.h"

/* ── what cannot be resumed ── */

static void journal_over_its_limit(void **state) {
    (void)state;
    open_stream();
    flow(1);
    assert_false(long_message(1, 1000 - RN_RECORD_OVERHEAD).given_up);
    rn_swap_action action = long_message(2, 0);
    assert_int_equal(action.kind, RN_SWAP_RELAY);
    assert_true(action.given_up);
    assert_false(rn_swap_stream_resumable(&stream));
    rn_swap_stream_grant(&stream, 1000, &(uint64_t){0});
    assert_false(long_message(3, 1).given_up); /* told once */
    assert_int_equal(counters.journals_given_up, 1);
    action = lost(RN_SWAP_DRAIN);
    assert_int_equal(action.lost, RN_SWAP_DRAIN);
    ends(action, RN_SWAP_CODE_UNAVAILABLE,
         "the stream cannot go to another worker: what was delivered is not kept (limit 1000 "
         "bytes)");
    assert_int_equal(counters.ended_unresumable, 1);
}

static void checkpoint_saves_a_stream_that_was_given_up(void **state) {
    (void)state;
    open_stream();
    flow(1);
    assert_true(long_message(1, 1000).given_up);
    assert_int_equal(checkpoint(0, "useless").kind, RN_SWAP_NOTHING);
    assert_int_equal(counters.checkpoints_refused, 1);
    assert_false(rn_swap_stream_resumable(&stream));
    assert_int_equal(checkpoint(1, "all").kind, RN_SWAP_NOTHING);
    assert_true(rn_swap_stream_resumable(&stream));
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 1);
}

static void request_over_its_limit_with_a_worker(void **state) {
    (void)state;
    static const uint8_t memory[1000];
    open_stream();
    flow(1);
    rn_bytes fits = rn_bytes_of(memory, 1000 - RN_RECORD_OVERHEAD);
    assert_false(rn_swap_stream_client_message(&stream, fits).given_up);
    rn_swap_action action = client("");
    assert_int_equal(action.kind, RN_SWAP_FORWARD);
    assert_true(action.given_up);
    assert_int_equal(client("more").sequence, 3);
    assert_int_equal(counters.requests_given_up, 1);
    ends(lost(RN_SWAP_HUNG), RN_SWAP_CODE_UNAVAILABLE,
         "the stream cannot go to another worker: the request is not kept (limit 1000 bytes)");
}

/* What waits for a worker is bounded, too. */
static void queue_of_a_slow_worker(void **state) {
    (void)state;
    static const uint8_t memory[2000];
    for (size_t more = 0; more <= 1; more++) {
        finish(NULL);
        begin(NULL);
        config.queue_limit = 2000;
        rn_swap_stream_fini(&stream);
        rn_swap_stream_init(&stream, &config, &counters, &budget, EPOCH);
        open_stream();
        flow(1);
        rn_bytes half = rn_bytes_of(memory, 1000 - RN_RECORD_OVERHEAD + more);
        assert_int_equal(rn_swap_stream_client_message(&stream, half).kind, RN_SWAP_FORWARD);
        half.len = 1000 - RN_RECORD_OVERHEAD;
        rn_swap_action action = rn_swap_stream_client_message(&stream, half);
        assert_int_equal(counters.requests_given_up, 1);
        assert_int_equal(counters.queues_full, more);
        if (more == 0) {
            assert_int_equal(action.kind, RN_SWAP_FORWARD);
            rn_requests_note_sent(&stream.requests);
            assert_int_equal(rn_swap_stream_client_message(&stream, half).kind, RN_SWAP_FORWARD);
        } else {
            ends(action, RN_SWAP_CODE_RESOURCE_EXHAUSTED,
                 "the worker is slow, and more waits for it than is kept (2000 bytes)");
        }
    }
}

static void request_over_its_limit_and_refused(void **state) {
    (void)state;
    static const uint8_t memory[1000];
    open_stream();
    assign(1);
    rn_swap_action action = rn_swap_stream_client_message(&stream, rn_bytes_of(memory, 1000));
    assert_true(action.kind == RN_SWAP_FORWARD && action.given_up);
    action = refused();
    assert_true(action.refused);
    ends(action, RN_SWAP_CODE_UNAVAILABLE,
         "the stream cannot go to another worker: the request is not kept (limit 1000 bytes)");
}

static void request_over_its_limit_without_a_worker(void **state) {
    (void)state;
    static const uint8_t memory[1000];
    open_stream();
    ends(rn_swap_stream_client_message(&stream, rn_bytes_of(memory, 1000)),
         RN_SWAP_CODE_RESOURCE_EXHAUSTED,
         "no worker has the stream, and the request is more than is kept (1000 bytes)");
}

static void nothing_delivered_can_be_retried(void **state) {
    (void)state;
    open_stream();
    flow(1);
    assert_false(rn_swap_stream_give_up(&stream).given_up); /* there is nothing */
    assert_int_equal(counters.journals_given_up, 0);
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 1);
    flow(2);
    assert_int_equal(message(1, "a").kind, RN_SWAP_RELAY);
}

static void the_request_goes_after_the_journal(void **state) {
    (void)state;
    open_stream();
    client("prompt");
    flow(1);
    message(1, "a");
    assert_true(rn_swap_stream_give_up(&stream).given_up);
    assert_true(budget.used > 0);
    assert_int_equal(counters.requests_given_up, 0);
    assert_true(rn_swap_stream_give_up(&stream).given_up);
    assert_int_equal(counters.requests_given_up, 1);
    assert_int_equal(budget.used, 0);
    assert_false(rn_swap_stream_give_up(&stream).given_up);
    assert_int_equal(message(2, "b").kind, RN_SWAP_RELAY);
}

static void giving_up_for_memory(void **state) {
    (void)state;
    open_stream();
    flow(1);
    message(1, "a");
    rn_swap_action action = rn_swap_stream_give_up(&stream);
    assert_true(action.kind == RN_SWAP_NOTHING && action.given_up);
    assert_int_equal(stream.state, RN_SWAP_FLOWING);
    assert_int_equal(budget.used, 0);
    assert_false(rn_swap_stream_give_up(&stream).given_up);
    assert_int_equal(message(2, "b").kind, RN_SWAP_RELAY);
    assert_int_equal(counters.journals_given_up, 1);
}

static void giving_up_while_waiting_ends(void **state) {
    (void)state;
    open_stream();
    flow(1);
    message(1, "a");
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 1);
    ends(rn_swap_stream_give_up(&stream), RN_SWAP_CODE_UNAVAILABLE,
         "memory is short and no worker has the stream");
}

/* ── credit, events, acknowledgement ── */

static void sending_without_credit_is_a_fault(void **state) {
    (void)state;
    open_stream();
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker-a"), 100);
    assert_int_equal(long_message(1, 99).kind, RN_SWAP_RELAY);
    assert_true(rn_swap_stream_has_credit(&stream));
    assert_int_equal(long_message(2, 50).kind, RN_SWAP_RELAY); /* some was left */
    assert_false(rn_swap_stream_has_credit(&stream));
    assert_int_equal(long_message(3, 0).kind, RN_SWAP_RELAY); /* costs none */
    left_for_fault(long_message(4, 1), 1, "worker-a broke the protocol: message 4 without credit");
    assert_int_equal(counters.relayed, 3);
}

static void credit_exactly_used_up(void **state) {
    (void)state;
    open_stream();
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker-a"), 100);
    assert_int_equal(long_message(1, 99).kind, RN_SWAP_RELAY);
    assert_int_equal(counters.credit_used_up, 0);
    assert_int_equal(long_message(2, 1).kind, RN_SWAP_RELAY);
    assert_int_equal(counters.credit_used_up, 1);
    assert_false(rn_swap_stream_has_credit(&stream));
    left_for_fault(long_message(3, 1), 1, "worker-a broke the protocol: message 3 without credit");
    /* The next assignment counts from zero. */
    rn_swap_stream_assign(&stream, 2, rn_bytes_text("worker-b"), 0);
    assert_false(rn_swap_stream_has_credit(&stream));
    left_for_fault(long_message(3, 1), 2, "worker-b broke the protocol: message 3 without credit");
    rn_swap_stream_assign(&stream, 3, rn_bytes_text("worker-c"), 1);
    assert_int_equal(long_message(3, 1).kind, RN_SWAP_RELAY);
}

/* However much credit is asked for, a worker gets its window, and may use it up with a message that
 * begins within it: one byte below it, at it, one above. */
static void credit_is_no_more_than_its_window(void **state) {
    (void)state;
    enum { WINDOW = 500 };
    for (size_t used = WINDOW - 1; used <= WINDOW + 1; used++) {
        uint64_t total = 0;
        rn_swap_stream_fini(&stream);
        counters = (rn_swap_counters){0};
        config.credit_window = WINDOW;
        rn_swap_stream_init(&stream, &config, &counters, &budget, EPOCH);
        open_stream();
        assign(1); /* with 1000 */
        assert_int_equal(stream.granted, WINDOW);
        assert_int_equal(long_message(1, WINDOW - 100).kind, RN_SWAP_RELAY);
        assert_int_equal(long_message(2, used - (WINDOW - 100)).kind, RN_SWAP_RELAY);
        assert_int_equal(rn_swap_stream_has_credit(&stream), used < WINDOW);
        assert_int_equal(counters.credit_used_up, used >= WINDOW);
        if (used < WINDOW) {
            assert_int_equal(long_message(3, 1).kind, RN_SWAP_RELAY); /* the last one */
        }
        left_for_fault(long_message(used < WINDOW ? 4 : 3, 1), 1,
                       used < WINDOW ? "worker-a broke the protocol: message 4 without credit"
                                     : "worker-a broke the protocol: message 3 without credit");
        assert_false(rn_swap_stream_grant(&stream, 1000, &total)); /* to nobody */
    }
}

static void grants_grow_in_steps(void **state) {
    (void)state;
    uint64_t total = 0;
    config.credit_window = 400;
    open_stream();
    assert_false(rn_swap_stream_grant(&stream, 400, &total)); /* nobody to grant it to */
    assign(1);                                                /* 1000 wanted, 400 allowed */
    assert_int_equal(stream.granted, 400);
    assert_false(rn_swap_stream_grant(&stream, 400, &total));
    long_message(1, 99);
    assert_false(rn_swap_stream_grant(&stream, 400, &total)); /* a quarter is worth a frame */
    long_message(2, 1);
    assert_true(rn_swap_stream_grant(&stream, 400, &total));
    assert_int_equal(total, 500);
    assert_false(rn_swap_stream_grant(&stream, 100, &total)); /* never shrinks */
    assert_int_equal(stream.granted, 500);
    long_message(3, 400);
    assert_false(rn_swap_stream_has_credit(&stream));
    assert_false(rn_swap_stream_grant(&stream, 0, &total));
    assert_true(rn_swap_stream_grant(&stream, 1, &total)); /* it waits: any step */
    assert_int_equal(total, 501);
    assert_true(rn_swap_stream_grant(&stream, 10000, &total));
    assert_int_equal(total, 900);
}

static void events_are_bounded(void **state) {
    (void)state;
    static const uint8_t memory[1000];
    config.event_limit = 1000;
    for (size_t len = 1000 - RN_RECORD_OVERHEAD - 1; len <= 1000 - RN_RECORD_OVERHEAD + 1; len++) {
        open_stream();
        flow(1);
        rn_swap_stream_grant(&stream, 1, &(uint64_t){0});
        rn_worker_frame what = {.kind = RN_WORKER_EVENT, .event = rn_bytes_of(memory, len)};
        rn_swap_action action = frame(what);
        if (len > 1000 - RN_RECORD_OVERHEAD) {
            left_for_fault(
                action, 1,
                "worker-a broke the protocol: more than 1000 bytes of events or empty messages");
            break;
        }
        assert_int_equal(action.kind, RN_SWAP_RELAY_EVENT);
        /* Room at the client's side begins a new account. */
        rn_swap_stream_grant(&stream, 1, &(uint64_t){0});
        assert_int_equal(frame(what).kind, RN_SWAP_RELAY_EVENT);
        /* So does a new worker. */
        left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 1);
        assign(2);
        assert_int_equal(frame(what).kind, RN_SWAP_RELAY_EVENT);
        assert_true(event("").fault);
        rn_swap_stream_fini(&stream);
        rn_swap_stream_init(&stream, &config, &counters, &budget, EPOCH);
    }
}

/* A message makes room for as many bytes of events as it has itself; one that is empty takes room.
 */
static void messages_pay_for_events(void **state) {
    (void)state;
    static const uint8_t memory[1000];
    enum { LIMIT = 1000, EVENT = 100 - RN_RECORD_OVERHEAD };
    config.event_limit = LIMIT;
    open_stream();
    assign(1);
    rn_worker_frame what = {.kind = RN_WORKER_EVENT, .event = rn_bytes_of(memory, EVENT)};
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(frame(what).kind, RN_SWAP_RELAY_EVENT);
    }
    assert_int_equal(stream.event_bytes, LIMIT);
    assert_int_equal(long_message(1, 99).kind, RN_SWAP_RELAY);
    assert_int_equal(stream.event_bytes, LIMIT - 99);
    assert_int_equal(long_message(2, 1).kind, RN_SWAP_RELAY);
    assert_int_equal(frame(what).kind, RN_SWAP_RELAY_EVENT);
    assert_int_equal(long_message(3, RN_RECORD_OVERHEAD - 1).kind, RN_SWAP_RELAY);
    left_for_fault(long_message(4, 0), 1,
                   "worker-a broke the protocol: more than 1000 bytes of events or empty messages");
    /* No more than there is. */
    assign(2);
    assert_int_equal(frame(what).kind, RN_SWAP_RELAY_EVENT);
    assert_int_equal(long_message(4, 400).kind, RN_SWAP_RELAY);
    assert_int_equal(stream.event_bytes, 0);
    /* What is a duplicate is not kept for the client, and costs nothing. */
    assert_int_equal(long_message(4, 0).kind, RN_SWAP_DUPLICATE);
    assert_int_equal(stream.event_bytes, 0);
}

/* As many as there is room for, and one more. */
static void empty_messages_are_bounded(void **state) {
    (void)state;
    enum { MOST = RN_SWAP_EVENT_LIMIT / RN_RECORD_OVERHEAD };
    config.journal_limit = 1 << 20;
    rn_swap_stream_fini(&stream);
    rn_swap_stream_init(&stream, &config, &counters, &budget, EPOCH);
    open_stream();
    assign(1);
    for (uint64_t i = 1; i <= MOST; i++) {
        assert_int_equal(long_message(i, 0).kind, RN_SWAP_RELAY);
    }
    left_for_fault(
        long_message(MOST + 1, 0), 1,
        "worker-a broke the protocol: more than 65536 bytes of events or empty messages");
}

static void acks_come_together(void **state) {
    (void)state;
    uint64_t sequence = 0;
    config.journal_limit = 1 << 20;
    config.credit_window = 1 << 20;
    rn_swap_stream_fini(&stream);
    rn_swap_stream_init(&stream, &config, &counters, &budget, EPOCH);
    open_stream();
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker-a"), 1 << 20);
    assert_false(rn_swap_stream_take_ack(&stream, &sequence));
    for (uint64_t i = 1; i < RN_SWAP_ACK_MESSAGES; i++) {
        message(i, "m");
        assert_false(rn_swap_stream_take_ack(&stream, &sequence));
    }
    message(RN_SWAP_ACK_MESSAGES, "m");
    assert_true(rn_swap_stream_take_ack(&stream, &sequence));
    assert_int_equal(sequence, RN_SWAP_ACK_MESSAGES);
    assert_false(rn_swap_stream_take_ack(&stream, &sequence));
    for (unsigned i = 0; i < RN_SWAP_ACK_BYTES / 8192; i++) {
        assert_false(rn_swap_stream_take_ack(&stream, &sequence));
        long_message(stream.journal.next, 8192);
    }
    assert_true(rn_swap_stream_take_ack(&stream, &sequence));
    /* Nor do the bytes of one worker count for the next. */
    for (unsigned i = 1; i < RN_SWAP_ACK_BYTES / 8192; i++) {
        long_message(stream.journal.next, 8192);
    }
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 1);
    rn_swap_stream_assign(&stream, 2, rn_bytes_text("worker-b"), 1 << 20);
    long_message(stream.journal.next, 8192);
    assert_false(rn_swap_stream_take_ack(&stream, &sequence));
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 2);
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker-a"), 1 << 20);
    /* A new worker owes no acknowledgement for what the last one sent. */
    message(stream.journal.next, "m");
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 1);
    assert_false(rn_swap_stream_take_ack(&stream, &sequence));
    assign(2);
    assert_false(rn_swap_stream_take_ack(&stream, &sequence));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(journal_over_its_limit),
        TEST(checkpoint_saves_a_stream_that_was_given_up),
        TEST(request_over_its_limit_with_a_worker),
        TEST(queue_of_a_slow_worker),
        TEST(request_over_its_limit_and_refused),
        TEST(request_over_its_limit_without_a_worker),
        TEST(nothing_delivered_can_be_retried),
        TEST(giving_up_for_memory),
        TEST(the_request_goes_after_the_journal),
        TEST(giving_up_while_waiting_ends),
        TEST(sending_without_credit_is_a_fault),
        TEST(credit_exactly_used_up),
        TEST(credit_is_no_more_than_its_window),
        TEST(grants_grow_in_steps),
        TEST(events_are_bounded),
        TEST(messages_pay_for_events),
        TEST(empty_messages_are_bounded),
        TEST(acks_come_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
