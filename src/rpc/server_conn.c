/* server_conn: a server's connections: accepted, announced, gone; their requests become calls. */
#include <stdlib.h>

#include "rpc/internal.h"

static void on_established(rn_h3_session *session, void *user) {
    rn_server_conn *conn = user;
    rpcnet_server *server = conn->server;
    const rn_conn *quic = rn_h3_session_conn(session);
    if (server->deleted) {
        return;
    }
    rn_rpc_port_enter(&server->port);
    conn->announced = true;
    if (server->callbacks.on_connection != NULL) {
        server->callbacks.on_connection(server, conn->number,
                                        rn_address_format(rn_conn_remote(quic), conn->address),
                                        rn_conn_peer_identity(quic), server->user);
    }
    rn_rpc_port_leave(&server->port);
}

static void on_request(rn_h3_session *session, rn_h3_stream *stream, const rn_h3_field *fields,
                       size_t count, void *user) {
    rn_server_conn *conn = user;
    rpcnet_server *server = conn->server;
    (void)session;
    if (server->deleted) {
        return;
    }
    rn_rpc_port_enter(&server->port);
    rn_rpc_call_accept(conn, stream, fields, count);
    rn_rpc_port_leave(&server->port);
}

static void on_excessive(rn_h3_session *session, void *user) {
    const rn_server_conn *conn = user;
    (void)session;
    conn->server->headers_refused++;
}

static void on_closed(rn_h3_session *session, const rn_close *close, void *user) {
    rn_server_conn *conn = user;
    rpcnet_server *server = conn->server;
    char text[RN_RPC_TEXT_MAX];
    (void)session;
    rn_rpc_port_enter(&server->port);
    rn_list_remove(&conn->link);
    if (conn->announced && server->callbacks.on_disconnection != NULL) {
        server->callbacks.on_disconnection(server, conn->number, rn_rpc_describe(close, text),
                                           server->user);
    }
    free(conn);
    rn_rpc_port_leave(&server->port);
}

static const rn_h3_handler session_handler = {
    .established = on_established,
    .request = on_request,
    .excessive = on_excessive,
    .closed = on_closed,
};

void rn_server_accepted(rn_endpoint *endpoint, rn_conn *quic, void *user) {
    rpcnet_server *server = user;
    rn_h3_options options = {.field_section_max = server->headers_max,
                             .streams_max = server->streams_max};
    (void)endpoint;
    rn_server_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL ||
        rn_h3_session_new(&conn->session, quic, &options, &session_handler, conn) != RPCNET_OK) {
        free(conn);
        rn_conn_close(quic, RN_H3_INTERNAL_ERROR, "out of memory");
        return;
    }
    conn->server = server;
    conn->number = ++server->conns_count;
    rn_list_append(&server->conns, &conn->link);
}
