/* sight: the worker counts in rn_worker_counters; the counters are copied into the registry when
 * the page is asked for. */
#include "worker/sight.h"

#include <stdlib.h>
#include <string.h>

#include "common/sight.h"
#include "worker/worker.h"

enum { HTTP_OK = 200, HTTP_UNAVAILABLE = 503, METRICS_MAX = 64, PORTS = 2, SERVER_ROWS = 10 };

#define PREFIX "rpcnet_worker_"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define OF(member) offsetof(rn_worker_counters, member)

static const struct {
    const char *name;
    const char *help;
    size_t offset;
} counters[] = {
    {PREFIX "assignments_total", "Streams that a director has brought.", OF(assignments)},
    {PREFIX "assignments_refused_total", "Streams that were refused.", OF(refusals)},
    {PREFIX "direct_calls_total", "Streams called directly, without a director.", OF(direct_calls)},
    {PREFIX "tokens_sent_total", "Tokens sent.", OF(tokens)},
    {PREFIX "checkpoints_sent_total", "Checkpoints sent.", OF(checkpoints)},
    {PREFIX "streams_completed_total", "Streams generated to their end.", OF(completed)},
    {PREFIX "streams_handed_back_total", "Streams handed back because the worker drains.",
     OF(handed_back)},
    {PREFIX "streams_failed_total", "Streams given up by a simulated failure.", OF(failed)},
    {PREFIX "failures_simulated_total", "Simulated failures.", OF(outages)},
    {PREFIX "registrations_total", "Registrations that a director has confirmed.",
     OF(registrations)},
    {PREFIX "protocol_faults_total", "Calls ended because they broke the protocol.",
     OF(protocol_faults)},
    {PREFIX "send_waits_total",
     "Times that a stream had to wait for credit or for an acknowledgement.", OF(waits)},
    {PREFIX "chats_refused_total", "Chats ended because too many of their messages waited.",
     OF(chats_refused)},
};

static const struct {
    enum rn_metric_kind kind;
    const char *name;
    const char *help;
} server_rows[SERVER_ROWS] = {
    {RN_METRIC_COUNTER, PREFIX "connections_accepted_total", "Connections that were begun."},
    {RN_METRIC_COUNTER, PREFIX "handshakes_completed_total", "TLS handshakes that succeeded."},
    {RN_METRIC_COUNTER, PREFIX "handshakes_failed_total", "TLS handshakes that failed."},
    {RN_METRIC_COUNTER, PREFIX "handshakes_evicted_total",
     "Of these, those that made room for newcomers."},
    {RN_METRIC_COUNTER, PREFIX "connections_refused_total",
     "Connections refused because of a limit."},
    {RN_METRIC_COUNTER, PREFIX "connections_refused_of_address_total",
     "Of these, those refused because their address had too many."},
    {RN_METRIC_COUNTER, PREFIX "datagrams_dropped_total", "Datagrams that belonged to nothing."},
    {RN_METRIC_COUNTER, PREFIX "resets_withheld_total",
     "Stateless resets not sent because there were too many in that second."},
    {RN_METRIC_COUNTER, PREFIX "calls_total", "Calls received."},
    {RN_METRIC_GAUGE, PREFIX "connections_open", "Connections that are open."},
};

static const char *const ports[PORTS] = {"user", "mgmt"};

struct rn_worker_sight {
    rn_worker *worker;
    rn_sight *server;
    rn_metrics *metrics;
    rn_sight_process process;
    uint64_t *counters[COUNT(counters)];
    uint64_t *servers[SERVER_ROWS][PORTS];
    uint64_t *streams;
    uint64_t *ready;
};

/* ---- registering ---- */

static int add_gauge(rn_worker_sight *sight, const char *name, const char *help, uint64_t **out) {
    return rn_metrics_add(sight->metrics,
                          &(rn_metric_spec){.kind = RN_METRIC_GAUGE, .name = name, .help = help},
                          out);
}

static int add_servers(rn_worker_sight *sight) {
    int result = RPCNET_OK;
    for (size_t i = 0; i < (size_t)SERVER_ROWS * PORTS && result == RPCNET_OK; i++) {
        const rn_metric_spec spec = {.kind = server_rows[i / PORTS].kind,
                                     .name = server_rows[i / PORTS].name,
                                     .help = server_rows[i / PORTS].help,
                                     .label = "port",
                                     .label_value = ports[i % PORTS]};
        result = rn_metrics_add(sight->metrics, &spec, &sight->servers[i / PORTS][i % PORTS]);
    }
    return result;
}

static int add_metrics(rn_worker_sight *sight) {
    int result = RPCNET_OK;
    for (size_t i = 0; i < COUNT(counters) && result == RPCNET_OK; i++) {
        const rn_metric_spec spec = {
            .kind = RN_METRIC_COUNTER, .name = counters[i].name, .help = counters[i].help};
        result = rn_metrics_add(sight->metrics, &spec, &sight->counters[i]);
    }
    if (result == RPCNET_OK) {
        result = add_servers(sight);
    }
    if (result == RPCNET_OK) {
        result =
            add_gauge(sight, PREFIX "streams_open", "Streams that are served.", &sight->streams);
    }
    if (result == RPCNET_OK) {
        result =
            add_gauge(sight, PREFIX "ready", "1 while it takes streams, else 0.", &sight->ready);
    }
    return result == RPCNET_OK
               ? rn_sight_process_add(&sight->process, sight->metrics, sight->worker->program.env)
               : result;
}

