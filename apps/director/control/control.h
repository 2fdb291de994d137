/* control: the MGMT plane. Workers register here, report, and are asked for their health; it alone
 * changes the pool. */
#ifndef APPS_DIRECTOR_CONTROL_CONTROL_H
#define APPS_DIRECTOR_CONTROL_CONTROL_H

#include "director/control/pool.h"
#include "rpcnet/rpcnet.h"

typedef struct rn_control {
    rn_env *env;
    rn_pool pool;
    rpcnet_server *server;
    rpcnet_health *health;
    rpcnet_credentials *credentials; /* the director's role */
    uint8_t secret[RPCNET_SECRET_LEN];
    uint64_t epoch;
    uint64_t health_interval_ns;
} rn_control;

typedef struct rn_control_options {
    rn_env *env;
    const char *address;
    rpcnet_credentials *credentials; /* borrowed */
    const uint8_t *secret;
    const uint8_t *previous_secret; /* NULL: none */
    uint64_t epoch;
    uint64_t health_interval_ns;
    size_t workers_max; /* at most RN_POOL_MAX */
    const char *preferred_label;
} rn_control_options;

/* Opens the MGMT port. Results of rpcnet_server_new. */
int rn_control_start(rn_control *control, const rn_control_options *options);
/* The director's certificate was renewed: for connections of workers and to them from now on. */
void rn_control_set_credentials(rn_control *control, rpcnet_credentials *credentials);
/* Tells the workers that this director goes; they register again with the next one. */
void rn_control_goodbye(rn_control *control);
void rn_control_stop(rn_control *control);

/* ---- registry.c ---- */
int rn_registry_serve(rn_control *control);
/* Ends the entry's Report call, if it is open. */
void rn_registry_forget(rn_pool_entry *entry);
void rn_registry_goodbye(rn_pool_entry *entry);

/* ---- check.c: the health of one worker ---- */
void rn_check_start(rn_control *control, rn_pool_entry *entry);
void rn_check_stop(rn_pool_entry *entry);
/* Asks at once: somebody claims the entry's label. */
void rn_check_now(rn_pool_entry *entry);
void rn_check_set_credentials(rn_pool_entry *entry, const rpcnet_credentials *credentials);

#endif
