/* conn: one QUIC connection and its streams, for the layer above.
 *
 * Connections belong to their endpoint (quic/endpoint.h). All callbacks run inside
 * rn_endpoint_receive, rn_endpoint_tick or rn_endpoint_transmit; every function here may be called
 * from every callback. Nothing here sends at once: bytes go into rings, and the endpoint is told
 * that there is something to pull. */
#ifndef RN_QUIC_CONN_H
#define RN_QUIC_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/budget.h"
#include "base/bytes.h"

typedef struct rn_conn rn_conn;
typedef struct rn_stream rn_stream;

enum { RN_CLOSE_TEXT_MAX = 160 };

enum rn_close_cause {
    RN_CLOSE_LOCAL,             /* rn_conn_close was called */
    RN_CLOSE_PEER,              /* the peer sent CONNECTION_CLOSE */
    RN_CLOSE_IDLE,              /* idle timeout (RFC 9000, section 10.1) */
    RN_CLOSE_HANDSHAKE_TIMEOUT, /* the handshake did not finish in time */
    RN_CLOSE_HANDSHAKE_FAILED,  /* TLS alert, certificate refused, no common version */
    RN_CLOSE_RESET,             /* stateless reset (RFC 9000, section 10.3) */
    RN_CLOSE_PROTOCOL,          /* the peer broke the protocol; we closed */
    RN_CLOSE_INTERNAL           /* out of memory, or a library's error */
};

typedef struct rn_close {
    enum rn_close_cause cause;
    bool application;             /* `code` is of the application (HTTP/3), not of the transport */
    uint64_t code;                /* wire code of the CONNECTION_CLOSE that was sent or received */
    char text[RN_CLOSE_TEXT_MAX]; /* for people; may hold bytes of the peer */
} rn_close;

/* Callbacks of a connection. Each may be NULL. From rn_conn_close on only `closed` comes: a stream
 * may be gone without a stream_closed, so whoever has closed uses no stream any more. */
typedef struct rn_conn_handler {
    /* The handshake is complete and the peer is who it has to be. Once. */
    void (*established)(rn_conn *conn, void *user);
    /* In-order bytes of a stream; `fin`: the stream's end follows them. `data` is borrowed. The
     * window they took is given back by rn_stream_consume. */
    void (*stream_data)(rn_conn *conn, rn_stream *stream, const uint8_t *data, size_t len, bool fin,
                        void *user);
    /* The peer reset its sending side (RESET_STREAM): no more data. */
    void (*stream_reset)(rn_conn *conn, rn_stream *stream, uint64_t code, void *user);
    /* The peer wants no more bytes (STOP_SENDING); our sending side has been reset. Noticed when
     * there are bytes to send; `code` is 0, the peer's is not known. */
    void (*stream_stop_sending)(rn_conn *conn, rn_stream *stream, uint64_t code, void *user);
    /* The ring had refused bytes, or was full, and has room again. */
    void (*stream_room)(rn_conn *conn, rn_stream *stream, void *user);
    /* Both directions are over. Last callback of the stream; it is freed on return. */
    void (*stream_closed)(rn_conn *conn, rn_stream *stream, void *user);
    /* The peer allows more bidirectional streams than before. */
    void (*streams_available)(rn_conn *conn, void *user);
    /* An address token for a later connection to this server (RFC 9000, section 8.1.3). */
    void (*address_token)(rn_conn *conn, const uint8_t *token, size_t len, void *user);
    /* The kernel says that nobody listens at the peer's port. Nothing is done about it here. */
    void (*unreachable)(rn_conn *conn, void *user);
    /* Once, at the end; streams get no stream_closed after it. The connection is gone on return. */
    void (*closed)(rn_conn *conn, const rn_close *close, void *user);
} rn_conn_handler;

/* Sets who is told; before the first callback (inside accept, or after connect). */
void rn_conn_set_handler(rn_conn *conn, const rn_conn_handler *handler, void *user);

