/* Anything may be deleted in any callback: every object in every callback, on clean and on lossy
 * networks. What is checked: nothing is called afterwards, nothing is left, nothing is touched that
 * is gone (with a sanitizer). */
#include "sim/rpc_world.h"

static void delete_call(probe *at) {
    probe_del(at);
}

static void delete_channel(probe *at) {
    rpcnet_channel_del(at->world->channel);
    at->world->channel = NULL;
}

static void delete_server(probe *at) {
    rpcnet_server_del(at->world->server);
    at->world->server = NULL;
}

static void delete_all(probe *at) {
    delete_channel(at);
    probe_del(at);
    delete_server(at);
}

static void cancel(probe *at) {
    rpcnet_call_cancel(at->call);
}

static void expect_silence(const probe *at, const probe *before) {
    assert_int_equal(at->messages, before->messages);
    assert_int_equal(at->statuses, before->statuses);
    assert_int_equal(at->cancels, before->cancels);
    assert_int_equal(at->closes, before->closes);
    assert_int_equal(at->writables, before->writables);
}

static const enum moment client_moments[] = {IN_HEADERS, IN_MESSAGE, IN_STATUS, IN_CLOSED,
                                             IN_WRITABLE};
static const enum moment server_moments[] = {IN_MESSAGE, IN_HALF_CLOSE, IN_CANCELLED, IN_CLOSED,
                                             IN_WRITABLE};

typedef void action(probe *at);

static probe snapshot;

static void act_and_remember(probe *at);

static action *wanted;

static void act_and_remember(probe *at) {
    wanted(at);
    snapshot = *at;
}

/* A bidirectional call with much data both ways, cut in a callback of the client. */
static bool run_client(enum moment moment, action *act, bool lossy, uint64_t seed) {
    world *w = world_start(seed);
    if (lossy) {
        rn_sim_link link = {
            .latency_ns = 10 * RN_MILLISECOND, .loss = 0.1, .reorder = 0.1, .duplicate = 0.05};
        rn_sim_set_default_link(w->sim, &link);
    }
    probe at = {.to_send = 600000, .piece = 20000, .finish_when_sent = true, .moment = moment};
    probe other = {0}; /* on the same connection */
    wanted = act;
    at.act = act_and_remember;
    call_to(w, &at, "/t/Echo");
    call_to(w, &other, "/t/Sink");
    probe_pump(&at);
    run_ms(w, 5000);
    bool acted = at.act == NULL;
    if (acted && act != cancel && act != delete_channel && act != delete_server) {
        expect_silence(&at, &snapshot);
    }
    if (act == delete_channel && acted) {
        assert_int_equal(at.statuses, 1);
        assert_int_equal(other.statuses, 1);
    }
    assert_false(at.wrong || at.late || other.late);
    probe_del(&at);
    probe_del(&other);
    world_del(w);
    return acted;
}

static void test_client_matrix(void **state) {
    (void)state;
    static action *const actions[] = {delete_call, delete_channel, delete_server, delete_all,
                                      cancel};
    unsigned acted = 0;
    for (size_t m = 0; m < sizeof client_moments / sizeof client_moments[0]; m++) {
        for (size_t a = 0; a < sizeof actions / sizeof actions[0]; a++) {
            acted += run_client(client_moments[m], actions[a], false, 100 + m);
            acted += run_client(client_moments[m], actions[a], true, 200 + m);
        }
    }
    assert_int_equal(acted, 50);
}

static void cancel_soon(void *user) {
    rpcnet_call_cancel(((probe *)user)->call);
}

static bool run_server(enum moment moment, action *act, uint64_t seed) {
    world *w = world_new(seed);
    w->serve_moment = moment;
    wanted = act;
    w->serve_act = act_and_remember;
    world_serve(w);
    world_connect(w);
    probe at = {.to_send = 600000, .piece = 20000, .finish_when_sent = true};
    call_to(w, &at, "/t/Echo");
    probe_pump(&at);
    if (moment == IN_CANCELLED || moment == IN_CLOSED) {
        rn_sim_at(w->sim, rn_sim_now(w->sim) + 45 * RN_MILLISECOND, cancel_soon, &at);
    }
    run_ms(w, 5000);
    bool acted = w->served_count > 0 && w->served[0].act == NULL;
    if (acted && (act == delete_call || act == delete_all)) {
        expect_silence(&w->served[0], &snapshot);
    }
    assert_int_equal(at.statuses, 1);
    assert_false(at.wrong || at.late || w->served[0].late);
    if (act == cancel && moment == IN_MESSAGE) {
        assert_int_equal(at.code, RPCNET_GRPC_CANCELLED);
    }
    probe_del(&at);
    world_del(w);
    return acted;
}

static void test_server_matrix(void **state) {
    (void)state;
    static action *const actions[] = {delete_call, delete_channel, delete_server, delete_all,
                                      cancel};
    unsigned acted = 0;
    for (size_t m = 0; m < sizeof server_moments / sizeof server_moments[0]; m++) {
        for (size_t a = 0; a < sizeof actions / sizeof actions[0]; a++) {
            acted += run_server(server_moments[m], actions[a], 300 + m);
        }
    }
    assert_int_equal(acted, 25);
}

/* ---- callbacks of channels and servers ---- */

static enum rpcnet_channel_state when;

static void drop_channel_in_state(world *w, enum rpcnet_channel_state state) {
    if (state == when && w->channel != NULL) {
        rpcnet_channel_del(w->channel);
        w->channel = NULL;
    }
}

