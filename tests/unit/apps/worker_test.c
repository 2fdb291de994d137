/* Tests of the worker: the streams that it serves, and how they end. */
#include "worker_fixture.h"

/* An assignment of a Generate whose request has not come. */
static void assign_without_request(rpcnet_call *call, rn_director_frame *out) {
    assign(NULL, 0, FOREVER_CREDIT, out);
    out->assignment.client_messages = (rn_repeated){0};
    out->assignment.half_closed = false;
    give(call, out);
    assert_int_equal(call->sent, 0);
}

static void send_request(rpcnet_call *call) {
    static const char two_tokens[] = {0x10, 2};
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_CLIENT_MESSAGE,
                                    .client_message = {1, rn_bytes_of(two_tokens, 2)}});
}

static rpcnet_call *call_directly(fixture *f) {
    rpcnet_call *call = fake_call_new(RN_ROLE_CLIENT);
    rn_task_generate(f->worker.user, call, &f->worker);
    return call;
}

static void assert_refused(rpcnet_call *call, const char *reason) {
    assert_int_equal(call->sent, 1);
    assert_int_equal(frame_at(call, 0).kind, RN_WORKER_REFUSED);
    assert_true(rn_bytes_is(frame_at(call, 0).refused, reason));
    assert_true(call->finished && call->code == RPCNET_GRPC_OK);
}

static void test_stream(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *call = serve(f);
    assert_true(logged(f, "worker=worker-a director=127.0.0.1:9 stream handler invoked; waiting "
                          "for assignment\n"));
    assign(call, 3, FOREVER_CREDIT, &assignment);
    assert_true(logged(f, "INFO worker] worker=worker-a stream.id=1 connection.id=conn-1 "
                          "prompt=prompt-7 accepted handoff from director\n"));
    assert_int_equal(call->sent, 2); /* Connected and the first token at once */
    assert_int_equal(frame_at(call, 0).kind, RN_WORKER_EVENT);
    fake_env_advance(&f->env, INTERVAL_MS * RN_MILLISECOND - 1);
    assert_int_equal(call->sent, 2);
    fake_env_advance(&f->env, 1);
    assert_int_equal(call->sent, 3);
    fake_env_advance(&f->env, INTERVAL_MS * RN_MILLISECOND);
    assert_int_equal(call->sent, 6); /* the last token, Done's message, the frame Done */
    for (size_t i = 1; i <= 4; i++) {
        rn_worker_frame frame = frame_at(call, i);
        assert_int_equal(frame.kind, RN_WORKER_MESSAGE);
        assert_int_equal(frame.message.sequence, i);
    }
    assert_int_equal(frame_at(call, 5).kind, RN_WORKER_DONE);
    assert_int_equal(frame_at(call, 5).done.code, RPCNET_GRPC_OK);
    assert_true(call->finished && call->code == RPCNET_GRPC_OK);
    assert_true(logged(f, "worker=worker-a stream.id=1 connection.id=conn-1 seq=1 sending token"));
    assert_int_equal(f->worker.streams, 0);
    end_call(call);
}

