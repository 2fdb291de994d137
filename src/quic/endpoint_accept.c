/* endpoint_accept: datagrams that belong to no connection: newcomers, strangers and the late. */
#include <string.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"

enum {
    INITIAL_DATAGRAM_MIN = 1200, /* RFC 9000, section 14.1 */
    TOKEN_RETRY_LIFE_S = 10,
    TOKEN_REGULAR_LIFE_S = 3600
};

typedef struct token_verdict {
    ngtcp2_token_type type; /* UNKNOWN: no token, or one that is not worth anything */
    ngtcp2_cid original_id; /* for a Retry token */
    bool invalid;           /* a Retry token that is not ours: RFC 9000, section 8.1.3 */
} token_verdict;

static token_verdict judge_under(const rn_endpoint *endpoint, const rn_secrets *secrets,
                                 const rn_datagram *datagram, const ngtcp2_pkt_hd *header) {
    token_verdict verdict = {.type = NGTCP2_TOKEN_TYPE_UNKNOWN};
    rn_bytes token = rn_bytes_of(header->token, header->tokenlen);
    rn_tls_token_scope scope = {.key = secrets->token_key,
                                .remote = &datagram->remote,
                                .wall_ns = rn_env_wall(endpoint->config.env)};
    switch (rn_tls_token_kind_of(token)) {
    case RN_TLS_TOKEN_RETRY:
        if (rn_tls_retry_token_read(&verdict.original_id, token, &scope, &header->dcid,
                                    TOKEN_RETRY_LIFE_S * RN_SECOND) == RPCNET_OK) {
            verdict.type = NGTCP2_TOKEN_TYPE_RETRY;
        } else {
            verdict.invalid = true;
        }
        break;
    case RN_TLS_TOKEN_REGULAR:
        if (rn_tls_regular_token_check(token, &scope, TOKEN_REGULAR_LIFE_S * RN_SECOND) ==
            RPCNET_OK) {
            verdict.type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
        }
        break;
    case RN_TLS_TOKEN_UNKNOWN:
        break;
    }
    return verdict;
}

/* A token of before the secret was changed is as good as one of after it. */
static token_verdict judge_token(const rn_endpoint *endpoint, const rn_datagram *datagram,
                                 const ngtcp2_pkt_hd *header) {
    token_verdict verdict = judge_under(endpoint, &endpoint->secrets, datagram, header);
    if (verdict.type == NGTCP2_TOKEN_TYPE_UNKNOWN && endpoint->config.has_previous_secret) {
        verdict = judge_under(endpoint, &endpoint->previous, datagram, header);
    }
    return verdict;
}

static void refuse(rn_endpoint *endpoint, const rn_datagram *datagram,
                   const ngtcp2_pkt_hd *header) {
    endpoint->stats.connections_refused++;
    rn_answer_close(endpoint, datagram, header, NGTCP2_CONNECTION_REFUSED);
}

static void leave_censuses(rn_endpoint *endpoint, const rn_accept_info *info) {
    rn_census_leave(endpoint->census, info->place);
    rn_census_leave(endpoint->handshake_census, info->handshake_place);
}

/* Counts a newcomer for its address. */
static int enter_censuses(rn_endpoint *endpoint, rn_accept_info *info) {
    int result = RPCNET_OK;
    if (endpoint->census != NULL) {
        result = rn_census_enter(endpoint->census, &info->remote, &info->place);
    }
    if (result == RPCNET_OK && endpoint->handshake_census != NULL) {
        result = rn_census_enter(endpoint->handshake_census, &info->remote, &info->handshake_place);
    }
    if (result != RPCNET_OK) {
        leave_censuses(endpoint, info);
        endpoint->stats.connections_refused_of_address += result == RPCNET_ERR_LIMIT;
    }
    return result;
}

static rn_conn *first_of(const rn_list *list) {
    return rn_list_empty(list) ? NULL : RN_CONTAINER_OF(list->next, rn_conn, age_link);
}

static bool handshakes_full(const rn_endpoint *endpoint) {
    return endpoint->stats.handshakes >= endpoint->config.limits.handshakes_max;
}

static bool connections_full(const rn_endpoint *endpoint) {
    return endpoint->stats.connections >= endpoint->config.limits.connections_max;
}

/* The connection that has to go so that a newcomer finds a place; NULL: there is none. What has
 * ended and is there for late packets alone goes first, but where handshakes are what there is too
 * many of: it is none any more. */
