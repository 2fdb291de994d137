/* world: see the header. */
#include "sim/world/world.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"
#include "sim/world/faults.h"
#include "sim/world/packets.h"
#include "sim/world/poison.h"
#include "sim/world/qlogs.h"
#include "sim/world/watch.h"

enum { DEATHS_MAX = 4096, ATTEMPTS_MAX = 3 };

/* A stream that could move has to, within this. */
#define MOVES_WITHIN (15 * RN_SECOND)
/* When a connection that nobody answers on has to be found out first, and made anew. */
#define MOVES_BEHIND_SILENCE (IDLE_TIMEOUT + MOVES_WITHIN)
#define ENDS_WITHIN (60 * RN_SECOND)
#define BACK_WITHIN (60 * RN_SECOND)  /* a handshake that began too early, and its pauses */
#define IDLE_TIMEOUT (30 * RN_SECOND) /* the default of the programs */

typedef struct world {
    const rn_plan *plan;
    rn_sim *sim;
    rn_verdict *verdict;
    rn_model *model;
    rn_cluster cluster;
    rn_faults faults;
    rn_packets packets;
    rn_watch watch;
    rn_qlog *qlog; /* NULL: not asked for */
    rn_caller callers[RN_PLAN_CLIENTS_MAX];
    uint64_t deaths[DEATHS_MAX]; /* when workers ended or failed */
    size_t death_count;
    uint64_t deaths_seen; /* of the cluster's counters */
    rn_poison poison;
    bool closing;
} world;

/* ---- what excuses an end ---- */

static uint64_t count_outages(const rn_cluster *cluster) {
    uint64_t total = cluster->outages;
    for (size_t i = 0; i < cluster->plan->workers; i++) {
        const rn_worker *worker = cluster->workers[i].program;
        total += worker != NULL ? worker->counters.outages : 0;
    }
    return total;
}

/* Connections of a client that it believed in, and that ended by the handshake all the same. */
static uint64_t lost_in_handshake(const world *w, size_t client) {
    return w->faults.client_rebound_early[client] + w->watch.given_up[client];
}

static void note_deaths(world *w) {
    uint64_t now = w->cluster.deaths + count_outages(&w->cluster);
    for (; w->deaths_seen < now; w->deaths_seen++) {
        w->deaths[w->death_count++ % DEATHS_MAX] = rn_sim_now(w->sim);
    }
}

/* Deaths since the stream moved. What the client saw of that is a little old; much older, if it was
 * cut off from its director. */
static size_t deaths_since_move(const world *w, const rn_caller_stream *stream) {
    const uint64_t slack = 2 * RN_SECOND;
    bool cut_off = w->faults.client_ns[stream->caller->index] > 0;
    uint64_t time = cut_off ? stream->opened_ns : stream->moved_ns;
    size_t count = 0;
    for (size_t i = 0; i < w->death_count && i < DEATHS_MAX; i++) {
        count += w->deaths[i] + slack >= time;
    }
    return count;
}

/* A filter may last so long that the director's next probe behind it is as late again (RFC 9002,
 * section 6.2.1): it finds the worker by then, or by the idle timeout. Other faults are short. */
static bool may_be_missed(const world *w, size_t worker) {
    uint64_t filtered_ns = w->faults.worker_filtered_ns[worker];
    return filtered_ns > 0 && rn_sim_now(w->sim) < filtered_ns + MOVES_BEHIND_SILENCE;
}

static bool capacity_is_short(const world *w) {
    uint64_t total = 0;
    for (size_t i = 0; i < w->plan->workers; i++) {
        total += may_be_missed(w, i) ? 0 : w->plan->streams_max[i];
    }
    return total < w->plan->stream_count;
}

/* A director that was told to end lets streams go on until its drain timeout, and takes no new
 * ones. */
static bool director_drains(const world *w, const rn_caller_stream *stream) {
    const uint64_t slack = 50 * RN_MILLISECOND; /* what its clock may be off by */
    uint64_t told = w->cluster.director_term_ns;
    return told > 0 &&
           (stream->received == 0 || rn_sim_now(w->sim) + slack >= told + RN_CLUSTER_DRAIN_TIMEOUT);
}

