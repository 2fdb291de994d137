/* Unit tests of src/swap/stream: every input in every state, fencing, the progress rule, rounds and
 * back-off, parking. */
#include "stream_fixture.h"

/* ── the plain way ── */

static void plain_stream(void **state) {
    (void)state;
    open_stream();
    assert_int_equal(client("prompt").kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_swap_stream_half_close(&stream).kind, RN_SWAP_NOTHING);
    assign(1);
    assert_int_equal(stream.state, RN_SWAP_ASSIGNING);
    assert_int_equal(stream.pair.attempt, 1);
    rn_swap_action action = event("connected");
    assert_int_equal(action.kind, RN_SWAP_RELAY_EVENT);
    assert_true(action.accepted && rn_bytes_is(action.payload, "connected"));
    action = message(1, "one");
    assert_int_equal(action.kind, RN_SWAP_RELAY);
    assert_int_equal(action.sequence, 1);
    assert_true(rn_bytes_is(action.payload, "one") && !action.accepted);
    assert_int_equal(message(2, "two").kind, RN_SWAP_RELAY);
    action = done(0, "");
    ends(action, 0, "");
    assert_true(action.close_worker);
    assert_true(action.message_from_worker);
    assert_int_equal(counters.relayed, 2);
    assert_int_equal(counters.ended_done, 1);
    assert_int_equal(counters.accepted, 1);
}

static void first_frame_may_be_any(void **state) {
    (void)state;
    open_stream();
    assign(1);
    assert_true(message(1, "a").accepted);
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 1);
    assign(2);
    assert_true(checkpoint(1, "s").accepted);
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 2);
    assign(3);
    rn_swap_action action = message(1, "a"); /* a duplicate is a frame, too */
    assert_true(action.accepted && action.kind == RN_SWAP_DUPLICATE);
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 3);
    assign(4);
    action = done(5, "no such thing");
    assert_true(action.accepted);
    ends(action, 5, "no such thing");
}

static void done_with_an_unknown_code(void **state) {
    (void)state;
    open_stream();
    flow(1);
    ends(done(17, "?"), RN_SWAP_CODE_UNKNOWN, "?");
}

static void largest_known_code(void **state) {
    (void)state;
    open_stream();
    flow(1);
    ends(done(16, "who?"), 16, "who?");
}

static void unknown_frames_are_skipped(void **state) {
    (void)state;
    open_stream();
    assign(1);
    assert_int_equal(frame((rn_worker_frame){.kind = RN_WORKER_NONE}).kind, RN_SWAP_NOTHING);
    assert_int_equal(stream.state, RN_SWAP_ASSIGNING);
}

/* ── numbering ── */

static void messages_below_are_dropped(void **state) {
    (void)state;
    open_stream();
    flow(1);
    assert_int_equal(message(1, "a").kind, RN_SWAP_RELAY);
    assert_int_equal(message(1, "a").kind, RN_SWAP_DUPLICATE);
    assert_int_equal(message(0, "z").kind, RN_SWAP_DUPLICATE);
    assert_int_equal(message(2, "b").kind, RN_SWAP_RELAY);
    assert_int_equal(counters.duplicates, 2);
    assert_int_equal(stream.received, 4);
    assert_int_equal(stream.journal.records.count, 2);
}

static void messages_above_are_a_fault(void **state) {
    (void)state;
    open_stream();
    flow(1);
    assert_int_equal(message(1, "a").kind, RN_SWAP_RELAY);
    left_for_fault(message(3, "c"), 1, "worker-a broke the protocol: message 3 where 2 is due");
    assert_int_equal(counters.faults, 1);
    assert_int_equal(counters.lost[RN_SWAP_LOST], 1);
    assert_int_equal(stream.losses, 1);
    flow(2);
    left_for_fault(message(UINT64_MAX, "x"), 2,
                   "worker-b broke the protocol: message 18446744073709551615 where 2 is due");
    assert_int_equal(counters.relayed, 1);
}

