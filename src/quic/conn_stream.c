/* conn_stream: streams of a connection: their rings, windows and turns. */
#include <assert.h>
#include <stdlib.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"

/* The smaller of the two sides' timeouts (RFC 9000, section 10.1); UINT64_MAX: none. */
static uint64_t idle_timeout(const rn_conn *conn) {
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(conn->quic);
    uint64_t ours = conn->endpoint->config.limits.idle_timeout_ns;
    uint64_t theirs = peer != NULL ? peer->max_idle_timeout : 0;
    ours = ours > 0 ? ours : UINT64_MAX;
    return theirs > 0 && theirs < ours ? theirs : ours;
}

/* Whoever keeps a connection alive does so in time, with a packet to lose: the peer's idle timeout
 * may be shorter than what was set here. But no peer makes us send all the time. */
void rn_conn_update_keep_alive(rn_conn *conn) {
    enum { KEEP_ALIVES_IN_IDLE_TIMEOUT = 3 };
    const uint64_t shortest_idle_timeout = RN_SECOND;
    const rn_quic_limits *limits = &conn->endpoint->config.limits;
    if (conn->quic == NULL) {
        return;
    }
    uint64_t timeout = limits->keep_alive_ns > 0 ? limits->keep_alive_ns : UINT64_MAX;
    if (conn->streams_waiting > 0 && limits->keep_alive_waiting_ns > 0 &&
        limits->keep_alive_waiting_ns < timeout) {
        timeout = limits->keep_alive_waiting_ns;
    }
    if (timeout != UINT64_MAX) {
        uint64_t idle = idle_timeout(conn);
        idle = idle > shortest_idle_timeout ? idle : shortest_idle_timeout;
        timeout = timeout < idle / KEEP_ALIVES_IN_IDLE_TIMEOUT ? timeout
                                                               : idle / KEEP_ALIVES_IN_IDLE_TIMEOUT;
    }
    ngtcp2_conn_set_keep_alive_timeout(conn->quic, timeout);
}

/* Bits of a stream id: who opened it, and which kind it is (RFC 9000, section 2.1). */
static bool is_waiting(const rn_stream *stream) {
    return (stream->id & 3) == (stream->conn->server ? 1 : 0);
}

int rn_stream_new(rn_stream **out, rn_conn *conn, int64_t id) {
    rn_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    uint64_t key = (uint64_t)id;
    int result = rn_map_put(conn->streams_by_id, rn_map_number(&key), stream);
    if (result != RPCNET_OK) {
        free(stream);
        return result;
    }
    stream->conn = conn;
    stream->id = id;
    stream->urgency = RN_URGENCY_DEFAULT;
    /* The few bytes of unidirectional streams are part of what a connection costs. */
    rn_send_ring_init(&stream->ring, conn->endpoint->config.limits.send_ring_bytes,
                      ngtcp2_is_bidi_stream(id) != 0 ? conn->endpoint->config.limits.budget : NULL);
    rn_list_init(&stream->ready);
    rn_list_append(&conn->streams, &stream->link);
    if (is_waiting(stream) && conn->streams_waiting++ == 0) {
        rn_conn_update_keep_alive(conn);
    }
    *out = stream;
    return RPCNET_OK;
}

void rn_stream_del(rn_stream *stream) {
    stream->conn->streams_stopped -= stream->stopped;
    if (is_waiting(stream) && --stream->conn->streams_waiting == 0) {
        rn_conn_update_keep_alive(stream->conn);
    }
    uint64_t key = (uint64_t)stream->id;
    rn_map_remove(stream->conn->streams_by_id, rn_map_number(&key));
    rn_list_remove(&stream->link);
    rn_list_remove(&stream->ready);
    rn_send_ring_fini(&stream->ring);
    free(stream);
}

/* In its turn exactly while it has something to send and window to send it. */
void rn_stream_update_ready(rn_stream *stream) {
    bool pending =
        rn_send_ring_unsent(&stream->ring) > 0 || (stream->finish && !stream->finish_sent);
    bool ready = pending && !stream->write_closed && !stream->window_closed;
    if (!ready) {
        rn_list_remove(&stream->ready);
    } else if (!rn_list_linked(&stream->ready)) {
        rn_list_append(&stream->conn->ready[stream->urgency], &stream->ready);
    }
}

void rn_stream_close_write(rn_stream *stream) {
    stream->write_closed = true;
    if (!stream->ring.leaving) {
        stream->abandoned_ns = rn_conn_now(stream->conn);
    }
    rn_send_ring_abandon(&stream->ring);
    rn_stream_update_ready(stream);
}

