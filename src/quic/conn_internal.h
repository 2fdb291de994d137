/* conn_internal: the connection as the files of src/quic see it. */
#ifndef RN_QUIC_CONN_INTERNAL_H
#define RN_QUIC_CONN_INTERNAL_H

#include <ngtcp2/ngtcp2.h>

#include "base/census.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "quic/blocks.h"
#include "quic/books.h"
#include "quic/conn.h"
#include "quic/endpoint.h"
#include "quic/protection.h"
#include "quic/secrets.h"
#include "quic/send_ring.h"

enum {
    /* What fits Ethernet with IPv6 and UDP headers; path MTU discovery goes up to it. */
    RN_DATAGRAM_MAX = 1452,
    RN_FLIGHT_BYTES_MAX = 65000, /* of one transmit */
    RN_FLIGHT_SEGMENTS_MAX = 64, /* the kernel's limit for UDP_SEGMENT */
    RN_URGENCY_LEVELS = 8,       /* RFC 9218 */
    RN_URGENCY_DEFAULT = 3,
    RN_OWN_IDS_MAX = 64, /* connection ids of ours that a connection keeps, retired ones included */
    RN_ACTIVE_IDS = 8,   /* of each side at once */
    RN_CHALLENGES_MAX =
        1024 /* of a connection's life that get more than a response, see conn_rx.c */
};

enum rn_conn_state {
    RN_CONN_HANDSHAKE,
    RN_CONN_ESTABLISHED,
    RN_CONN_CLOSING,  /* we have sent CONNECTION_CLOSE */
    RN_CONN_DRAINING, /* the peer has; or there is nobody to tell */
};

struct rn_stream {
    rn_conn *conn;
    rn_list link;  /* rn_conn.streams */
    rn_list ready; /* rn_conn.ready[urgency]: bytes or FIN to send, and window to send them */
    int64_t id;
    void *user;
    rn_send_ring ring;
    uint64_t received; /* offset of the next byte to be delivered */
    uint64_t consumed; /* of them, given back as window */
    unsigned urgency;
    bool finish; /* FIN follows the last byte of the ring */
    bool finish_sent;
    bool write_closed;  /* reset, or the peer wants no more */
    bool window_closed; /* stream flow control holds bytes back */
    bool wants_room;
    bool reset_due; /* while rn_conn.resets_wait, with reset_code */
    bool stop_due;
    bool stop_waits; /* for the bytes before what came out of order, with reset_code */
    bool stopped;    /* STOP_SENDING was given to ngtcp2, which tells of no more bytes */
    uint64_t seen;   /* `received` as it would be behind a packet, see rn_conn_puts_off */
    uint64_t reset_code;
    uint64_t abandoned_ns; /* when its ring was (ring.leaving) */
};

/* A peer's new address, until it is validated. */
typedef struct rn_trial {
    rn_address remote; /* len 0: none */
    uint64_t received; /* bytes of datagrams */
    uint64_t sent;
    uint64_t sent_ns; /* when the last packet was, or when it began */
} rn_trial;

/* A connection id of ours. Retired ones are kept, the last of them at least. */
typedef struct rn_own_id {
    uint64_t sequence;
    ngtcp2_cid id;
    bool retired;
} rn_own_id;

struct rn_conn {
    rn_endpoint *endpoint;
    rn_list link;       /* rn_endpoint.conns */
    rn_list ready_link; /* rn_endpoint.ready */
    rn_heap_node timer; /* rn_endpoint.timers */
    enum rn_conn_state state;
    bool server;
    bool heard;             /* a datagram has come */
    bool handshake_counted; /* in rn_endpoint.stats.handshakes */
    uint64_t begun_ns;
    rn_list age_link;    /* of an accepted one: rn_endpoint.unfinished, later .ended, or in none */
    ngtcp2_conn *quic;   /* NULL once closing or draining */
    rn_blocks blocks;    /* its memory */
    rn_tls_session *tls; /* likewise; a server's ends with the handshake */
    rn_conn_handler handler;
    void *user;
    char peer_identity[RN_TLS_IDENTITY_MAX];
    rn_address remote; /* validated */
    rn_trial trial;
    void *qlog;             /* its record (rn_qlog_sink); NULL: none */
    rn_census_place *place; /* where an accepted one is counted; NULL: nowhere, or no more */
    rn_census_place *handshake_place; /* likewise, until its handshake is over */

