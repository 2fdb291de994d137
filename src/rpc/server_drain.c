/* server_drain: a server's graceful end. Each connection gets two GOAWAYs (RFC 9114, section 5.2):
 * the first says that the end is near, the second, when what was under way has arrived, that no
 * further request is taken. It is closed when its last call is over, or when the deadline comes. */
#include "rpc/internal.h"

#define DRAIN_INTERVAL (10 * RN_MILLISECOND)
#define GOAWAY_WAIT_MIN (20 * RN_MILLISECOND) /* two round trips, but not less than this */
#define GOAWAY_WAIT_UNKNOWN (100 * RN_MILLISECOND)

static uint64_t goaway_wait(const rn_server_conn *conn) {
    uint64_t rtt = rn_conn_rtt(rn_h3_session_conn(conn->session));
    if (rtt == 0) {
        return GOAWAY_WAIT_UNKNOWN;
    }
    return 2 * rtt > GOAWAY_WAIT_MIN ? 2 * rtt : GOAWAY_WAIT_MIN;
}

/* Nothing is expected of it any more; a handshake that is under way comes too late. */
static bool is_done(const rn_server_conn *conn) {
    return !rn_h3_session_is_established(conn->session) ||
           (conn->goaway_final && rn_h3_session_streams(conn->session) == 0);
}

static void drain_conn(rn_server_conn *conn, uint64_t now) {
    if (is_done(conn)) {
        rn_h3_session_close(conn->session, RN_H3_NO_ERROR, "the server is shutting down");
    } else if (!conn->goaway_sent) {
        conn->goaway_sent = true;
        conn->goaway_time = now;
        (void)rn_h3_session_goaway(conn->session, false);
    } else if (!conn->goaway_final && now - conn->goaway_time >= goaway_wait(conn)) {
        conn->goaway_final = true;
        (void)rn_h3_session_goaway(conn->session, true);
    }
}

static void drain_all(rpcnet_server *server) {
    uint64_t now = rn_env_now(server->env);
    rn_list *at;
    rn_list *after;
    RN_LIST_FOREACH(at, after, &server->conns) {
        rn_server_conn *conn = RN_CONTAINER_OF(at, rn_server_conn, link);
        if (now >= server->drain_deadline) {
            rn_h3_session_close(conn->session, RN_H3_NO_ERROR, "the server has to stop");
        } else {
            drain_conn(conn, now);
        }
    }
    uint64_t next = now + DRAIN_INTERVAL;
    if (now < server->drain_deadline && server->drain_deadline < next) {
        next = server->drain_deadline;
    }
    server->env->ops->timer_set(server->drain_timer, rn_list_empty(&server->conns) ? now : next);
}

void rn_server_on_drain_timer(void *user) {
    rpcnet_server *server = user;
    rn_rpc_port_enter(&server->port);
    if (!rn_list_empty(&server->conns)) {
        drain_all(server);
    } else if (!server->drained) {
        server->drained = true;
        if (server->callbacks.on_drained != NULL) {
            server->callbacks.on_drained(server, server->user);
        }
    }
    rn_rpc_port_leave(&server->port);
}

void rpcnet_server_drain(rpcnet_server *server, uint64_t deadline_ns) {
    if (server->deleted || server->drained) {
        return;
    }
    server->drain_deadline = deadline_ns;
    if (!server->draining) {
        server->draining = true;
        rn_endpoint_stop_accepting(rn_port_endpoint(server->port.port));
        if (server->on_drain != NULL) {
            server->on_drain(server->on_drain_user);
        }
    }
    if (!server->deleted) {
        drain_all(server);
    }
}
