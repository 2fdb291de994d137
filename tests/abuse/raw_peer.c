/* raw_peer: see the header. */
#include "abuse/raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp3/nghttp3.h>

#include "base/varint.h"
#include "rpcnet/error.h"

enum { SETTLE_S = 30, WAIT_MS = 100, FRAME_DATA = 0, FRAME_HEADERS = 1 };

/* ---- the connection ---- */

static raw_stream *note_stream(raw_peer *peer, rn_stream *stream, bool own) {
    assert_true(peer->stream_count < RAW_STREAMS_MAX);
    raw_stream *raw = &peer->streams[peer->stream_count++];
    *raw = (raw_stream){.stream = stream, .id = rn_stream_id(stream), .own = own};
    rn_buffer_init(&raw->heard, RAW_HEARD_MAX);
    rn_stream_set_user(stream, raw);
    return raw;
}

static raw_stream *heard_of(raw_peer *peer, rn_stream *stream) {
    raw_stream *raw = rn_stream_user(stream);
    return raw != NULL ? raw : note_stream(peer, stream, false);
}

static void on_established(rn_conn *conn, void *user) {
    (void)conn;
    ((raw_peer *)user)->established = true;
}

static void on_data(rn_conn *conn, rn_stream *stream, const uint8_t *data, size_t len, bool fin,
                    void *user) {
    raw_stream *raw = heard_of(user, stream);
    (void)conn;
    size_t kept = raw->heard.limit - raw->heard.len;
    assert_int_equal(rn_buffer_append(&raw->heard, data, len < kept ? len : kept), RPCNET_OK);
    raw->finished |= fin;
    rn_stream_consume(stream, len);
}

static void on_reset(rn_conn *conn, rn_stream *stream, uint64_t code, void *user) {
    raw_stream *raw = heard_of(user, stream);
    (void)conn;
    raw->reset = true;
    raw->reset_code = code;
}

static void on_stream_closed(rn_conn *conn, rn_stream *stream, void *user) {
    (void)conn;
    heard_of(user, stream)->stream = NULL;
}

static void on_closed(rn_conn *conn, const rn_close *close, void *user) {
    raw_peer *peer = user;
    if (conn != peer->conn) {
        return;
    }
    peer->conn = NULL;
    peer->closed = true;
    peer->close = *close;
    for (size_t i = 0; i < peer->stream_count; i++) {
        peer->streams[i].stream = NULL;
    }
}

static const rn_conn_handler handler = {.established = on_established,
                                        .stream_data = on_data,
                                        .stream_reset = on_reset,
                                        .stream_closed = on_stream_closed,
                                        .closed = on_closed};

static void on_accepted(rn_endpoint *endpoint, rn_conn *conn, void *user) {
    raw_peer *peer = user;
    (void)endpoint;
    peer->conn = conn;
    rn_conn_set_handler(conn, &handler, peer);
}

/* ---- the socket ---- */

static void flush_now(void *user) {
    raw_peer *peer = user;
    rn_transmit flight;
    while (rn_endpoint_transmit(peer->endpoint, &flight)) {
        (void)peer->env->ops->udp_send(peer->udp, &flight);
    }
    peer->env->ops->timer_set(peer->timer, rn_endpoint_deadline(peer->endpoint));
}

static void flush_later(void *user) {
    raw_peer *peer = user;
    rn_env_defer(peer->env, &peer->flush);
}

static void on_ready(rn_endpoint *endpoint, void *user) {
    (void)endpoint;
    flush_later(user);
}

static void on_receive(const rn_datagram *datagram, void *user) {
    raw_peer *peer = user;
    if (peer->deaf) {
        peer->last_len = datagram->len < sizeof peer->last ? datagram->len : sizeof peer->last;
        memcpy(peer->last, datagram->data, peer->last_len);
    } else {
        rn_endpoint_receive(peer->endpoint, datagram);
    }
}

static void on_timer(void *user) {
    raw_peer *peer = user;
    rn_endpoint_tick(peer->endpoint);
    flush_later(peer);
}

static void load_tls(raw_peer *peer, const char *name) {
    char crt[1024];
    char key[1024];
    char error[RN_TLS_ERROR_MAX];
    (void)snprintf(crt, sizeof crt, "%s/%s.crt", RN_TEST_CERTS, name != NULL ? name : "");
    (void)snprintf(key, sizeof key, "%s/%s.key", RN_TEST_CERTS, name != NULL ? name : "");
    rn_tls_config config = {.certificate_file = name != NULL ? crt : NULL,
                            .key_file = name != NULL ? key : NULL,
                            .ca_file = RN_TEST_CERTS "/ca.crt"};
    if (rn_tls_context_new(&peer->tls, &config, error) != RPCNET_OK) {
        fail_msg("%s", error);
    }
}

