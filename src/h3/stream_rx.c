/* stream_rx: from a stream's bytes to the callbacks of the layer above.
 *
 * The HTTP/3 library reads one stream at a time, so its callbacks find their stream in
 * session->reading. They must not free streams, and do not: a stream is freed in the connection's
 * callbacks only. A user who gave up the stream, or closed the session, inside one of them is
 * spared the rest of the chunk. */
#include <assert.h>

#include "h3/internal.h"
#include "rpcnet/error.h"

static bool is_heard(const rn_h3_stream *stream) {
    return !stream->dropped && !stream->session->closing;
}

/* What a library callback returns: the library must not go on when a nested call broke it. */
static int result(const rn_h3_session *session) {
    return session->broken ? NGHTTP3_ERR_CALLBACK_FAILURE : 0;
}

/* ---- header sections ---- */

static void start_section(rn_h3_stream *stream) {
    stream->fields.len = stream->request_bytes;
    stream->section_count = 0;
    stream->section_size = 0;
    stream->informational = false;
}

/* The section was used. What remains on a server is the request's, for the books. */
static void end_section(rn_h3_stream *stream) {
    if (stream->request_bytes > 0) {
        stream->fields.len = stream->request_bytes;
        return;
    }
    rn_buffer_fini(&stream->fields); /* its limit stays */
}

static int append_field(rn_buffer *fields, rn_bytes name, rn_bytes value) {
    uint32_t lengths[2] = {(uint32_t)name.len, (uint32_t)value.len};
    size_t before = fields->len;
    int rv = rn_buffer_append(fields, lengths, sizeof lengths);
    if (rv == RPCNET_OK) {
        rv = rn_buffer_append(fields, name.data, name.len);
    }
    if (rv == RPCNET_OK) {
        rv = rn_buffer_append(fields, value.data, value.len);
    }
    if (rv != RPCNET_OK) {
        fields->len = before;
    }
    return rv;
}

static size_t list_fields(const rn_buffer *fields, size_t start, size_t count,
                          rn_h3_field out[RN_H3_FIELDS_MAX]) {
    if (fields->data == NULL) {
        return 0; /* an empty section */
    }
    const uint8_t *cursor = fields->data + start;
    for (size_t i = 0; i < count; i++) {
        uint32_t lengths[2];
        memcpy(lengths, cursor, sizeof lengths);
        cursor += sizeof lengths;
        out[i].name = rn_bytes_of(cursor, lengths[0]);
        cursor += lengths[0];
        out[i].value = rn_bytes_of(cursor, lengths[1]);
        cursor += lengths[1];
    }
    return count;
}

size_t rn_h3_stream_request(const rn_h3_stream *stream, rn_h3_field out[RN_H3_FIELDS_MAX]) {
    return list_fields(&stream->fields, 0, stream->request_count, out);
}

static void refuse_section(rn_h3_stream *stream) {
    rn_h3_session *session = stream->session;
    rn_h3_stream_abort(stream, RN_H3_EXCESSIVE_LOAD, RN_H3_EXCESSIVE_LOAD);
    if (session->handler->excessive != NULL) {
        session->handler->excessive(session, session->user);
    }
}

static int on_begin_section(nghttp3_conn *http, int64_t id, void *conn_user, void *stream_user) {
    rn_h3_session *session = conn_user;
    (void)http;
    (void)id;
    (void)stream_user;
    start_section(session->reading);
    return 0;
}

static int on_field(nghttp3_conn *http, int64_t id, int32_t token, nghttp3_rcbuf *name_ref,
                    nghttp3_rcbuf *value_ref, uint8_t flags, void *conn_user, void *stream_user) {
    rn_h3_session *session = conn_user;
    rn_h3_stream *stream = session->reading;
    (void)http;
    (void)id;
    (void)flags;
    (void)stream_user;
    if (!is_heard(stream)) {
        return 0;
    }
    nghttp3_vec name = nghttp3_rcbuf_get_buf(name_ref);
    nghttp3_vec value = nghttp3_rcbuf_get_buf(value_ref);
    stream->section_size += name.len + value.len + 32;
    if (stream->section_count == RN_H3_FIELDS_MAX ||
        stream->section_size > session->field_section_max) {
        refuse_section(stream);
        return result(session);
    }
    if (token == NGHTTP3_QPACK_TOKEN__STATUS && value.len > 0 && value.base[0] == '1') {
        stream->informational = true;
    }
    int rv = append_field(&stream->fields, rn_bytes_of(name.base, name.len),
                          rn_bytes_of(value.base, value.len));
    if (rv != RPCNET_OK) {
        rn_h3_session_fail(session, NGHTTP3_ERR_NOMEM);
        return NGHTTP3_ERR_CALLBACK_FAILURE;
    }
    stream->section_count++;
    return 0;
}

