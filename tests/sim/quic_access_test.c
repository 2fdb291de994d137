/* Who is let in: connections of one address, and what was made under the secret before this one. */
#include "access_world.h"

/* A new process behind the same address, which knows nothing but its secrets. */
static void replace_server(world *w, uint8_t secret, uint8_t previous,
                           const rn_quic_limits *limits) {
    rn_sim_host_kill(w->server_env);
    rn_echo_server_stop(&w->server);
    w->server_env = rn_sim_host_new(w->sim, SERVER);
    start_server(w, secret, previous, limits);
}

static bool half_is_echoed(void *user) {
    const rn_echo_client *client = user;
    return client->streams[0].echoed > client->bytes / 2;
}

/* ---- connections of one address ---- */

static void an_address_has_its_limit(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.connections_per_address = 3;
    world w;
    begin(&w, 1);
    start_server(&w, 7, 0, &limits);
    serve_one(&w, w.client_env);
    serve_one(&w, w.client_env);
    assert_int_equal(stats(&w)->connections_refused_of_address, 0);
    serve_one(&w, w.client_env);
    refuse_one(&w, w.client_env);
    assert_int_equal(stats(&w)->connections_refused_of_address, 1);
    assert_int_equal(stats(&w)->connections_refused, 1);
    serve_one(&w, w.other_env); /* each address has its own */
    assert_int_equal(stats(&w)->connections, 4);

    /* A place is free again once a connection has ended. */
    size_t closed = w.server.closed;
    rn_conn_close(w.clients[0].conn, 0, "");
    rn_sim_run_for(w.sim, RN_SECOND);
    assert_int_equal(w.server.closed, closed + 1);
    serve_one(&w, w.client_env);
    refuse_one(&w, w.client_env);
    end(&w);
}

/* The socket takes the last word when nothing else is left of the connection. */
static void a_close_outlives_its_connection(void **state) {
    (void)state;
    const rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    begin(&w, 41);
    start_server(&w, 7, 0, &limits);
    serve_one(&w, w.client_env);
    rn_sim_host_block_sends(w.server_env, true);
    rn_conn_close(w.server.conn, 5, "over");
    while (stats(&w)->connections > 0) {
        assert_true(rn_sim_step(w.sim));
    }
    assert_false(w.clients[0].closed);
    rn_sim_host_block_sends(w.server_env, false);
    run_until(&w, is_closed, &w.clients[0]);
    assert_int_equal(w.clients[0].close.cause, RN_CLOSE_PEER);
    assert_int_equal(w.clients[0].close.code, 5);
    end(&w);
}

/* ---- connections and handshakes of all together: one below the limit, at it, one above ---- */

