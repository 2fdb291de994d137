/* Sockets. What the network does to datagrams on their way is in letter.c. */
#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"
#include "sim/internal.h"

enum {
    PORT_FIRST = 32768, /* ports that the system chooses */
    PORT_LAST = 60999
};

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

rn_udp *rn_sim_find_socket(const rn_sim *sim, const rn_address *outer) {
    address_key key = key_of(outer);
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
    return rn_sim_find_socket(host->sim, &udp->outer) == NULL ? RPCNET_OK
                                                              : RPCNET_ERR_ADDRESS_IN_USE;
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
    if (rn_sim_find_socket(sim, &address) != NULL) {
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
    int result = RPCNET_OK;
    size_t offset = 0;
    while (offset < transmit->len) {
        size_t left = transmit->len - offset;
        size_t len = left < transmit->segment_size ? left : transmit->segment_size;
        int sent = rn_sim_letter_send(udp, transmit, rn_bytes_of(transmit->data + offset, len));
        result = sent == RPCNET_OK ? result : sent;
        offset += len;
    }
    return result;
}
