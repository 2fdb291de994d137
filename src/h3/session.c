/* session: its life, and the callbacks of its connection. */
#include "h3/session.h"

#include <assert.h>
#include <stdlib.h>

#include "h3/internal.h"
#include "rpcnet/error.h"

enum { STREAMS_DEFAULT = 128 };

void rn_h3_session_abort(rn_h3_session *session, uint64_t code, const char *text) {
    session->broken = true;
    if (!session->closing) {
        session->closing = true;
        session->peer_at_fault = code != RN_H3_INTERNAL_ERROR;
        rn_conn_close(session->conn, code, text);
    }
}

void rn_h3_session_fail(rn_h3_session *session, int library_error) {
    uint64_t code = nghttp3_err_is_fatal(library_error)
                        ? RN_H3_INTERNAL_ERROR
                        : nghttp3_err_infer_quic_app_error_code(library_error);
    rn_h3_session_abort(session, code, nghttp3_strerror(library_error));
}

/* ---- the connection's callbacks ---- */

static int open_critical_streams(rn_h3_session *session) {
    rn_stream **streams[] = {&session->control, &session->qpack_encoder, &session->qpack_decoder};
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        int rv = rn_conn_open_uni(session->conn, streams[i]);
        if (rv != RPCNET_OK) {
            return rv;
        }
        rn_stream_set_urgency(*streams[i], 0);
    }
    return RPCNET_OK;
}

static void on_established(rn_conn *conn, void *user) {
    rn_h3_session *session = user;
    if (session->closing) {
        return;
    }
    if (open_critical_streams(session) != RPCNET_OK) {
        /* RFC 9114, section 6.2: the peer has to allow three of them. */
        rn_h3_session_abort(session, RN_H3_GENERAL_PROTOCOL_ERROR,
                            "the peer does not allow the critical streams");
        return;
    }
    int rv = nghttp3_conn_bind_control_stream(session->http, rn_stream_id(session->control));
    if (rv == 0) {
        rv = nghttp3_conn_bind_qpack_streams(session->http, rn_stream_id(session->qpack_encoder),
                                             rn_stream_id(session->qpack_decoder));
    }
    if (rv != 0) {
        rn_h3_session_fail(session, rv);
        return;
    }
    if (rn_h3_tx_flush(session) != RPCNET_OK) {
        return;
    }
    session->established = true;
    (void)conn;
    if (session->handler->established != NULL) {
        session->handler->established(session, session->user);
    }
}

/* The client has changed priorities by PRIORITY_UPDATE, of which the library does not tell. */
static void refresh_urgencies(rn_h3_session *session) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &session->streams) {
        rn_h3_stream *stream = RN_CONTAINER_OF(link, rn_h3_stream, link);
        nghttp3_pri priority;
        if (stream->request &&
            nghttp3_conn_get_stream_priority(session->http, &priority, stream->id) == 0) {
            rn_stream_set_urgency(stream->stream, priority.urgency);
        }
    }
}

static void on_stream_data(rn_conn *conn, rn_stream *quic_stream, const uint8_t *data, size_t len,
                           bool fin, void *user) {
    rn_h3_session *session = user;
    (void)conn;
    if (session->closing) {
        return;
    }
    rn_h3_stream *stream = rn_stream_user(quic_stream);
    if (stream == NULL) {
        bool request = rn_h3_stream_is_request_id(rn_stream_id(quic_stream));
        stream = rn_h3_stream_new(session, quic_stream, request);
        if (stream == NULL) {
            rn_h3_session_fail(session, NGHTTP3_ERR_NOMEM);
            return;
        }
    }
    uint64_t priorities = stream->book.priorities;
    rn_h3_rx_data(session, stream, data, len, fin);
    if (session->server && stream->book.priorities != priorities && !session->broken) {
        refresh_urgencies(session);
    }
}

/* A stream of the client's that was reset before it was a request: nobody else would end our
 * direction of it. */
static void end_unopened(const rn_h3_session *session, rn_stream *quic_stream) {
    if (session->server && rn_h3_stream_is_request_id(rn_stream_id(quic_stream))) {
        rn_stream_reset(quic_stream, RN_H3_REQUEST_INCOMPLETE);
    }
}

