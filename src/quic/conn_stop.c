/* conn_stop: streams are given up, in one direction or both.
 *
 * ngtcp2 (1.11) drops what comes out of order on a stream for which STOP_SENDING was sent, and what
 * it holds of it already. It has acknowledged these bytes, so they never come again, and a peer
 * that has all of its bytes acknowledged owes no RESET_STREAM (RFC 9000, section 3.5): the stream
 * would stay open for as long as the connection. Therefore STOP_SENDING waits until nothing is held
 * beyond a gap, and a packet that brings such bytes later is put off.
 *
 * To be put off is to be lost, in every respect: neither acknowledged nor a sign of life. A peer
 * that hears us closes the gap or resets the stream within a few round trips; one that does not
 * forgets the connection by its own idle timeout as soon as we could. */
#include "quic/conn_internal.h"
#include "quic/frame_walk.h"

static bool may_send(const rn_stream *stream) {
    bool local = ngtcp2_conn_is_local_stream(stream->conn->quic, stream->id) != 0;
    return local || ngtcp2_is_bidi_stream(stream->id) != 0;
}

static bool may_receive(const rn_stream *stream) {
    bool local = ngtcp2_conn_is_local_stream(stream->conn->quic, stream->id) != 0;
    return !local || ngtcp2_is_bidi_stream(stream->id) != 0;
}

void rn_conn_note_shutdown(rn_conn *conn, int result) {
    conn->reset_lost |= result == NGTCP2_ERR_NOMEM;
}

static void stop_now(rn_stream *stream, uint64_t code) {
    rn_conn *conn = stream->conn;
    conn->streams_stopped += !stream->stopped;
    stream->stopped = true;
    rn_conn_note_shutdown(conn, ngtcp2_conn_shutdown_stream_read(conn->quic, 0, stream->id, code));
    rn_conn_wake(conn);
}

void rn_stream_stop_sending(rn_stream *stream, uint64_t code) {
    rn_conn *conn = stream->conn;
    if (conn->quic == NULL || !may_receive(stream)) {
        return;
    }
    if (conn->resets_wait || rn_books_hold(&conn->books, stream->id)) {
        stream->stop_due = conn->resets_wait;
        stream->stop_waits = !conn->resets_wait;
        stream->reset_code = code;
        return;
    }
    stop_now(stream, code);
}

void rn_stream_stop_in_turn(rn_stream *stream) {
    if (stream->stop_waits && !rn_books_hold(&stream->conn->books, stream->id)) {
        stream->stop_waits = false;
        stop_now(stream, stream->reset_code);
    }
}

void rn_stream_reset(rn_stream *stream, uint64_t code) {
    rn_conn *conn = stream->conn;
    if (conn->quic == NULL) {
        return;
    }
    if (may_send(stream)) {
        rn_stream_close_write(stream);
        if (conn->resets_wait) {
            stream->reset_due = true;
            stream->reset_code = code;
        } else {
            rn_conn_note_shutdown(
                conn, ngtcp2_conn_shutdown_stream_write(conn->quic, 0, stream->id, code));
        }
    }
    rn_stream_stop_sending(stream, code);
    rn_conn_wake(conn);
}

void rn_conn_release_resets(rn_conn *conn) {
    rn_list *link;
    rn_list *after;
    conn->resets_wait = false;
    RN_LIST_FOREACH(link, after, &conn->streams) {
        rn_stream *stream = RN_CONTAINER_OF(link, rn_stream, link);
        if (stream->reset_due) {
            rn_stream_reset(stream, stream->reset_code);
        } else if (stream->stop_due) {
            rn_stream_stop_sending(stream, stream->reset_code);
        }
    }
}

/* ---- the peer's STOP_SENDING ----
 *
 * ngtcp2 does not tell that one came: it resets our direction by itself (RFC 9000, section 3.5),
 * and takes no more bytes. The books have seen it. */

void rn_stream_note_stop(rn_stream *stream) {
    rn_conn *conn = stream->conn;
    rn_stream_close_write(stream);
    if (conn->handler.stream_stop_sending != NULL && !conn->close_asked) {
        conn->handler.stream_stop_sending(conn, stream, 0, conn->user);
    }
}

/* What is left to the next attempt to send, which has to come soon then. */
static void try_again(rn_conn *conn) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &conn->streams) {
        rn_stream *stream = RN_CONTAINER_OF(link, rn_stream, link);
        if (stream->window_closed) {
            stream->window_closed = false;
            rn_stream_update_ready(stream);
        }
    }
}

void rn_conn_note_stops(rn_conn *conn) {
    rn_books *books = &conn->books;
    for (size_t i = 0; i < books->stops_count; i++) {
        uint64_t key = (uint64_t)books->stops[i];
        rn_stream *stream = rn_map_get(conn->streams_by_id, rn_map_number(&key));
        /* Without a user its request has still to come: whoever serves that hears it then. */
        if (stream != NULL && stream->user != NULL && may_send(stream) && !stream->write_closed &&
            !stream->finish_sent) {
            rn_stream_note_stop(stream);
        }
    }
    books->stops_count = 0;
    if (books->stops_missed) {
        books->stops_missed = false;
        try_again(conn);
    }
}

/* ---- what comes behind our own ---- */

static rn_stream *stopped_stream(const rn_conn *conn, const rn_frame *frame) {
    if (frame->type != RN_FRAME_STREAM || frame->len == 0) {
        return NULL;
    }
    rn_stream *stream = rn_map_get(conn->streams_by_id, rn_map_number(&frame->id));
    return stream != NULL && stream->stopped ? stream : NULL;
}

enum pass { BEGIN, FOLLOW, TAKE };

/* False: bytes of a stopped stream would come out of order. */
static bool walk(rn_conn *conn, const uint8_t *payload, size_t len, enum pass pass) {
    const uint8_t *cursor = payload;
    rn_frame frame;
    while (rn_frame_next(&cursor, payload + len, &frame)) {
        rn_stream *stream = stopped_stream(conn, &frame);
        uint64_t end = frame.offset + frame.len;
        if (stream == NULL) {
            continue;
        }
        if (pass == BEGIN) {
            stream->seen = stream->received;
        } else if (pass == TAKE) {
            /* ngtcp2 gives the window of bytes back that it does not tell of. */
            stream->consumed += stream->seen - stream->received;
            stream->received = stream->seen;
        } else if (frame.offset > stream->seen) {
            return false;
        } else {
            stream->seen = end > stream->seen ? end : stream->seen;
        }
    }
    return true;
}

/* Of a stopped stream nobody but us follows how far it has come. */
bool rn_conn_puts_off(void *user, const uint8_t *payload, size_t len) {
    rn_conn *conn = user;
    if (conn->streams_stopped == 0) {
        return false;
    }
    (void)walk(conn, payload, len, BEGIN);
    if (!walk(conn, payload, len, FOLLOW)) {
        return true;
    }
    (void)walk(conn, payload, len, TAKE);
    return false;
}
