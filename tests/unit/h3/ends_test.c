/* Ends: resets, cancellation, GOAWAY, lost connections, and users who give up inside callbacks. */
#include "unit/h3/peers.h"

static void reset_it(heard *h) {
    rn_h3_reset(h->stream, RN_H3_REQUEST_CANCELLED);
}
static void forget_it(heard *h) {
    rn_h3_forget(h->stream, RN_H3_REQUEST_CANCELLED);
    h->stream = NULL;
}
static void stop_it(heard *h) {
    rn_h3_stop_receiving(h->stream, RN_H3_NO_ERROR);
}
static void close_session(heard *h) {
    rn_h3_session_close(h->side->session, RN_H3_NO_ERROR, "enough");
}
static void goaway_session(heard *h) {
    assert_int_equal(rn_h3_session_goaway(h->side->session, true), RPCNET_OK);
}

static void a_client_resets(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, false);
    assert_int_equal(send_text(h, "abc", false), RPCNET_OK);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    reset_it(h);
    reset_it(h);
    assert_int_equal(send_text(h, "abc", false), RPCNET_ERR_CLOSED);
    fake_link_run(p->link);
    assert_int_equal(s->resets, 1);
    assert_int_equal(s->stops, 1);
    assert_int_equal(s->code, RN_H3_REQUEST_CANCELLED);
    assert_int_equal(s->ends, 0);
    assert_int_equal(s->closes, 1);
    assert_int_equal(h->resets, 0);
    assert_int_equal(h->closes, 1);
    peers_del(p);
}

static void a_server_resets_behind_a_part(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, true);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    respond(s, false);
    assert_int_equal(send_text(s, "abc", false), RPCNET_OK);
    fake_link_run(p->link);
    reset_it(s);
    fake_link_run(p->link);
    assert_body(h, "abc");
    assert_int_equal(h->ends, 0);
    assert_int_equal(h->resets, 1);
    assert_int_equal(h->closes, 1);
    assert_int_equal(s->resets, 0);
    peers_del(p);
}

/* A server that has answered wants no more of the request; the answer must arrive whole. */
static void an_early_answer(void **state) {
    (void)state;
    peers *p = peers_new(&(fake_options){.window = 100});
    heard *h = send_request(p, false);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    s->hold_window = true;
    char text[301];
    memset(text, 'a', 300);
    text[300] = 0;
    assert_int_equal(send_text(h, text, false), RPCNET_OK);
    fake_link_run(p->link);
    assert_true(s->body.len < 300);
    respond(s, false);
    assert_int_equal(send_text(s, "done", true), RPCNET_OK);
    stop_it(s);
    fake_link_run(p->link);
    assert_body(h, "done");
    assert_int_equal(h->ends, 1);
    assert_int_equal(h->stops, 1);
    assert_int_equal(h->code, RN_H3_NO_ERROR);
    assert_int_equal(h->resets, 0);
    assert_int_equal(h->closes, 1);
    assert_int_equal(s->closes, 1);
    peers_del(p);
}

/* ---- inside callbacks ---- */

static void (*the_act)(heard *h);
static const char *the_place;

static void answer_all(heard *h) {
    if (h->stream == NULL || h->side->session == NULL) {
        return;
    }
    rn_h3_field fields[] = {field(":status", "200")};
    rn_h3_field trailer = field("grpc-status", "0");
    if (rn_h3_respond(h->stream, fields, 1, false) == RPCNET_OK) {
        (void)send_text(h, "some", false);
        (void)rn_h3_trailers(h->stream, &trailer, 1);
    }
}

static void arm_server(heard *h) {
    if (strcmp(the_place, "request") == 0) {
        the_act(h);
        return;
    }
    h->act = the_act;
    h->act_in = the_place;
    if (strcmp(the_place, "end") != 0) {
        answer_all(h);
    }
}

/* Every act in every callback of both ends, whole and byte by byte: nothing may be used after it is
 * freed (AddressSanitizer looks on), and both ends come to rest. */