static void on_stream_reset(rn_conn *conn, rn_stream *quic_stream, uint64_t code, void *user) {
    rn_h3_session *session = user;
    rn_h3_stream *stream = rn_stream_user(quic_stream);
    (void)conn;
    if (session->closing) {
        return;
    }
    if (stream == NULL) {
        end_unopened(session, quic_stream);
        return;
    }
    if (!stream->request) {
        return;
    }
    stream->dropped = true;
    if (!stream->received) {
        stream->received = true;
        if (stream->handler != NULL && stream->handler->reset != NULL) {
            stream->handler->reset(stream, code, stream->user);
        } else if (stream->handler == NULL) {
            rn_h3_reset(stream, RN_H3_REQUEST_INCOMPLETE);
        }
    }
}

static void on_stream_stop_sending(rn_conn *conn, rn_stream *quic_stream, uint64_t code,
                                   void *user) {
    rn_h3_session *session = user;
    rn_h3_stream *stream = rn_stream_user(quic_stream);
    (void)conn;
    if (stream == NULL || !stream->request || session->closing) {
        return;
    }
    stream->sent = true;
    nghttp3_conn_shutdown_stream_write(session->http, rn_stream_id(quic_stream));
    if (stream->handler != NULL && stream->handler->stopped != NULL) {
        stream->handler->stopped(stream, code, stream->user);
    }
}

static void on_stream_room(rn_conn *conn, rn_stream *quic_stream, void *user) {
    rn_h3_session *session = user;
    rn_h3_stream *stream = rn_stream_user(quic_stream);
    (void)conn;
    if (stream == NULL || !stream->want_room || session->closing) {
        return;
    }
    stream->want_room = false;
    if (!stream->sent && stream->handler != NULL && stream->handler->room != NULL) {
        stream->handler->room(stream, stream->user);
    }
}

/* A request that ended before the HTTP/3 library heard of it: it has to hear of its number, or a
 * later PRIORITY_UPDATE for that would make a stream that nobody closes. Once the last GOAWAY is
 * said, the library may reject what is new, by callbacks that want a stream; then only requests
 * that were open before can be unknown, which are few. */
static int close_unheard(const rn_h3_session *session, int64_t id) {
    if (!session->server || session->goaway_final || !rn_h3_stream_is_request_id(id)) {
        return 0;
    }
    nghttp3_ssize rv = nghttp3_conn_read_stream(session->http, id, NULL, 0, 0);
    return rv < 0 ? (int)rv : nghttp3_conn_close_stream(session->http, id, RN_H3_NO_ERROR);
}

static void close_in_library(rn_h3_session *session, int64_t id) {
    int rv = nghttp3_conn_close_stream(session->http, id, RN_H3_NO_ERROR);
    if (rv == NGHTTP3_ERR_STREAM_NOT_FOUND) {
        rv = close_unheard(session, id);
    }
    if (rv != 0) {
        rn_h3_session_fail(session, rv); /* a critical stream, or out of memory */
        return;
    }
    if (session->server && rn_h3_stream_is_request_id(id)) {
        session->requests_closed++;
        nghttp3_conn_set_max_client_streams_bidi(session->http,
                                                 session->streams_max + session->requests_closed);
    }
}

static void on_stream_closed(rn_conn *conn, rn_stream *quic_stream, void *user) {
    rn_h3_session *session = user;
    rn_h3_stream *stream = rn_stream_user(quic_stream);
    (void)conn;
    if (!session->broken) {
        close_in_library(session, rn_stream_id(quic_stream));
    }
    if (stream == NULL) {
        return;
    }
    rn_stream_set_user(quic_stream, NULL);
    stream->sent = stream->received = stream->dropped = true;
    if (stream->handler != NULL && stream->handler->closed != NULL) {
        stream->handler->closed(stream, NULL, stream->user);
    }
    rn_h3_stream_del(stream);
}

static void on_streams_available(rn_conn *conn, void *user) {
    rn_h3_session *session = user;
    (void)conn;
    if (session->established && !session->closing && session->handler->streams_available != NULL) {
        session->handler->streams_available(session, session->user);
    }
}

static void on_address_token(rn_conn *conn, const uint8_t *token, size_t len, void *user) {
    rn_h3_session *session = user;
    (void)conn;
    if (session->handler->address_token != NULL) {
        session->handler->address_token(session, token, len, session->user);
    }
}

static void on_unreachable(rn_conn *conn, void *user) {
    rn_h3_session *session = user;
    (void)conn;
    if (session->handler->unreachable != NULL) {
        session->handler->unreachable(session, session->user);
    }
}

