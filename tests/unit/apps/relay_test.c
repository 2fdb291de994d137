/* Tests of a director's relay without a network: what it does when a call does not take what is
 * sent, and how the end of either side is told and counted. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "director/data/data.h"
#include "grpc/status.h"
#include "rpcnet/error.h"
#include "support/fake_rpc.h"
#include "swap/frames.h"

enum { WORKERS = 2, LOG_MAX = 1 << 20, WINDOW = 1 << 18, MIB = 1 << 20 };

typedef struct fixture {
    fake_env env;
    rn_data data;
    rn_data_options options;
    rn_pool_snapshot snapshot;
    rn_log *logs;
    rn_buffer log;
    rpcnet_call *client;
    uint8_t secret[RPCNET_SECRET_LEN];
} fixture;

static uint64_t wall(void *user) {
    (void)user;
    return 0;
}

static bool keep_line(const char *line, size_t len, void *user) {
    return rn_buffer_append(user, line, len) == RPCNET_OK;
}

static void observe(void *user, uint64_t worker, enum rn_pool_sight sight) {
    (void)user;
    (void)worker;
    (void)sight;
}

static void start(fixture *f) {
    assert_int_equal(rn_data_start(&f->data, &f->options), RPCNET_OK);
    rn_data_pool_changed(&f->data);
    fake_env_advance(&f->env, 0);
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    rn_buffer_init(&f->log, LOG_MAX);
    rn_log_sink sink = {.wall = wall, .write = keep_line, .user = &f->log};
    assert_int_equal(rn_log_new(&f->logs, "info", &sink, NULL), RPCNET_OK);
    fake_world_reset();
    fake_env_init(&f->env, f->logs);
    f->snapshot.count = WORKERS;
    for (size_t i = 0; i < WORKERS; i++) {
        rn_pool_worker *worker = &f->snapshot.workers[i];
        *worker = (rn_pool_worker){.id = i + 1, .state = RN_PICK_READY};
        strcpy(worker->label, i == 0 ? "worker-a" : "worker-b");
        strcpy(worker->user_addr, "127.0.0.1:1");
    }
    f->options = (rn_data_options){.env = &f->env.env,
                                   .credentials = &fake_world_get()->credentials,
                                   .secret = f->secret,
                                   .epoch = 1,
                                   .stall_min_ns = RN_SECOND,
                                   .assign_timeout_ns = RN_SECOND,
                                   .memory_max = UINT64_C(64) * MIB,
                                   .queue_max = UINT64_C(8) * MIB,
                                   .waiting_max = 10,
                                   .message_max = RN_RELAY_MESSAGE_MAX,
                                   .snapshot = &f->snapshot,
                                   .observe = observe};
    rn_swap_config_default(&f->options.swap);
    rn_detector_config_default(&f->options.detector);
    *state = f;
    start(f);
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    rn_data_stop(&f->data);
    assert_int_equal(f->data.budget.used, 0);
    assert_int_equal(fake_env_timers(&f->env), 0);
    rn_log_del(f->logs);
    rn_buffer_fini(&f->log);
    if (f->client != NULL) {
        assert_true(f->client->deleted);
        fake_call_free(f->client);
    }
    fake_world_reset();
    free(f);
    return 0;
}

static bool logged(fixture *f, const char *text) {
    assert_int_equal(rn_buffer_append(&f->log, "", 1), RPCNET_OK);
    f->log.len--;
    return strstr((const char *)f->log.data, text) != NULL;
}

/* ---- the two sides ---- */

static void client_says(fixture *f, size_t len) {
    uint8_t *bytes = calloc(1, len + 1);
    f->client->callbacks->on_message(f->client, bytes, len, f->client->user);
    free(bytes);
}

static void client_ends_its_request(fixture *f) {
    f->client->callbacks->on_half_close(f->client, f->client->user);
}

