/* Session: two of them over a fake connection: requests, sends against full rings, ends of all
 * kinds, and users who give up inside callbacks. */
#include "unit/h3/peers.h"

#include "h3/internal.h"

/* ---- messages ---- */

static void echo_back(heard *h) {
    respond(h, false);
    rn_bytes piece = rn_buffer_bytes(&h->body);
    size_t taken = 0;
    assert_int_equal(rn_h3_send(h->stream, &piece, 1, false, &taken), RPCNET_OK);
    rn_h3_field trailer = field("x-sum", "42");
    assert_int_equal(rn_h3_trailers(h->stream, &trailer, 1), RPCNET_OK);
}

static void arm_echo(heard *h) {
    h->act = echo_back;
    h->act_in = "end";
}

static void request_and_response(const fake_options *options) {
    peers *p = peers_new(options);
    p->server.on_request = arm_echo;
    heard *h = send_request(p, false);
    assert_int_equal(send_text(h, "one", false), RPCNET_OK);
    fake_link_run(p->link);
    assert_int_equal(send_text(h, " two", true), RPCNET_OK);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    assert_int_equal(s->headers, 1);
    assert_int_equal(s->field_count, 0 + REQUEST_FIELDS);
    assert_string_equal(s->first_value, "POST");
    assert_body(s, "one two");
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->closes, 1);
    assert_int_equal(h->headers, 1);
    assert_body(h, "one two");
    assert_int_equal(h->trailers, 1);
    assert_string_equal(h->first_value, "42");
    assert_int_equal(h->ends, 1);
    assert_int_equal(h->closes, 1);
    assert_false(h->closed_by_connection);
    assert_int_equal(h->resets + s->resets + h->stops + s->stops, 0);
    assert_int_equal(fake_conn_unconsumed(fake_link_client(p->link)), 0);
    assert_int_equal(fake_conn_unconsumed(fake_link_server(p->link)), 0);
    assert_int_equal(rn_h3_session_streams(p->client.session), 0);
    assert_int_equal(rn_h3_session_streams(p->server.session), 0);
    peers_del(p);
}

static void a_request_and_its_response(void **state) {
    (void)state;
    request_and_response(NULL);
    request_and_response(&(fake_options){.chunk = 1});
    for (unsigned seed = 1; seed < 40; seed++) {
        request_and_response(&(fake_options){.chunk = 9, .seed = seed});
    }
}

static void reply_without_body(heard *h) {
    respond(h, true);
}

static void headers_alone(void **state) {
    (void)state;
    peers *p = peers_new(&(fake_options){.chunk = 3});
    p->server.on_request = reply_without_body;
    heard *h = send_request(p, true);
    fake_link_run(p->link);
    assert_int_equal(h->headers, 1);
    assert_int_equal(h->body.len, 0);
    assert_int_equal(h->ends, 1);
    assert_int_equal(h->closes, 1);
    assert_int_equal(p->server.streams[0].ends, 1);
    peers_del(p);
}

/* The caller's bytes are its own again when the call returns. */
static void nothing_is_borrowed(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, false);
    fake_conn_hold(fake_link_client(p->link), true);
    char *text = strdup("some bytes");
    assert_int_equal(send_text(h, text, false), RPCNET_OK);
    memset(text, 'x', strlen(text));
    free(text);
    assert_int_equal(send_text(h, " more", true), RPCNET_OK);
    fake_conn_hold(fake_link_client(p->link), false);
    fake_link_run(p->link);
    assert_body(&p->server.streams[0], "some bytes more");
    peers_del(p);
}

static void several_pieces_are_one_frame(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, false);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    size_t before = fake_stream_delivered(fake_conn_stream(fake_link_server(p->link), 0));
    rn_bytes pieces[RN_H3_PIECES_MAX];
    for (size_t i = 0; i < RN_H3_PIECES_MAX; i++) {
        pieces[i] = rn_bytes_text(i % 2 == 0 ? "ab" : "");
    }
    size_t taken = 0;
    assert_int_equal(rn_h3_send(h->stream, pieces, RN_H3_PIECES_MAX, false, &taken), RPCNET_OK);
    assert_int_equal(taken, 8);
    fake_link_run(p->link);
    assert_body(s, "abababab");
    size_t after = fake_stream_delivered(fake_conn_stream(fake_link_server(p->link), 0));
    assert_int_equal(after - before, 2 + 8);
    peers_del(p);
}

