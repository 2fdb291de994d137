/* port: the socket of a channel's connection or of a server, and its end. It must not be closed
 * inside a callback of its own connections, and a callback may delete anything: whoever is in one
 * is counted, and the end waits for the end of the turn then. */
#include <assert.h>

#include "rpc/internal.h"

static void end_now(void *user) {
    rn_rpc_port *port = user;
    assert(port->depth == 0);
    if (port->port != NULL) {
        rn_port_flush(port->port);
        rn_port_del(port->port);
        port->port = NULL;
    }
    port->gone(port->user);
}

void rn_rpc_port_init(rn_rpc_port *port, rn_env *env, void (*gone)(void *user), void *user) {
    *port = (rn_rpc_port){.env = env, .gone = gone, .user = user};
    rn_list_init(&port->calls);
    rn_deferred_init(&port->end, end_now, port);
}

void rn_rpc_port_enter(rn_rpc_port *port) {
    port->depth++;
}

void rn_rpc_port_leave(rn_rpc_port *port) {
    assert(port->depth > 0);
    port->depth--;
}

void rn_rpc_port_end(rn_rpc_port *port) {
    if (port->ending) {
        return;
    }
    port->ending = true;
    if (port->depth > 0) {
        rn_env_defer(port->env, &port->end);
    } else {
        end_now(port);
    }
}
