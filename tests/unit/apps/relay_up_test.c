/* Tests of what a relay sends to its worker: in order, from where the stream keeps it, and as its
 * call takes it. */
#include "relay_fixture.h"

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
    assert_true(f->client->held);
    client_says(f, 4);
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

/* What the worker is owed goes as soon as its call takes it, and only the last of its kind. */
static void test_acks_and_credit_wait_for_a_message(void **state) {
    enum { MESSAGES = 4 * RN_SWAP_ACK_MESSAGES };
    fixture *f = *state;
    flow(f);
    rpcnet_call *worker = worker_of(f);
    worker->source_room = 0;
    client_says(f, MIB);
    size_t before = worker->sent;
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        worker_sends(f, i, WINDOW / MESSAGES);
    }
    assert_int_equal(worker->sent, before);
    fake_call_read_on(worker, SIZE_MAX);
    assert_int_equal(worker->sent, before + 3);
    rn_director_frame frame;
    assert_int_equal(rn_director_frame_parse(&frame, fake_call_message(worker, before + 1)),
                     RPCNET_OK);
    assert_int_equal(frame.kind, RN_DIRECTOR_ACK);
    assert_int_equal(frame.ack, MESSAGES);
    frame = last_frame(f);
    assert_int_equal(frame.kind, RN_DIRECTOR_CREDIT);
    assert_int_equal(frame.credit, 2 * WINDOW);
    worker->source_room = SIZE_MAX;
    worker_sends(f, MESSAGES + 1, 1);
    assert_int_equal(worker->sent, before + 3); /* nothing of it is owed any more */
}

/* A worker that cannot have the whole Assignment. */
static void assign_a_part(fixture *f) {
    fake_world_get()->reads_slowly = true;
    call(f);
    client_says(f, 1000);
    fake_env_advance(&f->env, 0);
    fake_call_read_on(worker_of(f), 999);
}

/* Its bytes are read from the journal, which a message would change. */
static void test_a_worker_that_serves_too_early(void **state) {
    fixture *f = *state;
    assign_a_part(f);
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

/* It has not read what it answers. */
static void test_a_worker_that_is_done_too_early(void **state) {
    for (unsigned stops = 0; stops <= 1; stops++) {
        fixture *f = *state;
        assign_a_part(f);
        if (stops == 1) {
            fake_call_stop(worker_of(f));
        }
        worker_is_done(f, rn_bytes_of(NULL, 0));
        assert_int_equal(f->data.counters.faults, 1);
        assert_false(f->client->finished);
        assert_int_equal(relay_of(f)->swap.pair.attempt, 2);
        teardown(state);
        setup(state);
    }
}

/* What the client says cannot reach it any more, nor can credit: it owes the end of the stream. */
static void a_worker_that_stops(void **state, unsigned says) {
    fixture *f = *state;
    rn_data_stop(&f->data);
    f->options.assign_timeout_ns = 20 * RN_MILLISECOND; /* less than the worker has to be silent */
    start(f);
    flow(f);
    worker_of(f)->source_room = 0;
    client_says(f, MIB);
    assert_true(f->client->held);
    fake_call_stop(worker_of(f));
    assert_false(f->client->held);
    if (says == 1) { /* a part of a long message, now and then */
        for (unsigned i = 1; i <= 5; i++) {
            worker_of(f)->received++;
            fake_env_advance(&f->env, f->options.assign_timeout_ns);
            client_says(f, 1); /* that does not count as the worker's */
        }
    }
    assert_int_equal(relay_of(f)->swap.pair.attempt, 1);
    fake_env_advance(&f->env, f->options.assign_timeout_ns);
    assert_int_equal(f->data.counters.lost[RN_SWAP_STALLED], 1);
    assert_int_equal(relay_of(f)->swap.pair.attempt, 2);
    assert_int_equal(last_frame(f).assignment.client_messages.count, 2 + 5 * says);
}

static void test_a_worker_that_stops_has_its_time(void **state) {
    a_worker_that_stops(state, 0);
}

static void test_a_worker_that_stops_may_say_more(void **state) {
    a_worker_that_stops(state, 1);
}

static void test_a_worker_that_refuses_early(void **state) {
    fixture *f = *state;
    assign_a_part(f);
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_REFUSED, .refused = rn_bytes_text("full")});
    assert_int_equal(f->data.counters.faults, 0);
    assert_int_equal(relay_of(f)->swap.pair.attempt, 2);
}