static bool excused(void *user, const rn_caller_stream *stream, int code, const char *message) {
    world *w = user;
    const rn_caller *caller = stream->caller;
    if (code != RPCNET_GRPC_UNAVAILABLE) {
        return false;
    }
    if (w->closing || w->cluster.director == NULL || w->cluster.directors > stream->directors) {
        return true; /* its director is gone */
    }
    if (director_drains(w, stream)) {
        return true;
    }
    note_deaths(w);
    if (strstr(message, "workers in a row were lost without progress") != NULL) {
        return stream->plan->kind == RN_STREAM_POISON ||
               deaths_since_move(w, stream) >= ATTEMPTS_MAX;
    }
    if (strstr(message, "no worker took the stream within") != NULL) {
        return w->plan->park_ns < 60 * RN_SECOND || capacity_is_short(w);
    }
    if (strstr(message, "cannot go to another worker") != NULL) {
        return w->plan->journal_max < (1 << 20);
    }
    if (lost_in_handshake(w, caller->index) > 0 &&
        strstr(message, "the connection was lost") != NULL) {
        return true;
    }
    /* It never got a connection, and the way was broken meanwhile. */
    return caller->ready == stream->ready && w->faults.client_ns[caller->index] > 0 &&
           (rn_faults_strike_client(&w->faults, caller->index) ||
            w->faults.client_ns[caller->index] + 12 * RN_SECOND > stream->opened_ns);
}

static bool explained(void *user, const char *worker, uint32_t reason) {
    const world *w = user;
    return rn_watch_explains(&w->watch, worker, reason);
}

/* ---- what is watched ---- */

static bool some_worker_is_free(const world *w) {
    for (size_t i = 0; i < w->plan->workers; i++) {
        const rn_worker *worker = w->cluster.workers[i].program;
        if (worker != NULL && !rn_faults_strike_worker(&w->faults, i) && !may_be_missed(w, i) &&
            worker->outage.state != RN_OUTAGE_RECOVERING && !worker->draining) {
            return true;
        }
    }
    return false;
}

static void watch_stream(world *w, const rn_caller_stream *stream) {
    uint64_t now = rn_sim_now(w->sim);
    bool clients_turn = stream->received == stream->asked && stream->said < stream->plan->says;
    uint64_t since =
        stream->moved_ns > w->faults.changed_ns ? stream->moved_ns : w->faults.changed_ns;
    uint64_t within =
        lost_in_handshake(w, stream->caller->index) > 0 ? MOVES_BEHIND_SILENCE : MOVES_WITHIN;
    if (stream->state != RN_CALLER_OPEN || clients_turn || now < since + within ||
        capacity_is_short(w)) {
        return;
    }
    rn_violate(w->verdict, "moves",
               "stream %zu has not moved for %.1f s, though nothing is broken: %" PRIu64
               " of %" PRIu64 " tokens, last on %s",
               stream->number, (double)(now - stream->moved_ns) / (double)RN_SECOND,
               stream->received, stream->asked, stream->worker);
}

static void look(void *user) {
    world *w = user;
    if (w->closing) {
        return;
    }
    note_deaths(w);
    rn_watch_look(&w->watch);
    if (w->faults.active_total == 0 && some_worker_is_free(w)) {
        for (size_t i = 0; i < w->plan->clients; i++) {
            for (size_t s = 0; s < w->callers[i].stream_count; s++) {
                watch_stream(w, &w->callers[i].streams[s]);
            }
        }
    }
    rn_sim_at(w->sim, rn_sim_now(w->sim) + RN_WATCH_EVERY, look, w);
}

static void poison(void *user) {
    world *w = user;
    if (!w->closing) {
        rn_poison_look(&w->poison);
        rn_sim_at(w->sim, rn_sim_now(w->sim) + RN_POISON_EVERY, poison, w);
    }
}

/* ---- its course ---- */

static bool has_poison(const rn_plan *plan) {
    bool found = false;
    for (size_t i = 0; i < plan->stream_count; i++) {
        found |= plan->streams[i].kind == RN_STREAM_POISON;
    }
    return found;
}