static void empty_sends(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, false);
    size_t taken = 1;
    assert_int_equal(rn_h3_send(h->stream, NULL, 0, false, &taken), RPCNET_OK);
    assert_int_equal(taken, 0);
    assert_int_equal(send_text(h, "", true), RPCNET_OK);
    assert_int_equal(send_text(h, "late", false), RPCNET_ERR_CLOSED);
    fake_link_run(p->link);
    assert_int_equal(p->server.streams[0].ends, 1);
    peers_del(p);
}

/* ---- full rings ---- */

enum { RING = 4096 };

/* `len` body bytes into a ring with `room` left; what is taken, or a negative result. */
static long send_into_room(size_t room, size_t len) {
    peers *p = peers_new(&(fake_options){.ring = RING});
    heard *h = send_request(p, false);
    fake_link_run(p->link);
    fake_conn_hold(fake_link_client(p->link), true);
    static const uint8_t zeros[RING + 10];
    size_t fill = RING - room - 3; /* the frame header of this length is three bytes */
    rn_bytes piece = rn_bytes_of(zeros, fill);
    size_t taken = 0;
    assert_int_equal(rn_h3_send(h->stream, &piece, 1, false, &taken), RPCNET_OK);
    assert_int_equal(taken, fill);
    assert_int_equal(rn_stream_room(h->stream->stream), room);
    piece = rn_bytes_of(zeros, len);
    int rv = rn_h3_send(h->stream, &piece, 1, false, &taken);
    assert_true(rv == RPCNET_OK || taken == 0);
    assert_int_equal(h->rooms, 0);
    fake_conn_hold(fake_link_client(p->link), false);
    fake_link_run(p->link);
    assert_int_equal(h->rooms, rv != RPCNET_OK || taken < len ? 1 : 0);
    assert_int_equal(p->server.streams[0].body.len, fill + taken);
    peers_del(p);
    return rv == RPCNET_OK ? (long)taken : rv;
}

static void sends_take_what_fits(void **state) {
    (void)state;
    assert_int_equal(send_into_room(100, 96), 96);
    assert_int_equal(send_into_room(100, 97), 97);
    assert_int_equal(send_into_room(100, 98), RPCNET_ERR_AGAIN); /* a part of less than the least */
    assert_int_equal(send_into_room(65, 63), 63);
    assert_int_equal(send_into_room(66, 63), 63);
    assert_int_equal(send_into_room(66, 64), RPCNET_ERR_AGAIN);
    assert_int_equal(send_into_room(67, 64), 64);
    assert_int_equal(send_into_room(RN_H3_SEND_PART_MIN + 2, 2000), RPCNET_ERR_AGAIN);
    assert_int_equal(send_into_room(RN_H3_SEND_PART_MIN + 3, 2000), RN_H3_SEND_PART_MIN);
    assert_int_equal(send_into_room(1000, 2000), 997);
    assert_int_equal(send_into_room(2, 1), RPCNET_ERR_AGAIN);
    assert_int_equal(send_into_room(3, 1), 1);
}

static void a_large_body_over_a_small_ring(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < 6; seed++) {
        peers *p =
            peers_new(&(fake_options){.ring = RING, .window = 1000, .chunk = 700, .seed = seed});
        heard *h = send_request(p, false);
        size_t len = 100000;
        uint8_t *body = malloc(len);
        assert_non_null(body);
        for (size_t i = 0; i < len; i++) {
            body[i] = (uint8_t)(i * 7 + i / 251);
        }
        for (size_t at = 0; at < len;) {
            rn_bytes piece = rn_bytes_of(body + at, len - at);
            size_t taken = 0;
            int rv = rn_h3_send(h->stream, &piece, 1, true, &taken);
            assert_true(rv == RPCNET_OK || rv == RPCNET_ERR_AGAIN);
            assert_true(taken <= RING);
            at += taken;
            if (at < len) {
                unsigned rooms = h->rooms;
                fake_link_run(p->link);
                assert_int_equal(h->rooms, rooms + 1);
            }
        }
        fake_link_run(p->link);
        heard *s = &p->server.streams[0];
        assert_int_equal(s->body.len, len);
        assert_memory_equal(s->body.data, body, len);
        assert_int_equal(s->ends, 1);
        free(body);
        peers_del(p);
    }
}

