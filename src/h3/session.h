/* session: HTTP/3 (RFC 9114) over one QUIC connection, server or client, and its request streams.
 *
 * A session makes itself the handler of its rn_conn. It and its streams live until the connection
 * is closed; whoever loses interest in a stream earlier calls rn_h3_forget and hears nothing more.
 * All callbacks run inside the endpoint's functions. Every function here may be called from every
 * callback, for any session and any stream.
 *
 * Bytes handed to a function are copied into the stream's ring before it returns; nothing is
 * borrowed. The QPACK tables are of size zero in both directions (RFC 9204). */
#ifndef RN_H3_SESSION_H
#define RN_H3_SESSION_H

#include "h3/books.h"
#include "quic/conn.h"

typedef struct rn_h3_session rn_h3_session;
typedef struct rn_h3_stream rn_h3_stream;

enum {
    RN_H3_FIELDS_MAX = 128,              /* fields of one section, both ways */
    RN_H3_FIELD_SECTION_DEFAULT = 16384, /* bytes of one section as RFC 9114, 4.2.2 counts them */
    RN_H3_PIECES_MAX = 8,                /* pieces of one rn_h3_send */
    RN_H3_SEND_PART_MIN = 512            /* a send takes less than this only if it is all */
};

/* HTTP/3 error codes (RFC 9114, section 8.1). */
#define RN_H3_NO_ERROR UINT64_C(0x100)
#define RN_H3_GENERAL_PROTOCOL_ERROR UINT64_C(0x101)
#define RN_H3_INTERNAL_ERROR UINT64_C(0x102)
#define RN_H3_STREAM_CREATION_ERROR UINT64_C(0x103)
#define RN_H3_FRAME_ERROR UINT64_C(0x106)
#define RN_H3_EXCESSIVE_LOAD UINT64_C(0x107)
#define RN_H3_REQUEST_REJECTED UINT64_C(0x10b)
#define RN_H3_REQUEST_CANCELLED UINT64_C(0x10c)
#define RN_H3_REQUEST_INCOMPLETE UINT64_C(0x10d)
#define RN_H3_MESSAGE_ERROR UINT64_C(0x10e)

/* A field line. Names are lower case. Borrowed wherever it is handed over. */
typedef struct rn_h3_field {
    rn_bytes name;
    rn_bytes value;
} rn_h3_field;

/* Callbacks of a session. Each may be NULL. */
typedef struct rn_h3_handler {
    /* The connection is established and requests may be opened. Once. */
    void (*established)(rn_h3_session *session, void *user);
    /* Server: the header section of a new request, valid HTTP/3 and within the limits (`fields` is
     * borrowed). Set the stream's handler here; without one its bytes are dropped. */
    void (*request)(rn_h3_session *session, rn_h3_stream *stream, const rn_h3_field *fields,
                    size_t count, void *user);
    /* A header section over the limit came; its stream is being reset. */
    void (*excessive)(rn_h3_session *session, void *user);
    /* Client: the peer allows more requests than before. */
    void (*streams_available)(rn_h3_session *session, void *user);
    /* The peer sent its first GOAWAY (RFC 9114, section 5.2): no new request. Requests that it will
     * not process are ended one by one by `reset` with RN_H3_REQUEST_REJECTED, and may be sent
     * again elsewhere. */
    void (*goaway)(rn_h3_session *session, void *user);
    void (*address_token)(rn_h3_session *session, const uint8_t *token, size_t len, void *user);
    void (*unreachable)(rn_h3_session *session, void *user);
    /* Last callback, after `closed` of all its streams; the session is freed on return. The cause
     * is RN_CLOSE_PROTOCOL, too, when the peer broke HTTP/3. */
    void (*closed)(rn_h3_session *session, const rn_close *close, void *user);
} rn_h3_handler;