static void open_world(world *w, const rn_plan *plan, const rn_world_options *options) {
    w->plan = plan;
    w->sim = rn_sim_new(plan->seed);
    w->verdict->sim = w->sim;
    rn_packets_init(&w->packets, w->sim, w->verdict);
    if (options->qlog_dir != NULL) {
        w->qlog = rn_qlogs_open(options->qlog_dir, plan->seed);
        rn_sim_set_qlog(w->sim, rn_qlog_get_sink(w->qlog));
    }
    rn_sim_set_log_filter(w->sim, options->log_filter);
    rn_sim_require(rn_model_new(&w->model) == RPCNET_OK, "the model");
    rn_cluster_init(&w->cluster, w->sim, plan, options->certs, w->verdict);
    rn_cluster_start_director(&w->cluster);
    for (size_t i = 0; i < plan->clients; i++) {
        rn_caller *caller = &w->callers[i];
        rn_caller_init(caller, w->sim, plan, i);
        caller->model = w->model;
        caller->verdict = w->verdict;
        caller->hooks = (rn_caller_hooks){.excused = excused,
                                          .explained = explained,
                                          .directors = &w->cluster.directors,
                                          .user = w};
    }
    rn_faults_init(&w->faults, w->sim, plan, &w->cluster, w->callers);
    rn_watch_init(&w->watch, w->sim, plan, &w->cluster, &w->faults, w->callers, w->verdict);
    for (size_t i = 0; i < plan->clients; i++) {
        rn_caller_start(&w->callers[i], options->certs, RN_CLUSTER_USER_ADDR);
    }
    rn_poison_init(&w->poison, &w->cluster, w->verdict);
    rn_sim_at(w->sim, RN_SIM_START, look, w);
    if (has_poison(plan)) {
        rn_sim_at(w->sim, RN_SIM_START, poison, w);
    }
}

static bool all_over(const world *w) {
    for (size_t i = 0; i < w->plan->clients; i++) {
        if (!rn_caller_is_over(&w->callers[i])) {
            return false;
        }
    }
    return true;
}

static bool all_ended(const world *w) {
    bool ended = w->cluster.director == NULL;
    for (size_t i = 0; i < w->plan->workers; i++) {
        ended &= w->cluster.workers[i].program == NULL;
    }
    return ended;
}

/* Turn by turn, until `done` or `latest`. */
static void run_until(world *w, bool (*done)(const world *w), uint64_t latest) {
    while (w->verdict->violations == 0 && !done(w) && rn_sim_now(w->sim) < latest &&
           rn_sim_step(w->sim)) {
        rn_cluster_reap(&w->cluster);
    }
}

static bool never(const world *w) {
    (void)w;
    return false;
}

static void report_unfinished(world *w) {
    for (size_t i = 0; i < w->plan->clients; i++) {
        for (size_t s = 0; s < w->callers[i].stream_count; s++) {
            const rn_caller_stream *stream = &w->callers[i].streams[s];
            if (stream->state != RN_CALLER_OVER) {
                rn_violate(w->verdict, "hang",
                           "stream %zu is not over: %" PRIu64 " of %" PRIu64 " tokens",
                           stream->number, stream->received, stream->asked);
            }
        }
    }
}

static void check_connections(world *w) {
    for (size_t i = 0; i < w->plan->clients; i++) {
        const rn_caller *caller = &w->callers[i];
        if (caller->ready > w->cluster.directors + lost_in_handshake(w, i)) {
            rn_violate(w->verdict, "connection",
                       "client %zu needed %" PRIu64 " connections to %" PRIu64 " directors", i,
                       caller->ready, w->cluster.directors);
        }
    }
}

static void check_processes(const world *w) {
    const rn_list *link;
    for (link = w->sim->hosts.next; link != &w->sim->hosts; link = link->next) {
        const rn_sim_host *host = RN_CONTAINER_OF(link, const rn_sim_host, link);
        if (!rn_list_empty(&host->timers) || !rn_list_empty(&host->sockets) ||
            !rn_list_empty(&host->resolves)) {
            rn_violate(w->verdict, "leak", "a process on %s has left timers or sockets open",
                       host->machine->text);
        }
    }
}

/* A peer that has vanished is found out by its silence, and so is one whose farewell was lost: QUIC
 * does not repeat a CONNECTION_CLOSE by itself (RFC 9000, section 10.2.1). */
