/* world: one plan, from the first process to the last, and what came of it.
 *
 *    faults and workload            quiet: nothing breaks        the orderly end
 *   ├──────────────────────────────┼────────────────────────────┼──────────────────┤
 *   every stream is watched         all must finish               nothing may be left
 *
 * All is judged by what clients got, what the network saw and what is left in the processes. */
#ifndef RN_TESTS_SIM_WORLD_WORLD_H
#define RN_TESTS_SIM_WORLD_WORLD_H

#include "sim/world/plan.h"
#include "sim/world/verdict.h"

enum { RN_WORLD_ENDS = 18 };

typedef struct rn_world_result {
    rn_verdict verdict;
    uint64_t digest;     /* of everything that happened */
    uint64_t virtual_ns; /* how long it took in there */
    uint64_t streams;
    uint64_t ends[RN_WORLD_ENDS]; /* by gRPC status; the last: their client was killed */
    uint64_t tokens;              /* received by clients, as all that follows is seen by them */
    uint64_t swaps;
    uint64_t datagrams;
    uint64_t faults[RN_FAULT_KINDS];
} rn_world_result;

typedef struct rn_world_options {
    const char *certs;      /* folder of certificates */
    const char *log_filter; /* of all processes; "off" */
    const char *qlog_dir;   /* where connections are recorded (qlogs.h); NULL: nowhere */
} rn_world_options;

void rn_world_run(const rn_plan *plan, const rn_world_options *options, rn_world_result *result);

#endif
