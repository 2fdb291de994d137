/* watch: see the header. */
#include "sim/world/watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quic/conn_internal.h"
#include "rpc/internal.h"
#include "sim/internal.h"

#define ORPHAN_AFTER (5 * RN_SECOND)
#define CALM_FOR (10 * RN_SECOND) /* what a fault has delayed has happened by then */
/* And the worker knows what it was told, or has noticed that nobody is there. A fault that a
 * connection outlives is shorter than the idle timeout (30 s). Each probe comes after twice the
 * time of the one before (RFC 9002, section 6.2.1), so the first behind a fault is as late as that
 * was long; and three times as late comes the next, should one datagram more be lost. */
#define FORGET_FOR (95 * RN_SECOND)
#define DEADLINE_SLACK (10 * RN_MILLISECOND)
#define SILENCE_SLACK (750 * RN_MILLISECOND)
#define AWAKE_SLACK                                                                                \
    (10 * RN_MILLISECOND) /* a director that hung has looked at its timers by then */
#define EPOCH_SLACK (300 * RN_MILLISECOND) /* what an old director had sent has arrived by then */

enum {
    REFUSALS_MAX = 64,      /* for each stream between two looks */
    KEPT_EVENTS = 4 * 1024, /* events are outside the credit */
};

void rn_watch_init(rn_watch *watch, rn_sim *sim, const rn_plan *plan, const rn_cluster *cluster,
                   const rn_faults *faults, const rn_caller *callers, rn_verdict *verdict) {
    *watch = (rn_watch){.sim = sim,
                        .plan = plan,
                        .cluster = cluster,
                        .faults = faults,
                        .callers = callers,
                        .verdict = verdict};
}

static size_t find_worker(const rn_watch *watch, const char *label) {
    size_t i = 0;
    while (i < watch->plan->workers && strcmp(watch->cluster->workers[i].label, label) != 0) {
        i++;
    }
    return i;
}

/* ---- one relay ---- */

static const rn_task *find_task(const rn_worker *worker, const rn_relay *relay) {
    const rn_list *link = worker->tasks.next;
    for (; link != &worker->tasks; link = link->next) {
        const rn_task *task = RN_CONTAINER_OF(link, const rn_task, link);
        if (task->kind == RN_TASK_STREAM && task->stream_id == relay->stream_id &&
            strcmp(task->connection_id, relay->connection_id) == 0 &&
            task->serving.epoch == relay->pair.epoch &&
            task->serving.attempt == relay->pair.attempt) {
            return task;
        }
    }
    return NULL;
}

static size_t kept_payload(const rn_buffer *down) {
    size_t payload = 0;
    for (size_t at = 0; at < down->len;) {
        uint32_t len;
        memcpy(&len, down->data + at, sizeof len);
        payload += len;
        at += sizeof len + len;
    }
    return payload;
}

static void check_memory(const rn_watch *watch, const rn_relay *relay) {
    const rn_swap_config *config = relay->swap.config;
    size_t kept = config->journal_limit + config->checkpoint_limit;
    size_t memory = rn_journal_memory(&relay->swap.journal);
    size_t payload = kept_payload(&relay->down.bytes);
    size_t most = (size_t)config->credit_window + RN_GENERATOR_MESSAGE_MAX + KEPT_EVENTS;
    if (memory > 2 * kept + 4096) {
        rn_violate(watch->verdict, "bound", "a journal holds %zu bytes, its limit is %zu", memory,
                   kept);
    }
    size_t down = relay->down.bytes.len;
    size_t up = relay->swap.requests.records.cost;
    size_t up_max =
        config->requests_limit + (relay->swap.requests.given_up ? config->queue_limit : 0);
    if (down > relay->data->options.queue_max || up > up_max) {
        rn_violate(watch->verdict, "bound", "a relay keeps %zu bytes down and %zu up", down, up);
    }
    if (payload > most) {
        rn_violate(
            watch->verdict, "bound",
            "a relay keeps %zu bytes of messages for its client, and had credit for %" PRIu64,
            payload, config->credit_window);
    }
}

