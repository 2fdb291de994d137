/* Cancellation, deadlines, limits of messages, and users who give up inside callbacks. */
#include "unit/grpc/pair.h"

static bool is_served(const ear *e) {
    return e >= e->pair->served && e < e->pair->served + CALLS;
}

static void drop(ear *e) {
    ear_drop(e);
}
static void cancel(ear *e) {
    rn_call_cancel(e->call);
    rn_call_cancel(e->call);
}
static void expire(ear *e) {
    rn_call_expire(e->call);
    rn_call_expire(e->call);
}
static void close_session(ear *e) {
    rn_h3_session *session = is_served(e) ? e->pair->server : e->pair->client;
    if (session != NULL) {
        rn_h3_session_close(session, RN_H3_NO_ERROR, "enough");
    }
}
static void finish_early(ear *e) {
    if (is_served(e)) {
        (void)finish(e, RPCNET_GRPC_ABORTED, "early");
    } else {
        (void)rn_call_half_close(e->call);
    }
}
static void send_much(ear *e) {
    while (say_bytes(e, 3000) == RPCNET_OK) {
    }
}

/* ---- from outside callbacks ---- */

static void the_client_cancels(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        pair *p = pair_new(NULL);
        ear *c = open_call(p);
        assert_int_equal(say(c, "x"), RPCNET_OK);
        pair_run(p);
        ear *s = &p->served[0];
        assert_int_equal(say(s, "y"), RPCNET_OK);
        if (how == 0) {
            cancel(c);
            expect_status(c, RPCNET_GRPC_CANCELLED); /* at once */
        } else {
            ear_drop(c);
        }
        pair_run(p);
        assert_int_equal(c->messages, 0);
        assert_int_equal(s->cancels, 1);
        assert_int_equal(s->code, RPCNET_GRPC_CANCELLED);
        assert_int_equal(s->closes, 1);
        assert_int_equal(say(s, "late"), RPCNET_ERR_CLOSED);
        assert_int_equal(finish(s, RPCNET_GRPC_OK, ""), RPCNET_ERR_CLOSED);
        pair_del(p);
    }
}

static void the_client_cancels_after_half_close(void **state) {
    (void)state;
    pair *p = pair_new(NULL);
    ear *c = open_call(p);
    assert_int_equal(rn_call_half_close(c->call), RPCNET_OK);
    pair_run(p);
    assert_int_equal(p->served[0].half_closes, 1);
    cancel(c);
    pair_run(p);
    assert_int_equal(p->served[0].cancels, 1);
    assert_int_equal(p->served[0].closes, 1);
    pair_del(p);
}

static void the_server_gives_up(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        pair *p = pair_new(NULL);
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        assert_int_equal(say(s, "part"), RPCNET_OK);
        pair_run(p);
        if (how == 0) {
            cancel(s);
        } else {
            ear_drop(s);
        }
        pair_run(p);
        expect_status(c, RPCNET_GRPC_CANCELLED);
        assert_int_equal(s->cancels, 0);
        assert_int_equal(rn_h3_session_streams(p->server), 0);
        pair_del(p);
    }
}

static void cancelled_before_it_left(void **state) {
    (void)state;
    pair *p = pair_new(NULL);
    ear *c = open_call(p);
    cancel(c);
    pair_run(p);
    assert_int_equal(p->requests, 0);
    assert_int_equal(c->closes, 1);
    pair_del(p);
}

