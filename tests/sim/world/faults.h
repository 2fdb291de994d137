/* faults: breaks and mends the cluster as the plan says. Faults of one kind may overlap: what they
 * break works again when the last of them ends. */
#ifndef RN_TESTS_SIM_WORLD_FAULTS_H
#define RN_TESTS_SIM_WORLD_FAULTS_H

#include "sim/world/caller.h"
#include "sim/world/cluster.h"

enum { RN_FAULTS_PLACES = RN_PLAN_WORKERS_MAX + RN_PLAN_CLIENTS_MAX + 1 };

typedef struct rn_faults rn_faults;

/* One fault of the plan, to begin or to end. */
typedef struct rn_faults_entry {
    rn_faults *faults;
    const rn_fault *fault;
} rn_faults_entry;

struct rn_faults {
    rn_sim *sim;
    const rn_plan *plan;
    rn_cluster *cluster;
    rn_caller *callers;
    rn_faults_entry entries[RN_PLAN_FAULTS_MAX];
    unsigned active[RN_FAULT_KINDS][RN_FAULTS_PLACES]; /* by kind and whom it strikes */
    unsigned active_total;
    uint64_t changed_ns; /* when the last one began or ended */
    uint64_t begun[RN_FAULT_KINDS];
    uint64_t rebindings;                     /* each gets an address of its own */
    uint64_t client_ns[RN_PLAN_CLIENTS_MAX]; /* when the way to it was last broken; 0: never */
    /* How often it was rebound while its connection was new: a handshake does not move (RFC 9000,
     * section 9), and such a connection ends by its idle timeout. */
    uint64_t client_rebound_early[RN_PLAN_CLIENTS_MAX];
    uint64_t worker_ns[RN_PLAN_WORKERS_MAX]; /* the same of the worker and the way to it */
    uint64_t
        worker_filtered_ns[RN_PLAN_WORKERS_MAX]; /* when a filter before it last ended; 0: never */
};

/* All faults of the plan will happen. */
void rn_faults_init(rn_faults *faults, rn_sim *sim, const rn_plan *plan, rn_cluster *cluster,
                    rn_caller *callers);
/* Is this worker struck by anything just now? */
bool rn_faults_strike_worker(const rn_faults *faults, size_t worker);
/* Is the way between this client and the director broken in any way just now? */
bool rn_faults_strike_client(const rn_faults *faults, size_t client);

#endif