static void test_resume_tells_swap(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *first = serve(f);
    assign(first, 0, FOREVER_CREDIT, &assignment);
    rn_records delivered;
    rn_records requests;
    rn_records_init(&delivered, RN_ASSIGNMENT_DELIVERED, 1 << 16, NULL);
    rn_records_append(&delivered, frame_at(first, 1).message.payload);
    char prompt[] = "prompt-7";
    ConnectionSwap__GenerateRequest request = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    request.prompt = prompt;
    rn_buffer packed;
    rn_buffer_init(&packed, 4096);
    rn_message_pack(&packed, &request.base);
    rn_records_init(&requests, RN_ASSIGNMENT_CLIENT_MESSAGES, 4096, NULL);
    rn_records_append(&requests, rn_buffer_bytes(&packed));
    assignment.assignment.client_messages = rn_records_list(&requests);
    assignment.assignment.attempt = 2;
    assignment.assignment.next_sequence = 2;
    assignment.assignment.delivered = rn_records_list(&delivered);
    assignment.assignment.previous_worker = rn_bytes_text("worker-b");
    assignment.assignment.swap_reason = RN_SWAP_KILLED;
    assignment.assignment.swap_message = rn_bytes_text("worker-b was killed");
    rpcnet_call *second = serve(f);
    give(second, &assignment);
    fake_env_advance(&f->env, INTERVAL_MS * RN_MILLISECOND);
    /* token 2 of either is the same */
    assert_true(rn_bytes_equal(fake_call_message(first, 2), fake_call_message(second, 1)));
    rn_bytes event = frame_at(second, 0).event;
    ConnectionSwap__GenerateResponse *response =
        connection_swap__generate_response__unpack(NULL, event.len, event.data);
    assert_non_null(response);
    assert_string_equal(response->connected->worker, "worker-a");
    assert_string_equal(response->connected->swap->previous_worker, "worker-b");
    assert_int_equal(response->connected->swap->reason,
                     CONNECTION_SWAP__SWAP_REASON__SWAP_REASON_KILLED);
    assert_string_equal(response->connected->swap->message, "worker-b was killed");
    connection_swap__generate_response__free_unpacked(response, NULL);
    rn_records_fini(&requests);
    rn_records_fini(&delivered);
    rn_buffer_fini(&packed);
    end_call(first);
    end_call(second);
}

static void test_credit(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *call = serve(f);
    assign(call, 0, 0, &assignment);
    fake_env_advance(&f->env, RN_SECOND);
    assert_int_equal(call->sent, 1); /* Connected needs none */
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_CREDIT, .credit = 1});
    assert_int_equal(call->sent, 2);
    fake_env_advance(&f->env, RN_SECOND);
    assert_int_equal(call->sent, 2); /* one message may go beyond, not two */
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_CREDIT, .credit = FOREVER_CREDIT});
    assert_int_equal(call->sent, 3);
    end_call(call);
}

static void test_slow_call(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *call = serve(f);
    call->room = 2;
    assign(call, 0, FOREVER_CREDIT, &assignment);
    fake_env_advance(&f->env, 10 * RN_SECOND);
    assert_int_equal(call->sent, 2);
    fake_call_give_room(call, SIZE_MAX);
    assert_int_equal(call->sent, 4); /* the kept one, the next one; no burst of ten seconds */
    size_t sent = call->sent;
    for (size_t i = 1; i < sent; i++) {
        assert_int_equal(frame_at(call, i).message.sequence, i);
    }
    /* what is kept is sent before a failure */
    call->room = 0;
    fake_env_advance(&f->env, INTERVAL_MS * RN_MILLISECOND);
    fake_env_advance(&f->env, 5 * RN_SECOND); /* the simulated failure */
    assert_int_equal(call->sent, sent);
    assert_false(call->finished);
    fake_call_give_room(call, SIZE_MAX);
    assert_int_equal(call->sent, sent + 2);
    assert_int_equal(frame_at(call, sent).message.sequence, sent);
    assert_int_equal(frame_at(call, sent + 1).kind, RN_WORKER_FAILURE);
    assert_true(call->finished);
    end_call(call);
}