static void deliver_request(rn_h3_stream *stream, const rn_h3_field *fields, size_t count) {
    rn_h3_session *session = stream->session;
    nghttp3_pri priority;
    stream->request_bytes = stream->fields.len;
    stream->request_count = count;
    if (nghttp3_conn_get_stream_priority(session->http, &priority, stream->id) == 0) {
        rn_stream_set_urgency(stream->stream, priority.urgency);
    }
    if (session->handler->request != NULL) {
        session->handler->request(session, stream, fields, count, session->user);
    }
}

static int on_end_headers(nghttp3_conn *http, int64_t id, int fin, void *conn_user,
                          void *stream_user) {
    rn_h3_session *session = conn_user;
    rn_h3_stream *stream = session->reading;
    (void)http;
    (void)id;
    (void)fin;
    (void)stream_user;
    if (is_heard(stream) && !stream->informational) {
        rn_h3_field fields[RN_H3_FIELDS_MAX];
        size_t count = list_fields(&stream->fields, 0, stream->section_count, fields);
        stream->headers_received = true;
        if (session->server) {
            deliver_request(stream, fields, count);
        } else if (stream->handler != NULL && stream->handler->headers != NULL) {
            stream->handler->headers(stream, fields, count, stream->user);
        }
    }
    end_section(stream);
    return result(session);
}

static int on_end_trailers(nghttp3_conn *http, int64_t id, int fin, void *conn_user,
                           void *stream_user) {
    rn_h3_session *session = conn_user;
    rn_h3_stream *stream = session->reading;
    (void)http;
    (void)id;
    (void)fin;
    (void)stream_user;
    if (is_heard(stream) && stream->handler != NULL && stream->handler->trailers != NULL) {
        rn_h3_field fields[RN_H3_FIELDS_MAX];
        size_t count =
            list_fields(&stream->fields, stream->request_bytes, stream->section_count, fields);
        stream->handler->trailers(stream, fields, count, stream->user);
    }
    end_section(stream);
    return result(session);
}

/* ---- body, end, errors ---- */

static int on_data(nghttp3_conn *http, int64_t id, const uint8_t *data, size_t len, void *conn_user,
                   void *stream_user) {
    rn_h3_session *session = conn_user;
    rn_h3_stream *stream = session->reading;
    (void)http;
    (void)id;
    (void)stream_user;
    if (is_heard(stream) && stream->handler != NULL && stream->handler->data != NULL) {
        stream->handler->data(stream, data, len, stream->user);
    } else {
        rn_h3_consume(stream, len);
    }
    return result(session);
}

static int on_deferred_consume(nghttp3_conn *http, int64_t id, size_t consumed, void *conn_user,
                               void *stream_user) {
    rn_h3_session *session = conn_user;
    (void)http;
    (void)stream_user;
    /* Bytes that waited for QPACK; with a table of size zero nothing waits but the present chunk.
     */
    if (session->reading->id == id) {
        rn_h3_consume(session->reading, consumed);
    }
    return 0;
}

static int on_end_stream(nghttp3_conn *http, int64_t id, void *conn_user, void *stream_user) {
    rn_h3_session *session = conn_user;
    rn_h3_stream *stream = session->reading;
    (void)http;
    (void)id;
    (void)stream_user;
    if (is_heard(stream) && !stream->received) {
        stream->received = true;
        if (stream->handler != NULL && stream->handler->end != NULL) {
            stream->handler->end(stream, stream->user);
        }
    }
    return result(session);
}

static int on_library_stop_sending(nghttp3_conn *http, int64_t id, uint64_t code, void *conn_user,
                                   void *stream_user) {
    rn_h3_session *session = conn_user;
    (void)http;
    (void)id;
    (void)stream_user;
    /* For a request the library calls reset_stream, too, and that ends both directions. */
    if (!session->reading->request && !session->closing) {
        rn_stream_stop_sending(session->reading->stream, code);
    }
    return 0;
}

static int on_library_reset(nghttp3_conn *http, int64_t id, uint64_t code, void *conn_user,
                            void *stream_user) {
    rn_h3_session *session = conn_user;
    (void)http;
    (void)id;
    (void)stream_user;
    if (session->reading->request) {
        rn_h3_stream_abort(session->reading, code, code);
    }
    return result(session);
}

/* GOAWAY: a server names the first request that it will not process. */
static int on_shutdown(nghttp3_conn *http, int64_t id, void *conn_user) {
    rn_h3_session *session = conn_user;
    (void)http;
    bool first = !session->goaway_received;
    session->goaway_received = true;
    if (first && session->handler->goaway != NULL) {
        session->handler->goaway(session, session->user);
    }
    if (session->server) {
        return result(session);
    }
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &session->streams) {
        rn_h3_stream *stream = RN_CONTAINER_OF(link, rn_h3_stream, link);
        if (stream->request && !session->closing && stream->id >= id) {
            rn_h3_stream_abort(stream, RN_H3_REQUEST_CANCELLED, RN_H3_REQUEST_REJECTED);
        }
    }
    return result(session);
}