static void drop_server_in_state(world *w, enum rpcnet_channel_state state) {
    if (state == when && w->server != NULL) {
        rpcnet_server_del(w->server);
        w->server = NULL;
    }
}

static void run_states(void (*on_state)(world *w, enum rpcnet_channel_state state), bool served) {
    static const enum rpcnet_channel_state states[] = {RPCNET_CHANNEL_CONNECTING,
                                                       RPCNET_CHANNEL_READY, RPCNET_CHANNEL_WAITING,
                                                       RPCNET_CHANNEL_CLOSED};
    for (size_t i = 0; i < 4; i++) {
        world *w = world_new(400 + i);
        when = states[i];
        w->on_state = on_state;
        w->channel_options.reconnect = states[i] != RPCNET_CHANNEL_CLOSED;
        if (served) {
            world_serve(w);
        }
        world_connect(w);
        probe at = {0};
        call_to(w, &at, "/t/Sink");
        run_ms(w, 300);
        if (served && w->server != NULL && w->channel != NULL) {
            rpcnet_server_del(w->server); /* so that WAITING and CLOSED come */
            w->server = NULL;
        }
        run_ms(w, 3000);
        if (on_state == drop_channel_in_state && (served || when != RPCNET_CHANNEL_READY)) {
            assert_null(w->channel);
        }
        assert_int_equal(at.statuses, 1);
        assert_int_equal(at.closes, 1);
        probe_del(&at);
        world_del(w);
    }
}

static void test_in_states(void **state) {
    (void)state;
    run_states(drop_channel_in_state, true);
    run_states(drop_channel_in_state, false);
    run_states(drop_server_in_state, true);
}

static void drop_server(world *w) {
    rpcnet_server_del(w->server);
    w->server = NULL;
}

static void test_server_in_on_connection(void **state) {
    (void)state;
    world *w = world_new(410);
    w->on_connection = drop_server;
    world_serve(w);
    world_connect(w);
    probe at = {0};
    call_to(w, &at, "/t/Sink");
    run_ms(w, 500);
    assert_int_equal(w->connections, 1);
    assert_int_equal(at.code, RPCNET_GRPC_UNAVAILABLE);
    probe_del(&at);
    world_del(w);
}

static void take_and_drop_server(rpcnet_server *server, rpcnet_call *call, void *user) {
    world *w = user;
    rpcnet_server_del(server);
    rpcnet_call_del(call);
    w->server = NULL;
}

static void take_and_drop(rpcnet_server *server, rpcnet_call *call, void *user) {
    (void)server;
    (void)user;
    rpcnet_call_del(call);
}

static void take_and_refuse(rpcnet_server *server, rpcnet_call *call, void *user) {
    (void)server;
    (void)user;
    assert_int_equal(rpcnet_call_finish(call, RPCNET_GRPC_PERMISSION_DENIED, "no", NULL),
                     RPCNET_OK);
    rpcnet_call_del(call);
}

static void test_in_method(void **state) {
    (void)state;
    static rpcnet_method_fn *const methods[] = {take_and_drop_server, take_and_drop,
                                                take_and_refuse};
    static const int codes[] = {RPCNET_GRPC_UNAVAILABLE, RPCNET_GRPC_CANCELLED,
                                RPCNET_GRPC_PERMISSION_DENIED};
    for (size_t i = 0; i < 3; i++) {
        world *w = world_start(420 + i);
        assert_int_equal(rpcnet_server_add_method(w->server, "/t/X", methods[i], w), RPCNET_OK);
        probe at = {0};
        call_unary(w, &at, "/t/X", 1000);
        run_until_over(w, &at);
        assert_int_equal(at.code, codes[i]);
        probe_del(&at);
        world_del(w);
    }
}

static void on_drained_delete(rpcnet_server *server, void *user) {
    world *w = user;
    rpcnet_server_del(server);
    w->server = NULL;
    w->drained++;
}

static void test_in_on_drained(void **state) {
    (void)state;
    world *w = world_new(430);
    w->server_options.callbacks.on_drained = on_drained_delete;
    world_serve(w);
    world_connect(w);
    run_ms(w, 200);
    rpcnet_server_drain(w->server, rn_sim_now(w->sim) + RN_SECOND);
    run_ms(w, 2000);
    assert_int_equal(w->drained, 1);
    assert_null(w->server);
    world_del(w);
}

/* A call that failed is begun again in the callback that says so. */
static void retry(probe *at) {
    static probe again;
    again = (probe){.world = at->world};
    call_to(at->world, &again, "/t/Sink");
    probe_del(&again);
    call_to(at->world, &again, "/t/Sink");
    at->held = (size_t)again.statuses;
    rpcnet_call_del(again.call);
}

static void test_retry_in_status(void **state) {
    (void)state;
    world *w = world_new(440); /* nobody listens */
    world_connect(w);
    probe at[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        at[i].moment = IN_STATUS;
        at[i].act = retry;
        call_to(w, &at[i], "/t/Sink");
    }
    run_ms(w, 1000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(at[i].statuses, 1);
        assert_int_equal(at[i].held, 0);
        probe_del(&at[i]);
    }
    world_del(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_matrix),   cmocka_unit_test(test_server_matrix),
        cmocka_unit_test(test_in_states),       cmocka_unit_test(test_server_in_on_connection),
        cmocka_unit_test(test_in_method),       cmocka_unit_test(test_in_on_drained),
        cmocka_unit_test(test_retry_in_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
