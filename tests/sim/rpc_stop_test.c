/* A server ends a call while messages of its client are still under way, some of them lost: the
 * stream must not stay open. */
#include "quic/conn_internal.h"
#include "rpc/internal.h"
#include "sim/rpc_world.h"

enum { PIECE = 100 };

static const rn_conn *conn_of(const world *w) {
    const rn_server_conn *server = RN_CONTAINER_OF(w->server->conns.next, rn_server_conn, link);
    return rn_h3_session_conn(server->session);
}

static size_t open_calls(const world *w) {
    size_t count = 0;
    const rn_conn *conn = conn_of(w);
    for (const rn_list *at = conn->streams.next; at != &conn->streams; at = at->next) {
        count += (RN_CONTAINER_OF(at, const rn_stream, link)->id & 3) == 0;
    }
    return count;
}

static void end_at_once(probe *at) {
    assert_int_equal(rpcnet_call_finish(at->call, RPCNET_GRPC_OK, NULL, NULL), RPCNET_OK);
}

static void say(probe *at) {
    at->to_send += PIECE;
    at->piece = PIECE;
    probe_pump(at);
}

#define LATENCY (5 * RN_MILLISECOND)

static void lose(world *w, const char *from, const char *to, bool all) {
    const rn_sim_link link = {.latency_ns = LATENCY, .loss = all ? 1 : 0};
    rn_sim_set_link_one_way(w->sim, from, to, &link);
}

static world *begin(probe *at, enum moment moment) {
    world *w = world_start(41);
    w->serve_moment = moment;
    w->serve_act = end_at_once;
    call_to(w, at, "/t/Sink");
    run_ms(w, 200);
    assert_int_equal(w->served_count, 1);
    return w;
}

static void finish(world *w, probe *at) {
    run_ms(w, 5000);
    assert_int_equal(at->statuses, 1);
    assert_int_equal(at->code, RPCNET_GRPC_OK);
    assert_int_equal(open_calls(w), 0);
    probe_del(at);
    world_del(w);
}

/* Three messages a millisecond apart; the second is lost. */
static void say_three(world *w, probe *at) {
    say(at);
    run_ms(w, 1);
    lose(w, CLIENT_HOST, SERVER_HOST, true);
    say(at);
    run_ms(w, 1);
    lose(w, CLIENT_HOST, SERVER_HOST, false);
    say(at);
    assert_int_equal(rpcnet_call_half_close(at->call), RPCNET_OK);
}

/* The call ends with the first message, and the client does not hear of it at once. The third
 * comes and is acknowledged, the second comes again: when the client hears STOP_SENDING, everything
 * is acknowledged, and it owes no RESET_STREAM. */
static void what_comes_behind_a_stop(void **state) {
    (void)state;
    probe at = {0};
    world *w = begin(&at, IN_MESSAGE);
    lose(w, SERVER_HOST, CLIENT_HOST, true);
    say_three(w, &at);
    run_ms(w, 4); /* the first is there */
    lose(w, SERVER_HOST, CLIENT_HOST, false);
    finish(w, &at);
}

/* The third message is there and acknowledged, the second is missing, when the server ends the
 * call. */
static void what_had_come_before_a_stop(void **state) {
    (void)state;
    probe at = {0};
    world *w = begin(&at, NOWHERE);
    say_three(w, &at);
    run_ms(w, 5); /* the third is there, too */
    rn_sim_run_for(w->sim, RN_MILLISECOND / 2);
    lose(w, SERVER_HOST, CLIENT_HOST, true);
    end_at_once(&w->served[0]);
    run_ms(w, 1);
    lose(w, SERVER_HOST, CLIENT_HOST, false);
    finish(w, &at);
}

static uint64_t taken_of_the_call(const world *w) {
    uint64_t offset = 0;
    assert_true(rn_conn_delivered((void *)conn_of(w), 0, &offset));
    return offset;
}

/* The client is deaf for nearly as long as the idle timeout, and goes on talking; of that nothing
 * is taken, because what would close the gap is lost each time. To be put off is to be lost: it is
 * no sign of life. The connection does not need one, and both sides go on when the client hears
 * again. */
static void what_a_deaf_client_says_behind_a_stop(void **state) {
    (void)state;
    probe at = {0};
    world *w = begin(&at, IN_MESSAGE);
    lose(w, SERVER_HOST, CLIENT_HOST, true);
    say(&at);
    run_ms(w, 1);
    lose(w, CLIENT_HOST, SERVER_HOST, true);
    say(&at);
    run_ms(w, 6000); /* with the probes that bring it again */
    lose(w, CLIENT_HOST, SERVER_HOST, false);
    uint64_t taken = taken_of_the_call(w);
    for (size_t seconds = 6; seconds < 28; seconds++) {
        say(&at);
        run_ms(w, 1000);
        assert_int_equal(taken_of_the_call(w), taken);
    }
    assert_int_equal(conn_of(w)->streams_stopped, 1);
    lose(w, SERVER_HOST, CLIENT_HOST, false);
    finish(w, &at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_behind_a_stop),
        cmocka_unit_test(what_a_deaf_client_says_behind_a_stop),
        cmocka_unit_test(what_had_come_before_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
