/* Tests of the worker's membership in a director's pool. */
#include "worker_fixture.h"

static void set_state(rpcnet_channel *channel, enum rpcnet_channel_state to) {
    channel->state = to;
    channel->options.callbacks.on_state(channel, to, RPCNET_LOSS_UNREACHABLE, "port unreachable",
                                        channel->options.user);
}

static void answer(rpcnet_call *call, int code) {
    static const uint8_t response[] = {0x08, 5, 0x10, 9}; /* epoch 5, registration 9 */
    if (code == RPCNET_GRPC_OK) {
        call->callbacks->on_message(call, response, sizeof response, call->user);
    }
    call->callbacks->on_status(call, code, "why", NULL, call->user);
}

static ConnectionSwap__WorkerReport *last_report(const rpcnet_call *call) {
    rn_bytes bytes = fake_call_message(call, call->sent - 1);
    return connection_swap__worker_report__unpack(NULL, bytes.len, bytes.data);
}

static void test_registration(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_channel *channel = &fake_world_get()->channel;
    assert_int_equal(channel->call_count, 0);
    set_state(channel, RPCNET_CHANNEL_READY);
    assert_int_equal(channel->call_count, 1);
    rn_bytes bytes = fake_call_message(channel->calls[0], 0);
    ConnectionSwap__RegisterRequest *request =
        connection_swap__register_request__unpack(NULL, bytes.len, bytes.data);
    assert_string_equal(request->label, "worker-a");
    assert_string_equal(request->user_addr, "127.0.0.1:62001");
    assert_string_equal(request->mgmt_addr, "127.0.0.1:63001");
    connection_swap__register_request__free_unpacked(request, NULL);
    answer(channel->calls[0], RPCNET_GRPC_OK);
    assert_true(logged(f, "registered with director"));
    assert_int_equal(channel->call_count, 2);
    rpcnet_call *report = channel->calls[1];
    assert_int_equal(report->sent, 1);
    fake_env_advance(&f->env, RN_SECOND);
    assert_int_equal(report->sent, 2); /* each second */
    rpcnet_call *call = serve(f);
    assign(call, 0, FOREVER_CREDIT, &assignment);
    fake_env_advance(&f->env, 0);
    assert_int_equal(report->sent, 3); /* and on change */
    ConnectionSwap__WorkerReport *sent = last_report(report);
    assert_int_equal(sent->registration, 9);
    assert_int_equal(sent->streams, 1);
    assert_int_equal(sent->streams_max, 2);
    assert_false(sent->recovering || sent->draining);
    connection_swap__worker_report__free_unpacked(sent, NULL);
    fake_env_advance(&f->env, 15 * RN_SECOND);
    sent = last_report(report);
    assert_true(sent->recovering && sent->streams == 0);
    connection_swap__worker_report__free_unpacked(sent, NULL);
    end_call(call);
}

static void test_registers_again(void **state) {
    fixture *f = *state;
    rpcnet_channel *channel = &fake_world_get()->channel;
    set_state(channel, RPCNET_CHANNEL_WAITING);
    assert_true(logged(f, "WARN worker] worker=worker-a director=127.0.0.1:61001 err=\"port "
                          "unreachable\" cannot reach director; trying again"));
    set_state(channel, RPCNET_CHANNEL_READY);
    answer(channel->calls[0], RPCNET_GRPC_UNAVAILABLE); /* it does not want us yet */
    assert_int_equal(channel->call_count, 1);
    fake_env_advance(&f->env, 100 * RN_MILLISECOND);
    assert_int_equal(channel->call_count, 2);
    answer(channel->calls[1], RPCNET_GRPC_OK);
    /* the director is gone: nothing until the channel is back */
    channel->state = RPCNET_CHANNEL_WAITING;
    channel->calls[2]->callbacks->on_status(channel->calls[2], RPCNET_GRPC_UNAVAILABLE, "lost",
                                            NULL, channel->calls[2]->user);
    set_state(channel, RPCNET_CHANNEL_WAITING);
    fake_env_advance(&f->env, 60 * RN_SECOND);
    assert_int_equal(channel->call_count, 3);
    set_state(channel, RPCNET_CHANNEL_READY);
    assert_int_equal(channel->call_count, 4);
    answer(channel->calls[3], RPCNET_GRPC_OK);
    assert_int_equal(channel->call_count, 5);
    /* the stream alone ends after a good time: again, after the shortest back-off */
    fake_env_advance(&f->env, 5 * RN_SECOND);
    answer(channel->calls[4], RPCNET_GRPC_ABORTED);
    fake_env_advance(&f->env, 100 * RN_MILLISECOND);
    assert_int_equal(channel->call_count, 6);
}

