/* config: what a director can be told, by options and environment variables. */
#ifndef APPS_DIRECTOR_CONFIG_H
#define APPS_DIRECTOR_CONFIG_H

#include "common/alias.h"
#include "common/program.h"

enum { RN_STREAM_SHARE = 32 * 1024 }; /* of a connection's window, for each of its streams */

typedef struct rn_director_config {
    rn_common common;
    const char *user_addr;
    const char *mgmt_addr;
    rn_alias mgmt_alias; /* holds mgmt_addr when it was computed from an older name */
    const char *user_cert;
    const char *user_key;
    const char *client_ca;        /* NULL: clients need no certificate */
    const char *client_tokens;    /* NULL: nor a token */
    const char *preferred_worker; /* label; NULL: none */
    uint64_t health_interval_ns;
    uint64_t probe_interval_ns;
    uint64_t hang_timeout_ns;
    uint64_t stall_min_ns;
    uint64_t assign_timeout_ns;
    uint64_t max_attempts;
    uint64_t park_timeout_ns;
    uint64_t journal_max;
    uint64_t request_max;
    uint64_t memory_max;
    uint64_t drain_timeout_ns;
    uint64_t idle_timeout_ns;
    uint64_t keep_alive_ns;
    uint64_t connections_max;
    uint64_t streams_max;
    uint64_t retry_above;
    uint64_t handshakes_max;
    uint64_t handshakes_per_address;
    uint64_t connections_per_address;
    uint64_t streams_per_address;
    uint64_t headers_max;
    uint64_t stream_window;
    uint64_t checkpoint_max;
    uint64_t credit_window;
    uint64_t send_ring;
    uint64_t queue_max;
    uint64_t waiting_max;
    uint64_t workers_max;
    uint64_t handshake_timeout_ns;
    uint64_t connection_window;
    uint64_t message_max;
    const char *metrics_addr; /* NULL: none */
} rn_director_config;

/* What all streams of a client connection may have under way: as told, and at most a share of the
 * memory, since as much may have to be kept; but never so little that unfinished messages on all
 * streams could hold it all, with nothing left to finish one. */
uint64_t rn_director_connection_window(const rn_director_config *config);

extern const rn_program_spec rn_director_program;

#endif
