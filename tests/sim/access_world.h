/* access_world: a server, two machines that clients come from, and how a client is let in or not.
 */
#ifndef TESTS_SIM_ACCESS_WORLD_H
#define TESTS_SIM_ACCESS_WORLD_H

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
#define OTHER "10.0.0.3"

enum { CLIENTS_MAX = 64, LIMIT = 3, NEVER_BY_HANDSHAKES = 1000 };

typedef struct world {
    rn_sim *sim;
    rn_env *server_env;
    rn_env *client_env;
    rn_env *other_env;
    rn_echo_server server;
    rn_echo_client clients[CLIENTS_MAX];
    size_t count;
    rn_address address; /* of the server */
} world;

static inline void begin(world *w, uint64_t seed) {
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(rn_sim_seed(seed));
    w->server_env = rn_sim_host_new(w->sim, SERVER);
    w->client_env = rn_sim_host_new(w->sim, CLIENT);
    w->other_env = rn_sim_host_new(w->sim, OTHER);
}

static inline void end(world *w) {
    for (size_t i = 0; i < w->count; i++) {
        rn_echo_client_stop(&w->clients[i]);
    }
    rn_echo_server_stop(&w->server);
    rn_sim_del(w->sim);
}

static inline void start_server(world *w, uint8_t secret, uint8_t previous,
                                const rn_quic_limits *limits) {
    rn_echo_server_options options = {.certificate = "server",
                                      .secret_byte = secret,
                                      .previous_secret_byte = previous,
                                      .limits = *limits};
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&w->server, w->server_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
    w->address = *rn_port_address(w->server.port);
}

static inline rn_echo_client *start_client(world *w, rn_env *env, uint64_t bytes,
                                           const rn_echo_client *before) {
    rn_echo_client_options options = {.expect = {.server_name = "localhost"},
                                      .server = w->address,
                                      .streams = 1,
                                      .bytes = bytes,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_true(w->count < CLIENTS_MAX);
    rn_echo_client *client = &w->clients[w->count++];
    if (before != NULL) {
        assert_true(before->token_len > 0);
        options.token = before->token;
        options.token_len = before->token_len;
    }
    assert_int_equal(rn_echo_client_start(client, env, RN_TEST_CERTS, &options), RPCNET_OK);
    return client;
}

static inline bool is_settled(void *user) {
    const rn_echo_client *client = user;
    return client->done || client->closed;
}

static inline bool is_closed(void *user) {
    return ((const rn_echo_client *)user)->closed;
}

static inline bool has_token(void *user) {
    const rn_echo_client *client = user;
    return client->done && client->token_len > 0;
}

static inline void run_until(world *w, bool (*done)(void *user), rn_echo_client *client) {
    assert_true(rn_sim_run_until_done(w->sim, done, client, rn_sim_now(w->sim) + 60 * RN_SECOND));
}

static inline const rn_endpoint_stats *stats(const world *w) {
    return rn_endpoint_get_stats(rn_port_endpoint(w->server.port));
}

static inline void serve_one(world *w, rn_env *env) {
    rn_echo_client *client = start_client(w, env, 100, NULL);
    run_until(w, is_settled, client);
    assert_true(client->done);
}

static inline void refuse_one(world *w, rn_env *env) {
    rn_echo_client *client = start_client(w, env, 100, NULL);
    run_until(w, is_settled, client);
    assert_true(client->closed);
    assert_int_equal(client->close.cause, RN_CLOSE_PEER);
    assert_int_equal(client->close.code, NGTCP2_CONNECTION_REFUSED);
}

#endif