/* What the director says is the value of one key, whatever it is. */
static void test_reasons_are_quoted(void **state) {
    fixture *f = *state;
    rpcnet_channel *channel = &fake_world_get()->channel;
    set_state(channel, RPCNET_CHANNEL_READY);
    rpcnet_call *call = channel->calls[0];
    call->callbacks->on_status(call, RPCNET_GRPC_INTERNAL, "x\" code=OK err=\"y", NULL, call->user);
    assert_true(logged(f, "director=127.0.0.1:61001 code=INTERNAL err=\"x\\\" code=OK err=\\\"y\" "
                          "registration failed; trying again\n"));
}

/* A director that takes each registration back at once, as when it cannot reach the worker. */
static void test_a_short_registration_is_none(void **state) {
    static const unsigned waits_ms[] = {100, 200, 400, 800, 1600, 2000};
    fixture *f = *state;
    rpcnet_channel *channel = &fake_world_get()->channel;
    set_state(channel, RPCNET_CHANNEL_READY);
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        size_t count = 2 * i + 1;
        assert_int_equal(channel->call_count, count);
        answer(channel->calls[count - 1], RPCNET_GRPC_OK);
        rpcnet_call *report = channel->calls[count];
        report->callbacks->on_status(report, RPCNET_GRPC_ABORTED, "nobody is there", NULL,
                                     report->user);
        fake_env_advance(&f->env, waits_ms[i] * RN_MILLISECOND - 1);
        assert_int_equal(channel->call_count, count + 1);
        fake_env_advance(&f->env, 1);
    }
    static const char said[] = "WARN worker] worker=worker-a director=127.0.0.1:61001 code=ABORTED "
                               "err=\"nobody is there\" registration lost; registering again\n";
    assert_true(logged(f, said));
    const char *first = strstr((const char *)f->log.data, said);
    assert_null(strstr(first + strlen(said), "registration lost"));
}

static void test_label_is_taken(void **state) {
    fixture *f = *state;
    rpcnet_channel *channel = &fake_world_get()->channel;
    static const char said[] = "the label is taken; trying again for 3 s\n";
    set_state(channel, RPCNET_CHANNEL_READY);
    for (size_t i = 0; i < 5; i++) { /* 0, 0.1, 0.3, 0.7 and 1.5 s */
        assert_int_equal(channel->call_count, i + 1);
        answer(channel->calls[i], RPCNET_GRPC_ALREADY_EXISTS);
        assert_false(f->worker.program.exited);
        fake_env_advance(&f->env, (RN_SECOND / 10) << i);
    }
    assert_true(logged(f, said));
    assert_null(strstr(strstr((const char *)f->log.data, said) + 1, said));
    answer(channel->calls[5], RPCNET_GRPC_ALREADY_EXISTS); /* 3.1 s */
    assert_true(f->worker.program.exited);
    assert_int_equal(f->worker.program.exit_code, RN_EXIT_RUNTIME);
    fake_env_advance(&f->env, 10 * RN_SECOND);
    assert_int_equal(channel->call_count, 6);
}

static void test_label_becomes_free(void **state) {
    fixture *f = *state;
    rpcnet_channel *channel = &fake_world_get()->channel;
    set_state(channel, RPCNET_CHANNEL_READY);
    answer(channel->calls[0], RPCNET_GRPC_ALREADY_EXISTS);
    fake_env_advance(&f->env, 100 * RN_MILLISECOND);
    answer(channel->calls[1], RPCNET_GRPC_OK);
    assert_true(logged(f, "registered with director"));
    assert_false(f->worker.program.exited);
}

/* Streams of a director that is gone end when its next life has taken us. */
static void test_orphans(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_channel *channel = &fake_world_get()->channel;
    rpcnet_call *orphan = serve(f);
    assign(orphan, 0, FOREVER_CREDIT, &assignment); /* of epoch 1 */
    assign(NULL, 0, 0, &assignment);
    assignment.assignment.director_epoch = 5;
    assignment.assignment.client_messages = (rn_repeated){0};
    assignment.assignment.half_closed = false;
    rpcnet_call *own = serve(f);
    give(own, &assignment);
    rpcnet_call *probe = serve(f);
    give(probe, &(rn_director_frame){.kind = RN_DIRECTOR_PROBE, .probe = 1});
    set_state(channel, RPCNET_CHANNEL_READY);
    assert_false(orphan->deleted);
    answer(channel->calls[0], RPCNET_GRPC_OK); /* of epoch 5 */
    assert_true(orphan->deleted && !orphan->finished);
    assert_false(own->deleted || probe->deleted);
    assert_int_equal(f->worker.streams, 1); /* its own, whose request is still to come */
    assert_true(logged(f, "INFO worker] worker=worker-a stream.id=1 connection.id=conn-1 its "
                          "director is gone; stream dropped\n"));
    end_call(orphan);
    end_call(own);
    end_call(probe);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_registration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registers_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reasons_are_quoted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_short_registration_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_label_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_label_becomes_free, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphans, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
