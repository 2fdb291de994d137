/* Calls of the four kinds, with bytes cut in all ways, over small rings and windows. */
#include "grpc/framing.h"
#include "unit/grpc/pair.h"

/* ---- unary ---- */

static void reply_ok(ear *e) {
    assert_int_equal(say(e, "reply"), RPCNET_OK);
    assert_int_equal(finish(e, RPCNET_GRPC_OK, ""), RPCNET_OK);
}
static void on_half_close_reply(ear *e) {
    e->act = reply_ok;
    e->act_in = "half_close";
}

static void unary(const fake_options *options) {
    pair *p = pair_new(options);
    p->on_accept = on_half_close_reply;
    ear *c = open_call(p);
    assert_int_equal(say(c, "question"), RPCNET_OK);
    assert_int_equal(rn_call_half_close(c->call), RPCNET_OK);
    assert_int_equal(say(c, "late"), RPCNET_ERR_STATE);
    pair_run(p);
    ear *s = &p->served[0];
    assert_true(rn_bytes_is(rn_call_path(s->call), "/test.Service/Method"));
    assert_true(rn_call_deadline(s->call) == RN_NEVER);
    assert_string_equal(s->last, "question");
    assert_int_equal(s->half_closes, 1);
    assert_int_equal(c->headers, 1);
    assert_int_equal(c->messages, 1);
    assert_string_equal(c->last, "reply");
    expect_status(c, RPCNET_GRPC_OK);
    assert_string_equal(c->text, "");
    assert_int_equal(c->closes, 1);
    assert_int_equal(s->closes, 1);
    assert_int_equal(s->cancels, 0);
    assert_null(rn_call_stream(c->call));
    assert_int_equal(say(c, "late"), RPCNET_ERR_STATE);
    pair_del(p);
}

static void a_unary_call(void **state) {
    (void)state;
    unary(NULL);
    unary(&(fake_options){.chunk = 1});
    for (unsigned seed = 1; seed < 30; seed++) {
        unary(&(fake_options){.chunk = 11, .seed = seed});
    }
}

/* ---- streams ---- */

static void server_streams(const fake_options *options) {
    pair *p = pair_new(options);
    ear *c = open_call(p);
    assert_int_equal(say(c, ""), RPCNET_OK);
    assert_int_equal(rn_call_half_close(c->call), RPCNET_OK);
    pair_run(p);
    ear *s = &p->served[0];
    assert_int_equal(s->messages, 1);
    assert_int_equal(s->lengths[0], 0);
    char text[32];
    for (int i = 0; i < 50; i++) {
        (void)snprintf(text, sizeof text, "token %d", i);
        assert_int_equal(say(s, text), RPCNET_OK);
        if (i % 7 == 0) {
            pair_run(p);
            assert_string_equal(c->last, text);
        }
    }
    assert_int_equal(finish(s, RPCNET_GRPC_OK, ""), RPCNET_OK);
    pair_run(p);
    assert_int_equal(c->messages, 50);
    expect_status(c, RPCNET_GRPC_OK);
    pair_del(p);
}

static void a_server_stream(void **state) {
    (void)state;
    server_streams(NULL);
    server_streams(&(fake_options){.chunk = 1});
    server_streams(&(fake_options){.chunk = 40, .seed = 4});
}

static void a_client_stream(void **state) {
    (void)state;
    pair *p = pair_new(&(fake_options){.chunk = 5, .seed = 2});
    p->on_accept = on_half_close_reply;
    ear *c = open_call(p);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(say(c, "item"), RPCNET_OK);
        pair_run(p);
    }
    assert_int_equal(p->served[0].messages, 20);
    assert_int_equal(c->statuses, 0);
    assert_int_equal(rn_call_half_close(c->call), RPCNET_OK);
    pair_run(p);
    expect_status(c, RPCNET_GRPC_OK);
    assert_int_equal(c->messages, 1);
    pair_del(p);
}

static void echo_message(ear *e) {
    assert_int_equal(say(e, e->last), RPCNET_OK);
    e->act = echo_message;
    e->act_in = "message";
}
static void on_message_echo(ear *e) {
    e->act = echo_message;
    e->act_in = "message";
}

