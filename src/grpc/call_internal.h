/* call_internal: what the files of a call share: call.c (its life), call_client.c and
 * call_server.c (the two sides' ends), call_rx.c (messages that come), call_tx.c (what is sent). */
#ifndef RN_GRPC_CALL_INTERNAL_H
#define RN_GRPC_CALL_INTERNAL_H

#include "grpc/call.h"
#include "grpc/framing.h"
#include "grpc/wire.h"

/* A status that waits: on the client from the trailers until the stream's end, on a server from
 * rn_call_finish until the message before it is in the ring. */
typedef struct rn_call_result {
    bool set;
    enum rpcnet_grpc_code code;
    rn_buffer message;
    rn_metadata metadata;
} rn_call_result;

struct rn_call {
    rn_h3_stream *stream; /* NULL: gone */
    const rn_call_handler *handler;
    void *user;
    bool server;
    bool over;      /* `status` or `cancelled` was called, or the server finished */
    bool deleted;   /* freed when no function of it runs any more */
    bool draining;  /* deleted, but what was finished has still to be sent */
    bool starved;   /* see rn_call_is_starved */
    unsigned depth; /* functions of this call that call its user */
    uint64_t deadline;
    rn_metadata metadata; /* server: of the request */

    rn_deframer deframer;
    uint64_t received; /* bytes, in all */
    bool hold;         /* see rn_call_hold */
    size_t held;       /* bytes that came meanwhile, whose window we have not given back */

    size_t send_max;
    rn_buffer kept; /* the part of a message, with its prefix, that is not in the ring */
    size_t kept_sent;
    rpcnet_source source; /* the same, but its owner holds it */
    size_t source_left;   /* bytes of it, with its prefix, that are not in the ring; 0: none */
    bool headers_sent;    /* server: the initial metadata */
    bool end_wanted;      /* half-closed or finished: nothing may be sent any more */
    bool end_sent;
    bool want_writable;
    rn_call_result result;

    size_t path_len;
    uint8_t path[];
};

extern const rn_h3_stream_handler rn_call_stream_handler;

/* ---- call.c ---- */
rn_call *rn_call_alloc(bool server, rn_bytes path, const rn_call_options *options,
                       rn_budget *budget);
/* Around everything that may call the user; the call may be freed by rn_call_leave. */
void rn_call_enter(rn_call *call);
void rn_call_leave(rn_call *call);
/* A result to be used later. RPCNET_ERR_MEMORY. */
int rn_call_result_set(rn_call_result *result, const rn_status *status,
                       const rn_metadata *metadata);
/* Gives back all window that is held. */
void rn_call_give_back(rn_call *call);
/* What waits is not sent any more, nor is an end. */
void rn_call_drop_unsent(rn_call *call);

/* ---- call_client.c ---- */
/* Ends the client's call with a status of our own making, and resets the stream. */
void rn_call_client_fail(rn_call *call, enum rpcnet_grpc_code code, const char *text);
void rn_call_client_headers(rn_call *call, const rn_h3_field *fields, size_t count);
void rn_call_client_trailers(rn_call *call, const rn_h3_field *fields, size_t count);
void rn_call_client_end(rn_call *call);
void rn_call_client_reset(rn_call *call, uint64_t code);
void rn_call_client_lost(rn_call *call, const rn_close *close);

/* ---- call_server.c ---- */
/* Ends the server's call before its user did: answers if `text` is given and it can be done,
 * resets the stream otherwise, and tells the user. */
void rn_call_server_cancel(rn_call *call, enum rpcnet_grpc_code code, const char *text);

/* ---- call_tx.c ---- */
/* Sends what waits: the kept part of a message, the end. Without the memory for it the call ends.
 */
void rn_call_flush(rn_call *call);
bool rn_call_is_idle(const rn_call *call); /* nothing waits */

#endif
