/* conn_tx: a flight is built: packets of one connection that leave together.
 *
 * Streams take turns by urgency; small pieces of several streams share a packet. Before a flight is
 * handed out, what it reveals is committed (base/env.h). */
#include <string.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"

/* Without connection window no byte can move, and asking would mark each stream as blocked; a FIN
 * behind bytes that have been sent takes no window (RFC 9000, section 4.1). */
static rn_stream *next_stream(rn_conn *conn) {
    bool window = ngtcp2_conn_get_max_data_left(conn->quic) > 0;
    for (size_t urgency = 0; urgency < RN_URGENCY_LEVELS; urgency++) {
        rn_list *link;
        rn_list *after;
        RN_LIST_FOREACH(link, after, &conn->ready[urgency]) {
            rn_stream *stream = RN_CONTAINER_OF(link, rn_stream, ready);
            if (window || rn_send_ring_unsent(&stream->ring) == 0) {
                return stream;
            }
        }
    }
    return NULL;
}

/* `taken` bytes of the stream, and perhaps its FIN, went into a packet. */
static void note_sent(rn_stream *stream, size_t taken, bool fin) {
    rn_send_ring_sent(&stream->ring, taken);
    if (fin && rn_send_ring_unsent(&stream->ring) == 0) {
        stream->finish_sent = true;
    }
    rn_stream_update_ready(stream);
    if (rn_list_linked(&stream->ready)) {
        /* It has more: the others of its urgency come first. */
        rn_list_remove(&stream->ready);
        rn_list_append(&stream->conn->ready[stream->urgency], &stream->ready);
    }
}

/* Fills one packet. Returns its length, 0 when nothing may be sent now, or a negative error. */
static ngtcp2_ssize write_packet(rn_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *info,
                                 uint8_t *out, size_t capacity) {
    uint64_t now = rn_conn_now(conn);
    for (;;) {
        rn_stream *stream = next_stream(conn);
        ngtcp2_ssize taken = -1;
        if (stream == NULL) {
            return ngtcp2_conn_writev_stream(conn->quic, path, info, out, capacity, &taken,
                                             NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0, now);
        }
        rn_bytes spans[RN_SEND_SPANS_MAX];
        ngtcp2_vec vectors[RN_SEND_SPANS_MAX];
        size_t count = rn_send_ring_unsent_spans(&stream->ring, spans);
        size_t offered = 0;
        for (size_t i = 0; i < count; i++) {
            vectors[i] = (ngtcp2_vec){.base = (uint8_t *)spans[i].data, .len = spans[i].len};
            offered += spans[i].len;
        }
        bool fin = stream->finish && offered == rn_send_ring_unsent(&stream->ring);
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
        if (fin) {
            flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
        }
        ngtcp2_ssize len = ngtcp2_conn_writev_stream(conn->quic, path, info, out, capacity, &taken,
                                                     flags, stream->id, vectors, count, now);
        if (taken >= 0) {
            note_sent(stream, (size_t)taken, fin && (size_t)taken == offered);
        }
        switch (len) {
        case NGTCP2_ERR_WRITE_MORE:
            continue;
        case NGTCP2_ERR_STREAM_DATA_BLOCKED:
            stream->window_closed = true;
            rn_stream_update_ready(stream);
            continue;
        case NGTCP2_ERR_STREAM_SHUT_WR:
        case NGTCP2_ERR_STREAM_NOT_FOUND:
            rn_stream_note_stop(stream);
            continue;
        default:
            return len;
        }
    }
}

static void address_transmit(rn_transmit *transmit, const ngtcp2_path *path, uint8_t ecn) {
    /* The addresses came from us, so they are of a family that we know. */
    (void)rn_address_from_sockaddr(&transmit->local, path->local.addr, path->local.addrlen);
    (void)rn_address_from_sockaddr(&transmit->remote, path->remote.addr, path->remote.addrlen);
    transmit->ecn = ecn;
}

static bool same_way(const rn_transmit *a, const rn_transmit *b) {
    return a->ecn == b->ecn && rn_address_equal(&a->remote, &b->remote) &&
           rn_address_equal(&a->local, &b->local);
}

static void commit(rn_conn *conn) {
    if (conn->books.dirty != 0) {
        unsigned dirty = conn->books.dirty;
        conn->books.dirty = 0;
        rn_env_commit(conn->endpoint->config.env, conn, dirty);
    }
}

static size_t flight_limit(const rn_conn *conn) {
    size_t quantum = ngtcp2_conn_get_send_quantum(conn->quic);
    return quantum < RN_FLIGHT_BYTES_MAX ? quantum : RN_FLIGHT_BYTES_MAX;
}

/* Adds packets until one differs in size or way, or nothing more may be sent. */
static int collect(rn_conn *conn, uint8_t *buffer, rn_transmit *out, rn_transmit *carry) {
    size_t limit = flight_limit(conn);
    for (size_t segments = 0; segments < RN_FLIGHT_SEGMENTS_MAX; segments++) {
        ngtcp2_path_storage storage;
        ngtcp2_pkt_info info = {0};
        rn_transmit packet = {0};
        ngtcp2_path_storage_zero(&storage);
        if (rn_conn_path_exhausted(conn)) {
            return 0;
        }
        uint8_t *at = buffer + out->len;
        ngtcp2_ssize len = write_packet(conn, &storage.path, &info, at, RN_DATAGRAM_MAX);
        if (len <= 0) {
            return (int)len;
        }
        address_transmit(&packet, &storage.path, info.ecn);
        packet.data = at;
        packet.len = packet.segment_size = (size_t)len;
        rn_conn_path_sent(conn, &packet);
        if (segments == 0) {
            *out = packet;
        } else if (!same_way(out, &packet) || packet.len > out->segment_size) {
            *carry = packet;
            return 0;
        } else {
            out->len += packet.len;
        }
        if (packet.len < out->segment_size || out->len + out->segment_size > limit) {
            return 0;
        }
    }
    return 0;
}

/* Copied, because the connection may be gone before the socket takes it. */
static bool closing_flight(rn_conn *conn, uint8_t *buffer, rn_transmit *out) {
    if (!conn->close_due) {
        return false;
    }
    conn->close_due = false;
    *out = conn->close_transmit;
    memcpy(buffer, conn->close_packet, conn->close_packet_len);
    out->data = buffer;
    return true;
}

bool rn_conn_flight(rn_conn *conn, uint8_t *buffer, rn_transmit *out, rn_transmit *carry) {
    memset(out, 0, sizeof *out);
    memset(carry, 0, sizeof *carry);
    if (conn->close_asked && conn->quic != NULL) {
        rn_conn_close_now(conn);
    }
    if (conn->quic == NULL) {
        return closing_flight(conn, buffer, out);
    }
    int result = conn->reset_lost ? NGTCP2_ERR_NOMEM : collect(conn, buffer, out, carry);
    if (result < 0) {
        /* What was built before the error stays unsent; the peer sees the close only. */
        memset(out, 0, sizeof *out);
        memset(carry, 0, sizeof *carry);
        rn_conn_fail(conn, result);
        return closing_flight(conn, buffer, out);
    }
    ngtcp2_conn_update_pkt_tx_time(conn->quic, rn_conn_now(conn));
    commit(conn);
    if (conn->resets_wait && conn->state == RN_CONN_ESTABLISHED) {
        /* With the write that ends a client's handshake ngtcp2 (1.11) forgets resets that it has
         * queued before. */
        rn_conn_release_resets(conn);
    }
    return out->len > 0;
}
