/* plan: everything that a simulated world will be asked to do and to bear, grown from one seed.
 *
 * Independent streams of chance make the shape of the cluster, the paths between its machines, the
 * workload, the faults, and what came later: the director's own faults, and small queues. So a plan
 * from which faults were struck out (to find the few that matter) still has the same cluster and
 * the same workload. */
#ifndef RN_TESTS_SIM_WORLD_PLAN_H
#define RN_TESTS_SIM_WORLD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/net.h"

enum {
    RN_PLAN_WORKERS_MAX = 4,
    RN_PLAN_CLIENTS_MAX = 12,
    RN_PLAN_STREAMS_MAX = 80,
    RN_PLAN_FAULTS_MAX = 96,
    RN_PLAN_SAYS_MAX = 4 /* messages of a chat */
};

enum rn_fault_kind {
    RN_FAULT_WORKER_KILL,   /* SIGKILL; a new process after `duration_ns` */
    RN_FAULT_WORKER_HANG,   /* SIGSTOP, and SIGCONT after `duration_ns` */
    RN_FAULT_WORKER_DRAIN,  /* SIGTERM; a new process after `duration_ns` */
    RN_FAULT_WORKER_CUT,    /* no datagram passes between director and worker */
    RN_FAULT_WORKER_DEAF,   /* none from the director to it */
    RN_FAULT_WORKER_MUTE,   /* none from it to the director */
    RN_FAULT_WORKER_STORM,  /* the path between them becomes very bad */
    RN_FAULT_WORKER_BLOCK,  /* its kernel takes no datagrams */
    RN_FAULT_WORKER_DOWN,   /* its machine's interface disappears */
    RN_FAULT_WORKER_FILTER, /* nothing gets to its USER port, while MGMT is as it was */
    RN_FAULT_CLIENT_CUT,    /* between client and director */
    RN_FAULT_CLIENT_STORM,
    RN_FAULT_CLIENT_REBIND,  /* its NAT gives it another address */
    RN_FAULT_CLIENT_KILL,    /* it vanishes for good */
    RN_FAULT_DIRECTOR_KILL,  /* SIGKILL; a new process after `duration_ns` */
    RN_FAULT_DIRECTOR_BLOCK, /* its kernel takes no datagrams */
    RN_FAULT_DIRECTOR_HANG,  /* SIGSTOP, and SIGCONT after `duration_ns` */
    RN_FAULT_DIRECTOR_DRAIN, /* SIGTERM; a new process after `duration_ns` */
    RN_FAULT_KINDS
};

const char *rn_fault_name(enum rn_fault_kind kind);
bool rn_fault_is_of_client(enum rn_fault_kind kind);
bool rn_fault_is_of_director(enum rn_fault_kind kind);

typedef struct rn_fault {
    enum rn_fault_kind kind;
    size_t who; /* index of the worker or client */
    uint64_t at_ns;
    uint64_t duration_ns;
} rn_fault;

enum rn_stream_kind {
    RN_STREAM_GENERATE,
    RN_STREAM_CHAT,  /* messages in both directions */
    RN_STREAM_POISON /* kills each worker that takes it, before it says a word */
};

typedef struct rn_stream_plan {
    enum rn_stream_kind kind;
    size_t client;
    uint64_t at_ns;
    uint64_t seed;                     /* of the model; 0 in a chat */
    uint64_t tokens[RN_PLAN_SAYS_MAX]; /* for each message of the client; [0] of Generate */
    uint64_t say_ns[RN_PLAN_SAYS_MAX]; /* of a chat: time between two messages */
    size_t says;                       /* messages of the client */
    uint64_t pace_us;
    uint64_t deadline_ns; /* after its start; 0: none */
    uint64_t cancel_ns;   /* likewise */
    uint64_t slow_ns;     /* it takes what has come only so often; 0: at once */
} rn_stream_plan;

typedef struct rn_plan {
    uint64_t seed;
    size_t workers;
    size_t clients;
    rn_sim_link client_link;
    rn_sim_link worker_link;
    int32_t skew_ppm[RN_PLAN_WORKERS_MAX]; /* of the workers' clocks */
    int32_t director_skew_ppm;
    /* Settings of the programs, where they are not the defaults. */
    uint64_t fail_after_ns[RN_PLAN_WORKERS_MAX]; /* 0: never */
    uint64_t recover_after_ns;
    uint64_t stall_after[RN_PLAN_WORKERS_MAX]; /* tokens; 0: never */
    uint64_t streams_max[RN_PLAN_WORKERS_MAX]; /* 0: no limit */
    uint64_t token_interval_ns;
    uint64_t park_ns;
    uint64_t journal_max;                        /* bytes */
    uint64_t credit_window;                      /* bytes, of the director for its workers */
    uint64_t client_window;                      /* bytes, of each stream to a client */
    rn_stream_plan streams[RN_PLAN_STREAMS_MAX]; /* by at_ns */
    size_t stream_count;
    rn_fault faults[RN_PLAN_FAULTS_MAX]; /* by at_ns */
    size_t fault_count;
    uint64_t faults_end_ns; /* from then on nothing is broken any more */
    uint64_t quiet_ns;      /* and within this everything has to be over */
} rn_plan;

void rn_plan_make(rn_plan *plan, uint64_t seed);
/* What a stream asks for: "the river 17". */
void rn_plan_prompt(const rn_plan *plan, size_t stream, char *out, size_t size);
/* For people, a line for each fault, and one for each stream if `streams`. */
void rn_plan_print(const rn_plan *plan, bool streams, FILE *out);

#endif
