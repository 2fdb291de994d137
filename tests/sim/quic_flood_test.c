/* Who gets a place when others begin handshakes and do not finish them. */
#include <stdlib.h>

#include "access_world.h"

/* ---- a handshake that does not go on makes room ---- */

#define PATIENCE RN_HANDSHAKE_PATIENCE_NS

/* Begins so many handshakes, and hears nothing of what the server says about them. */
static void begin_silent(world *w, size_t count) {
    size_t accepted = stats(w)->connections_accepted;
    rn_sim_set_partition_one_way(w->sim, SERVER, CLIENT, true);
    for (size_t i = 0; i < count; i++) {
        (void)start_client(w, w->client_env, 100, NULL);
    }
    while (stats(w)->connections_accepted < accepted + count) {
        assert_true(rn_sim_step(w->sim));
    }
}

/* They never finish: from here on they do not even say anything more. */
static void fall_silent(world *w) {
    rn_sim_host_pause(w->client_env);
}

static void start_limited(world *w, uint64_t seed, const rn_quic_limits *limits) {
    begin(w, seed);
    start_server(w, 7, 0, limits);
}

/* One below the limit, at it and above it, with old handshakes and with young ones. */
static void old_handshakes_make_room(void **state) {
    (void)state;
    for (size_t silent = LIMIT - 2; silent <= LIMIT; silent++) {
        for (size_t old = 0; old <= 1; old++) {
            rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
            world w;
            bool full = silent == LIMIT;
            limits.handshakes_max = LIMIT;
            limits.retry_above = NEVER_BY_HANDSHAKES;
            start_limited(&w, 31, &limits);
            begin_silent(&w, silent);
            fall_silent(&w);
            rn_sim_run_for(w.sim, old ? PATIENCE : PATIENCE / 2);
            if (full && !old) {
                refuse_one(&w, w.other_env);
            } else {
                serve_one(&w, w.other_env);
            }
            assert_int_equal(stats(&w)->handshakes_evicted, full && old);
            assert_int_equal(stats(&w)->handshakes_failed, full && old);
            assert_int_equal(stats(&w)->connections_refused, full && !old);
            assert_int_equal(stats(&w)->retries_sent,
                             full && old); /* who takes a place is proven */
            assert_int_equal(stats(&w)->handshakes, silent - (full && old));
            assert_int_equal(w.server.closed, full && old);
            if (full && old) {
                assert_int_equal(w.server.close.cause, RN_CLOSE_HANDSHAKE_TIMEOUT);
            }
            end(&w);
        }
    }
}

/* The age counts from a nanosecond to the next. */
static void patience_has_its_bound(void **state) {
    (void)state;
    for (int late = -1; late <= 1; late++) {
        rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
        const rn_sim_link still = {.latency_ns = 0};
        world w;
        limits.handshakes_max = 1;
        limits.retry_above = 0; /* the newcomer has its token when the moment comes */
        begin(&w, 32);
        rn_sim_set_default_link(w.sim, &still);
        start_server(&w, 7, 0, &limits);
        rn_echo_client *known = start_client(&w, w.other_env, 100, NULL);
        run_until(&w, has_token, known);
        rn_echo_client *first = start_client(&w, w.client_env, 100, NULL);
        run_until(&w, has_token, first);
        rn_sim_set_partition_one_way(w.sim, SERVER, CLIENT, true);
        uint64_t begun = rn_sim_now(w.sim);
        (void)start_client(&w, w.client_env, 100, first);
        rn_sim_run_for(w.sim, 0);
        assert_int_equal(stats(&w)->handshakes, 1);
        fall_silent(&w);
        rn_sim_run_until(w.sim, begun + PATIENCE + (uint64_t)(int64_t)late);
        rn_echo_client *newcomer = start_client(&w, w.other_env, 100, known);
        run_until(&w, is_settled, newcomer);
        assert_int_equal(newcomer->done, late >= 0);
        assert_int_equal(stats(&w)->handshakes_evicted, late >= 0);
        assert_int_equal(stats(&w)->connections_refused, late < 0);
        end(&w);
    }
}

/* The oldest goes, one for each newcomer, and then it is over. */
static void the_oldest_goes_first(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    limits.handshakes_max = 2;
    limits.retry_above = NEVER_BY_HANDSHAKES;
    start_limited(&w, 33, &limits);
    begin_silent(&w, 1);
    rn_sim_run_for(w.sim, PATIENCE / 2);
    begin_silent(&w, 1);
    fall_silent(&w);
    const rn_conn *younger = w.server.conn;
    rn_sim_run_for(w.sim, PATIENCE / 2);
    serve_one(&w, w.other_env);
    assert_int_equal(stats(&w)->handshakes_evicted, 1);
    assert_int_equal(stats(&w)->handshakes, 1);
    const rn_endpoint *endpoint = rn_port_endpoint(w.server.port);
    assert_ptr_equal(RN_CONTAINER_OF(endpoint->unfinished.next, rn_conn, age_link), younger);
    serve_one(&w, w.other_env); /* there is room */
    assert_int_equal(stats(&w)->handshakes_evicted, 1);
    end(&w);
}

