/* Sockets, and what the network does to datagrams on their way. */
#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"
#include "sim/internal.h"

enum {
    PORT_FIRST = 32768, /* ports that the system chooses */
    PORT_LAST = 60999,
    MTU_DEFAULT = 1500,
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
    size_t len;
    uint8_t data[];
} letter;

/* The news that a port is closed, on its way back. */
typedef struct refusal {
    rn_sim_event event;
    uint64_t socket;
} refusal;

typedef struct address_key {
    uint8_t bytes[19]; /* family, address, port */
} address_key;

static address_key key_of(const rn_address *address) {
    address_key key = {{0}};
    uint16_t port = rn_address_port(address);
    key.bytes[0] = (uint8_t)address->sa.sa_family;
    if (address->sa.sa_family == AF_INET) {
        memcpy(key.bytes + 1, &address->in.sin_addr, 4);
    } else {
        memcpy(key.bytes + 1, &address->in6.sin6_addr, 16);
    }
    memcpy(key.bytes + 17, &port, sizeof port);
    return key;
}

static rn_udp *find_outer(const rn_sim *sim, const rn_address *address) {
    address_key key = key_of(address);
    return rn_map_get(sim->outer, rn_bytes_of(&key, sizeof key));
}

static bool is_wildcard(const rn_address *address) {
    if (address->sa.sa_family == AF_INET) {
        return address->in.sin_addr.s_addr == htonl(INADDR_ANY);
    }
    return IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

static bool port_taken(const rn_sim *sim, const rn_sim_machine *machine, uint16_t port) {
    size_t cursor = 0;
    void *value;
    rn_bytes key;
    while (rn_map_next(sim->sockets, &cursor, &key, &value)) {
        const rn_udp *udp = value;
        if (udp->host->machine == machine && rn_address_port(&udp->inner) == port) {
            return true;
        }
    }
    return false;
}

static uint16_t free_port(const rn_sim *sim, rn_sim_machine *machine) {
    for (unsigned tries = 0; tries <= PORT_LAST - PORT_FIRST; tries++) {
        uint16_t port = machine->port_next;
        machine->port_next = port == PORT_LAST ? PORT_FIRST : (uint16_t)(port + 1);
        if (!port_taken(sim, machine, port)) {
            return port;
        }
    }
    return 0;
}

static void fire_writable(rn_sim_event *event, rn_sim *sim) {
    rn_udp *udp = RN_CONTAINER_OF(event, rn_udp, writable);
    rn_sim_note(sim, "writable", &udp->outer, NULL, 0);
    udp->wants_writable = false;
    if (udp->handler.writable != NULL) {
        udp->handler.writable(udp->user);
    }
}

/* Fills in the addresses of a new socket. */
static int choose_addresses(rn_sim_host *host, const rn_udp_options *options, rn_udp *udp) {
    rn_sim_machine *machine = host->machine;
    const rn_address *wanted = options->bind.len > 0 ? &options->bind : &machine->address;
    if ((options->bind.len == 0 && options->connect.len == 0) ||
        wanted->sa.sa_family != machine->address.sa.sa_family ||
        (options->connect.len > 0 &&
         options->connect.sa.sa_family != machine->address.sa.sa_family) ||
        (!is_wildcard(wanted) && !rn_address_same_host(wanted, &machine->address))) {
        return RPCNET_ERR_ADDRESS;
    }
    uint16_t port = rn_address_port(wanted);
    if (port == 0) {
        port = free_port(host->sim, machine);
    } else if (port_taken(host->sim, machine, port)) {
        port = 0;
    }
    if (port == 0) {
        return RPCNET_ERR_ADDRESS_IN_USE;
    }
    udp->inner = machine->address;
    rn_address_set_port(&udp->inner, port);
    udp->outer = udp->inner;
    udp->peer = options->connect;
    /* As on a real machine, connecting settles a wildcard. */
    udp->bound = udp->peer.len > 0 ? udp->inner : *wanted;
    rn_address_set_port(&udp->bound, port);
    return find_outer(host->sim, &udp->outer) == NULL ? RPCNET_OK : RPCNET_ERR_ADDRESS_IN_USE;
}

int rn_sim_udp_open(rn_env *env, const rn_udp_options *options, const rn_udp_handler *handler,
                    void *user, rn_udp **out) {
    rn_sim_host *host = rn_sim_host_of(env);
    rn_sim *sim = host->sim;
    *out = NULL;
    if (host->killed) {
        return RPCNET_ERR_IO;
    }
    rn_udp *udp = rn_sim_alloc(sizeof *udp);
    int result = choose_addresses(host, options, udp);
    if (result != RPCNET_OK) {
        free(udp);
        return result;
    }
    udp->host = host;
    udp->handler = *handler;
    udp->user = user;
    udp->id = ++sim->socket_id_next;
    rn_sim_event_init(&udp->writable, host, fire_writable, NULL);
    address_key key = key_of(&udp->outer);
    rn_sim_require(rn_map_put(sim->outer, rn_bytes_of(&key, sizeof key), udp) == RPCNET_OK &&
                       rn_map_put(sim->sockets, rn_map_number(&udp->id), udp) == RPCNET_OK,
                   "too many sockets");
    rn_list_append(&host->sockets, &udp->link);
    *out = udp;
    return RPCNET_OK;
}

const rn_address *rn_sim_udp_address(const rn_udp *udp) {
    return &udp->bound;
}

void rn_sim_udp_unplug(rn_udp *udp) {
    rn_sim *sim = udp->host->sim;
    if (udp->closed) {
        return;
    }
    udp->closed = true;
    address_key key = key_of(&udp->outer);
    rn_map_remove(sim->outer, rn_bytes_of(&key, sizeof key));
    rn_map_remove(sim->sockets, rn_map_number(&udp->id));
    rn_sim_event_cancel(sim, &udp->writable);
}

void rn_sim_udp_close(rn_udp *udp) {
    rn_sim_udp_unplug(udp);
    rn_list_remove(&udp->link);
    /* A callback may close the socket that calls it. */
    rn_list_append(&udp->host->sim->graveyard, &udp->link);
}

void rn_sim_bury(rn_sim *sim) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &sim->graveyard) {
        free(RN_CONTAINER_OF(link, rn_udp, link));
    }
    rn_list_init(&sim->graveyard);
}

