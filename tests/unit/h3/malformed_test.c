/* Malformed: a peer of our own making writes bytes that break HTTP/3 in every way; what concerns
 * one request must not end the connection, and the rest must end it with the right code. */
#include "unit/h3/peers.h"

#include <malloc.h>

#include "base/varint.h"

/* ---- the raw peer ---- */

typedef struct raw {
    unsigned resets;
    unsigned stops;
    uint64_t code;
    bool closed;
    rn_close close;
} raw;

static void raw_reset(rn_conn *conn, rn_stream *stream, uint64_t code, void *user) {
    raw *r = user;
    (void)conn;
    (void)stream;
    r->resets++;
    r->code = code;
}
static void raw_stop(rn_conn *conn, rn_stream *stream, uint64_t code, void *user) {
    raw *r = user;
    (void)conn;
    (void)stream;
    r->stops++;
    r->code = code;
}
static void raw_closed(rn_conn *conn, const rn_close *close, void *user) {
    raw *r = user;
    (void)conn;
    r->closed = true;
    r->close = *close;
}

static const rn_conn_handler raw_handler = {
    .stream_reset = raw_reset, .stream_stop_sending = raw_stop, .closed = raw_closed};

static void put(rn_stream *stream, const void *data, size_t len, bool fin) {
    rn_bytes piece = rn_bytes_of(data, len);
    assert_int_equal(rn_stream_write(stream, &piece, 1, fin), RPCNET_OK);
}

#define PUT(stream, fin, ...)                                                                      \
    do {                                                                                           \
        static const uint8_t bytes_[] = {__VA_ARGS__};                                             \
        put((stream), bytes_, sizeof bytes_, (fin));                                               \
    } while (0)

/* A literal field line with a literal name (RFC 9204, section 4.5.6). */
static size_t literal(uint8_t *out, const char *name, const char *value) {
    size_t used = 0;
    size_t name_len = strlen(name);
    size_t value_len = strlen(value);
    assert_true(value_len < 127);
    if (name_len < 7) {
        out[used++] = (uint8_t)(0x20 | name_len);
    } else {
        out[used++] = 0x27;
        out[used++] = (uint8_t)(name_len - 7);
    }
    for (size_t i = 0; i < name_len; i++) {
        out[used++] = (uint8_t)name[i];
    }
    out[used++] = (uint8_t)value_len;
    for (size_t i = 0; i < value_len; i++) {
        out[used++] = (uint8_t)value[i];
    }
    return used;
}

/* A HEADERS frame of "name", "value", ..., NULL. */
static size_t headers_frame(uint8_t *out, const char *const *pairs) {
    uint8_t block[1024] = {0, 0};
    size_t used = 2;
    for (size_t i = 0; pairs[i] != NULL; i += 2) {
        used += literal(block + used, pairs[i], pairs[i + 1]);
    }
    out[0] = 0x01;
    out[1] = (uint8_t)(0x40 | used >> 8);
    out[2] = (uint8_t)used;
    memcpy(out + 3, block, used);
    return used + 3;
}

static const char *const good_request[] = {":method", "POST",  ":scheme", "https", ":authority",
                                           "x",       ":path", "/a/b",    NULL};

static size_t good_headers(uint8_t *out) {
    return headers_frame(out, good_request);
}

typedef struct scene {
    peers *p;
    raw peer;
    rn_conn *conn;
    rn_stream *control;
    rn_stream *request;
} scene;

/* The raw end plays the client, or the server against a client's open request. */
static void start(scene *s, bool raw_is_client, size_t chunk) {
    memset(s, 0, sizeof *s);
    s->p = peers_make(&(fake_options){.chunk = chunk}, NULL, !raw_is_client, raw_is_client);
    s->conn = raw_is_client ? fake_link_client(s->p->link) : fake_link_server(s->p->link);
    rn_conn_set_handler(s->conn, &raw_handler, &s->peer);
    fake_link_establish(s->p->link);
    assert_int_equal(rn_conn_open_uni(s->conn, &s->control), RPCNET_OK);
    PUT(s->control, false, 0x00, 0x04, 0x00);
    if (raw_is_client) {
        assert_int_equal(rn_conn_open_bidi(s->conn, &s->request), RPCNET_OK);
    } else {
        send_request(s->p, true);
    }
    fake_link_run(s->p->link);
    if (!raw_is_client) {
        s->request = fake_conn_stream(s->conn, 0);
        assert_non_null(s->request);
    }
}

