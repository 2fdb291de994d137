/* call_handler: what the call below tells, handed on to the user. Everything that may call the user
 * is counted on the call and on its port, so that both outlive it. */
#include "rpc/internal.h"

/* A port lives as long as one of its callbacks runs; the call may lose its port meanwhile. */
static rn_rpc_port *enter(rpcnet_call *call) {
    rn_rpc_port *port = call->port;
    rn_rpc_call_enter(call);
    if (port != NULL) {
        rn_rpc_port_enter(port);
    }
    return port;
}

static void leave(rpcnet_call *call, rn_rpc_port *port) {
    if (port != NULL) {
        rn_rpc_port_leave(port);
    }
    rn_rpc_call_leave(call);
}

static void on_headers(rn_call *inner, const rn_metadata *metadata, void *user) {
    rpcnet_call *call = user;
    (void)inner;
    rn_rpc_port *port = enter(call);
    if (call->callbacks != NULL && call->callbacks->on_headers != NULL) {
        call->callbacks->on_headers(call, metadata, call->user);
    }
    leave(call, port);
}

static void on_message(rn_call *inner, const uint8_t *data, size_t len, void *user) {
    rpcnet_call *call = user;
    (void)inner;
    rn_rpc_port *port = enter(call);
    if (call->callbacks != NULL && call->callbacks->on_message != NULL) {
        call->callbacks->on_message(call, data, len, call->user);
    }
    leave(call, port);
}

static void on_half_close(rn_call *inner, void *user) {
    rpcnet_call *call = user;
    (void)inner;
    rn_rpc_port *port = enter(call);
    if (call->callbacks != NULL && call->callbacks->on_half_close != NULL) {
        call->callbacks->on_half_close(call, call->user);
    }
    leave(call, port);
}

static void on_status(rn_call *inner, const rn_status *status, const rn_metadata *trailers,
                      void *user) {
    rpcnet_call *call = user;
    (void)inner;
    rn_rpc_port *port = enter(call);
    if (call->failed) {
        rn_rpc_call_tell_status(call, call->failure_code, rn_bytes_text(call->failure_text),
                                trailers);
    } else {
        rn_rpc_call_tell_status(call, (int)status->code, status->message, trailers);
    }
    leave(call, port);
}

static void on_cancelled(rn_call *inner, enum rpcnet_grpc_code code, void *user) {
    rpcnet_call *call = user;
    (void)inner;
    rn_rpc_port *port = enter(call);
    if (code == RPCNET_GRPC_RESOURCE_EXHAUSTED && port != NULL && !rn_call_is_starved(inner)) {
        RN_CONTAINER_OF(port, rpcnet_server, port)->messages_refused++;
    }
    rn_rpc_call_server_over(call);
    if (call->callbacks != NULL && call->callbacks->on_cancelled != NULL) {
        call->callbacks->on_cancelled(call, (int)code, call->user);
    }
    leave(call, port);
}

static void on_writable(rn_call *inner, void *user) {
    rpcnet_call *call = user;
    (void)inner;
    rn_rpc_port *port = enter(call);
    if (call->callbacks != NULL && call->callbacks->on_writable != NULL) {
        call->callbacks->on_writable(call, call->user);
    }
    leave(call, port);
}

static void on_closed(rn_call *inner, void *user) {
    rpcnet_call *call = user;
    (void)inner;
    rn_rpc_port *port = enter(call);
    rn_rpc_call_server_over(call);
    rn_rpc_call_disarm(call);
    rn_list_remove(&call->link);
    call->port = NULL;
    call->conn = NULL;
    call->closed = true;
    if (call->callbacks != NULL && call->callbacks->on_closed != NULL) {
        call->callbacks->on_closed(call, call->user);
    }
    leave(call, port);
}

const rn_call_handler rn_rpc_call_handler = {
    .headers = on_headers,
    .message = on_message,
    .half_close = on_half_close,
    .status = on_status,
    .cancelled = on_cancelled,
    .writable = on_writable,
    .closed = on_closed,
};