static void test_simulated_failure(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *calls[3];
    for (size_t i = 0; i < 2; i++) {
        calls[i] = serve(f);
        assign(calls[i], 0, FOREVER_CREDIT, &assignment);
    }
    fake_env_advance(&f->env, 15 * RN_SECOND - 1);
    assert_false(calls[0]->finished || calls[1]->finished);
    fake_env_advance(&f->env, 1);
    for (size_t i = 0; i < 2; i++) {
        rn_worker_frame last = frame_at(calls[i], calls[i]->sent - 1);
        assert_int_equal(last.kind, RN_WORKER_FAILURE);
        assert_true(rn_bytes_is(last.failure.message, "worker-a simulated failure"));
        assert_true(last.failure.retry && !last.failure.drain && calls[i]->finished);
        end_call(calls[i]);
    }
    assert_true(logged(f, "WARN worker] worker=worker-a stream.id=1 connection.id=conn-1 "
                          "simulating failure after 15s\n"));
    assert_int_equal(fake_world_get()->health, RPCNET_NOT_SERVING);
    fake_env_advance(&f->env, 10 * RN_SECOND - 1);
    rpcnet_call *call = serve(f);
    assign(call, 0, FOREVER_CREDIT, &assignment);
    assert_int_equal(frame_at(call, 0).kind, RN_WORKER_REFUSED);
    assert_true(rn_bytes_is(frame_at(call, 0).refused, "recovering"));
    end_call(call);
    fake_env_advance(&f->env, 1);
    assert_int_equal(fake_world_get()->health, RPCNET_SERVING);
    call = serve(f);
    assign(call, 0, FOREVER_CREDIT, &assignment);
    assert_int_equal(frame_at(call, 0).kind, RN_WORKER_EVENT);
    end_call(call);
}

static void test_refused_when_full(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *calls[3];
    for (size_t i = 0; i < 3; i++) { /* the limit is 2 */
        calls[i] = serve(f);
        assign(calls[i], 0, FOREVER_CREDIT, &assignment);
        assert_int_equal(frame_at(calls[i], 0).kind, i < 2 ? RN_WORKER_EVENT : RN_WORKER_REFUSED);
    }
    for (size_t i = 0; i < 3; i++) {
        end_call(calls[i]);
    }
}

static void test_probe(void **state) {
    fixture *f = *state;
    rpcnet_call *call = serve(f);
    for (uint64_t n = 1; n <= 3; n++) {
        give(call, &(rn_director_frame){.kind = RN_DIRECTOR_PROBE, .probe = n});
        assert_int_equal(call->sent, n);
        assert_int_equal(frame_at(call, n - 1).kind, RN_WORKER_PROBE_REPLY);
        assert_int_equal(frame_at(call, n - 1).probe_reply, n);
    }
    assert_int_equal(f->worker.streams, 0);
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_CANCEL});
    assert_true(call->finished);
    end_call(call);
}

static void test_only_directors(void **state) {
    fixture *f = *state;
    static const char *const others[] = {"", "rpcnet://role/worker/worker-b",
                                         "rpcnet://role/director2", "rpcnet://role/x a=b"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        rpcnet_call *call = fake_call_new(others[i]);
        rn_task_serve(f->worker.user, call, &f->worker);
        assert_true(call->finished && call->code == RPCNET_GRPC_PERMISSION_DENIED);
        end_call(call);
    }
    assert_true(logged(f, "WARN worker] worker=worker-a peer=127.0.0.1:9 "
                          "identity=rpcnet://role/director2 only a director may call Serve\n"));
    assert_true(logged(f, "identity=\"rpcnet://role/x a=b\" only a director may call Serve\n"));
}

static void test_direct_calls_of_others(void **state) {
    fixture *f = *state;
    static const char *const others[] = {"",
                                         "rpcnet://role/worker/worker-a",
                                         "rpcnet://role/worker/worker-b",
                                         "rpcnet://role/clients",
                                         "rpcnet://role/client/x",
                                         "rpcnet://role/director2"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        rpcnet_call *call = fake_call_new(others[i]);
        rn_task_generate(f->worker.user, call, &f->worker);
        assert_true(call->finished && call->code == RPCNET_GRPC_PERMISSION_DENIED);
        end_call(call);
    }
    assert_int_equal(f->worker.counters.direct_calls, 0);
}