static void trailers_wait_for_room(void **state) {
    (void)state;
    peers *p = peers_new(&(fake_options){.ring = RING});
    heard *h = send_request(p, true);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    fake_conn_hold(fake_link_server(p->link), true);
    respond(s, false);
    static const uint8_t zeros[RING];
    rn_bytes piece = rn_bytes_of(zeros, rn_h3_room(s->stream));
    size_t taken = 0;
    assert_int_equal(rn_h3_send(s->stream, &piece, 1, false, &taken), RPCNET_OK);
    rn_h3_field trailer = field("grpc-status", "0");
    assert_int_equal(rn_h3_trailers(s->stream, &trailer, 1), RPCNET_ERR_AGAIN);
    assert_int_equal(rn_h3_trailers(s->stream, &trailer, 1), RPCNET_ERR_AGAIN);
    assert_false(rn_h3_stream_is_sent(s->stream));
    fake_conn_hold(fake_link_server(p->link), false);
    fake_link_run(p->link);
    assert_int_equal(s->rooms, 1);
    assert_int_equal(h->ends, 0);
    assert_int_equal(rn_h3_trailers(s->stream, &trailer, 1), RPCNET_OK);
    assert_true(rn_h3_stream_is_sent(s->stream));
    assert_int_equal(rn_h3_trailers(s->stream, &trailer, 1), RPCNET_ERR_CLOSED);
    fake_link_run(p->link);
    assert_int_equal(h->trailers, 1);
    assert_int_equal(h->ends, 1);
    assert_int_equal(h->body.len, taken);
    peers_del(p);
}

/* A section of which no ring ever has room: 32 bytes and 12 for each field beside its text. */
static void sections_larger_than_the_ring(void **state) {
    (void)state;
    enum { TEXT_MAX = RING - 32 - 2 * 12, FIRST = sizeof ":status200" - 1, NAME = 1 };
    static char value[TEXT_MAX + 2];
    for (size_t over = 0; over < 3; over++) { /* one below, as large as the ring, one above */
        size_t len = TEXT_MAX - FIRST - NAME - 1 + over;
        memset(value, 'v', len);
        value[len] = '\0';
        rn_h3_field fields[] = {field(":status", "200"), field("x", value)};
        int expected = over == 2 ? RPCNET_ERR_LIMIT : RPCNET_OK;
        peers *p = peers_new(&(fake_options){.ring = RING});
        heard *h = send_request(p, true);
        heard *other = send_request(p, true);
        fake_link_run(p->link);
        heard *s = &p->server.streams[0];
        assert_int_equal(rn_h3_respond(s->stream, fields, 2, true), expected);
        s = &p->server.streams[1];
        respond(s, false);
        fake_link_run(p->link);
        fields[0] = field("trailer", "200");
        assert_int_equal(rn_h3_trailers(s->stream, fields, 2), expected);
        fake_link_run(p->link);
        assert_int_equal(h->ends, over < 2 ? 1 : 0);
        assert_int_equal(other->ends, over < 2 ? 1 : 0);
        assert_int_equal(p->client.closes, 0);
        peers_del(p);
    }
}

/* What a stream cannot send for lack of memory is that stream's alone. */
static void memory_runs_out(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, false);
    rn_h3_field fields[REQUEST_FIELDS];
    rn_h3_stream *stream = NULL;
    request_fields(fields);
    fake_conn_fail_writes(fake_link_client(p->link), true);
    assert_int_equal(send_text(h, "x", false), RPCNET_ERR_MEMORY);
    assert_int_equal(rn_h3_request(p->client.session, fields, REQUEST_FIELDS, true, &heard_handler,
                                   NULL, &stream),
                     RPCNET_ERR_MEMORY);
    assert_null(stream);
    fake_conn_fail_writes(fake_link_client(p->link), false);
    assert_int_equal(send_text(h, "y", true), RPCNET_OK);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    assert_int_equal(s->body.len, 1);
    fake_conn_fail_writes(fake_link_server(p->link), true);
    rn_h3_field status = field(":status", "200");
    assert_int_equal(rn_h3_respond(s->stream, &status, 1, true), RPCNET_ERR_MEMORY);
    fake_conn_fail_writes(fake_link_server(p->link), false);
    assert_int_equal(rn_h3_respond(s->stream, &status, 1, true), RPCNET_OK);
    fake_link_run(p->link);
    assert_int_equal(h->ends, 1);
    assert_int_equal(p->client.closes, 0);
    peers_del(p);
}

/* What the session as a whole has to say is not to be missed. */
static void memory_runs_out_for_the_session(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, false);
    fake_link_run(p->link);
    fake_conn_fail_writes(fake_link_server(p->link), true);
    assert_int_equal(rn_h3_session_goaway(p->server.session, false), RPCNET_ERR_MEMORY);
    fake_link_run(p->link);
    assert_int_equal(p->server.closes, 1);
    assert_int_equal(p->client.closes, 1);
    assert_int_equal(p->client.close.code, RN_H3_INTERNAL_ERROR);
    assert_int_equal(p->server.close.cause, RN_CLOSE_LOCAL); /* no fault of the peer's */
    assert_true(h->closed_by_connection);
    peers_del(p);
}

