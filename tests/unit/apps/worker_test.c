/* Tests of the worker as a whole, without a network: a director's frames in, a worker's out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "support/fake_rpc.h"
#include "swap/reason.h"
#include "worker/worker.h"

enum { INTERVAL_MS = 100, LOG_MAX = 1 << 20, FOREVER_CREDIT = 1 << 30 };

typedef struct fixture {
    fake_env env;
    rn_worker worker;
    rn_buffer log;
    char certs[64];
    char option[96];
} fixture;

static uint64_t wall(void *user) {
    (void)user;
    return 0;
}

static bool keep_line(const char *line, size_t len, void *user) {
    return rn_buffer_append(user, line, len) == RPCNET_OK;
}

static void make_file(const char *folder, const char *name, const char *text) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *const files[] = {"ca.crt", "worker-a.crt", "worker-a.key", "cluster.secret"};

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    rn_program *program = &f->worker.program;
    const rn_program_spec *spec = rn_worker_spec();
    rn_buffer_init(&f->log, LOG_MAX);
    snprintf(f->certs, sizeof f->certs, "/tmp/rpcnet-worker-XXXXXX");
    assert_non_null(mkdtemp(f->certs));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        make_file(f->certs, files[i],
                  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
    }
    fake_world_reset();
    strcpy(fake_world_get()->credentials.identity, "rpcnet://role/worker/worker-a");
    /* What rn_program_start does, on the fake env. */
    char name[] = "worker";
    snprintf(f->option, sizeof f->option, "--certs-dir=%s", f->certs);
    char max[] = "--streams-max=2";
    char *argv[] = {name, f->option, max, NULL};
    char *envp[] = {NULL};
    assert_int_equal(
        rn_settings_read(&program->settings, spec->settings, &f->worker.config, 3, argv, envp),
        RPCNET_OK);
    program->spec = spec;
    program->target = spec->target;
    program->common = &f->worker.config.common;
    rn_log_sink sink = {.wall = wall, .write = keep_line, .user = &f->log};
    assert_int_equal(rn_log_new(&program->log, "info", &sink, NULL), RPCNET_OK);
    fake_env_init(&f->env, program->log);
    program->env = &f->env.env;
    assert_int_equal(rn_worker_open(&f->worker), RPCNET_OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    char path[160];
    rn_worker_close(&f->worker);
    assert_int_equal(fake_env_timers(&f->env), 0);
    rn_log_del(f->worker.program.log);
    rn_buffer_fini(&f->log);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", f->certs, files[i]);
        unlink(path);
    }
    rmdir(f->certs);
    fake_world_reset();
    free(f);
    return 0;
}

static bool logged(fixture *f, const char *text) {
    rn_buffer_append(&f->log, "", 1);
    f->log.len--;
    return strstr((const char *)f->log.data, text) != NULL;
}

static rpcnet_call *serve(fixture *f) {
    rpcnet_call *call = fake_call_new(RN_ROLE_DIRECTOR);
    rn_task_serve(f->worker.user, call, &f->worker);
    return call;
}

static void give(rpcnet_call *call, const rn_director_frame *frame) {
    rn_buffer bytes;
    rn_buffer_init(&bytes, 16 << 20);
    assert_int_equal(rn_director_frame_append(&bytes, frame), RPCNET_OK);
    call->callbacks->on_message(call, bytes.data, bytes.len, call->user);
    rn_buffer_fini(&bytes);
}

/* An assignment of a stream of `tokens` tokens, of which nothing was delivered. */
static void assign(rpcnet_call *call, uint64_t tokens, uint64_t credit, rn_director_frame *out) {
    char prompt[] = "prompt-7";
    ConnectionSwap__GenerateRequest request = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    request.prompt = prompt;
    request.tokens = tokens;
    rn_buffer packed;
    rn_records records;
    rn_buffer_init(&packed, 4096);
    rn_message_pack(&packed, &request.base);
    rn_records_init(&records, RN_ASSIGNMENT_CLIENT_MESSAGES, 4096, NULL);
    rn_records_append(&records, rn_buffer_bytes(&packed));
    *out = (rn_director_frame){
        .kind = RN_DIRECTOR_ASSIGNMENT,
        .assignment = {.connection_id = rn_bytes_text("conn-1"),
                       .stream_id = 1,
                       .director_epoch = 1,
                       .attempt = 1,
                       .method = rn_bytes_text("/connection_swap.Inference/Generate"),
                       .client_messages = rn_records_list(&records),
                       .half_closed = true,
                       .next_sequence = 1,
                       .delivered_from = 1,
                       .credit = credit}};
    if (call != NULL) {
        give(call, out);
    }
    rn_records_fini(&records);
    rn_buffer_fini(&packed);
}

static rn_worker_frame frame_at(const rpcnet_call *call, size_t index) {
    rn_worker_frame frame;
    assert_int_equal(rn_worker_frame_parse(&frame, fake_call_message(call, index)), RPCNET_OK);
    return frame;
}

static void end_call(rpcnet_call *call) {
    if (!call->deleted) {
        call->callbacks->on_closed(call, call->user);
    }
    assert_true(call->deleted);
    fake_call_free(call);
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
                                         "rpcnet://role/director2"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        rpcnet_call *call = fake_call_new(others[i]);
        rn_task_serve(f->worker.user, call, &f->worker);
        assert_true(call->finished && call->code == RPCNET_GRPC_PERMISSION_DENIED);
        end_call(call);
    }
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
        const rpcnet_limits *limits = &fake_world_get()->servers[i].options.limits;
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

/* ---- registration ---- */

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
    assert_true(logged(f, "WARN worker] worker=worker-a director=127.0.0.1:61001 err=port "
                          "unreachable cannot reach director; trying again"));
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
                               "err=nobody is there registration lost; registering again\n";
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
    assert_int_equal(f->worker.streams, 0);
    assert_true(logged(f, "INFO worker] worker=worker-a stream.id=1 connection.id=conn-1 its "
                          "director is gone; stream dropped\n"));
    end_call(orphan);
    end_call(own);
    end_call(probe);
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
        cmocka_unit_test_setup_teardown(test_direct, setup, teardown),
        cmocka_unit_test_setup_teardown(test_direct_calls_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handshakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_stream_stalls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registers_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_short_registration_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_label_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_label_becomes_free, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphans, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_drained_worker_does_not_recover, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
