/* port: an endpoint on a UDP socket of the environment.
 *
 * The port carries datagrams from the socket to the endpoint as they come, and pulls flights out
 * once, at the end of the turn: what many streams have produced in a turn shares packets. */
#ifndef RN_QUIC_PORT_H
#define RN_QUIC_PORT_H

#include "quic/endpoint.h"

typedef struct rn_port rn_port;

typedef struct rn_port_config {
    rn_udp_options udp;
    rn_endpoint_config endpoint; /* `ready` is the port's own and must be NULL */
} rn_port_config;

/* Flights of one turn; then it is the sockets' turn again. Thousands of connections may have
 * something to send at once, and their acknowledgements must not fill the socket meanwhile. */
enum { RN_PORT_FLIGHTS_MAX = 128 };

/* Opens the socket. Results of rn_env_udp_open and rn_endpoint_new. */
int rn_port_new(rn_port **out, const rn_port_config *config);
/* Closes the socket and drops the endpoint (rn_endpoint_del). Not inside a callback of the port's
 * own connections. */
void rn_port_del(rn_port *port);
/* Pulls and sends what is there now instead of at the end of the turn: the last packets before
 * rn_port_del. Not inside a callback of the port's own connections. */
void rn_port_flush(rn_port *port);

rn_endpoint *rn_port_endpoint(rn_port *port);
const rn_address *rn_port_address(const rn_port *port); /* where it is bound */

#endif
