/* call_rx: what comes on a call's stream. Messages are cut out here for both sides; what a
 * message's end or a stream's end means is the side's own business. */
#include <assert.h>

#include "grpc/call_internal.h"
#include "rpcnet/error.h"

static void on_headers(rn_h3_stream *stream, const rn_h3_field *fields, size_t count, void *user) {
    rn_call *call = user;
    (void)stream;
    rn_call_enter(call);
    if (!call->over && !call->server) {
        rn_call_client_headers(call, fields, count);
    }
    rn_call_leave(call);
}

static void on_trailers(rn_h3_stream *stream, const rn_h3_field *fields, size_t count, void *user) {
    rn_call *call = user;
    (void)stream;
    rn_call_enter(call);
    if (!call->over && !call->server) {
        rn_call_client_trailers(call, fields, count);
    }
    rn_call_leave(call);
}

static void fail(rn_call *call, enum rpcnet_grpc_code code, const char *text) {
    if (call->server) {
        rn_call_server_cancel(call, code, text);
    } else {
        rn_call_client_fail(call, code, text);
    }
}

static void fail_deframing(rn_call *call, enum rn_deframe_result result) {
    switch (result) {
    case RN_DEFRAME_COMPRESSED:
        fail(call, RPCNET_GRPC_UNIMPLEMENTED, "compressed messages are not supported");
        break;
    case RN_DEFRAME_TOO_LARGE:
        fail(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "a message exceeds the receiver's limit");
        break;
    case RN_DEFRAME_MEMORY:
        call->starved = true;
        fail(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory for a message");
        break;
    case RN_DEFRAME_STARVED:
        call->starved = true;
        fail(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "the receiver's memory is used up");
        break;
    default:
        fail(call, RPCNET_GRPC_INTERNAL, "a message's prefix is malformed");
        break;
    }
}

static void on_data(rn_h3_stream *stream, const uint8_t *data, size_t len, void *user) {
    rn_call *call = user;
    call->received += len;
    const uint8_t *cursor = data;
    rn_call_enter(call);
    if (!call->over && call->result.set) {
        fail(call, RPCNET_GRPC_INTERNAL, "a message came behind the status");
    }
    while (!call->over) {
        rn_bytes message;
        enum rn_deframe_result result =
            rn_deframer_next(&call->deframer, &cursor, data + len, &message);
        if (result == RN_DEFRAME_MORE) {
            break;
        }
        if (result != RN_DEFRAME_MESSAGE) {
            fail_deframing(call, result);
            break;
        }
        if (call->handler != NULL && call->handler->message != NULL) {
            call->handler->message(call, message.data, message.len, call->user);
        }
    }
    if (call->hold && !call->over) {
        call->held += len;
    } else {
        rn_h3_consume(stream, len);
    }
    rn_call_leave(call);
}

void rn_call_hold(rn_call *call, bool hold) {
    call->hold = hold;
    if (!hold) {
        rn_call_give_back(call);
    }
}

static void on_end(rn_h3_stream *stream, void *user) {
    rn_call *call = user;
    (void)stream;
    rn_call_enter(call);
    if (call->over) {
        rn_call_leave(call);
        return;
    }
    if (!call->server) {
        rn_call_client_end(call);
    } else if (rn_deframer_is_midway(&call->deframer)) {
        rn_call_server_cancel(call, RPCNET_GRPC_INTERNAL, "the request ended inside a message");
    } else if (call->handler != NULL && call->handler->half_close != NULL) {
        call->handler->half_close(call, call->user);
    }
    rn_call_leave(call);
}

static void on_reset(rn_h3_stream *stream, uint64_t code, void *user) {
    rn_call *call = user;
    (void)stream;
    rn_call_enter(call);
    if (!call->over && call->server) {
        rn_call_server_cancel(call, RPCNET_GRPC_CANCELLED, NULL);
    } else if (!call->over) {
        rn_call_client_reset(call, code);
    }
    rn_call_leave(call);
}

static void tell_writable(rn_call *call) {
    if (call->over || !call->want_writable || rn_call_kept(call) > 0) {
        return;
    }
    call->want_writable = false;
    if (!call->end_wanted && call->handler != NULL && call->handler->writable != NULL) {
        call->handler->writable(call, call->user);
    }
}

/* The peer wants nothing more of us. To a client that says nothing about its answer, which is
 * awaited; to a server it is the end. */
static void on_stopped(rn_h3_stream *stream, uint64_t code, void *user) {
    rn_call *call = user;
    (void)stream;
    (void)code;
    rn_call_enter(call);
    rn_call_drop_unsent(call);
    if (!call->over && call->server) {
        rn_call_server_cancel(call, RPCNET_GRPC_CANCELLED, NULL);
    }
    call->want_writable = true; /* what was sent before may be lost, too */
    tell_writable(call);
    rn_call_leave(call);
}

static void on_room(rn_h3_stream *stream, void *user) {
    rn_call *call = user;
    (void)stream;
    rn_call_enter(call);
    rn_call_flush(call);
    tell_writable(call);
    rn_call_leave(call);
}

static void on_closed(rn_h3_stream *stream, const rn_close *close, void *user) {
    rn_call *call = user;
    (void)stream;
    rn_call_enter(call);
    rn_call_give_back(call);
    call->stream = NULL;
    if (!call->over && call->server) {
        rn_call_server_cancel(call, close != NULL ? RPCNET_GRPC_UNAVAILABLE : RPCNET_GRPC_CANCELLED,
                              NULL);
    } else if (!call->over) {
        rn_call_client_lost(call, close);
    }
    if (call->handler != NULL && call->handler->closed != NULL) {
        call->handler->closed(call, call->user);
    }
    rn_call_leave(call);
}

const rn_h3_stream_handler rn_call_stream_handler = {
    .headers = on_headers,
    .data = on_data,
    .trailers = on_trailers,
    .end = on_end,
    .reset = on_reset,
    .stopped = on_stopped,
    .room = on_room,
    .closed = on_closed,
};
