/* conn_path: what a server may send to an address that is not validated yet: three times what came
 * from there (RFC 9000, section 9.3).
 *
 * ngtcp2 keeps to that itself. But where it is asked for a packet and nothing may be sent, it stops
 * the probe timer, and after a change of the path it does not start it again when more may be sent.
 * With a full congestion window the connection would then be silent for good. So it is not asked:
 * its books for this are followed here. It is asked once more when the validation has failed, which
 * it notices nowhere else, and goes back to the address before (section 9.3.2). */
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
        *trial = (rn_trial){.remote = remote, .sent_ns = rn_conn_now(conn)};
    }
    if (rn_address_equal(&datagram->remote, &remote)) {
        trial->received += datagram->len;
    }
}

void rn_conn_path_sent(rn_conn *conn, const rn_transmit *packet) {
    rn_trial *trial = &conn->trial;
    if (trial->remote.len > 0 && rn_address_equal(&trial->remote, &packet->remote)) {
        trial->sent += packet->len;
        trial->sent_ns = rn_conn_now(conn);
    }
}

static bool used_up(const rn_conn *conn) {
    rn_address remote;
    const rn_trial *trial = &conn->trial;
    return trial->remote.len > 0 && on_trial(conn, &remote) &&
           rn_address_equal(&trial->remote, &remote) &&
           trial->sent + PACKET_BYTES_MIN > AMPLIFICATION * trial->received;
}

/* When ngtcp2 will find, if it is asked for a packet, that nobody answers to its challenges: three
 * probe timeouts after the first of them, and no sooner than the last one's time is over. RN_NEVER:
 * it would not look, because the congestion window is full. */
static uint64_t given_up_ns(const rn_conn *conn) {
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(conn->quic);
    uint64_t initial = 3 * NGTCP2_DEFAULT_INITIAL_RTT + (peer != NULL ? peer->max_ack_delay : 0);
    uint64_t pto = ngtcp2_conn_get_pto(conn->quic);
    return ngtcp2_conn_get_cwnd_left(conn->quic) > 0
               ? conn->trial.sent_ns + 3 * (pto > initial ? pto : initial)
               : RN_NEVER;
}

bool rn_conn_path_exhausted(const rn_conn *conn) {
    return used_up(conn) && rn_conn_now(conn) < given_up_ns(conn);
}

uint64_t rn_conn_path_deadline(const rn_conn *conn) {
    return rn_conn_path_exhausted(conn) ? given_up_ns(conn) : RN_NEVER;
}