/* ---- states ---- */

static void requests_need_an_established_session(void **state) {
    (void)state;
    peers *p = peers_make(NULL, NULL, true, true);
    rn_h3_field fields[REQUEST_FIELDS];
    rn_h3_stream *stream = NULL;
    request_fields(fields);
    assert_int_equal(rn_h3_request(p->client.session, fields, REQUEST_FIELDS, true, &heard_handler,
                                   NULL, &stream),
                     RPCNET_ERR_STATE);
    assert_int_equal(rn_h3_session_goaway(p->client.session, false), RPCNET_ERR_STATE);
    assert_false(rn_h3_session_is_usable(p->client.session));
    peers_del(p);
}

static void the_order_of_a_response(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    send_request(p, false);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    rn_h3_field trailer = field("grpc-status", "0");
    assert_int_equal(rn_h3_trailers(s->stream, &trailer, 1), RPCNET_ERR_STATE);
    assert_int_equal(send_text(s, "x", false), RPCNET_ERR_STATE);
    assert_int_equal(rn_h3_room(s->stream), 0);
    respond(s, false);
    assert_int_equal(rn_h3_respond(s->stream, &trailer, 1, false), RPCNET_ERR_STATE);
    peers_del(p);
}

static void the_peers_limit_on_streams(void **state) {
    (void)state;
    peers *p = peers_new(&(fake_options){.bidi_max = 2});
    rn_h3_field fields[REQUEST_FIELDS];
    rn_h3_stream *stream = NULL;
    request_fields(fields);
    send_request(p, true);
    send_request(p, true);
    assert_int_equal(rn_h3_request(p->client.session, fields, REQUEST_FIELDS, true, &heard_handler,
                                   NULL, &stream),
                     RPCNET_ERR_LIMIT);
    assert_null(stream);
    p->server.on_request = reply_without_body;
    fake_link_run(p->link);
    send_request(p, true);
    fake_link_run(p->link);
    assert_int_equal(p->server.requests, 3);
    peers_del(p);
}

static void too_few_unidirectional_streams(void **state) {
    (void)state;
    peers *p = peers_make(&(fake_options){.uni_max = 2}, NULL, true, true);
    fake_link_establish(p->link);
    assert_int_equal(p->client.established, 0);
    assert_int_equal(fake_conn_close_code(fake_link_client(p->link)), RN_H3_GENERAL_PROTOCOL_ERROR);
    fake_link_run(p->link);
    assert_int_equal(p->client.closes, 1);
    peers_del(p);
}

/* ---- limits on fields ---- */

enum { SECTION_MAX = 2000 };

/* A request whose section has exactly this size, against a server that takes SECTION_MAX. The
 * client may know the server's limit, or send before it came. */
static int request_of_size(size_t size, bool know_limit, unsigned *accepted, uint64_t *code) {
    rn_h3_options h3 = {.field_section_max = SECTION_MAX};
    peers *p = peers_make(&(fake_options){.chunk = 100}, &h3, true, true);
    fake_link_establish(p->link);
    if (know_limit) {
        fake_link_run(p->link);
    }
    rn_h3_field fields[REQUEST_FIELDS + 1];
    rn_h3_stream *stream = NULL;
    char value[2 * SECTION_MAX];
    request_fields(fields);
    size_t used = 0;
    for (size_t i = 0; i < REQUEST_FIELDS; i++) {
        used += fields[i].name.len + fields[i].value.len + 32;
    }
    memset(value, 'v', sizeof value);
    fields[REQUEST_FIELDS].name = rn_bytes_text("x");
    fields[REQUEST_FIELDS].value = rn_bytes_of(value, size - used - 33);
    int rv = rn_h3_request(p->client.session, fields, REQUEST_FIELDS + 1, true, &heard_handler,
                           NULL, &stream);
    heard *h = NULL;
    if (rv == RPCNET_OK) {
        h = listen_to(&p->client, stream);
    }
    fake_link_run(p->link);
    *accepted = p->server.requests;
    *code = h != NULL ? h->code : 0;
    assert_int_equal(p->server.excessive, rv == RPCNET_OK && *accepted == 0 ? 1 : 0);
    assert_int_equal(p->server.closes, 0);
    peers_del(p);
    return rv;
}

