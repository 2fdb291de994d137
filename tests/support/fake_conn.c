/* fake_conn: see fake_conn.h. */
#include "support/fake_conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/list.h"
#include "rpcnet/error.h"

struct rn_stream {
    rn_list link;
    rn_conn *conn;
    int64_t id;
    void *user;
    unsigned urgency;
    /* sending */
    rn_buffer out;    /* written, not delivered */
    size_t unacked;   /* delivered, not acknowledged */
    size_t padding;   /* of rn_stream_memory */
    size_t delivered; /* to the peer, ever */
    bool refused;
    bool fin;
    bool send_over; /* fin or reset was delivered */
    bool reset;
    uint64_t reset_code;
    bool stop_wanted; /* STOP_SENDING to deliver */
    uint64_t stop_code;
    /* receiving */
    size_t received;
    size_t consumed;
    bool receive_over;
    bool touched; /* the peer knows it */
};

struct rn_conn {
    fake_link *link;
    const rn_conn_handler *handler;
    void *user;
    bool server;
    bool established;
    bool held;
    bool acks_held;
    bool writes_fail;
    bool close_wanted;
    rn_close close;
    uint64_t now;
    rn_list streams;
    uint64_t bidi_opened;
    uint64_t uni_opened;
    uint64_t bidi_closed;
};

struct fake_link {
    fake_options options;
    rn_conn *ends[2]; /* client, server */
    unsigned random;
    uint64_t close_code;
};

/* ---- making and finding ---- */

static rn_conn *conn_new(fake_link *link, bool server) {
    rn_conn *conn = calloc(1, sizeof *conn);
    assert(conn != NULL);
    conn->link = link;
    conn->server = server;
    conn->now = UINT64_C(1000000000);
    rn_list_init(&conn->streams);
    return conn;
}

fake_link *fake_link_new(const fake_options *options) {
    fake_link *link = calloc(1, sizeof *link);
    assert(link != NULL);
    if (options != NULL) {
        link->options = *options;
    }
    fake_options *o = &link->options;
    o->ring = o->ring != 0 ? o->ring : (size_t)256 * 1024;
    o->window = o->window != 0 ? o->window : (size_t)256 * 1024;
    o->bidi_max = o->bidi_max != 0 ? o->bidi_max : 128;
    o->uni_max = o->uni_max != 0 ? o->uni_max : 8;
    link->random = o->seed;
    link->ends[0] = conn_new(link, false);
    link->ends[1] = conn_new(link, true);
    return link;
}

static void stream_free(rn_stream *stream) {
    rn_list_remove(&stream->link);
    rn_buffer_fini(&stream->out);
    free(stream);
}

static void conn_end(rn_conn *conn, const rn_close *close) {
    fake_link *link = conn->link;
    rn_close told = *close;
    link->ends[conn->server ? 1 : 0] = NULL;
    if (conn->handler != NULL && conn->handler->closed != NULL) {
        conn->handler->closed(conn, &told, conn->user);
    }
    rn_list *at;
    rn_list *after;
    RN_LIST_FOREACH(at, after, &conn->streams) {
        stream_free(RN_CONTAINER_OF(at, rn_stream, link));
    }
    free(conn);
}

void fake_link_del(fake_link *link) {
    rn_close close = {.cause = RN_CLOSE_LOCAL};
    for (size_t i = 0; i < 2; i++) {
        if (link->ends[i] != NULL) {
            conn_end(link->ends[i], &close);
        }
    }
    free(link);
}

rn_conn *fake_link_client(fake_link *link) {
    return link->ends[0];
}

rn_conn *fake_link_server(fake_link *link) {
    return link->ends[1];
}

static rn_conn *peer_of(const rn_conn *conn) {
    return conn->link->ends[conn->server ? 0 : 1];
}

rn_stream *fake_conn_stream(rn_conn *conn, int64_t id) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &conn->streams) {
        rn_stream *stream = RN_CONTAINER_OF(link, rn_stream, link);
        if (stream->id == id) {
            return stream;
        }
    }
    return NULL;
}

static bool is_uni(const rn_stream *stream) {
    return (stream->id & 2) != 0;
}

static bool is_ours(const rn_stream *stream) {
    return ((stream->id & 1) != 0) == stream->conn->server;
}