static void checkpoints_stay_in_their_range(void **state) {
    (void)state;
    open_stream();
    flow(1);
    assert_int_equal(checkpoint(0, "start").kind, RN_SWAP_NOTHING);
    for (uint64_t i = 1; i <= 4; i++) {
        assert_int_equal(message(i, "m").kind, RN_SWAP_RELAY);
    }
    assert_int_equal(checkpoint(2, "two").kind, RN_SWAP_NOTHING);
    assert_int_equal(checkpoint(2, "two again").kind, RN_SWAP_NOTHING);
    assert_int_equal(checkpoint(4, "four").kind, RN_SWAP_NOTHING);
    assert_int_equal(counters.checkpoints, 4);
    assert_int_equal(stream.journal.first, 5);
    left_for_fault(checkpoint(5, "five"), 1,
                   "worker-a broke the protocol: checkpoint 5 outside of 4 to 4");
    assert_true(rn_bytes_is(rn_journal_state(&stream.journal), "four"));
    flow(2);
    left_for_fault(checkpoint(3, "three"), 2,
                   "worker-b broke the protocol: checkpoint 3 outside of 4 to 4");
}

static void too_large_a_checkpoint_is_not_taken(void **state) {
    (void)state;
    static const uint8_t memory[101];
    open_stream();
    flow(1);
    message(1, "a");
    for (size_t len = 99; len <= 101; len++) {
        rn_worker_frame what = {.kind = RN_WORKER_CHECKPOINT,
                                .checkpoint = {1, rn_bytes_of(memory, len)}};
        assert_int_equal(frame(what).kind, RN_SWAP_NOTHING);
    }
    assert_int_equal(counters.checkpoints, 2);
    assert_int_equal(counters.checkpoints_refused, 1);
    assert_int_equal(stream.state, RN_SWAP_FLOWING);
    assert_int_equal(rn_journal_state(&stream.journal).len, 100);
}

/* ── fencing ── */

static void older_assignments_are_stale(void **state) {
    (void)state;
    open_stream();
    flow(1);
    rn_swap_pair old = stream.pair;
    rn_worker_frame late = {.kind = RN_WORKER_MESSAGE, .message = {1, rn_bytes_text("late")}};
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 1);
    /* WAITING, with the pair of the last assignment. */
    assert_int_equal(rn_swap_stream_frame(&stream, now, old, &late).kind, RN_SWAP_STALE);
    assert_int_equal(lost(RN_SWAP_KILLED).kind, RN_SWAP_STALE);
    assert_int_equal(rn_swap_stream_fault(&stream, now, old, "x").kind, RN_SWAP_STALE);
    assign(2);
    assert_int_equal(stream.pair.attempt, 2);
    assert_int_equal(rn_swap_stream_frame(&stream, now, old, &late).kind, RN_SWAP_STALE);
    assert_int_equal(rn_swap_stream_lost(&stream, now, old, RN_SWAP_KILLED, late.event).kind,
                     RN_SWAP_STALE);
    assert_int_equal(stream.state, RN_SWAP_ASSIGNING);
    rn_swap_pair other_epoch = {EPOCH - 1, 2};
    assert_int_equal(rn_swap_stream_frame(&stream, now, other_epoch, &late).kind, RN_SWAP_STALE);
    rn_swap_pair future = {EPOCH, 3};
    assert_int_equal(rn_swap_stream_frame(&stream, now, future, &late).kind, RN_SWAP_STALE);
    assert_int_equal(counters.stale, 7);
    assert_int_equal(counters.relayed, 0);
    assert_int_equal(counters.lost[RN_SWAP_KILLED], 0);
}

static void nothing_comes_before_an_assignment(void **state) {
    (void)state;
    assert_int_equal(message(1, "a").kind, RN_SWAP_STALE); /* IDLE */
    open_stream();
    assert_int_equal(message(1, "a").kind, RN_SWAP_STALE); /* WAITING */
    assert_int_equal(done(0, "").kind, RN_SWAP_STALE);
    assert_int_equal(stream.state, RN_SWAP_WAITING);
}