static void test_direct(void **state) {
    fixture *f = *state;
    static const uint8_t two_tokens[] = {0x10, 2};
    static const char *const callers[] = {RN_ROLE_CLIENT, RN_ROLE_DIRECTOR};
    for (size_t i = 0; i < sizeof callers / sizeof callers[0]; i++) {
        rpcnet_call *call = fake_call_new(callers[i]);
        rn_task_generate(f->worker.user, call, &f->worker);
        call->callbacks->on_message(call, two_tokens, sizeof two_tokens, call->user);
        call->callbacks->on_half_close(call, call->user);
        fake_env_advance(&f->env, RN_SECOND);
        assert_int_equal(call->sent, 4); /* Connected, two tokens, Done */
        assert_true(call->finished && call->code == RPCNET_GRPC_OK);
        end_call(call);
    }
}

static void test_end_of_calls(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    /* a cancel */
    rpcnet_call *call = serve(f);
    assign(call, 0, FOREVER_CREDIT, &assignment);
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_CANCEL});
    assert_true(call->finished && call->code == RPCNET_GRPC_CANCELLED);
    assert_int_equal(f->worker.streams, 0);
    end_call(call);
    /* the connection is lost */
    call = serve(f);
    assign(call, 0, FOREVER_CREDIT, &assignment);
    call->callbacks->on_cancelled(call, RPCNET_GRPC_UNAVAILABLE, call->user);
    assert_int_equal(f->worker.streams, 0);
    assert_true(logged(f, "connection.id=conn-1 code=UNAVAILABLE director ended the call\n"));
    end_call(call);
    /* likewise a direct one */
    call = call_directly(f);
    call->callbacks->on_cancelled(call, RPCNET_GRPC_CANCELLED, call->user);
    assert_int_equal(f->worker.streams, 0);
    assert_true(logged(f, "connection.id=conn-1 code=CANCELLED caller ended the call\n"));
    end_call(call);
    /* faults: reset, never finished */
    call = serve(f);
    call->callbacks->on_message(call, "\xff", 1, call->user);
    assert_true(call->deleted && !call->finished);
    end_call(call);
    call = serve(f);
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_ACK, .ack = 1});
    assert_true(call->deleted && !call->finished);
    end_call(call);
    /* another method, no request, garbage for a request */
    call = serve(f);
    assign(NULL, 0, 0, &assignment);
    assignment.assignment.method = rn_bytes_text("/other.Service/Method");
    assignment.assignment.client_messages = (rn_repeated){0};
    give(call, &assignment);
    assert_int_equal(frame_at(call, 0).done.code, RPCNET_GRPC_UNIMPLEMENTED);
    end_call(call);
    call = serve(f);
    assignment.assignment.method = rn_bytes_text("/connection_swap.Inference/Generate");
    give(call, &assignment);
    assert_int_equal(frame_at(call, 0).done.code, RPCNET_GRPC_INVALID_ARGUMENT);
    end_call(call);
    call = serve(f);
    assignment.assignment.half_closed = false;
    give(call, &assignment);
    assert_int_equal(call->sent, 0); /* the request is still to come */
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_CLIENT_MESSAGE,
                                    .client_message = {1, rn_bytes_text("\xff")}});
    assert_int_equal(frame_at(call, 0).done.code, RPCNET_GRPC_INVALID_ARGUMENT);
    end_call(call);
}

/* What docs/limits.md says of both ports. */
static void test_handshakes(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const rpcnet_limits *limits = &fake_world_get()->servers[i].limits;
        assert_int_equal(limits->handshakes_max, 512);
        assert_int_equal(limits->handshakes_per_address, 128);
        assert_int_equal(limits->handshake_timeout_ns, 3 * RN_SECOND);
    }
}

