/* port: socket events go in, flights come out at the end of the turn. */
#include "quic/port.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rpcnet/error.h"

struct rn_port {
    rn_env *env;
    rn_udp *udp;
    rn_endpoint *endpoint;
    rn_timer *timer;
    rn_deferred flush;
    rn_transmit held;  /* the socket had no room for it; len 0: none */
    uint64_t deadline; /* what the timer is set to */
};

static void on_receive(const rn_datagram *datagram, void *user) {
    rn_port *port = user;
    rn_endpoint_receive(port->endpoint, datagram);
}

static void on_batch_end(void *user) {
    rn_port *port = user;
    rn_env_defer(port->env, &port->flush);
}

static void on_unreachable(void *user) {
    rn_port *port = user;
    rn_endpoint_unreachable(port->endpoint);
    rn_env_defer(port->env, &port->flush);
}

static void on_writable(void *user) {
    on_batch_end(user);
}

static void on_ready(rn_endpoint *endpoint, void *user) {
    (void)endpoint;
    on_batch_end(user);
}

static void on_timer(void *user) {
    rn_port *port = user;
    port->deadline = RN_NEVER;
    rn_endpoint_tick(port->endpoint);
    rn_env_defer(port->env, &port->flush);
}

static void set_timer(rn_port *port) {
    uint64_t deadline = rn_endpoint_deadline(port->endpoint);
    if (deadline != port->deadline) {
        port->deadline = deadline;
        port->env->ops->timer_set(port->timer, deadline);
    }
}

/* False: the socket has no room; the flight is kept and nothing more is pulled. A flight that the
 * system refuses otherwise is lost, as the network may lose it. */
static bool send_flight(rn_port *port, const rn_transmit *flight) {
    if (port->env->ops->udp_send(port->udp, flight) == RPCNET_ERR_AGAIN) {
        port->held = *flight;
        return false;
    }
    return true;
}

/* Sends up to `most` flights. False: there may be more, and the socket would take them. */
static bool pull(rn_port *port, size_t most) {
    rn_transmit flight;
    if (port->held.len > 0) {
        /* Its bytes lie in the endpoint's buffer, which stays as it is until the next pull. */
        flight = port->held;
        port->held.len = 0;
        if (!send_flight(port, &flight)) {
            return true;
        }
    }
    for (size_t i = 0; i < most; i++) {
        if (!rn_endpoint_transmit(port->endpoint, &flight) || !send_flight(port, &flight)) {
            return true;
        }
    }
    return false;
}

void rn_port_flush(rn_port *port) {
    (void)pull(port, SIZE_MAX);
    set_timer(port);
}

static void flush(void *user) {
    rn_port *port = user;
    if (pull(port, RN_PORT_FLIGHTS_MAX)) {
        set_timer(port);
    } else {
        port->deadline = rn_env_now(port->env);
        port->env->ops->timer_set(port->timer, port->deadline);
    }
}

int rn_port_new(rn_port **out, const rn_port_config *config) {
    static const rn_udp_handler handler = {.receive = on_receive,
                                           .batch_end = on_batch_end,
                                           .unreachable = on_unreachable,
                                           .writable = on_writable};
    assert(config->endpoint.ready == NULL);
    rn_port *port = calloc(1, sizeof *port);
    if (port == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    port->env = config->endpoint.env;
    port->deadline = RN_NEVER;
    rn_deferred_init(&port->flush, flush, port);
    rn_endpoint_config endpoint = config->endpoint;
    endpoint.ready = on_ready;
    endpoint.ready_user = port;
    int result = rn_endpoint_new(&port->endpoint, &endpoint);
    explicit_bzero(endpoint.secret, sizeof endpoint.secret);
    explicit_bzero(endpoint.previous_secret, sizeof endpoint.previous_secret);
    if (result == RPCNET_OK) {
        result = rn_env_timer_new(port->env, on_timer, port, &port->timer);
    }
    if (result == RPCNET_OK) {
        result = rn_env_udp_open(port->env, &config->udp, &handler, port, &port->udp);
    }
    if (result != RPCNET_OK) {
        rn_port_del(port);
        return result;
    }
    *out = port;
    return RPCNET_OK;
}

void rn_port_del(rn_port *port) {
    if (port == NULL) {
        return;
    }
    if (port->udp != NULL) {
        port->env->ops->udp_close(port->udp);
    }
    rn_endpoint_del(port->endpoint);
    port->env->ops->timer_del(port->timer);
    rn_deferred_cancel(&port->flush);
    free(port);
}

rn_endpoint *rn_port_endpoint(rn_port *port) {
    return port->endpoint;
}

const rn_address *rn_port_address(const rn_port *port) {
    return port->env->ops->udp_address(port->udp);
}