static void both_ways(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < 10; seed++) {
        pair *p = pair_new(&(fake_options){.chunk = seed == 0 ? 0 : 13, .seed = seed});
        p->on_accept = on_message_echo;
        ear *c[3];
        for (int i = 0; i < 3; i++) {
            c[i] = open_call(p);
        }
        char text[32];
        for (int i = 0; i < 30; i++) {
            (void)snprintf(text, sizeof text, "ping %d", i);
            assert_int_equal(say(c[i % 3], text), RPCNET_OK);
            pair_run(p);
            assert_string_equal(c[i % 3]->last, text);
        }
        for (int i = 0; i < 3; i++) {
            assert_int_equal(rn_call_half_close(c[i]->call), RPCNET_OK);
            assert_int_equal(c[i]->messages, 10);
        }
        pair_run(p);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(p->served[i].half_closes, 1);
            assert_int_equal(finish(&p->served[i], RPCNET_GRPC_OK, ""), RPCNET_OK);
        }
        pair_run(p);
        for (int i = 0; i < 3; i++) {
            expect_status(c[i], RPCNET_GRPC_OK);
        }
        pair_del(p);
    }
}

/* ---- headers and status ---- */

static void metadata_travels(void **state) {
    (void)state;
    pair *p = pair_new(&(fake_options){.chunk = 1});
    rn_metadata metadata;
    rn_metadata_init(&metadata);
    assert_int_equal(rn_metadata_add(&metadata, rn_bytes_text("x-header"), rn_bytes_text("one")),
                     0);
    assert_int_equal(
        rn_metadata_add(&metadata, rn_bytes_text("raw-bin"), rn_bytes_of("\0\1\2\xff", 4)), 0);
    assert_int_equal(rn_metadata_add(&metadata, rn_bytes_text("empty-bin"), rn_bytes_text("")), 0);
    assert_int_equal(rn_metadata_add(&metadata, rn_bytes_text("x-trailer"), rn_bytes_text("t")), 0);
    rn_call_start start = START_DEFAULT;
    start.metadata = &metadata;
    ear *c = open_call_with(p, &start);
    pair_run(p);
    ear *s = &p->served[0];
    const rn_metadata *got = rn_call_metadata(s->call);
    rn_bytes value;
    assert_int_equal(rn_metadata_count(got), 4);
    assert_true(rn_metadata_find(got, "x-header", &value) && rn_bytes_is(value, "one"));
    assert_true(rn_metadata_find(got, "raw-bin", &value));
    assert_true(rn_bytes_equal(value, rn_bytes_of("\0\1\2\xff", 4)));
    assert_true(rn_metadata_find(got, "empty-bin", &value) && value.len == 0);
    assert_int_equal(rn_call_send_headers(s->call, &metadata), RPCNET_OK);
    assert_int_equal(rn_call_send_headers(s->call, &metadata), RPCNET_ERR_STATE);
    pair_run(p);
    assert_int_equal(c->headers, 1);
    assert_string_equal(c->header, "one");
    rn_status status = {.code = RPCNET_GRPC_ABORTED, .message = rn_bytes_text("100% \n done")};
    assert_int_equal(rn_call_finish(s->call, &status, &metadata), RPCNET_OK);
    assert_int_equal(rn_call_finish(s->call, &status, &metadata), RPCNET_ERR_STATE);
    pair_run(p);
    expect_status(c, RPCNET_GRPC_ABORTED);
    assert_string_equal(c->text, "100% \n done");
    assert_int_equal(c->trailers, 4);
    assert_string_equal(c->trailer, "t");
    rn_metadata_fini(&metadata);
    pair_del(p);
}

static void a_reply_of_trailers_only(void **state) {
    (void)state;
    pair *p = pair_new(&(fake_options){.chunk = 1});
    ear *c = open_call(p);
    assert_int_equal(say(c, "x"), RPCNET_OK);
    pair_run(p);
    assert_int_equal(finish(&p->served[0], RPCNET_GRPC_NOT_FOUND, "no such thing"), RPCNET_OK);
    pair_run(p);
    assert_int_equal(c->headers, 0);
    expect_status(c, RPCNET_GRPC_NOT_FOUND);
    assert_string_equal(c->text, "no such thing");
    assert_int_equal(c->closes, 1);
    assert_int_equal(p->served[0].closes, 1);
    assert_int_equal(p->served[0].cancels, 0);
    pair_del(p);
}

