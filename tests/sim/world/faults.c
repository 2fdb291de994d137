/* faults: see the header. */
#include "sim/world/faults.h"

#include <inttypes.h>
#include <string.h>

#include "sim/internal.h"

/* Behind the client's READY the server may still miss its last flight. */
#define HANDSHAKE_CONFIRMED (5 * RN_SECOND)

static unsigned *counter(rn_faults *faults, const rn_fault *fault) {
    return &faults->active[fault->kind][rn_fault_is_of_director(fault->kind) ? 0 : fault->who];
}

static bool on(const rn_faults *faults, enum rn_fault_kind kind, size_t who) {
    return faults->active[kind][who] > 0;
}

/* A path on which hardly anything works, but something does. */
static rn_sim_link storm(const rn_sim_link *link) {
    rn_sim_link bad = *link;
    bad.loss = 0.3;
    bad.duplicate = 0.1;
    bad.reorder = 0.2;
    bad.reorder_ns = link->latency_ns + 20 * RN_MILLISECOND;
    bad.jitter_ns = link->latency_ns + 10 * RN_MILLISECOND;
    bad.corrupt = 0.05;
    return bad;
}

static void set_worker_path(const rn_faults *faults, size_t who) {
    const char *host = faults->cluster->workers[who].host;
    bool cut = on(faults, RN_FAULT_WORKER_CUT, who);
    rn_sim_link bad = storm(&faults->plan->worker_link);
    bool stormy = on(faults, RN_FAULT_WORKER_STORM, who);
    rn_sim_set_partition_one_way(faults->sim, RN_CLUSTER_DIRECTOR_HOST, host,
                                 cut || on(faults, RN_FAULT_WORKER_DEAF, who));
    rn_sim_set_partition_one_way(faults->sim, host, RN_CLUSTER_DIRECTOR_HOST,
                                 cut || on(faults, RN_FAULT_WORKER_MUTE, who));
    rn_sim_set_link(faults->sim, RN_CLUSTER_DIRECTOR_HOST, host,
                    stormy ? &bad : &faults->plan->worker_link);
    rn_sim_set_down(faults->sim, host, on(faults, RN_FAULT_WORKER_DOWN, who));
    rn_sim_set_filter(faults->sim, host,
                      on(faults, RN_FAULT_WORKER_FILTER, who) ? RN_CLUSTER_WORKER_USER_PORT : 0);
}

static void set_client_path(const rn_faults *faults, size_t who) {
    const char *host = faults->callers[who].host;
    rn_sim_link bad = storm(&faults->plan->client_link);
    bool stormy = on(faults, RN_FAULT_CLIENT_STORM, who);
    rn_sim_set_partition(faults->sim, RN_CLUSTER_DIRECTOR_HOST, host,
                         on(faults, RN_FAULT_CLIENT_CUT, who));
    rn_sim_set_link(faults->sim, RN_CLUSTER_DIRECTOR_HOST, host,
                    stormy ? &bad : &faults->plan->client_link);
}

/* Whatever is broken or mended; a process that was started meanwhile gets its share. */
static void set_worker(const rn_faults *faults, size_t who) {
    const rn_cluster_worker *worker = &faults->cluster->workers[who];
    set_worker_path(faults, who);
    rn_cluster_hang_worker(faults->cluster, who, on(faults, RN_FAULT_WORKER_HANG, who));
    if (worker->program != NULL) {
        rn_sim_host_block_sends(worker->env, on(faults, RN_FAULT_WORKER_BLOCK, who));
    }
}

/* Killed or drained ones come back when the last fault that keeps them down has ended. */
static void restart_worker(const rn_faults *faults, size_t who) {
    rn_cluster_worker *worker = &faults->cluster->workers[who];
    if (on(faults, RN_FAULT_WORKER_KILL, who) || on(faults, RN_FAULT_WORKER_DRAIN, who)) {
        return;
    }
    /* One that still drains makes room for the new process. */
    if (worker->program != NULL && worker->program->draining) {
        rn_cluster_kill_worker(faults->cluster, who);
    }
    rn_cluster_start_worker(faults->cluster, who);
    if (faults->plan->skew_ppm[who] != 0) {
        rn_sim_clock clock = {.skew_ppm = faults->plan->skew_ppm[who]};
        rn_sim_host_set_clock(worker->env, &clock);
    }
}

static void set_director(const rn_faults *faults) {
    rn_cluster_hang_director(faults->cluster, on(faults, RN_FAULT_DIRECTOR_HANG, 0));
    if (faults->cluster->director != NULL) {
        rn_sim_host_block_sends(faults->cluster->env, on(faults, RN_FAULT_DIRECTOR_BLOCK, 0));
    }
}

/* As with workers. */
static void restart_director(const rn_faults *faults) {
    rn_cluster *cluster = faults->cluster;
    if (on(faults, RN_FAULT_DIRECTOR_KILL, 0) || on(faults, RN_FAULT_DIRECTOR_DRAIN, 0)) {
        return;
    }
    if (cluster->director != NULL && cluster->director->program.stopping) {
        rn_cluster_kill_director(cluster);
    }
    rn_cluster_start_director(cluster);
}