    rn_protection protection;
    rn_books books;
    ngtcp2_cid original_id; /* what the client chose for its first packets; server only */
    rn_own_id *own_ids;     /* in the order of their sequence numbers */
    size_t own_ids_count;
    size_t own_ids_capacity; /* from RN_ACTIVE_IDS, doubled up to RN_OWN_IDS_MAX */

    rn_map *streams_by_id;
    rn_list streams;
    size_t streams_waiting; /* bidirectional ones that we opened */
    size_t streams_stopped;
    rn_list ready[RN_URGENCY_LEVELS];

    unsigned challenges_accompanied; /* up to RN_CHALLENGES_MAX */
    bool close_asked;
    bool retry_due; /* over, because the client's address has to be proven before it may begin */
    bool reset_received;
    bool reset_lost;  /* there was no memory to reset a stream */
    bool resets_wait; /* a client's streams are reset after its first flight of 1-RTT packets */
    rn_close close;
    /* While closing: what to answer with, and how often it was (RFC 9000, section 10.2.1). */
    uint8_t *close_packet;
    size_t close_packet_len;
    rn_transmit close_transmit;
    bool close_due;
    uint64_t datagrams_while_closing;
};

/* ---- conn.c ---- */

typedef struct rn_accept_info {
    const ngtcp2_pkt_hd *header; /* of the client's first Initial packet */
    rn_address local;
    rn_address remote;
    const ngtcp2_cid *original_id; /* set after a Retry: the id before it */
    ngtcp2_token_type token_type;
    rn_census_place *place; /* these become the connection's when it is accepted */
    rn_census_place *handshake_place;
} rn_accept_info;

int rn_conn_accept(rn_conn **out, rn_endpoint *endpoint, const rn_accept_info *info);
int rn_conn_connect(rn_conn **out, rn_endpoint *endpoint, const rn_connect_options *options);
/* Frees it; the handler is not told. */
void rn_conn_del(rn_conn *conn);
/* Its handshake is over, in whatever way. Harmless when it was before. */
void rn_conn_leave_handshake(rn_conn *conn);
/* There is something to transmit. */
void rn_conn_wake(rn_conn *conn);
/* Sets the timer from what ngtcp2 wants. */
void rn_conn_schedule(rn_conn *conn);
void rn_conn_reference_path(const rn_address *local, const rn_address *remote, ngtcp2_path *out);
bool rn_conn_delivered(void *conn, int64_t stream_id, uint64_t *offset);

/* ---- conn_qlog.c ---- */
/* Has ngtcp2 write qlog if somebody records this connection; for ngtcp2_conn_*_new. */
void rn_conn_qlog_begin(rn_conn *conn, ngtcp2_settings *settings, const ngtcp2_cid *original_id);
void rn_conn_qlog_end(rn_conn *conn); /* after ngtcp2_conn_del; harmless without a record */

/* ---- conn_callbacks.c ---- */
void rn_conn_callbacks(ngtcp2_callbacks *callbacks);

/* ---- conn_rx.c ---- */
void rn_conn_receive(rn_conn *conn, const rn_datagram *datagram);

/* ---- conn_tx.c ---- */
/* Builds the next flight into `buffer` (RN_FLIGHT_BYTES_MAX + RN_DATAGRAM_MAX bytes). `carry` takes
 * a last packet that cannot travel in the same transmit (len 0: none). False: nothing now. */
bool rn_conn_flight(rn_conn *conn, uint8_t *buffer, rn_transmit *out, rn_transmit *carry);

/* ---- conn_stream.c ---- */
int rn_stream_new(rn_stream **out, rn_conn *conn, int64_t id);
void rn_stream_del(rn_stream *stream);
void rn_stream_update_ready(rn_stream *stream);
void rn_stream_close_write(rn_stream *stream); /* nothing more is sent, and nothing again */
/* The keep-alive's time follows from whether streams of ours wait for the peer. */
void rn_conn_update_keep_alive(rn_conn *conn);

/* ---- conn_stop.c ---- */
/* The result of ngtcp2_conn_shutdown_stream*. ngtcp2 does not try again what it had no memory for,
 * and the peer would wait for ever: then the connection has to end. */