static void on_closed(rn_conn *conn, const rn_close *close, void *user) {
    rn_h3_session *session = user;
    rn_close told = *close;
    (void)conn;
    if (told.cause == RN_CLOSE_LOCAL && session->peer_at_fault) {
        told.cause = RN_CLOSE_PROTOCOL;
    }
    session->broken = session->closing = session->closed = true;
    while (!rn_list_empty(&session->streams)) {
        rn_h3_stream *stream = RN_CONTAINER_OF(session->streams.next, rn_h3_stream, link);
        stream->sent = stream->received = stream->dropped = true;
        if (stream->handler != NULL && stream->handler->closed != NULL) {
            stream->handler->closed(stream, &told, stream->user);
        }
        rn_h3_stream_del(stream);
    }
    if (session->handler->closed != NULL) {
        session->handler->closed(session, &told, session->user);
    }
    nghttp3_conn_del(session->http);
    free(session);
}

static const rn_conn_handler conn_handler = {
    .established = on_established,
    .stream_data = on_stream_data,
    .stream_reset = on_stream_reset,
    .stream_stop_sending = on_stream_stop_sending,
    .stream_room = on_stream_room,
    .stream_closed = on_stream_closed,
    .streams_available = on_streams_available,
    .address_token = on_address_token,
    .unreachable = on_unreachable,
    .closed = on_closed,
};

/* ---- for the layer above ---- */

static int new_library_conn(rn_h3_session *session) {
    nghttp3_callbacks callbacks;
    rn_h3_rx_callbacks(&callbacks);
    nghttp3_settings settings;
    nghttp3_settings_default(&settings);
    settings.max_field_section_size = session->field_section_max;
    settings.qpack_max_dtable_capacity = 0;
    settings.qpack_encoder_max_dtable_capacity = 0;
    settings.qpack_blocked_streams = 0;
    if (!session->server) {
        return nghttp3_conn_client_new(&session->http, &callbacks, &settings, NULL, session);
    }
    int rv = nghttp3_conn_server_new(&session->http, &callbacks, &settings, NULL, session);
    if (rv == 0) {
        nghttp3_conn_set_max_client_streams_bidi(session->http, session->streams_max);
    }
    return rv;
}

int rn_h3_session_new(rn_h3_session **out, rn_conn *conn, const rn_h3_options *options,
                      const rn_h3_handler *handler, void *user) {
    rn_h3_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    static const rn_h3_options defaults = {0};
    options = options != NULL ? options : &defaults;
    session->conn = conn;
    session->handler = handler;
    session->user = user;
    session->server = rn_conn_is_server(conn);
    session->field_section_max =
        options->field_section_max != 0 ? options->field_section_max : RN_H3_FIELD_SECTION_DEFAULT;
    session->streams_max = options->streams_max != 0 ? options->streams_max : STREAMS_DEFAULT;
    session->peer_field_section_max = UINT64_MAX;
    rn_list_init(&session->streams);
    if (new_library_conn(session) != 0) {
        free(session);
        return RPCNET_ERR_MEMORY;
    }
    rn_conn_set_handler(conn, &conn_handler, session);
    *out = session;
    return RPCNET_OK;
}

rn_conn *rn_h3_session_conn(const rn_h3_session *session) {
    return session->conn;
}

size_t rn_h3_session_streams(const rn_h3_session *session) {
    return session->requests;
}

bool rn_h3_session_is_established(const rn_h3_session *session) {
    return session->established;
}

bool rn_h3_session_is_usable(const rn_h3_session *session) {
    return session->established && !session->closing && !session->goaway_received;
}

static int send_goaway(rn_h3_session *session, bool *done, int (*submit)(nghttp3_conn *conn)) {
    *done = true;
    int rv = submit(session->http);
    if (rv != 0) {
        rn_h3_session_fail(session, rv);
        return RPCNET_ERR_MEMORY;
    }
    return rn_h3_tx_flush(session);
}

int rn_h3_session_goaway(rn_h3_session *session, bool final) {
    if (session->closing) {
        return RPCNET_ERR_CLOSED;
    }
    if (!session->established) {
        return RPCNET_ERR_STATE;
    }
    if (session->goaway_final) {
        return RPCNET_OK;
    }
    if (final) {
        return send_goaway(session, &session->goaway_final, nghttp3_conn_shutdown);
    }
    if (session->goaway_noticed) {
        return RPCNET_OK;
    }
    return send_goaway(session, &session->goaway_noticed, nghttp3_conn_submit_shutdown_notice);
}

void rn_h3_session_close(rn_h3_session *session, uint64_t code, const char *text) {
    if (!session->closing) {
        session->closing = true;
        rn_conn_close(session->conn, code, text);
    }
}
