/* task: pacing, sending and ending, alike for all calls. Messages are made only when they can be
 * sent or kept in the outbox, so that a slow reader slows the generation. */
#include "worker/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "worker/worker.h"

enum { CATCH_UP_MS = 20 };

static void tick(void *user);

void rn_task_deny(const rn_worker *worker, rpcnet_call *call, const rpcnet_peer *peer,
                  const char *why) {
    RN_WARN(worker->program.log, worker->program.target, "worker=%s peer=%s identity=%s %s",
            worker->config.label, peer->address, RN_TEXT_VALUE(rn_bytes_text(peer->identity)), why);
    rpcnet_call_finish(call, RPCNET_GRPC_PERMISSION_DENIED, why, NULL);
    rpcnet_call_del(call);
}

rn_task *rn_task_new(rn_worker *worker, rpcnet_call *call, enum rn_task_kind kind,
                     const rpcnet_call_callbacks *callbacks) {
    rn_task *task = calloc(1, sizeof *task);
    if (task == NULL ||
        rn_env_timer_new(worker->program.env, tick, task, &task->timer) != RPCNET_OK) {
        free(task);
        rpcnet_call_finish(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "no memory", NULL);
        rpcnet_call_del(call);
        return NULL;
    }
    task->worker = worker;
    task->call = call;
    task->kind = kind;
    rn_serving_init(&task->serving, worker->config.unacked_max, RN_SERVING_MESSAGE_LIMIT, NULL);
    rn_outbox_init(&task->outbox, RN_TASK_OUTBOX_MAX, NULL);
    rn_buffer_init(&task->message, RN_GENERATOR_MESSAGE_MAX + 2 * RN_SWAP_SENTENCE_SIZE);
    rn_list_append(&worker->tasks, &task->link);
    rpcnet_call_set_callbacks(call, callbacks, task);
    return task;
}

static void stop(rn_task *task) {
    task->worker->program.env->ops->timer_set(task->timer, RN_NEVER);
    task->running = false;
    if (task->taken) {
        task->taken = false;
        rn_worker_stream_ended(task->worker);
    }
}

void rn_task_del(rn_task *task) {
    if (task == NULL) {
        return;
    }
    rn_worker *worker = task->worker;
    stop(task);
    rn_list_remove(&task->link);
    worker->program.env->ops->timer_del(task->timer);
    rpcnet_call_del(task->call);
    rn_serving_fini(&task->serving);
    rn_generator_fini(&task->generator);
    rn_outbox_fini(&task->outbox);
    rn_buffer_fini(&task->message);
    free(task);
    rn_worker_task_gone(worker);
}

const char *rn_task_refusal(const rn_worker *worker) {
    if (worker->draining) {
        return "draining";
    }
    if (worker->outage.state == RN_OUTAGE_RECOVERING) {
        return "recovering";
    }
    uint64_t max = worker->config.streams_max;
    return max > 0 && worker->streams >= max ? "full" : NULL;
}

const char *rn_task_take(rn_task *task) {
    const char *refusal = rn_task_refusal(task->worker);
    if (refusal == NULL) {
        task->taken = true;
        rn_worker_stream_begins(task->worker);
    }
    return refusal;
}

static void finish_if_flushed(rn_task *task) {
    if (task->ended && !task->finished && rn_outbox_empty(&task->outbox)) {
        task->finished = true;
        rpcnet_call_finish(task->call, task->code, task->status[0] != '\0' ? task->status : NULL,
                           NULL);
    }
}

void rn_task_end(rn_task *task, int code, const char *status) {
    if (task->ended) {
        return;
    }
    stop(task);
    task->ended = true;
    task->code = code;
    snprintf(task->status, sizeof task->status, "%s", status != NULL ? status : "");
    finish_if_flushed(task);
}

/* What sending has failed with ends the call: there is no other way to tell. */
static void end_by_error(rn_task *task, int result) {
    if (result != RPCNET_OK) {
        rn_task_end(task, RPCNET_GRPC_INTERNAL, rpcnet_strerror(result));
    }
}

static int send_bytes(rn_task *task, const void *head, size_t head_len, rn_bytes data) {
    return task->ended
               ? RPCNET_ERR_STATE
               : rn_outbox_send(&task->outbox, task->call, rn_bytes_of(head, head_len), data);
}

void rn_task_send_frame(rn_task *task, const rn_worker_frame *frame) {
    rn_buffer bytes;
    rn_buffer_init(&bytes, RN_TASK_OUTBOX_MAX);
    int result = rn_worker_frame_append(&bytes, frame);
    if (result == RPCNET_OK) {
        result = send_bytes(task, NULL, 0, rn_buffer_bytes(&bytes));
    }
    rn_buffer_fini(&bytes);
    end_by_error(task, result);
}

