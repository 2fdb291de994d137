/* What calls hold, and how it is got rid of: starved, aborted and forsaken calls. */
#include "grpc/framing.h"
#include "unit/grpc/pair.h"

enum { LARGE = 100000, RING = 20000 };

static rn_budget budget;

static pair *start(const fake_options *given) {
    fake_options options = given != NULL ? *given : (fake_options){.ring = 0};
    options.budget = &budget;
    budget = (rn_budget){.limit = SIZE_MAX};
    return pair_new(&options);
}

static void end(pair *p) {
    pair_del(p);
    assert_int_equal(budget.used, 0);
}

/* All but the last byte of a large message; the calls' names and metadata are counted, too. */
static ear *send_most(pair *p) {
    ear *c = open_call(p);
    uint8_t *bytes = calloc(1, RN_FRAME_PREFIX_LEN + LARGE);
    assert_non_null(bytes);
    rn_frame_prefix(bytes, LARGE);
    rn_bytes piece = rn_bytes_of(bytes, RN_FRAME_PREFIX_LEN + LARGE - 1);
    size_t taken = 0;
    assert_int_equal(rn_h3_send(rn_call_stream(c->call), &piece, 1, false, &taken), RPCNET_OK);
    assert_int_equal(taken, piece.len);
    free(bytes);
    return c;
}

static void a_message_that_comes_is_counted(void **state) {
    (void)state;
    pair *p = start(NULL);
    ear *c = send_most(p);
    pair_run(p);
    assert_true(rn_call_memory(p->served[0].call) >= LARGE);
    assert_true(budget.used >= LARGE);
    assert_int_equal(p->served[0].messages, 0);
    rn_call_cancel(c->call);
    pair_run(p);
    assert_true(budget.used < LARGE); /* though nobody has deleted the call */
    end(p);
}

static void a_starved_call_ends_with_a_status(void **state) {
    (void)state;
    pair *p = start(&(fake_options){.chunk = 3000});
    ear *live = open_call(p);
    assert_int_equal(say(live, "here"), RPCNET_OK);
    pair_run(p);
    budget.limit = budget.used - 1;
    ear *c = send_most(p);
    pair_run(p);
    expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_string_equal(c->text, "the receiver's memory is used up");
    assert_int_equal(p->served[1].cancels, 1);
    assert_true(rn_call_is_starved(p->served[1].call));
    assert_int_equal(budget.refusals, 1);
    /* Small ones go on. */
    assert_int_equal(say(live, "still here"), RPCNET_OK);
    pair_run(p);
    assert_int_equal(p->served[0].messages, 2);
    assert_false(rn_call_is_starved(p->served[0].call));
    end(p);
}

static void a_client_can_starve_too(void **state) {
    (void)state;
    pair *p = start(&(fake_options){.chunk = 3000});
    ear *c = open_call(p);
    assert_int_equal(say(c, "x"), RPCNET_OK);
    pair_run(p);
    budget.limit = 0;
    assert_int_equal(say_bytes(&p->served[0], LARGE), RPCNET_OK);
    pair_run(p);
    expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_true(rn_call_is_starved(c->call));
    end(p);
}