static void client_ends(fixture *f, int code) {
    f->client->callbacks->on_cancelled(f->client, code, f->client->user);
}

static void call(fixture *f) {
    f->client = fake_call_new("");
    rn_data_serve(&fake_world_get()->servers[0], f->client, &f->data);
}

static rn_relay *relay_of(const fixture *f) {
    assert_int_equal(f->data.relays_count, 1);
    return RN_CONTAINER_OF(f->data.relays.next, rn_relay, link);
}

/* The present attempt's call. */
static rpcnet_call *worker_of(const fixture *f) {
    rpcnet_call *worker = relay_of(f)->worker;
    assert_non_null(worker);
    return worker;
}

static void worker_says(const fixture *f, const rn_worker_frame *frame) {
    rpcnet_call *worker = worker_of(f);
    rn_buffer bytes;
    rn_buffer_init(&bytes, (size_t)8 * MIB);
    assert_int_equal(rn_worker_frame_append(&bytes, frame), RPCNET_OK);
    worker->callbacks->on_message(worker, bytes.data, bytes.len, worker->user);
    rn_buffer_fini(&bytes);
}

static void worker_sends(const fixture *f, uint64_t sequence, size_t len) {
    uint8_t *payload = calloc(1, len + 1);
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_MESSAGE,
                                      .message = {sequence, rn_bytes_of(payload, len)}});
    free(payload);
}

static void worker_is_done(const fixture *f, rn_bytes message) {
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_DONE, .done = {.message = message}});
}

/* A stream that flows from its first worker, with one message of the client. */
static void flow(fixture *f) {
    call(f);
    client_says(f, 10);
    fake_env_advance(&f->env, 0);
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_EVENT, .event = rn_bytes_text("hello")});
    assert_int_equal(f->client->sent, 1);
}

/* The last frame that the present worker got. */
static rn_director_frame last_frame(const fixture *f) {
    rn_director_frame frame;
    const rpcnet_call *worker = worker_of(f);
    assert_int_equal(rn_director_frame_parse(&frame, fake_call_message(worker, worker->sent - 1)),
                     RPCNET_OK);
    return frame;
}

/* ---- down ---- */

static void test_too_large_a_message_is_the_workers_fault(void **state) {
    for (size_t len = RN_RELAY_MESSAGE_MAX - 1; len <= RN_RELAY_MESSAGE_MAX + 1; len++) {
        fixture *f = *state;
        flow(f);
        worker_sends(f, 1, len);
        bool fault = len > RN_RELAY_MESSAGE_MAX;
        assert_int_equal(f->client->sent, fault ? 1 : 2);
        assert_int_equal(f->data.counters.faults, fault);
        assert_int_equal(relay_of(f)->swap.pair.attempt, fault ? 2 : 1);
        assert_int_equal(logged(f, "worker-a broke the protocol: it sent a message of more than 4 "
                                   "MiB"),
                         fault);
        assert_int_equal(f->data.hit.queue_overflows + f->data.counters.ended_exhausted, 0);
        if (!fault) {
            teardown(state);
            setup(state);
        }
    }
}

static void test_a_slow_client(void **state) {
    fixture *f = *state;
    flow(f);
    f->client->room = 0;
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        worker_sends(f, sequence, (size_t)sequence);
    }
    worker_is_done(f, rn_bytes_text("bye"));
    assert_int_equal(f->data.hit.rings_full, 1);
    assert_false(f->client->finished);
    fake_call_give_room(f->client, 1);
    assert_false(f->client->finished);
    fake_call_give_room(f->client, SIZE_MAX);
    assert_true(f->client->finished && !f->client->aborted);
    assert_int_equal(f->client->code, 0);
    assert_string_equal(f->client->message, "bye");
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(fake_call_message(f->client, i).len, i);
    }
    assert_int_equal(f->data.relays_count, 0);
}