static void deadlines(void **state) {
    (void)state;
    pair *p = pair_new(NULL);
    ear *c = open_call(p);
    pair_run(p);
    expire(c);
    expect_status(c, RPCNET_GRPC_DEADLINE_EXCEEDED);
    pair_run(p);
    assert_int_equal(p->served[0].cancels, 1);

    c = open_call(p); /* the server's clock is faster */
    pair_run(p);
    expire(&p->served[1]);
    assert_int_equal(p->served[1].cancels, 1);
    assert_int_equal(p->served[1].code, RPCNET_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(finish(&p->served[1], RPCNET_GRPC_OK, ""), RPCNET_ERR_STATE);
    pair_run(p);
    expect_status(c, RPCNET_GRPC_DEADLINE_EXCEEDED);

    c = open_call(p); /* inside a message: no status can be sent */
    pair_run(p);
    fake_conn_hold(fake_link_server(p->link), true);
    assert_int_equal(say_bytes(&p->served[2], 400000), RPCNET_OK);
    assert_true(rn_call_kept(p->served[2].call) > 0);
    expire(&p->served[2]);
    fake_conn_hold(fake_link_server(p->link), false);
    pair_run(p);
    assert_int_equal(c->messages, 0);
    expect_status(c, RPCNET_GRPC_CANCELLED);

    c = open_call(p); /* after the end: nothing */
    pair_run(p);
    assert_int_equal(finish(&p->served[3], RPCNET_GRPC_OK, ""), RPCNET_OK);
    expire(&p->served[3]);
    pair_run(p);
    expire(c);
    cancel(c);
    expect_status(c, RPCNET_GRPC_OK);
    assert_int_equal(p->served[3].cancels, 0);
    pair_del(p);
}

/* A reset of the server's is the deadline's if that has passed: the server may be the first to see.
 */
static void a_reset_at_the_deadline(void **state) {
    (void)state;
    for (uint64_t late = 0; late <= 1; late++) {
        pair *p = pair_new(NULL);
        rn_call_start start = START_DEFAULT;
        start.deadline = 5 * RN_SECOND;
        ear *c = open_call_with(p, &start);
        pair_run(p);
        fake_conn_set_now(fake_link_client(p->link), 5 * RN_SECOND - 1 + late);
        cancel(&p->served[0]);
        pair_run(p);
        expect_status(c, late == 1 ? RPCNET_GRPC_DEADLINE_EXCEEDED : RPCNET_GRPC_CANCELLED);
        pair_del(p);
    }
}

/* ---- limits ---- */

static void message_limits(void **state) {
    (void)state;
    for (size_t len = 999; len <= 1001; len++) {
        bool fits = len <= 1000;
        pair *p = pair_new(&(fake_options){.chunk = len % 2 == 0 ? 0 : 300});
        rn_call_options options = {.send_max = 1000};
        rn_call_start start = START_DEFAULT;
        start.options = &options;
        ear *c = open_call_with(p, &start);
        assert_int_equal(say_bytes(c, len), fits ? RPCNET_OK : RPCNET_ERR_LIMIT);
        pair_run(p);
        assert_int_equal(p->served[0].messages, fits ? 1 : 0);
        pair_del(p);

        p = pair_new(&(fake_options){.chunk = len % 2 == 0 ? 0 : 300});
        p->options.receive_max = 1000;
        c = open_call(p);
        assert_int_equal(say_bytes(c, len), RPCNET_OK);
        pair_run(p);
        assert_int_equal(p->served[0].messages, fits ? 1 : 0);
        assert_int_equal(c->statuses, fits ? 0 : 1);
        if (!fits) {
            expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
            assert_int_equal(p->served[0].code, RPCNET_GRPC_RESOURCE_EXHAUSTED);
        }
        pair_del(p);

        p = pair_new(NULL);
        options = (rn_call_options){.receive_max = 1000};
        start.options = &options;
        c = open_call_with(p, &start);
        pair_run(p);
        assert_int_equal(say_bytes(&p->served[0], len), RPCNET_OK);
        pair_run(p);
        assert_int_equal(c->messages, fits ? 1 : 0);
        if (!fits) {
            expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
            assert_int_equal(p->served[0].cancels, 1);
        }
        pair_del(p);
    }
}

static void the_default_limit(void **state) {
    (void)state;
    pair *p = pair_new(NULL);
    ear *c = open_call(p);
    assert_int_equal(say_bytes(c, RN_CALL_MESSAGE_DEFAULT + 1), RPCNET_ERR_LIMIT);
    assert_int_equal(say_bytes(c, RN_CALL_MESSAGE_DEFAULT), RPCNET_OK);
    pair_run(p);
    assert_int_equal(p->served[0].lengths[0], RN_CALL_MESSAGE_DEFAULT);
    assert_int_equal(fake_conn_unconsumed(fake_link_server(p->link)), 0);
    pair_del(p);
}

/* Trailers over the peer's limit: the status goes alone. */
static void trailers_that_are_too_large(void **state) {
    static char value[6000];
    (void)state;
    memset(value, 'v', sizeof value);
    fake_link *link = fake_link_new(NULL);
    pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->link = link;
    rn_h3_options h3 = {.field_section_max = 3000};
    assert_int_equal(
        rn_h3_session_new(&p->client, fake_link_client(link), &h3, &pair_client_handler, p),
        RPCNET_OK);
    assert_int_equal(
        rn_h3_session_new(&p->server, fake_link_server(link), NULL, &pair_server_handler, p),
        RPCNET_OK);
    fake_link_establish(link);
    pair_run(p);
    for (int with_message = 0; with_message < 2; with_message++) {
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[with_message];
        if (with_message == 1) {
            assert_int_equal(say(s, "m"), RPCNET_OK);
        }
        rn_metadata trailers;
        rn_metadata_init(&trailers);
        assert_int_equal(rn_metadata_add(&trailers, rn_bytes_text("x-trailer"),
                                         rn_bytes_of(value, sizeof value)),
                         RPCNET_OK);
        rn_status status = {.code = RPCNET_GRPC_DATA_LOSS, .message = rn_bytes_text("gone")};
        assert_int_equal(rn_call_finish(s->call, &status, &trailers), RPCNET_OK);
        rn_metadata_fini(&trailers);
        pair_run(p);
        expect_status(c, RPCNET_GRPC_DATA_LOSS);
        assert_int_equal(c->trailers, 0);
    }
    pair_del(p);
}

/* Metadata that no ring ever has room for: headers are refused, trailers left out. */
static void metadata_larger_than_the_ring(void **state) {
    static char value[5000];
    (void)state;
    memset(value, 'v', sizeof value);
    for (int with_message = 0; with_message < 2; with_message++) {
        pair *p = pair_new(&(fake_options){.ring = 4096});
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        rn_metadata large;
        rn_metadata_init(&large);
        assert_int_equal(
            rn_metadata_add(&large, rn_bytes_text("x-trailer"), rn_bytes_of(value, sizeof value)),
            RPCNET_OK);
        assert_int_equal(rn_call_send_headers(s->call, &large), RPCNET_ERR_LIMIT);
        if (with_message == 1) {
            assert_int_equal(say_bytes(s, 10000), RPCNET_OK); /* the end waits behind it */
        }
        rn_status status = {.code = RPCNET_GRPC_DATA_LOSS, .message = rn_bytes_text("gone")};
        assert_int_equal(rn_call_finish(s->call, &status, &large), RPCNET_OK);
        rn_metadata_fini(&large);
        pair_run(p);
        assert_int_equal(c->messages, with_message);
        expect_status(c, RPCNET_GRPC_DATA_LOSS);
        assert_int_equal(rn_h3_session_streams(p->server), 0);
        pair_del(p);
    }
}

/* ---- inside callbacks ---- */

static void (*the_act)(ear *e);
static const char *the_place;

static void serve(ear *e) {
    if (the_place != NULL) {
        e->act = the_act;
        e->act_in = the_place;
    }
    if (say(e, "first") == RPCNET_OK) {
        (void)say_bytes(e, 5000);
    }
}

static void server_end(ear *e) {
    if (e->call != NULL && e->half_closes > 0 && e->cancels == 0) {
        (void)finish(e, RPCNET_GRPC_OK, "");
    }
}

static void give_up(bool on_server, const char *place, void (*act)(ear *e), unsigned seed) {
    pair *p = pair_new(
        &(fake_options){.ring = 4096, .window = 3000, .chunk = seed == 0 ? 0 : 600, .seed = seed});
    the_act = act;
    the_place = on_server ? place : NULL;
    p->on_accept = serve;
    ear *c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = open_call(p);
        (void)say(c[i], "question");
        (void)say_bytes(c[i], 5000);
    }
    if (!on_server) {
        c[1]->act = act;
        c[1]->act_in = place;
    }
    for (int i = 0; i < 3; i++) {
        (void)rn_call_half_close(c[i]->call);
    }
    pair_run(p);
    for (size_t i = 0; i < p->accepted; i++) {
        server_end(&p->served[i]);
    }
    if (fake_link_client(p->link) != NULL) {
        pair_run(p);
    }
    for (int i = 0; i < 3; i++) {
        if (c[i]->call != NULL && act != send_much) {
            assert_true(c[i]->statuses == 1 || fake_link_client(p->link) != NULL);
        }
        assert_true(c[i]->statuses <= 1);
    }
    if (p->client != NULL) {
        rn_h3_session_close(p->client, RN_H3_NO_ERROR, "");
        pair_run(p);
    }
    for (int i = 0; i < 3; i++) {
        if (c[i]->call != NULL) {
            assert_int_equal(c[i]->statuses, 1);
            assert_int_equal(c[i]->closes, 1);
        }
    }
    for (size_t i = 0; i < p->accepted; i++) {
        if (p->served[i].call != NULL) {
            assert_int_equal(p->served[i].closes, 1);
        }
    }
    pair_del(p);
}