/* The GenerateResponse in task->message, numbered when the director journals it. */
static int send_message(rn_task *task) {
    rn_bytes payload = rn_buffer_bytes(&task->message);
    if (task->kind == RN_TASK_DIRECT) {
        return send_bytes(task, NULL, 0, payload);
    }
    uint8_t prefix[RN_FRAME_PREFIX_MAX];
    uint64_t sequence = 0;
    int result = rn_serving_send(&task->serving, payload, &sequence);
    if (result != RPCNET_OK) {
        return result;
    }
    return send_bytes(task, prefix, rn_frame_message_prefix(prefix, sequence, payload.len),
                      payload);
}

static int send_checkpoint(rn_task *task, uint64_t sequence) {
    uint8_t state[RN_GENERATION_CHECKPOINT_LEN];
    uint8_t prefix[RN_FRAME_PREFIX_MAX];
    int result = rn_serving_checkpoint(&task->serving, sequence);
    if (result != RPCNET_OK) {
        return result;
    }
    rn_generation_checkpoint(&task->generator.generation, task->generator.model, state);
    return send_bytes(task, prefix, rn_frame_checkpoint_prefix(prefix, sequence, sizeof state),
                      rn_bytes_of(state, sizeof state));
}

static int send_connected(rn_task *task) {
    ConnectionSwap__GenerateResponse response = CONNECTION_SWAP__GENERATE_RESPONSE__INIT;
    ConnectionSwap__Connected connected = CONNECTION_SWAP__CONNECTED__INIT;
    ConnectionSwap__Swap swap = CONNECTION_SWAP__SWAP__INIT;
    char label[RN_LABEL_MAX + 1];
    snprintf(label, sizeof label, "%s", task->worker->config.label);
    connected.worker = label;
    connected.connection_id = task->connection_id;
    connected.stream_id = task->stream_id;
    if (task->previous_worker[0] != '\0') {
        swap.previous_worker = task->previous_worker;
        swap.reason = (ConnectionSwap__SwapReason)task->swap_reason;
        swap.message = task->swap_message;
        connected.swap = &swap;
    }
    response.frame_case = CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_CONNECTED;
    response.connected = &connected;
    int result = rn_message_pack(&task->message, &response.base);
    if (result != RPCNET_OK) {
        return result;
    }
    rn_bytes payload = rn_buffer_bytes(&task->message);
    if (task->kind == RN_TASK_DIRECT) {
        return send_bytes(task, NULL, 0, payload);
    }
    uint8_t prefix[RN_FRAME_PREFIX_MAX];
    result = rn_serving_event(&task->serving);
    return result != RPCNET_OK
               ? result
               : send_bytes(task, prefix, rn_frame_event_prefix(prefix, payload.len), payload);
}

static bool may_send(const rn_task *task) {
    return rn_outbox_empty(&task->outbox) &&
           (task->kind == RN_TASK_DIRECT ||
            rn_serving_may_send(&task->serving, RN_GENERATOR_MESSAGE_MAX));
}

/* Makes and sends one message. */
static int produce(rn_task *task) {
    rn_worker *worker = task->worker;
    uint64_t sequence = rn_generator_sequence(&task->generator);
    bool is_token = rn_generator_has_token(&task->generator);
    int result = rn_generator_next(&task->generator, &task->message);
    if (result != RPCNET_OK) {
        return result;
    }
    if (is_token) {
        RN_INFO(worker->program.log, worker->program.target,
                "worker=%s stream.id=%" PRIu64 " connection.id=%s seq=%" PRIu64 " sending token",
                worker->config.label, task->stream_id, task->connection_id, sequence);
    }
    result = send_message(task);
    worker->counters.tokens += result == RPCNET_OK && is_token;
    task->made += is_token;
    if (result == RPCNET_OK && is_token && task->kind == RN_TASK_STREAM &&
        rn_generator_checkpoint_due(&task->generator)) {
        result = send_checkpoint(task, sequence);
        worker->counters.checkpoints += result == RPCNET_OK;
    }
    return result;
}

static void end_of_stream(rn_task *task) {
    rn_worker *worker = task->worker;
    worker->counters.completed++;
    RN_INFO(worker->program.log, worker->program.target,
            "worker=%s stream.id=%" PRIu64 " connection.id=%s tokens=%" PRIu64 " stream complete",
            worker->config.label, task->stream_id, task->connection_id,
            task->generator.generation.next_sequence - 1);
    if (task->kind == RN_TASK_STREAM && rn_serving_end(&task->serving) == RPCNET_OK) {
        rn_task_send_frame(task, &(rn_worker_frame){.kind = RN_WORKER_DONE, .done = {.code = 0}});
    }
    rn_task_end(task, RPCNET_GRPC_OK, NULL);
}

/* Has this stream stopped, as told? */
static bool stalls(rn_task *task) {
    rn_worker *worker = task->worker;
    uint64_t after = worker->config.stall_after;
    if (after > 0 && task->made >= after && !worker->stalled) {
        worker->stalled = true;
        task->stalled = true;
        RN_WARN(worker->program.log, worker->program.target,
                "worker=%s stream.id=%" PRIu64 " connection.id=%s simulating a stall after %" PRIu64
                " tokens",
                worker->config.label, task->stream_id, task->connection_id, task->made);
    }
    return task->stalled;
}

