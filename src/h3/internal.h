/* internal: what the files of this layer share. A session is cut by subject: session.c (life of
 * the session, the connection's callbacks), stream.c (life of a stream), stream_rx.c (the HTTP/3
 * library's callbacks), stream_tx.c (what is sent). */
#ifndef RN_H3_INTERNAL_H
#define RN_H3_INTERNAL_H

#include <nghttp3/nghttp3.h>

#include "base/list.h"
#include "h3/session.h"

/* The body that the HTTP/3 library may read at this moment; see rn_h3_tx_read_data. */
typedef struct rn_h3_offer {
    rn_h3_stream *stream; /* NULL: nothing is offered */
    const rn_bytes *pieces;
    size_t count;
    bool end;      /* the message ends behind it */
    bool trailers; /* ... but trailers follow */
} rn_h3_offer;

struct rn_h3_session {
    rn_conn *conn;
    nghttp3_conn *http;
    const rn_h3_handler *handler;
    void *user;
    rn_list streams;       /* all rn_h3_stream: requests, and the peer's unidirectional ones */
    size_t requests;       /* of them */
    rn_h3_stream *reading; /* whose bytes the HTTP/3 library is reading now */
    rn_h3_offer offer;
    rn_stream *control;
    rn_stream *qpack_encoder;
    rn_stream *qpack_decoder;
    size_t field_section_max;
    uint64_t peer_field_section_max;
    uint64_t streams_max;
    uint64_t requests_closed;
    bool server;
    bool established;
    bool broken;        /* the HTTP/3 library must not be called any more */
    bool closing;       /* nothing is delivered or sent any more */
    bool closed;        /* inside the connection's last callback */
    bool peer_at_fault; /* we closed it because the peer broke HTTP/3 or a limit */
    bool goaway_received;
    bool goaway_noticed;
    bool goaway_final;
};

struct rn_h3_stream {
    rn_list link;
    rn_h3_session *session;
    rn_stream *stream; /* not to be touched once the session is closing */
    int64_t id;
    const rn_h3_stream_handler *handler; /* NULL: nobody listens */
    void *user;
    rn_h3_book book;
    uint8_t held_byte; /* the HTTP/3 library has not read it yet, though the book has */
    bool byte_held;
    /* Fields as [name length][value length][name][value]: on a server the request's at the front
     * for good, behind them the section that is being decoded. */
    rn_buffer fields;
    size_t request_bytes;
    size_t request_count;
    size_t section_count;
    size_t section_size;   /* as RFC 9114, section 4.2.2 counts */
    bool request;          /* a request stream; otherwise the peer's unidirectional one */
    bool headers_received; /* the request's, or the final response's */
    bool informational;    /* the section being decoded is a 1xx response's */
    bool headers_sent;
    bool sent;     /* our message is finished, or our direction was reset */
    bool received; /* the peer's message is over, cleanly or not */
    bool dropped;  /* what still comes is thrown away */
    bool want_room;
};

/* session.c */
/* The HTTP/3 library, or our own rules, ended the connection. The first call counts. */
void rn_h3_session_fail(rn_h3_session *session, int library_error);
void rn_h3_session_abort(rn_h3_session *session, uint64_t code, const char *text);

/* stream.c */
rn_h3_stream *rn_h3_stream_new(rn_h3_session *session, rn_stream *stream, bool request);
void rn_h3_stream_del(rn_h3_stream *stream); /* takes it out of its session */
/* Gives up a stream because of the peer: resets it and tells the user (`told`), once. */
void rn_h3_stream_abort(rn_h3_stream *stream, uint64_t code, uint64_t told);
bool rn_h3_stream_is_request_id(int64_t id); /* client-initiated and bidirectional */

/* stream_rx.c */
void rn_h3_rx_callbacks(nghttp3_callbacks *out);
void rn_h3_rx_data(rn_h3_session *session, rn_h3_stream *stream, const uint8_t *data, size_t len,
                   bool fin);

/* stream_tx.c */
/* Moves all that the HTTP/3 library has to send into the rings. RPCNET_ERR_CLOSED, _MEMORY. */
int rn_h3_tx_flush(rn_h3_session *session);

#endif