static void stop(scene *s) {
    peers_del(s->p);
}

/* ---- of one request ---- */

static void expect_request_error(const uint8_t *data, size_t len, bool fin, uint64_t code) {
    for (size_t chunk = 0; chunk < 2; chunk++) {
        scene s;
        start(&s, true, chunk);
        put(s.request, data, len, fin);
        fake_link_run(s.p->link);
        assert_false(s.peer.closed);
        assert_true(s.peer.resets + s.peer.stops > 0);
        assert_int_equal(s.peer.code, code);
        assert_int_equal(s.p->server.requests, 0);
        /* Another request is served. */
        uint8_t good[256];
        rn_stream *other = NULL;
        assert_int_equal(rn_conn_open_bidi(s.conn, &other), RPCNET_OK);
        put(other, good, good_headers(good), true);
        fake_link_run(s.p->link);
        assert_int_equal(s.p->server.requests, 1);
        assert_int_equal(s.p->server.streams[0].ends, 1);
        stop(&s);
    }
}

static void expect_bad_fields(const char *const *pairs) {
    uint8_t frame[1024];
    expect_request_error(frame, headers_frame(frame, pairs), false, RN_H3_MESSAGE_ERROR);
}

static void malformed_fields(void **state) {
    (void)state;
    expect_bad_fields((const char *[]){":method", "POST", NULL});
    expect_bad_fields((const char *[]){":method", "POST", ":method", "POST", ":scheme", "https",
                                       ":authority", "x", ":path", "/", NULL});
    expect_bad_fields((const char *[]){":status", "200", NULL});
    expect_bad_fields((const char *[]){":method", "POST", ":scheme", "https", ":authority", "x",
                                       ":path", "/", "connection", "close", NULL});
    expect_bad_fields((const char *[]){":method", "POST", ":scheme", "https", ":authority", "x",
                                       "a", "b", ":path", "/", NULL});
    expect_bad_fields((const char *[]){":method", "POST", ":scheme", "https", ":authority", "x",
                                       ":path", "/", ":odd", "1", NULL});
}

static void requests_without_headers(void **state) {
    (void)state;
    expect_request_error(NULL, 0, true, RN_H3_REQUEST_INCOMPLETE);
}

static void oversized_frames(void **state) {
    static const uint8_t frame[] = {0x01, 0x80, 0x00, 0x40, 0x01, 0x00, 0x00}; /* 16385 */
    (void)state;
    expect_request_error(frame, sizeof frame, false, RN_H3_EXCESSIVE_LOAD);
}

/* One below the limit, at it, one above; and one that would not have been a header section. */
static void oversized_frames_are_counted(void **state) {
    static const struct {
        uint8_t type;
        size_t len;
        bool refused;
    } frames[] = {{0x01, RN_H3_BOOK_FRAME_MAX - 1, false},
                  {0x01, RN_H3_BOOK_FRAME_MAX, false},
                  {0x01, RN_H3_BOOK_FRAME_MAX + 1, true},
                  {0x05, RN_H3_BOOK_FRAME_MAX + 1, true}};
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        scene s;
        uint8_t begin[] = {frames[i].type,         0x80, 0x00, (uint8_t)(frames[i].len >> 8),
                           (uint8_t)frames[i].len, 0x00, 0x00};
        start(&s, true, 0);
        put(s.request, begin, sizeof begin, false);
        fake_link_run(s.p->link);
        assert_false(s.peer.closed);
        assert_int_equal(s.peer.resets, frames[i].refused ? 1 : 0);
        assert_int_equal(s.p->server.excessive, frames[i].refused && frames[i].type == 1 ? 1 : 0);
        stop(&s);
    }
}

