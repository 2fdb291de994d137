/* cluster: the real director and the real workers as processes of the simulated network, each on a
 * machine of its own: started with options as from a shell, ended by signals, killed and started
 * anew. */
#ifndef RN_TESTS_SIM_WORLD_CLUSTER_H
#define RN_TESTS_SIM_WORLD_CLUSTER_H

#include "director/director.h"
#include "sim/world/plan.h"
#include "sim/world/verdict.h"
#include "worker/worker.h"

#define RN_CLUSTER_DIRECTOR_HOST "10.0.0.1"
#define RN_CLUSTER_USER_ADDR "10.0.0.1:61000"
#define RN_CLUSTER_WORKER_USER_PORT 62001
#define RN_CLUSTER_DRAIN_TIMEOUT (5 * RN_SECOND) /* of the director */

enum {
    RN_CLUSTER_HOST_SIZE = 16,
    RN_CLUSTER_LABEL_SIZE = 16,
    RN_CLUSTER_OPTIONS_MAX = 32,
    RN_CLUSTER_OPTION_SIZE = 96
};

/* What a program was started with; outlives it. */
typedef struct rn_cluster_options {
    char text[RN_CLUSTER_OPTIONS_MAX][RN_CLUSTER_OPTION_SIZE];
    char *argv[RN_CLUSTER_OPTIONS_MAX + 1];
    int argc;
} rn_cluster_options;

typedef struct rn_cluster_worker {
    char label[RN_CLUSTER_LABEL_SIZE]; /* "worker-a" */
    char host[RN_CLUSTER_HOST_SIZE];
    rn_cluster_options options;
    rn_env *env;
    rn_worker *program; /* NULL: there is no process */
    bool hanging;
    uint64_t ends;  /* of its processes, whatever ended them */
    uint64_t terms; /* how often one was told to end */
} rn_cluster_worker;

typedef struct rn_cluster {
    rn_sim *sim;
    const rn_plan *plan;
    rn_verdict *verdict;
    const char *certs;
    rn_cluster_options options;
    rn_env *env;
    rn_director *director; /* NULL: there is no process */
    bool director_hanging;
    uint64_t director_woke_ns; /* when it hung last; 0: never */
    uint64_t director_term_ns; /* when this one was told to end; 0: it was not */
    uint64_t directors;        /* that were started */
    rn_cluster_worker workers[RN_PLAN_WORKERS_MAX];
    uint64_t deaths; /* ends and failures of workers so far, whatever their kind */
    uint64_t outages;
} rn_cluster;

/* `certs`: the folder of the certificates. Nothing runs yet. */
void rn_cluster_init(rn_cluster *cluster, rn_sim *sim, const rn_plan *plan, const char *certs,
                     rn_verdict *verdict);
void rn_cluster_start_director(rn_cluster *cluster);
void rn_cluster_start_worker(rn_cluster *cluster, size_t index);
/* SIGKILL. Nothing happens when there is no process. Outside of every process, as all below. */
void rn_cluster_kill_director(rn_cluster *cluster);
void rn_cluster_kill_worker(rn_cluster *cluster, size_t index);
/* SIGSTOP, SIGCONT. */
void rn_cluster_hang_director(rn_cluster *cluster, bool hang);
void rn_cluster_hang_worker(rn_cluster *cluster, size_t index, bool hang);
/* SIGTERM, once. */
void rn_cluster_term_director(rn_cluster *cluster);
void rn_cluster_term_worker(rn_cluster *cluster, size_t index);
/* Frees the programs that have ended by themselves; to be called after each turn. */
void rn_cluster_reap(rn_cluster *cluster);
/* Nothing of a stream is left in the director. */
bool rn_cluster_is_empty(const rn_cluster *cluster);
/* Nothing of a stream is left in director and workers, or it is a violation. */
void rn_cluster_check_empty(rn_cluster *cluster);
void rn_cluster_fini(rn_cluster *cluster); /* kills what still runs */

#endif