static void nothing_comes_after_the_end(void **state) {
    (void)state;
    open_stream();
    flow(1);
    message(1, "a");
    ends(done(0, "fine"), 0, "fine");
    assert_int_equal(done(0, "").kind, RN_SWAP_STALE);
    assert_int_equal(message(2, "b").kind, RN_SWAP_STALE);
    assert_int_equal(event("e").kind, RN_SWAP_STALE);
    assert_int_equal(checkpoint(1, "c").kind, RN_SWAP_STALE);
    assert_int_equal(failure("f", true, false).kind, RN_SWAP_STALE);
    assert_int_equal(failure("f", false, false).kind, RN_SWAP_STALE);
    assert_int_equal(refused().kind, RN_SWAP_STALE);
    assert_int_equal(lost(RN_SWAP_KILLED).kind, RN_SWAP_STALE);
    assert_int_equal(rn_swap_stream_fault(&stream, now, stream.pair, "x").kind, RN_SWAP_STALE);
    assert_int_equal(client("m").kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_swap_stream_half_close(&stream).kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_swap_stream_cancel(&stream).kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_swap_stream_tick(&stream, RN_NEVER).kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_swap_stream_give_up(&stream).kind, RN_SWAP_NOTHING);
    assert_int_equal(rn_swap_stream_open(&stream, now, RN_NEVER).kind, RN_SWAP_NOTHING);
    assert_true(rn_swap_stream_next_deadline(&stream) == RN_NEVER);
    uint64_t number;
    assert_false(rn_swap_stream_grant(&stream, 1000, &number));
    assert_false(rn_swap_stream_take_ack(&stream, &number));
    assert_false(rn_swap_stream_has_credit(&stream));
    assert_int_equal(counters.stale, 9);
    assert_int_equal(counters.ended_done, 1);
    assert_int_equal(counters.relayed, 1);
}

/* ── losing workers ── */

static void each_reason_moves_the_stream(void **state) {
    (void)state;
    static const struct {
        enum rn_swap_reason reason;
        uint32_t losses;
        const char *text;
    } cases[] = {
        {RN_SWAP_FAILURE, 1, "worker-a failed"},
        {RN_SWAP_KILLED, 1, "worker-a was killed"},
        {RN_SWAP_HUNG, 0, "worker-a stopped answering"},
        {RN_SWAP_STALLED, 0, "worker-a stopped making progress"},
        {RN_SWAP_DRAIN, 0, "worker-a is draining"},
        {RN_SWAP_LOST, 0, "worker-a was lost"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rn_swap_stream_fini(&stream);
        begin(NULL);
        open_stream();
        flow(1);
        rn_swap_action action = lost(cases[i].reason);
        left(action, cases[i].reason, 1);
        assert_true(rn_bytes_is(action.message, cases[i].text));
        assert_int_equal(stream.losses, cases[i].losses);
        assert_string_equal(stream.previous_label, "worker-a");
        assert_string_equal(stream.swap_text, cases[i].text);
        assert_int_equal(stream.swap_reason, cases[i].reason);
        assert_int_equal(counters.lost[cases[i].reason], 1);
        assert_int_equal(stream.tried_count, 1);
        assert_int_equal(stream.tried[0], 1);
    }
}

static void failure_frames(void **state) {
    (void)state;
    open_stream();
    flow(1);
    left(failure("worker-a simulated failure", true, false), RN_SWAP_FAILURE, 1);
    assert_string_equal(stream.swap_text, "worker-a simulated failure");
    assert_int_equal(stream.losses, 1);
    flow(2);
    left(failure("", true, true), RN_SWAP_DRAIN, 2); /* a drain is no fault, whatever retry says */
    assert_string_equal(stream.swap_text, "worker-b is draining");
    flow(3);
    left(failure("bye", false, true), RN_SWAP_DRAIN, 3);
    assert_int_equal(stream.losses, 1);
    flow(4);
    rn_swap_action action = failure("the prompt is\nbad", false, false);
    ends(action, RN_SWAP_CODE_UNKNOWN, "the prompt is\\x0abad");
    assert_true(action.close_worker);
    assert_int_equal(action.lost, RN_SWAP_NONE);
    assert_int_equal(counters.ended_failed, 1);
}

static void final_failure_without_words(void **state) {
    (void)state;
    open_stream();
    assign(1);
    ends(failure("", false, false), RN_SWAP_CODE_UNKNOWN, "worker-a failed");
}

static void what_was_not_served_is_no_previous_worker(void **state) {
    (void)state;
    open_stream();
    assign(1);
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 1);
    assert_string_equal(stream.previous_label, "");
    assert_int_equal(stream.swap_reason, RN_SWAP_NONE);
    flow(2);
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 2);
    assign(3);
    left(failure("no", true, false), RN_SWAP_FAILURE, 3);
    assign(4);
    assert_int_equal(refused().kind, RN_SWAP_CHOOSE);
    /* The client knows of worker-b only. */
    assert_string_equal(stream.previous_label, "worker-b");
    assert_int_equal(stream.swap_reason, RN_SWAP_HUNG);
    assert_string_equal(stream.swap_text, "worker-b stopped answering");
    assert_string_equal(stream.lost_text, "recovering");
}

