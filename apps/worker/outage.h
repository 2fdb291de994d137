/* outage: the simulated failure of a worker, as a state machine over time.
 *
 *   HEALTHY ──first stream──► COUNTING ──fail_after──► RECOVERING ──recover_after──► HEALTHY
 *      ▲                          │
 *      └──── last stream ended ───┘ */
#ifndef APPS_WORKER_OUTAGE_H
#define APPS_WORKER_OUTAGE_H

#include <stdint.h>

enum rn_outage_state { RN_OUTAGE_HEALTHY, RN_OUTAGE_COUNTING, RN_OUTAGE_RECOVERING };
enum rn_outage_event { RN_OUTAGE_NOTHING, RN_OUTAGE_FAIL, RN_OUTAGE_RECOVER };

typedef struct rn_outage {
    uint64_t fail_after_ns;    /* 0: never fails */
    uint64_t recover_after_ns; /* 0: never recovers */
    enum rn_outage_state state;
    uint64_t deadline_ns; /* of the next event; RN_NEVER: none comes by itself */
} rn_outage;

void rn_outage_init(rn_outage *outage, uint64_t fail_after_ns, uint64_t recover_after_ns);
/* A stream was accepted; and: none is left. */
void rn_outage_stream(rn_outage *outage, uint64_t now_ns);
void rn_outage_no_stream(rn_outage *outage);
/* What happens at `now_ns`; the state has changed accordingly. */
enum rn_outage_event rn_outage_advance(rn_outage *outage, uint64_t now_ns);

#endif