static void unknown_frames_are_skipped(void **state) {
    (void)state;
    for (size_t chunk = 0; chunk < 3; chunk++) {
        scene s;
        uint8_t good[256];
        start(&s, true, chunk);
        PUT(s.request, false, 0x21, 0x03, 'x', 'y', 'z');
        put(s.request, good, good_headers(good), false);
        PUT(s.request, false, 0x00, 0x01, 'a', 0x40, 0x40, 0x02, 'x', 'y', 0x00, 0x01, 'b');
        PUT(s.request, true, 0x21, 0x00);
        fake_link_run(s.p->link);
        assert_body(&s.p->server.streams[0], "ab");
        assert_int_equal(s.p->server.streams[0].ends, 1);
        assert_int_equal(fake_conn_unconsumed(fake_link_server(s.p->link)), 0);
        stop(&s);
    }
}

static void a_request_that_is_reset_before_it_began(void **state) {
    (void)state;
    scene s;
    start(&s, true, 0);
    rn_stream_reset(s.request, RN_H3_REQUEST_CANCELLED);
    fake_link_run(s.p->link);
    assert_false(s.peer.closed);
    assert_int_equal(s.p->server.requests, 0);
    assert_int_equal(rn_h3_session_streams(s.p->server.session), 0);
    stop(&s);
}

/* Of the sanitizer's run-time library, where there is one: malloc's own numbers are 0 then. */
__attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes(void);

static size_t heap_in_use(void) {
    return __sanitizer_get_current_allocated_bytes != NULL
               ? __sanitizer_get_current_allocated_bytes()
               : mallinfo2().uordblks;
}

static void say_priority(rn_stream *control, int64_t id) {
    uint8_t frame[32] = {0x80, 0x0f, 0x07, 0x00};
    uint8_t element[8];
    size_t len = (size_t)(rn_varint_write(element, (uint64_t)id) - element);
    frame[4] = (uint8_t)(len + 3);
    memcpy(frame + 5, element, len);
    static const uint8_t urgency[] = {'u', '=', '1'};
    memcpy(frame + 5 + len, urgency, sizeof urgency);
    put(control, frame, 5 + len + 3, false);
}

static void end_by_reset(rn_stream *request) {
    rn_stream_reset(request, RN_H3_REQUEST_CANCELLED);
}
static void end_by_fin(rn_stream *request) {
    put(request, NULL, 0, true);
}
static void end_by_too_much(rn_stream *request) {
    PUT(request, true, 0x01, 0x80, 0x00, 0x40, 0x01, 0x00, 0x00);
}

/* Requests that end before the HTTP/3 library has heard of them: what is said about them later must
 * not make it keep anything. */
static void priorities_of_requests_that_never_were(void **state) {
    enum { WARM_UP = 300, ROUNDS = 10000, GROWTH_MAX = 16384 };
    static void (*const ends[])(rn_stream *) = {end_by_reset, end_by_fin, end_by_too_much};
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        scene s;
        start(&s, true, 0);
        size_t before = 0;
        for (unsigned round = 0; round < WARM_UP + ROUNDS; round++) {
            rn_stream *request = NULL;
            if (round == WARM_UP) {
                before = heap_in_use();
            }
            assert_int_equal(rn_conn_open_bidi(s.conn, &request), RPCNET_OK);
            int64_t id = rn_stream_id(request);
            ends[i](request);
            fake_link_run(s.p->link);
            say_priority(s.control, id);
            fake_link_run(s.p->link);
            assert_false(s.peer.closed);
        }
        assert_int_equal(s.p->server.requests, 0);
        assert_true(heap_in_use() < before + GROWTH_MAX);
        stop(&s);
    }
}

static void a_request_that_never_was_behind_the_last_goaway(void **state) {
    (void)state;
    scene s;
    start(&s, true, 0);
    assert_int_equal(rn_h3_session_goaway(s.p->server.session, false), RPCNET_OK);
    assert_int_equal(rn_h3_session_goaway(s.p->server.session, true), RPCNET_OK);
    rn_stream_reset(s.request, RN_H3_REQUEST_CANCELLED);
    fake_link_run(s.p->link);
    say_priority(s.control, 0);
    fake_link_run(s.p->link);
    assert_false(s.peer.closed);
    assert_int_equal(rn_h3_session_streams(s.p->server.session), 0);
    stop(&s);
}

