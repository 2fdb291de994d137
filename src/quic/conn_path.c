/* conn_path: what a server may send to an address that is not validated yet: three times what came
 * from there (RFC 9000, section 9.3).
 *
 * ngtcp2 keeps to that itself. But where it is asked for a packet and nothing may be sent, it stops
 * the probe timer, and after a change of the path it does not start it again when more may be sent.
 * With a full congestion window the connection would then be silent for good. So it is not asked:
 * its books for this are followed here. */
#include "quic/conn_internal.h"
#include "rpcnet/error.h"

enum { AMPLIFICATION = 3, PACKET_BYTES_MIN = 42 /* shorter ones are never sent */ };

/* The address that is being validated; false: the present one is valid. */
static bool on_trial(const rn_conn *conn, rn_address *out) {
    const ngtcp2_path *path = ngtcp2_conn_get_path(conn->quic);
    return conn->server && conn->state == RN_CONN_ESTABLISHED &&
           rn_address_from_sockaddr(out, path->remote.addr, path->remote.addrlen) == RPCNET_OK &&
           !rn_address_equal(out, &conn->remote);
}

void rn_conn_path_received(rn_conn *conn, const rn_datagram *datagram) {
    rn_address remote;
    rn_trial *trial = &conn->trial;
    /* Looked at only when a datagram came from elsewhere, or has. */
    if (!conn->server ||
        (trial->remote.len == 0 && rn_address_equal(&datagram->remote, &conn->remote))) {
        return;
    }
    if (!on_trial(conn, &remote)) {
        trial->remote.len = 0;
        return;
    }
    if (trial->remote.len == 0 || !rn_address_equal(&trial->remote, &remote)) {
        *trial = (rn_trial){.remote = remote};
    }
    if (rn_address_equal(&datagram->remote, &remote)) {
        trial->received += datagram->len;
    }
}

void rn_conn_path_sent(rn_conn *conn, const rn_transmit *packet) {
    rn_trial *trial = &conn->trial;
    if (trial->remote.len > 0 && rn_address_equal(&trial->remote, &packet->remote)) {
        trial->sent += packet->len;
    }
}

bool rn_conn_path_exhausted(const rn_conn *conn) {
    rn_address remote;
    const rn_trial *trial = &conn->trial;
    return trial->remote.len > 0 && on_trial(conn, &remote) &&
           rn_address_equal(&trial->remote, &remote) &&
           trial->sent + PACKET_BYTES_MIN > AMPLIFICATION * trial->received;
}