static void give_up(bool on_server, const char *place, void (*act)(heard *h), unsigned seed) {
    peers *p = peers_new(&(fake_options){.chunk = seed == 0 ? 0 : 7, .seed = seed});
    the_act = act;
    the_place = place;
    p->server.on_request = on_server ? arm_server : answer_all;
    heard *h = send_request(p, false);
    heard *other = send_request(p, false);
    if (!on_server) {
        h->act = act;
        h->act_in = place;
    }
    (void)send_text(h, "body", false);
    (void)send_text(other, "body", true);
    if (p->client.session != NULL) {
        (void)send_text(h, "more", true);
    }
    fake_link_run(p->link);
    if (p->client.session != NULL) {
        rn_h3_session_close(p->client.session, RN_H3_NO_ERROR, "");
    }
    fake_link_run(p->link);
    assert_null(fake_link_client(p->link));
    assert_null(fake_link_server(p->link));
    assert_true(h->closes <= 1 && h->resets <= 1 && h->ends <= 1);
    peers_del(p);
}

static void giving_up_inside_callbacks(void **state) {
    static void (*const acts[])(heard *) = {reset_it, forget_it, stop_it, close_session,
                                            goaway_session};
    static const char *const places[] = {"request", "headers", "data", "trailers", "end", "closed"};
    (void)state;
    for (size_t a = 0; a < sizeof acts / sizeof acts[0]; a++) {
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            bool last = strcmp(places[i], "closed") == 0;
            for (unsigned seed = 0; seed < 6; seed++) {
                give_up(true, places[i], acts[a], seed);
                if (!last || a >= 3) {
                    give_up(false, places[i], acts[a], seed);
                }
            }
        }
    }
}

static void forgetting_inside_reset(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, false);
    fake_link_run(p->link);
    heard *s = &p->server.streams[0];
    s->act = forget_it;
    s->act_in = "reset";
    reset_it(h);
    fake_link_run(p->link);
    assert_int_equal(s->resets, 1);
    assert_int_equal(s->closes, 0);
    assert_int_equal(rn_h3_session_streams(p->server.session), 0);
    peers_del(p);
}

/* ---- the connection ---- */

static void forget_all(heard *h) {
    for (size_t i = 0; i < h->side->requests; i++) {
        if (h->side->streams[i].stream != NULL && &h->side->streams[i] != h) {
            forget_it(&h->side->streams[i]);
        }
    }
}

static void a_lost_connection(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    for (int i = 0; i < 3; i++) {
        send_request(p, false);
    }
    fake_link_run(p->link);
    p->client.streams[1].act = forget_all;
    p->client.streams[1].act_in = "closed";
    fake_conn_lose(fake_link_client(p->link), RN_CLOSE_IDLE, "idle");
    assert_int_equal(p->client.closes, 1);
    assert_int_equal(p->client.close.cause, RN_CLOSE_IDLE);
    assert_true(p->client.streams[0].closed_by_connection);
    assert_true(p->client.streams[1].closed_by_connection);
    assert_int_equal(p->client.streams[0].closes, 1);
    assert_int_equal(p->client.streams[2].closes, 0);
    assert_int_equal(p->client.streams[0].ends, 0);
    peers_del(p);
}

static void closing_with_a_code(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    heard *h = send_request(p, false);
    fake_link_run(p->link);
    rn_h3_session_close(p->client.session, RN_H3_NO_ERROR, "bye");
    assert_int_equal(send_text(h, "x", false), RPCNET_ERR_CLOSED);
    assert_false(rn_h3_session_is_usable(p->client.session));
    fake_link_run(p->link);
    assert_int_equal(p->client.close.cause, RN_CLOSE_LOCAL);
    assert_int_equal(p->server.close.cause, RN_CLOSE_PEER);
    assert_int_equal(p->server.close.code, RN_H3_NO_ERROR);
    assert_string_equal(p->server.close.text, "bye");
    assert_int_equal(h->closes, 1);
    peers_del(p);
}

