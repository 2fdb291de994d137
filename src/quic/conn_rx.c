/* conn_rx: a datagram arrives. */
#include "base/headroom.h"
#include "quic/conn_internal.h"

/* A server has nothing to say in TLS behind the handshake, and refuses what a client says
 * (rn_tls_callbacks): there are no tickets, no key updates, and the 1-RTT keys are ours. The
 * session is a fifth of what a connection takes. */
static void release_tls(rn_conn *conn) {
    ngtcp2_conn_set_tls_native_handle(conn->quic, NULL);
    rn_tls_session_del(conn->tls);
    conn->tls = NULL;
}

void rn_conn_receive(rn_conn *conn, const rn_datagram *datagram) {
    if (conn->state == RN_CONN_CLOSING) {
        rn_conn_answer_closing(conn);
        return;
    }
    if (conn->state == RN_CONN_DRAINING) {
        return;
    }
    if (conn->state == RN_CONN_HANDSHAKE && !rn_headroom(RN_TLS_HEADROOM_BYTES)) {
        /* As if it had been lost: the peer sends it again, and there may be memory then. */
        conn->endpoint->stats.datagrams_dropped++;
        return;
    }
    ngtcp2_path path;
    ngtcp2_pkt_info info = {.ecn = datagram->ecn};
    rn_conn_reference_path(&datagram->local, &datagram->remote, &path);
    int result = ngtcp2_conn_read_pkt(conn->quic, &path, &info, datagram->data, datagram->len,
                                      rn_conn_now(conn));
    if (result != 0) {
        rn_conn_fail(conn, result);
        return;
    }
    if (conn->server && conn->state == RN_CONN_ESTABLISHED && conn->tls != NULL) {
        release_tls(conn);
    }
    rn_conn_wake(conn);
    rn_conn_schedule(conn);
}
