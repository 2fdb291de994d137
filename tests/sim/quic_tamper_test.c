/* A datagram that was changed in any one byte opens nothing: it is dropped, and the connection goes
 * on with the true one behind it. Holds with the real TLS and with tls_null alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "support/quic_echo.h"

#define SERVER "10.0.0.1"
#define CLIENT "10.0.0.2"

/* Long enough for all kinds of packets on both sides: Initial, Handshake, 1-RTT, a new key phase.
 */
enum { TAMPERED_MAX = 16, BYTES = 200000 };

typedef struct meddler {
    rn_env_ops ops; /* first: the env's ops while it meddles */
    const rn_env_ops *real;
    size_t datagrams; /* seen whole */
    size_t copies;
} meddler;

static meddler *client_side; /* udp_send has no env: each side has a function of its own */
static meddler *server_side;

/* Each byte once, one bit of it. */
static void send_copies(meddler *in, rn_udp *udp, const rn_transmit *whole) {
    uint8_t bytes[2048];
    rn_transmit changed = *whole;
    assert_true(whole->len <= sizeof bytes);
    changed.data = bytes;
    for (size_t i = 0; i < whole->len; i++) {
        memcpy(bytes, whole->data, whole->len);
        bytes[i] ^= (uint8_t)(1U << (i + in->datagrams) % 8);
        assert_int_equal(in->real->udp_send(udp, &changed), RPCNET_OK);
        in->copies++;
    }
}

/* Copies go in front of the true one, but for a side's first datagram: a client's first one that
 * does not open takes with it what comes for the same id in the same turn. */
static int send_changed(meddler *in, rn_udp *udp, const rn_transmit *transmit) {
    for (size_t at = 0; at < transmit->len; at += transmit->segment_size) {
        size_t left = transmit->len - at;
        rn_transmit one = *transmit;
        one.data = transmit->data + at;
        one.len = one.segment_size = left < transmit->segment_size ? left : transmit->segment_size;
        bool first = in->copies == 0;
        if (!first && in->datagrams < TAMPERED_MAX) {
            send_copies(in, udp, &one);
        }
        assert_int_equal(in->real->udp_send(udp, &one), RPCNET_OK);
        if (first) {
            send_copies(in, udp, &one);
        }
        in->datagrams++;
    }
    return RPCNET_OK;
}

static int send_from_client(rn_udp *udp, const rn_transmit *transmit) {
    return send_changed(client_side, udp, transmit);
}

static int send_from_server(rn_udp *udp, const rn_transmit *transmit) {
    return send_changed(server_side, udp, transmit);
}

static void meddle(meddler *in, rn_env *env,
                   int (*send)(rn_udp *udp, const rn_transmit *transmit)) {
    *in = (meddler){.ops = *env->ops, .real = env->ops};
    in->ops.udp_send = send;
    env->ops = &in->ops;
}

static bool client_is_settled(void *user) {
    const rn_echo_client *client = user;
    return client->done || client->closed;
}

static bool half_is_echoed(void *user) {
    return ((const rn_echo_client *)user)->streams[0].echoed > BYTES / 2;
}

static void run_changed(bool of_client, bool of_server) {
    rn_echo_server server;
    rn_echo_client client;
    meddler from_client;
    meddler from_server;
    rn_sim *sim = rn_sim_new(rn_sim_seed(1));
    rn_env *server_env = rn_sim_host_new(sim, SERVER);
    rn_env *client_env = rn_sim_host_new(sim, CLIENT);
    if (of_client) {
        client_side = &from_client;
        meddle(&from_client, client_env, send_from_client);
    }
    if (of_server) {
        server_side = &from_server;
        meddle(&from_server, server_env, send_from_server);
    }
    memset(&client, 0, sizeof client);
    rn_echo_server_options options = {.certificate = "director",
                                      .require_client = true,
                                      .secret_byte = 7,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&server, server_env, RN_TEST_CERTS, &options), RPCNET_OK);
    rn_echo_client_options asks = {.certificate = "worker-a",
                                   .expect = {.identity = "rpcnet://role/director"},
                                   .server = *rn_port_address(server.port),
                                   .streams = 1,
                                   .bytes = BYTES,
                                   .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_echo_client_start(&client, client_env, RN_TEST_CERTS, &asks), RPCNET_OK);
    assert_true(rn_sim_run_until_done(sim, half_is_echoed, &client, 60 * RN_SECOND));
    assert_int_equal(rn_conn_update_key(client.conn), RPCNET_OK);
    if (of_client) {
        assert_true(from_client.datagrams >= TAMPERED_MAX && from_client.copies > TAMPERED_MAX);
        from_client.datagrams = 0; /* those of the next key phase, too */
    }
    if (of_server) {
        assert_true(from_server.datagrams >= TAMPERED_MAX && from_server.copies > TAMPERED_MAX);
        from_server.datagrams = 0;
    }
    assert_true(rn_sim_run_until_done(sim, client_is_settled, &client, 120 * RN_SECOND));
    assert_true(client.done);
    assert_false(client.wrong);
    assert_int_equal(server.established, 1);
    assert_false(client.closed);         /* the server has closed those whose id was changed */
    rn_sim_run_for(sim, 11 * RN_SECOND); /* a keep-alive is answered under the new key */
    assert_false(client.closed);
    assert_int_equal(client.conn->protection.generation_receive, 1);
    rn_echo_client_stop(&client);
    rn_echo_server_stop(&server);
    rn_sim_del(sim);
}

static void of_the_client(void **state) {
    (void)state;
    run_changed(true, false);
}

static void of_the_server(void **state) {
    (void)state;
    run_changed(false, true);
}

static void of_both(void **state) {
    (void)state;
    run_changed(true, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_the_client),
        cmocka_unit_test(of_the_server),
        cmocka_unit_test(of_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
