/* metrics: the numbers of a director. The planes count for themselves; when the page is asked for,
 * their counters are copied into the registry, in the order of the tables here. */
#include <stddef.h>

#include "director/sight/sight.h"
#include "rpcnet/error.h"

enum { HTTP_OK = 200 };

#define PREFIX "rpcnet_director_"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- of the streams ---- */

typedef struct counter {
    const char *name;
    const char *help;
    size_t offset; /* in rn_swap_counters */
} counter;

#define OF(member) offsetof(rn_swap_counters, member)

static const counter counters[] = {
    {PREFIX "streams_opened_total", "Streams that clients have opened.", OF(opened)},
    {PREFIX "assignments_total", "Streams handed to a worker, each time.", OF(assignments)},
    {PREFIX "assignments_accepted_total", "Assignments that a worker has taken.", OF(accepted)},
    {PREFIX "assignments_refused_total", "Assignments that a worker has refused.", OF(refusals)},
    {PREFIX "messages_relayed_total", "Messages relayed to clients.", OF(relayed)},
    {PREFIX "messages_duplicate_total", "Messages dropped because the client had them.",
     OF(duplicates)},
    {PREFIX "frames_stale_total",
     "Frames dropped because they came from an older assignment (a guard).", OF(stale)},
    {PREFIX "worker_faults_total", "Times that a worker has broken the protocol.", OF(faults)},
    {PREFIX "checkpoints_total", "Checkpoints of workers that are kept.", OF(checkpoints)},
    {PREFIX "checkpoints_refused_total", "Checkpoints that were too large or of no use.",
     OF(checkpoints_refused)},
    {PREFIX "journals_given_up_total",
     "Streams that became immovable because their journal was over its limit or memory was short.",
     OF(journals_given_up)},
    {PREFIX "requests_given_up_total",
     "Streams that became immovable because their request was over its limit or memory was short.",
     OF(requests_given_up)},
    {PREFIX "credit_used_up_total", "Times that a worker had used all its credit.",
     OF(credit_used_up)},
    {PREFIX "rounds_full_total", "Rounds that ended because as many workers as may be were tried.",
     OF(rounds_full)},
};

/* One metric with a label; `name` holds the label's value. */
static const counter ends[] = {
    {"done", NULL, OF(ended_done)},         {"failed", NULL, OF(ended_failed)},
    {"attempts", NULL, OF(ended_attempts)}, {"unresumable", NULL, OF(ended_unresumable)},
    {"parked", NULL, OF(ended_parked)},     {"cancelled", NULL, OF(ended_cancelled)},
    {"deadline", NULL, OF(ended_deadline)}, {"exhausted", NULL, OF(ended_exhausted)},
    {"other", NULL, OF(ended_other)},
};

/* ---- of the two servers ---- */

typedef struct server_row {
    enum rn_metric_kind kind;
    const char *name;
    const char *help;
} server_row;

enum { SERVER_ROWS = 15 };

static const server_row server_rows[SERVER_ROWS] = {
    {RN_METRIC_COUNTER, PREFIX "connections_accepted_total", "Connections that were begun."},
    {RN_METRIC_COUNTER, PREFIX "handshakes_completed_total", "TLS handshakes that succeeded."},
    {RN_METRIC_COUNTER, PREFIX "handshakes_failed_total", "TLS handshakes that failed."},
    {RN_METRIC_COUNTER, PREFIX "handshakes_evicted_total",
     "Of these, those that made room for newcomers."},
    {RN_METRIC_COUNTER, PREFIX "connections_refused_total",
     "Connections refused because of a limit."},
    {RN_METRIC_COUNTER, PREFIX "connections_refused_of_address_total",
     "Of these, those refused because their address had too many."},
    {RN_METRIC_COUNTER, PREFIX "calls_refused_of_address_total",
     "Calls refused because their address had too many."},
    {RN_METRIC_COUNTER, PREFIX "headers_refused_total",
     "Calls refused because their headers were too large."},
    {RN_METRIC_COUNTER, PREFIX "messages_refused_total",
     "Calls ended because a message was too large."},
    {RN_METRIC_COUNTER, PREFIX "retries_sent_total", "Clients asked to prove their address."},
    {RN_METRIC_COUNTER, PREFIX "datagrams_dropped_total", "Datagrams that belonged to nothing."},
    {RN_METRIC_COUNTER, PREFIX "resets_withheld_total",
     "Stateless resets not sent because there were too many in that second."},
    {RN_METRIC_COUNTER, PREFIX "calls_total", "Calls received."},
    {RN_METRIC_GAUGE, PREFIX "connections_open", "Connections that are open."},
    {RN_METRIC_GAUGE, PREFIX "calls_open", "Calls that are open."},
};

