/* plan: how a seed becomes a cluster, a workload and a schedule of faults. */
#include "sim/world/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/random.h"

/* Streams of chance. A new one for what is new leaves most plans as they were, and with them what
 * their seeds have found (seeds.txt). */
enum { SHAPE = 1, PATHS, WORKLOAD, FAULTS, DIRECTOR, QUEUES, FILTERS };

static const char *const fault_names[RN_FAULT_KINDS] = {
    [RN_FAULT_WORKER_KILL] = "worker-kill",       [RN_FAULT_WORKER_HANG] = "worker-hang",
    [RN_FAULT_WORKER_DRAIN] = "worker-drain",     [RN_FAULT_WORKER_CUT] = "worker-cut",
    [RN_FAULT_WORKER_DEAF] = "worker-deaf",       [RN_FAULT_WORKER_MUTE] = "worker-mute",
    [RN_FAULT_WORKER_STORM] = "worker-storm",     [RN_FAULT_WORKER_BLOCK] = "worker-block",
    [RN_FAULT_WORKER_DOWN] = "worker-down",       [RN_FAULT_CLIENT_CUT] = "client-cut",
    [RN_FAULT_CLIENT_STORM] = "client-storm",     [RN_FAULT_CLIENT_REBIND] = "client-rebind",
    [RN_FAULT_CLIENT_KILL] = "client-kill",       [RN_FAULT_DIRECTOR_KILL] = "director-kill",
    [RN_FAULT_DIRECTOR_BLOCK] = "director-block", [RN_FAULT_DIRECTOR_HANG] = "director-hang",
    [RN_FAULT_DIRECTOR_DRAIN] = "director-drain", [RN_FAULT_WORKER_FILTER] = "worker-filter",
};

const char *rn_fault_name(enum rn_fault_kind kind) {
    return fault_names[kind];
}

bool rn_fault_is_of_client(enum rn_fault_kind kind) {
    return kind >= RN_FAULT_CLIENT_CUT && kind <= RN_FAULT_CLIENT_KILL;
}

bool rn_fault_is_of_director(enum rn_fault_kind kind) {
    return kind >= RN_FAULT_DIRECTOR_KILL && kind <= RN_FAULT_DIRECTOR_DRAIN;
}

static uint64_t between(rn_sim_random *random, uint64_t low, uint64_t high) {
    return low + rn_sim_random_below(random, high - low + 1);
}

/* Any order of magnitude is as likely as any other: 1..2 like 2..4 and 4..8. */
static uint64_t scaled(rn_sim_random *random, uint64_t low, uint64_t high) {
    uint64_t doublings = 0;
    while (low << (doublings + 1) <= high) {
        doublings++;
    }
    uint64_t from = low << rn_sim_random_below(random, doublings + 1);
    return between(random, from, 2 * from < high ? 2 * from : high);
}

static bool chance(rn_sim_random *random, double probability) {
    return rn_sim_random_chance(random, probability);
}

static void make_shape(rn_plan *plan) {
    rn_sim_random random;
    rn_sim_random_init(&random, plan->seed, SHAPE);
    plan->workers = between(&random, 2, RN_PLAN_WORKERS_MAX);
    plan->clients = between(&random, 1, RN_PLAN_CLIENTS_MAX);
    plan->token_interval_ns = scaled(&random, RN_MILLISECOND, 100 * RN_MILLISECOND);
    plan->recover_after_ns = between(&random, 200 * RN_MILLISECOND, 3 * RN_SECOND);
    plan->park_ns = chance(&random, 0.1) ? RN_SECOND : 60 * RN_SECOND;
    plan->journal_max = chance(&random, 0.1) ? scaled(&random, 256, 16384) : 1 << 20;
    plan->credit_window = chance(&random, 0.3) ? scaled(&random, 64, 32768) : 256 << 10;
    plan->client_window = chance(&random, 0.3) ? scaled(&random, 8192, 65536) : 256 << 10;
    for (size_t i = 0; i < plan->workers; i++) {
        if (chance(&random, 0.3)) {
            plan->fail_after_ns[i] = between(&random, 200 * RN_MILLISECOND, 5 * RN_SECOND);
        }
        plan->stall_after[i] = chance(&random, 0.2) ? between(&random, 10, 200) : 0;
        plan->skew_ppm[i] = chance(&random, 0.3) ? (int32_t)between(&random, 0, 2000) - 1000 : 0;
        plan->streams_max[i] = chance(&random, 0.2) ? between(&random, 1, 8) : 1000;
    }
}