static rn_stream *stream_new(rn_conn *conn, int64_t id) {
    rn_stream *stream = calloc(1, sizeof *stream);
    assert(stream != NULL);
    stream->conn = conn;
    stream->id = id;
    stream->urgency = 3;
    rn_buffer_init(&stream->out, conn->link->options.ring);
    if (is_uni(stream)) {
        stream->send_over = !is_ours(stream);
        stream->receive_over = is_ours(stream);
    }
    rn_list_append(&conn->streams, &stream->link);
    return stream;
}

/* ---- delivery ---- */

static size_t chunk_size(fake_link *link, size_t available) {
    size_t max = link->options.chunk != 0 ? link->options.chunk : available;
    if (link->options.seed != 0) {
        link->random = link->random * 1103515245u + 12345u;
        max = 1 + (link->random >> 8) % max;
    }
    return max < available ? max : available;
}

static rn_stream *other_end(rn_stream *stream) {
    rn_conn *peer = peer_of(stream->conn);
    rn_stream *other = fake_conn_stream(peer, stream->id);
    if (other == NULL && !stream->touched) {
        other = stream_new(peer, stream->id);
        other->touched = true;
    }
    stream->touched = true;
    return other;
}

static void acknowledge(rn_stream *stream) {
    bool was_full = stream->out.len + stream->unacked >= stream->conn->link->options.ring;
    stream->unacked = 0;
    if ((stream->refused || was_full) && rn_stream_room(stream) > 0 && !stream->reset &&
        stream->conn->handler != NULL && stream->conn->handler->stream_room != NULL) {
        stream->refused = false;
        stream->conn->handler->stream_room(stream->conn, stream, stream->conn->user);
    }
}

static bool deliver_reset(rn_stream *stream) {
    rn_stream *other = other_end(stream);
    stream->send_over = true;
    if (other != NULL && !other->receive_over) {
        other->receive_over = true;
        const rn_conn_handler *handler = other->conn->handler;
        if (handler != NULL && handler->stream_reset != NULL) {
            handler->stream_reset(other->conn, other, stream->reset_code, other->conn->user);
        }
    }
    return true;
}

static bool deliver_stop(rn_stream *stream) {
    rn_stream *other = other_end(stream);
    stream->stop_wanted = false;
    if (other != NULL && !other->send_over && !other->reset) {
        other->reset = true;
        other->reset_code = stream->stop_code;
        rn_buffer_clear(&other->out);
        const rn_conn_handler *handler = other->conn->handler;
        if (handler != NULL && handler->stream_stop_sending != NULL) {
            handler->stream_stop_sending(other->conn, other, stream->stop_code, other->conn->user);
        }
    }
    return true;
}

static bool deliver_bytes(rn_stream *stream) {
    rn_stream *other = other_end(stream);
    if (other == NULL || other->receive_over) {
        stream->send_over = stream->fin;
        rn_buffer_clear(&stream->out);
        return stream->fin;
    }
    size_t window = stream->conn->link->options.window - (other->received - other->consumed);
    size_t available = stream->out.len < window ? stream->out.len : window;
    if (available == 0 && (stream->out.len > 0 || !stream->fin)) {
        return false;
    }
    size_t len = available > 0 ? chunk_size(stream->conn->link, available) : 0;
    bool fin = stream->fin && len == stream->out.len;
    uint8_t *copy = malloc(len + 1); /* of this very size, so that an overrun is seen */
    assert(copy != NULL);
    if (len > 0) {
        memcpy(copy, stream->out.data, len);
    }
    rn_buffer_drop_front(&stream->out, len);
    stream->unacked += len;
    stream->delivered += len;
    other->received += len;
    stream->send_over = fin;
    other->receive_over = fin;
    const rn_conn_handler *handler = other->conn->handler;
    if (handler != NULL && handler->stream_data != NULL) {
        handler->stream_data(other->conn, other, copy, len, fin, other->conn->user);
    }
    free(copy);
    return true;
}

static bool step_stream(rn_stream *stream) {
    bool moved = false;
    if (stream->stop_wanted) {
        moved = deliver_stop(stream);
    }
    if (!stream->send_over && stream->reset) {
        moved |= deliver_reset(stream);
    } else if (!stream->send_over && (stream->out.len > 0 || stream->fin)) {
        moved |= deliver_bytes(stream);
    }
    if (stream->unacked > 0 && !stream->conn->acks_held) {
        acknowledge(stream);
        moved = true;
    }
    return moved;
}

