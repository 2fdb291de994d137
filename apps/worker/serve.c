/* serve: rpcnet.v1.Worker/Serve, the frames that the director sends. */
#include <inttypes.h>
#include <stdlib.h>

#include "swap/assignment.h"
#include "worker/worker.h"

static const char generate_path[] = "/connection_swap.Inference/Generate";
static const char chat_path[] = "/connection_swap.Inference/Chat";

static void log_task(const rn_task *task, enum rn_log_level level, const char *text) {
    const rn_worker *worker = task->worker;
    RN_LOG(worker->program.log, level, worker->program.target,
           "worker=%s stream.id=%" PRIu64 " connection.id=%s %s", worker->config.label,
           task->stream_id, task->connection_id, text);
}

static void send_done(rn_task *task, uint32_t code, const char *message) {
    if (rn_serving_end(&task->serving) == RPCNET_OK) {
        rn_task_send_frame(
            task, &(rn_worker_frame){.kind = RN_WORKER_DONE,
                                     .done = {.code = code, .message = rn_bytes_text(message)}});
    }
    rn_task_end(task, RPCNET_GRPC_OK, NULL);
}

/* Without memory to go on: another worker may have it. */
static void hand_on(rn_task *task) {
    static const char why[] = "out of memory";
    if (task->serving.answered) {
        rn_task_give_back(task, why, false);
    } else {
        rn_task_refuse(task, why);
    }
}

/* A request that kills its workers, for trying out what the director does about it. */
static void die_if_told(const rn_task *task) {
    const char *prompt = task->worker->config.die_on_prompt;
    if (prompt != NULL && strcmp(prompt, task->generator.prompt) == 0) {
        log_task(task, RN_LOG_WARN, "dying of the prompt, as told");
        abort();
    }
}

/* The request is known: from here on the stream is ours, unless it cannot be gone on with. */
static void begin(rn_task *task, const rn_assignment *assignment) {
    const rn_worker *worker = task->worker;
    die_if_told(task);
    int result = assignment != NULL ? rn_generator_resume(&task->generator, assignment) : RPCNET_OK;
    if (result == RPCNET_ERR_MEMORY) {
        hand_on(task);
        return;
    }
    if (result != RPCNET_OK) {
        log_task(task, RN_LOG_ERROR, "what was delivered so far does not belong to the request");
        send_done(task, RPCNET_GRPC_DATA_LOSS,
                  "what was delivered so far does not belong to the request");
        return;
    }
    RN_INFO(worker->program.log, worker->program.target,
            "worker=%s stream.id=%" PRIu64 " connection.id=%s prompt=%s "
            "accepted handoff from director",
            worker->config.label, task->stream_id, task->connection_id,
            task->generator.prompt_value);
    rn_task_run(task);
}

static void begin_generate(rn_task *task, rn_bytes request, const rn_assignment *assignment) {
    int result = rn_generator_start(&task->generator, task->worker->model, request);
    if (result == RPCNET_OK) {
        begin(task, assignment);
    } else if (result == RPCNET_ERR_MEMORY) {
        hand_on(task);
    } else {
        send_done(task, RPCNET_GRPC_INVALID_ARGUMENT, "the request is no GenerateRequest");
    }
}

/* False: the stream has ended. */
static bool add_chat(rn_task *task, rn_bytes message) {
    int result = rn_generator_chat(&task->generator, message);
    if (result == RPCNET_OK) {
        return true;
    }
    if (result == RPCNET_ERR_PARSE) {
        send_done(task, RPCNET_GRPC_INVALID_ARGUMENT, "the message is no ChatMessage");
    } else if (result == RPCNET_ERR_MEMORY) {
        hand_on(task);
    } else {
        task->worker->counters.chats_refused++;
        send_done(task, RPCNET_GRPC_RESOURCE_EXHAUSTED, "more messages than can wait");
    }
    return false;
}

static void begin_chat(rn_task *task, const rn_assignment *assignment) {
    rn_repeated walk = assignment->client_messages;
    rn_bytes message;
    rn_generator_start_chat(&task->generator, task->worker->model);
    while (rn_repeated_next(&walk, &message)) {
        if (!add_chat(task, message)) {
            return;
        }
    }
    if (assignment->half_closed) {
        rn_generator_half_close(&task->generator);
    }
    begin(task, assignment);
}

static void take_assignment(rn_task *task, const rn_assignment *assignment) {
    task->kind = RN_TASK_STREAM;
    task->worker->counters.assignments++;
    task->stream_id = assignment->stream_id;
    rn_sentence_copy(task->connection_id, sizeof task->connection_id, assignment->connection_id);
    rn_sentence_copy(task->previous_worker, sizeof task->previous_worker,
                     assignment->previous_worker);
    rn_sentence_copy(task->swap_message, sizeof task->swap_message, assignment->swap_message);
    task->swap_reason = assignment->swap_reason;
    const char *refusal = rn_task_take(task);
    if (refusal != NULL) {
        rn_task_refuse(task, refusal);
        return;
    }
    if (rn_bytes_is(assignment->method, chat_path)) {
        begin_chat(task, assignment);
        return;
    }
    if (!rn_bytes_is(assignment->method, generate_path)) {
        send_done(task, RPCNET_GRPC_UNIMPLEMENTED,
                  "this worker knows Inference.Generate and Inference.Chat alone");
        return;
    }
    rn_repeated walk = assignment->client_messages;
    rn_bytes request;
    if (assignment->client_messages.count > 1) {
        send_done(task, RPCNET_GRPC_INVALID_ARGUMENT, "the call has more than one request");
    } else if (rn_repeated_next(&walk, &request)) {
        begin_generate(task, request, assignment);
    } else if (assignment->half_closed) {
        send_done(task, RPCNET_GRPC_INVALID_ARGUMENT, "the call has no request");
    } else if (assignment->next_sequence > 1) {
        send_done(task, RPCNET_GRPC_DATA_LOSS, "messages were delivered without a request");
    }
}