static void callers_faults(void **state) {
    (void)state;
    open_stream();
    flow(1);
    left_for_fault(rn_swap_stream_fault(&stream, now, stream.pair, "not a frame"), 1,
                   "worker-a broke the protocol: not a frame");
    assign(2);
    left_for_fault(frame((rn_worker_frame){.kind = RN_WORKER_PROBE_REPLY}), 2,
                   "worker-b broke the protocol: a probe reply on a stream's call");
    assert_int_equal(stream.losses, 2);
}

static void progress_rule(void **state) {
    (void)state;
    open_stream();
    flow(1);
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 1);
    flow(2);
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 2);
    /* A new message clears the count; events, checkpoints and duplicates do not. */
    flow(3);
    assert_int_equal(message(1, "a").kind, RN_SWAP_RELAY);
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 3);
    flow(4);
    message(1, "a");
    checkpoint(1, "s");
    left(failure("f", true, false), RN_SWAP_FAILURE, 4);
    /* Suspicion, drain and refusal in between neither count nor clear. */
    flow(5);
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 5);
    flow(6);
    left(lost(RN_SWAP_STALLED), RN_SWAP_STALLED, 6);
    flow(7);
    left(lost(RN_SWAP_LOST), RN_SWAP_LOST, 7);
    flow(8);
    left(failure("", false, true), RN_SWAP_DRAIN, 8);
    assign(9);
    assert_true(refused().refused);
    assert_int_equal(stream.losses, 2);
    assign(10);
    rn_swap_action action = lost(RN_SWAP_KILLED);
    ends(action, RN_SWAP_CODE_UNAVAILABLE,
         "3 workers in a row were lost without progress, the last one: worker-j was killed");
    assert_int_equal(action.lost, RN_SWAP_KILLED);
    assert_true(action.close_worker);
    assert_int_equal(counters.ended_attempts, 1);
}

/* One loss below the limit, at it, one above; for several limits. */
static void as_many_attempts_as_may_be(void **state) {
    (void)state;
    for (uint32_t most = 1; most <= 4; most++) {
        rn_swap_stream_fini(&stream);
        counters = (rn_swap_counters){0};
        config.max_attempts = most;
        rn_swap_stream_init(&stream, &config, &counters, &budget, EPOCH);
        open_stream();
        for (uint64_t loss = 1; loss < most; loss++) {
            flow(loss);
            left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, loss);
        }
        assert_int_equal(counters.ended_attempts, 0);
        flow(most);
        rn_swap_action action = lost(RN_SWAP_KILLED);
        assert_int_equal(action.kind, RN_SWAP_END);
        assert_int_equal(action.code, RN_SWAP_CODE_UNAVAILABLE);
        assert_int_equal(counters.ended_attempts, 1);
        assert_int_equal(lost(RN_SWAP_KILLED).kind, RN_SWAP_STALE);
        assert_int_equal(counters.lost[RN_SWAP_KILLED], most);
        assert_int_equal(counters.ended_attempts, 1);
    }
}

