/* registry: the worker's membership in a director's pool.
 *
 *   CONNECTING ──ready──► REGISTERING ──ok──► REPORTING
 *       ▲                      │                  │
 *       └── connection lost ───┴── back-off ◄─────┘
 *
 * It registers again by itself, whatever was lost. The back-off grows from 0.1 s to 2 s, and begins
 * anew when a registration has lasted for 5 s. */
#ifndef APPS_WORKER_REGISTRY_H
#define APPS_WORKER_REGISTRY_H

#include "base/env.h"
#include "common/alias.h"
#include "rpcnet/rpcnet.h"

typedef struct rn_worker rn_worker;

typedef struct rn_registry {
    rn_worker *worker;
    rpcnet_channel *channel;
    rpcnet_call *registering; /* at most one of the two exists */
    rpcnet_call *report;
    rn_timer *timer; /* the next report, or the end of the back-off */
    rn_deferred changed;
    uint64_t incarnation;
    uint64_t registration;
    uint64_t director_epoch; /* whose registration it is */
    uint64_t registered_ns;
    uint64_t taken_ns; /* when the label was first refused; RN_NEVER: it is not */
    uint64_t backoff_ns;
    unsigned complaints; /* bits: what was logged as a warning already */
    bool answered;       /* Register was answered */
    bool closing;
    rn_alias user_addr; /* what is announced */
    rn_alias mgmt_addr;
} rn_registry;

/* Begins to connect and register. The servers must listen already. On failure it was said. */
int rn_registry_open(rn_registry *registry, rn_worker *worker);
void rn_registry_close(rn_registry *registry); /* nothing, when it was not opened */
/* Its next connection is made with the worker's present credentials. */
void rn_registry_renew(rn_registry *registry);
/* Load or state have changed: reports at the end of this turn. */
void rn_registry_changed(rn_registry *registry);

#endif