/* ---- pages ---- */

/* NULL: it takes streams. */
static const char *why_not_ready(const rn_worker *worker) {
    const char *refusal = rn_task_refusal(worker);
    if (refusal == NULL && worker->registry.report == NULL) {
        return "not registered with a director";
    }
    return refusal;
}

static void sample_servers(const rn_worker_sight *sight) {
    const rpcnet_server *const servers[PORTS] = {sight->worker->user, sight->worker->mgmt};
    for (size_t port = 0; port < PORTS; port++) {
        rpcnet_server_stats stats;
        rpcnet_server_get_stats(servers[port], &stats);
        *sight->servers[0][port] = stats.connections_accepted;
        *sight->servers[1][port] = stats.handshakes_completed;
        *sight->servers[2][port] = stats.handshakes_failed;
        *sight->servers[3][port] = stats.handshakes_evicted;
        *sight->servers[4][port] = stats.connections_refused;
        *sight->servers[5][port] = stats.connections_refused_of_address;
        *sight->servers[6][port] = stats.datagrams_dropped;
        *sight->servers[7][port] = stats.resets_withheld;
        *sight->servers[8][port] = stats.calls;
        *sight->servers[9][port] = stats.connections_open;
    }
}

static int metrics_page(rn_buffer *out, void *user) {
    rn_worker_sight *sight = user;
    const char *from = (const char *)&sight->worker->counters;
    for (size_t i = 0; i < COUNT(counters); i++) {
        *sight->counters[i] = *(const uint64_t *)(const void *)(from + counters[i].offset);
    }
    sample_servers(sight);
    *sight->streams = sight->worker->streams;
    *sight->ready = why_not_ready(sight->worker) == NULL;
    rn_sight_process_sample(&sight->process, sight->server);
    int result = rn_metrics_render(sight->metrics, out);
    return result == RPCNET_OK ? HTTP_OK : result;
}

static int page_text(rn_buffer *out, const char *text) {
    return rn_buffer_append(out, text, strlen(text));
}

static int live_page(rn_buffer *out, void *user) {
    (void)user;
    int result = page_text(out, "live\n");
    return result == RPCNET_OK ? HTTP_OK : result;
}

static int ready_page(rn_buffer *out, void *user) {
    const rn_worker_sight *sight = user;
    const char *why = why_not_ready(sight->worker);
    int result = page_text(out, why != NULL ? "not ready: " : "ready");
    if (result == RPCNET_OK) {
        result = page_text(out, why != NULL ? why : "");
    }
    if (result == RPCNET_OK) {
        result = page_text(out, "\n");
    }
    if (result != RPCNET_OK) {
        return result;
    }
    return why != NULL ? HTTP_UNAVAILABLE : HTTP_OK;
}

/* ---- life ---- */

int rn_worker_sight_open(rn_worker_sight **out, rn_worker *worker) {
    rn_program *program = &worker->program;
    *out = NULL;
    if (worker->config.metrics_addr == NULL) {
        return RPCNET_OK;
    }
    rn_worker_sight *sight = calloc(1, sizeof *sight);
    if (sight == NULL) {
        return rn_program_fail(program, "%s", rpcnet_strerror(RPCNET_ERR_MEMORY));
    }
    sight->worker = worker;
    int result = rn_metrics_new(&sight->metrics, METRICS_MAX);
    if (result == RPCNET_OK) {
        result = add_metrics(sight);
    }
    if (result != RPCNET_OK) {
        rn_worker_sight_close(sight);
        return rn_program_fail(program, "%s", rpcnet_strerror(result));
    }
    result = rn_sight_new(&sight->server, program, "metrics-addr", worker->config.metrics_addr);
    if (result != RPCNET_OK) {
        rn_worker_sight_close(sight);
        return result;
    }
    *out = sight;
    const struct {
        const char *path;
        const char *type;
        rn_sight_page_fn *fill;
    } pages[] = {{"/metrics", RN_SIGHT_METRICS_TYPE, metrics_page},
                 {"/health/live", RN_SIGHT_TEXT_TYPE, live_page},
                 {"/health/ready", RN_SIGHT_TEXT_TYPE, ready_page}};
    for (size_t i = 0; i < COUNT(pages) && result == RPCNET_OK; i++) {
        result = rn_sight_add(sight->server, pages[i].path, pages[i].type, pages[i].fill, sight);
    }
    return result;
}

void rn_worker_sight_close(rn_worker_sight *sight) {
    if (sight == NULL) {
        return;
    }
    rn_sight_del(sight->server);
    rn_metrics_del(sight->metrics);
    free(sight);
}