/* Every socket gets another mapping: behind a director that drains a client may have two. */
static void rebind(rn_faults *faults, size_t who) {
    const rn_caller *caller = &faults->callers[who];
    const rn_list *link;
    bool early = caller->killed ||
                 rpcnet_channel_get_state(caller->channel) != RPCNET_CHANNEL_READY ||
                 rn_sim_now(faults->sim) < caller->ready_ns + HANDSHAKE_CONFIRMED;
    faults->client_rebound_early[who] += early;
    if (caller->killed) {
        return;
    }
    const rn_sim_host *host = rn_sim_host_of(caller->env);
    for (link = host->sockets.next; link != &host->sockets; link = link->next) {
        char outer[RN_ADDRESS_TEXT_MAX];
        const rn_udp *udp = RN_CONTAINER_OF(link, const rn_udp, link);
        snprintf(outer, sizeof outer, "203.0.113.%zu:%" PRIu64, who + 1,
                 1024 + faults->rebindings++);
        (void)rn_sim_rebind(caller->env, rn_address_port(&udp->inner), outer);
    }
}

static void note(rn_faults *faults, const rn_fault *fault) {
    bool all = rn_fault_is_of_director(fault->kind);
    for (size_t i = 0; i < faults->plan->clients; i++) {
        if (all || (rn_fault_is_of_client(fault->kind) && fault->who == i)) {
            faults->client_ns[i] = rn_sim_now(faults->sim);
        }
    }
    for (size_t i = 0; i < faults->plan->workers; i++) {
        if (all || (!rn_fault_is_of_client(fault->kind) && fault->who == i)) {
            faults->worker_ns[i] = rn_sim_now(faults->sim);
        }
    }
}

static void begin(void *user) {
    const rn_faults_entry *entry = user;
    rn_faults *faults = entry->faults;
    const rn_fault *fault = entry->fault;
    (*counter(faults, fault))++;
    faults->active_total++;
    faults->begun[fault->kind]++;
    faults->changed_ns = rn_sim_now(faults->sim);
    note(faults, fault);
    switch (fault->kind) {
    case RN_FAULT_WORKER_KILL:
        rn_cluster_kill_worker(faults->cluster, fault->who);
        return;
    case RN_FAULT_WORKER_DRAIN:
        rn_cluster_term_worker(faults->cluster, fault->who);
        return;
    case RN_FAULT_CLIENT_REBIND:
        rebind(faults, fault->who);
        return;
    case RN_FAULT_CLIENT_KILL:
        rn_caller_kill(&faults->callers[fault->who]);
        return;
    case RN_FAULT_DIRECTOR_KILL:
        rn_cluster_kill_director(faults->cluster);
        return;
    case RN_FAULT_DIRECTOR_DRAIN:
        rn_cluster_term_director(faults->cluster);
        return;
    case RN_FAULT_DIRECTOR_BLOCK:
    case RN_FAULT_DIRECTOR_HANG:
        set_director(faults);
        return;
    default:
        break;
    }
    if (rn_fault_is_of_client(fault->kind)) {
        set_client_path(faults, fault->who);
    } else {
        set_worker(faults, fault->who);
    }
}

static void end(void *user) {
    const rn_faults_entry *entry = user;
    rn_faults *faults = entry->faults;
    const rn_fault *fault = entry->fault;
    (*counter(faults, fault))--;
    faults->active_total--;
    faults->changed_ns = rn_sim_now(faults->sim);
    note(faults, fault);
    if (rn_fault_is_of_director(fault->kind)) {
        restart_director(faults);
        set_director(faults);
    } else if (rn_fault_is_of_client(fault->kind)) {
        set_client_path(faults, fault->who);
    } else {
        restart_worker(faults, fault->who);
        set_worker(faults, fault->who);
        if (fault->kind == RN_FAULT_WORKER_FILTER) {
            faults->worker_filtered_ns[fault->who] = rn_sim_now(faults->sim);
        }
    }
}

void rn_faults_init(rn_faults *faults, rn_sim *sim, const rn_plan *plan, rn_cluster *cluster,
                    rn_caller *callers) {
    memset(faults, 0, sizeof *faults);
    faults->sim = sim;
    faults->plan = plan;
    faults->cluster = cluster;
    faults->callers = callers;
    for (size_t i = 0; i < plan->workers; i++) {
        set_worker_path(faults, i);
        restart_worker(faults, i);
    }
    for (size_t i = 0; i < plan->clients; i++) {
        set_client_path(faults, i);
    }
    for (size_t i = 0; i < plan->fault_count; i++) {
        const rn_fault *fault = &plan->faults[i];
        faults->entries[i] = (rn_faults_entry){.faults = faults, .fault = fault};
        rn_sim_at(sim, fault->at_ns, begin, &faults->entries[i]);
        rn_sim_at(sim, fault->at_ns + fault->duration_ns, end, &faults->entries[i]);
    }
}

bool rn_faults_strike_worker(const rn_faults *faults, size_t worker) {
    for (int kind = RN_FAULT_WORKER_KILL; kind <= RN_FAULT_WORKER_FILTER; kind++) {
        if (on(faults, (enum rn_fault_kind)kind, worker)) {
            return true;
        }
    }
    return faults->cluster->workers[worker].program == NULL;
}

bool rn_faults_strike_client(const rn_faults *faults, size_t client) {
    for (int kind = RN_FAULT_DIRECTOR_KILL; kind <= RN_FAULT_DIRECTOR_DRAIN; kind++) {
        if (on(faults, (enum rn_fault_kind)kind, 0)) {
            return true;
        }
    }
    return on(faults, RN_FAULT_CLIENT_CUT, client) || on(faults, RN_FAULT_CLIENT_STORM, client);
}