static void nobody_listens(void **state) {
    (void)state;
    scene s;
    uint8_t good[256];
    start(&s, true, 0);
    put(s.request, good, good_headers(good), false);
    fake_link_run(s.p->link);
    rn_h3_stream_set_handler(s.p->server.streams[0].stream, NULL, NULL);
    PUT(s.request, true, 0x00, 0x03, 'a', 'b', 'c');
    fake_link_run(s.p->link);
    assert_int_equal(fake_conn_unconsumed(fake_link_server(s.p->link)), 0);
    stop(&s);
}

/* ---- of the whole connection ---- */

static void expect_connection_error(const uint8_t *data, size_t len, bool fin, bool behind_headers,
                                    uint64_t code) {
    for (size_t chunk = 0; chunk < 2; chunk++) {
        scene s;
        uint8_t good[256];
        start(&s, true, chunk);
        if (behind_headers) {
            put(s.request, good, good_headers(good), false);
        }
        put(s.request, data, len, fin);
        fake_link_run(s.p->link);
        assert_true(s.peer.closed);
        assert_true(s.peer.close.application);
        assert_true(code == 0 || s.peer.close.code == code);
        assert_int_equal(s.p->server.closes, 1);
        assert_int_equal(s.p->server.close.cause, RN_CLOSE_PROTOCOL); /* the peer's fault */
        if (behind_headers) {
            assert_int_equal(s.p->server.streams[0].ends, 0);
            assert_int_equal(s.p->server.streams[0].closes, 1);
            assert_true(s.p->server.streams[0].closed_by_connection);
        }
        stop(&s);
    }
}

static void broken_frames(void **state) {
    static const uint8_t data[] = {0x00, 0x01, 'a'};
    static const uint8_t settings[] = {0x04, 0x00};
    static const uint8_t cut_data[] = {0x00, 0x05, 'a', 'b'};
    static const uint8_t cut_header[] = {0x00, 0x45};
    static const uint8_t push[] = {0x05, 0x01, 0x00};
    static const uint8_t qpack[] = {0x01, 0x03, 0x05, 0x00, 0xff}; /* a table that is not there */
    (void)state;
    expect_connection_error(data, sizeof data, false, false, 0x105);
    expect_connection_error(settings, sizeof settings, false, true, 0x105);
    expect_connection_error(cut_data, sizeof cut_data, true, true, 0x106);
    expect_connection_error(cut_header, sizeof cut_header, true, true, 0); /* 0x101 or 0x106 */
    expect_connection_error(push, sizeof push, false, true, 0x105);
    expect_connection_error(qpack, sizeof qpack, false, false, 0x200);
}

static void expect_control_error(const uint8_t *data, size_t len, bool fin, uint64_t code) {
    for (size_t chunk = 0; chunk < 2; chunk++) {
        scene s;
        start(&s, true, chunk);
        put(s.control, data, len, fin);
        fake_link_run(s.p->link);
        assert_true(s.peer.closed);
        assert_int_equal(s.peer.close.code, code);
        stop(&s);
    }
}

static void broken_control_streams(void **state) {
    static const uint8_t data[] = {0x00, 0x01, 'a'};
    static const uint8_t settings[] = {0x04, 0x00};
    static const uint8_t long_settings[] = {0x0d, 0x80, 0x00, 0x40, 0x01};
    (void)state;
    expect_control_error(data, sizeof data, false, 0x105);
    expect_control_error(settings, sizeof settings, false, 0x105);
    expect_control_error(long_settings, sizeof long_settings, false, 0x107);
    expect_control_error(NULL, 0, true, 0x104);
}

