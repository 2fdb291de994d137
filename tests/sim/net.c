/* The world: machines, paths, the run of time, statistics and the log. Processes are in host.c,
 * sockets in udp.c, and what happens to datagrams in letter.c and link.c. */
#include "sim/net.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rpcnet/error.h"
#include "sim/internal.h"

enum { SOCKETS_MAX = 1 << 20 };

/* FNV-1a, 64 bits. */
#define DIGEST_START UINT64_C(0xcbf29ce484222325)
#define DIGEST_PRIME UINT64_C(0x100000001b3)

void rn_sim_require(bool ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "sim: cannot go on: %s\n", what);
        abort();
    }
}

void *rn_sim_alloc(size_t size) {
    void *memory = calloc(1, size);
    rn_sim_require(memory != NULL, "memory");
    return memory;
}

uint64_t rn_sim_seed(uint64_t fallback) {
    const char *text = getenv("RN_SIM_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : fallback;
}

rn_sim *rn_sim_new(uint64_t seed) {
    fprintf(stderr, "sim: seed=%" PRIu64 "\n", seed);
    return rn_sim_new_quietly(seed);
}

rn_sim *rn_sim_new_quietly(uint64_t seed) {
    rn_sim *sim = rn_sim_alloc(sizeof *sim);
    sim->seed = seed;
    sim->now = RN_SIM_START;
    sim->default_link = (rn_sim_link){.latency_ns = 5 * RN_MILLISECOND};
    sim->digest = DIGEST_START;
    sim->content = (rn_mix)RN_MIX_START;
    sim->trace = getenv("RN_SIM_TRACE") != NULL;
    rn_sim_random_init(&sim->random, seed, 0);
    rn_list_init(&sim->hosts);
    rn_list_init(&sim->names);
    rn_list_init(&sim->graveyard);
    rn_sim_require(rn_map_new(&sim->outer, SOCKETS_MAX, seed) == RPCNET_OK, "memory");
    rn_sim_require(rn_map_new(&sim->sockets, SOCKETS_MAX, seed) == RPCNET_OK, "memory");
    rn_buffer_init(&sim->log_text, RN_SIM_LOG_BYTES_MAX);
    const char *filter = getenv("RN_SIM_LOG");
    sim->log_to_stderr = filter != NULL;
    snprintf(sim->log_filter, sizeof sim->log_filter, "%s", filter != NULL ? filter : "info");
    return sim;
}

void rn_sim_del(rn_sim *sim) {
    if (sim == NULL) {
        return;
    }
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &sim->hosts) {
        rn_sim_host_del(RN_CONTAINER_OF(link, rn_sim_host, link));
    }
    rn_sim_bury(sim);
    rn_sim_event *event;
    while ((event = rn_sim_queue_first(&sim->queue)) != NULL) {
        rn_sim_event_cancel(sim, event);
        if (event->drop != NULL) {
            event->drop(event);
        }
    }
    free(sim->queue.events);
    RN_LIST_FOREACH(link, after, &sim->names) {
        free(RN_CONTAINER_OF(link, rn_sim_name, link));
    }
    rn_map_del(sim->outer);
    rn_map_del(sim->sockets);
    rn_buffer_fini(&sim->log_text);
    free(sim);
}

rn_sim_machine *rn_sim_find_machine(rn_sim *sim, const rn_address *address) {
    for (size_t i = 0; i < sim->machine_count; i++) {
        if (rn_address_same_host(&sim->machines[i].address, address)) {
            return &sim->machines[i];
        }
    }
    return NULL;
}

const rn_sim_link *rn_sim_link_between(const rn_sim *sim, size_t from, size_t to) {
    const rn_sim_path *path = &sim->paths[from][to];
    return path->own_link ? &path->link : &sim->default_link;
}

bool rn_sim_can_pass(const rn_sim *sim, size_t from, size_t to) {
    const rn_sim_machine *machines = sim->machines;
    return !sim->paths[from][to].cut &&
           (from == to || (!machines[from].down && !machines[to].down));
}

