/* Processes: an rn_env each, with virtual clocks, their own stream of chance, timers and names. */
#include <stdio.h>
#include <stdlib.h>

#include "rpcnet/error.h"
#include "sim/internal.h"

struct rn_timer {
    rn_sim_host *host;
    rn_list link; /* in rn_sim_host.timers */
    rn_sim_event event;
    uint64_t deadline; /* of the process's clock; RN_NEVER: not set */
    rn_timer_fn *fn;
    void *user;
};

struct rn_resolve {
    rn_sim_host *host;
    rn_list link; /* in rn_sim_host.resolves */
    rn_sim_event event;
    rn_address addresses[RN_RESOLVE_MAX];
    size_t count; /* 0: the name is not known */
    rn_resolve_fn *fn;
    void *user;
};

static uint64_t host_now(rn_env *env) {
    const rn_sim_host *host = rn_sim_host_of(env);
    return rn_sim_clock_local(&host->clock, host->sim->now);
}

static uint64_t host_wall(rn_env *env) {
    const rn_sim_host *host = rn_sim_host_of(env);
    return rn_sim_clock_wall(&host->clock, host->sim->now);
}

static void host_random(rn_env *env, void *out, size_t len) {
    rn_sim_random_fill(&rn_sim_host_of(env)->random, out, len);
}

static void fire_timer(rn_sim_event *event, rn_sim *sim) {
    rn_timer *timer = RN_CONTAINER_OF(event, rn_timer, event);
    timer->deadline = RN_NEVER;
    rn_sim_note(sim, "timer", &timer->host->machine->address, NULL, 0);
    timer->fn(timer->user);
}

static int timer_new(rn_env *env, rn_timer_fn *fn, void *user, rn_timer **out) {
    rn_sim_host *host = rn_sim_host_of(env);
    rn_timer *timer = rn_sim_alloc(sizeof *timer);
    timer->host = host;
    timer->deadline = RN_NEVER;
    timer->fn = fn;
    timer->user = user;
    rn_sim_event_init(&timer->event, host, fire_timer, NULL);
    rn_list_append(&host->timers, &timer->link);
    *out = timer;
    return RPCNET_OK;
}

static void timer_set(rn_timer *timer, uint64_t deadline) {
    rn_sim *sim = timer->host->sim;
    uint64_t when = rn_sim_clock_when(&timer->host->clock, deadline);
    rn_sim_event_cancel(sim, &timer->event);
    timer->deadline = deadline;
    if (deadline != RN_NEVER && when != RN_NEVER && !timer->host->killed) {
        rn_sim_event_set(sim, &timer->event, when);
    }
}

static void timer_del(rn_timer *timer) {
    if (timer == NULL) {
        return;
    }
    rn_sim_event_cancel(timer->host->sim, &timer->event);
    rn_list_remove(&timer->link);
    free(timer);
}

static void fire_resolve(rn_sim_event *event, rn_sim *sim) {
    rn_resolve *resolve = RN_CONTAINER_OF(event, rn_resolve, event);
    bool known = resolve->count > 0;
    rn_sim_note(sim, "resolve", &resolve->host->machine->address, &resolve->addresses[0], 0);
    /* Out of the list: a cancellation inside the callback finds it done. */
    rn_list_remove(&resolve->link);
    resolve->fn(known ? RPCNET_OK : RPCNET_ERR_ADDRESS, resolve->addresses, resolve->count,
                resolve->user);
    free(resolve);
}

