/* sight: its life, the notes it takes of swaps, and the pages but for the numbers. */
#include "director/sight/sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpcnet/error.h"

enum { HTTP_OK = 200, HTTP_UNAVAILABLE = 503 };

int rn_director_sight_new(rn_director_sight **out, rn_env *env, const char *address,
                          const rn_director_view *view) {
    *out = NULL;
    if (address == NULL) {
        return RPCNET_OK;
    }
    rn_director_sight *sight = calloc(1, sizeof *sight);
    if (sight == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    sight->env = env;
    sight->view = *view;
    int result = rn_metrics_new(&sight->metrics, RN_DIRECTOR_METRICS_MAX);
    if (result == RPCNET_OK) {
        result = rn_director_metrics_add(sight);
    }
    if (result != RPCNET_OK) {
        rn_director_sight_del(sight);
        return result;
    }
    *out = sight;
    return RPCNET_OK;
}

void rn_director_sight_del(rn_director_sight *sight) {
    if (sight == NULL) {
        return;
    }
    rn_sight_del(sight->server);
    rn_metrics_del(sight->metrics);
    free(sight);
}

/* ---- notes ---- */

static void moved(void *user, const rn_relay *relay) {
    rn_director_sight *sight = user;
    sight->swaps_by_reason[relay->swap.swap_reason]++;
    rn_swap_history_add(&sight->history, relay, rn_env_wall(sight->env));
}

static void resumed(void *user, const rn_relay *relay, uint64_t gap_ns) {
    rn_director_sight *sight = user;
    rn_histogram_observe(sight->gaps[relay->swap.swap_reason], gap_ns);
    rn_swap_history_resumed(&sight->history, relay, gap_ns);
}

rn_data_watch rn_director_sight_watch(rn_director_sight *sight) {
    if (sight == NULL) {
        return (rn_data_watch){0};
    }
    return (rn_data_watch){.moved = moved, .resumed = resumed, .user = sight};
}

/* ---- pages ---- */

static int page_text(rn_buffer *out, int status, const char *text) {
    int result = rn_buffer_append(out, text, strlen(text));
    return result == RPCNET_OK ? status : result;
}

/* Whoever reads this knows that the loop turns. */
static int live_page(rn_buffer *out, void *user) {
    (void)user;
    return page_text(out, HTTP_OK, "live\n");
}

static bool has_ready_worker(const rn_pool_snapshot *snapshot) {
    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot->workers[i].state == RN_PICK_READY) {
            return true;
        }
    }
    return false;
}

static int ready_page(rn_buffer *out, void *user) {
    const rn_director_sight *sight = user;
    if (*sight->view.stopping) {
        return page_text(out, HTTP_UNAVAILABLE, "not ready: the director is ending\n");
    }
    if (!has_ready_worker(&sight->view.control->pool.snapshot)) {
        return page_text(out, HTTP_UNAVAILABLE, "not ready: there is no worker\n");
    }
    if (rn_budget_over(&sight->view.data->budget)) {
        return page_text(out, HTTP_UNAVAILABLE, "not ready: the memory for streams is used up\n");
    }
    return page_text(out, HTTP_OK, "ready\n");
}

static int swaps_page(rn_buffer *out, void *user) {
    const rn_director_sight *sight = user;
    int result = rn_swaps_page(out, sight->view.data, &sight->history, RN_DIRECTOR_STREAMS_SHOWN);
    return result == RPCNET_OK ? HTTP_OK : result;
}

int rn_director_sight_open(rn_director_sight *sight, rn_program *program, const char *address) {
    if (sight == NULL) {
        return RPCNET_OK;
    }
    int result = rn_sight_new(&sight->server, program, "metrics-addr", address);
    if (result != RPCNET_OK) {
        return result;
    }
    const struct {
        const char *path;
        const char *type;
        rn_sight_page_fn *fill;
    } pages[] = {{"/metrics", RN_SIGHT_METRICS_TYPE, rn_director_metrics_page},
                 {"/health/live", RN_SIGHT_TEXT_TYPE, live_page},
                 {"/health/ready", RN_SIGHT_TEXT_TYPE, ready_page},
                 {"/swaps", RN_SIGHT_JSON_TYPE, swaps_page}};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0] && result == RPCNET_OK; i++) {
        result = rn_sight_add(sight->server, pages[i].path, pages[i].type, pages[i].fill, sight);
    }
    return result;
}
