/* endpoint: the connections of one UDP socket, without the socket.
 *
 * Datagrams and the time go in (receive, tick); datagrams and the next deadline come out by pull
 * (transmit, deadline). It finds a datagram's connection by its connection id, accepts new ones,
 * answers with Version Negotiation (RFC 8999, section 6), Retry (RFC 9000, section 8.1.2) and
 * stateless resets (section 10.3).
 *
 * QUIC version 1 only; 0-RTT off; TLS 1.3 with AES-128-GCM preferred. */
#ifndef RN_QUIC_ENDPOINT_H
#define RN_QUIC_ENDPOINT_H

#include "base/env.h"
#include "quic/conn.h"
#include "quic/tls.h"

typedef struct rn_endpoint rn_endpoint;

enum { RN_CLUSTER_SECRET_LEN = 32 };

/* Limits and timers of connections, with RN_QUIC_LIMITS_DEFAULT. Bytes and nanoseconds. */
typedef struct rn_quic_limits {
    uint64_t idle_timeout_ns;
    uint64_t keep_alive_ns; /* 0: no keep-alive */
    /* Likewise while a bidirectional stream that we opened is open and waits for the peer; 0: no
     * sooner than keep_alive_ns. A NAT may have forgotten us, and the peer cannot find us then. */
    uint64_t keep_alive_waiting_ns;
    uint64_t handshake_timeout_ns;
    size_t send_ring_bytes;       /* of each stream */
    uint64_t stream_window_bytes; /* what the peer may send on a stream before we consume */
    uint64_t connection_window_bytes;
    uint64_t streams_bidi_max; /* open at once by the peer */
    uint64_t streams_uni_max;
    size_t connections_max; /* of the endpoint */
    /* Accepted from one address (see base/census.h) at once; from half of it on its newcomers are
     * asked for Retry, so that forged ones cannot take all places. 0: no limit of its own. */
    size_t connections_per_address;
    /* Unfinished ones that we accept. Over it, as over connections_max, a newcomer whose address is
     * proven takes the place of the oldest unfinished handshake, if that is
     * RN_HANDSHAKE_PATIENCE_NS old: an honest peer needs less, a silent one would keep it until
     * handshake_timeout_ns. Else the newcomer is refused. */
    size_t handshakes_max;
    /* Of handshakes_max, those of one address; likewise Retry from half of it on. 0: no limit. */
    size_t handshakes_per_address;
    size_t retry_above; /* unfinished handshakes from which on Retry is asked */
    /* Where the memory of bidirectional streams is counted, here and above; NULL: nowhere. It
     * outlives the endpoint. */
    rn_budget *budget;
    uint64_t exhausted_code; /* application error of a connection that is closed because of that */
} rn_quic_limits;

/* The age from which on an unfinished handshake may lose its place. Nanoseconds. */
#define RN_HANDSHAKE_PATIENCE_NS RN_SECOND

#define RN_QUIC_LIMITS_DEFAULT                                                                     \
    {                                                                                              \
        .idle_timeout_ns = 30 * RN_SECOND, .keep_alive_ns = 10 * RN_SECOND,                        \
        .keep_alive_waiting_ns = 2 * RN_SECOND, .handshake_timeout_ns = 10 * RN_SECOND,            \
        .send_ring_bytes = UINT64_C(256) * 1024, .stream_window_bytes = UINT64_C(256) * 1024,      \
        .connection_window_bytes = UINT64_C(16) * 1024 * 1024, .streams_bidi_max = 128,            \
        .streams_uni_max = 8, .connections_max = 20000, .handshakes_max = 1000, .retry_above = 100 \
    }

/* Stateless resets that an endpoint sends at most in a second of its clock: whoever makes up
 * datagrams by the thousand is not answered by the thousand (RFC 9000, section 10.3.3). */
enum { RN_RESETS_PER_SECOND_MAX = 1000 };