static void an_abort_is_heard(void **state) {
    (void)state;
    pair *p = start(NULL);
    ear *c = send_most(p);
    pair_run(p);
    rn_call_abort(p->served[0].call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too much");
    assert_true(budget.used < LARGE); /* at once */
    rn_call_abort(p->served[0].call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "again");
    pair_run(p);
    expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_string_equal(c->text, "too much");
    assert_int_equal(p->served[0].cancels, 0);
    end(p);
}

/* A ring of so much memory is in front of the status: one below, at, and one above what is waited
 * for. */
static void an_abort_does_not_wait_for_a_slow_client(void **state) {
    (void)state;
    for (int more = -1; more <= 1; more++) {
        pair *p = start(NULL);
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        assert_int_equal(rn_call_send_headers(s->call, NULL), RPCNET_OK);
        pair_run(p);
        fake_conn_hold(fake_link_server(p->link), true);
        rn_h3_stream *stream = rn_call_stream(s->call);
        while (rn_h3_stream_memory(stream) < RN_CALL_UNSENT_MAX / 2) {
            assert_int_equal(say_bytes(s, 1000), RPCNET_OK);
        }
        fake_stream_pad(fake_conn_stream(fake_link_server(p->link), 0),
                        RN_CALL_UNSENT_MAX + (size_t)more - rn_h3_stream_memory(stream));
        assert_int_equal(rn_h3_stream_memory(stream), RN_CALL_UNSENT_MAX + more);
        rn_call_abort(s->call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too much");
        fake_conn_hold(fake_link_server(p->link), false);
        pair_run(p);
        expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
        assert_int_equal(strcmp(c->text, "too much") == 0, more <= 0);
        assert_int_equal(c->messages > 0, more <= 0);
        end(p);
    }
}

static void an_abort_behind_a_kept_message(void **state) {
    (void)state;
    static const enum rpcnet_grpc_code codes[] = {RPCNET_GRPC_RESOURCE_EXHAUSTED,
                                                  RPCNET_GRPC_ABORTED};
    static const enum rpcnet_grpc_code seen[] = {RPCNET_GRPC_RESOURCE_EXHAUSTED,
                                                 RPCNET_GRPC_CANCELLED};
    for (size_t i = 0; i < 2; i++) {
        pair *p = start(&(fake_options){.ring = RING});
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        fake_conn_hold(fake_link_server(p->link), true);
        assert_int_equal(say_bytes(s, LARGE), RPCNET_OK);
        assert_true(rn_call_memory(s->call) >= LARGE);
        rn_call_abort(s->call, codes[i], "too much");
        assert_true(budget.used < LARGE);
        fake_conn_hold(fake_link_server(p->link), false);
        pair_run(p);
        expect_status(c, seen[i]);
        end(p);
    }
}

/* No message is kept, but the ring has no room for a status. */
static void an_abort_without_room(void **state) {
    (void)state;
    static const enum rpcnet_grpc_code codes[] = {RPCNET_GRPC_RESOURCE_EXHAUSTED,
                                                  RPCNET_GRPC_ABORTED};
    static const enum rpcnet_grpc_code seen[] = {RPCNET_GRPC_RESOURCE_EXHAUSTED,
                                                 RPCNET_GRPC_CANCELLED};
    for (size_t i = 0; i < 2; i++) {
        pair *p = start(&(fake_options){.ring = 1000});
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        fake_conn_hold(fake_link_server(p->link), true);
        do {
            assert_int_equal(say_bytes(s, 20), RPCNET_OK);
        } while (rn_h3_room(rn_call_stream(s->call)) >= 40);
        assert_int_equal(rn_call_kept(s->call), 0);
        rn_call_abort(s->call, codes[i], "too much");
        fake_conn_hold(fake_link_server(p->link), false);
        pair_run(p);
        expect_status(c, seen[i]);
        end(p);
    }
}

/* Finished and deleted, but the client takes nothing: with and without a kept message. */
static void forsaken_calls_can_be_dropped(void **state) {
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        pair *p = start(&(fake_options){.ring = RING});
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        rn_h3_stream *stream = rn_call_stream(s->call);
        fake_conn_hold(fake_link_server(p->link), true);
        assert_int_equal(say_bytes(s, kept ? LARGE : RING / 2), RPCNET_OK);
        assert_int_equal(finish(s, RPCNET_GRPC_OK, ""), RPCNET_OK);
        assert_int_equal(rn_call_forsaken_memory(stream), 0); /* it has an owner */
        ear_drop(s);
        assert_true(rn_call_forsaken_memory(stream) >= (kept ? LARGE : RING / 2));
        assert_ptr_equal(rn_h3_session_next_stream(p->server, NULL), stream);
        assert_null(rn_h3_session_next_stream(p->server, stream));
        rn_call_forsaken_drop(stream);
        assert_int_equal(rn_call_forsaken_memory(stream), 0);
        assert_true(budget.used < RING);
        fake_conn_hold(fake_link_server(p->link), false);
        pair_run(p);
        expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
        end(p);
    }
}

/* Headers that never come whole are kept before there is a call that could answer for them. */
static void a_request_that_comes_is_counted(void **state) {
    (void)state;
    enum { PART = 50 };
    pair *p = start(&(fake_options){.chunk = PART});
    pair_run(p);
    size_t before = budget.used;
    ear *c = open_call(p);
    size_t sent = budget.used;
    assert_true(fake_link_step(p->link));
    rn_h3_stream *stream = rn_h3_session_next_stream(p->server, NULL);
    assert_non_null(stream);
    assert_int_equal(p->accepted, 0);
    assert_true(rn_call_forsaken_memory(stream) >= PART / 2);
    assert_int_equal(budget.used - sent, rn_call_forsaken_memory(stream));
    rn_call_forsaken_drop(stream);
    assert_int_equal(rn_call_forsaken_memory(stream), 0);
    assert_int_equal(budget.used, sent);
    assert_true(sent >= before);
    pair_run(p);
    expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    end(p);
}

static void a_connection_closed_for_its_load(void **state) {
    (void)state;
    pair *p = start(NULL);
    ear *c = open_call(p);
    pair_run(p);
    rn_h3_session_close(p->server, RN_H3_EXCESSIVE_LOAD, "memory is used up");
    pair_run(p);
    expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    end(p);
}

/* ---- memory that is not there when what waits could be sent ---- */

static void the_rest_of_a_clients_message_cannot_be_sent(void **state) {
    (void)state;
    pair *p = start(&(fake_options){.ring = RING});
    ear *c = open_call(p);
    assert_int_equal(say_bytes(c, LARGE), RPCNET_OK);
    assert_true(rn_call_kept(c->call) > 0);
    fake_conn_fail_writes(fake_link_client(p->link), true);
    pair_run(p);
    expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_true(rn_call_is_starved(c->call));
    assert_int_equal(p->served[0].messages, 0);
    assert_int_equal(p->served[0].code, RPCNET_GRPC_CANCELLED);
    assert_int_equal(rn_h3_session_streams(p->client), 0);
    end(p);
}

static void the_rest_of_a_servers_message_cannot_be_sent(void **state) {
    (void)state;
    for (int fate = 0; fate < 3; fate++) { /* it goes on, it was finished, and it was deleted */
        pair *p = start(&(fake_options){.ring = RING});
        ear *c = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        assert_int_equal(say_bytes(s, LARGE), RPCNET_OK);
        assert_true(rn_call_kept(s->call) > 0);
        if (fate > 0) {
            assert_int_equal(finish(s, RPCNET_GRPC_OK, ""), RPCNET_OK);
        }
        if (fate > 1) {
            ear_drop(s);
        }
        fake_conn_fail_writes(fake_link_server(p->link), true);
        pair_run(p);
        expect_status(c, RPCNET_GRPC_RESOURCE_EXHAUSTED);
        assert_int_equal(s->cancels, fate == 0 ? 1 : 0);
        assert_true(fate > 0 || s->code == RPCNET_GRPC_RESOURCE_EXHAUSTED);
        assert_true(fate > 0 || rn_call_is_starved(s->call));
        assert_int_equal(rn_h3_session_streams(p->server), 0);
        end(p);
    }
}

static void an_end_that_cannot_be_sent(void **state) {
    (void)state;
    pair *p = start(NULL);
    ear *c = open_call(p);
    fake_conn_fail_writes(fake_link_client(p->link), true);
    assert_int_equal(rn_call_half_close(c->call), RPCNET_ERR_MEMORY);
    fake_conn_fail_writes(fake_link_client(p->link), false);
    assert_int_equal(say(c, "still"), RPCNET_OK);
    assert_int_equal(rn_call_half_close(c->call), RPCNET_OK);
    pair_run(p);
    assert_int_equal(p->served[0].messages, 1);
    assert_int_equal(p->served[0].half_closes, 1);
    end(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_comes_is_counted),
        cmocka_unit_test(a_starved_call_ends_with_a_status),
        cmocka_unit_test(a_client_can_starve_too),
        cmocka_unit_test(an_abort_is_heard),
        cmocka_unit_test(an_abort_does_not_wait_for_a_slow_client),
        cmocka_unit_test(an_abort_behind_a_kept_message),
        cmocka_unit_test(an_abort_without_room),
        cmocka_unit_test(forsaken_calls_can_be_dropped),
        cmocka_unit_test(a_request_that_comes_is_counted),
        cmocka_unit_test(a_connection_closed_for_its_load),
        cmocka_unit_test(the_rest_of_a_clients_message_cannot_be_sent),
        cmocka_unit_test(the_rest_of_a_servers_message_cannot_be_sent),
        cmocka_unit_test(an_end_that_cannot_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
