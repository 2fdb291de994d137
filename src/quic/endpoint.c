/* endpoint: connections by id, the turn of each to send, and the nearest deadline. Newcomers are in
 * endpoint_accept.c, answers without a connection in endpoint_answer.c. */
#include "quic/endpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"

int rn_endpoint_new(rn_endpoint **out, const rn_endpoint_config *config) {
    rn_endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    endpoint->config = *config;
    explicit_bzero(endpoint->config.secret, sizeof endpoint->config.secret);
    explicit_bzero(endpoint->config.previous_secret, sizeof endpoint->config.previous_secret);
    rn_tls_context_hold(config->tls);
    endpoint->accepting = config->accept;
    rn_list_init(&endpoint->conns);
    rn_list_init(&endpoint->unfinished);
    rn_list_init(&endpoint->ended);
    rn_list_init(&endpoint->ready);
    rn_heap_init(&endpoint->timers);
    endpoint->flight = malloc(RN_FLIGHT_BYTES_MAX + RN_DATAGRAM_MAX);
    uint64_t seed;
    rn_env_random(config->env, &seed, sizeof seed);
    /* Each connection is known by the ids it has issued and by the one its client began with. */
    size_t ids = config->limits.connections_max * (RN_OWN_IDS_MAX + 1);
    int result = rn_map_new(&endpoint->conns_by_id, ids, seed);
    if (result == RPCNET_OK) {
        result = endpoint->flight != NULL ? rn_answers_new(&endpoint->answers) : RPCNET_ERR_MEMORY;
    }
    if (result == RPCNET_OK && config->limits.connections_per_address > 0) {
        /* One more, because a newcomer is counted before another makes room. */
        result = rn_census_new(&endpoint->census, config->limits.connections_per_address,
                               config->limits.connections_max + 1, seed);
    }
    if (result == RPCNET_OK && config->limits.handshakes_per_address > 0) {
        result = rn_census_new(&endpoint->handshake_census, config->limits.handshakes_per_address,
                               config->limits.handshakes_max + 1, seed);
    }
    if (result == RPCNET_OK) {
        result = rn_secrets_init(&endpoint->secrets, config->secret);
    }
    if (result == RPCNET_OK && config->has_previous_secret) {
        result = rn_secrets_init(&endpoint->previous, config->previous_secret);
    }
    if (result != RPCNET_OK) {
        rn_endpoint_del(endpoint);
        return result;
    }
    *out = endpoint;
    return RPCNET_OK;
}

void rn_endpoint_del(rn_endpoint *endpoint) {
    if (endpoint == NULL) {
        return;
    }
    endpoint->inside = true; /* nobody is to be woken any more */
    while (!rn_list_empty(&endpoint->conns)) {
        rn_conn *conn = RN_CONTAINER_OF(endpoint->conns.next, rn_conn, link);
        if (conn->quic != NULL) {
            rn_conn_abandon(conn, RN_CLOSE_LOCAL, "the endpoint is gone");
        }
        rn_conn_del(conn);
    }
    rn_map_del(endpoint->conns_by_id);
    rn_heap_fini(&endpoint->timers);
    rn_answers_del(endpoint->answers);
    rn_census_del(endpoint->census);
    rn_census_del(endpoint->handshake_census);
    rn_secrets_fini(&endpoint->secrets);
    rn_secrets_fini(&endpoint->previous);
    rn_tls_context_del(endpoint->config.tls);
    free(endpoint->flight);
    free(endpoint);
}

int rn_endpoint_add_id(rn_endpoint *endpoint, const ngtcp2_cid *id, rn_conn *conn) {
    return rn_map_put(endpoint->conns_by_id, rn_bytes_of(id->data, id->datalen), conn);
}

void rn_endpoint_remove_id(rn_endpoint *endpoint, const ngtcp2_cid *id) {
    rn_map_remove(endpoint->conns_by_id, rn_bytes_of(id->data, id->datalen));
}

int rn_endpoint_connect(rn_endpoint *endpoint, const rn_connect_options *options, rn_conn **out) {
    if (endpoint->stats.connections >= endpoint->config.limits.connections_max) {
        return RPCNET_ERR_LIMIT;
    }
    int result = rn_conn_connect(out, endpoint, options);
    if (result == RPCNET_OK) {
        endpoint->stats.connections_opened++;
    }
    return result;
}

/* A stateless reset bears no id of ours. Where we have connected ourselves, the sender's address
 * tells whose end it may announce; ngtcp2 then compares its token. */