static int on_settings(nghttp3_conn *http, const nghttp3_settings *settings, void *conn_user) {
    rn_h3_session *session = conn_user;
    (void)http;
    session->peer_field_section_max = settings->max_field_section_size;
    return 0;
}

void rn_h3_rx_callbacks(nghttp3_callbacks *out) {
    *out = (nghttp3_callbacks){
        .recv_data = on_data,
        .deferred_consume = on_deferred_consume,
        .begin_headers = on_begin_section,
        .recv_header = on_field,
        .end_headers = on_end_headers,
        .begin_trailers = on_begin_section,
        .recv_trailer = on_field,
        .end_trailers = on_end_trailers,
        .stop_sending = on_library_stop_sending,
        .end_stream = on_end_stream,
        .reset_stream = on_library_reset,
        .shutdown = on_shutdown,
        .recv_settings = on_settings,
    };
}

/* ---- a chunk ---- */

/* The message ended before its header section: an error of the request alone (RFC 9114, section
 * 4.1), while the library would end the whole connection. */
static bool is_incomplete(const rn_h3_stream *stream, size_t len, bool fin) {
    return fin && len == 0 && stream->request && !stream->headers_received &&
           stream->book.state == RN_H3_BOOK_HEADER && stream->book.header_len == 0;
}

static uint64_t broken_book_code(int error) {
    return error == RPCNET_ERR_LIMIT      ? RN_H3_EXCESSIVE_LOAD
           : error == RPCNET_ERR_PROTOCOL ? RN_H3_FRAME_ERROR
                                          : RN_H3_INTERNAL_ERROR;
}

/* False: the session is ending. */
static bool read_bytes(rn_h3_session *session, rn_h3_stream *stream, const uint8_t *data,
                       size_t len, bool fin) {
    assert(session->reading == NULL);
    session->reading = stream;
    nghttp3_ssize consumed =
        nghttp3_conn_read_stream(session->http, stream->id, data, len, fin ? 1 : 0);
    session->reading = NULL;
    if (consumed < 0) {
        rn_h3_session_fail(session, (int)consumed);
        return false;
    }
    rn_h3_consume(stream, (size_t)consumed);
    return !session->closing;
}

/* The HTTP/3 library aborts the process when a chunk ends right behind the id of a PRIORITY_UPDATE
 * with a value still to come (an assertion of 1.8). So the id's last byte waits for the next one.
 */
static bool read_chunk(rn_h3_session *session, rn_h3_stream *stream, const uint8_t *data,
                       size_t len, bool fin) {
    bool hold = len > 0 && rn_h3_book_is_behind_priority_id(&stream->book);
    if (len > 0 && stream->byte_held) {
        const uint8_t joint[] = {stream->held_byte, data[0]};
        stream->byte_held = false;
        if (!read_bytes(session, stream, joint, sizeof joint, false)) {
            return false;
        }
        data++;
        len--;
    }
    if (hold) {
        assert(len > 0); /* what was held was of another frame */
        stream->held_byte = data[--len];
        stream->byte_held = true;
    }
    return (len == 0 && !fin) || read_bytes(session, stream, data, len, fin);
}

/* Larger than what is read as a whole: of a request's frames only HEADERS have a reason to be. */
static void refuse_frame(rn_h3_stream *stream) {
    if (stream->book.frame_type == RN_H3_FRAME_HEADERS) {
        refuse_section(stream);
    } else {
        rn_h3_stream_abort(stream, RN_H3_EXCESSIVE_LOAD, RN_H3_EXCESSIVE_LOAD);
    }
}

/* Calls itself once at most, for the end behind the last bytes. */
/* NOLINTNEXTLINE(misc-no-recursion) */
void rn_h3_rx_data(rn_h3_session *session, rn_h3_stream *stream, const uint8_t *data, size_t len,
                   bool fin) {
    if (stream->request && stream->dropped) {
        rn_h3_consume(stream, len);
        return;
    }
    if (is_incomplete(stream, len, fin)) {
        rn_h3_stream_abort(stream, RN_H3_REQUEST_INCOMPLETE, RN_H3_REQUEST_INCOMPLETE);
        return;
    }
    int rv = rn_h3_book_read(&stream->book, data, len);
    if (rv == RPCNET_ERR_LIMIT && stream->request) {
        refuse_frame(stream);
        rn_h3_consume(stream, len);
        return;
    }
    if (rv != RPCNET_OK) {
        rn_h3_session_abort(session, broken_book_code(rv), rpcnet_strerror(rv));
        return;
    }
    /* Whether a header section has come is known when the bytes before the end have been read. */
    bool end_later = fin && len > 0 && stream->request && !stream->headers_received;
    if (read_chunk(session, stream, data, len, fin && !end_later) && end_later) {
        rn_h3_rx_data(session, stream, NULL, 0, true);
    }
}
