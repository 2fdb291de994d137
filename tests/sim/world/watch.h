/* watch: looks into the director and the workers again and again while a world runs, for what no
 * client can see: promises between the two, memory, and streams that nobody wants any more.
 *
 * All programs here are honest. So a fault that one of them finds with another is a mistake. */
#ifndef RN_TESTS_SIM_WORLD_WATCH_H
#define RN_TESTS_SIM_WORLD_WATCH_H

#include "sim/world/faults.h"

typedef struct rn_watch {
    rn_sim *sim;
    const rn_plan *plan;
    const rn_cluster *cluster;
    const rn_faults *faults;
    const rn_caller *callers;
    rn_verdict *verdict;
    uint64_t hung_ns[RN_PLAN_WORKERS_MAX]; /* since when it hangs; 0: it does not */
    uint64_t refusals;                     /* that this director had seen at the last look */
    uint64_t directors;                    /* which one that was */
    /* Handshakes that the director gave up and this client had finished, and when the last of them
     * had begun. */
    uint64_t given_up[RN_PLAN_CLIENTS_MAX];
    uint64_t given_up_ns[RN_PLAN_CLIENTS_MAX];
} rn_watch;

void rn_watch_init(rn_watch *watch, rn_sim *sim, const rn_plan *plan, const rn_cluster *cluster,
                   const rn_faults *faults, const rn_caller *callers, rn_verdict *verdict);
/* To be called every RN_WATCH_EVERY. */
#define RN_WATCH_EVERY (100 * RN_MILLISECOND)
void rn_watch_look(rn_watch *watch);
/* A client is told that its stream has left this worker for that reason (enum rn_swap_reason): can
 * it be true? */
bool rn_watch_explains(const rn_watch *watch, const char *label, uint32_t reason);

#endif