/* What is kept cannot be sent: nothing is left out, and the client does not wait. */
static void a_kept_message_cannot_be_sent(fixture *f, bool done) {
    flow(f);
    f->client->room = 0;
    worker_sends(f, 1, 5);
    worker_sends(f, 2, 6);
    if (done) {
        worker_is_done(f, rn_bytes_of(NULL, 0));
    }
    f->client->send_error = RPCNET_ERR_MEMORY;
    fake_call_give_room(f->client, SIZE_MAX);
    assert_int_equal(f->client->sent, 1);
    assert_true(f->client->aborted);
    assert_int_equal(f->client->code, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_string_equal(f->client->message,
                        "out of memory for a message that the client does not take");
    assert_int_equal(f->data.relays_count, 0);
    assert_int_equal(f->data.hit.queue_overflows, 0); /* none was full */
    assert_int_equal(f->data.counters.ended_exhausted, !done);
}

static void test_memory_is_short_for_what_is_kept(void **state) {
    a_kept_message_cannot_be_sent(*state, false);
}

static void test_memory_is_short_behind_done(void **state) {
    a_kept_message_cannot_be_sent(*state, true);
}

static void test_the_queue_of_a_client_is_full(void **state) {
    fixture *f = *state;
    f->options.queue_max = f->data.options.queue_max = 1000;
    flow(f);
    f->client->room = 0;
    worker_sends(f, 1, 500);
    worker_sends(f, 2, 500);
    assert_int_equal(f->data.hit.queue_overflows, 1);
    assert_int_equal(f->data.counters.ended_exhausted, 1);
    fake_call_give_room(f->client, SIZE_MAX);
    assert_int_equal(f->client->code, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(f->client->sent, 2);
}

static void test_the_last_words_are_kept_short(void **state) {
    fixture *f = *state;
    char *words = malloc(MIB);
    memset(words, 'x', MIB);
    flow(f);
    f->client->room = 0;
    worker_sends(f, 1, 5);
    worker_is_done(f, rn_bytes_of(words, MIB));
    free(words);
    assert_int_equal(strlen(relay_of(f)->message), RN_STATUS_MESSAGE_MAX + 1);
    fake_call_give_room(f->client, SIZE_MAX);
    assert_true(f->client->finished);
}

/* ---- up ---- */

static void test_what_a_worker_may_be_sent(void **state) {
    fixture *f = *state;
    rn_data_stop(&f->data);
    f->options.swap.requests_limit = MIB; /* an Assignment is shorter than a message now */
    start(f);
    flow(f);
    client_says(f, RN_RELAY_MESSAGE_MAX);
    assert_int_equal(f->data.counters.lost[RN_SWAP_LOST], 0);
    fake_env_advance(&f->env, 0);
    assert_int_equal(relay_of(f)->swap.pair.attempt, 1);
    rn_director_frame frame = last_frame(f);
    assert_int_equal(frame.kind, RN_DIRECTOR_CLIENT_MESSAGE);
    assert_int_equal(frame.client_message.payload.len, RN_RELAY_MESSAGE_MAX);
}

/* The client is held back as long as something waits for its worker, and no longer. */
static void test_a_slow_worker(void **state) {
    fixture *f = *state;
    flow(f);
    client_says(f, 100);
    assert_false(f->client->held);
    rpcnet_call *worker = worker_of(f);
    size_t before = worker->sent;
    worker->room = 1;
    client_says(f, 0);
    assert_false(f->client->held); /* the worker's call has taken it */
    client_says(f, 0);
    assert_true(f->client->held);
    client_says(f, 3);
    fake_call_give_room(worker, 1);
    assert_true(f->client->held);
    fake_call_give_room(worker, 1);
    assert_false(f->client->held);
    assert_int_equal(worker->sent, before + 3);
    assert_int_equal(last_frame(f).client_message.sequence, 5);
}

static void test_a_worker_that_goes_holds_nobody(void **state) {
    fixture *f = *state;
    flow(f);
    worker_of(f)->room = 0;
    client_says(f, 3);
    assert_true(f->client->held);
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_FAILURE, .failure = {.retry = true}});
    assert_int_equal(relay_of(f)->swap.pair.attempt, 2);
    assert_false(f->client->held);
    rn_director_frame frame = last_frame(f);
    assert_int_equal(frame.kind, RN_DIRECTOR_ASSIGNMENT);
    assert_int_equal(frame.assignment.client_messages.count, 2);
}

