/* worker: the program's state; one for each process, on main's stack. */
#ifndef APPS_WORKER_WORKER_H
#define APPS_WORKER_WORKER_H

#include "common/certs.h"
#include "common/program.h"
#include "common/reload.h"
#include "rpcnet/rpcnet.h"
#include "worker/config.h"
#include "worker/outage.h"
#include "worker/registry.h"
#include "worker/sight.h"
#include "worker/task.h"

struct rn_worker {
    rn_program program;
    rn_worker_config config;
    rn_model *model;
    rpcnet_credentials *credentials;
    rn_reload reload;
    rpcnet_server *user;
    rpcnet_server *mgmt;
    rpcnet_health *health;
    rn_registry registry;
    rn_list tasks;
    size_t streams; /* tasks that were taken and have not ended */
    rn_outage outage;
    rn_timer *outage_timer;
    bool stalled; /* a stream has, see the setting stall-after */
    bool draining;
    unsigned servers_draining;
    rn_timer *drain_timer;
    rn_worker_counters counters;
    rn_worker_sight *sight; /* NULL: not asked for */
};

/* Servers, health, registration. On failure it was said. */
int rn_worker_open(rn_worker *worker);
void rn_worker_close(rn_worker *worker); /* also what is half open */

/* A task was taken, or has ended; and: was freed. */
void rn_worker_stream_begins(rn_worker *worker);
void rn_worker_stream_ended(rn_worker *worker);
void rn_worker_task_gone(rn_worker *worker);
/* Ends the director's streams of another epoch: that director is gone, nobody reads them. */
void rn_worker_drop_orphans(rn_worker *worker, uint64_t director_epoch);

#endif