/* However old they are, and though nothing else is there that could go. */
static void established_connections_stay(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    limits.connections_max = LIMIT;
    limits.handshakes_max = LIMIT;
    start_limited(&w, 34, &limits);
    for (size_t i = 0; i < LIMIT; i++) {
        serve_one(&w, w.client_env);
    }
    rn_sim_run_for(w.sim, 5 * PATIENCE);
    refuse_one(&w, w.other_env);
    for (size_t i = 0; i < LIMIT; i++) {
        assert_false(w.clients[i].closed);
    }
    assert_int_equal(stats(&w)->connections, LIMIT);
    assert_int_equal(stats(&w)->handshakes_evicted, 0);
    assert_int_equal(w.server.closed, 0);
    end(&w);
}

/* The limit on connections is met before that on handshakes: the same holds. */
static void a_full_server_has_room_in_handshakes(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    limits.connections_max = LIMIT;
    start_limited(&w, 35, &limits);
    serve_one(&w, w.other_env);
    begin_silent(&w, LIMIT - 1);
    fall_silent(&w);
    rn_sim_run_for(w.sim, PATIENCE);
    serve_one(&w, w.other_env);
    serve_one(&w, w.other_env);
    assert_int_equal(stats(&w)->handshakes_evicted, LIMIT - 1);
    refuse_one(&w, w.other_env); /* now all are established */
    assert_int_equal(stats(&w)->connections, LIMIT);
    assert_false(w.clients[0].closed);
    end(&w);
}

/* What is over, and is kept to answer late packets with CONNECTION_CLOSE, goes before that. */
static void ended_connections_go_first(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    const rn_sim_link slow = {.latency_ns = 100 * RN_MILLISECOND};
    world w;
    limits.connections_max = LIMIT;
    begin(&w, 36);
    rn_sim_set_link(w.sim, SERVER, CLIENT, &slow);
    start_server(&w, 7, 0, &limits);
    for (size_t i = 0; i < LIMIT; i++) {
        serve_one(&w, w.client_env);
    }
    rn_conn_close(w.server.conn, 0, "");
    rn_sim_run_for(w.sim, RN_MILLISECOND);
    assert_int_equal(w.server.closed, 1);
    assert_int_equal(stats(&w)->connections, LIMIT);
    serve_one(&w, w.other_env);
    assert_int_equal(stats(&w)->connections, LIMIT);
    assert_int_equal(stats(&w)->handshakes_evicted, 0);
    refuse_one(&w, w.other_env);
    run_until(&w, is_closed, &w.clients[LIMIT - 1]); /* its CONNECTION_CLOSE had been sent */
    assert_int_equal(w.clients[LIMIT - 1].close.cause, RN_CLOSE_PEER);
    end(&w);
}

/* A sender who cannot hear us, because it forges its address, costs nobody a place. */
static void a_forged_address_takes_no_place(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    limits.handshakes_max = LIMIT;
    limits.retry_above = NEVER_BY_HANDSHAKES;
    start_limited(&w, 37, &limits);
    begin_silent(&w, LIMIT);
    fall_silent(&w);
    rn_sim_run_for(w.sim, PATIENCE);
    rn_sim_set_partition_one_way(w.sim, SERVER, OTHER, true);
    (void)start_client(&w, w.other_env, 100, NULL);
    rn_sim_run_for(w.sim, RN_SECOND);
    assert_true(stats(&w)->retries_sent > 0);
    assert_int_equal(stats(&w)->handshakes_evicted, 0);
    assert_int_equal(stats(&w)->handshakes, LIMIT);
    end(&w);
}

/* ---- a flood of peers that answer Retry and then fall silent ---- */

enum { FLOOD_PLACES = 8, FLOOD_TICKS = 80, FLOOD_TICK_MIN_MS = 20, FLOOD_TICK_SPREAD_MS = 40 };

typedef struct flood {
    world *w;
    rn_echo_client clients[FLOOD_TICKS];
    size_t count;
} flood;