bool rn_conn_is_server(const rn_conn *conn);
const rn_address *rn_conn_remote(const rn_conn *conn); /* the peer's current address */
/* Role URI of the peer's certificate; "" for none. Valid once established. */
const char *rn_conn_peer_identity(const rn_conn *conn);
uint64_t rn_conn_now(const rn_conn *conn); /* the endpoint's present time, nanoseconds */
/* Smoothed round-trip time in nanoseconds; 0 before the first sample. */
uint64_t rn_conn_rtt(const rn_conn *conn);
/* Where the memory of this connection's streams is counted; NULL: nowhere. */
rn_budget *rn_conn_budget(const rn_conn *conn);
/* Bytes of memory that hold what came out of order; 0 once it closes. Counted with a budget alone.
 */
size_t rn_conn_memory(const rn_conn *conn);
/* Bytes of memory in the rings of streams whose sending has ended with a reset at `before_ns` or
 * earlier, and which the peer still keeps open; 0 once it closes. */
size_t rn_conn_overdue_memory(const rn_conn *conn, uint64_t before_ns);
/* How many more bidirectional streams we may open now. */
uint64_t rn_conn_streams_left(const rn_conn *conn);

/* Closes with an application error code (RFC 9000, section 10.2). `closed` is called before the
 * endpoint returns to its caller, or at its next transmit, not inside this function, and nothing
 * else before it. `text` is cut to RN_CLOSE_TEXT_MAX. */
void rn_conn_close(rn_conn *conn, uint64_t code, const char *text);

/* Starts a key update (RFC 9001, section 6). RPCNET_ERR_STATE: not possible yet. */
int rn_conn_update_key(rn_conn *conn);

/* ---- streams ---- */

/* RPCNET_ERR_LIMIT: the peer allows no more now (see streams_available). RPCNET_ERR_STATE before
 * the handshake, RPCNET_ERR_CLOSED, RPCNET_ERR_MEMORY. */
int rn_conn_open_bidi(rn_conn *conn, rn_stream **out);
int rn_conn_open_uni(rn_conn *conn, rn_stream **out);

int64_t rn_stream_id(const rn_stream *stream);
void rn_stream_set_user(rn_stream *stream, void *user);
void *rn_stream_user(const rn_stream *stream); /* NULL until set */

/* 0 (first) to 7 (last), as RFC 9218's urgency; 3 at first. Streams of one urgency take turns. */
void rn_stream_set_urgency(rn_stream *stream, unsigned urgency);

/* Bytes of memory that its ring holds; 0 once our direction was reset, though the peer may have
 * still to say that it knows. */
size_t rn_stream_memory(const rn_stream *stream);
/* How many bytes rn_stream_write takes now, and when nothing waits. */
size_t rn_stream_room(const rn_stream *stream);
size_t rn_stream_room_max(const rn_stream *stream);
/* Takes the memory for `len` more bytes now, so that writing them does not fail for lack of it.
 * RPCNET_ERR_AGAIN (more than there is room for; see stream_room), RPCNET_ERR_MEMORY,
 * RPCNET_ERR_CLOSED (reset, or finished already). */
int rn_stream_reserve(rn_stream *stream, size_t len);
/* Copies all the bytes into the stream's ring, where they stay until the peer has acknowledged
 * them, or none: RPCNET_ERR_AGAIN (see stream_room), RPCNET_ERR_MEMORY, RPCNET_ERR_CLOSED (reset,
 * or finished already). `fin` ends our direction behind them. */
int rn_stream_write(rn_stream *stream, const rn_bytes *pieces, size_t count, bool fin);

/* Gives the peer back `len` bytes of window, on the stream and on the connection. */
void rn_stream_consume(rn_stream *stream, size_t len);
/* Resets our direction and asks the peer to stop its own, both with `code`. Harmless when a
 * direction is over. */
void rn_stream_reset(rn_stream *stream, uint64_t code);
/* Only asks the peer to stop sending (STOP_SENDING). */
void rn_stream_stop_sending(rn_stream *stream, uint64_t code);

#endif