static void read_server(const rpcnet_server *server, uint64_t out[SERVER_ROWS]) {
    rpcnet_server_stats stats = {0};
    if (server != NULL) {
        rpcnet_server_get_stats(server, &stats);
    }
    const uint64_t values[SERVER_ROWS] = {
        stats.connections_accepted,
        stats.handshakes_completed,
        stats.handshakes_failed,
        stats.handshakes_evicted,
        stats.connections_refused,
        stats.connections_refused_of_address,
        stats.calls_refused_of_address,
        stats.headers_refused,
        stats.messages_refused,
        stats.retries_sent,
        stats.datagrams_dropped,
        stats.resets_withheld,
        stats.calls,
        stats.connections_open,
        stats.calls_open,
    };
    for (size_t i = 0; i < SERVER_ROWS; i++) {
        out[i] = values[i];
    }
}

/* ---- of workers, links and memory ---- */

enum { WORKER_STATES = 4, LINK_STATES = 3 };
static const char *const worker_states[WORKER_STATES] = {[RN_PICK_READY] = "ready",
                                                         [RN_PICK_DRAINING] = "draining",
                                                         [RN_PICK_RECOVERING] = "recovering",
                                                         [RN_PICK_SUSPECT] = "suspect"};
static const char *const link_states[LINK_STATES] = {"up", "suspect", "lost"};

static const server_row plain_rows[] = {
    {RN_METRIC_COUNTER, PREFIX "calls_unauthenticated_total",
     "Calls refused because they bore no bearer token that is known."},
    {RN_METRIC_COUNTER, PREFIX "suspicions_total", "Times that a worker did not answer in time."},
    {RN_METRIC_COUNTER, PREFIX "false_suspicions_total",
     "Suspicions of a worker that answered later."},
    {RN_METRIC_GAUGE, PREFIX "patience_max",
     "By how much the limits of silence are longer, for the worker with the most."},
    {RN_METRIC_GAUGE, PREFIX "streams_open", "Streams that are open."},
    {RN_METRIC_COUNTER, PREFIX "streams_refused_total",
     "New streams refused because memory was used up."},
    {RN_METRIC_COUNTER, PREFIX "streams_shed_total",
     "Streams ended because memory was used up and they held most of it."},
    {RN_METRIC_COUNTER, PREFIX "others_shed_total",
     "Unsent ends of streams, and connections with bytes out of order or without an answer to "
     "resets, given up likewise."},
    {RN_METRIC_COUNTER, PREFIX "messages_starved_total",
     "Messages that could not come whole because memory was used up."},
    {RN_METRIC_COUNTER, PREFIX "rings_full_total",
     "Times that a client's send ring had no room and messages had to wait."},
    {RN_METRIC_COUNTER, PREFIX "waiting_refused_total",
     "Assignments that failed because too many waited for the worker's connection."},
    {RN_METRIC_COUNTER, PREFIX "workers_refused_total",
     "Registrations refused because there were as many workers as may be."},
    {RN_METRIC_COUNTER, PREFIX "queue_overflows_total", "Streams ended because a queue was full."},
    {RN_METRIC_GAUGE, PREFIX "memory_used_bytes",
     "Memory of streams: journals, requests, rings, queues, unfinished messages."},
    {RN_METRIC_GAUGE, PREFIX "memory_peak_bytes", "The most that this was."},
    {RN_METRIC_GAUGE, PREFIX "memory_limit_bytes",
     "The most that this may be (CONNECTION_SWAP_MEMORY_MAX)."},
};

/* From a millisecond, which a handover on one machine takes, to the time that streams wait for a
 * worker. */
