/* call: one gRPC call over one HTTP/3 request stream (gRFC G2), client or server side, of any kind:
 * unary and streaming calls differ only in how many messages their users send and expect.
 *
 * A call belongs to whoever started or accepted it, until rn_call_del; that, like every other
 * function here, may be called from every callback. After the last callback a call is a shell that
 * waits for rn_call_del. Callbacks run inside the endpoint's functions, and inside rn_call_expire
 * and rn_call_cancel, where that is said.
 *
 * A call that was cut never looks finished: on the client the only way to code OK is the peer's
 * trailers behind a whole last message. */
#ifndef RN_GRPC_CALL_H
#define RN_GRPC_CALL_H

#include "base/env.h"
#include "grpc/metadata.h"
#include "grpc/status.h"
#include "h3/session.h"
#include "rpcnet/source.h"

typedef struct rn_call rn_call;

enum {
    RN_CALL_MESSAGE_DEFAULT = 4 * 1024 * 1024, /* default limit of a message, both ways */
    RN_CALL_PIECES_MAX = 6,                    /* pieces of one message that is sent */
    RN_CALL_PATH_MAX = 1024,                   /* "/package.Service/Method" */
    RN_CALL_AUTHORITY_MAX = 512,
    RN_CALL_UNSENT_MAX = 16384 /* bytes of memory in front of the status of rn_call_abort */
};

/* Callbacks of a call. Each may be NULL. */
typedef struct rn_call_handler {
    /* Client: the server's initial metadata. At most once, before the first message; not at all
     * when the server replies with a status alone. */
    void (*headers)(rn_call *call, const rn_metadata *metadata, void *user);
    /* A whole message, borrowed: in place where it arrived, if it arrived in one piece. */
    void (*message)(rn_call *call, const uint8_t *data, size_t len, void *user);
    /* Server: the client has sent its last message. At most once. */
    void (*half_close)(rn_call *call, void *user);
    /* Client: the result, exactly once per call (unless it is deleted before); nothing but
     * `closed` follows. `trailers` may be empty, never NULL. Both are borrowed. */
    void (*status)(rn_call *call, const rn_status *status, const rn_metadata *trailers, void *user);
    /* Server: the call ended before we finished it; nothing but `closed` follows, and nothing more
     * can be sent. At most once. CANCELLED: the client reset the stream; UNAVAILABLE: the
     * connection was lost; DEADLINE_EXCEEDED: rn_call_expire; RESOURCE_EXHAUSTED, UNIMPLEMENTED,
     * INTERNAL: the client's message was not acceptable, and has been answered so. */
    void (*cancelled)(rn_call *call, enum rpcnet_grpc_code code, void *user);
    /* rn_call_send had returned RPCNET_ERR_AGAIN, or had to keep a part, and all is in the ring;
     * or, on the client, the peer wants no more: rn_call_is_stopped. */
    void (*writable)(rn_call *call, void *user);
    /* Last callback: the stream is gone. */
    void (*closed)(rn_call *call, void *user);
} rn_call_handler;

typedef struct rn_call_options {
    size_t receive_max; /* bytes of a message; 0: RN_CALL_MESSAGE_DEFAULT */
    size_t send_max;    /* the same for sending */
} rn_call_options;

typedef struct rn_call_start {
    rn_bytes path;                  /* "/package.Service/Method" */
    rn_bytes authority;             /* host[:port] */
    const rn_metadata *metadata;    /* NULL: none */
    uint64_t deadline;              /* RN_NEVER: none */
    const rn_call_options *options; /* NULL: defaults */
} rn_call_start;

/* Client: opens a call. RPCNET_ERR_ARGUMENT, RPCNET_ERR_TIMEOUT (the deadline has passed), and what
 * rn_h3_request returns. */
int rn_call_new(rn_call **out, rn_h3_session *session, const rn_call_start *start,
                const rn_call_handler *handler, void *user);

/* Server: takes a stream inside the session's `request` callback. RPCNET_ERR_PROTOCOL: no gRPC
 * request; it has been answered (HTTP 405 or 415, or a gRPC status) and *out is NULL.
 * RPCNET_ERR_LIMIT: likewise, with RESOURCE_EXHAUSTED, for too much metadata.
 * RPCNET_ERR_MEMORY: the stream has been reset. The handler is set by rn_call_set_handler before
 * `request` returns. */
int rn_call_accept(rn_call **out, rn_h3_stream *stream, const rn_h3_field *fields, size_t count,
                   const rn_call_options *options);
void rn_call_set_handler(rn_call *call, const rn_call_handler *handler, void *user);
/* Changes limits of the messages that are still to come. */
void rn_call_set_options(rn_call *call, const rn_call_options *options);

/* Frees the call; no callback any more. What is not over is cancelled, but for a server's call that
 * was finished: what it has still to send goes on by itself. NULL is fine. */
void rn_call_del(rn_call *call);