/* What is kept for a worker cannot be sent: the attempt is over, and the next one gets all. */
static void test_memory_is_short_for_a_worker(void **state) {
    fixture *f = *state;
    flow(f);
    rpcnet_call *worker = worker_of(f);
    size_t before = worker->sent;
    worker->room = 0;
    client_says(f, 3);
    client_says(f, 4);
    worker->send_error = RPCNET_ERR_MEMORY;
    fake_call_give_room(worker, SIZE_MAX);
    fake_env_advance(&f->env, 0);
    assert_int_equal(worker->sent, before);
    assert_true(worker->deleted);
    assert_int_equal(f->data.counters.lost[RN_SWAP_LOST], 1);
    assert_int_equal(f->data.hit.queue_overflows, 0);
    rn_director_frame frame = last_frame(f);
    assert_int_equal(frame.kind, RN_DIRECTOR_ASSIGNMENT);
    assert_int_equal(frame.assignment.client_messages.count, 3);
    assert_false(f->client->held);
}

static void test_a_worker_that_reads_no_more(void **state) {
    fixture *f = *state;
    flow(f);
    rpcnet_call *worker = worker_of(f);
    worker->room = 0;
    client_says(f, 3);
    worker->send_error = RPCNET_ERR_CLOSED;
    fake_call_give_room(worker, SIZE_MAX);
    assert_false(f->client->held);
    fake_env_advance(&f->env, 0);
    worker_is_done(f, rn_bytes_of(NULL, 0)); /* what it said before is still heard */
    assert_true(f->client->finished);
    assert_int_equal(f->client->code, 0);
}

/* A worker's call that takes its time reads what the stream keeps: it lies in memory once. */
static void test_nothing_lies_in_memory_twice(void **state) {
    enum { SLACK = 1024 };
    fixture *f = *state;
    flow(f);
    fake_world_get()->reads_slowly = true;
    worker_of(f)->source_room = 0;
    client_says(f, MIB);
    assert_true(f->client->held);
    size_t used = f->data.budget.used;
    assert_true(used > MIB && used < MIB + MIB / 2);
    fake_call_read_on(worker_of(f), 1000);
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_FAILURE, .failure = {.retry = true}});
    assert_int_equal(relay_of(f)->swap.pair.attempt, 2);
    assert_true(f->data.budget.used < used + SLACK);
    rpcnet_call *worker = worker_of(f);
    fake_call_read_on(worker, 1);
    assert_false(f->client->held);
    client_says(f, 4);
    assert_true(f->client->held);
    assert_true(f->data.budget.used < used + MIB / 4 + SLACK);
    client_ends_its_request(f);
    fake_call_read_on(worker, MIB);
    fake_call_read_on(worker, SIZE_MAX);
    assert_false(f->client->held);
    assert_int_equal(worker->sent, 3);
    rn_director_frame frame;
    assert_int_equal(rn_director_frame_parse(&frame, fake_call_message(worker, 0)), RPCNET_OK);
    assert_int_equal(frame.kind, RN_DIRECTOR_ASSIGNMENT);
    assert_int_equal(frame.assignment.client_messages.count, 2);
    assert_false(frame.assignment.half_closed);
    assert_int_equal(rn_director_frame_parse(&frame, fake_call_message(worker, 1)), RPCNET_OK);
    assert_int_equal(frame.client_message.sequence, 3);
    assert_int_equal(frame.client_message.payload.len, 4);
    assert_int_equal(last_frame(f).kind, RN_DIRECTOR_HALF_CLOSE);
}