static void progress_rule_counts_faults(void **state) {
    (void)state;
    config.max_attempts = 1;
    open_stream();
    assign(1);
    rn_swap_action action = message(2, "b");
    assert_true(action.fault);
    ends(action, RN_SWAP_CODE_UNAVAILABLE,
         "1 workers in a row were lost without progress, the last one: worker-a broke the "
         "protocol: message 2 where 1 is due");
}

/* ── refusals, rounds, back-off, parking ── */

static void refusal_after_the_first_frame_is_a_fault(void **state) {
    (void)state;
    open_stream();
    flow(1);
    left_for_fault(refused(), 1,
                   "worker-a broke the protocol: a refusal after it had taken the stream");
    assert_int_equal(counters.refusals, 0);
}

static void refused_everywhere_waits_longer_and_longer(void **state) {
    (void)state;
    static const uint64_t waits[] = {50, 100, 200, 400, 800, 1000, 1000, 1000};
    open_stream();
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        for (uint64_t worker = 1; worker <= 2; worker++) {
            assign(worker);
            rn_swap_action action = refused();
            assert_int_equal(action.kind, RN_SWAP_CHOOSE);
            assert_true(action.refused && action.close_worker && !action.fault);
            assert_int_equal(action.lost, RN_SWAP_NONE);
            assert_int_equal(stream.tried_count, worker);
        }
        assert_int_equal(rn_swap_stream_nobody(&stream, now).kind, RN_SWAP_WAIT);
        assert_true(rn_swap_stream_next_deadline(&stream) == now + waits[i] * MS);
        /* A change of the pool in between brings nobody new: the wait is not prolonged. */
        assert_int_equal(rn_swap_stream_nobody(&stream, now + 10 * MS).kind, RN_SWAP_WAIT);
        assert_true(rn_swap_stream_next_deadline(&stream) == now + waits[i] * MS);
        now += waits[i] * MS;
        assert_int_equal(rn_swap_stream_tick(&stream, now - 1).kind, RN_SWAP_NOTHING);
        assert_int_equal(rn_swap_stream_tick(&stream, now).kind, RN_SWAP_CHOOSE);
        assert_int_equal(stream.tried_count, 0);
        assert_int_equal(rn_swap_stream_tick(&stream, now).kind, RN_SWAP_NOTHING);
    }
    assert_int_equal(counters.refusals, 16);
    assert_int_equal(stream.losses, 0);
    /* One that takes it ends the series. */
    flow(3);
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 3);
    assert_int_equal(stream.tried_count, 1);
    assert_int_equal(stream.tried[0], 3);
    rn_swap_stream_nobody(&stream, now);
    assert_true(stream.retry_ns == now + 50 * MS);
}

static void waiting_has_an_end(void **state) {
    (void)state;
    open_stream();
    uint64_t end = now + 30 * RN_SECOND;
    assert_int_equal(rn_swap_stream_nobody(&stream, now).kind, RN_SWAP_WAIT);
    assert_true(rn_swap_stream_next_deadline(&stream) == end);
    assert_int_equal(rn_swap_stream_tick(&stream, end - 1).kind, RN_SWAP_NOTHING);
    ends(rn_swap_stream_tick(&stream, end), RN_SWAP_CODE_UNAVAILABLE,
         "no worker took the stream within 30000 ms");
    assert_int_equal(counters.ended_parked, 1);
}

static void refusals_do_not_prolong_the_wait(void **state) {
    (void)state;
    open_stream();
    uint64_t end = now + 30 * RN_SECOND;
    now = end - 1;
    assign(1);
    assert_true(rn_swap_stream_next_deadline(&stream) == RN_NEVER); /* a worker has it */
    assert_int_equal(refused().kind, RN_SWAP_CHOOSE);
    assert_true(rn_swap_stream_next_deadline(&stream) == end);
    assign(2);
    now = end;
    assert_int_equal(rn_swap_stream_tick(&stream, now).kind, RN_SWAP_NOTHING);
    /* The time is over, but whoever was not asked yet is asked; nobody is left, and it ends. */
    rn_swap_action action = refused();
    assert_true(action.refused && action.close_worker);
    assert_int_equal(action.kind, RN_SWAP_CHOOSE);
    ends(rn_swap_stream_nobody(&stream, now), RN_SWAP_CODE_UNAVAILABLE,
         "no worker took the stream within 30000 ms");
}

