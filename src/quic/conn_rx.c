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

/* ngtcp2 does not retransmit a PATH_RESPONSE, and arms no probe timer for it (RFC 9002, section 6.2
 * asks for one). When some are lost on a bad path, they fill a small congestion window for good,
 * and a client that has nothing else to say is silent until the idle timeout, keep-alive included.
 * A frame that it does retransmit goes with the response: one stream more of a kind that costs
 * nothing. A server has its own probes in flight, and must not be made to grant streams. */
static void accompany_response(rn_conn *conn) {
    conn->books.challenged = false;
    if (!conn->server && conn->challenges_accompanied < RN_CHALLENGES_MAX) {
        conn->challenges_accompanied++;
        ngtcp2_conn_extend_max_streams_uni(conn->quic, 1);
    }
}

void rn_conn_receive(rn_conn *conn, const rn_datagram *datagram) {
    if (conn->state == RN_CONN_CLOSING) {
        rn_conn_answer_closing(conn);
        return;
    }
    if (conn->state == RN_CONN_DRAINING) {
        return;
    }
    /* Before the first datagram rn_conn_accept has asked, and nothing can be told without its keys.
     */
    if (conn->state == RN_CONN_HANDSHAKE && conn->heard && !rn_headroom(RN_TLS_HEADROOM_BYTES)) {
        rn_conn_fail(conn, NGTCP2_ERR_NOMEM);
        return;
    }
    conn->heard = true;
    ngtcp2_path path;
    ngtcp2_pkt_info info = {.ecn = datagram->ecn};
    rn_conn_reference_path(&datagram->local, &datagram->remote, &path);
    int result = ngtcp2_conn_read_pkt(conn->quic, &path, &info, datagram->data, datagram->len,
                                      rn_conn_now(conn));
    if (result != 0) {
        rn_conn_fail(conn, result);
        return;
    }
    rn_books_settle(&conn->books, rn_conn_delivered, conn);
    rn_conn_note_stops(conn);
    rn_conn_path_received(conn, datagram);
    if (conn->books.challenged) {
        accompany_response(conn);
    }
    if (conn->server && conn->state == RN_CONN_ESTABLISHED && conn->tls != NULL) {
        release_tls(conn);
    }
    rn_conn_wake(conn);
    rn_conn_schedule(conn);
}
