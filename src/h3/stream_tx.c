/* stream_tx: what is sent.
 *
 * The HTTP/3 library would keep pointers to the caller's bytes until they are acknowledged. Here
 * they are acknowledged to it at once, as soon as they are copied into the stream's ring: a body is
 * offered to its read callback only while rn_h3_send runs, after it was made sure that the ring has
 * room for the whole frame, and the memory. So the library never holds output back, and needs no
 * blocking; and what a single stream cannot send for lack of memory does not break the session. */
#include <assert.h>

#include "base/varint.h"
#include "h3/internal.h"
#include "rpcnet/error.h"

enum {
    VECTORS_MAX = 16,
    DATA_HEADER_MAX = 9,     /* type, and a length of up to eight bytes */
    SECTION_OVERHEAD = 32,   /* frame header and QPACK prefix, rounded up */
    FIELD_OVERHEAD = 12,     /* QPACK's lengths of a name and a value, rounded up */
    FIELD_SIZE_OVERHEAD = 32 /* RFC 9114, section 4.2.2 */
};

/* ---- from the library into the rings ---- */

static rn_stream *find_target(const rn_h3_session *session, int64_t id) {
    rn_stream *critical[] = {session->control, session->qpack_encoder, session->qpack_decoder};
    for (size_t i = 0; i < sizeof critical / sizeof critical[0]; i++) {
        if (critical[i] != NULL && rn_stream_id(critical[i]) == id) {
            return critical[i];
        }
    }
    if (session->offer.stream != NULL && session->offer.stream->id == id) {
        return session->offer.stream->stream;
    }
    return NULL;
}

/* A critical stream's ring is full, because the peer acknowledges nothing of it, or there is no
 * memory for it. */
static int give_up(rn_h3_session *session, int rv) {
    rn_h3_session_abort(session,
                        rv == RPCNET_ERR_AGAIN ? RN_H3_EXCESSIVE_LOAD : RN_H3_INTERNAL_ERROR,
                        rpcnet_strerror(rv));
    return rv == RPCNET_ERR_MEMORY ? rv : RPCNET_ERR_CLOSED;
}

int rn_h3_tx_flush(rn_h3_session *session) {
    for (;;) {
        int64_t id = -1;
        int fin = 0;
        nghttp3_vec vectors[VECTORS_MAX];
        rn_bytes pieces[VECTORS_MAX];
        size_t len = 0;
        nghttp3_ssize count =
            nghttp3_conn_writev_stream(session->http, &id, &fin, vectors, VECTORS_MAX);
        if (count < 0) {
            rn_h3_session_fail(session, (int)count);
            return count == NGHTTP3_ERR_NOMEM ? RPCNET_ERR_MEMORY : RPCNET_ERR_CLOSED;
        }
        if (id < 0) {
            return RPCNET_OK;
        }
        for (nghttp3_ssize i = 0; i < count; i++) {
            pieces[i] = rn_bytes_of(vectors[i].base, vectors[i].len);
            len += vectors[i].len;
        }
        rn_stream *target = find_target(session, id);
        assert(target != NULL); /* only the stream that is being sent on has output */
        int rv = rn_stream_write(target, pieces, (size_t)count, fin != 0);
        if (rv != RPCNET_OK) {
            return give_up(session, rv);
        }
        rv = nghttp3_conn_add_write_offset(session->http, id, len);
        if (rv == 0) {
            rv = nghttp3_conn_add_ack_offset(session->http, id, len);
        }
        if (rv != 0) {
            rn_h3_session_fail(session, rv);
            return RPCNET_ERR_MEMORY;
        }
    }
}

static nghttp3_ssize read_data(nghttp3_conn *http, int64_t id, nghttp3_vec *vectors,
                               size_t vector_count, uint32_t *flags, void *conn_user,
                               void *stream_user) {
    rn_h3_session *session = conn_user;
    rn_h3_offer *offer = &session->offer;
    (void)http;
    (void)stream_user;
    assert(vector_count >= RN_H3_PIECES_MAX);
    if (offer->stream == NULL || offer->stream->id != id) {
        return NGHTTP3_ERR_WOULDBLOCK;
    }
    nghttp3_ssize used = 0;
    for (size_t i = 0; i < offer->count; i++) {
        if (offer->pieces[i].len > 0) {
            /* The library only reads them; its type is not const. */
            vectors[used].base = (uint8_t *)(uintptr_t)offer->pieces[i].data;
            vectors[used++].len = offer->pieces[i].len;
        }
    }
    offer->count = 0;
    if (offer->end) {
        *flags = NGHTTP3_DATA_FLAG_EOF | (offer->trailers ? NGHTTP3_DATA_FLAG_NO_END_STREAM : 0);
        return used;
    }
    return used > 0 ? used : NGHTTP3_ERR_WOULDBLOCK;
}

static const nghttp3_data_reader body_reader = {.read_data = read_data};

/* Flushes with `stream` as the one that is sent on; `offer` is its body. A send inside a callback
 * cannot happen inside another one's flush: flushing calls nobody. */