static void take_client_message(rn_task *task, rn_bytes request) {
    if (task->generator.chat) {
        if (add_chat(task, request)) {
            rn_task_resume(task);
        }
        return;
    }
    if (task->running) {
        send_done(task, RPCNET_GRPC_INVALID_ARGUMENT, "the call has more than one request");
        return;
    }
    begin_generate(task, request, NULL);
}

static void take_half_close(rn_task *task) {
    if (task->generator.chat) {
        rn_generator_half_close(&task->generator);
        rn_task_resume(task);
    } else if (!task->running) {
        send_done(task, RPCNET_GRPC_INVALID_ARGUMENT, "the call has no request");
    }
}

/* True while the task exists. */
static bool take_stream_frame(rn_task *task, const rn_director_frame *frame) {
    const char *why = "";
    switch (rn_serving_frame(&task->serving, frame, &why)) {
    case RN_SERVING_IGNORE:
        return true;
    case RN_SERVING_ASSIGNED:
        take_assignment(task, &frame->assignment);
        return true;
    case RN_SERVING_CLIENT_MESSAGE:
        take_client_message(task, frame->client_message.payload);
        return true;
    case RN_SERVING_HALF_CLOSED:
        take_half_close(task);
        return true;
    case RN_SERVING_ROOM:
        rn_task_resume(task);
        return true;
    case RN_SERVING_CANCELLED:
        log_task(task, RN_LOG_INFO, "stream cancelled by director");
        rn_task_end(task, RPCNET_GRPC_CANCELLED, "cancelled");
        return true;
    case RN_SERVING_FAULT:
        break;
    }
    log_task(task, RN_LOG_WARN, why);
    task->worker->counters.protocol_faults++;
    rn_task_del(task);
    return false;
}

static void take_probe(rn_task *task, const rn_director_frame *frame) {
    if (frame->kind == RN_DIRECTOR_NONE) {
        return;
    }
    if (frame->kind != RN_DIRECTOR_PROBE) {
        log_task(task, RN_LOG_WARN, "a frame of a stream on the probe channel");
        task->worker->counters.protocol_faults++;
        rn_task_end(task, RPCNET_GRPC_INVALID_ARGUMENT, "the probe channel carries only probes");
        return;
    }
    /* A reply that finds no room is as good as none: later ones follow. */
    if (rn_outbox_empty(&task->outbox)) {
        uint8_t reply[RN_FRAME_PREFIX_MAX];
        rn_outbox_send(&task->outbox, task->call, rn_bytes_of(NULL, 0),
                       rn_bytes_of(reply, rn_frame_probe_reply(reply, frame->probe)));
    }
}

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    rn_task *task = user;
    rn_director_frame frame;
    if (task->ended) {
        return;
    }
    if (rn_director_frame_parse(&frame, rn_bytes_of(data, len)) != RPCNET_OK) {
        log_task(task, RN_LOG_WARN, "a malformed frame from director");
        task->worker->counters.protocol_faults++;
        rn_task_del(task);
        return;
    }
    if (task->kind == RN_TASK_NEW && frame.kind == RN_DIRECTOR_PROBE) {
        task->kind = RN_TASK_PROBE;
        log_task(task, RN_LOG_DEBUG, "probe channel open");
    }
    if (task->kind == RN_TASK_PROBE) {
        take_probe(task, &frame);
    } else {
        take_stream_frame(task, &frame);
    }
}

static void on_half_close(rpcnet_call *call, void *user) {
    (void)call;
    rn_task *task = user;
    if (task->kind == RN_TASK_NEW) {
        rn_task_end(task, RPCNET_GRPC_INVALID_ARGUMENT, "no assignment came");
    } else if (task->kind == RN_TASK_PROBE) {
        rn_task_end(task, RPCNET_GRPC_OK, NULL);
    }
}

void rn_task_serve(rpcnet_server *server, rpcnet_call *call, void *user) {
    (void)server;
    static const rpcnet_call_callbacks callbacks = {
        .on_message = on_message,
        .on_half_close = on_half_close,
        .on_cancelled = rn_task_on_cancelled,
        .on_writable = rn_task_on_writable,
        .on_closed = rn_task_on_closed,
    };
    rn_worker *worker = user;
    rpcnet_peer peer;
    rpcnet_call_peer(call, &peer);
    if (strcmp(peer.identity, RN_ROLE_DIRECTOR) != 0) {
        rn_task_deny(worker, call, &peer, "only a director may call Serve");
        return;
    }
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.receive_max = RN_ASSIGNMENT_BYTES_MAX;
    rpcnet_call_set_options(call, &options);
    rn_task *task = rn_task_new(worker, call, RN_TASK_NEW, &callbacks);
    if (task != NULL) {
        RN_INFO(worker->program.log, worker->program.target,
                "worker=%s director=%s stream handler invoked; waiting for assignment",
                worker->config.label, peer.address);
    }
}