static void being_served_begins_a_new_wait(void **state) {
    (void)state;
    open_stream();
    now += 29 * RN_SECOND;
    flow(1);
    now += 60 * RN_SECOND;
    left(lost(RN_SWAP_HUNG), RN_SWAP_HUNG, 1);
    uint64_t end = now + 30 * RN_SECOND;
    assert_int_equal(rn_swap_stream_nobody(&stream, now).kind, RN_SWAP_WAIT);
    now = end;
    ends(rn_swap_stream_nobody(&stream, now), RN_SWAP_CODE_UNAVAILABLE,
         "no worker took the stream within 30000 ms");
}

static void being_served_begins_a_new_round(void **state) {
    (void)state;
    open_stream();
    assign(1);
    assert_int_equal(refused().kind, RN_SWAP_CHOOSE);
    assign(2);
    left(lost(RN_SWAP_LOST), RN_SWAP_LOST, 2);
    assert_int_equal(stream.tried_count, 2);
    flow(3);
    left(lost(RN_SWAP_DRAIN), RN_SWAP_DRAIN, 3);
    assert_int_equal(stream.tried_count, 1);
    assert_int_equal(stream.tried[0], 3);
}

static void parked_stream_resumes_when_a_worker_comes(void **state) {
    (void)state;
    open_stream();
    flow(1);
    message(1, "a");
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 1);
    rn_swap_stream_nobody(&stream, now);
    now += RN_SECOND / 100;
    flow(2);
    assert_true(stream.retry_ns == RN_NEVER);
    assert_int_equal(message(2, "b").kind, RN_SWAP_RELAY);
}

static void a_round_is_bounded(void **state) {
    (void)state;
    open_stream();
    for (uint64_t worker = 1; worker <= RN_SWAP_TRIED_MAX; worker++) {
        assign(worker);
        assert_int_equal(refused().kind, RN_SWAP_CHOOSE);
    }
    assert_int_equal(stream.tried_count, RN_SWAP_TRIED_MAX);
    assert_int_equal(counters.rounds_full, 0);
    assign(RN_SWAP_TRIED_MAX + 1);
    rn_swap_action action = refused();
    assert_int_equal(action.kind, RN_SWAP_WAIT);
    assert_true(action.refused && action.close_worker);
    assert_int_equal(counters.rounds_full, 1);
    assert_int_equal(stream.tried_count, RN_SWAP_TRIED_MAX);
    assert_int_equal(rn_swap_stream_tick(&stream, now + 50 * MS).kind, RN_SWAP_CHOOSE);
    assert_int_equal(stream.tried_count, 0);
}

/* ── what is no proof against the request ── */

static void absent_workers_do_not_count_until_they_are_many(void **state) {
    (void)state;
    open_stream();
    for (uint64_t i = 1; i <= stream.config->max_attempts; i++) {
        assign(i);
        left(rn_swap_stream_absent(&stream, now, stream.pair), RN_SWAP_KILLED, i);
        assert_int_equal(stream.losses, 0);
        stream.tried_count = 0;
    }
    assign(100);
    left(rn_swap_stream_absent(&stream, now, stream.pair), RN_SWAP_KILLED, 100);
    assert_int_equal(stream.losses, 1); /* from here on it may be the request that kills so fast */
    flow(101);
    assert_int_equal(message(1, "token").kind, RN_SWAP_RELAY);
    assert_int_equal(stream.doubts, 0);
    assert_int_equal(stream.losses, 0);
    /* One that had taken the stream was there. */
    left(rn_swap_stream_absent(&stream, now, stream.pair), RN_SWAP_KILLED, 101);
    assert_int_equal(stream.losses, 1);
}

/* One that took the stream, and could say no message of it. */
static void flow_without_credit(uint64_t worker) {
    rn_swap_stream_assign(&stream, worker, rn_bytes_text("worker-b"), 0);
    assert_true(event("connected").accepted);
    stream.tried_count = 0;
}