static void giving_up_inside_callbacks(void **state) {
    static void (*const acts[])(ear *) = {drop,          cancel,       expire,
                                          close_session, finish_early, send_much};
    static const char *const places[] = {"headers",   "message",  "half_close", "status",
                                         "cancelled", "writable", "closed"};
    (void)state;
    for (size_t a = 0; a < sizeof acts / sizeof acts[0]; a++) {
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            for (unsigned seed = 0; seed < 5; seed++) {
                give_up(true, places[i], acts[a], seed);
                give_up(false, places[i], acts[a], seed);
            }
        }
    }
}

static void drop_all(ear *e) {
    for (size_t i = 0; i < CALLS; i++) {
        ear_drop(&e->pair->calls[i]);
        ear_drop(&e->pair->served[i]);
    }
}

static void dropping_everything_inside_a_callback(void **state) {
    static const char *const places[] = {"headers", "message", "status", "closed"};
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        pair *p = pair_new(NULL);
        ear *c[4];
        for (int j = 0; j < 4; j++) {
            c[j] = open_call(p);
        }
        pair_run(p);
        c[2]->act = drop_all;
        c[2]->act_in = places[i];
        for (int j = 0; j < 4; j++) {
            assert_int_equal(say(&p->served[j], "m"), RPCNET_OK);
            assert_int_equal(finish(&p->served[j], RPCNET_GRPC_OK, ""), RPCNET_OK);
        }
        pair_run(p);
        assert_null(c[0]->call);
        assert_int_equal(rn_h3_session_streams(p->client), 0);
        assert_int_equal(rn_h3_session_streams(p->server), 0);
        pair_del(p);

        p = pair_new(NULL); /* while the connection goes */
        for (int j = 0; j < 4; j++) {
            c[j] = open_call(p);
        }
        pair_run(p);
        c[1]->act = drop_all;
        c[1]->act_in = "status";
        fake_conn_lose(fake_link_client(p->link), RN_CLOSE_RESET, "reset");
        assert_int_equal(c[0]->closes, 1);
        assert_int_equal(c[3]->statuses, 0);
        pair_del(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_cancels),
        cmocka_unit_test(the_client_cancels_after_half_close),
        cmocka_unit_test(the_server_gives_up),
        cmocka_unit_test(cancelled_before_it_left),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(a_reset_at_the_deadline),
        cmocka_unit_test(message_limits),
        cmocka_unit_test(the_default_limit),
        cmocka_unit_test(trailers_that_are_too_large),
        cmocka_unit_test(metadata_larger_than_the_ring),
        cmocka_unit_test(giving_up_inside_callbacks),
        cmocka_unit_test(dropping_everything_inside_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