static void deadlines_travel(void **state) {
    (void)state;
    pair *p = pair_new(NULL);
    rn_call_start start = START_DEFAULT;
    uint64_t now = rn_conn_now(fake_link_client(p->link));
    start.deadline = now;
    rn_call *call = NULL;
    assert_int_equal(rn_call_new(&call, p->client, &start, &ear_handler, NULL), RPCNET_ERR_TIMEOUT);
    start.deadline = now + 5 * RN_SECOND;
    fake_conn_set_now(fake_link_server(p->link), 1000 * RN_SECOND);
    ear *c = open_call_with(p, &start);
    assert_true(rn_call_deadline(c->call) == start.deadline);
    pair_run(p);
    assert_true(rn_call_deadline(p->served[0].call) == 1005 * RN_SECOND);
    pair_del(p);
}

static void names_are_checked(void **state) {
    static const char *const paths[] = {"", "no-slash", "/a b", "/a\n"};
    (void)state;
    pair *p = pair_new(NULL);
    rn_call *call = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        rn_call_start start = START_DEFAULT;
        start.path = rn_bytes_text(paths[i]);
        assert_int_equal(rn_call_new(&call, p->client, &start, &ear_handler, NULL),
                         RPCNET_ERR_ARGUMENT);
    }
    static char path[RN_CALL_PATH_MAX + 1];
    memset(path, 'p', sizeof path);
    path[0] = '/';
    for (size_t len = RN_CALL_PATH_MAX - 1; len <= RN_CALL_PATH_MAX + 1; len++) {
        rn_call_start start = START_DEFAULT;
        start.path = rn_bytes_of(path, len);
        call = NULL;
        assert_int_equal(rn_call_new(&call, p->client, &start, &ear_handler, &p->calls[0]),
                         len <= RN_CALL_PATH_MAX ? RPCNET_OK : RPCNET_ERR_ARGUMENT);
        rn_call_del(call);
    }
    pair_run(p);
    pair_del(p);
}

/* ---- flow ---- */

static void big_messages(void **state) {
    static const size_t lengths[] = {100000, 1, 0, 4096, 70000, 4091, 4085};
    enum { COUNT = sizeof lengths / sizeof lengths[0] };
    (void)state;
    for (unsigned seed = 0; seed < 6; seed++) {
        fake_options options = {.ring = 4096, .window = 1500, .chunk = 900, .seed = seed};
        pair *p = pair_new(&options);
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        uint32_t sum = 0;
        for (size_t i = 0; i < COUNT; i++) {
            fake_conn_hold(fake_link_server(p->link), true);
            int rv = say_bytes(s, lengths[i]);
            assert_int_equal(rv, RPCNET_OK);
            if (rn_call_kept(s->call) > 0) {
                assert_int_equal(say(s, "no"), RPCNET_ERR_AGAIN);
                assert_int_equal(s->writables, 0);
            }
            fake_conn_hold(fake_link_server(p->link), false);
            pair_run(p);
            assert_int_equal(rn_call_kept(s->call), 0);
            assert_int_equal(c->messages, i + 1);
            assert_int_equal(c->lengths[i], lengths[i]);
            for (size_t j = 0; j < lengths[i]; j++) {
                sum = sum * 31 + (uint8_t)(j * 7 + j / 253 + lengths[i]);
            }
            assert_int_equal(c->sum, sum);
            if (lengths[i] > 4096) {
                assert_int_equal(s->writables, 1);
            }
            s->writables = 0;
        }
        assert_int_equal(fake_conn_unconsumed(fake_link_client(p->link)), 0);
        assert_int_equal(finish(s, RPCNET_GRPC_OK, ""), RPCNET_OK);
        pair_run(p);
        expect_status(c, RPCNET_GRPC_OK);
        pair_del(p);
    }
}

