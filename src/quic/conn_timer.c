/* conn_timer: loss detection, keep-alive, idle timeout and the end of closing. */
#include "quic/conn_internal.h"

void rn_conn_expire(rn_conn *conn) {
    if (conn->state == RN_CONN_CLOSING || conn->state == RN_CONN_DRAINING) {
        rn_conn_del(conn);
        return;
    }
    int result = ngtcp2_conn_handle_expiry(conn->quic, rn_conn_now(conn));
    if (result != 0) {
        rn_conn_fail(conn, result);
        return;
    }
    rn_conn_wake(conn);
    rn_conn_schedule(conn);
}
