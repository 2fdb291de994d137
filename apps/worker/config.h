/* config: the worker's settings. */
#ifndef APPS_WORKER_CONFIG_H
#define APPS_WORKER_CONFIG_H

#include "common/alias.h"
#include "common/program.h"

typedef struct rn_worker_config {
    const char *user_addr;
    const char *mgmt_addr;
    const char *label;
    const char *director_mgmt_addr;
    const char *advertise_addr; /* "host" or "host:port"; NULL: the bound one */
    const char *advertise_mgmt_addr;
    const char *metrics_addr; /* NULL: none */
    uint64_t token_interval_ns;
    uint64_t fail_after_ns; /* 0: never */
    uint64_t recover_after_ns;
    uint64_t drain_timeout_ns;
    uint64_t streams_max; /* 0: no limit */
    uint64_t unacked_max;
    uint64_t stall_after;      /* tokens; 0: never */
    const char *die_on_prompt; /* NULL: on none */
    rn_common common;
    rn_alias mgmt_alias; /* memory of computed addresses */
    rn_alias director_alias;
} rn_worker_config;

const rn_program_spec *rn_worker_spec(void);

/* "host:port" to announce: what the setting says, else the host and port that were bound.
 * RPCNET_ERR_ADDRESS. */
int rn_worker_advertised(const char *setting, const char *bound, rn_alias *out);

#endif