/* Callbacks of a request stream. Each may be NULL. */
typedef struct rn_h3_stream_handler {
    /* Client: the final response's header section; informational ones (1xx) are skipped. */
    void (*headers)(rn_h3_stream *stream, const rn_h3_field *fields, size_t count, void *user);
    /* Body bytes, borrowed. They hold the peer's window until rn_h3_consume. */
    void (*data)(rn_h3_stream *stream, const uint8_t *data, size_t len, void *user);
    void (*trailers)(rn_h3_stream *stream, const rn_h3_field *fields, size_t count, void *user);
    /* The peer finished its message cleanly. */
    void (*end)(rn_h3_stream *stream, void *user);
    /* The peer's message ends here without being finished: it reset the stream, broke a limit or
     * the rules of HTTP, or refused the request by GOAWAY. At most once, never after `end`. */
    void (*reset)(rn_h3_stream *stream, uint64_t code, void *user);
    /* The peer wants no more bytes of us (STOP_SENDING). What it sends is not affected. */
    void (*stopped)(rn_h3_stream *stream, uint64_t code, void *user);
    /* A send had taken only a part or nothing, and there is room again. */
    void (*room)(rn_h3_stream *stream, void *user);
    /* Last callback; the stream is freed on return. `close`: what ended the whole connection, or
     * NULL when just this stream's two directions are over. */
    void (*closed)(rn_h3_stream *stream, const rn_close *close, void *user);
} rn_h3_stream_handler;

typedef struct rn_h3_options {
    /* 0: RN_H3_FIELD_SECTION_DEFAULT; advertised and enforced. A section comes in one frame, so no
     * more than RN_H3_BOOK_FRAME_MAX. */
    size_t field_section_max;
    uint64_t streams_max; /* server: requests that the peer may have open at once, as in
                           * rn_quic_limits.streams_bidi_max; 0: that default */
} rn_h3_options;

/* For a connection whose handler is not set yet: inside `accepted`, or after rn_endpoint_connect.
 * `options` may be NULL; `handler` must outlive the session. RPCNET_ERR_MEMORY. */
int rn_h3_session_new(rn_h3_session **out, rn_conn *conn, const rn_h3_options *options,
                      const rn_h3_handler *handler, void *user);

rn_conn *rn_h3_session_conn(const rn_h3_session *session);
size_t
rn_h3_session_streams(const rn_h3_session *session); /* request streams that are not closed */
/* Visits its request streams, in the order in which they began. Start with NULL; NULL: no more. */
rn_h3_stream *rn_h3_session_next_stream(const rn_h3_session *session, const rn_h3_stream *before);
bool rn_h3_session_is_established(const rn_h3_session *session);
/* A request may be opened: established, no GOAWAY received, not closing. The peer's limit on
 * streams is another question (rn_conn_streams_left). */
bool rn_h3_session_is_usable(const rn_h3_session *session);

/* Tells the peer to open no more requests. First without `final` (the peer may have requests under
 * way, they are accepted); a few round trips later with `final`, from when on new requests are
 * rejected by RN_H3_REQUEST_REJECTED. Calling it again does nothing. RPCNET_ERR_STATE before
 * `established`, RPCNET_ERR_CLOSED, RPCNET_ERR_MEMORY. */
int rn_h3_session_goaway(rn_h3_session *session, bool final);
/* Closes the connection with an HTTP/3 code; `closed` follows later. The way to close a connection
 * that has a session: rn_conn_close beside it would leave streams here that are gone there. */
void rn_h3_session_close(rn_h3_session *session, uint64_t code, const char *text);

/* Client: opens a request. `end`: without a body. RPCNET_ERR_STATE before `established`,
 * RPCNET_ERR_LIMIT when the peer allows no more streams now, or the fields exceed
 * RN_H3_FIELDS_MAX or the peer's limit; RPCNET_ERR_CLOSED (closing, or GOAWAY received);
 * RPCNET_ERR_MEMORY. */
int rn_h3_request(rn_h3_session *session, const rn_h3_field *fields, size_t count, bool end,
                  const rn_h3_stream_handler *handler, void *user, rn_h3_stream **out);