static void sections_are_limited(void **state) {
    unsigned accepted = 0;
    uint64_t code = 0;
    (void)state;
    assert_int_equal(request_of_size(SECTION_MAX - 1, true, &accepted, &code), RPCNET_OK);
    assert_int_equal(accepted, 1);
    assert_int_equal(request_of_size(SECTION_MAX, true, &accepted, &code), RPCNET_OK);
    assert_int_equal(accepted, 1);
    assert_int_equal(request_of_size(SECTION_MAX + 1, true, &accepted, &code), RPCNET_ERR_LIMIT);
    assert_int_equal(request_of_size(SECTION_MAX, false, &accepted, &code), RPCNET_OK);
    assert_int_equal(accepted, 1);
    assert_int_equal(request_of_size(SECTION_MAX + 1, false, &accepted, &code), RPCNET_OK);
    assert_int_equal(accepted, 0);
    assert_int_equal(code, RN_H3_EXCESSIVE_LOAD);
}

static int request_of_fields(size_t count) {
    peers *p = peers_new(NULL);
    rn_h3_field fields[RN_H3_FIELDS_MAX + 1];
    rn_h3_stream *stream = NULL;
    request_fields(fields);
    for (size_t i = REQUEST_FIELDS; i < count; i++) {
        fields[i] = field("x", "y");
    }
    int rv = rn_h3_request(p->client.session, fields, count, true, &heard_handler, NULL, &stream);
    if (rv == RPCNET_OK) {
        listen_to(&p->client, stream);
    }
    fake_link_run(p->link);
    if (rv == RPCNET_OK) {
        assert_int_equal(p->server.streams[0].field_count, count);
    }
    peers_del(p);
    return rv;
}

static void fields_are_counted(void **state) {
    (void)state;
    assert_int_equal(request_of_fields(RN_H3_FIELDS_MAX - 1), RPCNET_OK);
    assert_int_equal(request_of_fields(RN_H3_FIELDS_MAX), RPCNET_OK);
    assert_int_equal(request_of_fields(RN_H3_FIELDS_MAX + 1), RPCNET_ERR_LIMIT);
}

static void the_request_stays_in_the_books(void **state) {
    (void)state;
    peers *p = peers_new(&(fake_options){.chunk = 1});
    heard *h = send_request(p, false);
    assert_int_equal(send_text(h, "0123456789", false), RPCNET_OK);
    while (p->server.streams[0].body.len < 4) {
        assert_true(fake_link_step(p->link));
    }
    rn_h3_stream *stream = p->server.streams[0].stream;
    assert_int_equal(rn_h3_stream_book(stream)->state, RN_H3_BOOK_SKIP);
    assert_int_equal(rn_h3_stream_book(stream)->left, 6);
    assert_int_equal(nghttp3_conn_get_frame_payload_left(p->server.session->http, 0), 6);
    rn_h3_field fields[RN_H3_FIELDS_MAX];
    assert_int_equal(rn_h3_stream_request(stream, fields), 0 + REQUEST_FIELDS);
    assert_true(rn_bytes_is(fields[3].name, ":path"));
    assert_true(rn_bytes_is(fields[3].value, "/service/method"));
    rn_h3_field trailer = field("x-late", "1");
    assert_int_equal(rn_h3_trailers(h->stream, &trailer, 1), RPCNET_OK);
    fake_link_run(p->link);
    assert_string_equal(p->server.streams[0].first_value, "1");
    assert_int_equal(rn_h3_stream_request(stream, fields), 0 + REQUEST_FIELDS);
    assert_true(rn_bytes_is(fields[3].value, "/service/method"));
    assert_int_equal(rn_h3_stream_request(h->stream, fields), 0);
    peers_del(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_and_its_response),
        cmocka_unit_test(headers_alone),
        cmocka_unit_test(nothing_is_borrowed),
        cmocka_unit_test(several_pieces_are_one_frame),
        cmocka_unit_test(empty_sends),
        cmocka_unit_test(sends_take_what_fits),
        cmocka_unit_test(a_large_body_over_a_small_ring),
        cmocka_unit_test(trailers_wait_for_room),
        cmocka_unit_test(sections_larger_than_the_ring),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(memory_runs_out_for_the_session),
        cmocka_unit_test(requests_need_an_established_session),
        cmocka_unit_test(the_order_of_a_response),
        cmocka_unit_test(the_peers_limit_on_streams),
        cmocka_unit_test(too_few_unidirectional_streams),
        cmocka_unit_test(sections_are_limited),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(the_request_stays_in_the_books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
