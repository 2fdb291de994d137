/* sight: what a director shows of itself on its metrics address: /metrics, /health/live,
 * /health/ready and /swaps. It looks at the two planes and changes nothing. docs/metrics.md lists
 * what it shows. */
#ifndef APPS_DIRECTOR_SIGHT_SIGHT_H
#define APPS_DIRECTOR_SIGHT_SIGHT_H

#include "common/sight.h"
#include "director/access.h"
#include "director/control/control.h"
#include "director/data/data.h"
#include "director/sight/swaps.h"

enum {
    RN_DIRECTOR_METRICS_MAX = 128,
    RN_DIRECTOR_STREAMS_SHOWN = 1000 /* live streams that /swaps lists; it counts all */
};

/* What it looks at; borrowed. */
typedef struct rn_director_view {
    const rn_control *control;
    const rn_data *data;
    rpcnet_server *const *user; /* NULL in it: not open yet */
    const rn_access *access;
    const bool *stopping; /* SIGTERM has come */
} rn_director_view;

typedef struct rn_director_sight {
    rn_director_view view;
    rn_env *env;
    rn_sight *server;
    rn_metrics *metrics;
    rn_sight_process process;
    uint64_t *values[RN_DIRECTOR_METRICS_MAX]; /* in the order of the tables, see metrics.c */
    size_t values_count;
    rn_histogram *gaps[RN_SWAP_REASONS];
    uint64_t swaps_by_reason[RN_SWAP_REASONS];
    rn_swap_history history;
} rn_director_sight;

/* Before the data plane starts: makes the registry. NULL for *out and RPCNET_OK when the program
 * has no address for it. Otherwise RPCNET_ERR_MEMORY. */
int rn_director_sight_new(rn_director_sight **out, rn_env *env, const char *address,
                          const rn_director_view *view);
/* For rn_data_options; an empty one for NULL. */
rn_data_watch rn_director_sight_watch(rn_director_sight *sight);
/* Opens the address. On failure it was said. Nothing for NULL. */
int rn_director_sight_open(rn_director_sight *sight, rn_program *program, const char *address);
void rn_director_sight_del(rn_director_sight *sight); /* before what it looks at */

/* ---- metrics.c ---- */
int rn_director_metrics_add(rn_director_sight *sight);
/* rn_sight_page_fn: /metrics. */
int rn_director_metrics_page(rn_buffer *out, void *user);

#endif