/* The end goes behind what is kept, and behind a ring that has no room for it. */
static void the_end_waits_for_room(void **state) {
    (void)state;
    for (size_t len = 4000; len < 4300; len += 1) {
        pair *p = pair_new(&(fake_options){.ring = 4096, .window = 2000, .chunk = 1200});
        ear *c = open_call(p);
        assert_int_equal(rn_call_half_close(c->call), RPCNET_OK);
        pair_run(p);
        ear *s = &p->served[0];
        fake_conn_hold(fake_link_server(p->link), true);
        assert_int_equal(say_bytes(s, len), RPCNET_OK);
        rn_metadata trailers;
        rn_metadata_init(&trailers);
        assert_int_equal(
            rn_metadata_add(&trailers, rn_bytes_text("x-trailer"), rn_bytes_text("tail")), 0);
        rn_status status = {.code = RPCNET_GRPC_OUT_OF_RANGE, .message = rn_bytes_text("end")};
        assert_int_equal(rn_call_finish(s->call, &status, &trailers), RPCNET_OK);
        rn_metadata_fini(&trailers);
        assert_int_equal(say(s, "x"), RPCNET_ERR_STATE);
        if (len % 2 == 0) {
            ear_drop(s); /* what was finished goes on by itself */
        }
        fake_conn_hold(fake_link_server(p->link), false);
        pair_run(p);
        assert_int_equal(c->messages, 1);
        assert_int_equal(c->bytes, len);
        expect_status(c, RPCNET_GRPC_OUT_OF_RANGE);
        assert_string_equal(c->text, "end");
        assert_string_equal(c->trailer, "tail");
        assert_int_equal(rn_h3_session_streams(p->server), 0);
        pair_del(p);
    }
}

/* A long text is cut in front of a character, also when it has to wait. */
static void a_long_text_of_a_status(void **state) {
    (void)state;
    static char text[RN_STATUS_MESSAGE_MAX + 2];
    memset(text, 'a', RN_STATUS_MESSAGE_MAX - 1);
    memcpy(text + RN_STATUS_MESSAGE_MAX - 1, "\xc3\xa9", 3);
    for (int waits = 0; waits < 2; waits++) {
        pair *p = pair_new(&(fake_options){.ring = 8192});
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        if (waits) {
            assert_int_equal(say_bytes(s, 20000), RPCNET_OK);
        }
        assert_int_equal(finish(s, RPCNET_GRPC_ABORTED, text), RPCNET_OK);
        pair_run(p);
        expect_status(c, RPCNET_GRPC_ABORTED);
        assert_int_equal(c->text_len, RN_STATUS_MESSAGE_MAX - 1);
        pair_del(p);
    }
}

/* As much as is said to have room is not kept; one byte more is. */
static void room_is_what_a_send_takes(void **state) {
    (void)state;
    for (unsigned spoken = 0; spoken < 3; spoken++) {
        for (size_t more = 0; more < 2; more++) {
            pair *p = pair_new(&(fake_options){.ring = 4096});
            ear *c = open_call(p);
            pair_run(p);
            ear *s = &p->served[0];
            fake_conn_hold(fake_link_server(p->link), true);
            for (unsigned i = 0; i < spoken; i++) {
                assert_int_equal(say_bytes(s, 100), RPCNET_OK);
            }
            size_t room = rn_call_room(s->call);
            assert_true(room > 3000 && room < 4096);
            assert_int_equal(say_bytes(s, room + (spoken > 0 ? more : 100 * more)), RPCNET_OK);
            assert_int_equal(rn_call_kept(s->call) > 0, more);
            assert_true(more == 0 || rn_call_room(s->call) == 0);
            fake_conn_hold(fake_link_server(p->link), false);
            pair_run(p);
            assert_int_equal(finish(s, RPCNET_GRPC_OK, ""), RPCNET_OK);
            assert_int_equal(rn_call_room(s->call), 0);
            pair_run(p);
            expect_status(c, RPCNET_GRPC_OK);
            assert_int_equal(c->messages, spoken + 1);
            pair_del(p);
        }
    }
}

static void half_close_behind_a_kept_message(void **state) {
    (void)state;
    pair *p = pair_new(&(fake_options){.ring = 2048});
    p->on_accept = on_half_close_reply;
    ear *c = open_call(p);
    assert_int_equal(say_bytes(c, 10000), RPCNET_OK);
    assert_true(rn_call_kept(c->call) > 0);
    assert_int_equal(rn_call_half_close(c->call), RPCNET_OK);
    pair_run(p);
    assert_int_equal(p->served[0].bytes, 10000);
    assert_int_equal(p->served[0].half_closes, 1);
    assert_int_equal(c->writables, 0);
    expect_status(c, RPCNET_GRPC_OK);
    pair_del(p);
}