static void broken_unidirectional_streams(void **state) {
    (void)state;
    scene s;
    rn_stream *stream = NULL;
    start(&s, true, 0);
    assert_int_equal(rn_conn_open_uni(s.conn, &stream), RPCNET_OK);
    PUT(stream, false, 0x00, 0x04, 0x00); /* a second control stream */
    fake_link_run(s.p->link);
    assert_int_equal(s.peer.close.code, RN_H3_STREAM_CREATION_ERROR);
    stop(&s);

    start(&s, true, 0);
    rn_stream_reset(s.control, 0);
    fake_link_run(s.p->link);
    assert_int_equal(s.peer.close.code, 0x104);
    stop(&s);

    start(&s, true, 1);
    assert_int_equal(rn_conn_open_uni(s.conn, &stream), RPCNET_OK);
    PUT(stream, false, 0x40, 0x21, 'x', 'y'); /* of unknown type: it is told to stop */
    fake_link_run(s.p->link);
    assert_false(s.peer.closed);
    assert_int_equal(s.peer.stops, 1);
    assert_int_equal(s.peer.code, RN_H3_STREAM_CREATION_ERROR);
    stop(&s);

    start(&s, true, 0);
    rn_stream_stop_sending(fake_conn_stream(s.conn, 3), 0); /* the server's own control stream */
    fake_link_run(s.p->link);
    assert_int_equal(s.peer.close.code, 0x104);
    stop(&s);
}

static void priorities(void **state) {
    (void)state;
    scene s;
    uint8_t frame[512];
    start(&s, true, 0);
    size_t len =
        headers_frame(frame, (const char *[]){":method", "POST", ":scheme", "https", ":authority",
                                              "x", ":path", "/a/b", "priority", "u=1", NULL});
    put(s.request, frame, len, false);
    fake_link_run(s.p->link);
    assert_int_equal(fake_stream_urgency(fake_conn_stream(fake_link_server(s.p->link), 0)), 1);
    /* PRIORITY_UPDATE of request 0, and of one that is not there yet, within the limit. */
    PUT(s.control, false, 0x80, 0x0f, 0x07, 0x00, 0x04, 0x00, 'u', '=', '6');
    PUT(s.control, false, 0x80, 0x0f, 0x07, 0x00, 0x05, 0x41, 0xfc, 'u', '=', '6');
    fake_link_run(s.p->link);
    assert_false(s.peer.closed);
    assert_int_equal(fake_stream_urgency(fake_conn_stream(fake_link_server(s.p->link), 0)), 6);
    /* Of a request beyond the limit. */
    PUT(s.control, false, 0x80, 0x0f, 0x07, 0x00, 0x05, 0x42, 0x00, 'u', '=', '6');
    fake_link_run(s.p->link);
    assert_int_equal(s.peer.close.code, 0x108);
    stop(&s);
}

/* What the server wants for itself stays, and only a PRIORITY_UPDATE changes anything. */
static void priorities_of_the_server(void **state) {
    (void)state;
    for (size_t chunk = 0; chunk < 3; chunk++) {
        scene s;
        uint8_t good[256];
        rn_stream *other = NULL;
        start(&s, true, chunk);
        put(s.request, good, good_headers(good), false);
        assert_int_equal(rn_conn_open_bidi(s.conn, &other), RPCNET_OK);
        put(other, good, good_headers(good), false);
        fake_link_run(s.p->link);
        const rn_stream *mine = fake_conn_stream(fake_link_server(s.p->link), 0);
        rn_stream *theirs = fake_conn_stream(fake_link_server(s.p->link), 4);
        rn_h3_stream_set_urgency(s.p->server.streams[0].stream, 0);
        say_priority(s.control, 0);
        fake_link_run(s.p->link);
        assert_int_equal(fake_stream_urgency(mine), 0);
        assert_int_equal(fake_stream_urgency(theirs), 3);
        rn_stream_set_urgency(theirs, 5); /* who looks after it would find another one */
        PUT(s.control, false, 0x21, 0x03, 'x', 'y', 'z', 0x21, 0x00);
        PUT(s.control, false, 0x80, 0x0f, 0x07, 0x00, 0x04, 0x04, 'u', '='); /* not whole */
        fake_link_run(s.p->link);
        assert_int_equal(fake_stream_urgency(theirs), 5);
        PUT(s.control, false, '1');
        fake_link_run(s.p->link);
        assert_int_equal(fake_stream_urgency(theirs), 1);
        assert_int_equal(fake_stream_urgency(mine), 0);
        assert_false(s.peer.closed);
        stop(&s);
    }
}

/* ---- a server that misbehaves ---- */

static heard *client_heard(scene *s) {
    return &s->p->client.streams[0];
}

