/* Datagrams on their way: what keeps them from it, and how they are handed over or refused. What a
 * link does to them is in link.c. */
#include <stdlib.h>

#include "rpcnet/error.h"
#include "sim/internal.h"

enum {
    HEADERS_IPV4 = 28, /* IP and UDP */
    HEADERS_IPV6 = 48
};

typedef struct letter {
    rn_sim_event event;
    rn_address from;
    rn_address to;
    uint64_t sender;     /* id of the socket that sent it */
    size_t from_machine; /* index */
    uint8_t ecn;
    bool corrupted;
    size_t len;
    uint8_t data[];
} letter;

/* The news that a port is closed, on its way back. */
typedef struct refusal {
    rn_sim_event event;
    uint64_t socket;
} refusal;

static uint64_t *counter_of(rn_sim_stats *stats, rn_sim_fate fate) {
    switch (fate) {
    case RN_SIM_SENT:
        return &stats->sent;
    case RN_SIM_DUPLICATED:
        return &stats->duplicated;
    case RN_SIM_DELIVERED:
        return &stats->delivered;
    case RN_SIM_LOST:
        return &stats->lost;
    case RN_SIM_TOO_LARGE:
        return &stats->too_large;
    case RN_SIM_QUEUE_FULL:
        return &stats->queue_full;
    case RN_SIM_PARTITIONED:
        return &stats->partitioned;
    case RN_SIM_DOWN:
        return &stats->down;
    case RN_SIM_NO_ROUTE:
        return &stats->no_route;
    case RN_SIM_REFUSED:
        return &stats->refused;
    }
    abort();
}

static const char *name_of(rn_sim_fate fate) {
    static const char *const names[] = {
        [RN_SIM_SENT] = "send",
        [RN_SIM_DUPLICATED] = "duplicate",
        [RN_SIM_DELIVERED] = "receive",
        [RN_SIM_LOST] = "lose",
        [RN_SIM_TOO_LARGE] = "too-large",
        [RN_SIM_QUEUE_FULL] = "queue-full",
        [RN_SIM_PARTITIONED] = "partitioned",
        [RN_SIM_DOWN] = "down",
        [RN_SIM_NO_ROUTE] = "no-route",
        [RN_SIM_REFUSED] = "refuse",
    };
    return names[fate];
}

/* Everything that happens to a datagram is counted, noted and shown here. */
static void tell(rn_sim *sim, rn_sim_fate fate, const letter *about) {
    ++*counter_of(&sim->stats, fate);
    rn_sim_note(sim, name_of(fate), &about->from, &about->to, about->len);
    if (fate == RN_SIM_SENT) {
        rn_mix_add(&sim->content, about->data, about->len);
    }
    if (sim->tap != NULL) {
        rn_sim_seen seen = {.time = sim->now,
                            .fate = fate,
                            .from = about->from,
                            .to = about->to,
                            .ecn = about->ecn,
                            .corrupted = about->corrupted,
                            .data = rn_bytes_of(about->data, about->len)};
        sim->tap(&seen, sim->tap_user);
    }
}

static void drop_refusal(rn_sim_event *event) {
    free(RN_CONTAINER_OF(event, refusal, event));
}

static void fire_refusal(rn_sim_event *event, rn_sim *sim) {
    refusal *at = RN_CONTAINER_OF(event, refusal, event);
    rn_udp *udp = rn_map_get(sim->sockets, rn_map_number(&at->socket));
    if (udp != NULL && udp->host->paused) {
        rn_list_append(&udp->host->held, &event->held);
        return;
    }
    if (udp != NULL) {
        rn_sim_note(sim, "unreachable", &udp->outer, &udp->peer, 0);
        if (udp->handler.unreachable != NULL) {
            udp->handler.unreachable(udp->user);
        }
    }
    free(at);
}

/* The letter came to a port that is closed: connected senders get to know it. */
static void refuse(rn_sim *sim, const letter *from) {
    tell(sim, RN_SIM_REFUSED, from);
    const rn_udp *sender = rn_map_get(sim->sockets, rn_map_number(&from->sender));
    const rn_sim_machine *machine = rn_sim_find_machine(sim, &from->to);
    if (sender == NULL || sender->peer.len == 0 || machine == NULL ||
        !rn_sim_can_pass(sim, machine->index, from->from_machine)) {
        return;
    }
    const rn_sim_link *link = rn_sim_link_between(sim, machine->index, from->from_machine);
    if (rn_sim_random_chance(&sim->random, link->loss)) {
        return;
    }
    refusal *back = rn_sim_alloc(sizeof *back);
    rn_sim_event_init(&back->event, NULL, fire_refusal, drop_refusal);
    back->socket = from->sender;
    rn_sim_event_set(sim, &back->event, sim->now + link->latency_ns);
}

static void drop_letter(rn_sim_event *event) {
    free(RN_CONTAINER_OF(event, letter, event));
}

static void hand_over(rn_sim *sim, rn_udp *udp, letter *from) {
    tell(sim, RN_SIM_DELIVERED, from);
    rn_datagram datagram = {.local = udp->inner,
                            .remote = from->from,
                            .ecn = from->ecn,
                            .data = from->data,
                            .len = from->len};
    udp->handler.receive(&datagram, udp->user);
    free(from);
}

/* Whom the network knows by that address; a socket may have a foreign one. */
static const rn_sim_machine *machine_at(rn_sim *sim, const rn_udp *udp, const rn_address *address) {
    return udp != NULL ? udp->host->machine : rn_sim_find_machine(sim, address);
}

