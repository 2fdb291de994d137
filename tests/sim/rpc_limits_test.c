/* How many calls there may be at once: open on a connection, and waiting for one. */
#include "sim/rpc_world.h"

static void assert_ok(const probe *at) {
    assert_int_equal(at->statuses, 1);
    assert_int_equal(at->code, RPCNET_GRPC_OK);
}

/* One below the limit, at it, one above. What is above waits, and comes when another one ends. */
static void test_streams_at_once(void **state) {
    (void)state;
    enum { LIMIT = 5 };
    for (size_t count = LIMIT - 1; count <= LIMIT + 1; count++) {
        world *w = world_new(23);
        w->server_limits.streams_max = LIMIT;
        world_serve(w);
        world_connect(w);
        probe at[LIMIT + 1] = {0};
        for (size_t i = 0; i < count; i++) {
            call_unary(w, &at[i], "/t/Sink", 100);
        }
        run_ms(w, 5000);
        rpcnet_server_stats stats;
        rpcnet_server_get_stats(w->server, &stats);
        assert_int_equal(stats.calls_open, count < LIMIT ? count : LIMIT);
        for (size_t i = 0; i < count; i++) {
            assert_true(w->served_count > i);
            assert_int_equal(rpcnet_call_finish(w->served[i].call, RPCNET_GRPC_OK, NULL, NULL),
                             RPCNET_OK);
            run_ms(w, 200);
            assert_int_equal(w->served_count, count);
        }
        for (size_t i = 0; i < count; i++) {
            assert_ok(&at[i]);
            probe_del(&at[i]);
        }
        world_del(w);
    }
}

static void test_calls_wait_for_streams(void **state) {
    (void)state;
    enum { CALLS = 20 };
    world *w = world_new(19);
    w->server_limits.streams_max = 4;
    world_serve(w);
    world_connect(w);
    probe at[CALLS] = {0};
    for (size_t i = 0; i < CALLS; i++) {
        call_unary(w, &at[i], "/t/Sink", 100);
    }
    run_ms(w, 500);
    assert_int_equal(w->served_count, 4);
    size_t done = 0;
    while (done < CALLS) {
        assert_true(w->served_count > done);
        probe *served = &w->served[done++];
        assert_int_equal(served->messages, 1);
        assert_int_equal(rpcnet_call_finish(served->call, RPCNET_GRPC_OK, NULL, NULL), RPCNET_OK);
        run_ms(w, 200);
        assert_int_equal(w->served_count, done + 4 < CALLS ? done + 4 : CALLS);
    }
    for (size_t i = 0; i < CALLS; i++) { /* in the order they were made */
        assert_int_equal(at[i].statuses, 1);
        assert_int_equal(at[i].code, RPCNET_GRPC_OK);
        probe_del(&at[i]);
    }
    world_del(w);
}

static void test_waiting_limit(void **state) {
    (void)state;
    world *w = world_new(20);
    w->channel_options.calls_waiting_max = 3;
    world_serve(w);
    world_connect(w);
    probe at[4] = {0};
    for (size_t i = 0; i < 3; i++) {
        call_unary(w, &at[i], "/t/Echo", 10);
    }
    rpcnet_call *more;
    assert_int_equal(rpcnet_call_new(&more, w->channel, "/t/Echo", NULL, &client_callbacks, NULL),
                     RPCNET_ERR_LIMIT);
    probe_del(&at[1]); /* makes room */
    call_unary(w, &at[3], "/t/Echo", 10);
    assert_int_equal(rpcnet_call_new(&more, w->channel, "/t/Echo", NULL, &client_callbacks, NULL),
                     RPCNET_ERR_LIMIT);
    for (size_t i = 0; i < 4; i++) {
        if (at[i].call != NULL) {
            run_until_over(w, &at[i]);
            assert_ok(&at[i]);
            probe_del(&at[i]);
        }
    }
    assert_int_equal(w->served_count, 3);
    world_del(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_at_once),
        cmocka_unit_test(test_calls_wait_for_streams),
        cmocka_unit_test(test_waiting_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