static void test_drain(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *probe = serve(f);
    rpcnet_call *call = serve(f);
    give(probe, &(rn_director_frame){.kind = RN_DIRECTOR_PROBE, .probe = 1});
    assign(call, 0, FOREVER_CREDIT, &assignment);
    f->worker.program.stop(f->worker.program.stop_user);
    rn_worker_frame last = frame_at(call, call->sent - 1);
    assert_int_equal(last.kind, RN_WORKER_FAILURE);
    assert_true(last.failure.drain && last.failure.retry);
    rpcnet_call *late = serve(f); /* a handoff that crossed it */
    assign(late, 0, FOREVER_CREDIT, &assignment);
    assert_true(rn_bytes_is(frame_at(late, 0).refused, "draining"));
    assert_false(probe->finished);
    assert_false(fake_world_get()->servers[0].draining);
    end_call(call);
    end_call(late);
    assert_true(probe->finished);
    assert_true(fake_world_get()->servers[0].draining && fake_world_get()->servers[1].draining);
    assert_false(f->worker.program.exited);
    end_call(probe);
    for (size_t i = 0; i < 2; i++) {
        rpcnet_server *server = &fake_world_get()->servers[i];
        server->options.callbacks.on_drained(server, server->options.user);
    }
    assert_true(f->worker.program.exited);
    assert_int_equal(f->worker.program.exit_code, RN_EXIT_OK);
}

static void test_drain_timeout(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *call = serve(f);
    call->room = 0;
    assign(call, 0, FOREVER_CREDIT, &assignment);
    f->worker.program.stop(f->worker.program.stop_user);
    fake_env_advance(&f->env, 10 * RN_SECOND - 1);
    assert_false(f->worker.program.exited);
    fake_env_advance(&f->env, 1);
    assert_true(f->worker.program.exited);
    assert_int_equal(f->worker.program.exit_code, RN_EXIT_OK);
    end_call(call);
}

/* The client has opened its call and said nothing yet: the stream is another worker's at once, and
 * nothing holds up the end. */
static void test_drain_before_the_request(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *silent = serve(f);
    rpcnet_call *direct = call_directly(f);
    assign_without_request(silent, &assignment);
    f->worker.program.stop(f->worker.program.stop_user);
    assert_refused(silent, "draining");
    assert_true(direct->finished && direct->code == RPCNET_GRPC_UNAVAILABLE);
    send_request(silent); /* it crossed the refusal */
    assert_int_equal(silent->sent, 1);
    assert_int_equal(f->worker.counters.refusals, 1);
    assert_int_equal(f->worker.counters.handed_back, 1);
    end_call(silent);
    assert_false(fake_world_get()->servers[0].draining);
    end_call(direct);
    assert_true(fake_world_get()->servers[0].draining && fake_world_get()->servers[1].draining);
}

static void test_simulated_failure_before_the_request(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *silent = serve(f);
    rpcnet_call *served = serve(f);
    assign_without_request(silent, &assignment);
    assign(served, 0, FOREVER_CREDIT, &assignment);
    fake_env_advance(&f->env, 15 * RN_SECOND);
    assert_refused(silent, "recovering");
    send_request(silent);
    assert_int_equal(silent->sent, 1);
    assert_int_equal(frame_at(served, served->sent - 1).kind, RN_WORKER_FAILURE);
    assert_int_equal(f->worker.streams, 0);
    rpcnet_call *direct = call_directly(f);
    assert_true(direct->finished && direct->code == RPCNET_GRPC_UNAVAILABLE);
    end_call(direct);
    end_call(silent);
    end_call(served);
}

/* Those whose request is still to come have their places. */
static void test_full_before_the_request(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *silent = serve(f);
    rpcnet_call *direct = call_directly(f);
    assign_without_request(silent, &assignment);
    assert_int_equal(f->worker.streams, 2); /* the limit */
    rpcnet_call *late = serve(f);
    assign(late, 0, FOREVER_CREDIT, &assignment);
    assert_refused(late, "full");
    rpcnet_call *late_direct = call_directly(f);
    assert_true(late_direct->finished && late_direct->code == RPCNET_GRPC_UNAVAILABLE);
    assert_string_equal(late_direct->message, "full");
    send_request(silent);
    assert_int_equal(frame_at(silent, 0).kind, RN_WORKER_EVENT);
    assert_int_equal(f->worker.streams, 2);
    /* A place that was given up is another's. */
    end_call(direct);
    assert_int_equal(f->worker.streams, 1);
    rpcnet_call *next = serve(f);
    assign_without_request(next, &assignment);
    give(next, &(rn_director_frame){.kind = RN_DIRECTOR_HALF_CLOSE});
    assert_int_equal(frame_at(next, 0).done.code, RPCNET_GRPC_INVALID_ARGUMENT);
    assert_int_equal(f->worker.streams, 1);
    end_call(next);
    end_call(late);
    end_call(late_direct);
    end_call(silent);
    assert_int_equal(f->worker.streams, 0);
}