void raw_peer_start(raw_peer *peer, rn_sim *sim, rn_env *env, const raw_options *options) {
    static const rn_udp_handler udp_handler = {
        .receive = on_receive, .batch_end = flush_later, .writable = flush_later};
    memset(peer, 0, sizeof *peer);
    peer->sim = sim;
    peer->env = env;
    rn_deferred_init(&peer->flush, flush_now, peer);
    load_tls(peer, options->certificate);
    rn_udp_options udp = {.bind = {.len = 0}};
    rn_endpoint_config config = {.env = env,
                                 .tls = peer->tls,
                                 .alpn = options->alpn,
                                 .accept = options->bind != NULL,
                                 .limits = RN_QUIC_LIMITS_DEFAULT,
                                 .accepted = on_accepted,
                                 .ready = on_ready,
                                 .ready_user = peer,
                                 .user = peer};
    rn_env_random(env, config.secret, sizeof config.secret);
    rn_address *address = options->bind != NULL ? &udp.bind : &udp.connect;
    assert_int_equal(
        rn_address_parse(address, options->bind != NULL ? options->bind : options->connect),
        RPCNET_OK);
    assert_int_equal(rn_endpoint_new(&peer->endpoint, &config), RPCNET_OK);
    assert_int_equal(rn_env_timer_new(env, on_timer, peer, &peer->timer), RPCNET_OK);
    assert_int_equal(rn_env_udp_open(env, &udp, &udp_handler, peer, &peer->udp), RPCNET_OK);
    if (options->bind == NULL) {
        peer->remote = udp.connect;
        rn_connect_options connect = {.local = *env->ops->udp_address(peer->udp),
                                      .remote = udp.connect,
                                      .expect = options->expect};
        assert_int_equal(rn_endpoint_connect(peer->endpoint, &connect, &peer->conn), RPCNET_OK);
        rn_conn_set_handler(peer->conn, &handler, peer);
    }
}

void raw_peer_stop(raw_peer *peer) {
    peer->env->ops->udp_close(peer->udp);
    rn_endpoint_del(peer->endpoint);
    peer->env->ops->timer_del(peer->timer);
    rn_deferred_cancel(&peer->flush);
    rn_tls_context_del(peer->tls);
    for (size_t i = 0; i < peer->stream_count; i++) {
        rn_buffer_fini(&peer->streams[i].heard);
    }
}

static bool is_settled(void *user) {
    const raw_peer *peer = user;
    return peer->established || peer->closed;
}

void raw_peer_settle(raw_peer *peer) {
    if (!rn_sim_run_until_done(peer->sim, is_settled, peer,
                               rn_sim_now(peer->sim) + SETTLE_S * RN_SECOND)) {
        fail_msg("the raw peer got no answer");
    }
    rn_sim_run_for(peer->sim, WAIT_MS * RN_MILLISECOND);
}

/* ---- playing ---- */

raw_stream *raw_peer_stream(raw_peer *peer, char kind, unsigned number) {
    bool server = peer->conn != NULL && rn_conn_is_server(peer->conn);
    bool own = kind != 'r' || !server;
    for (size_t i = 0; i < peer->stream_count; i++) {
        raw_stream *raw = &peer->streams[i];
        bool unidirectional = (raw->id & 2) != 0;
        if (raw->own == own && unidirectional == (kind == 'u') && --number == 0) {
            return raw;
        }
    }
    return NULL;
}

static raw_stream *need_stream(raw_peer *peer, char kind, unsigned number) {
    raw_stream *raw = raw_peer_stream(peer, kind, number);
    bool server = rn_conn_is_server(peer->conn);
    while (raw == NULL && (kind != 'r' || !server)) {
        rn_stream *stream;
        int rv = kind == 'u' ? rn_conn_open_uni(peer->conn, &stream)
                             : rn_conn_open_bidi(peer->conn, &stream);
        assert_int_equal(rv, RPCNET_OK);
        note_stream(peer, stream, true);
        raw = raw_peer_stream(peer, kind, number);
    }
    assert_non_null(raw);
    return raw;
}

static void write_all(raw_peer *peer, raw_stream *raw, const script_step *step) {
    size_t sent = 0;
    while (!peer->closed && raw->stream != NULL) {
        size_t len = step->bytes.len - sent;
        size_t room = rn_stream_room(raw->stream);
        len = len < room ? len : room;
        bool last = sent + len == step->bytes.len;
        rn_bytes piece = rn_bytes_of(step->bytes.data + sent, len);
        int rv = rn_stream_write(raw->stream, &piece, 1, last && step->end == SCRIPT_FIN);
        if (rv == RPCNET_ERR_CLOSED) {
            return; /* the other side wants no more: that may be what it has to do */
        }
        assert_int_equal(rv, RPCNET_OK);
        sent += len;
        if (last) {
            return;
        }
        rn_sim_run_for(peer->sim, WAIT_MS * RN_MILLISECOND);
    }
}