/* One more, from a port of its own. */
static void flood_on(flood *f) {
    rn_echo_client_options options = {.expect = {.server_name = "localhost"},
                                      .server = f->w->address,
                                      .streams = 1,
                                      .bytes = 100,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(
        rn_echo_client_start(&f->clients[f->count++], f->w->client_env, RN_TEST_CERTS, &options),
        RPCNET_OK);
}

/* Retry comes through (it is shorter than any packet of a handshake), the handshake does not. */
static void let_only_retry_through(world *w) {
    const rn_sim_link narrow = {.latency_ns = RN_MILLISECOND, .mtu = 600};
    rn_sim_set_link_one_way(w->sim, SERVER, CLIENT, &narrow);
}

/* An honest peer tries until it is served, as channels do. */
static rn_echo_client *try_again(world *w, rn_echo_client *honest) {
    return honest == NULL || honest->closed ? start_client(w, w->other_env, 100, NULL) : honest;
}

/* Else the flood and the honest peer would keep step with each other. */
static void let_some_time_pass(world *w) {
    uint64_t any;
    rn_env_random(w->server_env, &any, sizeof any);
    rn_sim_run_for(w->sim, (FLOOD_TICK_MIN_MS + any % FLOOD_TICK_SPREAD_MS) * RN_MILLISECOND / 2);
}

static void a_flood_does_not_lock_out(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    limits.handshakes_max = FLOOD_PLACES;
    limits.retry_above = 0;
    start_limited(&w, 38, &limits);
    let_only_retry_through(&w);
    flood *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->w = &w;
    rn_echo_client *honest = NULL;
    uint64_t begun = 0;
    for (size_t i = 0; i < FLOOD_TICKS && (honest == NULL || !honest->done); i++) {
        flood_on(f);
        let_some_time_pass(&w);
        if (honest != NULL || stats(&w)->handshakes == FLOOD_PLACES) {
            begun = honest == NULL ? rn_sim_now(w.sim) : begun;
            honest = try_again(&w, honest);
        }
        let_some_time_pass(&w);
    }
    assert_non_null(honest);
    assert_true(honest->done);
    assert_true(rn_sim_now(w.sim) - begun <= 2 * RN_SECOND);
    assert_true(stats(&w)->connections_refused > 0);
    assert_true(stats(&w)->handshakes_evicted > 0);
    assert_int_equal(stats(&w)->handshakes_evicted, stats(&w)->handshakes_failed);
    assert_true(stats(&w)->handshakes <= FLOOD_PLACES);
    assert_int_equal(stats(&w)->handshakes_completed, 1);
    for (size_t i = 0; i < f->count; i++) {
        rn_echo_client_stop(&f->clients[i]);
    }
    free(f);
    end(&w);
}

/* ---- unfinished handshakes of one address ---- */

static void handshakes_of_an_address_have_their_limit(void **state) {
    (void)state;
    for (size_t silent = LIMIT - 1; silent <= LIMIT; silent++) {
        rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
        world w;
        limits.handshakes_per_address = LIMIT;
        limits.retry_above = 0;
        start_limited(&w, 39, &limits);
        let_only_retry_through(&w);
        for (size_t i = 0; i < silent; i++) {
            (void)start_client(&w, w.client_env, 100, NULL);
        }
        rn_sim_run_for(w.sim, 100 * RN_MILLISECOND);
        assert_int_equal(stats(&w)->handshakes, silent);
        (void)start_client(&w, w.client_env, 100, NULL);
        rn_sim_run_for(w.sim, 100 * RN_MILLISECOND);
        assert_int_equal(stats(&w)->handshakes, LIMIT);
        assert_int_equal(stats(&w)->connections_refused_of_address, silent == LIMIT);
        serve_one(&w, w.other_env); /* each address has its own */

        /* A place is free again once a handshake has ended, and established ones take none. */
        rn_sim_run_for(w.sim, limits.handshake_timeout_ns);
        assert_int_equal(stats(&w)->handshakes, 0);
        for (size_t i = 0; i <= LIMIT; i++) {
            serve_one(&w, w.other_env);
        }
        end(&w);
    }
}

/* Forged ones cannot take all places of an address. */
static void handshakes_of_a_crowded_address_are_validated(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    limits.handshakes_per_address = 4;
    limits.retry_above = NEVER_BY_HANDSHAKES;
    start_limited(&w, 40, &limits);
    begin_silent(&w, 2);
    assert_int_equal(stats(&w)->retries_sent, 0);
    (void)start_client(&w, w.client_env, 100, NULL);
    rn_sim_run_for(w.sim, 100 * RN_MILLISECOND);
    assert_int_equal(stats(&w)->retries_sent, 1);
    assert_int_equal(stats(&w)->handshakes, 2);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_handshakes_make_room),
        cmocka_unit_test(patience_has_its_bound),
        cmocka_unit_test(the_oldest_goes_first),
        cmocka_unit_test(established_connections_stay),
        cmocka_unit_test(a_full_server_has_room_in_handshakes),
        cmocka_unit_test(ended_connections_go_first),
        cmocka_unit_test(a_forged_address_takes_no_place),
        cmocka_unit_test(a_flood_does_not_lock_out),
        cmocka_unit_test(handshakes_of_an_address_have_their_limit),
        cmocka_unit_test(handshakes_of_a_crowded_address_are_validated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