/* An interface that is down receives nothing but what its own machine sends. */
static bool reaches(const rn_sim_machine *machine, const letter *at) {
    return machine == NULL || !machine->down || machine->index == at->from_machine;
}

static bool takes(const rn_udp *udp, const letter *at) {
    return udp->peer.len == 0 || rn_address_equal(&udp->peer, &at->from);
}

static void fire_letter(rn_sim_event *event, rn_sim *sim) {
    letter *at = RN_CONTAINER_OF(event, letter, event);
    rn_udp *udp = rn_sim_find_socket(sim, &at->to);
    if (!reaches(machine_at(sim, udp, &at->to), at)) {
        tell(sim, RN_SIM_DOWN, at);
        free(at);
        return;
    }
    if (udp == NULL || !takes(udp, at)) {
        refuse(sim, at);
        free(at);
        return;
    }
    if (udp->host->paused) {
        rn_list_append(&udp->host->held, &event->held);
        return;
    }
    hand_over(sim, udp, at);
    /* What arrives at the same socket at the same time is one batch. */
    while (!udp->closed && !udp->host->paused) {
        rn_sim_event *next = rn_sim_queue_first(&sim->queue);
        if (next == NULL || next->time != sim->now || next->fire != fire_letter) {
            break;
        }
        letter *more = RN_CONTAINER_OF(next, letter, event);
        if (!rn_address_equal(&more->to, &udp->outer) || !takes(udp, more) ||
            !reaches(udp->host->machine, more)) {
            break;
        }
        rn_sim_event_cancel(sim, next);
        hand_over(sim, udp, more);
    }
    if (!udp->closed && udp->handler.batch_end != NULL) {
        udp->handler.batch_end(udp->user);
    }
}

static letter *letter_new(rn_udp *udp, const rn_transmit *transmit, rn_bytes data) {
    letter *out = rn_sim_alloc(sizeof *out + data.len);
    rn_sim_event_init(&out->event, NULL, fire_letter, drop_letter);
    out->from = udp->outer;
    out->to = udp->peer.len > 0 ? udp->peer : transmit->remote;
    out->sender = udp->id;
    out->from_machine = udp->host->machine->index;
    out->ecn = transmit->ecn;
    out->len = data.len;
    memcpy(out->data, data.data, data.len);
    return out;
}

static letter *copy_of(const letter *first) {
    letter *out = rn_sim_alloc(sizeof *out + first->len);
    memcpy(out, first, sizeof *out + first->len);
    rn_sim_event_init(&out->event, NULL, fire_letter, drop_letter);
    return out;
}

/* Each copy takes its own harm. */
static void post(rn_sim *sim, const rn_sim_link *link, letter *out, uint64_t time) {
    if (rn_sim_link_harm(link, &sim->random, out->data, out->len)) {
        out->corrupted = true;
        sim->stats.corrupted++;
        rn_sim_note(sim, "corrupt", &out->from, &out->to, out->len);
    }
    rn_sim_event_set(sim, &out->event, time);
}

static bool is_filtered(const rn_sim_machine *machine, const rn_address *address) {
    return machine->filtered != 0 && rn_address_port(address) == machine->filtered;
}

/* What keeps a datagram from setting out; RN_SIM_SENT: nothing. */
static rn_sim_fate hindrance(const rn_sim *sim, const letter *out, const rn_sim_machine *to) {
    const rn_sim_machine *from = &sim->machines[out->from_machine];
    if (from->down && from != to) {
        return RN_SIM_DOWN;
    }
    if (to == NULL) {
        return RN_SIM_NO_ROUTE;
    }
    if (sim->paths[from->index][to->index].cut || (from != to && is_filtered(to, &out->to))) {
        return RN_SIM_PARTITIONED;
    }
    return RN_SIM_SENT;
}

static void set_out(rn_sim *sim, letter *out, const rn_sim_machine *to) {
    rn_sim_path *path = &sim->paths[out->from_machine][to->index];
    const rn_sim_link *link = rn_sim_link_between(sim, out->from_machine, to->index);
    size_t headers = out->to.sa.sa_family == AF_INET ? HEADERS_IPV4 : HEADERS_IPV6;
    rn_sim_passage passage;
    rn_sim_link_pass(link, &path->state, &sim->random, sim->now, out->len + headers,
                     out->ecn != RN_ECN_NOT_ECT, &passage);
    if (passage.fate != RN_SIM_SENT) {
        tell(sim, passage.fate, out);
        free(out);
        return;
    }
    if (passage.marked) {
        out->ecn = RN_ECN_CE;
        sim->stats.marked++;
    }
    letter *second = NULL;
    if (passage.copies == 2) {
        second = copy_of(out);
        tell(sim, RN_SIM_DUPLICATED, second);
        sim->stats.reordered += passage.copy[1].reordered;
    }
    sim->stats.reordered += passage.copy[0].reordered;
    post(sim, link, out, passage.copy[0].time);
    if (second != NULL) {
        post(sim, link, second, passage.copy[1].time);
    }
}

int rn_sim_letter_send(rn_udp *udp, const rn_transmit *transmit, rn_bytes data) {
    rn_sim *sim = udp->host->sim;
    letter *out = letter_new(udp, transmit, data);
    const rn_sim_machine *to = machine_at(sim, rn_sim_find_socket(sim, &out->to), &out->to);
    tell(sim, RN_SIM_SENT, out);
    rn_sim_fate fate = hindrance(sim, out, to);
    if (fate == RN_SIM_SENT) {
        set_out(sim, out, to);
        return RPCNET_OK;
    }
    tell(sim, fate, out);
    free(out);
    return fate == RN_SIM_DOWN ? RPCNET_ERR_IO : RPCNET_OK;
}