/* Counters of an endpoint; they only grow, but for the last two. */
typedef struct rn_endpoint_stats {
    uint64_t datagrams_received;
    uint64_t datagrams_sent;
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t datagrams_dropped; /* belonged to nobody, or were malformed */
    uint64_t connections_accepted;
    uint64_t connections_opened;
    uint64_t handshakes_completed;
    uint64_t handshakes_failed;
    uint64_t handshakes_evicted;             /* of them, those that lost their place */
    uint64_t connections_refused;            /* over a limit, */
    uint64_t connections_refused_of_address; /* of them, over one of an address */
    uint64_t retries_sent;
    uint64_t version_negotiations_sent;
    uint64_t stateless_resets_sent;
    uint64_t stateless_resets_withheld; /* over RN_RESETS_PER_SECOND_MAX */
    uint64_t path_changes;              /* a peer moved to another address */
    uint64_t key_updates;
    size_t connections;
    size_t handshakes;
} rn_endpoint_stats;

typedef struct rn_endpoint_config {
    rn_env *env;
    rn_tls_context *tls; /* the endpoint keeps its own count */
    const char *alpn;    /* static text */
    bool accept;         /* accept connections */
    rn_quic_limits limits;
    /* Connection ids, stateless-reset tokens and address tokens derive from this secret, so that
     * every process that has it recognises them. It is copied, and wiped at the end. */
    uint8_t secret[RN_CLUSTER_SECRET_LEN];
    /* The secret before it: what was made under that is still recognised, and nothing made. */
    bool has_previous_secret;
    uint8_t previous_secret[RN_CLUSTER_SECRET_LEN];
    uint8_t process; /* first byte of our connection ids: which process they lead to */

    /* A connection has been accepted (its handshake is not over): set its handler. */
    void (*accepted)(rn_endpoint *endpoint, rn_conn *conn, void *user);
    /* There is something to transmit, or the deadline moved, by a call from outside
     * rn_endpoint_receive/_tick/_transmit. Several calls may come before the next transmit. */
    void (*ready)(rn_endpoint *endpoint, void *ready_user);
    void *ready_user;
    void *user; /* of `accepted` */
} rn_endpoint_config;

int rn_endpoint_new(rn_endpoint **out, const rn_endpoint_config *config);
/* Drops all connections without a word to their peers (handlers get `closed` with RN_CLOSE_LOCAL).
 */
void rn_endpoint_del(rn_endpoint *endpoint);

typedef struct rn_connect_options {
    rn_address local; /* the socket's address */
    rn_address remote;
    rn_tls_expect expect;
    const uint8_t *token; /* address token of an earlier connection, or NULL */
    size_t token_len;
} rn_connect_options;

/* Starts a connection. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY, RPCNET_ERR_TLS. */
int rn_endpoint_connect(rn_endpoint *endpoint, const rn_connect_options *options, rn_conn **out);

/* The datagram's bytes may be overwritten. */
void rn_endpoint_receive(rn_endpoint *endpoint, const rn_datagram *datagram);
/* The kernel reports an unreachable port for this socket's one peer. */
void rn_endpoint_unreachable(rn_endpoint *endpoint);
/* When rn_endpoint_tick has to be called; RN_NEVER: not by time. */
uint64_t rn_endpoint_deadline(const rn_endpoint *endpoint);
void rn_endpoint_tick(rn_endpoint *endpoint);
/* The next flight to send; false: nothing now. `out` borrows memory of the endpoint until the next
 * call. commit (rn_env) has been called for what the flight reveals. */
bool rn_endpoint_transmit(rn_endpoint *endpoint, rn_transmit *out);

/* From now on new connections are ignored. */
void rn_endpoint_stop_accepting(rn_endpoint *endpoint);
/* New connections use this context (certificates were renewed). */
void rn_endpoint_set_tls(rn_endpoint *endpoint, rn_tls_context *tls);
const rn_endpoint_stats *rn_endpoint_get_stats(const rn_endpoint *endpoint);

#endif