static bool close_finished(rn_conn *conn) {
    bool moved = false;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &conn->streams) {
        rn_stream *stream = RN_CONTAINER_OF(link, rn_stream, link);
        bool acked = stream->unacked == 0 || stream->reset;
        if (!stream->send_over || !stream->receive_over || !acked || stream->stop_wanted) {
            continue;
        }
        moved = true;
        if (conn->handler != NULL && conn->handler->stream_closed != NULL) {
            conn->handler->stream_closed(conn, stream, conn->user);
        }
        bool bidi = !is_uni(stream);
        bool ours = is_ours(stream);
        stream_free(stream);
        if (bidi && ours) {
            conn->bidi_closed++;
            if (conn->handler != NULL && conn->handler->streams_available != NULL) {
                conn->handler->streams_available(conn, conn->user);
            }
        }
    }
    return moved;
}

static bool step_conn(rn_conn *conn) {
    bool moved = false;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &conn->streams) {
        if (conn->held || peer_of(conn) == NULL || conn->close_wanted ||
            peer_of(conn)->close_wanted) {
            break;
        }
        moved |= step_stream(RN_CONTAINER_OF(link, rn_stream, link));
    }
    return moved;
}

bool fake_link_step(fake_link *link) {
    bool moved = false;
    for (size_t i = 0; i < 2; i++) {
        if (link->ends[i] != NULL) {
            moved |= step_conn(link->ends[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (link->ends[i] != NULL && !link->ends[i]->close_wanted) {
            moved |= close_finished(link->ends[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        rn_conn *conn = link->ends[i];
        if (conn != NULL && conn->close_wanted) {
            rn_close close = conn->close;
            rn_conn *peer = peer_of(conn);
            conn_end(conn, &close);
            close.cause = RN_CLOSE_PEER;
            if (peer != NULL) {
                conn_end(peer, &close);
            }
            return true;
        }
    }
    return moved;
}

void fake_link_run(fake_link *link) {
    unsigned passes = 0;
    while (fake_link_step(link)) {
        passes++;
        assert(passes < 50u * 1000 * 1000); /* a livelock */
    }
}

void fake_link_establish(fake_link *link) {
    for (size_t i = 0; i < 2; i++) {
        link->ends[i]->established = true;
    }
    for (size_t i = 0; i < 2; i++) {
        rn_conn *conn = link->ends[i];
        if (conn->handler != NULL && conn->handler->established != NULL) {
            conn->handler->established(conn, conn->user);
        }
    }
}

/* ---- scripting ---- */

void fake_conn_hold(rn_conn *conn, bool hold) {
    conn->held = hold;
}

void fake_conn_hold_acks(rn_conn *conn, bool hold) {
    conn->acks_held = hold;
}

void fake_conn_lose(rn_conn *conn, enum rn_close_cause cause, const char *text) {
    rn_close close = {.cause = cause};
    (void)snprintf(close.text, sizeof close.text, "%s", text);
    conn_end(conn, &close);
}

void fake_conn_set_now(rn_conn *conn, uint64_t now) {
    conn->now = now;
}

void fake_conn_fail_writes(rn_conn *conn, bool fail) {
    conn->writes_fail = fail;
}

size_t fake_conn_unconsumed(const rn_conn *conn) {
    size_t sum = 0;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &conn->streams) {
        const rn_stream *stream = RN_CONTAINER_OF(link, rn_stream, link);
        sum += stream->received - stream->consumed;
    }
    return sum;
}

size_t fake_conn_streams(const rn_conn *conn) {
    size_t count = 0;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &conn->streams) {
        count++;
    }
    return count;
}

unsigned fake_stream_urgency(const rn_stream *stream) {
    return stream->urgency;
}

void fake_stream_pad(rn_stream *stream, size_t memory) {
    stream->padding += memory;
}

size_t fake_stream_delivered(const rn_stream *stream) {
    return stream->received;
}

uint64_t fake_conn_close_code(const rn_conn *conn) {
    return conn->close_wanted ? conn->close.code : 0;
}

uint64_t fake_link_close_code(const fake_link *link) {
    return link->close_code;
}

/* ---- quic/conn.h ---- */

void rn_conn_set_handler(rn_conn *conn, const rn_conn_handler *handler, void *user) {
    conn->handler = handler;
    conn->user = user;
}

bool rn_conn_is_server(const rn_conn *conn) {
    return conn->server;
}

const rn_address *rn_conn_remote(const rn_conn *conn) {
    static const rn_address none;
    (void)conn;
    return &none;
}

const char *rn_conn_peer_identity(const rn_conn *conn) {
    (void)conn;
    return "";
}

uint64_t rn_conn_now(const rn_conn *conn) {
    return conn->now;
}

uint64_t rn_conn_rtt(const rn_conn *conn) {
    (void)conn;
    return 0;
}

rn_budget *rn_conn_budget(const rn_conn *conn) {
    return conn->link->options.budget;
}

size_t rn_stream_memory(const rn_stream *stream) {
    return stream->reset ? 0 : stream->out.capacity + stream->unacked + stream->padding;
}

uint64_t rn_conn_streams_left(const rn_conn *conn) {
    return conn->link->options.bidi_max + conn->bidi_closed - conn->bidi_opened;
}

void rn_conn_close(rn_conn *conn, uint64_t code, const char *text) {
    if (conn->close_wanted) {
        return;
    }
    conn->close_wanted = true;
    conn->close = (rn_close){.cause = RN_CLOSE_LOCAL, .application = true, .code = code};
    (void)snprintf(conn->close.text, sizeof conn->close.text, "%s", text);
    if (conn->link->close_code == 0) {
        conn->link->close_code = code;
    }
}

int rn_conn_update_key(rn_conn *conn) {
    (void)conn;
    return RPCNET_ERR_STATE;
}

int rn_conn_open_bidi(rn_conn *conn, rn_stream **out) {
    if (!conn->established || conn->close_wanted) {
        return conn->close_wanted ? RPCNET_ERR_CLOSED : RPCNET_ERR_STATE;
    }
    if (rn_conn_streams_left(conn) == 0) {
        return RPCNET_ERR_LIMIT;
    }
    *out = stream_new(conn, (int64_t)(conn->bidi_opened++ * 4 + (conn->server ? 1 : 0)));
    return RPCNET_OK;
}

int rn_conn_open_uni(rn_conn *conn, rn_stream **out) {
    if (!conn->established || conn->close_wanted) {
        return conn->close_wanted ? RPCNET_ERR_CLOSED : RPCNET_ERR_STATE;
    }
    if (conn->uni_opened == conn->link->options.uni_max) {
        return RPCNET_ERR_LIMIT;
    }
    *out = stream_new(conn, (int64_t)(conn->uni_opened++ * 4 + (conn->server ? 3 : 2)));
    return RPCNET_OK;
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
    assert(urgency <= 7);
    stream->urgency = urgency;
}

size_t rn_stream_room(const rn_stream *stream) {
    if (stream->fin || stream->reset || stream->send_over) {
        return 0;
    }
    return stream->conn->link->options.ring - stream->out.len - stream->unacked;
}

size_t rn_stream_room_max(const rn_stream *stream) {
    return stream->conn->link->options.ring;
}

int rn_stream_reserve(rn_stream *stream, size_t len) {
    if (stream->fin || stream->reset || stream->send_over) {
        return RPCNET_ERR_CLOSED;
    }
    if (len > rn_stream_room(stream)) {
        stream->refused = true;
        return RPCNET_ERR_AGAIN;
    }
    return stream->conn->writes_fail ? RPCNET_ERR_MEMORY : RPCNET_OK;
}

int rn_stream_write(rn_stream *stream, const rn_bytes *pieces, size_t count, bool fin) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += pieces[i].len;
    }
    int rv = rn_stream_reserve(stream, len);
    if (rv != RPCNET_OK) {
        return rv;
    }
    for (size_t i = 0; i < count; i++) {
        rv = rn_buffer_append(&stream->out, pieces[i].data, pieces[i].len);
        assert(rv == RPCNET_OK);
    }
    stream->fin = fin;
    return RPCNET_OK;
}

void rn_stream_consume(rn_stream *stream, size_t len) {
    stream->consumed += len;
    assert(stream->consumed <= stream->received); /* never more than came */
}

void rn_stream_stop_sending(rn_stream *stream, uint64_t code) {
    if (!stream->receive_over && !stream->stop_wanted) {
        stream->stop_wanted = true;
        stream->stop_code = code;
    }
}

void rn_stream_reset(rn_stream *stream, uint64_t code) {
    if (!stream->send_over && !stream->reset) {
        stream->reset = true;
        stream->reset_code = code;
        rn_buffer_clear(&stream->out);
    }
    rn_stream_stop_sending(stream, code);
}