static void check_journal(const rn_watch *watch, const rn_relay *relay) {
    const rn_journal *journal = &relay->swap.journal;
    const rn_requests *requests = &relay->swap.requests;
    if (relay->swap.state == RN_SWAP_DONE) {
        return;
    }
    if (!journal->given_up && journal->first + journal->records.count != journal->next) {
        rn_violate(watch->verdict, "journal",
                   "a journal holds %zu messages, and those from %" PRIu64 " to %" PRIu64
                   " were relayed",
                   journal->records.count, journal->first, journal->next - 1);
    }
    if (!requests->given_up && requests->records.count != requests->count) {
        rn_violate(watch->verdict, "journal",
                   "%zu messages of a client are kept, and it has said %" PRIu64,
                   requests->records.count, (uint64_t)requests->count);
    }
}

/* What the worker believes to be safe is in the journal. */
static void check_acknowledged(const rn_watch *watch, const rn_relay *relay, size_t worker) {
    const rn_worker *program = watch->cluster->workers[worker].program;
    const rn_task *task = program != NULL ? find_task(program, relay) : NULL;
    if (task != NULL && task->serving.acked >= relay->swap.journal.next) {
        rn_violate(watch->verdict, "ack",
                   "%s believes message %" PRIu64 " safe, and the director has none from %" PRIu64,
                   watch->cluster->workers[worker].label, task->serving.acked,
                   relay->swap.journal.next);
    }
}

/* A worker that hangs has lost its streams within the bound of its detector. */
static void check_silence(const rn_watch *watch, const rn_relay *relay, size_t worker) {
    uint64_t since = watch->hung_ns[worker];
    uint64_t now = rn_sim_now(watch->sim);
    if (since == 0) {
        return;
    }
    since = relay->assigned_ns > since ? relay->assigned_ns : since;
    uint64_t woke = watch->cluster->director_woke_ns;
    since = woke > since ? woke : since;
    if (now > since + rn_detector_bound_ns(&relay->at->detector) + SILENCE_SLACK) {
        rn_violate(watch->verdict, "silence", "%s has been silent for %.3f s and keeps its streams",
                   watch->cluster->workers[worker].label,
                   (double)(now - since) / (double)RN_SECOND);
    }
}

static void check_relay(const rn_watch *watch, const rn_relay *relay) {
    uint64_t now = rn_env_now(watch->cluster->env);
    check_memory(watch, relay);
    check_journal(watch, relay);
    if (relay->swap.state != RN_SWAP_DONE && relay->swap.deadline_ns < now - DEADLINE_SLACK) {
        rn_violate(watch->verdict, "deadline",
                   "the director goes on with a stream %.3f s behind "
                   "its deadline",
                   (double)(now - relay->swap.deadline_ns) / (double)RN_SECOND);
    }
    if (relay->at != NULL) {
        size_t worker = find_worker(watch, relay->at->worker.label);
        check_acknowledged(watch, relay, worker);
        check_silence(watch, relay, worker);
    }
}

/* ---- the director ---- */

static void check_pool(const rn_watch *watch, const rn_pool *pool) {
    const rn_list *a;
    const rn_list *b;
    for (a = pool->entries.next; a != &pool->entries; a = a->next) {
        const rn_pool_entry *one = RN_CONTAINER_OF(a, const rn_pool_entry, link);
        for (b = a->next; b != &pool->entries; b = b->next) {
            const rn_pool_entry *other = RN_CONTAINER_OF(b, const rn_pool_entry, link);
            if (strcmp(one->row.label, other->row.label) == 0) {
                rn_violate(watch->verdict, "pool", "the pool has %s twice", one->row.label);
            }
        }
    }
}

/* Nobody asks the same workers again and again without a pause. */
static void check_refusals(rn_watch *watch, const rn_data *data) {
    uint64_t before = watch->directors == watch->cluster->directors ? watch->refusals : 0;
    uint64_t now = data->counters.refusals;
    if (now - before > REFUSALS_MAX * (data->relays_count + 1)) {
        rn_violate(watch->verdict, "retry",
                   "%" PRIu64 " refusals in %.1f s for %zu streams that are open", now - before,
                   (double)RN_WATCH_EVERY / (double)RN_SECOND, data->relays_count);
    }
    watch->refusals = now;
    watch->directors = watch->cluster->directors;
}