static int flush_stream(rn_h3_stream *stream, rn_h3_offer offer) {
    rn_h3_session *session = stream->session;
    assert(session->offer.stream == NULL);
    offer.stream = stream;
    session->offer = offer;
    int rv = rn_h3_tx_flush(session);
    session->offer = (rn_h3_offer){.stream = NULL};
    return rv;
}

/* ---- header sections ---- */

/* An upper bound of the frame. RPCNET_ERR_LIMIT: too many fields, or too large for the peer. */
static int measure_fields(const rn_h3_session *session, const rn_h3_field *fields, size_t count,
                          size_t *frame_len) {
    size_t text = 0;
    for (size_t i = 0; i < count; i++) {
        text += fields[i].name.len + fields[i].value.len;
    }
    if (count > RN_H3_FIELDS_MAX ||
        text + count * FIELD_SIZE_OVERHEAD > session->peer_field_section_max) {
        return RPCNET_ERR_LIMIT;
    }
    *frame_len = SECTION_OVERHEAD + text + count * FIELD_OVERHEAD;
    return RPCNET_OK;
}

static void fill_fields(nghttp3_nv *out, const rn_h3_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (nghttp3_nv){
            .name = (uint8_t *)(uintptr_t)fields[i].name.data,
            .namelen = fields[i].name.len,
            .value = (uint8_t *)(uintptr_t)fields[i].value.data,
            .valuelen = fields[i].value.len,
            .flags = NGHTTP3_NV_FLAG_NONE,
        };
    }
}

/* Makes sure that the ring takes the section, or asks it to tell of room. */
static int reserve_section(rn_h3_stream *stream, const rn_h3_field *fields, size_t count) {
    size_t frame_len = 0;
    int rv = measure_fields(stream->session, fields, count, &frame_len);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (frame_len > rn_stream_room_max(stream->stream)) {
        return RPCNET_ERR_LIMIT; /* there will never be room for it */
    }
    rv = rn_stream_reserve(stream->stream, frame_len);
    stream->want_room |= rv == RPCNET_ERR_AGAIN;
    return rv;
}

static int check_sendable(const rn_h3_stream *stream) {
    return stream->session->closing || stream->session->broken || stream->sent ? RPCNET_ERR_CLOSED
                                                                               : RPCNET_OK;
}

int rn_h3_respond(rn_h3_stream *stream, const rn_h3_field *fields, size_t count, bool end) {
    rn_h3_session *session = stream->session;
    int rv = check_sendable(stream);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (stream->headers_sent || !session->server) {
        return RPCNET_ERR_STATE;
    }
    rv = reserve_section(stream, fields, count);
    if (rv != RPCNET_OK) {
        return rv;
    }
    nghttp3_nv list[RN_H3_FIELDS_MAX];
    fill_fields(list, fields, count);
    rv = nghttp3_conn_submit_response(session->http, stream->id, list, count,
                                      end ? NULL : &body_reader);
    if (rv != 0) {
        rn_h3_session_fail(session, rv);
        return RPCNET_ERR_MEMORY;
    }
    stream->headers_sent = true;
    stream->sent = end;
    return flush_stream(stream, (rn_h3_offer){.count = 0});
}

int rn_h3_trailers(rn_h3_stream *stream, const rn_h3_field *fields, size_t count) {
    rn_h3_session *session = stream->session;
    int rv = check_sendable(stream);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (!stream->headers_sent) {
        return RPCNET_ERR_STATE;
    }
    rv = reserve_section(stream, fields, count);
    if (rv != RPCNET_OK) {
        return rv;
    }
    nghttp3_nv list[RN_H3_FIELDS_MAX];
    fill_fields(list, fields, count);
    int64_t id = stream->id;
    rv = nghttp3_conn_submit_trailers(session->http, id, list, count);
    if (rv == 0) {
        rv = nghttp3_conn_resume_stream(session->http, id);
    }
    if (rv != 0) {
        rn_h3_session_fail(session, rv);
        return RPCNET_ERR_MEMORY;
    }
    stream->sent = true;
    return flush_stream(stream, (rn_h3_offer){.end = true, .trailers = true});
}

static int submit_request(rn_h3_stream *stream, const rn_h3_field *fields, size_t count, bool end) {
    rn_h3_session *session = stream->session;
    nghttp3_nv list[RN_H3_FIELDS_MAX];
    fill_fields(list, fields, count);
    int rv = nghttp3_conn_submit_request(session->http, stream->id, list, count,
                                         end ? NULL : &body_reader, NULL);
    if (rv != 0) {
        rn_h3_session_fail(session, rv);
        return RPCNET_ERR_MEMORY;
    }
    stream->headers_sent = true;
    stream->sent = end;
    return flush_stream(stream, (rn_h3_offer){.count = 0});
}