static rn_udp *only_socket(const rn_sim_host *host, uint16_t port) {
    rn_udp *found = NULL;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &host->sockets) {
        rn_udp *udp = RN_CONTAINER_OF(link, rn_udp, link);
        if (!udp->closed && (port == 0 || rn_address_port(&udp->inner) == port)) {
            rn_sim_require(found == NULL, "the process has several sockets: name the port");
            found = udp;
        }
    }
    return found;
}

int rn_sim_rebind(rn_env *env, uint16_t port, const char *outer) {
    rn_sim_host *host = rn_sim_host_of(env);
    rn_sim *sim = host->sim;
    rn_address address;
    rn_sim_require(rn_address_parse(&address, outer) == RPCNET_OK, "not an address with a port");
    rn_udp *udp = only_socket(host, port);
    if (udp == NULL) {
        return RPCNET_ERR_NOT_FOUND;
    }
    if (find_outer(sim, &address) != NULL) {
        return RPCNET_ERR_EXISTS;
    }
    rn_sim_note(sim, "rebind", &udp->outer, &address, 0);
    address_key key = key_of(&udp->outer);
    rn_map_remove(sim->outer, rn_bytes_of(&key, sizeof key));
    udp->outer = address;
    key = key_of(&udp->outer);
    rn_sim_require(rn_map_put(sim->outer, rn_bytes_of(&key, sizeof key), udp) == RPCNET_OK,
                   "memory");
    return RPCNET_OK;
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
    sim->stats.refused++;
    const rn_udp *sender = rn_map_get(sim->sockets, rn_map_number(&from->sender));
    const rn_sim_machine *machine = rn_sim_find_machine(sim, &from->to);
    if (sender == NULL || sender->peer.len == 0 || machine == NULL) {
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
    rn_sim_note(sim, "receive", &from->from, &from->to, from->len);
    sim->stats.delivered++;
    rn_datagram datagram = {.local = udp->inner,
                            .remote = from->from,
                            .ecn = from->ecn,
                            .data = from->data,
                            .len = from->len};
    udp->handler.receive(&datagram, udp->user);
    free(from);
}

static void fire_letter(rn_sim_event *event, rn_sim *sim) {
    letter *at = RN_CONTAINER_OF(event, letter, event);
    rn_udp *udp = find_outer(sim, &at->to);
    if (udp == NULL || (udp->peer.len > 0 && !rn_address_equal(&udp->peer, &at->from))) {
        rn_sim_note(sim, "refuse", &at->from, &at->to, at->len);
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
        if (!rn_address_equal(&more->to, &udp->outer) ||
            (udp->peer.len > 0 && !rn_address_equal(&udp->peer, &more->from))) {
            break;
        }
        rn_sim_event_cancel(sim, next);
        hand_over(sim, udp, more);
    }
    if (!udp->closed && udp->handler.batch_end != NULL) {
        udp->handler.batch_end(udp->user);
    }
}

/* When a datagram that is sent now arrives. */
static uint64_t arrival(rn_sim *sim, rn_sim_path *path, const rn_sim_link *link) {
    uint64_t at = sim->now + link->latency_ns;
    if (link->jitter_ns > 0) {
        at += rn_sim_random_below(&sim->random, link->jitter_ns + 1);
    }
    if (rn_sim_random_chance(&sim->random, link->reorder)) {
        sim->stats.reordered++;
        return at + (link->reorder_ns > 0 ? link->reorder_ns : link->latency_ns);
    }
    if (at < path->arrival_last) {
        at = path->arrival_last;
    }
    path->arrival_last = at;
    return at;
}

static void post(rn_udp *udp, const rn_transmit *transmit, rn_bytes data, uint8_t ecn,
                 uint64_t time) {
    letter *out = rn_sim_alloc(sizeof *out + data.len);
    rn_sim_event_init(&out->event, NULL, fire_letter, drop_letter);
    out->from = udp->outer;
    out->to = udp->peer.len > 0 ? udp->peer : transmit->remote;
    out->sender = udp->id;
    out->from_machine = udp->host->machine->index;
    out->ecn = ecn;
    out->len = data.len;
    memcpy(out->data, data.data, data.len);
    rn_sim_event_set(udp->host->sim, &out->event, time);
}

/* One datagram: dropped, or on its way once or twice. */
static void send_one(rn_udp *udp, const rn_transmit *transmit, rn_bytes data) {
    rn_sim *sim = udp->host->sim;
    const rn_address *to = udp->peer.len > 0 ? &udp->peer : &transmit->remote;
    const rn_udp *target = find_outer(sim, to);
    const rn_sim_machine *machine =
        target != NULL ? target->host->machine : rn_sim_find_machine(sim, to);
    sim->stats.sent++;
    rn_sim_note(sim, "send", &udp->outer, to, data.len);
    if (machine == NULL) {
        sim->stats.no_route++;
        return;
    }
    rn_sim_path *path = &sim->paths[udp->host->machine->index][machine->index];
    const rn_sim_link *link = rn_sim_link_between(sim, udp->host->machine->index, machine->index);
    size_t headers = to->sa.sa_family == AF_INET ? HEADERS_IPV4 : HEADERS_IPV6;
    if (data.len + headers > (link->mtu > 0 ? link->mtu : MTU_DEFAULT)) {
        sim->stats.too_large++;
        return;
    }
    if (rn_sim_random_chance(&sim->random, link->loss)) {
        sim->stats.lost++;
        rn_sim_note(sim, "lose", &udp->outer, to, data.len);
        return;
    }
    uint8_t ecn = transmit->ecn;
    if (ecn != RN_ECN_NOT_ECT && rn_sim_random_chance(&sim->random, link->ecn_mark)) {
        ecn = RN_ECN_CE;
        sim->stats.marked++;
    }
    post(udp, transmit, data, ecn, arrival(sim, path, link));
    if (rn_sim_random_chance(&sim->random, link->duplicate)) {
        sim->stats.duplicated++;
        post(udp, transmit, data, ecn, arrival(sim, path, link));
    }
}

int rn_sim_udp_send(rn_udp *udp, const rn_transmit *transmit) {
    assert(transmit->len > 0 && transmit->segment_size > 0);
    assert(transmit->segment_size <= transmit->len);
    if (udp->closed) {
        return RPCNET_OK; /* the process was killed: nobody hears it */
    }
    if (udp->host->sends_blocked) {
        udp->wants_writable = true;
        return RPCNET_ERR_AGAIN;
    }
    size_t offset = 0;
    while (offset < transmit->len) {
        size_t left = transmit->len - offset;
        size_t len = left < transmit->segment_size ? left : transmit->segment_size;
        send_one(udp, transmit, rn_bytes_of(transmit->data + offset, len));
        offset += len;
    }
    return RPCNET_OK;
}