static const uint64_t gap_bounds[] = {
    250 * RN_MICROSECOND,  500 * RN_MICROSECOND, RN_MILLISECOND,
    2 * RN_MILLISECOND,    3 * RN_MILLISECOND,   5 * RN_MILLISECOND,
    10 * RN_MILLISECOND,   20 * RN_MILLISECOND,  40 * RN_MILLISECOND,
    60 * RN_MILLISECOND,   100 * RN_MILLISECOND, 200 * RN_MILLISECOND,
    300 * RN_MILLISECOND,  500 * RN_MILLISECOND, RN_SECOND,
    2500 * RN_MILLISECOND, 5 * RN_SECOND,        10 * RN_SECOND,
    30 * RN_SECOND};

/* ---- registering: the same order as sampling ---- */

static int add(rn_director_sight *sight, enum rn_metric_kind kind, const char *name,
               const char *help, const char *label, const char *label_value) {
    const rn_metric_spec spec = {
        .kind = kind, .name = name, .help = help, .label = label, .label_value = label_value};
    if (sight->values_count == RN_DIRECTOR_METRICS_MAX) {
        return RPCNET_ERR_LIMIT;
    }
    int result = rn_metrics_add(sight->metrics, &spec, &sight->values[sight->values_count]);
    sight->values_count += result == RPCNET_OK;
    return result;
}

/* One metric for each value of a label. */
static int add_labels(rn_director_sight *sight, enum rn_metric_kind kind, const char *name,
                      const char *help, const char *label, const char *const *values,
                      size_t count) {
    int result = RPCNET_OK;
    for (size_t i = 0; i < count && result == RPCNET_OK; i++) {
        result = add(sight, kind, name, help, label, values[i]);
    }
    return result;
}

static int add_streams(rn_director_sight *sight) {
    int result = RPCNET_OK;
    for (size_t i = 0; i < COUNT(counters) && result == RPCNET_OK; i++) {
        result = add(sight, RN_METRIC_COUNTER, counters[i].name, counters[i].help, NULL, NULL);
    }
    for (size_t i = 0; i < COUNT(ends) && result == RPCNET_OK; i++) {
        result = add(sight, RN_METRIC_COUNTER, PREFIX "streams_ended_total",
                     "Streams that have ended, by how.", "end", ends[i].name);
    }
    for (uint32_t i = RN_SWAP_FAILURE; i < RN_SWAP_REASONS && result == RPCNET_OK; i++) {
        result = add(sight, RN_METRIC_COUNTER, PREFIX "assignments_lost_total",
                     "Streams that have lost their worker, by why, each time.", "reason",
                     rn_swap_reason_name(i));
    }
    for (uint32_t i = RN_SWAP_FAILURE; i < RN_SWAP_REASONS && result == RPCNET_OK; i++) {
        result = add(sight, RN_METRIC_COUNTER, PREFIX "swaps_total",
                     "Streams that flow again on another worker, by why they lost the one before.",
                     "reason", rn_swap_reason_name(i));
    }
    return result;
}

static int add_gaps(rn_director_sight *sight) {
    int result = RPCNET_OK;
    for (uint32_t i = RN_SWAP_FAILURE; i < RN_SWAP_REASONS && result == RPCNET_OK; i++) {
        const rn_metric_spec spec = {
            .kind = RN_METRIC_HISTOGRAM,
            .name = PREFIX "swap_gap_seconds",
            .help = "Time from the loss of a worker to the first message of the next one.",
            .label = "reason",
            .label_value = rn_swap_reason_name(i),
            .decimals = RN_METRIC_NANOSECONDS};
        result = rn_metrics_add_histogram(sight->metrics, &spec, gap_bounds, COUNT(gap_bounds),
                                          &sight->gaps[i]);
    }
    return result;
}

static int add_servers(rn_director_sight *sight) {
    static const char *const ports[] = {"user", "mgmt"};
    int result = RPCNET_OK;
    for (size_t i = 0; i < SERVER_ROWS && result == RPCNET_OK; i++) {
        const server_row *row = &server_rows[i];
        result = add_labels(sight, row->kind, row->name, row->help, "port", ports, COUNT(ports));
    }
    return result;
}