static rn_sim_link make_link(rn_sim_random *random) {
    rn_sim_link link = {.latency_ns = scaled(random, 50 * RN_MICROSECOND, 40 * RN_MILLISECOND)};
    if (chance(random, 0.5)) {
        link.jitter_ns = rn_sim_random_below(random, link.latency_ns + 1);
    }
    if (chance(random, 0.3)) {
        link.loss = (double)between(random, 1, 30) / 1000;
    }
    if (chance(random, 0.2)) {
        link.duplicate = (double)between(random, 1, 50) / 1000;
    }
    if (chance(random, 0.2)) {
        link.reorder = (double)between(random, 1, 50) / 1000;
    }
    if (chance(random, 0.1)) {
        link.ecn_mark = (double)between(random, 1, 100) / 1000;
    }
    if (chance(random, 0.1)) {
        link.mtu = 1280 + 40;
    }
    if (chance(random, 0.1)) {
        link.corrupt = (double)between(random, 1, 20) / 1000;
    }
    if (chance(random, 0.1)) {
        link.rate_bps = scaled(random, 2000000, 100000000);
    }
    return link;
}

static void make_paths(rn_plan *plan) {
    rn_sim_random random;
    rn_sim_random_init(&random, plan->seed, PATHS);
    plan->client_link = make_link(&random);
    plan->worker_link = make_link(&random);
}

/* Less than a burst of packets fits into it. */
static void make_queues(rn_plan *plan) {
    rn_sim_random random;
    rn_sim_random_init(&random, plan->seed, QUEUES);
    rn_sim_link *links[] = {&plan->client_link, &plan->worker_link};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        if (links[i]->rate_bps > 0 && chance(&random, 0.5)) {
            links[i]->queue_bytes = scaled(&random, 4000, 64000);
        }
    }
}

static void make_stream(rn_sim_random *random, const rn_plan *plan, rn_stream_plan *stream) {
    memset(stream, 0, sizeof *stream);
    stream->client = (size_t)rn_sim_random_below(random, plan->clients);
    stream->at_ns = between(random, 300 * RN_MILLISECOND, plan->faults_end_ns);
    stream->kind = chance(random, 0.2) ? RN_STREAM_CHAT : RN_STREAM_GENERATE;
    stream->says = stream->kind == RN_STREAM_CHAT ? between(random, 1, RN_PLAN_SAYS_MAX) : 1;
    stream->seed = stream->kind == RN_STREAM_CHAT ? 0 : rn_sim_random_below(random, 1000000);
    for (size_t i = 0; i < stream->says; i++) {
        stream->tokens[i] = scaled(random, 1, 600);
        stream->say_ns[i] = between(random, 0, 2 * RN_SECOND);
    }
    stream->pace_us = chance(random, 0.5) ? scaled(random, 1, 100000) : 0;
    if (chance(random, 0.1)) {
        stream->deadline_ns = between(random, 10 * RN_MILLISECOND, 5 * RN_SECOND);
    }
    if (chance(random, 0.1)) {
        stream->cancel_ns = between(random, 0, 3 * RN_SECOND);
    }
    if (chance(random, 0.1)) {
        stream->slow_ns = between(random, 10 * RN_MILLISECOND, RN_SECOND);
    }
}

static int by_start(const void *a, const void *b) {
    const rn_stream_plan *left = a;
    const rn_stream_plan *right = b;
    return left->at_ns < right->at_ns ? -1 : left->at_ns > right->at_ns;
}

/* More than all rings and windows hold, for a client that does not keep up. */
static void make_flood(rn_sim_random *random, rn_stream_plan *stream) {
    *stream = (rn_stream_plan){.kind = RN_STREAM_GENERATE,
                               .client = stream->client,
                               .at_ns = stream->at_ns,
                               .seed = rn_sim_random_below(random, 1000000),
                               .tokens = {between(random, 12000, 24000)},
                               .says = 1,
                               .pace_us = 1,
                               .slow_ns = between(random, 200 * RN_MILLISECOND, 2 * RN_SECOND)};
}

static void make_workload(rn_plan *plan) {
    rn_sim_random random;
    rn_sim_random_init(&random, plan->seed, WORKLOAD);
    plan->faults_end_ns = RN_SIM_START + scaled(&random, 3 * RN_SECOND, 24 * RN_SECOND);
    plan->stream_count = scaled(&random, 4, RN_PLAN_STREAMS_MAX);
    for (size_t i = 0; i < plan->stream_count; i++) {
        make_stream(&random, plan, &plan->streams[i]);
    }
    if (chance(&random, 0.1)) {
        rn_stream_plan *poison = &plan->streams[rn_sim_random_below(&random, plan->stream_count)];
        *poison = (rn_stream_plan){.kind = RN_STREAM_POISON,
                                   .client = poison->client,
                                   .at_ns = poison->at_ns,
                                   .says = 2,
                                   .tokens = {0, 50},
                                   .say_ns = {0, 60 * RN_SECOND}};
    }
    if (chance(&random, 0.2)) {
        make_flood(&random, &plan->streams[rn_sim_random_below(&random, plan->stream_count)]);
    }
    qsort(plan->streams, plan->stream_count, sizeof plan->streams[0], by_start);
}