/* The next message falls due an interval after the last one was. A late turn of the loop is made up
 * for, a stream that was held up is not. */
static void advance_due(rn_task *task, uint64_t now) {
    uint64_t late = now - task->due_ns;
    bool held_up = late > CATCH_UP_MS * RN_MILLISECOND && late > task->interval_ns;
    task->due_ns = (held_up ? now : task->due_ns) + task->interval_ns;
}

/* Each time once, however often it is looked at. */
static void note_wait(rn_task *task) {
    if (!task->waits && rn_outbox_empty(&task->outbox)) {
        task->worker->counters.waits++;
        task->waits = true;
    }
}

static void tick(void *user) {
    rn_task *task = user;
    rn_env *env = task->worker->program.env;
    uint64_t now = rn_env_now(env);
    int sent = 0;
    while (task->running && sent < RN_TASK_BATCH) {
        if (task->generator.done) {
            end_of_stream(task);
            return;
        }
        if (!may_send(task)) {
            note_wait(task);
            return; /* rn_task_resume */
        }
        if (rn_generator_waits(&task->generator) || stalls(task)) {
            return; /* rn_task_resume */
        }
        if (rn_generator_has_token(&task->generator)) {
            if (task->due_ns > now) {
                break;
            }
            advance_due(task, now);
        }
        task->waits = false;
        int result = produce(task);
        if (result != RPCNET_OK) {
            end_by_error(task, result);
            return;
        }
        sent++;
    }
    if (task->running) {
        env->ops->timer_set(task->timer, task->due_ns > now ? task->due_ns : now);
    }
}

void rn_task_run(rn_task *task) {
    rn_worker *worker = task->worker;
    task->running = true;
    task->interval_ns =
        task->generator.pace_ns > 0 ? task->generator.pace_ns : worker->config.token_interval_ns;
    task->due_ns = rn_env_now(worker->program.env);
    int result = send_connected(task);
    if (result != RPCNET_OK) {
        end_by_error(task, result);
        return;
    }
    tick(task);
}

void rn_task_resume(rn_task *task) {
    if (task->running) {
        tick(task);
    }
}

void rn_task_refuse(rn_task *task, const char *reason) {
    rn_worker *worker = task->worker;
    worker->counters.refusals++;
    RN_INFO(worker->program.log, worker->program.target,
            "worker=%s stream.id=%" PRIu64 " connection.id=%s reason=%s refused handoff",
            worker->config.label, task->stream_id, task->connection_id, reason);
    if (rn_serving_refuse(&task->serving) == RPCNET_OK) {
        rn_task_send_frame(
            task, &(rn_worker_frame){.kind = RN_WORKER_REFUSED, .refused = rn_bytes_text(reason)});
    }
    rn_task_end(task, RPCNET_GRPC_OK, NULL);
}

void rn_task_give_back(rn_task *task, const char *message, bool drain) {
    if (!task->taken) {
        return;
    }
    if (task->kind == RN_TASK_STREAM && !task->serving.answered) {
        rn_task_refuse(task, rn_task_refusal(task->worker));
        return;
    }
    rn_worker_counters *counters = &task->worker->counters;
    ++*(drain ? &counters->handed_back : &counters->failed);
    if (task->kind == RN_TASK_DIRECT) {
        rn_task_end(task, RPCNET_GRPC_UNAVAILABLE, message);
        return;
    }
    if (rn_serving_end(&task->serving) == RPCNET_OK) {
        rn_task_send_frame(task, &(rn_worker_frame){.kind = RN_WORKER_FAILURE,
                                                    .failure = {.message = rn_bytes_text(message),
                                                                .retry = true,
                                                                .drain = drain}});
    }
    rn_task_end(task, RPCNET_GRPC_OK, NULL);
}

void rn_task_on_writable(rpcnet_call *call, void *user) {
    rn_task *task = user;
    int result = rn_outbox_flush(&task->outbox, call);
    if (result != RPCNET_OK) {
        rn_task_del(task);
        return;
    }
    finish_if_flushed(task);
    rn_task_resume(task);
}

void rn_task_on_cancelled(rpcnet_call *call, int code, void *user) {
    (void)call;
    rn_task *task = user;
    const rn_worker *worker = task->worker;
    if (task->kind != RN_TASK_PROBE && !task->ended) {
        RN_INFO(worker->program.log, worker->program.target,
                "worker=%s stream.id=%" PRIu64 " connection.id=%s code=%s %s ended the call",
                worker->config.label, task->stream_id, task->connection_id,
                rpcnet_grpc_code_name(code), task->kind == RN_TASK_DIRECT ? "caller" : "director");
    }
    rn_task_del(task);
}

void rn_task_on_closed(rpcnet_call *call, void *user) {
    (void)call;
    rn_task_del(user);
}
