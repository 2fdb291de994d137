/* call_server: how a server's call begins and ends. */
#include <assert.h>
#include <stdlib.h>

#include "rpc/internal.h"

static void refuse(rn_call *inner, enum rpcnet_grpc_code code, const char *text) {
    rn_status status = {.code = code, .message = rn_bytes_text(text)};
    (void)rn_call_finish(inner, &status, NULL);
    rn_call_del(inner);
}

/* RPCNET_ERR_LIMIT: the caller's address has as many calls as it may. */
static int count_call(rpcnet_server *server, const rn_server_conn *conn, rn_census_place **place) {
    if (server->census == NULL) {
        return RPCNET_OK;
    }
    int rv =
        rn_census_enter(server->census, rn_conn_remote(rn_h3_session_conn(conn->session)), place);
    server->calls_refused += rv == RPCNET_ERR_LIMIT;
    return rv;
}

static bool may_call(rpcnet_server *server, const rn_server_conn *conn) {
    return server->authorize == NULL ||
           server->authorize(server, rn_conn_peer_identity(rn_h3_session_conn(conn->session)),
                             server->user);
}

static rpcnet_call *wrap(rn_server_conn *conn, rn_call *inner) {
    rpcnet_server *server = conn->server;
    rpcnet_call *call = rn_rpc_call_alloc(server->env, true, rn_call_path(inner));
    if (call == NULL) {
        return NULL;
    }
    call->deadline = rn_call_deadline(inner);
    if (rn_rpc_call_arm(call) != RPCNET_OK) {
        rpcnet_call_del(call);
        return NULL;
    }
    call->inner = inner;
    call->port = &server->port;
    call->conn = conn;
    call->connection_number = conn->number;
    call->call_number = rn_h3_stream_number(rn_call_stream(inner));
    rn_list_append(&server->port.calls, &call->link);
    rn_call_set_handler(inner, &rn_rpc_call_handler, call);
    server->calls_open++;
    return call;
}

void rn_rpc_call_accept(rn_server_conn *conn, rn_h3_stream *stream, const rn_h3_field *fields,
                        size_t count) {
    rpcnet_server *server = conn->server;
    rn_call *inner;
    int rv = rn_call_accept(&inner, stream, fields, count, NULL);
    if (rv != RPCNET_OK) {
        server->headers_refused += rv == RPCNET_ERR_LIMIT;
        return;
    }
    server->calls++;
    if (!may_call(server, conn)) {
        refuse(inner, RPCNET_GRPC_PERMISSION_DENIED, "not for this role");
        return;
    }
    const rn_method *method = rn_server_find_method(server, rn_call_path(inner));
    if (method == NULL) {
        refuse(inner, RPCNET_GRPC_UNIMPLEMENTED, "no such method here");
        return;
    }
    rn_census_place *place = NULL;
    rv = count_call(server, conn, &place);
    if (rv != RPCNET_OK) {
        refuse(inner, RPCNET_GRPC_RESOURCE_EXHAUSTED,
               rv == RPCNET_ERR_LIMIT ? "too many calls from this address" : "out of memory");
        return;
    }
    rpcnet_call *call = wrap(conn, inner);
    if (call == NULL) {
        rn_census_leave(server->census, place);
        refuse(inner, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    call->place = place;
    method->fn(server, call, method->user);
}

void rn_rpc_call_server_over(rpcnet_call *call) {
    if (!call->server || call->over || call->port == NULL) {
        return;
    }
    rpcnet_server *server = RN_CONTAINER_OF(call->port, rpcnet_server, port);
    call->over = true;
    server->calls_open--;
    rn_census_leave(server->census, call->place);
    call->place = NULL;
    rn_rpc_call_disarm(call);
}

void rn_rpc_call_cut(rpcnet_call *call) {
    if (call->over) {
        return;
    }
    rn_rpc_call_enter(call);
    rn_rpc_call_server_over(call);
    rn_call_cancel(call->inner);
    if (call->callbacks != NULL && call->callbacks->on_cancelled != NULL) {
        call->callbacks->on_cancelled(call, RPCNET_GRPC_UNAVAILABLE, call->user);
    }
    rn_rpc_call_leave(call);
}

enum rpcnet_grpc_code rn_rpc_code(int code) {
    return code >= RPCNET_GRPC_OK && code <= RPCNET_GRPC_UNAUTHENTICATED
               ? (enum rpcnet_grpc_code)code
               : RPCNET_GRPC_UNKNOWN;
}

int rpcnet_call_finish(rpcnet_call *call, int code, const char *message,
                       const rpcnet_metadata *trailers) {
    if (!call->server) {
        return RPCNET_ERR_STATE;
    }
    rn_status status = {.code = rn_rpc_code(code)};
    if (message != NULL) {
        status.message = rn_bytes_text(message);
    }
    int rv = rn_call_finish(call->inner, &status, trailers);
    if (rv == RPCNET_OK) {
        rn_rpc_call_server_over(call);
    }
    return rv;
}