/* The client's messages come while it runs; Done comes after the last one. */
static void test_chat(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    assign(NULL, 0, FOREVER_CREDIT, &assignment);
    assignment.assignment.method = rn_bytes_text("/connection_swap.Inference/Chat");
    assignment.assignment.client_messages = (rn_repeated){0};
    assignment.assignment.half_closed = false;
    rpcnet_call *call = serve(f);
    give(call, &assignment);
    assert_int_equal(call->sent, 1); /* Connected */
    fake_env_advance(&f->env, RN_SECOND);
    assert_int_equal(call->sent, 1);
    static const char two_tokens[] = {0x10, 2};
    for (uint64_t n = 1; n <= 2; n++) {
        give(call, &(rn_director_frame){.kind = RN_DIRECTOR_CLIENT_MESSAGE,
                                        .client_message = {n, rn_bytes_of(two_tokens, 2)}});
        fake_env_advance(&f->env, RN_SECOND);
        assert_int_equal(call->sent, 1 + 2 * n);
    }
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_HALF_CLOSE});
    assert_int_equal(call->sent, 7); /* Done's message, the frame Done */
    assert_int_equal(frame_at(call, 6).done.code, RPCNET_GRPC_OK);
    end_call(call);
    call = serve(f);
    give(call, &assignment);
    give(call, &(rn_director_frame){.kind = RN_DIRECTOR_CLIENT_MESSAGE,
                                    .client_message = {1, rn_bytes_text("\xff")}});
    assert_int_equal(frame_at(call, 1).done.code, RPCNET_GRPC_INVALID_ARGUMENT);
    end_call(call);
}

static void test_one_stream_stalls(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *calls[2];
    f->worker.config.stall_after = 3;
    for (size_t i = 0; i < 2; i++) {
        calls[i] = serve(f);
        assign(calls[i], 0, FOREVER_CREDIT, &assignment);
    }
    fake_env_advance(&f->env, RN_SECOND);
    assert_true(logged(f, "simulating a stall after 3 tokens\n"));
    assert_int_equal(calls[0]->sent, 4); /* Connected, three tokens */
    assert_int_equal(calls[1]->sent, 12);
    give(calls[0], &(rn_director_frame){.kind = RN_DIRECTOR_CREDIT, .credit = FOREVER_CREDIT + 1});
    assert_int_equal(calls[0]->sent, 4);
    end_call(calls[0]);
    end_call(calls[1]);
}

static void test_a_drained_worker_does_not_recover(void **state) {
    fixture *f = *state;
    rn_director_frame assignment;
    rpcnet_call *call = serve(f);
    call->room = 1;
    assign(call, 0, FOREVER_CREDIT, &assignment);
    fake_env_advance(&f->env, 15 * RN_SECOND); /* the simulated failure, which cannot be sent */
    fake_env_advance(&f->env, RN_SECOND);
    f->worker.program.stop(f->worker.program.stop_user);
    fake_env_advance(&f->env, 9 * RN_SECOND);
    assert_false(logged(f, "taking streams again"));
    assert_int_equal(fake_world_get()->health, RPCNET_NOT_SERVING);
    end_call(call);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resume_tells_swap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_credit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_simulated_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_when_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_probe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_directors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_direct_calls_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_direct, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handshakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_before_the_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_simulated_failure_before_the_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_before_the_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_stream_stalls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_drained_worker_does_not_recover, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