static enum rn_fault_kind draw_kind(rn_sim_random *random) {
    static const struct {
        enum rn_fault_kind kind;
        unsigned weight;
    } table[] = {
        {RN_FAULT_WORKER_KILL, 30}, {RN_FAULT_WORKER_HANG, 15},  {RN_FAULT_WORKER_DRAIN, 10},
        {RN_FAULT_WORKER_CUT, 6},   {RN_FAULT_WORKER_DEAF, 4},   {RN_FAULT_WORKER_MUTE, 4},
        {RN_FAULT_WORKER_STORM, 6}, {RN_FAULT_WORKER_BLOCK, 4},  {RN_FAULT_WORKER_DOWN, 3},
        {RN_FAULT_CLIENT_CUT, 4},   {RN_FAULT_CLIENT_STORM, 4},  {RN_FAULT_CLIENT_REBIND, 8},
        {RN_FAULT_CLIENT_KILL, 2},  {RN_FAULT_DIRECTOR_KILL, 1}, {RN_FAULT_DIRECTOR_BLOCK, 2},
    };
    enum { KINDS = sizeof table / sizeof table[0] };
    unsigned total = 0;
    for (size_t i = 0; i < KINDS; i++) {
        total += table[i].weight;
    }
    uint64_t drawn = rn_sim_random_below(random, total);
    size_t i = 0;
    while (drawn >= table[i].weight) {
        drawn -= table[i++].weight;
    }
    return table[i].kind;
}

/* Faults come alone or in bursts, so that one falls into what the last one has set off. */
static void make_faults(rn_plan *plan) {
    rn_sim_random random;
    rn_sim_random_init(&random, plan->seed, FAULTS);
    uint64_t at = RN_SIM_START + 500 * RN_MILLISECOND;
    uint64_t gap_max = scaled(&random, 50 * RN_MILLISECOND, 4 * RN_SECOND);
    bool burst = false;
    while (plan->fault_count < RN_PLAN_FAULTS_MAX) {
        burst = chance(&random, burst ? 0.6 : 0.3);
        at += burst ? between(&random, 0, 30 * RN_MILLISECOND) : between(&random, 0, gap_max);
        if (at >= plan->faults_end_ns) {
            return;
        }
        rn_fault *fault = &plan->faults[plan->fault_count++];
        fault->kind = draw_kind(&random);
        fault->who = (size_t)rn_sim_random_below(
            &random, rn_fault_is_of_client(fault->kind) ? plan->clients : plan->workers);
        fault->at_ns = at;
        fault->duration_ns = scaled(&random, 5 * RN_MILLISECOND, 4 * RN_SECOND);
        if (at + fault->duration_ns > plan->faults_end_ns) {
            fault->duration_ns = plan->faults_end_ns - at;
        }
    }
}

static void add_fault(rn_plan *plan, const rn_fault *fault) {
    size_t i = plan->fault_count;
    if (i == RN_PLAN_FAULTS_MAX) {
        return;
    }
    for (; i > 0 && plan->faults[i - 1].at_ns > fault->at_ns; i--) {
        plan->faults[i] = plan->faults[i - 1];
    }
    plan->faults[i] = *fault;
    plan->fault_count++;
}

/* Among the other faults; in few worlds, since streams rarely survive the end of their director. */
static void make_director_faults(rn_plan *plan) {
    /* Longer than its drain timeout: it ends by itself; or not: the new one ends it. */
    const uint64_t drain_max = 8 * RN_SECOND;
    rn_sim_random random;
    rn_sim_random_init(&random, plan->seed, DIRECTOR);
    if (chance(&random, 0.1)) {
        plan->director_skew_ppm = (int32_t)between(&random, 0, 2000) - 1000;
    }
    uint64_t count = chance(&random, 0.2) ? between(&random, 1, 3) : 0;
    for (uint64_t i = 0; i < count; i++) {
        rn_fault fault = {.at_ns = between(&random, RN_SIM_START + 500 * RN_MILLISECOND,
                                           plan->faults_end_ns - RN_MILLISECOND)};
        uint64_t left = plan->faults_end_ns - fault.at_ns;
        if (chance(&random, 0.7)) {
            fault.kind = RN_FAULT_DIRECTOR_HANG;
            fault.duration_ns = scaled(&random, 5 * RN_MILLISECOND, 4 * RN_SECOND);
        } else {
            fault.kind = RN_FAULT_DIRECTOR_DRAIN;
            fault.duration_ns = between(&random, 100 * RN_MILLISECOND, drain_max);
        }
        fault.duration_ns = fault.duration_ns < left ? fault.duration_ns : left;
        add_fault(plan, &fault);
    }
}

