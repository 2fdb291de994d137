/* A client's path changes, and the answers to the server's challenges are lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "support/quic_echo.h"

#define SERVER "10.0.0.1"
#define CLIENT "10.0.0.2"
#define OUTER "203.0.113.7:4000"
#define LATENCY (5 * RN_MILLISECOND)
#define KEEP_ALIVE (20 * RN_SECOND)

typedef struct world {
    rn_sim *sim;
    rn_echo_server server;
    rn_echo_client client;
    bool responded; /* the client has answered a first challenge at its new address */
} world;

/* Responses of a client are padded (RFC 9000, section 8.2.2). */
static void note_response(const rn_sim_seen *seen, void *user) {
    enum { PADDED = 1200 };
    char text[RN_ADDRESS_TEXT_MAX];
    world *w = user;
    w->responded |= seen->fate == RN_SIM_SENT && seen->data.len >= PADDED &&
                    strcmp(rn_address_format(&seen->from, text), OUTER) == 0;
}

static bool has_responded(void *user) {
    return ((const world *)user)->responded;
}

static bool client_is_done(void *user) {
    return ((const world *)user)->client.done;
}

/* A connection on which nobody has anything to say. */
static void begin(world *w) {
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(rn_sim_seed(1));
    const rn_sim_link link = {.latency_ns = LATENCY};
    rn_sim_set_default_link(w->sim, &link);
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    limits.keep_alive_ns = KEEP_ALIVE;
    limits.idle_timeout_ns = 3 * KEEP_ALIVE;
    rn_echo_server_options options = {.certificate = "server", .secret_byte = 7, .limits = limits};
    options.limits.keep_alive_ns = 0;
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    assert_int_equal(
        rn_echo_server_start(&w->server, rn_sim_host_new(w->sim, SERVER), RN_TEST_CERTS, &options),
        RPCNET_OK);
    rn_echo_client_options client = {.expect = {.server_name = "localhost"},
                                     .server = *rn_port_address(w->server.port),
                                     .streams = 1,
                                     .bytes = 100,
                                     .limits = limits};
    rn_env *env = rn_sim_host_new(w->sim, CLIENT);
    assert_int_equal(rn_echo_client_start(&w->client, env, RN_TEST_CERTS, &client), RPCNET_OK);
    assert_true(rn_sim_run_until_done(w->sim, client_is_done, w, 60 * RN_SECOND));
    rn_sim_run_for(w->sim, 2 * RN_SECOND);
    rn_sim_set_tap(w->sim, note_response, w);
    assert_int_equal(rn_sim_rebind(env, 0, OUTER), RPCNET_OK);
}

static void end(world *w) {
    rn_echo_client_stop(&w->client);
    rn_echo_server_stop(&w->server);
    rn_sim_del(w->sim);
}

/* Its keep-alive has shown the server the new address. The first response arrives and everything is
 * acknowledged; more challenges follow, with full datagrams. The client has only responses to send.
 * When those are lost it has to go on by itself: they would fill its window for ever. */
static void a_lost_response_is_probed_for(void **state) {
    (void)state;
    const rn_sim_link dead = {.latency_ns = LATENCY, .loss = 1};
    world w;
    begin(&w);
    assert_true(rn_sim_run_until_done(w.sim, has_responded, &w, 60 * RN_SECOND));
    rn_sim_set_link_one_way(w.sim, CLIENT, SERVER, &dead);
    rn_sim_run_for(w.sim, 100 * RN_MILLISECOND);
    uint64_t now = rn_sim_now(w.sim);
    uint64_t expiry = ngtcp2_conn_get_expiry(w.client.conn->quic);
    assert_true(expiry < now + RN_SECOND);
    end(&w);
}

static void a_new_path_is_validated_after_losses(void **state) {
    (void)state;
    const rn_sim_link dead = {.latency_ns = LATENCY, .loss = 1};
    const rn_sim_link good = {.latency_ns = LATENCY};
    world w;
    begin(&w);
    assert_true(rn_sim_run_until_done(w.sim, has_responded, &w, 60 * RN_SECOND));
    rn_sim_set_link_one_way(w.sim, CLIENT, SERVER, &dead);
    rn_sim_run_for(w.sim, 10 * RN_SECOND); /* the server gives the new path up */
    rn_sim_set_link_one_way(w.sim, CLIENT, SERVER, &good);
    rn_sim_run_for(w.sim, 15 * RN_SECOND);
    assert_false(w.client.closed);
    assert_int_equal(w.server.closed, 0);
    char text[RN_ADDRESS_TEXT_MAX];
    assert_string_equal(rn_address_format(rn_conn_remote(w.server.conn), text), OUTER);
    end(&w);
}

static void note_address(const rn_sim_seen *seen, void *user) {
    char text[RN_ADDRESS_TEXT_MAX];
    world *w = user;
    w->responded |= strcmp(rn_address_format(&seen->from, text), OUTER) == 0;
}

static void check_path(const world *w, const char *expected) {
    char text[RN_ADDRESS_TEXT_MAX];
    rn_address remote;
    const ngtcp2_path *path = ngtcp2_conn_get_path(w->server.conn->quic);
    assert_int_equal(rn_address_from_sockaddr(&remote, path->remote.addr, path->remote.addrlen),
                     RPCNET_OK);
    assert_string_equal(rn_address_format(&remote, text), expected);
}

/* Somebody has sent a packet of the client's on from another address. The server has much to say,
 * and may not say it there: it has to notice all the same that nobody answers, and to go back (RFC
 * 9000, section 9.3.2). */
static void a_path_that_was_made_up_is_left(void **state) {
    (void)state;
    static const uint8_t zeros[100000];
    const rn_sim_link dead = {.latency_ns = LATENCY, .loss = 1};
    const rn_bytes much = rn_bytes_of(zeros, sizeof zeros);
    char before[RN_ADDRESS_TEXT_MAX];
    rn_stream *stream;
    world w;
    begin(&w);
    (void)rn_address_format(rn_conn_remote(w.server.conn), before);
    rn_sim_set_tap(w.sim, note_address, &w);
    assert_true(rn_sim_run_until_done(w.sim, has_responded, &w, 60 * RN_SECOND));
    rn_sim_run_for(w.sim, LATENCY);
    rn_sim_set_link_one_way(w.sim, CLIENT, SERVER, &dead);
    check_path(&w, OUTER);
    assert_int_equal(rn_conn_open_bidi(w.server.conn, &stream), RPCNET_OK);
    assert_int_equal(rn_stream_write(stream, &much, 1, false), RPCNET_OK);
    rn_sim_run_for(w.sim, 100 * RN_MILLISECOND);
    check_path(&w, OUTER);
    assert_true(rn_conn_path_exhausted(w.server.conn));
    rn_sim_run_for(w.sim, 8 * RN_SECOND);
    assert_non_null(w.server.conn);
    check_path(&w, before);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_response_is_probed_for),
        cmocka_unit_test(a_new_path_is_validated_after_losses),
        cmocka_unit_test(a_path_that_was_made_up_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