/* A window's worth comes while a call is held, whatever it is made of: of messages of any length,
 * empty ones too, and of unfinished ones. */
static void a_held_call_gets_a_window_and_no_more(void **state) {
    (void)state;
    enum { WINDOW = 20000, MANY = 60000 };
    static const size_t lengths[] = {0, 1, 1000, 7000, 100000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        pair *p = pair_new(&(fake_options){.window = WINDOW, .chunk = 3000, .seed = (unsigned)i});
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        rn_conn *server = fake_link_server(p->link);
        rn_call_hold(s->call, true);
        size_t wire = lengths[i] + RN_FRAME_PREFIX_LEN;
        unsigned sent = 0;
        while (sent * wire < MANY && say_bytes(c, lengths[i]) == RPCNET_OK) {
            sent++;
        }
        pair_run(p);
        assert_true(s->messages * wire <= WINDOW);
        assert_true(fake_conn_unconsumed(server) >= s->messages * wire);
        assert_true(fake_conn_unconsumed(server) <= WINDOW);
        /* As much again, once it is let go for a moment. */
        unsigned before = s->messages;
        rn_call_hold(s->call, false);
        assert_int_equal(fake_conn_unconsumed(server), 0);
        rn_call_hold(s->call, true);
        pair_run(p);
        assert_true((s->messages - before) * wire <= WINDOW + wire);
        rn_call_hold(s->call, false);
        pair_run(p);
        assert_int_equal(s->messages, sent);
        assert_int_equal(fake_conn_unconsumed(server), 0);
        /* What is held when the call ends is given back. */
        rn_call_hold(s->call, true);
        assert_int_equal(say_bytes(c, 10000), RPCNET_OK);
        pair_run(p);
        assert_true(fake_conn_unconsumed(server) > 0);
        assert_int_equal(finish(s, RPCNET_GRPC_OK, ""), RPCNET_OK);
        assert_int_equal(fake_conn_unconsumed(server), 0);
        pair_run(p);
        expect_status(c, RPCNET_GRPC_OK);
        pair_del(p);
    }
}

/* What came before is given back already. */
static void a_hold_from_inside_a_message(void **state) {
    (void)state;
    enum { LEN = 2500 };
    for (unsigned switch_at = 1; switch_at < 3; switch_at++) {
        pair *p = pair_new(&(fake_options){.chunk = 1000});
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        rn_conn *server = fake_link_server(p->link);
        rn_stream *stream = fake_conn_stream(server, 0);
        size_t before = fake_stream_delivered(stream);
        assert_int_equal(say_bytes(c, LEN), RPCNET_OK);
        while (fake_stream_delivered(stream) < before + (size_t)switch_at * 1000) {
            assert_true(fake_link_step(p->link));
        }
        assert_int_equal(s->messages, 0);
        assert_int_equal(fake_conn_unconsumed(server), 0);
        size_t came = fake_stream_delivered(stream);
        rn_call_hold(s->call, true);
        pair_run(p);
        assert_int_equal(s->messages, 1);
        assert_int_equal(fake_conn_unconsumed(server), fake_stream_delivered(stream) - came);
        rn_call_hold(s->call, false);
        assert_int_equal(fake_conn_unconsumed(server), 0);
        pair_del(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unary_call),
        cmocka_unit_test(a_server_stream),
        cmocka_unit_test(a_client_stream),
        cmocka_unit_test(both_ways),
        cmocka_unit_test(metadata_travels),
        cmocka_unit_test(a_reply_of_trailers_only),
        cmocka_unit_test(deadlines_travel),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(big_messages),
        cmocka_unit_test(the_end_waits_for_room),
        cmocka_unit_test(a_long_text_of_a_status),
        cmocka_unit_test(room_is_what_a_send_takes),
        cmocka_unit_test(half_close_behind_a_kept_message),
        cmocka_unit_test(a_held_call_gets_a_window_and_no_more),
        cmocka_unit_test(a_hold_from_inside_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