/* Starts so many at once; returns how many were refused. */
static unsigned start_at_once(world *w, size_t count) {
    unsigned refused = 0;
    for (size_t i = 0; i < count; i++) {
        (void)start_client(w, w->client_env, 100, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        run_until(w, is_settled, &w->clients[i]);
        refused += w->clients[i].closed && w->clients[i].close.code == NGTCP2_CONNECTION_REFUSED;
    }
    return refused;
}

static void all_connections_have_their_limit(void **state) {
    (void)state;
    for (size_t count = LIMIT - 1; count <= LIMIT + 1; count++) {
        rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
        limits.connections_max = LIMIT;
        world w;
        begin(&w, 21);
        start_server(&w, 7, 0, &limits);
        for (size_t i = 0; i < count && i < LIMIT; i++) {
            serve_one(&w, w.client_env);
        }
        if (count > LIMIT) {
            refuse_one(&w, w.client_env);
        }
        assert_int_equal(stats(&w)->connections_refused, count > LIMIT);
        end(&w);
    }
}

static void unfinished_handshakes_have_their_limit(void **state) {
    (void)state;
    for (size_t count = LIMIT - 1; count <= LIMIT + 1; count++) {
        rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
        limits.handshakes_max = LIMIT;
        limits.retry_above = NEVER_BY_HANDSHAKES;
        world w;
        begin(&w, 22);
        start_server(&w, 7, 0, &limits);
        assert_int_equal(start_at_once(&w, count), count > LIMIT);
        assert_int_equal(stats(&w)->connections_refused, count > LIMIT);
        assert_int_equal(stats(&w)->retries_sent, 0);
        end(&w);
    }
}

static void many_unfinished_handshakes_ask_for_retry(void **state) {
    (void)state;
    for (size_t count = LIMIT - 1; count <= LIMIT + 1; count++) {
        rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
        limits.retry_above = LIMIT;
        world w;
        begin(&w, 23);
        start_server(&w, 7, 0, &limits);
        assert_int_equal(start_at_once(&w, count), 0);
        assert_int_equal(stats(&w)->retries_sent, count > LIMIT);
        end(&w);
    }
}

static void a_crowded_address_is_validated(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.connections_per_address = 4;
    limits.retry_above = NEVER_BY_HANDSHAKES;
    world w;
    begin(&w, 2);
    start_server(&w, 7, 0, &limits);
    serve_one(&w, w.client_env);
    serve_one(&w, w.client_env);
    assert_int_equal(stats(&w)->retries_sent, 0);
    serve_one(&w, w.client_env);
    assert_int_equal(stats(&w)->retries_sent, 1);
    serve_one(&w, w.other_env);
    assert_int_equal(stats(&w)->retries_sent, 1);
    end(&w);
}

static void one_for_each_address(void **state) {
    (void)state;
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.connections_per_address = 1;
    world w;
    begin(&w, 3);
    start_server(&w, 7, 0, &limits);
    serve_one(&w, w.client_env);
    refuse_one(&w, w.client_env);
    serve_one(&w, w.other_env);
    end(&w);
}

static void no_limit(void **state) {
    enum { CLIENTS = 8 };
    (void)state;
    const rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    begin(&w, 4);
    start_server(&w, 7, 0, &limits);
    for (size_t i = 0; i < CLIENTS; i++) {
        serve_one(&w, w.client_env);
    }
    assert_int_equal(stats(&w)->retries_sent, 0);
    end(&w);
}

/* ---- the time of a handshake ---- */

/* Starts a client against a server with this limit; returns when the server accepts it. */
static uint64_t begin_handshake(world *w, uint64_t timeout_ns) {
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.handshake_timeout_ns = timeout_ns;
    const rn_sim_link link = {.latency_ns = 20 * RN_MILLISECOND};
    begin(w, 25);
    rn_sim_set_default_link(w->sim, &link);
    start_server(w, 7, 0, &limits);
    uint64_t accepted = rn_sim_now(w->sim) + link.latency_ns;
    (void)start_client(w, w->client_env, 100, NULL);
    rn_sim_run_until(w->sim, accepted - 1);
    assert_int_equal(stats(w)->handshakes, 0);
    rn_sim_run_until(w->sim, accepted);
    assert_int_equal(stats(w)->handshakes, 1);
    return accepted;
}

/* The client is gone after its first flight: the server waits so long, to the nanosecond. */
static void a_handshake_has_its_time(void **state) {
    (void)state;
    const uint64_t timeout = 3 * RN_SECOND;
    world w;
    uint64_t accepted = begin_handshake(&w, timeout);
    rn_sim_host_kill(w.client_env);
    rn_sim_run_until(w.sim, accepted + timeout - 1);
    assert_int_equal(stats(&w)->handshakes, 1);
    assert_int_equal(stats(&w)->handshakes_failed, 0);
    rn_sim_run_until(w.sim, accepted + timeout);
    assert_int_equal(stats(&w)->handshakes, 0);
    assert_int_equal(stats(&w)->handshakes_failed, 1);
    end(&w);
}

static bool one_handshake(void *user) {
    return stats(user)->handshakes_completed == 1;
}

/* The client's answer comes one nanosecond below the limit, at it, one above. */
static void a_handshake_may_take_so_long(void **state) {
    (void)state;
    world first;
    uint64_t accepted = begin_handshake(&first, 10 * RN_SECOND);
    assert_true(rn_sim_run_until_done(first.sim, one_handshake, &first, accepted + RN_SECOND));
    const uint64_t takes = rn_sim_now(first.sim) - accepted;
    assert_true(takes >= 40 * RN_MILLISECOND); /* there and back */
    end(&first);
    for (uint64_t timeout = takes - 1; timeout <= takes + 1; timeout++) {
        world w;
        accepted = begin_handshake(&w, timeout);
        rn_sim_run_until(w.sim, accepted + takes + 1);
        assert_int_equal(stats(&w)->handshakes_completed, timeout > takes);
        /* The late answer begins with an Initial packet, which is a beginning, too, and a bad one.
         */
        assert_int_equal(stats(&w)->handshakes_failed > 0, timeout <= takes);
        end(&w);
    }
}

/* ---- stateless resets ---- */

static uint64_t next_second(const world *w) {
    return (rn_sim_now(w->sim) / RN_SECOND + 1) * RN_SECOND;
}

/* A datagram for a connection that this server had in an earlier life. Returns how many answers it
 * gets. */
static unsigned answers_to_the_late(const world *w) {
    rn_endpoint *endpoint = rn_port_endpoint(w->server.port);
    uint8_t bytes[64] = {0x40};
    rn_datagram datagram = {
        .local = w->address, .remote = w->address, .data = bytes, .len = sizeof bytes};
    rn_transmit answer;
    unsigned answers = 0;
    ngtcp2_cid id;
    assert_int_equal(rn_secrets_new_connection_id(&endpoint->secrets, w->server_env, 0, &id),
                     RPCNET_OK);
    memcpy(bytes + 1, id.data, id.datalen);
    rn_endpoint_receive(endpoint, &datagram);
    while (rn_endpoint_transmit(endpoint, &answer)) {
        answers++;
    }
    return answers;
}

/* One below the limit, at it, one above; and the next second has its own. */
static void resets_have_their_limit(void **state) {
    (void)state;
    const rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    begin(&w, 24);
    start_server(&w, 7, 0, &limits);
    for (unsigned second = 1; second <= 2; second++) {
        rn_sim_run_until(w.sim, next_second(&w));
        for (unsigned i = 1; i < RN_RESETS_PER_SECOND_MAX; i++) {
            assert_int_equal(answers_to_the_late(&w), 1);
        }
        rn_sim_run_until(w.sim, next_second(&w) - 1);
        assert_int_equal(answers_to_the_late(&w), 1);
        assert_int_equal(stats(&w)->stateless_resets_withheld, second - 1);
        assert_int_equal(answers_to_the_late(&w), 0);
        assert_int_equal(stats(&w)->stateless_resets_sent, second * RN_RESETS_PER_SECOND_MAX);
        assert_int_equal(stats(&w)->stateless_resets_withheld, second);
        assert_int_equal(stats(&w)->datagrams_dropped, second);
    }
    end(&w);
}

/* ---- the secret is changed ---- */

static void the_previous_secret_resets(void **state) {
    (void)state;
    const rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    begin(&w, 5);
    start_server(&w, 7, 0, &limits);
    rn_echo_client *client = start_client(&w, w.client_env, 3000000, NULL);
    run_until(&w, half_is_echoed, client);
    replace_server(&w, 8, 7, &limits);
    run_until(&w, is_closed, client);
    assert_int_equal(client->close.cause, RN_CLOSE_RESET);

    /* New connections live under the new secret alone. */
    client = start_client(&w, w.client_env, 3000000, NULL);
    run_until(&w, half_is_echoed, client);
    replace_server(&w, 9, 8, &limits);
    run_until(&w, is_closed, client);
    assert_int_equal(client->close.cause, RN_CLOSE_RESET);
    end(&w);
}

static void an_older_secret_is_forgotten(void **state) {
    (void)state;
    const rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    begin(&w, 6);
    start_server(&w, 7, 0, &limits);
    rn_echo_client *client = start_client(&w, w.client_env, 3000000, NULL);
    run_until(&w, half_is_echoed, client);
    replace_server(&w, 9, 8, &limits);
    run_until(&w, is_closed, client);
    assert_int_equal(client->close.cause, RN_CLOSE_IDLE);
    assert_int_equal(stats(&w)->stateless_resets_sent, 0);
    end(&w);
}

static size_t retries_with_token_of(uint8_t maker, uint8_t secret, uint8_t previous) {
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    world w;
    begin(&w, 7);
    start_server(&w, maker, 0, &limits);
    rn_echo_client *first = start_client(&w, w.client_env, 100, NULL);
    run_until(&w, has_token, first);
    limits.retry_above = 0;
    replace_server(&w, secret, previous, &limits);
    rn_echo_client *second = start_client(&w, w.client_env, 100, first);
    run_until(&w, is_settled, second);
    assert_true(second->done);
    size_t retries = stats(&w)->retries_sent;
    end(&w);
    return retries;
}

static void address_tokens_of_both_secrets(void **state) {
    (void)state;
    assert_int_equal(retries_with_token_of(7, 7, 0), 0);
    assert_int_equal(retries_with_token_of(7, 8, 7), 0);
    assert_int_equal(retries_with_token_of(7, 8, 0), 1);
    assert_int_equal(retries_with_token_of(7, 9, 8), 1);
}

/* The server is replaced between its Retry and the client's answer. */
static bool answer_to_retry_is_taken(uint8_t secret, uint8_t previous) {
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.retry_above = 0;
    world w;
    begin(&w, 8);
    const rn_sim_link slow = {.latency_ns = 100 * RN_MILLISECOND};
    rn_sim_set_default_link(w.sim, &slow);
    start_server(&w, 7, 0, &limits);
    rn_echo_client *client = start_client(&w, w.client_env, 100, NULL);
    rn_sim_run_for(w.sim, 150 * RN_MILLISECOND);
    assert_int_equal(stats(&w)->retries_sent, 1);
    replace_server(&w, secret, previous, &limits);
    run_until(&w, is_settled, client);
    bool taken = client->done;
    assert_int_equal(stats(&w)->retries_sent, 0);
    end(&w);
    return taken;
}

static void retry_tokens_of_both_secrets(void **state) {
    (void)state;
    assert_true(answer_to_retry_is_taken(7, 0));
    assert_true(answer_to_retry_is_taken(8, 7));
    assert_false(answer_to_retry_is_taken(8, 0));
}

/* Somebody shows a token in another's name and is gone; the server tries until it gives up. */
static uint64_t bytes_for_one_datagram(const uint8_t *token, size_t len) {
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    rn_echo_client stranger = {.token_len = len};
    world w;
    begin(&w, 9);
    start_server(&w, 7, 0, &limits);
    memcpy(stranger.token, token, len);
    start_client(&w, w.client_env, 100, &stranger);
    rn_sim_run_for(w.sim, RN_MILLISECOND);
    rn_sim_host_kill(w.client_env);
    rn_sim_run_for(w.sim, 20 * RN_SECOND);
    assert_int_equal(stats(&w)->datagrams_received, 1);
    assert_int_equal(stats(&w)->connections_accepted, 1);
    assert_true(stats(&w)->bytes_sent > 0);
    assert_true(stats(&w)->bytes_sent <= 3 * stats(&w)->bytes_received);
    uint64_t bytes = stats(&w)->bytes_sent;
    end(&w);
    return bytes;
}

/* A token that is not ours proves no address (RFC 9000, section 8.1.3). */
static void a_worthless_token_proves_nothing(void **state) {
    static const uint8_t unknown[] = {0x01, 0x02, 0x03};
    static const uint8_t made_up[40] = {0x36}; /* the first byte of our NEW_TOKEN tokens */
    (void)state;
    assert_int_equal(bytes_for_one_datagram(unknown, sizeof unknown),
                     bytes_for_one_datagram(made_up, sizeof made_up));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_limit),
        cmocka_unit_test(a_close_outlives_its_connection),
        cmocka_unit_test(all_connections_have_their_limit),
        cmocka_unit_test(unfinished_handshakes_have_their_limit),
        cmocka_unit_test(many_unfinished_handshakes_ask_for_retry),
        cmocka_unit_test(a_crowded_address_is_validated),
        cmocka_unit_test(one_for_each_address),
        cmocka_unit_test(no_limit),
        cmocka_unit_test(a_handshake_has_its_time),
        cmocka_unit_test(a_handshake_may_take_so_long),
        cmocka_unit_test(resets_have_their_limit),
        cmocka_unit_test(the_previous_secret_resets),
        cmocka_unit_test(an_older_secret_is_forgotten),
        cmocka_unit_test(address_tokens_of_both_secrets),
        cmocka_unit_test(retry_tokens_of_both_secrets),
        cmocka_unit_test(a_worthless_token_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
