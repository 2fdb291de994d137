/* conn_rx: a datagram arrives. */
#include "quic/conn_internal.h"

void rn_conn_receive(rn_conn *conn, const rn_datagram *datagram) {
    if (conn->state == RN_CONN_CLOSING) {
        rn_conn_answer_closing(conn);
        return;
    }
    if (conn->state == RN_CONN_DRAINING) {
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
    rn_conn_wake(conn);
    rn_conn_schedule(conn);
}