/* All the addresses that the name was given, the latest first. */
static size_t find_name(const rn_sim_host *host, const char *name, uint16_t port,
                        rn_address out[RN_RESOLVE_MAX]) {
    char text[RN_HOST_MAX + sizeof "[]:0"];
    size_t count = 0;
    snprintf(text, sizeof text, strchr(name, ':') != NULL ? "[%s]:0" : "%s:0", name);
    if (rn_address_parse(&out[0], text) == RPCNET_OK) {
        count = 1;
    } else if (strcmp(name, "localhost") == 0) {
        out[0] = host->machine->address;
        count = 1;
    } else {
        rn_list *link;
        rn_list *after;
        RN_LIST_FOREACH(link, after, &host->sim->names) {
            const rn_sim_name *entry = RN_CONTAINER_OF(link, rn_sim_name, link);
            if (count < RN_RESOLVE_MAX && strcmp(entry->host, name) == 0) {
                out[count++] = entry->address;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        rn_address_set_port(&out[i], port);
    }
    return count;
}

static int resolve_start(rn_env *env, const char *name, uint16_t port, rn_resolve_fn *fn,
                         void *user, rn_resolve **out) {
    *out = NULL;
    if (name[0] == '\0' || strlen(name) > RN_HOST_MAX) {
        return RPCNET_ERR_ADDRESS;
    }
    rn_sim_host *host = rn_sim_host_of(env);
    rn_resolve *resolve = rn_sim_alloc(sizeof *resolve);
    resolve->host = host;
    resolve->count = find_name(host, name, port, resolve->addresses);
    resolve->fn = fn;
    resolve->user = user;
    rn_sim_event_init(&resolve->event, host, fire_resolve, NULL);
    rn_list_append(&host->resolves, &resolve->link);
    if (!host->killed) {
        rn_sim_event_set(host->sim, &resolve->event, host->sim->now);
    }
    *out = resolve;
    return RPCNET_OK;
}

static void resolve_cancel(rn_resolve *resolve) {
    if (resolve == NULL || !rn_list_linked(&resolve->link)) {
        return;
    }
    rn_sim_event_cancel(resolve->host->sim, &resolve->event);
    rn_list_remove(&resolve->link);
    free(resolve);
}

static void fire_turn_end(rn_sim_event *event, rn_sim *sim) {
    rn_sim_host *host = RN_CONTAINER_OF(event, rn_sim_host, turn_end);
    (void)sim;
    while (!rn_list_empty(&host->deferred)) {
        rn_deferred *deferred = RN_CONTAINER_OF(host->deferred.next, rn_deferred, link);
        rn_list_remove(&deferred->link);
        deferred->run(deferred->user);
    }
}

/* The turn ends behind everything that happens now already. */
static void defer(rn_env *env, rn_deferred *deferred) {
    rn_sim_host *host = rn_sim_host_of(env);
    if (!rn_list_linked(&deferred->link) && !host->killed) {
        rn_list_append(&host->deferred, &deferred->link);
        if (host->turn_end.index == 0 && !rn_list_linked(&host->turn_end.held)) {
            rn_sim_event_set(host->sim, &host->turn_end, host->sim->now);
        }
    }
}

static void host_commit(rn_env *env, void *connection, unsigned dirty) {
    const rn_sim *sim = rn_sim_host_of(env)->sim;
    if (sim->commit != NULL) {
        sim->commit(env, connection, dirty, sim->commit_user);
    }
}

void rn_sim_set_commit(rn_sim *sim, rn_sim_commit_fn *fn, void *user) {
    sim->commit = fn;
    sim->commit_user = user;
}

void rn_sim_set_qlog(rn_sim *sim, const rn_qlog_sink *sink) {
    sim->qlog = sink;
}

static const rn_env_ops host_ops = {
    .now = host_now,
    .wall = host_wall,
    .random = host_random,
    .udp_open = rn_sim_udp_open,
    .udp_send = rn_sim_udp_send,
    .udp_address = rn_sim_udp_address,
    .udp_close = rn_sim_udp_close,
    .timer_new = timer_new,
    .timer_set = timer_set,
    .timer_del = timer_del,
    .defer = defer,
    .resolve = resolve_start,
    .resolve_cancel = resolve_cancel,
    .commit = host_commit,
};

static uint64_t log_wall(void *user) {
    return host_wall(&((rn_sim_host *)user)->env);
}

static bool log_write(const char *line, size_t len, void *user) {
    rn_sim_host *host = user;
    rn_buffer *text = &host->sim->log_text;
    size_t name_len = strlen(host->machine->text);
    if (rn_buffer_reserve(text, name_len + 1 + len + 1) == RPCNET_OK) {
        rn_buffer_append(text, host->machine->text, name_len);
        rn_buffer_append(text, " ", 1);
        rn_buffer_append(text, line, len);
        text->data[text->len] = '\0';
    }
    if (host->sim->log_to_stderr) {
        fprintf(stderr, "%s %.*s", host->machine->text, (int)len, line);
    }
    return true;
}

rn_address rn_sim_parse_host(const char *address) {
    char text[RN_ADDRESS_TEXT_MAX];
    rn_address out;
    snprintf(text, sizeof text, strchr(address, ':') != NULL ? "[%s]:0" : "%s:0", address);
    rn_sim_require(rn_address_parse(&out, text) == RPCNET_OK, "not the address of a machine");
    return out;
}

rn_sim_machine *rn_sim_need_machine(rn_sim *sim, const char *text) {
    enum { PORT_FIRST = 32768 };
    rn_address address = rn_sim_parse_host(text);
    rn_sim_machine *machine = rn_sim_find_machine(sim, &address);
    if (machine == NULL) {
        rn_sim_require(sim->machine_count < RN_SIM_MACHINES_MAX, "too many machines");
        machine = &sim->machines[sim->machine_count];
        machine->index = sim->machine_count++;
        machine->address = address;
        machine->port_next = PORT_FIRST;
        snprintf(machine->text, sizeof machine->text, "%s", text);
    }
    return machine;
}

rn_env *rn_sim_host_new(rn_sim *sim, const char *address) {
    rn_sim_host *host = rn_sim_alloc(sizeof *host);
    host->env.ops = &host_ops;
    host->env.qlog = sim->qlog;
    host->sim = sim;
    host->machine = rn_sim_need_machine(sim, address);
    rn_sim_clock_init(&host->clock);
    rn_sim_random_init(&host->random, sim->seed, ++sim->host_count);
    rn_list_init(&host->sockets);
    rn_list_init(&host->timers);
    rn_list_init(&host->resolves);
    rn_list_init(&host->held);
    rn_list_init(&host->deferred);
    rn_sim_event_init(&host->turn_end, host, fire_turn_end, NULL);
    rn_log_sink sink = {.wall = log_wall, .write = log_write, .user = host};
    rn_sim_require(rn_log_new(&host->env.log, sim->log_filter, &sink, NULL) == RPCNET_OK, "log");
    rn_list_append(&sim->hosts, &host->link);
    return &host->env;
}

/* What waits for a stopped process and belongs to nobody else (datagrams) is freed. */
static void drop_held(rn_sim_host *host) {
    while (!rn_list_empty(&host->held)) {
        rn_sim_event *event = RN_CONTAINER_OF(host->held.next, rn_sim_event, held);
        rn_list_remove(&event->held);
        if (event->drop != NULL) {
            event->drop(event);
        }
    }
}

/* Deferred work belongs to its owner; it is only let go of. */
static void drop_deferred(rn_sim_host *host) {
    rn_sim_event_cancel(host->sim, &host->turn_end);
    while (!rn_list_empty(&host->deferred)) {
        rn_list_remove(host->deferred.next);
    }
}

void rn_sim_host_kill(rn_env *env) {
    rn_sim_host *host = rn_sim_host_of(env);
    rn_sim *sim = host->sim;
    rn_list *link;
    rn_list *after;
    host->killed = true;
    host->paused = false;
    drop_held(host);
    drop_deferred(host);
    RN_LIST_FOREACH(link, after, &host->sockets) {
        rn_sim_udp_unplug(RN_CONTAINER_OF(link, rn_udp, link));
    }
    RN_LIST_FOREACH(link, after, &host->timers) {
        rn_sim_event_cancel(sim, &RN_CONTAINER_OF(link, rn_timer, link)->event);
    }
    RN_LIST_FOREACH(link, after, &host->resolves) {
        rn_sim_event_cancel(sim, &RN_CONTAINER_OF(link, rn_resolve, link)->event);
    }
    rn_sim_note(sim, "kill", &host->machine->address, NULL, 0);
}

void rn_sim_host_pause(rn_env *env) {
    rn_sim_host *host = rn_sim_host_of(env);
    host->paused = !host->killed;
    rn_sim_note(host->sim, "pause", &host->machine->address, NULL, 0);
}

void rn_sim_host_resume(rn_env *env) {
    rn_sim_host *host = rn_sim_host_of(env);
    host->paused = false;
    rn_sim_note(host->sim, "resume", &host->machine->address, NULL, 0);
    while (!rn_list_empty(&host->held)) {
        rn_sim_event *event = RN_CONTAINER_OF(host->held.next, rn_sim_event, held);
        rn_sim_event_set(host->sim, event, host->sim->now);
    }
}

void rn_sim_host_set_clock(rn_env *env, const rn_sim_clock *clock) {
    rn_sim_host *host = rn_sim_host_of(env);
    rn_sim_clock_change(&host->clock, host->sim->now, clock);
    rn_sim_note(host->sim, "clock", &host->machine->address, NULL, 0);
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &host->timers) {
        rn_timer *timer = RN_CONTAINER_OF(link, rn_timer, link);
        if (!rn_list_linked(&timer->event.held)) { /* those are due already */
            timer_set(timer, timer->deadline);
        }
    }
}

void rn_sim_host_block_sends(rn_env *env, bool blocked) {
    rn_sim_host *host = rn_sim_host_of(env);
    host->sends_blocked = blocked;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &host->sockets) {
        rn_udp *udp = RN_CONTAINER_OF(link, rn_udp, link);
        if (!blocked && udp->wants_writable) {
            rn_sim_event_set(host->sim, &udp->writable, host->sim->now);
        }
    }
}

void rn_sim_host_del(rn_sim_host *host) {
    rn_list *link;
    rn_list *after;
    drop_held(host);
    drop_deferred(host);
    RN_LIST_FOREACH(link, after, &host->sockets) {
        rn_sim_udp_close(RN_CONTAINER_OF(link, rn_udp, link));
    }
    RN_LIST_FOREACH(link, after, &host->timers) {
        timer_del(RN_CONTAINER_OF(link, rn_timer, link));
    }
    RN_LIST_FOREACH(link, after, &host->resolves) {
        resolve_cancel(RN_CONTAINER_OF(link, rn_resolve, link));
    }
    rn_log_del(host->env.log);
    rn_list_remove(&host->link);
    /* Sockets in the graveyard point here, but are only freed from now on. */
    free(host);
}