/* Its bytes are read from the journal, which a message would change. */
static void test_a_worker_that_serves_too_early(void **state) {
    fixture *f = *state;
    fake_world_get()->reads_slowly = true;
    call(f);
    client_says(f, 1000);
    fake_env_advance(&f->env, 0);
    fake_call_read_on(worker_of(f), 999);
    worker_sends(f, 1, 5);
    assert_int_equal(f->client->sent, 0);
    assert_int_equal(f->data.counters.faults, 1);
    assert_true(logged(f, "it served the stream before it had its assignment"));
    assert_int_equal(relay_of(f)->swap.pair.attempt, 2);
    fake_call_read_on(worker_of(f), SIZE_MAX);
    worker_sends(f, 1, 5);
    assert_int_equal(f->client->sent, 1);
    assert_int_equal(f->data.counters.faults, 1);
}

static void test_a_worker_that_refuses_early(void **state) {
    fixture *f = *state;
    fake_world_get()->reads_slowly = true;
    call(f);
    client_says(f, 1000);
    fake_env_advance(&f->env, 0);
    fake_call_read_on(worker_of(f), 999);
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_REFUSED, .refused = rn_bytes_text("full")});
    assert_int_equal(f->data.counters.faults, 0);
    assert_int_equal(relay_of(f)->swap.pair.attempt, 2);
}

/* What is given up waits in the same place, and goes when the worker has it. */
static void test_a_request_that_is_not_kept(void **state) {
    fixture *f = *state;
    rn_data_stop(&f->data);
    f->options.swap.requests_limit = 1000;
    start(f);
    flow(f);
    rpcnet_call *worker = worker_of(f);
    worker->source_room = 0;
    size_t before = f->data.budget.used;
    client_says(f, MIB);
    assert_true(f->data.budget.used < before + MIB + MIB / 2);
    client_says(f, 5);
    fake_call_read_on(worker, SIZE_MAX);
    assert_int_equal(last_frame(f).client_message.sequence, 3);
    assert_int_equal(last_frame(f).client_message.payload.len, 5);
    assert_false(f->client->held);
    assert_true(f->data.budget.used <= before);
}

/* What a worker's call reads is in use: not it is given up, but the stream, if it holds most. */
static void test_what_is_read_is_not_given_up(void **state) {
    fixture *f = *state;
    fake_world_get()->reads_slowly = true;
    call(f);
    client_says(f, MIB);
    fake_env_advance(&f->env, 0);
    f->data.budget.limit = MIB / 2;
    rn_data_shed(&f->data);
    assert_true(f->client->aborted);
    assert_int_equal(f->data.counters.requests_given_up, 0);
    assert_int_equal(f->data.hit.streams_shed, 1);
}

/* ---- credit ---- */

/* A worker that says again what was said uses credit for it, and gets more: it cannot wait for
 * ever.
 */
static void test_duplicates_are_paid_for(void **state) {
    fixture *f = *state;
    flow(f);
    worker_sends(f, 1, 1);
    for (size_t used = 0; used < 4 * (size_t)WINDOW; used += WINDOW / 4) {
        worker_sends(f, 1, WINDOW / 4);
        assert_true(rn_swap_stream_has_credit(&relay_of(f)->swap));
    }
    assert_int_equal(last_frame(f).kind, RN_DIRECTOR_CREDIT);
    assert_int_equal(f->data.counters.faults, 0);
    assert_int_equal(f->client->sent, 2);
}

/* ---- how it ends ---- */

typedef struct end {
    int code;
    const char *said;
    size_t counter; /* in rn_swap_counters */
} end;