/* ---- GOAWAY ---- */

static void goaway_in_two_steps(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    p->server.on_request = NULL;
    heard *first = send_request(p, true);
    fake_link_run(p->link);
    assert_int_equal(rn_h3_session_goaway(p->server.session, false), RPCNET_OK);
    assert_int_equal(rn_h3_session_goaway(p->server.session, false), RPCNET_OK);
    /* Under way when the notice comes: accepted. */
    heard *second = send_request(p, true);
    fake_link_run(p->link);
    assert_int_equal(p->client.goaways, 1);
    assert_int_equal(p->server.requests, 2);
    assert_false(rn_h3_session_is_usable(p->client.session));
    rn_h3_field fields[REQUEST_FIELDS];
    rn_h3_stream *stream = NULL;
    request_fields(fields);
    assert_int_equal(rn_h3_request(p->client.session, fields, REQUEST_FIELDS, true, &heard_handler,
                                   NULL, &stream),
                     RPCNET_ERR_CLOSED);
    assert_int_equal(rn_h3_session_goaway(p->server.session, true), RPCNET_OK);
    assert_int_equal(rn_h3_session_goaway(p->server.session, true), RPCNET_OK);
    assert_int_equal(rn_h3_session_goaway(p->server.session, false), RPCNET_OK);
    fake_link_run(p->link);
    assert_int_equal(p->client.goaways, 1);
    assert_int_equal(first->resets + second->resets, 0);
    respond(&p->server.streams[0], true);
    respond(&p->server.streams[1], true);
    fake_link_run(p->link);
    assert_int_equal(first->ends, 1);
    assert_int_equal(second->ends, 1);
    peers_del(p);
}

static void requests_behind_goaway_are_rejected(void **state) {
    (void)state;
    for (int held = 0; held < 2; held++) {
        peers *p = peers_new(NULL);
        heard *first = send_request(p, true);
        fake_link_run(p->link);
        assert_int_equal(rn_h3_session_goaway(p->server.session, true), RPCNET_OK);
        /* The client learns of it only after the server has seen the request, or before. */
        fake_conn_hold(fake_link_server(p->link), held == 1);
        heard *late = send_request(p, true);
        fake_link_run(p->link);
        fake_conn_hold(fake_link_server(p->link), false);
        fake_link_run(p->link);
        assert_int_equal(p->server.requests, 1);
        assert_int_equal(late->resets, 1);
        assert_int_equal(late->code, RN_H3_REQUEST_REJECTED);
        assert_int_equal(late->closes, 1);
        assert_int_equal(first->resets, 0);
        assert_int_equal(p->client.closes, 0);
        peers_del(p);
    }
}

static void a_client_says_goaway(void **state) {
    (void)state;
    peers *p = peers_new(NULL);
    assert_int_equal(rn_h3_session_goaway(p->client.session, false), RPCNET_OK);
    assert_int_equal(rn_h3_session_goaway(p->client.session, true), RPCNET_OK);
    fake_link_run(p->link);
    assert_int_equal(p->server.goaways, 1);
    assert_int_equal(p->server.closes, 0);
    rn_h3_session_close(p->client.session, RN_H3_NO_ERROR, "");
    assert_int_equal(rn_h3_session_goaway(p->client.session, true), RPCNET_ERR_CLOSED);
    peers_del(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_resets),
        cmocka_unit_test(a_server_resets_behind_a_part),
        cmocka_unit_test(an_early_answer),
        cmocka_unit_test(giving_up_inside_callbacks),
        cmocka_unit_test(forgetting_inside_reset),
        cmocka_unit_test(a_lost_connection),
        cmocka_unit_test(closing_with_a_code),
        cmocka_unit_test(goaway_in_two_steps),
        cmocka_unit_test(requests_behind_goaway_are_rejected),
        cmocka_unit_test(a_client_says_goaway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