void rn_sim_set_default_link(rn_sim *sim, const rn_sim_link *link) {
    sim->default_link = *link;
}

void rn_sim_set_link_one_way(rn_sim *sim, const char *from, const char *to,
                             const rn_sim_link *link) {
    const rn_sim_machine *a = rn_sim_need_machine(sim, from);
    const rn_sim_machine *b = rn_sim_need_machine(sim, to);
    rn_sim_path *path = &sim->paths[a->index][b->index];
    path->own_link = true;
    path->link = *link;
}

void rn_sim_set_link(rn_sim *sim, const char *a, const char *b, const rn_sim_link *link) {
    rn_sim_set_link_one_way(sim, a, b, link);
    rn_sim_set_link_one_way(sim, b, a, link);
}

void rn_sim_set_partition_one_way(rn_sim *sim, const char *from, const char *to, bool cut) {
    const rn_sim_machine *a = rn_sim_need_machine(sim, from);
    const rn_sim_machine *b = rn_sim_need_machine(sim, to);
    sim->paths[a->index][b->index].cut = cut;
    rn_sim_note(sim, cut ? "cut" : "heal", &a->address, &b->address, 0);
}

void rn_sim_set_partition(rn_sim *sim, const char *a, const char *b, bool cut) {
    rn_sim_set_partition_one_way(sim, a, b, cut);
    rn_sim_set_partition_one_way(sim, b, a, cut);
}

void rn_sim_set_filter(rn_sim *sim, const char *machine, uint16_t port) {
    rn_sim_machine *at = rn_sim_need_machine(sim, machine);
    at->filtered = port;
    rn_sim_note(sim, "filter", &at->address, NULL, port);
}

void rn_sim_set_down(rn_sim *sim, const char *machine, bool down) {
    rn_sim_machine *at = rn_sim_need_machine(sim, machine);
    at->down = down;
    rn_sim_note(sim, down ? "interface-down" : "interface-up", &at->address, NULL, 0);
}

void rn_sim_set_name(rn_sim *sim, const char *name, const char *address) {
    rn_sim_require(strlen(name) <= RN_HOST_MAX, "the name is too long");
    rn_sim_name *entry = rn_sim_alloc(sizeof *entry);
    memcpy(entry->host, name, strlen(name));
    entry->address = rn_sim_parse_host(address);
    rn_list_prepend(&sim->names, &entry->link); /* the latest one is found first */
}

typedef struct call {
    rn_sim_event event;
    void (*fn)(void *user);
    void *user;
} call;

static void drop_call(rn_sim_event *event) {
    free(RN_CONTAINER_OF(event, call, event));
}

static void fire_call(rn_sim_event *event, rn_sim *sim) {
    call *at = RN_CONTAINER_OF(event, call, event);
    rn_sim_note(sim, "call", NULL, NULL, 0);
    void (*fn)(void *user) = at->fn;
    void *user = at->user;
    free(at);
    fn(user);
}

void rn_sim_at(rn_sim *sim, uint64_t time, void (*fn)(void *user), void *user) {
    call *at = rn_sim_alloc(sizeof *at);
    rn_sim_event_init(&at->event, NULL, fire_call, drop_call);
    at->fn = fn;
    at->user = user;
    rn_sim_event_set(sim, &at->event, time);
}

uint64_t rn_sim_now(const rn_sim *sim) {
    return sim->now;
}

bool rn_sim_step(rn_sim *sim) {
    rn_sim_event *event = rn_sim_queue_first(&sim->queue);
    if (event == NULL) {
        return false;
    }
    sim->events_at_once = event->time > sim->now ? 0 : sim->events_at_once + 1;
    rn_sim_require(sim->events_at_once < RN_SIM_EVENTS_AT_ONCE_MAX, "time stands still");
    rn_sim_event_cancel(sim, event);
    sim->now = event->time;
    if (event->host != NULL && event->host->paused) {
        rn_list_append(&event->host->held, &event->held);
    } else {
        event->fire(event, sim);
    }
    rn_sim_bury(sim);
    return true;
}