bool rn_conn_delivered(void *user, int64_t stream_id, uint64_t *offset) {
    const rn_conn *conn = user;
    uint64_t key = (uint64_t)stream_id;
    const rn_stream *stream = rn_map_get(conn->streams_by_id, rn_map_number(&key));
    if (stream == NULL) {
        return false;
    }
    *offset = stream->received;
    return true;
}

static int open_stream(rn_conn *conn, rn_stream **out, bool bidi) {
    int64_t id;
    if (conn->state != RN_CONN_ESTABLISHED || conn->close_asked) {
        return conn->state == RN_CONN_HANDSHAKE && !conn->close_asked ? RPCNET_ERR_STATE
                                                                      : RPCNET_ERR_CLOSED;
    }
    int opened = bidi ? ngtcp2_conn_open_bidi_stream(conn->quic, &id, NULL)
                      : ngtcp2_conn_open_uni_stream(conn->quic, &id, NULL);
    if (opened != 0) {
        return opened == NGTCP2_ERR_NOMEM ? RPCNET_ERR_MEMORY : RPCNET_ERR_LIMIT;
    }
    rn_stream *stream;
    int result = rn_stream_new(&stream, conn, id);
    if (result != RPCNET_OK) {
        /* ngtcp2 has counted the stream; close it so that the peer can forget it. Before the first
         * flight that would be lost (rn_conn_release_resets). */
        rn_conn_note_shutdown(conn, conn->resets_wait
                                        ? NGTCP2_ERR_NOMEM
                                        : ngtcp2_conn_shutdown_stream(conn->quic, 0, id, 0));
        rn_conn_wake(conn);
        return result;
    }
    ngtcp2_conn_set_stream_user_data(conn->quic, id, stream);
    *out = stream;
    return RPCNET_OK;
}

int rn_conn_open_bidi(rn_conn *conn, rn_stream **out) {
    return open_stream(conn, out, true);
}

int rn_conn_open_uni(rn_conn *conn, rn_stream **out) {
    return open_stream(conn, out, false);
}

int64_t rn_stream_id(const rn_stream *stream) {
    return stream->id;
}

void rn_stream_set_user(rn_stream *stream, void *user) {
    stream->user = user;
}

void *rn_stream_user(const rn_stream *stream) {
    return stream->user;
}

void rn_stream_set_urgency(rn_stream *stream, unsigned urgency) {
    assert(urgency < RN_URGENCY_LEVELS);
    if (stream->urgency != urgency) {
        stream->urgency = urgency;
        rn_list_remove(&stream->ready);
        rn_stream_update_ready(stream);
    }
}

size_t rn_stream_memory(const rn_stream *stream) {
    return stream->ring.leaving ? 0 : stream->ring.memory;
}

size_t rn_stream_room(const rn_stream *stream) {
    return rn_send_ring_room(&stream->ring);
}

size_t rn_stream_room_max(const rn_stream *stream) {
    return stream->ring.limit;
}

static bool is_writable(const rn_stream *stream) {
    return !stream->write_closed && !stream->finish && stream->conn->quic != NULL;
}

int rn_stream_reserve(rn_stream *stream, size_t len) {
    if (!is_writable(stream)) {
        return RPCNET_ERR_CLOSED;
    }
    int result = rn_send_ring_reserve(&stream->ring, len);
    stream->wants_room |= result == RPCNET_ERR_AGAIN;
    return result;
}

int rn_stream_write(rn_stream *stream, const rn_bytes *pieces, size_t count, bool fin) {
    if (!is_writable(stream)) {
        return RPCNET_ERR_CLOSED;
    }
    int result = rn_send_ring_append(&stream->ring, pieces, count);
    stream->wants_room |= result == RPCNET_ERR_AGAIN || rn_send_ring_room(&stream->ring) == 0;
    if (result != RPCNET_OK) {
        return result;
    }
    stream->finish = fin;
    rn_stream_update_ready(stream);
    rn_conn_wake(stream->conn);
    return RPCNET_OK;
}

void rn_stream_consume(rn_stream *stream, size_t len) {
    rn_conn *conn = stream->conn;
    assert(stream->consumed + len <= stream->received);
    stream->consumed += len;
    if (conn->quic == NULL || len == 0) {
        return;
    }
    /* Fails only for streams that are gone, whose window nobody needs. */
    (void)ngtcp2_conn_extend_max_stream_offset(conn->quic, stream->id, len);
    ngtcp2_conn_extend_max_offset(conn->quic, len);
    rn_conn_wake(conn);
}