static void responses_that_are_cut(void **state) {
    uint8_t frame[256];
    scene s;
    (void)state;
    size_t len = headers_frame(frame, (const char *[]){":status", "200", NULL});

    start(&s, false, 0);
    put(s.request, NULL, 0, true);
    fake_link_run(s.p->link);
    assert_int_equal(client_heard(&s)->resets, 1);
    assert_int_equal(client_heard(&s)->code, RN_H3_REQUEST_INCOMPLETE);
    assert_int_equal(client_heard(&s)->ends, 0);
    assert_false(s.peer.closed);
    stop(&s);

    start(&s, false, 0);
    put(s.request, frame, len, false);
    rn_stream_reset(s.request, RN_H3_INTERNAL_ERROR);
    fake_link_run(s.p->link);
    assert_int_equal(client_heard(&s)->resets, 1);
    assert_int_equal(client_heard(&s)->code, RN_H3_INTERNAL_ERROR);
    stop(&s);

    start(&s, false, 0);
    put(s.request, frame, headers_frame(frame, (const char *[]){":status", "abc", NULL}), false);
    fake_link_run(s.p->link);
    assert_int_equal(client_heard(&s)->resets, 1);
    assert_int_equal(client_heard(&s)->code, RN_H3_MESSAGE_ERROR);
    assert_int_equal(client_heard(&s)->headers, 0);
    stop(&s);
}

static void informational_responses_are_skipped(void **state) {
    uint8_t frame[256];
    scene s;
    (void)state;
    for (size_t chunk = 0; chunk < 2; chunk++) {
        start(&s, false, chunk);
        put(s.request, frame, headers_frame(frame, (const char *[]){":status", "103", NULL}),
            false);
        fake_link_run(s.p->link);
        assert_int_equal(client_heard(&s)->headers, 0);
        put(s.request, frame, headers_frame(frame, (const char *[]){":status", "204", NULL}), true);
        fake_link_run(s.p->link);
        assert_int_equal(client_heard(&s)->headers, 1);
        assert_string_equal(client_heard(&s)->first_value, "204");
        assert_int_equal(client_heard(&s)->ends, 1);
        stop(&s);
    }
}

static void a_server_opens_a_request(void **state) {
    scene s;
    rn_stream *stream = NULL;
    (void)state;
    start(&s, false, 0);
    assert_int_equal(rn_conn_open_bidi(s.conn, &stream), RPCNET_OK);
    PUT(stream, false, 0x01, 0x00);
    fake_link_run(s.p->link);
    assert_int_equal(s.peer.close.code, RN_H3_STREAM_CREATION_ERROR);
    assert_int_equal(client_heard(&s)->closes, 1);
    stop(&s);
}

/* ---- noise ---- */

static void random_bytes(void **state) {
    (void)state;
    srand(3);
    for (int round = 0; round < 400; round++) {
        scene s;
        uint8_t noise[300];
        size_t len = 0;
        start(&s, true, (size_t)(rand() % 8));
        if (round % 2 == 0) {
            len = good_headers(noise);
        }
        while (len < sizeof noise) {
            noise[len++] = (uint8_t)(rand() % 4 == 0 ? rand() % 8 : rand() % 256);
        }
        put(round % 5 == 4 ? s.control : s.request, noise, len, rand() % 2 == 0);
        fake_link_run(s.p->link);
        stop(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_fields),
        cmocka_unit_test(requests_without_headers),
        cmocka_unit_test(oversized_frames),
        cmocka_unit_test(oversized_frames_are_counted),
        cmocka_unit_test(unknown_frames_are_skipped),
        cmocka_unit_test(a_request_that_is_reset_before_it_began),
        cmocka_unit_test(priorities_of_requests_that_never_were),
        cmocka_unit_test(a_request_that_never_was_behind_the_last_goaway),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(broken_frames),
        cmocka_unit_test(broken_control_streams),
        cmocka_unit_test(broken_unidirectional_streams),
        cmocka_unit_test(priorities),
        cmocka_unit_test(priorities_of_the_server),
        cmocka_unit_test(responses_that_are_cut),
        cmocka_unit_test(informational_responses_are_skipped),
        cmocka_unit_test(a_server_opens_a_request),
        cmocka_unit_test(random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
