/* task: one call that the worker serves: a stream for the director, the director's probe channel,
 * or a direct Generate of another program of the cluster.
 *
 * A task belongs to its call: it is made by the method's handler and freed when the call is closed
 * or cancelled. From the moment it is taken until it ends it is counted as a stream, though its
 * request may be still to come: what waits here has to be given back, and has its place. */
#ifndef APPS_WORKER_TASK_H
#define APPS_WORKER_TASK_H

#include "base/env.h"
#include "common/outbox.h"
#include "rpcnet/rpcnet.h"
#include "swap/sentence.h"
#include "swap/serving.h"
#include "worker/generator.h"

typedef struct rn_worker rn_worker;

enum rn_task_kind {
    RN_TASK_NEW,    /* a Serve whose first frame has not come */
    RN_TASK_PROBE,  /* a Serve that carries probes */
    RN_TASK_STREAM, /* a Serve with an assignment */
    RN_TASK_DIRECT  /* a Generate */
};

enum {
    RN_TASK_BATCH = 64,            /* messages sent in one turn of the loop */
    RN_TASK_OUTBOX_MAX = 64 * 1024 /* bytes; a task that fills it waits while it is not empty */
};

typedef struct rn_task {
    rn_list link; /* in rn_worker.tasks */
    rn_worker *worker;
    rpcnet_call *call;
    enum rn_task_kind kind;
    bool taken;   /* is counted as a stream */
    bool running; /* generates */
    bool ended;   /* nothing more will be produced; the call is finished when the outbox is empty */
    bool finished;
    int code; /* the gRPC status to finish with */
    char status[RN_SWAP_SENTENCE_SIZE];
    rn_serving serving; /* of a Serve */
    rn_generator generator;
    rn_outbox outbox;
    rn_buffer message;
    rn_timer *timer;
    uint64_t interval_ns;
    uint64_t due_ns; /* of the next message */
    uint64_t made;   /* tokens, by this task */
    bool waits;      /* for credit or an acknowledgement */
    bool stalled;    /* makes nothing more, see rn_worker_stalls */
    char connection_id[RN_SWAP_LABEL_SIZE];
    uint64_t stream_id;
    char previous_worker[RN_SWAP_LABEL_SIZE]; /* "": none */
    uint32_t swap_reason;
    char swap_message[RN_SWAP_SENTENCE_SIZE];
} rn_task;

/* Methods of the USER server; `user` is the rn_worker. */
void rn_task_serve(rpcnet_server *server, rpcnet_call *call, void *user);
void rn_task_generate(rpcnet_server *server, rpcnet_call *call, void *user);

/* For the two kinds of calls (serve.c, direct.c). */

/* Ends a call that the peer's role may not make. */
void rn_task_deny(const rn_worker *worker, rpcnet_call *call, const rpcnet_peer *peer,
                  const char *why);
/* NULL: no memory; the call was finished then and must be left alone. */
rn_task *rn_task_new(rn_worker *worker, rpcnet_call *call, enum rn_task_kind kind,
                     const rpcnet_call_callbacks *callbacks);
void rn_task_del(rn_task *task); /* the call, too */
/* Why a stream is not taken now ("recovering", ...); NULL: it may be. */
const char *rn_task_refusal(const rn_worker *worker);
/* Takes the stream, if it may be taken: NULL; else why not. */
const char *rn_task_take(rn_task *task);
/* The generator stands where it has to: sends Connected, then messages. */
void rn_task_run(rn_task *task);
/* There may be room again, in the call or by the director's credit. */
void rn_task_resume(rn_task *task);
/* Sends a frame of a Serve; ends the task when that fails. */
void rn_task_send_frame(rn_task *task, const rn_worker_frame *frame);
/* Produces nothing more; the call gets this status behind what was sent. */
void rn_task_end(rn_task *task, int code, const char *status);
void rn_task_on_writable(rpcnet_call *call, void *user);
void rn_task_on_cancelled(rpcnet_call *call, int code, void *user);
void rn_task_on_closed(rpcnet_call *call, void *user);

/* Tells the director that this stream is not for us; nothing may have been sent before. */
void rn_task_refuse(rn_task *task, const char *reason);
/* Ends a stream that was taken so that another worker goes on with it. One that has not been
 * answered yet is refused for what rn_task_refusal says: there has to be something. */
void rn_task_give_back(rn_task *task, const char *message, bool drain);

#endif