/* As long as a handshake or a silent connection lasts, and longer: in few worlds, which go on until
 * it is over. */
static void make_filters(rn_plan *plan) {
    rn_sim_random random;
    rn_sim_random_init(&random, plan->seed, FILTERS);
    if (!chance(&random, 0.1)) {
        return;
    }
    rn_fault fault = {.kind = RN_FAULT_WORKER_FILTER,
                      .who = (size_t)rn_sim_random_below(&random, plan->workers),
                      .at_ns = between(&random, RN_SIM_START, plan->faults_end_ns),
                      .duration_ns = between(&random, 12 * RN_SECOND, 45 * RN_SECOND)};
    uint64_t end_ns = fault.at_ns + fault.duration_ns;
    add_fault(plan, &fault);
    plan->faults_end_ns = end_ns > plan->faults_end_ns ? end_ns : plan->faults_end_ns;
}

void rn_plan_make(rn_plan *plan, uint64_t seed) {
    memset(plan, 0, sizeof *plan);
    plan->seed = seed;
    plan->quiet_ns = 600 * RN_SECOND;
    make_shape(plan);
    make_paths(plan);
    make_workload(plan);
    make_faults(plan);
    make_director_faults(plan);
    make_queues(plan);
    make_filters(plan);
}

void rn_plan_prompt(const rn_plan *plan, size_t stream, char *out, size_t size) {
    static const char *const words[] = {"the river", "the night", "a letter", "the sea"};
    const rn_stream_plan *asked = &plan->streams[stream];
    if (asked->kind == RN_STREAM_POISON) {
        snprintf(out, size, "poison");
    } else {
        snprintf(out, size, "%s %zu", words[stream % (sizeof words / sizeof words[0])], stream);
    }
}

static double seconds(uint64_t ns) {
    return (double)ns / (double)RN_SECOND;
}

static void print_stream(const rn_plan *plan, size_t index, FILE *out) {
    static const char *const kinds[] = {"generate", "chat", "poison"};
    const rn_stream_plan *stream = &plan->streams[index];
    fprintf(out, "  %8.3f s  stream %zu of client %zu: %s", seconds(stream->at_ns), index,
            stream->client, kinds[stream->kind]);
    for (size_t i = 0; i < stream->says; i++) {
        fprintf(out, "%s%" PRIu64, i == 0 ? ", tokens " : " + ", stream->tokens[i]);
    }
    if (stream->pace_us > 0) {
        fprintf(out, ", pace %" PRIu64 " us", stream->pace_us);
    }
    if (stream->deadline_ns > 0) {
        fprintf(out, ", deadline %.3f s", seconds(stream->deadline_ns));
    }
    if (stream->cancel_ns > 0) {
        fprintf(out, ", cancelled after %.3f s", seconds(stream->cancel_ns));
    }
    if (stream->slow_ns > 0) {
        fprintf(out, ", reads every %.3f s", seconds(stream->slow_ns));
    }
    fprintf(out, "\n");
}

static void print_link(const char *name, const rn_sim_link *link, FILE *out) {
    fprintf(out,
            "  paths to %s: latency %.3f ms, jitter %.3f ms, loss %.3f, duplicates %.3f, "
            "reordered %.3f\n",
            name, seconds(link->latency_ns) * 1000, seconds(link->jitter_ns) * 1000, link->loss,
            link->duplicate, link->reorder);
    if (link->rate_bps > 0) {
        fprintf(out, "    with %.3f Mbit/s", (double)link->rate_bps / 1e6);
        if (link->queue_bytes > 0) {
            fprintf(out, ", queue %zu bytes", link->queue_bytes);
        }
        fprintf(out, "\n");
    }
}

void rn_plan_print(const rn_plan *plan, bool streams, FILE *out) {
    fprintf(out, "plan of seed %" PRIu64 ": %zu workers, %zu clients, %zu streams, %zu faults\n",
            plan->seed, plan->workers, plan->clients, plan->stream_count, plan->fault_count);
    print_link("clients", &plan->client_link, out);
    print_link("workers", &plan->worker_link, out);
    if (plan->director_skew_ppm != 0) {
        fprintf(out, "  the director's clock is off by %d ppm\n", (int)plan->director_skew_ppm);
    }
    for (size_t i = 0; streams && i < plan->stream_count; i++) {
        print_stream(plan, i, out);
    }
    for (size_t i = 0; i < plan->fault_count; i++) {
        const rn_fault *fault = &plan->faults[i];
        fprintf(out, "  %8.3f s  %s", seconds(fault->at_ns), rn_fault_name(fault->kind));
        if (!rn_fault_is_of_director(fault->kind)) {
            fprintf(out, " %zu", fault->who);
        }
        fprintf(out, " for %.3f s\n", seconds(fault->duration_ns));
    }
}