int rn_h3_request(rn_h3_session *session, const rn_h3_field *fields, size_t count, bool end,
                  const rn_h3_stream_handler *handler, void *user, rn_h3_stream **out) {
    size_t frame_len = 0;
    assert(!session->server);
    if (session->closing || session->broken || session->goaway_received) {
        return RPCNET_ERR_CLOSED;
    }
    if (!session->established) {
        return RPCNET_ERR_STATE;
    }
    int rv = measure_fields(session, fields, count, &frame_len);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rn_stream *quic_stream = NULL;
    rv = rn_conn_open_bidi(session->conn, &quic_stream);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rv = rn_stream_reserve(quic_stream, frame_len);
    if (rv != RPCNET_OK) {
        rn_stream_reset(quic_stream, RN_H3_REQUEST_CANCELLED);
        return rv == RPCNET_ERR_AGAIN ? RPCNET_ERR_LIMIT : rv;
    }
    rn_h3_stream *stream = rn_h3_stream_new(session, quic_stream, true);
    if (stream == NULL) {
        rn_stream_reset(quic_stream, RN_H3_REQUEST_CANCELLED);
        return RPCNET_ERR_MEMORY;
    }
    rv = submit_request(stream, fields, count, end);
    if (rv != RPCNET_OK) {
        rn_h3_forget(stream, RN_H3_REQUEST_CANCELLED);
        return rv;
    }
    rn_h3_stream_set_handler(stream, handler, user);
    *out = stream;
    return RPCNET_OK;
}

/* ---- body ---- */

/* The longest body whose DATA frame fits into `room`. */
static size_t body_that_fits(size_t room) {
    static const struct {
        size_t header;
        uint64_t body_max;
    } forms[] = {
        {2, 63}, {3, 16383}, {5, (UINT64_C(1) << 30) - 1}, {DATA_HEADER_MAX, RN_VARINT_MAX}};
    size_t best = 0;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0] && forms[i].header < room; i++) {
        size_t body = room - forms[i].header;
        body = body < forms[i].body_max ? body : (size_t)forms[i].body_max;
        best = body > best ? body : best;
    }
    return best;
}

size_t rn_h3_room(const rn_h3_stream *stream) {
    if (check_sendable(stream) != RPCNET_OK || !stream->headers_sent) {
        return 0;
    }
    return body_that_fits(rn_stream_room(stream->stream));
}

size_t rn_h3_room_behind(const rn_h3_stream *stream, const rn_h3_field *fields, size_t count) {
    size_t frame_len = 0;
    if (check_sendable(stream) != RPCNET_OK ||
        measure_fields(stream->session, fields, count, &frame_len) != RPCNET_OK) {
        return 0;
    }
    size_t room = rn_stream_room(stream->stream);
    return room > frame_len ? body_that_fits(room - frame_len) : 0;
}

static size_t cut_pieces(rn_bytes *out, const rn_bytes *pieces, size_t count, size_t len) {
    size_t used = 0;
    for (size_t i = 0; i < count && len > 0; i++) {
        size_t part = pieces[i].len < len ? pieces[i].len : len;
        out[used++] = rn_bytes_of(pieces[i].data, part);
        len -= part;
    }
    return used;
}

/* `len`: of all pieces. */
static int send_body(rn_h3_stream *stream, const rn_bytes *pieces, size_t count, size_t len,
                     bool end) {
    rn_h3_session *session = stream->session;
    size_t room = rn_stream_room(stream->stream);
    size_t frame = len + DATA_HEADER_MAX < room ? len + DATA_HEADER_MAX : room;
    int rv = rn_stream_reserve(stream->stream, frame);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rv = nghttp3_conn_resume_stream(session->http, stream->id);
    if (rv != 0) {
        rn_h3_session_fail(session, rv);
        return RPCNET_ERR_MEMORY;
    }
    stream->sent = end;
    return flush_stream(stream, (rn_h3_offer){.pieces = pieces, .count = count, .end = end});
}

int rn_h3_send(rn_h3_stream *stream, const rn_bytes *pieces, size_t count, bool end,
               size_t *taken) {
    size_t len = 0;
    *taken = 0;
    int rv = check_sendable(stream);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (!stream->headers_sent) {
        return RPCNET_ERR_STATE;
    }
    assert(count <= RN_H3_PIECES_MAX);
    for (size_t i = 0; i < count; i++) {
        len += pieces[i].len;
    }
    if (len == 0 && !end) {
        return RPCNET_OK;
    }
    size_t fits = body_that_fits(rn_stream_room(stream->stream));
    if (len <= fits) {
        rv = send_body(stream, pieces, count, len, end);
        *taken = rv == RPCNET_OK ? len : 0;
        return rv;
    }
    rv = rn_stream_reserve(stream->stream, len + DATA_HEADER_MAX); /* more than there is room for */
    stream->want_room |= rv == RPCNET_ERR_AGAIN;
    if (rv != RPCNET_ERR_AGAIN || fits < RN_H3_SEND_PART_MIN) {
        return rv;
    }
    rn_bytes part[RN_H3_PIECES_MAX];
    rv = send_body(stream, part, cut_pieces(part, pieces, count, fits), fits, false);
    *taken = rv == RPCNET_OK ? fits : 0;
    return rv;
}