static void check_director(rn_watch *watch, const rn_director *director) {
    const rn_data *data = &director->data;
    const rn_list *link;
    for (link = data->relays.next; link != &data->relays; link = link->next) {
        check_relay(watch, RN_CONTAINER_OF(link, const rn_relay, link));
    }
    check_pool(watch, &director->control.pool);
    check_refusals(watch, data);
    if (data->counters.faults > 0) {
        rn_violate(watch->verdict, "protocol",
                   "the director found that a worker broke the protocol");
    }
}

/* ---- handshakes ---- */

static size_t find_client(const rn_watch *watch, const rn_conn *conn) {
    const rn_udp *udp = rn_sim_find_socket(watch->sim, &conn->remote);
    size_t i = 0;
    while (i < watch->plan->clients &&
           (udp == NULL || udp->host != rn_sim_host_of(watch->callers[i].env))) {
        i++;
    }
    return i;
}

/* The client's last words may be lost, and be said again only when the director has given the
 * handshake up, which it does without a word: nothing tells it that somebody is there. The client
 * has finished it, and finds out by a stateless reset. */
static void check_handshake(rn_watch *watch, const rn_conn *conn, uint64_t age_ns) {
    size_t client = find_client(watch, conn);
    if (client == watch->plan->clients) {
        return;
    }
    const rn_caller *caller = &watch->callers[client];
    uint64_t ready_for_ns = rn_sim_now(watch->sim) - caller->ready_ns;
    if (!caller->killed && rpcnet_channel_get_state(caller->channel) == RPCNET_CHANNEL_READY &&
        ready_for_ns <= age_ns && watch->given_up_ns[client] != conn->begun_ns) {
        watch->given_up_ns[client] = conn->begun_ns;
        watch->given_up[client]++;
    }
}

/* Those that may be gone at the next look. */
static void check_handshakes(rn_watch *watch, const rn_director *director) {
    const uint64_t soon = director->config.handshake_timeout_ns - 2 * RN_WATCH_EVERY;
    const rn_list *link;
    if (director->user == NULL || director->user->port.port == NULL) {
        return;
    }
    const rn_endpoint *endpoint = rn_port_endpoint(director->user->port.port);
    for (link = endpoint->unfinished.next; link != &endpoint->unfinished; link = link->next) {
        const rn_conn *conn = RN_CONTAINER_OF(link, const rn_conn, age_link);
        uint64_t age_ns = rn_endpoint_now(endpoint) - conn->begun_ns;
        if (age_ns >= soon) {
            check_handshake(watch, conn, age_ns);
        }
    }
}

/* ---- the workers ---- */

/* The stream that a worker generates, found by its prompt, which no other has; NULL: poison. */
static const rn_caller_stream *find_stream(const rn_watch *watch, const char *prompt) {
    const char *number = strrchr(prompt, ' ');
    size_t wanted = number != NULL ? strtoul(number, NULL, 10) : SIZE_MAX;
    for (size_t i = 0; i < watch->plan->clients; i++) {
        const rn_caller *caller = &watch->callers[i];
        for (size_t s = 0; s < caller->stream_count; s++) {
            if (caller->streams[s].number == wanted) {
                return &caller->streams[s];
            }
        }
    }
    return NULL;
}

static bool calm(const rn_watch *watch, uint64_t disturbed_ns) {
    return rn_sim_now(watch->sim) > disturbed_ns + CALM_FOR;
}

/* A client has no use for its stream any more, and nothing keeps the worker from hearing so. */
static void check_orphan(const rn_watch *watch, size_t worker, const rn_task *task) {
    const rn_caller_stream *stream = find_stream(watch, task->generator.prompt);
    uint64_t now = rn_sim_now(watch->sim);
    uint64_t struck_ns = watch->faults->worker_ns[worker];
    if (stream == NULL || stream->state != RN_CALLER_OVER || stream->caller->killed ||
        now < stream->over_ns + ORPHAN_AFTER ||
        rn_faults_strike_client(watch->faults, stream->caller->index) ||
        rn_faults_strike_worker(watch->faults, worker) ||
        !calm(watch, watch->faults->client_ns[stream->caller->index]) ||
        (struck_ns > 0 && now < struck_ns + FORGET_FOR)) {
        return;
    }
    rn_violate(watch->verdict, "orphan",
               "%s goes on with stream %zu, which has been over for %.1f s",
               watch->cluster->workers[worker].label, stream->number,
               (double)(now - stream->over_ns) / (double)RN_SECOND);
}