void rn_conn_note_shutdown(rn_conn *conn, int result);
/* The peer wants no more of the stream; and: the datagram that was read said so of some. */
void rn_stream_note_stop(rn_stream *stream);
void rn_conn_note_stops(rn_conn *conn);
/* Bytes have been delivered: may a stop that waits be carried out? */
void rn_stream_stop_in_turn(rn_stream *stream);
/* Is the packet better received later, as if it had been lost? See conn_stop.c. */
bool rn_conn_puts_off(void *conn, const uint8_t *payload, size_t len);
/* The first flight is out: carries out the resets that had to wait for it. */
void rn_conn_release_resets(rn_conn *conn);

/* ---- conn_path.c ---- */
/* A datagram was read; a packet was built. */
void rn_conn_path_received(rn_conn *conn, const rn_datagram *datagram);
void rn_conn_path_sent(rn_conn *conn, const rn_transmit *packet);
/* Nothing may be sent until more has come from there, or rn_conn_path_deadline (RN_NEVER: none). */
bool rn_conn_path_exhausted(const rn_conn *conn);
uint64_t rn_conn_path_deadline(const rn_conn *conn);

/* ---- conn_timer.c ---- */
/* The timer has fired. The connection may be gone afterwards. */
void rn_conn_expire(rn_conn *conn);

/* ---- conn_close.c ---- */
/* Ends the connection because of an error of ngtcp2_conn_read_pkt, _writev_stream or
 * _handle_expiry. */
void rn_conn_fail(rn_conn *conn, int error);
/* Carries out rn_conn_close. */
void rn_conn_close_now(rn_conn *conn);
/* Ends it without a word to the peer. */
void rn_conn_abandon(rn_conn *conn, enum rn_close_cause cause, const char *text);
/* A datagram came while closing: is it time to answer with CONNECTION_CLOSE again? */
void rn_conn_answer_closing(rn_conn *conn);

/* ---- endpoint.c ---- */
struct rn_endpoint {
    rn_endpoint_config config;
    rn_secrets secrets;
    rn_secrets previous;         /* if config.has_previous_secret */
    rn_census *census;           /* of accepted connections; NULL: without limit */
    rn_census *handshake_census; /* of those that are unfinished; NULL likewise */
    rn_map *conns_by_id;
    rn_list conns;
    rn_list unfinished; /* accepted ones, the oldest handshake first */
    rn_list ended;      /* accepted ones, for late packets alone, the first to end first */
    rn_list ready;
    rn_heap timers;
    rn_endpoint_stats stats;
    bool inside; /* in receive, tick or transmit: no need to call `ready` */
    bool accepting;
    uint8_t *flight; /* RN_FLIGHT_BYTES_MAX + RN_DATAGRAM_MAX */
    rn_transmit carry;
    struct rn_answers *answers; /* stateless answers, see endpoint_answer.c */
};

int rn_endpoint_add_id(rn_endpoint *endpoint, const ngtcp2_cid *id, rn_conn *conn);
void rn_endpoint_remove_id(rn_endpoint *endpoint, const ngtcp2_cid *id);
static inline uint64_t rn_endpoint_now(const rn_endpoint *endpoint) {
    return rn_env_now(endpoint->config.env);
}

/* ---- endpoint_accept.c ---- */
/* A datagram that belongs to no connection. */
void rn_endpoint_receive_unknown(rn_endpoint *endpoint, const rn_datagram *datagram,
                                 const ngtcp2_version_cid *ids);

/* ---- endpoint_answer.c ---- */
int rn_answers_new(struct rn_answers **out);
void rn_answers_del(struct rn_answers *answers);
bool rn_answers_take(struct rn_answers *answers, rn_transmit *out);
void rn_answer_version(rn_endpoint *endpoint, const rn_datagram *datagram,
                       const ngtcp2_version_cid *ids);
void rn_answer_retry(rn_endpoint *endpoint, const rn_datagram *datagram,
                     const ngtcp2_pkt_hd *header);
void rn_answer_close(rn_endpoint *endpoint, const rn_datagram *datagram,
                     const ngtcp2_pkt_hd *header, uint64_t code);
void rn_answer_reset(rn_endpoint *endpoint, const rn_datagram *datagram,
                     const ngtcp2_version_cid *ids);

#endif
