/* direct: connection_swap.Inference/Generate without a director, for clients of the cluster. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/worker.h"

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    rn_task *task = user;
    rn_worker *worker = task->worker;
    if (task->ended) {
        return;
    }
    int result = RPCNET_OK;
    if (task->running) {
        rn_task_end(task, RPCNET_GRPC_INVALID_ARGUMENT, "the call has more than one request");
    } else if ((result = rn_generator_start(&task->generator, worker->model,
                                            rn_bytes_of(data, len))) == RPCNET_ERR_MEMORY) {
        rn_task_end(task, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    } else if (result != RPCNET_OK) {
        rn_task_end(task, RPCNET_GRPC_INVALID_ARGUMENT, "the request is no GenerateRequest");
    } else {
        worker->counters.direct_calls++;
        RN_INFO(worker->program.log, worker->program.target,
                "worker=%s stream.id=%" PRIu64 " connection.id=%s prompt=%s accepted direct call",
                worker->config.label, task->stream_id, task->connection_id,
                task->generator.prompt_value);
        rn_task_run(task);
    }
}

static void on_half_close(rpcnet_call *call, void *user) {
    (void)call;
    rn_task *task = user;
    if (!task->running && !task->ended) {
        rn_task_end(task, RPCNET_GRPC_INVALID_ARGUMENT, "the call has no request");
    }
}

void rn_task_generate(rpcnet_server *server, rpcnet_call *call, void *user) {
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
    if (strcmp(peer.identity, RN_ROLE_DIRECTOR) != 0 &&
        strcmp(peer.identity, RN_ROLE_CLIENT) != 0) {
        rn_task_deny(worker, call, &peer,
                     "only a director or a client of the cluster may call a worker");
        return;
    }
    rn_task *task = rn_task_new(worker, call, RN_TASK_DIRECT, &callbacks);
    if (task == NULL) {
        return;
    }
    task->stream_id = peer.call;
    snprintf(task->connection_id, sizeof task->connection_id, "conn-%" PRIu64, peer.connection);
    const char *refusal = rn_task_take(task);
    if (refusal != NULL) {
        rn_task_end(task, RPCNET_GRPC_UNAVAILABLE, refusal);
    }
}