static void a_worker_without_credit_could_make_no_progress(void **state) {
    (void)state;
    open_stream();
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker-a"), 4);
    assert_int_equal(message(1, "all!").kind, RN_SWAP_RELAY); /* takes the whole credit */
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 1);
    assert_int_equal(stream.losses, 0);
    for (uint64_t i = 2; i < 10; i++) {
        flow_without_credit(i);
        left(failure("simulated failure", true, false), RN_SWAP_FAILURE, i);
        assert_int_equal(stream.losses, 0);
    }
    /* Before it took the stream credit does not matter: the Assignment may have killed it. */
    rn_swap_stream_assign(&stream, 10, rn_bytes_text("worker-c"), 0);
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 10);
    assert_int_equal(stream.losses, 1);
}

/* A client that reads nothing could have its request kill one worker after the other. */
static void deaths_without_credit_count_when_they_are_many(void **state) {
    (void)state;
    open_stream();
    for (uint64_t i = 1; i <= stream.config->max_attempts; i++) {
        flow_without_credit(i);
        left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, i);
        assert_int_equal(stream.losses, 0);
    }
    for (uint64_t i = 1; i < stream.config->max_attempts; i++) {
        flow_without_credit(10 + i);
        left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 10 + i);
        assert_int_equal(stream.losses, i);
    }
    flow_without_credit(20);
    ends(lost(RN_SWAP_KILLED), RN_SWAP_CODE_UNAVAILABLE,
         "3 workers in a row were lost without progress, the last one: worker-b was killed");
    assert_int_equal(counters.lost[RN_SWAP_KILLED], 2 * stream.config->max_attempts);
}

/* Whatever the doubt was, no request kills more than twice as many as may be. */
static void all_doubtful_deaths_count_together(void **state) {
    (void)state;
    open_stream();
    for (uint64_t i = 1; i <= stream.config->max_attempts; i++) {
        if (i % 2 == 0) {
            flow_without_credit(i);
            left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, i);
        } else {
            assign(i);
            left(rn_swap_stream_absent(&stream, now, stream.pair), RN_SWAP_KILLED, i);
        }
        assert_int_equal(stream.losses, 0);
    }
    flow_without_credit(20);
    left(lost(RN_SWAP_KILLED), RN_SWAP_KILLED, 20);
    assert_int_equal(stream.losses, 1);
    assign(21);
    left(rn_swap_stream_absent(&stream, now, stream.pair), RN_SWAP_KILLED, 21);
    assert_int_equal(stream.losses, 2);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(absent_workers_do_not_count_until_they_are_many, begin,
                                        finish),
        TEST(deaths_without_credit_count_when_they_are_many),
        TEST(all_doubtful_deaths_count_together),
        cmocka_unit_test_setup_teardown(a_worker_without_credit_could_make_no_progress, begin,
                                        finish),
        TEST(plain_stream),
        TEST(first_frame_may_be_any),
        TEST(done_with_an_unknown_code),
        TEST(largest_known_code),
        TEST(unknown_frames_are_skipped),
        TEST(messages_below_are_dropped),
        TEST(messages_above_are_a_fault),
        TEST(checkpoints_stay_in_their_range),
        TEST(too_large_a_checkpoint_is_not_taken),
        TEST(older_assignments_are_stale),
        TEST(nothing_comes_before_an_assignment),
        TEST(nothing_comes_after_the_end),
        TEST(each_reason_moves_the_stream),
        TEST(failure_frames),
        TEST(final_failure_without_words),
        TEST(what_was_not_served_is_no_previous_worker),
        TEST(callers_faults),
        TEST(progress_rule),
        TEST(as_many_attempts_as_may_be),
        TEST(progress_rule_counts_faults),
        TEST(refusal_after_the_first_frame_is_a_fault),
        TEST(refused_everywhere_waits_longer_and_longer),
        TEST(waiting_has_an_end),
        TEST(refusals_do_not_prolong_the_wait),
        TEST(being_served_begins_a_new_wait),
        TEST(being_served_begins_a_new_round),
        TEST(parked_stream_resumes_when_a_worker_comes),
        TEST(a_round_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
