/* Tests of a director's relay: what it does when its client does not take what is sent, and how the
 * end of either side is told and counted. */
#include "relay_fixture.h"

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
        TEST(test_duplicates_are_paid_for),
        TEST(test_ends_of_the_client),
        TEST(test_the_director_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