/* A worker that is a new director's serves no other one. */
static void check_epoch(const rn_watch *watch, const rn_worker *worker, const rn_task *task) {
    const rn_director *director = watch->cluster->director;
    const rn_registry *registry = &worker->registry;
    if (director == NULL || registry->report == NULL ||
        registry->director_epoch != director->data.options.epoch ||
        rn_env_now(worker->program.env) < registry->registered_ns + EPOCH_SLACK) {
        return;
    }
    if (task->serving.epoch != registry->director_epoch) {
        rn_violate(watch->verdict, "epoch", "%s serves a director that is gone",
                   worker->config.label);
    }
}

static void check_worker(const rn_watch *watch, size_t index, const rn_worker *worker) {
    const rn_list *link = worker->tasks.next;
    for (; link != &worker->tasks; link = link->next) {
        const rn_task *task = RN_CONTAINER_OF(link, const rn_task, link);
        if (task->kind == RN_TASK_STREAM && task->running &&
            !watch->cluster->workers[index].hanging) {
            check_orphan(watch, index, task);
            check_epoch(watch, worker, task);
        }
    }
    if (worker->counters.protocol_faults > 0) {
        rn_violate(watch->verdict, "protocol", "%s found that the director broke the protocol",
                   worker->config.label);
    }
}

/* ---- the clients ---- */

static void check_client(const rn_watch *watch, const rn_caller *caller) {
    for (size_t i = 0; i < caller->stream_count; i++) {
        const rn_caller_stream *stream = &caller->streams[i];
        uint64_t deadline = stream->opened_ns + stream->plan->deadline_ns;
        uint64_t now = rn_env_now(caller->env);
        if (stream->state == RN_CALLER_OPEN && stream->plan->deadline_ns > 0 &&
            now > deadline + DEADLINE_SLACK) {
            rn_violate(watch->verdict, "deadline", "stream %zu is open %.3f s behind its deadline",
                       stream->number, (double)(now - deadline) / (double)RN_SECOND);
        }
    }
}

void rn_watch_look(rn_watch *watch) {
    for (size_t i = 0; i < watch->plan->workers; i++) {
        const rn_cluster_worker *worker = &watch->cluster->workers[i];
        if (!worker->hanging) {
            watch->hung_ns[i] = 0;
        } else if (watch->hung_ns[i] == 0) {
            watch->hung_ns[i] = rn_sim_now(watch->sim);
        }
        if (worker->program != NULL) {
            check_worker(watch, i, worker->program);
        }
    }
    for (size_t i = 0; i < watch->plan->clients; i++) {
        check_client(watch, &watch->callers[i]);
    }
    if (watch->cluster->director != NULL) {
        check_handshakes(watch, watch->cluster->director);
    }
    if (watch->cluster->director != NULL && !watch->cluster->director_hanging &&
        rn_sim_now(watch->sim) > watch->cluster->director_woke_ns + AWAKE_SLACK) {
        check_director(watch, watch->cluster->director);
    }
}

/* ---- reasons ---- */

/* On such a path a worker may be suspected wrongly at any time: a mark makes the window small, too,
 * and answers to probes wait for it behind what is under way. */
static bool loses(const rn_sim_link *link) {
    return link->loss > 0 || link->corrupt > 0 || link->rate_bps > 0 || link->ecn_mark > 0;
}

bool rn_watch_explains(const rn_watch *watch, const char *label, uint32_t reason) {
    size_t i = find_worker(watch, label);
    if (i == watch->plan->workers) {
        return false;
    }
    const rn_cluster_worker *worker = &watch->cluster->workers[i];
    bool ended = worker->ends > 0;
    bool struck = ended || watch->faults->worker_ns[i] > 0 || loses(&watch->plan->worker_link);
    switch (reason) {
    case RN_SWAP_FAILURE:
        return watch->plan->fail_after_ns[i] > 0;
    case RN_SWAP_KILLED:
        return ended;
    case RN_SWAP_DRAIN:
        return worker->terms > 0;
    case RN_SWAP_STALLED:
        return watch->plan->stall_after[i] > 0 || struck;
    case RN_SWAP_HUNG:
    case RN_SWAP_LOST:
        return struck;
    default:
        return false;
    }
}