int rn_director_metrics_add(rn_director_sight *sight) {
    int result = add_streams(sight);
    if (result == RPCNET_OK) {
        result = add_servers(sight);
    }
    if (result == RPCNET_OK) {
        result = add_labels(sight, RN_METRIC_GAUGE, PREFIX "workers", "Registered workers.",
                            "state", worker_states, WORKER_STATES);
    }
    if (result == RPCNET_OK) {
        result = add_labels(sight, RN_METRIC_GAUGE, PREFIX "links", "Connections to workers.",
                            "state", link_states, LINK_STATES);
    }
    for (size_t i = 0; i < COUNT(plain_rows) && result == RPCNET_OK; i++) {
        const server_row *row = &plain_rows[i];
        result = add(sight, row->kind, row->name, row->help, NULL, NULL);
    }
    if (result == RPCNET_OK) {
        result = add_gaps(sight);
    }
    return result == RPCNET_OK ? rn_sight_process_add(&sight->process, sight->metrics, sight->env)
                               : result;
}

/* ---- sampling ---- */

typedef struct cursor {
    rn_director_sight *sight;
    size_t at;
} cursor;

static void put(cursor *out, uint64_t value) {
    *out->sight->values[out->at++] = value;
}

static void put_counters(cursor *out, const counter *table, size_t count) {
    const char *from = (const char *)&out->sight->view.data->counters;
    for (size_t i = 0; i < count; i++) {
        put(out, *(const uint64_t *)(const void *)(from + table[i].offset));
    }
}

static void put_streams(cursor *out) {
    put_counters(out, counters, COUNT(counters));
    put_counters(out, ends, COUNT(ends));
    for (uint32_t i = RN_SWAP_FAILURE; i < RN_SWAP_REASONS; i++) {
        put(out, out->sight->view.data->counters.lost[i]);
    }
    for (uint32_t i = RN_SWAP_FAILURE; i < RN_SWAP_REASONS; i++) {
        put(out, out->sight->swaps_by_reason[i]);
    }
}

static void put_servers(cursor *out) {
    uint64_t user[SERVER_ROWS];
    uint64_t mgmt[SERVER_ROWS];
    read_server(*out->sight->view.user, user);
    read_server(out->sight->view.control->server, mgmt);
    for (size_t i = 0; i < SERVER_ROWS; i++) {
        put(out, user[i]);
        put(out, mgmt[i]);
    }
}

static void put_workers(cursor *out) {
    const rn_pool_snapshot *snapshot = &out->sight->view.control->pool.snapshot;
    uint64_t counts[WORKER_STATES] = {0};
    for (size_t i = 0; i < snapshot->count; i++) {
        counts[snapshot->workers[i].state]++;
    }
    for (size_t i = 0; i < WORKER_STATES; i++) {
        put(out, counts[i]);
    }
}

static void put_links(cursor *out) {
    const rn_data *data = out->sight->view.data;
    uint64_t counts[LINK_STATES] = {0};
    for (const rn_list *entry = data->links.next; entry != &data->links; entry = entry->next) {
        const rn_link *link = RN_CONTAINER_OF(entry, const rn_link, link);
        counts[link->lost ? 2 : link->detector.suspect ? 1 : 0]++;
    }
    for (size_t i = 0; i < LINK_STATES; i++) {
        put(out, counts[i]);
    }
}

static uint64_t patience_max(const rn_data *data) {
    uint64_t most = 1;
    for (const rn_list *entry = data->links.next; entry != &data->links; entry = entry->next) {
        const rn_link *link = RN_CONTAINER_OF(entry, const rn_link, link);
        most = link->detector.patience > most ? link->detector.patience : most;
    }
    return most;
}

int rn_director_metrics_page(rn_buffer *out, void *user) {
    rn_director_sight *sight = user;
    const rn_data *data = sight->view.data;
    cursor values = {.sight = sight};
    put_streams(&values);
    put_servers(&values);
    put_workers(&values);
    put_links(&values);
    put(&values, sight->view.access->refused);
    put(&values, data->suspicions);
    put(&values, data->false_suspicions);
    put(&values, patience_max(data));
    put(&values, data->relays_count);
    put(&values, data->hit.streams_refused);
    put(&values, data->hit.streams_shed);
    put(&values, data->hit.others_shed);
    put(&values, data->budget.refusals);
    put(&values, data->hit.rings_full);
    put(&values, data->hit.waiting_refused);
    put(&values, sight->view.control->pool.refused);
    put(&values, data->hit.queue_overflows + data->counters.queues_full);
    put(&values, data->budget.used);
    put(&values, data->budget.peak);
    put(&values, data->budget.limit);
    rn_sight_process_sample(&sight->process, sight->server);
    int result = rn_metrics_render(sight->metrics, out);
    return result == RPCNET_OK ? HTTP_OK : result;
}
