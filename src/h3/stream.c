/* stream: the life of a stream of a session. A stream is made by its first bytes or by
 * rn_h3_request, and freed when the connection says that it is over. */
#include "h3/session.h"

#include <assert.h>
#include <stdlib.h>

#include "h3/internal.h"
#include "rpcnet/error.h"

bool rn_h3_stream_is_request_id(int64_t id) {
    return (id & 0x3) == 0;
}

rn_h3_stream *rn_h3_stream_new(rn_h3_session *session, rn_stream *quic_stream, bool request) {
    rn_h3_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    stream->session = session;
    stream->stream = quic_stream;
    stream->id = rn_stream_id(quic_stream);
    stream->request = request;
    bool unidirectional = (stream->id & 0x2) != 0;
    rn_budget *budget = rn_conn_budget(session->conn);
    /* The few bytes of unidirectional streams are part of what a connection costs. */
    rn_h3_book_init(&stream->book, unidirectional, request ? budget : NULL);
    /* Twice: a request's fields stay while its trailers are decoded. */
    size_t overhead = sizeof(uint32_t) * 2 * RN_H3_FIELDS_MAX;
    rn_buffer_init_counted(&stream->fields, 2 * (session->field_section_max + overhead), budget);
    rn_list_append(&session->streams, &stream->link);
    session->requests += request ? 1 : 0;
    rn_stream_set_user(quic_stream, stream);
    return stream;
}

void rn_h3_stream_del(rn_h3_stream *stream) {
    rn_h3_session *session = stream->session;
    assert(session->reading != stream);
    rn_list_remove(&stream->link);
    session->requests -= stream->request ? 1 : 0;
    rn_h3_book_fini(&stream->book);
    rn_buffer_fini(&stream->fields);
    free(stream);
}

static void reset(rn_h3_stream *stream, uint64_t code) {
    rn_h3_session *session = stream->session;
    stream->dropped = true;
    if (session->closing) {
        return;
    }
    bool over = stream->sent && stream->received;
    stream->sent = stream->received = true;
    if (!session->broken) {
        nghttp3_conn_shutdown_stream_write(session->http, stream->id);
    }
    if (!over) {
        rn_stream_reset(stream->stream, code);
    }
}

void rn_h3_stream_abort(rn_h3_stream *stream, uint64_t code, uint64_t told) {
    bool tell = !stream->received && stream->handler != NULL && stream->handler->reset != NULL;
    reset(stream, code);
    if (tell) {
        stream->handler->reset(stream, told, stream->user);
    }
}

void rn_h3_reset(rn_h3_stream *stream, uint64_t code) {
    reset(stream, code);
}

void rn_h3_drop(rn_h3_stream *stream, uint64_t code) {
    reset(stream, code);
    rn_h3_book_fini(&stream->book); /* what still comes is not read */
    rn_buffer_fini(&stream->fields);
    stream->request_bytes = stream->request_count = 0;
    if (!stream->session->closing) {
        rn_stream_reset(stream->stream, code);
    }
}

void rn_h3_stop_receiving(rn_h3_stream *stream, uint64_t code) {
    if (stream->received || stream->session->closing) {
        return;
    }
    stream->received = stream->dropped = true;
    rn_stream_stop_sending(stream->stream, code);
}

void rn_h3_forget(rn_h3_stream *stream, uint64_t code) {
    stream->handler = NULL;
    stream->user = NULL;
    reset(stream, code);
}

void rn_h3_consume(rn_h3_stream *stream, size_t len) {
    if (len > 0 && !stream->session->closing) {
        rn_stream_consume(stream->stream, len);
    }
}

void rn_h3_stream_set_handler(rn_h3_stream *stream, const rn_h3_stream_handler *handler,
                              void *user) {
    stream->handler = handler;
    stream->user = user;
}

void rn_h3_stream_set_urgency(rn_h3_stream *stream, unsigned urgency) {
    rn_h3_session *session = stream->session;
    if (session->closing) {
        return;
    }
    rn_stream_set_urgency(stream->stream, urgency);
    if (session->server) {
        nghttp3_pri ours = {.urgency = urgency};
        int rv = nghttp3_conn_set_server_stream_priority(session->http, stream->id, &ours);
        if (rv != 0 && rv != NGHTTP3_ERR_STREAM_NOT_FOUND) { /* inside `closed` */
            rn_h3_session_fail(session, rv);
        }
    }
}

uint64_t rn_h3_stream_number(const rn_h3_stream *stream) {
    assert(stream->request);
    return (uint64_t)stream->id / 4 + 1;
}

rn_h3_session *rn_h3_stream_session(const rn_h3_stream *stream) {
    return stream->session;
}

size_t rn_h3_stream_memory(const rn_h3_stream *stream) {
    size_t ring = stream->session->closing ? 0 : rn_stream_memory(stream->stream);
    return ring + stream->fields.capacity + stream->book.payload.capacity;
}

void *rn_h3_stream_user(const rn_h3_stream *stream, const rn_h3_stream_handler *handler) {
    return stream->handler == handler ? stream->user : NULL;
}

rn_h3_stream *rn_h3_session_next_stream(const rn_h3_session *session, const rn_h3_stream *before) {
    const rn_list *at = before != NULL ? &before->link : &session->streams;
    while (at->next != &session->streams) {
        rn_h3_stream *stream = RN_CONTAINER_OF(at->next, rn_h3_stream, link);
        if (stream->request) {
            return stream;
        }
        at = at->next;
    }
    return NULL;
}

bool rn_h3_stream_is_sent(const rn_h3_stream *stream) {
    return stream->sent;
}

const rn_h3_book *rn_h3_stream_book(const rn_h3_stream *stream) {
    return &stream->book;
}