static void play_step(raw_peer *peer, const script_step *step) {
    if (step->kind == 'w') {
        rn_sim_run_for(peer->sim, WAIT_MS * RN_MILLISECOND);
        return;
    }
    raw_stream *raw = need_stream(peer, step->kind, step->number);
    if (step->bytes.len > 0 || step->end == SCRIPT_FIN) {
        write_all(peer, raw, step);
    }
    if (raw->stream != NULL && step->end == SCRIPT_RESET) {
        /* Let the bytes before it arrive: a reset may overtake them. */
        rn_sim_run_for(peer->sim, WAIT_MS * RN_MILLISECOND);
        if (raw->stream != NULL) {
            rn_stream_reset(raw->stream, step->code);
        }
    } else if (raw->stream != NULL && step->end == SCRIPT_STOP) {
        rn_stream_stop_sending(raw->stream, step->code);
    }
}

void raw_peer_play(raw_peer *peer, const char *script) {
    script_step step = {.kind = 0};
    rn_buffer_init(&step.bytes, 1 << 20);
    while (!peer->closed && script_next(&script, &step)) {
        play_step(peer, &step);
    }
    rn_buffer_fini(&step.bytes);
}

/* ---- what HTTP/3 says ---- */

/* Takes the next whole frame; false: no more. */
static bool next_frame(const uint8_t **cursor, const uint8_t *end, uint64_t *type,
                       rn_bytes *payload) {
    const uint8_t *at = *cursor;
    uint64_t len;
    if (at == end || rn_varint_read(&at, end, type) != RPCNET_OK ||
        rn_varint_read(&at, end, &len) != RPCNET_OK || len > (size_t)(end - at)) {
        return false;
    }
    *payload = rn_bytes_of(at, (size_t)len);
    *cursor = at + len;
    return true;
}

/* Looks through one section. */
static bool find_field(int64_t id, rn_bytes section, const char *name, char out[256]) {
    nghttp3_qpack_decoder *decoder;
    nghttp3_qpack_stream_context *context;
    bool found = false;
    assert_int_equal(nghttp3_qpack_decoder_new(&decoder, 0, 0, nghttp3_mem_default()), 0);
    assert_int_equal(nghttp3_qpack_stream_context_new(&context, id, nghttp3_mem_default()), 0);
    while (section.len > 0) {
        nghttp3_qpack_nv field;
        uint8_t flags = 0;
        nghttp3_ssize used = nghttp3_qpack_decoder_read_request(decoder, context, &field, &flags,
                                                                section.data, section.len, 1);
        assert_true(used >= 0);
        section = rn_bytes_of(section.data + used, section.len - (size_t)used);
        if ((flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) != 0) {
            nghttp3_vec key = nghttp3_rcbuf_get_buf(field.name);
            nghttp3_vec value = nghttp3_rcbuf_get_buf(field.value);
            if (!found && key.len == strlen(name) && memcmp(key.base, name, key.len) == 0) {
                found = true;
                (void)snprintf(out, 256, "%.*s", (int)value.len, (const char *)value.base);
            }
            nghttp3_rcbuf_decref(field.name);
            nghttp3_rcbuf_decref(field.value);
        }
        if (used == 0 && flags == 0) {
            break;
        }
    }
    nghttp3_qpack_stream_context_del(context);
    nghttp3_qpack_decoder_del(decoder);
    return found;
}

const char *raw_stream_field(const raw_stream *stream, const char *name, char out[256]) {
    const uint8_t *cursor = stream->heard.data;
    const uint8_t *end = cursor + stream->heard.len;
    uint64_t type;
    rn_bytes payload;
    out[0] = '\0';
    while (next_frame(&cursor, end, &type, &payload)) {
        if (type == FRAME_HEADERS && find_field(stream->id, payload, name, out)) {
            break;
        }
    }
    return out;
}

size_t raw_stream_body(const raw_stream *stream) {
    const uint8_t *cursor = stream->heard.data;
    const uint8_t *end = cursor + stream->heard.len;
    uint64_t type;
    rn_bytes payload;
    size_t len = 0;
    while (next_frame(&cursor, end, &type, &payload)) {
        len += type == FRAME_DATA ? payload.len : 0;
    }
    return len;
}