void rn_sim_run_until(rn_sim *sim, uint64_t time) {
    const rn_sim_event *event;
    while ((event = rn_sim_queue_first(&sim->queue)) != NULL && event->time <= time) {
        rn_sim_step(sim);
    }
    if (time > sim->now) {
        sim->now = time;
    }
}

void rn_sim_run_for(rn_sim *sim, uint64_t duration_ns) {
    rn_sim_run_until(sim, sim->now + duration_ns);
}

bool rn_sim_run_until_idle(rn_sim *sim, uint64_t latest) {
    const rn_sim_event *event;
    while ((event = rn_sim_queue_first(&sim->queue)) != NULL) {
        if (event->time > latest) {
            return false;
        }
        rn_sim_step(sim);
    }
    return true;
}

bool rn_sim_run_until_done(rn_sim *sim, bool (*done)(void *user), void *user, uint64_t latest) {
    while (!done(user)) {
        const rn_sim_event *event = rn_sim_queue_first(&sim->queue);
        if (event == NULL || event->time > latest) {
            return false;
        }
        rn_sim_step(sim);
    }
    return true;
}

const rn_sim_stats *rn_sim_get_stats(const rn_sim *sim) {
    return &sim->stats;
}

void rn_sim_set_tap(rn_sim *sim, rn_sim_tap_fn *fn, void *user) {
    sim->tap = fn;
    sim->tap_user = user;
}

uint64_t rn_sim_trace_digest(const rn_sim *sim) {
    return sim->digest;
}

uint64_t rn_sim_content_digest(const rn_sim *sim) {
    uint64_t sum;
    rn_mix_sum(&sim->content, (uint8_t *)&sum, sizeof sum);
    return sum;
}

static void digest_word(rn_sim *sim, uint64_t word) {
    sim->digest = (sim->digest ^ word) * DIGEST_PRIME;
    sim->digest ^= sim->digest >> 32;
}

static void digest_bytes(rn_sim *sim, const void *data, size_t len) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, bytes + i, len - i < sizeof word ? len - i : sizeof word);
        digest_word(sim, word);
    }
}

static void digest_address(rn_sim *sim, const rn_address *address) {
    if (address == NULL) {
        digest_word(sim, 0);
        return;
    }
    digest_word(sim, (uint64_t)address->sa.sa_family << 16 | rn_address_port(address));
    if (address->sa.sa_family == AF_INET) {
        digest_bytes(sim, &address->in.sin_addr, sizeof address->in.sin_addr);
    } else if (address->sa.sa_family == AF_INET6) {
        digest_bytes(sim, &address->in6.sin6_addr, sizeof address->in6.sin6_addr);
    }
}

static void trace(const rn_sim *sim, const char *kind, const rn_address *from, const rn_address *to,
                  size_t len) {
    static const rn_address nobody = {.len = 0};
    char from_text[RN_ADDRESS_TEXT_MAX];
    char to_text[RN_ADDRESS_TEXT_MAX];
    rn_address_format(from != NULL ? from : &nobody, from_text);
    rn_address_format(to != NULL ? to : &nobody, to_text);
    fprintf(stderr, "sim: %" PRIu64 ".%09" PRIu64 " %s %s > %s %zu\n", sim->now / RN_SECOND,
            sim->now % RN_SECOND, kind, from_text, to_text, len);
}

void rn_sim_note(rn_sim *sim, const char *kind, const rn_address *from, const rn_address *to,
                 size_t len) {
    digest_word(sim, sim->now);
    digest_bytes(sim, kind, strlen(kind));
    digest_address(sim, from);
    digest_address(sim, to);
    digest_word(sim, len);
    if (sim->trace) {
        trace(sim, kind, from, to, len);
    }
}

void rn_sim_set_log_filter(rn_sim *sim, const char *filter) {
    if (!sim->log_to_stderr) { /* what the environment asks for goes first */
        snprintf(sim->log_filter, sizeof sim->log_filter, "%s", filter);
    }
}

const char *rn_sim_log_text(const rn_sim *sim) {
    return sim->log_text.len > 0 ? (const char *)sim->log_text.data : "";
}
