/* caller: one simulated client process with its connection and its streams, on the public library.
 *
 * It knows what each stream has to say (the model is a pure function), compares every message when
 * it comes, and judges how each stream ends. What it cannot know, whether an end by UNAVAILABLE was
 * deserved, it asks the world. */
#ifndef RN_TESTS_SIM_WORLD_CALLER_H
#define RN_TESTS_SIM_WORLD_CALLER_H

#include "model/model.h"
#include "rpcnet/rpcnet.h"
#include "sim/world/plan.h"
#include "sim/world/verdict.h"

typedef struct rn_caller rn_caller;
typedef struct rn_caller_stream rn_caller_stream;

typedef struct rn_caller_hooks {
    /* The stream ends with this status, which is neither OK nor the client's own doing: true if
     * what has happened to it excuses that. */
    bool (*excused)(void *user, const rn_caller_stream *stream, int code, const char *message);
    /* The stream is told that it has left this worker for that reason: can it be true? */
    bool (*explained)(void *user, const char *worker, uint32_t reason);
    const uint64_t *directors; /* how many were started so far */
    void *user;
} rn_caller_hooks;

enum rn_caller_state {
    RN_CALLER_TO_COME,
    RN_CALLER_OPEN,
    RN_CALLER_OVER /* it ended with a status, or its process was killed */
};

struct rn_caller_stream {
    rn_caller *caller;
    size_t number; /* in the plan */
    const rn_stream_plan *plan;
    enum rn_caller_state state;
    rpcnet_call *call;
    rn_timer *start;
    rn_timer *say; /* the next message of a chat */
    rn_timer *cancel;
    rn_timer *read; /* a slow reader's */
    size_t held;    /* bytes that a slow reader has not taken yet */
    bool waits;     /* a message found no room */
    size_t said;    /* messages sent */
    uint64_t asked; /* tokens asked for by them */
    rn_generation expected;
    size_t mixed; /* messages of a chat that the expectation knows */
    uint64_t received;
    uint64_t connected; /* Connected frames */
    char worker[64];    /* of the last one */
    bool done;          /* Done came */
    bool cancelled;     /* by us */
    int code;           /* the status that it ended with; -1: none */
    uint64_t opened_ns;
    uint64_t over_ns;
    uint64_t moved_ns;  /* when something came last, or could not come since it did not read */
    uint64_t directors; /* hooks.directors when it began */
    uint64_t ready;     /* the caller's when it began */
};

struct rn_caller {
    rn_sim *sim;
    const rn_plan *plan;
    size_t index;
    char host[16];
    const rn_model *model;
    rn_verdict *verdict;
    rn_caller_hooks hooks;
    rn_env *env;
    rpcnet_credentials *credentials;
    rpcnet_channel *channel;
    rn_caller_stream *streams;
    size_t stream_count;
    size_t over;
    bool killed;
    uint64_t ready;    /* how often the channel became READY */
    uint64_t ready_ns; /* when, last */
    uint64_t tokens;   /* received by all streams */
    uint64_t swaps;    /* that clients were told of */
};

/* Its process, its connection and its streams' start times. */
void rn_caller_init(rn_caller *caller, rn_sim *sim, const rn_plan *plan, size_t index);
void rn_caller_start(rn_caller *caller, const char *certs, const char *target);
/* The process vanishes without a word: its streams are over, and nobody is told. */
void rn_caller_kill(rn_caller *caller);
bool rn_caller_is_over(const rn_caller *caller);
void rn_caller_fini(rn_caller *caller);

#endif