rn_bytes rn_call_path(const rn_call *call);
const rn_metadata *rn_call_metadata(const rn_call *call); /* server: of the request */
uint64_t rn_call_deadline(const rn_call *call);           /* RN_NEVER: none */
rn_h3_stream *rn_call_stream(const rn_call *call);        /* NULL once it is gone */

/* Sends one message, made of `pieces`, which are copied. What does not fit the stream's ring is
 * kept in the call, for one message. RPCNET_ERR_AGAIN: one is being kept already, nothing is taken,
 * see `writable`; RPCNET_ERR_LIMIT: larger than send_max; RPCNET_ERR_STATE: after half-close or
 * finish; RPCNET_ERR_CLOSED: the call is over; RPCNET_ERR_MEMORY: nothing is taken. When there is
 * no memory later, for what was kept, the call ends with RESOURCE_EXHAUSTED. */
int rn_call_send(rn_call *call, const rn_bytes *pieces, size_t count);
/* The same with a message that is read from `source` as there is room for it, see
 * rpcnet_call_send_source. */
int rn_call_send_source(rn_call *call, const rpcnet_source *source);
/* Bytes, with the prefix, of the message that is being kept or read; 0: rn_call_send takes another
 * one. */
size_t rn_call_kept(const rn_call *call);
uint64_t rn_call_received(const rn_call *call); /* bytes of messages, with their prefixes */
/* Bytes of a message of which rn_call_send keeps nothing now. */
size_t rn_call_room(const rn_call *call);
/* rn_call_send returns RPCNET_ERR_CLOSED. */
bool rn_call_is_stopped(const rn_call *call);
/* Bytes of memory that the call holds: ring, kept message, half-received message, metadata. */
size_t rn_call_memory(const rn_call *call);
/* It has ended with RESOURCE_EXHAUSTED because there was no memory for a message that came, or for
 * the rest of one that was sent; or because the account was over its limit (rn_budget_may_grow);
 * and not for any fault of the peer's. */
bool rn_call_is_starved(const rn_call *call);

/* Server: bytes of memory of a stream that no user owns any more: what it was finished with is
 * still to be sent. 0: it has an owner, or holds nothing. */
size_t rn_call_forsaken_memory(const rn_h3_stream *stream);
/* Gives that up: the stream is reset with RN_H3_EXCESSIVE_LOAD. */
void rn_call_forsaken_drop(rn_h3_stream *stream);

/* Server: sends the initial metadata now; otherwise it goes with the first message. `metadata` may
 * be NULL. RPCNET_ERR_STATE: sent already, or finished; RPCNET_ERR_LIMIT: larger than the peer or
 * the stream's ring takes; RPCNET_ERR_CLOSED, RPCNET_ERR_MEMORY, RPCNET_ERR_AGAIN (see `writable`).
 */
int rn_call_send_headers(rn_call *call, const rn_metadata *metadata);
/* Client: no more messages. It goes behind a message that is being kept. RPCNET_ERR_STATE,
 * RPCNET_ERR_CLOSED; RPCNET_ERR_MEMORY: nothing has changed. */
int rn_call_half_close(rn_call *call);
/* Server: ends the call. A reply without messages is one header section (trailers-only). It goes
 * behind a message that is being kept. `trailers` may be NULL; trailers that are larger than the
 * peer or the stream's ring takes are left out and the status is sent alone. Unread messages of the
 * client are dropped. RPCNET_ERR_STATE: finished already; RPCNET_ERR_CLOSED, RPCNET_ERR_MEMORY. */
int rn_call_finish(rn_call *call, const rn_status *status, const rn_metadata *trailers);

/* Gives up the call: the stream is reset with RN_H3_REQUEST_CANCELLED. Client: `status` CANCELLED
 * is called inside; server: `cancelled` is not. Nothing when the call is over. */
void rn_call_cancel(rn_call *call);
/* Server: ends the call now, with a status if next to nothing waits in front of it, else by a reset
 * whose code says as much as it can: RN_H3_EXCESSIVE_LOAD for RESOURCE_EXHAUSTED,
 * RN_H3_REQUEST_CANCELLED for others. `cancelled` is not called. Nothing when the call is over. */
void rn_call_abort(rn_call *call, enum rpcnet_grpc_code code, const char *text);
/* The deadline came. Client: `status` DEADLINE_EXCEEDED, and the stream is reset. Server:
 * `cancelled` DEADLINE_EXCEEDED, and the client gets that status if it can still be sent, a reset
 * otherwise. Nothing when the call is over. */
void rn_call_expire(rn_call *call);

/* Holds the peer back: what comes from now on keeps its window, prefixes and unfinished messages
 * included, until the hold ends. So no more than a window comes meanwhile. Inside `message` it
 * begins with the bytes that came with that message. Nothing is held of a call that is over. */
void rn_call_hold(rn_call *call, bool hold);

#endif