static rn_conn *find_victim(const rn_endpoint *endpoint) {
    rn_conn *ended = first_of(&endpoint->ended);
    rn_conn *oldest = first_of(&endpoint->unfinished);
    if (!handshakes_full(endpoint) && ended != NULL) {
        return ended;
    }
    bool old =
        oldest != NULL && rn_endpoint_now(endpoint) - oldest->begun_ns >= RN_HANDSHAKE_PATIENCE_NS;
    return old ? oldest : NULL;
}

/* Without a word: who fell silent would not listen, and a flood would be answered. */
static void evict(rn_endpoint *endpoint, rn_conn *victim) {
    if (victim->quic != NULL) {
        endpoint->stats.handshakes_evicted++;
        rn_conn_abandon(victim, RN_CLOSE_HANDSHAKE_TIMEOUT, "a newcomer needed its place");
    }
    rn_conn_del(victim);
}

/* `victim`: loses its place to this one; NULL: there is room. */
static void accept_connection(rn_endpoint *endpoint, const rn_datagram *datagram,
                              const ngtcp2_pkt_hd *header, const token_verdict *verdict,
                              rn_conn *victim) {
    rn_conn *conn;
    rn_accept_info info = {
        .header = header,
        .local = datagram->local,
        .remote = datagram->remote,
        .original_id = verdict->type == NGTCP2_TOKEN_TYPE_RETRY ? &verdict->original_id : NULL,
        .token_type = verdict->type};
    if (enter_censuses(endpoint, &info) != RPCNET_OK) {
        refuse(endpoint, datagram, header);
        return;
    }
    if (victim != NULL) {
        evict(endpoint, victim);
    }
    if (rn_conn_accept(&conn, endpoint, &info) != RPCNET_OK) {
        leave_censuses(endpoint, &info);
        refuse(endpoint, datagram, header);
        return;
    }
    endpoint->stats.connections_accepted++;
    if (endpoint->config.accepted != NULL) {
        endpoint->config.accepted(endpoint, conn, endpoint->config.user);
    }
    rn_conn_receive(conn, datagram);
    if (conn->retry_due) {
        rn_conn_del(conn);
        rn_answer_retry(endpoint, datagram, header);
    }
}

static bool half_used(const rn_census *census, const rn_address *address) {
    return census != NULL && rn_census_count(census, address) >= rn_census_each(census) / 2;
}

/* Has the sender's address so much that it has to be proven? */
static bool is_crowded(const rn_endpoint *endpoint, const rn_datagram *datagram) {
    return half_used(endpoint->census, &datagram->remote) ||
           half_used(endpoint->handshake_census, &datagram->remote);
}

static void receive_initial(rn_endpoint *endpoint, const rn_datagram *datagram) {
    ngtcp2_pkt_hd header;
    rn_conn *victim = NULL;
    /* The library lets a client with a token choose a shorter id, even an empty one. */
    if (datagram->len < INITIAL_DATAGRAM_MIN ||
        ngtcp2_accept(&header, datagram->data, datagram->len) != 0 ||
        header.dcid.datalen < NGTCP2_MIN_INITIAL_DCIDLEN) {
        endpoint->stats.datagrams_dropped++;
        return;
    }
    token_verdict verdict = judge_token(endpoint, datagram, &header);
    if (verdict.invalid) {
        rn_answer_close(endpoint, datagram, &header, NGTCP2_INVALID_TOKEN);
        return;
    }
    if (handshakes_full(endpoint) || connections_full(endpoint)) {
        victim = find_victim(endpoint);
        if (victim == NULL) {
            refuse(endpoint, datagram, &header);
            return;
        }
    }
    /* Nobody loses a place to a forged address. */
    if (verdict.type == NGTCP2_TOKEN_TYPE_UNKNOWN &&
        (victim != NULL || endpoint->stats.handshakes >= endpoint->config.limits.retry_above ||
         is_crowded(endpoint, datagram))) {
        rn_answer_retry(endpoint, datagram, &header);
        return;
    }
    accept_connection(endpoint, datagram, &header, &verdict, victim);
}

void rn_endpoint_receive_unknown(rn_endpoint *endpoint, const rn_datagram *datagram,
                                 const ngtcp2_version_cid *ids) {
    bool short_header = (datagram->data[0] & 0x80) == 0;
    if (short_header) {
        rn_answer_reset(endpoint, datagram, ids);
    } else if (!endpoint->accepting || ids->version == 0) {
        /* 0: Version Negotiation, which must not be answered with its like (section 6.1). */
        endpoint->stats.datagrams_dropped++;
    } else if (ids->version != NGTCP2_PROTO_VER_V1) {
        rn_answer_version(endpoint, datagram, ids);
    } else {
        receive_initial(endpoint, datagram);
    }
}
