/* What a server may give up when its account is over its limit, on real connections. */
#include "sim/rpc_world.h"

enum { LIMIT = 100000, HELD_MIN = 200000, REST_MAX = 20000 };

typedef struct scene {
    world *w;
    rpcnet_memory *memory;
    probe at;
} scene;

static bool is_served(void *user) {
    return ((world *)user)->served_count > 0;
}

/* A client has asked for more than it gets: most of it waits in the server's ring. */
static void start(scene *s, uint64_t seed) {
    *s = (scene){.w = world_new(seed)};
    assert_int_equal(rpcnet_memory_new(&s->memory, LIMIT), RPCNET_OK);
    s->w->server_limits.memory = s->memory;
    world_serve(s->w);
    world_connect(s->w);
    call_to(s->w, &s->at, "/t/Tokens");
    assert_true(rn_sim_run_until_done(s->w->sim, is_served, s->w, 10 * RN_SECOND));
    assert_true(rpcnet_call_memory(s->w->served[0].call) >= HELD_MIN);
}

static void end(scene *s) {
    probe_del(&s->at);
    world_del(s->w);
    rpcnet_memory_del(s->memory);
}

static rpcnet_memory_stats stats_of(const scene *s) {
    rpcnet_memory_stats stats;
    rpcnet_memory_get_stats(s->memory, &stats);
    return stats;
}

static void abort_served(const scene *s) {
    assert_true(stats_of(s).excess > 0);
    rpcnet_call_abort(s->w->served[0].call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too much");
    assert_int_equal(stats_of(s).excess, 0);
    assert_true(stats_of(s).used >= HELD_MIN);
    assert_int_equal(rpcnet_server_shed(s->w->server, 0), 0); /* the peer has still to hear it */
}

static void test_a_peer_that_answers_keeps_its_connection(void **state) {
    (void)state;
    scene s;
    start(&s, 80);
    abort_served(&s);
    run_until_over(s.w, &s.at);
    assert_int_equal(s.at.code, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    run_ms(s.w, 100);
    assert_true(stats_of(&s).used < REST_MAX);
    run_ms(s.w, RPCNET_LEAVING_NS / RN_MILLISECOND);
    assert_int_equal(rpcnet_server_shed(s.w->server, 0), 0);
    assert_int_equal(s.w->disconnections, 0);
    end(&s);
}

static void test_a_peer_that_never_lets_go_loses_its_connection(void **state) {
    (void)state;
    scene s;
    start(&s, 81);
    rn_sim_set_partition_one_way(s.w->sim, SERVER_HOST, CLIENT_HOST, true);
    abort_served(&s);
    run_ms(s.w, RPCNET_LEAVING_NS / RN_MILLISECOND - 1);
    assert_int_equal(rpcnet_server_shed(s.w->server, 0), 0);
    run_ms(s.w, 1);
    assert_int_equal(rpcnet_server_shed(s.w->server, SIZE_MAX), 0);
    assert_true(stats_of(&s).used >= HELD_MIN);
    assert_int_equal(s.w->disconnections, 0);
    assert_true(rpcnet_server_shed(s.w->server, HELD_MIN) >= HELD_MIN);
    assert_int_equal(rpcnet_server_shed(s.w->server, 0), 0); /* it is going */
    run_ms(s.w, 1);
    assert_int_equal(s.w->disconnections, 1);
    assert_true(stats_of(&s).used < REST_MAX);
    end(&s);
}

/* What was finished and deleted, and is not taken. */
/* With no words is with a status nevertheless. */
static void test_an_abort_without_words(void **state) {
    (void)state;
    world *w = world_start(83);
    probe at = {0};
    call_unary(w, &at, "/t/Sink", 10);
    run_ms(w, 200);
    rpcnet_call_abort(w->served[0].call, RPCNET_GRPC_ABORTED, NULL);
    run_until_over(w, &at);
    assert_int_equal(at.code, RPCNET_GRPC_ABORTED);
    assert_string_equal(at.text, "");
    probe_del(&at);
    world_del(w);
}

static void test_the_forsaken_is_given_up(void **state) {
    (void)state;
    scene s;
    start(&s, 82);
    rn_sim_set_partition_one_way(s.w->sim, SERVER_HOST, CLIENT_HOST, true);
    assert_int_equal(rpcnet_server_shed(s.w->server, 0), 0); /* the call has an owner */
    assert_int_equal(rpcnet_call_finish(s.w->served[0].call, RPCNET_GRPC_OK, NULL, NULL),
                     RPCNET_OK);
    probe_del(&s.w->served[0]);
    assert_true(stats_of(&s).excess > 0);
    assert_int_equal(rpcnet_server_shed(s.w->server, SIZE_MAX), 0);
    assert_true(rpcnet_server_shed(s.w->server, HELD_MIN) >= HELD_MIN);
    assert_int_equal(stats_of(&s).excess, 0);
    assert_int_equal(rpcnet_server_shed(s.w->server, 0), 0);
    rn_sim_set_partition_one_way(s.w->sim, SERVER_HOST, CLIENT_HOST, false);
    run_until_over(s.w, &s.at);
    assert_int_equal(s.at.code, RPCNET_GRPC_RESOURCE_EXHAUSTED);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_peer_that_answers_keeps_its_connection),
        cmocka_unit_test(test_a_peer_that_never_lets_go_loses_its_connection),
        cmocka_unit_test(test_an_abort_without_words),
        cmocka_unit_test(test_the_forsaken_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