/* What is given up waits in the same place, and goes when the worker has it. */
static void test_a_request_that_is_not_kept(void **state) {
    fixture *f = *state;
    restart_with(f, 1000, (size_t)8 * MIB);
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

static size_t shed_to(fixture *f, size_t limit) {
    all_is_acknowledged(f);
    f->data.budget.limit = limit;
    rn_data_shed(&f->data);
    return f->data.budget.used;
}

/* What counts as spare goes when it is given up: else shedding would stop at it. */
static void test_what_is_given_up_is_free(void **state) {
    enum { OLD = 12 };
    fixture *f = *state;
    rpcnet_call *old[OLD];
    restart_with(f, 50000, (size_t)8 * MIB);
    for (size_t i = 0; i < OLD; i++) {
        call(f);
        old[i] = f->client;
        client_says(f, 40000);
        fake_env_advance(&f->env, 0);
    }
    call(f);
    client_says(f, 10);
    fake_env_advance(&f->env, 0);
    client_says(f, 50000); /* more than is kept */
    client_says(f, 50000);
    size_t limit = f->data.budget.used / 2;
    assert_true(shed_to(f, limit) <= limit);
    assert_int_equal(f->data.hit.streams_shed, 0);
    assert_true(f->data.relays_count > OLD);
    rn_data_stop(&f->data);
    for (size_t i = 0; i < OLD; i++) {
        fake_call_free(old[i]);
    }
    start(f);
}

/* A worker that reads no more: what the client says is for the next one, if there can be one. */
static void test_nothing_waits_for_who_reads_no_more(void **state) {
    for (size_t kept = 0; kept <= 1; kept++) {
        fixture *f = *state;
        restart_with(f, kept * 4 * MIB + 1000, (size_t)8 * MIB);
        flow(f);
        worker_of(f)->send_error = RPCNET_ERR_CLOSED;
        for (size_t i = 0; i < (kept == 1 ? 2 : 12); i++) {
            client_says(f, MIB);
            assert_false(f->client->held);
        }
        assert_int_equal(f->data.budget.used > MIB, kept);
        assert_true(shed_to(f, MIB / 2) < MIB / 2);
        worker_is_done(f, rn_bytes_of(NULL, 0));
        assert_int_equal(f->client->code, 0);
        teardown(state);
        setup(state);
    }
}

/* As much may wait as QUEUE_MAX says, beside the Assignment that is being read. */
static void test_the_assignment_is_no_queue(void **state) {
    fixture *f = *state;
    fake_world_get()->reads_slowly = true;
    call(f);
    client_says(f, (size_t)4 * MIB - 100);
    fake_env_advance(&f->env, 0);
    fake_call_read_on(worker_of(f), 1000);
    assert_true(f->client->held);
    client_says(f, (size_t)4 * MIB);
    client_says(f, (size_t)4 * MIB - 100);
    assert_false(f->client->finished);
    assert_int_equal(f->data.counters.requests_given_up, 1);
    client_says(f, 100);
    assert_int_equal(f->client->code, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(f->data.counters.queues_full, 1);
}

/* Many long messages of workers in one turn: they are not kept any more when the account is over,
 * and journals go before streams end. */
static void test_long_messages_together(void **state) {
    enum { STREAMS = 12, LEN = MIB / 2 };
    fixture *f = *state;
    rpcnet_call *clients[STREAMS];
    f->data.budget.limit = (size_t)STREAMS * LEN / 2;
    for (size_t i = 0; i < STREAMS; i++) {
        call(f);
        clients[i] = f->client;
        client_says(f, 10);
        fake_env_advance(&f->env, 0);
    }
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &f->data.relays) {
        rpcnet_call *worker = RN_CONTAINER_OF(link, rn_relay, link)->worker;
        worker_call_sends(worker, 1, LEN);
    }
    assert_true(f->data.budget.peak < f->data.budget.limit + LEN + LEN / 2);
    all_is_acknowledged(f);
    fake_env_advance(&f->env, 0);
    assert_int_equal(f->data.hit.streams_shed, 0);
    assert_true(f->data.counters.journals_given_up >= STREAMS / 2 - 1);
    assert_int_equal(f->data.relays_count, STREAMS);
    rn_data_stop(&f->data);
    for (size_t i = 0; i < STREAMS; i++) {
        fake_call_free(clients[i]);
    }
    f->client = NULL;
    start(f);
}

/* A few bytes that wait hold a few bytes. */
static void test_little_waits_in_little_memory(void **state) {
    fixture *f = *state;
    flow(f);
    client_says(f, (size_t)4 * MIB - 1000);
    worker_of(f)->source_room = 0;
    client_says(f, 100);
    size_t before = rn_requests_memory(&relay_of(f)->swap.requests);
    client_says(f, 2000);
    assert_int_equal(f->data.counters.requests_given_up, 1);
    assert_true(before > (size_t)4 * MIB - 1000);
    assert_true(rn_requests_memory(&relay_of(f)->swap.requests) < 8000);
    fake_call_read_on(worker_of(f), SIZE_MAX);
    assert_int_equal(last_frame(f).client_message.sequence, 4);
    assert_int_equal(rn_requests_memory(&relay_of(f)->swap.requests), 0);
}

/* A checkpoint of nothing is given up without harm, and alone. */
static void test_a_checkpoint_of_nothing_goes_first(void **state) {
    static const uint8_t bytes[100000];
    fixture *f = *state;
    flow(f);
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_CHECKPOINT,
                                      .checkpoint = {0, rn_bytes_of(bytes, sizeof bytes)}});
    size_t limit = f->data.budget.used - 1000;
    assert_true(shed_to(f, limit) <= limit);
    assert_int_equal(f->data.counters.requests_given_up + f->data.counters.journals_given_up, 0);
    assert_true(rn_swap_stream_resumable(&relay_of(f)->swap));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_worker_may_be_sent),
        TEST(test_a_slow_worker),
        TEST(test_a_worker_that_goes_holds_nobody),
        TEST(test_memory_is_short_for_a_worker),
        TEST(test_a_worker_that_reads_no_more),
        TEST(test_nothing_lies_in_memory_twice),
        TEST(test_acks_and_credit_wait_for_a_message),
        TEST(test_a_worker_that_serves_too_early),
        TEST(test_a_worker_that_is_done_too_early),
        TEST(test_a_worker_that_stops_has_its_time),
        TEST(test_a_worker_that_stops_may_say_more),
        TEST(test_a_worker_that_refuses_early),
        TEST(test_a_request_that_is_not_kept),
        TEST(test_what_is_read_is_not_given_up),
        TEST(test_what_is_given_up_is_free),
        TEST(test_nothing_waits_for_who_reads_no_more),
        TEST(test_the_assignment_is_no_queue),
        TEST(test_long_messages_together),
        TEST(test_little_waits_in_little_memory),
        TEST(test_a_checkpoint_of_nothing_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