/* Server: the response's header section; `end`: nothing follows. RPCNET_ERR_STATE when it was sent
 * already, RPCNET_ERR_LIMIT (as in rn_h3_request, or the ring never has room for it),
 * RPCNET_ERR_AGAIN (no room in the ring), RPCNET_ERR_CLOSED (our direction is over),
 * RPCNET_ERR_MEMORY. */
int rn_h3_respond(rn_h3_stream *stream, const rn_h3_field *fields, size_t count, bool end);
/* Sends body bytes as one DATA frame: all of them, or as many as the ring has room for, if that is
 * RN_H3_SEND_PART_MIN or more; `*taken` says how many, and `room` follows when it was not all.
 * `end`: our message ends behind the last piece (not applied to a part). RPCNET_OK when something
 * was taken or nothing was asked; RPCNET_ERR_AGAIN when nothing fits, RPCNET_ERR_STATE before the
 * headers, RPCNET_ERR_CLOSED, RPCNET_ERR_MEMORY. */
int rn_h3_send(rn_h3_stream *stream, const rn_bytes *pieces, size_t count, bool end, size_t *taken);
/* Trailers; our message ends with them. RPCNET_ERR_AGAIN: the ring has no room for all of them
 * (`room` follows); others as rn_h3_respond. */
int rn_h3_trailers(rn_h3_stream *stream, const rn_h3_field *fields, size_t count);

/* Gives back the window of `len` body bytes. */
void rn_h3_consume(rn_h3_stream *stream, size_t len);
/* Ends both directions; what is over already stays as it is. No `reset` follows, `closed` does. */
void rn_h3_reset(rn_h3_stream *stream, uint64_t code);
/* As rn_h3_reset, and what is finished and still in the ring is not sent either; the request's
 * fields are gone. Not inside `request`. */
void rn_h3_drop(rn_h3_stream *stream, uint64_t code);
/* The peer shall send no more; what comes is dropped. Nothing if it has finished. */
void rn_h3_stop_receiving(rn_h3_stream *stream, uint64_t code);
/* No callback any more. What is not over yet is reset with `code`. */
void rn_h3_forget(rn_h3_stream *stream, uint64_t code);

void rn_h3_stream_set_handler(rn_h3_stream *stream, const rn_h3_stream_handler *handler,
                              void *user);
/* 0 (first) to 7 (last), for the bytes that we send (RFC 9218). Until it is called: 3, or on a
 * server what the client asks for. */
void rn_h3_stream_set_urgency(rn_h3_stream *stream, unsigned urgency);
/* The user that was set with this handler; NULL: it has another one. */
void *rn_h3_stream_user(const rn_h3_stream *stream, const rn_h3_stream_handler *handler);
rn_h3_session *rn_h3_stream_session(const rn_h3_stream *stream);
/* Of a request: which one of its client, from 1, by the stream id (RFC 9000, section 2.1). The
 * network may change the order in which they come, but not their numbers. */
uint64_t rn_h3_stream_number(const rn_h3_stream *stream);
/* Bytes of memory that it holds: ring, fields, and of a frame that has not come whole. */
size_t rn_h3_stream_memory(const rn_h3_stream *stream);
/* Body bytes that one rn_h3_send would take now. 0 while our header section is not sent; then the
 * other one tells how many it will be behind that. */
size_t rn_h3_room(const rn_h3_stream *stream);
size_t rn_h3_room_behind(const rn_h3_stream *stream, const rn_h3_field *fields, size_t count);
bool rn_h3_stream_is_sent(const rn_h3_stream *stream); /* our message is finished, or was reset */

/* What is needed to go on with this stream elsewhere (see h3/books.h): its position in the inbound
 * frames, and, on a server, the request's fields. */
const rn_h3_book *rn_h3_stream_book(const rn_h3_stream *stream);
/* Fills `out` (borrowed until the stream is freed), returns the count; 0 on a client. */
size_t rn_h3_stream_request(const rn_h3_stream *stream, rn_h3_field out[RN_H3_FIELDS_MAX]);

#endif