static rn_conn *find_by_address(const rn_endpoint *endpoint, const rn_address *remote) {
    for (const rn_list *link = endpoint->conns.next; link != &endpoint->conns; link = link->next) {
        rn_conn *conn = RN_CONTAINER_OF(link, rn_conn, link);
        bool alive = conn->quic != NULL; /* a connection before it may be closing or draining */
        if (alive && !conn->server && rn_address_equal(&conn->remote, remote)) {
            return conn;
        }
    }
    return NULL;
}

static void route(rn_endpoint *endpoint, const rn_datagram *datagram) {
    ngtcp2_version_cid ids;
    int decoded =
        ngtcp2_pkt_decode_version_cid(&ids, datagram->data, datagram->len, RN_CONNECTION_ID_LEN);
    if (decoded != 0 && decoded != NGTCP2_ERR_VERSION_NEGOTIATION) {
        endpoint->stats.datagrams_dropped++;
        return;
    }
    rn_conn *conn = rn_map_get(endpoint->conns_by_id, rn_bytes_of(ids.dcid, ids.dcidlen));
    if (conn == NULL && !endpoint->config.accept) {
        conn = find_by_address(endpoint, &datagram->remote);
    }
    if (conn != NULL) {
        rn_conn_receive(conn, datagram);
    } else {
        rn_endpoint_receive_unknown(endpoint, datagram, &ids);
    }
}

void rn_endpoint_receive(rn_endpoint *endpoint, const rn_datagram *datagram) {
    endpoint->stats.datagrams_received++;
    endpoint->stats.bytes_received += datagram->len;
    if (datagram->len == 0) {
        endpoint->stats.datagrams_dropped++;
        return;
    }
    bool inside = endpoint->inside;
    endpoint->inside = true;
    route(endpoint, datagram);
    endpoint->inside = inside;
}

void rn_endpoint_unreachable(rn_endpoint *endpoint) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &endpoint->conns) {
        rn_conn *conn = RN_CONTAINER_OF(link, rn_conn, link);
        if (conn->handler.unreachable != NULL && !conn->close_asked) {
            conn->handler.unreachable(conn, conn->user);
        }
    }
}

uint64_t rn_endpoint_deadline(const rn_endpoint *endpoint) {
    const rn_heap_node *first = rn_heap_first(&endpoint->timers);
    return first != NULL ? first->key : RN_NEVER;
}

void rn_endpoint_tick(rn_endpoint *endpoint) {
    uint64_t now = rn_endpoint_now(endpoint);
    bool inside = endpoint->inside;
    endpoint->inside = true;
    for (rn_heap_node *first; (first = rn_heap_first(&endpoint->timers)) != NULL;) {
        if (first->key > now) {
            break;
        }
        /* Each sets its next deadline beyond `now`, or goes. */
        rn_conn_expire(RN_CONTAINER_OF(first, rn_conn, timer));
    }
    endpoint->inside = inside;
}

static void count_transmit(rn_endpoint *endpoint, const rn_transmit *transmit) {
    endpoint->stats.datagrams_sent +=
        (transmit->len + transmit->segment_size - 1) / transmit->segment_size;
    endpoint->stats.bytes_sent += transmit->len;
}

static bool next_flight(rn_endpoint *endpoint, rn_transmit *out) {
    if (endpoint->carry.len > 0) {
        *out = endpoint->carry;
        endpoint->carry.len = 0;
        return true;
    }
    if (rn_answers_take(endpoint->answers, out)) {
        return true;
    }
    while (!rn_list_empty(&endpoint->ready)) {
        rn_conn *conn = RN_CONTAINER_OF(endpoint->ready.next, rn_conn, ready_link);
        rn_list_remove(&conn->ready_link);
        if (rn_conn_flight(conn, endpoint->flight, out, &endpoint->carry)) {
            /* It may have more; the others come first. */
            rn_conn_wake(conn);
            rn_conn_schedule(conn);
            return true;
        }
        rn_conn_schedule(conn);
    }
    return false;
}

bool rn_endpoint_transmit(rn_endpoint *endpoint, rn_transmit *out) {
    bool inside = endpoint->inside;
    endpoint->inside = true;
    bool any = next_flight(endpoint, out);
    endpoint->inside = inside;
    if (any) {
        count_transmit(endpoint, out);
    }
    return any;
}

void rn_endpoint_stop_accepting(rn_endpoint *endpoint) {
    endpoint->accepting = false;
}

void rn_endpoint_set_tls(rn_endpoint *endpoint, rn_tls_context *tls) {
    rn_tls_context *old = endpoint->config.tls;
    endpoint->config.tls = rn_tls_context_hold(tls);
    rn_tls_context_del(old);
}

const rn_endpoint_stats *rn_endpoint_get_stats(const rn_endpoint *endpoint) {
    return &endpoint->stats;
}