static void ends_as(fixture *f, const end *expected, bool at_once) {
    call(f);
    if (!at_once) {
        client_says(f, 1);
        fake_env_advance(&f->env, 0);
    }
    client_ends(f, expected->code);
    fake_env_advance(&f->env, 0);
    uint64_t counted;
    memcpy(&counted, (const char *)&f->data.counters + expected->counter, sizeof counted);
    assert_int_equal(counted, 1);
    assert_int_equal(f->data.counters.opened, 1);
    assert_int_equal(f->data.relays_count, 0);
    if (!logged(f, expected->said)) {
        fail_msg("no \"%s\" in: %s", expected->said, (const char *)f->log.data);
    }
    assert_true(logged(f, "stream.id=1 connection.id=conn-1 method=/a.B/C client opened stream\n"));
}

#define COUNTER(name) offsetof(rn_swap_counters, name)

static void test_ends_of_the_client(void **state) {
    static const end table[] = {
        {RPCNET_GRPC_CANCELLED, "code=CANCELLED messages=0 err=\"cancelled by the client\"",
         COUNTER(ended_cancelled)},
        {RPCNET_GRPC_UNAVAILABLE,
         "code=UNAVAILABLE messages=0 err=\"the client's connection has ended\"",
         COUNTER(ended_cancelled)},
        {RPCNET_GRPC_DEADLINE_EXCEEDED, "code=DEADLINE_EXCEEDED", COUNTER(ended_deadline)},
        {RPCNET_GRPC_RESOURCE_EXHAUSTED,
         "code=RESOURCE_EXHAUSTED messages=0 err=\"a message of the client is over the limit\"",
         COUNTER(ended_exhausted)},
        {RPCNET_GRPC_UNIMPLEMENTED,
         "code=UNIMPLEMENTED messages=0 err=\"a message of the client is compressed\"",
         COUNTER(ended_other)},
        {RPCNET_GRPC_INTERNAL,
         "code=INTERNAL messages=0 err=\"a message of the client is malformed or cut\"",
         COUNTER(ended_other)},
    };
    for (unsigned i = 0; i < 2 * sizeof table / sizeof table[0]; i++) {
        ends_as(*state, &table[i / 2], i % 2);
        teardown(state);
        setup(state);
    }
}

/* At the end of its drain timeout the director cuts what is open; before, connections are lost as
 * ever. */
static void test_the_director_ends(void **state) {
    static const end cut = {RPCNET_GRPC_UNAVAILABLE,
                            "code=UNAVAILABLE messages=0 err=\"the director ends, and its drain "
                            "timeout is over\"",
                            COUNTER(ended_other)};
    static const end lost = {RPCNET_GRPC_UNAVAILABLE, "err=\"the client's connection has ended\"",
                             COUNTER(ended_cancelled)};
    fixture *f = *state;
    rn_data_drain(&f->data, f->env.now + 1);
    ends_as(f, &lost, true);
    teardown(state);
    setup(state);
    f = *state;
    rn_data_drain(&f->data, f->env.now);
    ends_as(f, &cut, true);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_too_large_a_message_is_the_workers_fault),
        TEST(test_a_slow_client),
        TEST(test_memory_is_short_for_what_is_kept),
        TEST(test_memory_is_short_behind_done),
        TEST(test_the_queue_of_a_client_is_full),
        TEST(test_the_last_words_are_kept_short),
        TEST(test_what_a_worker_may_be_sent),
        TEST(test_a_slow_worker),
        TEST(test_a_worker_that_goes_holds_nobody),
        TEST(test_memory_is_short_for_a_worker),
        TEST(test_a_worker_that_reads_no_more),
        TEST(test_nothing_lies_in_memory_twice),
        TEST(test_a_worker_that_serves_too_early),
        TEST(test_a_worker_that_refuses_early),
        TEST(test_a_request_that_is_not_kept),
        TEST(test_what_is_read_is_not_given_up),
        TEST(test_duplicates_are_paid_for),
        TEST(test_ends_of_the_client),
        TEST(test_the_director_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