static uint64_t time_to_forget(const world *w) {
    const rn_sim_link *link = &w->plan->worker_link;
    bool lossy = link->loss > 0 || link->corrupt > 0 || link->rate_bps > 0;
    uint64_t time = lossy ? IDLE_TIMEOUT + 10 * RN_SECOND : 2 * RN_SECOND;
    for (size_t i = 0; i < w->plan->clients; i++) {
        if (w->callers[i].killed) {
            time = IDLE_TIMEOUT + 10 * RN_SECOND;
        }
    }
    return time;
}

/* A path of a worker took no datagrams for a while, so that what was said then may have been lost;
 * or a client has vanished. */
static bool somebody_is_awaited(const world *w) {
    const uint64_t *begun = w->faults.begun;
    return begun[RN_FAULT_WORKER_CUT] + begun[RN_FAULT_WORKER_DEAF] + begun[RN_FAULT_WORKER_MUTE] +
               begun[RN_FAULT_WORKER_STORM] + begun[RN_FAULT_WORKER_BLOCK] +
               begun[RN_FAULT_WORKER_DOWN] + begun[RN_FAULT_WORKER_FILTER] +
               begun[RN_FAULT_DIRECTOR_BLOCK] + begun[RN_FAULT_CLIENT_KILL] >
           0;
}

static bool is_empty(const world *w) {
    return rn_cluster_is_empty(&w->cluster);
}

/* All programs are told to end, and do. */
static void end_orderly(world *w) {
    run_until(w, never, rn_sim_now(w->sim) + time_to_forget(w));
    if (somebody_is_awaited(w)) {
        /* A worker may have given up a handshake that ended for the director: no answer tells it
         * so. And three probe timeouts may be longer than the idle timeout (RFC 9000,
         * section 10.1), when a round trip has taken seconds; what was said in a fault is probed
         * for as late as watch.c tells (FORGET_FOR). */
        run_until(w, is_empty, rn_sim_now(w->sim) + 3 * IDLE_TIMEOUT);
    }
    rn_cluster_check_empty(&w->cluster);
    check_connections(w);
    w->closing = true;
    for (size_t i = 0; i < w->plan->workers; i++) {
        rn_cluster_term_worker(&w->cluster, i);
    }
    rn_cluster_term_director(&w->cluster);
    run_until(w, all_ended, rn_sim_now(w->sim) + ENDS_WITHIN);
    if (!all_ended(w)) {
        rn_violate(w->verdict, "exit", "the programs did not end when they were told to");
    }
}

static void sum_up(const world *w, rn_world_result *result) {
    result->digest = rn_sim_trace_digest(w->sim) ^ rn_sim_content_digest(w->sim);
    result->virtual_ns = rn_sim_now(w->sim) - RN_SIM_START;
    result->datagrams = rn_sim_get_stats(w->sim)->sent;
    memcpy(result->faults, w->faults.begun, sizeof result->faults);
    for (size_t i = 0; i < w->plan->clients; i++) {
        const rn_caller *caller = &w->callers[i];
        result->tokens += caller->tokens;
        result->swaps += caller->swaps;
        result->streams += caller->stream_count;
        for (size_t s = 0; s < caller->stream_count; s++) {
            int code = caller->streams[s].code;
            result->ends[code >= 0 && code < RN_WORLD_ENDS ? code : RN_WORLD_ENDS - 1]++;
        }
    }
}

static void close_world(world *w) {
    w->closing = true;
    rn_cluster_fini(&w->cluster);
    for (size_t i = 0; i < w->plan->clients; i++) {
        rn_caller_fini(&w->callers[i]);
    }
    run_until(w, never, rn_sim_now(w->sim) + RN_SECOND); /* what was put off */
    if (w->verdict->violations == 0) {
        check_processes(w);
    }
    rn_packets_fini(&w->packets);
    rn_sim_del(w->sim);
    rn_qlog_del(w->qlog);
    w->verdict->sim = NULL;
    rn_model_del(w->model);
}

void rn_world_run(const rn_plan *plan, const rn_world_options *options, rn_world_result *result) {
    world *w = rn_sim_alloc(sizeof *w);
    memset(result, 0, sizeof *result);
    w->verdict = &result->verdict;
    open_world(w, plan, options);
    run_until(w, never, plan->faults_end_ns);
    run_until(w, all_over, plan->faults_end_ns + plan->quiet_ns);
    if (w->verdict->violations == 0) {
        report_unfinished(w);
        end_orderly(w);
    }
    sum_up(w, result);
    close_world(w);
    free(w);
}
