/* sight: what a worker shows of itself on its metrics address: /metrics, /health/live and
 * /health/ready. docs/metrics.md lists what it shows. */
#ifndef APPS_WORKER_SIGHT_H
#define APPS_WORKER_SIGHT_H

#include <stdint.h>

typedef struct rn_worker rn_worker;
typedef struct rn_worker_sight rn_worker_sight;

/* They only grow. */
typedef struct rn_worker_counters {
    uint64_t assignments;
    uint64_t refusals;
    uint64_t direct_calls;
    uint64_t tokens; /* sent */
    uint64_t checkpoints;
    uint64_t completed;       /* streams */
    uint64_t handed_back;     /* streams, because the worker drains */
    uint64_t failed;          /* streams, because of a simulated failure */
    uint64_t outages;         /* simulated failures */
    uint64_t registrations;   /* that a director has confirmed */
    uint64_t protocol_faults; /* calls that broke the protocol */
    uint64_t waits;           /* for credit, or for an acknowledgement */
    uint64_t chats_refused;   /* more messages than can wait */
} rn_worker_counters;

/* Opens the worker's metrics address; *out is NULL and nothing happens when it has none. On failure
 * it was said. */
int rn_worker_sight_open(rn_worker_sight **out, rn_worker *worker);
void rn_worker_sight_close(rn_worker_sight *sight); /* before the servers; NULL is fine */

#endif
