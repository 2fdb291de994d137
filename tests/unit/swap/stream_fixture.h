/* stream_fixture: one stream under test, and short words for its inputs. */
#ifndef RN_TEST_SWAP_STREAM_FIXTURE_H
#define RN_TEST_SWAP_STREAM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "swap/stream.h"

#define MS RN_MILLISECOND
#define EPOCH 7
#define START (100 * RN_SECOND)

static rn_swap_config config;
static rn_swap_counters counters;
static rn_budget budget;
static rn_swap_stream stream;
static uint64_t now;

static inline int begin(void **state) {
    (void)state;
    rn_swap_config_default(&config);
    config.journal_limit = 1000;
    config.requests_limit = 1000;
    config.checkpoint_limit = 100;
    counters = (rn_swap_counters){0};
    budget = (rn_budget){.limit = SIZE_MAX};
    now = START;
    rn_swap_stream_init(&stream, &config, &counters, &budget, EPOCH);
    return 0;
}

static inline int finish(void **state) {
    (void)state;
    rn_swap_stream_fini(&stream);
    return budget.used == 0 ? 0 : -1;
}

/* ── short words ── */

static inline void open_stream(void) {
    assert_int_equal(rn_swap_stream_open(&stream, now, RN_NEVER).kind, RN_SWAP_CHOOSE);
}

static inline void assign(uint64_t worker) {
    char label[] = "worker-a";
    label[7] = (char)('a' + (worker - 1) % 26);
    rn_swap_stream_assign(&stream, worker, rn_bytes_text(label), 1000);
    rn_requests_note_assigned(&stream.requests, stream.requests.count,
                              rn_requests_messages(&stream.requests).run.len);
}

static inline rn_swap_action frame(rn_worker_frame what) {
    return rn_swap_stream_frame(&stream, now, stream.pair, &what);
}

static inline rn_swap_action message(uint64_t sequence, const char *payload) {
    return frame((rn_worker_frame){.kind = RN_WORKER_MESSAGE,
                                   .message = {sequence, rn_bytes_text(payload)}});
}

static inline rn_swap_action event(const char *payload) {
    return frame((rn_worker_frame){.kind = RN_WORKER_EVENT, .event = rn_bytes_text(payload)});
}

static inline rn_swap_action checkpoint(uint64_t sequence, const char *payload) {
    return frame((rn_worker_frame){.kind = RN_WORKER_CHECKPOINT,
                                   .checkpoint = {sequence, rn_bytes_text(payload)}});
}

static inline rn_swap_action failure(const char *text, bool retry, bool drain) {
    return frame((rn_worker_frame){.kind = RN_WORKER_FAILURE,
                                   .failure = {rn_bytes_text(text), retry, drain}});
}

static inline rn_swap_action refused(void) {
    return frame(
        (rn_worker_frame){.kind = RN_WORKER_REFUSED, .refused = rn_bytes_text("recovering")});
}

static inline rn_swap_action done(uint32_t code, const char *text) {
    return frame((rn_worker_frame){.kind = RN_WORKER_DONE,
                                   .done = {.code = code, .message = rn_bytes_text(text)}});
}

static inline rn_swap_action lost(enum rn_swap_reason reason) {
    return rn_swap_stream_lost(&stream, now, stream.pair, reason, rn_bytes_of(NULL, 0));
}

static inline rn_swap_action client(const char *payload) {
    return rn_swap_stream_client_message(&stream, rn_bytes_text(payload));
}

static inline void flow(uint64_t worker) {
    assign(worker);
    assert_true(event("connected").accepted);
    assert_int_equal(stream.state, RN_SWAP_FLOWING);
}

static inline void ends(rn_swap_action action, uint32_t code, const char *text) {
    assert_int_equal(action.kind, RN_SWAP_END);
    assert_int_equal(action.code, code);
    assert_int_equal(stream.state, RN_SWAP_DONE);
    assert_int_equal(budget.used, 0);
    if (!rn_bytes_is(action.message, text)) {
        fail_msg("\"%.*s\" is not \"%s\"", (int)action.message.len,
                 (const char *)action.message.data, text);
    }
}

/* The present worker was left for `reason`, and another one is to be chosen. */
static inline void left(rn_swap_action action, enum rn_swap_reason reason, uint64_t worker) {
    assert_int_equal(action.kind, RN_SWAP_CHOOSE);
    assert_int_equal(action.lost, reason);
    assert_true(action.close_worker);
    assert_int_equal(action.closed.attempt, stream.pair.attempt);
    assert_int_equal(action.worker, worker);
    assert_int_equal(stream.state, RN_SWAP_WAITING);
}

static inline void left_for_fault(rn_swap_action action, uint64_t worker, const char *text) {
    left(action, RN_SWAP_LOST, worker);
    assert_true(action.fault);
    assert_string_equal(stream.lost_text, text);
}

static inline rn_swap_action long_message(uint64_t sequence, size_t len) {
    static const uint8_t memory[8192];
    return frame((rn_worker_frame){.kind = RN_WORKER_MESSAGE,
                                   .message = {sequence, rn_bytes_of(memory, len)}});
}

#endif
