/* rpc_world: a server and a channel in the simulated network, with methods of all kinds, and probes
 * that remember what a call heard and may act inside one of its callbacks. */
#ifndef TESTS_SIM_RPC_WORLD_H
#define TESTS_SIM_RPC_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpcnet/rpcnet.h"
#include "sim/net.h"

#define CLIENT_HOST "10.0.0.1"
#define SERVER_HOST "10.0.0.2"
#define SERVER_ADDRESS "10.0.0.2:61000"
#define IDENTITY "rpcnet://role/director"

enum { STATES_MAX = 64, PATTERN_STEP = 7 };

typedef struct world world;

/* Where a probe acts. */
enum moment {
    NOWHERE,
    IN_HEADERS,
    IN_MESSAGE,
    IN_STATUS,
    IN_CLOSED,
    IN_WRITABLE,
    IN_HALF_CLOSE,
    IN_CANCELLED
};

typedef struct probe {
    world *world;
    rpcnet_call *call;
    unsigned headers;
    unsigned messages;
    unsigned half_closes;
    unsigned statuses;
    unsigned cancels;
    unsigned writables;
    unsigned closes;
    size_t bytes;
    bool wrong; /* bytes that were not the next ones of the pattern */
    bool late;  /* something came behind the end */
    int code;
    char text[RPCNET_ERROR_TEXT_MAX];
    size_t to_send; /* bytes of the pattern, in messages of `piece` */
    size_t piece;
    size_t sent;
    bool finish_when_sent; /* half-close, or finish */
    bool echo;
    bool hold; /* count what comes in `held`: the call is held */
    size_t held;
    enum moment moment;
    void (*act)(struct probe *probe);
} probe;

enum { SERVED_MAX = 512 };

struct world {
    rn_sim *sim;
    rn_env *client_env;
    rn_env *server_env;
    rpcnet_credentials *client_credentials;
    rpcnet_credentials *server_credentials;
    rpcnet_server *server;
    rpcnet_channel *channel;
    uint8_t secret[RPCNET_SECRET_LEN];
    rpcnet_server_options server_options;
    rpcnet_limits server_limits;
    bool authorized; /* for tests of server_options.authorize */
    rpcnet_channel_options channel_options;
    rpcnet_limits channel_limits;
    unsigned states[RPCNET_CHANNEL_CLOSED + 1]; /* how often each was told */
    enum rpcnet_channel_state state_log[STATES_MAX];
    uint64_t state_time[STATES_MAX];
    size_t state_count;
    enum rpcnet_loss loss; /* of the last WAITING or CLOSED */
    char loss_text[RPCNET_ERROR_TEXT_MAX];
    unsigned connections;
    unsigned disconnections;
    unsigned drained;
    char identity[256];
    void (*on_state)(world *w, enum rpcnet_channel_state state);
    void (*on_connection)(world *w);
    probe served[SERVED_MAX]; /* in the order they came */
    size_t served_count;
    bool serve_held; /* the server's calls are held */
    enum moment serve_moment;
    void (*serve_act)(probe *probe);
};

static inline uint8_t pattern(size_t at) {
    return (uint8_t)(at * PATTERN_STEP + at / 251);
}

static inline void maybe_act(probe *at, enum moment moment) {
    if (at->moment == moment && at->act != NULL) {
        void (*act)(probe *) = at->act;
        at->act = NULL;
        act(at);
    }
}

/* Sends on while there is room. */
static inline void probe_pump(probe *at) {
    static uint8_t bytes[1 << 20];
    while (at->call != NULL && at->sent < at->to_send) {
        size_t len = at->to_send - at->sent < at->piece ? at->to_send - at->sent : at->piece;
        assert_true(len <= sizeof bytes);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = pattern(at->sent + i);
        }
        size_t head = len < 5 ? len : 5;
        int rv = rpcnet_call_send2(at->call, bytes, head, bytes + head, len - head);
        if (rv == RPCNET_ERR_AGAIN) {
            return;
        }
        assert_int_equal(rv, RPCNET_OK);
        at->sent += len;
    }
}

static inline void note_bytes(probe *at, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        at->wrong |= data[i] != pattern(at->bytes + i);
    }
    at->bytes += len;
    at->messages++;
    at->late |= at->statuses > 0 || at->cancels > 0 || at->closes > 0;
}

static inline void client_headers(rpcnet_call *call, const rpcnet_metadata *metadata, void *user) {
    probe *at = user;
    (void)call;
    (void)metadata;
    at->headers++;
    at->late |= at->messages > 0 || at->statuses > 0;
    maybe_act(at, IN_HEADERS);
}

static inline void any_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    probe *at = user;
    note_bytes(at, data, len);
    if (at->hold) {
        at->held += len;
    }
    if (at->echo && len == 0) {
        assert_int_equal(rpcnet_call_send(call, data, len), RPCNET_OK);
    } else if (at->echo) {
        /* The pattern again: nothing need be kept. All but the last message are of one length. */
        at->piece = at->piece != 0 ? at->piece : len;
        at->to_send += len;
        probe_pump(at);
    }
    maybe_act(at, IN_MESSAGE);
}

static inline void client_status(rpcnet_call *call, int code, const char *message,
                                 const rpcnet_metadata *trailers, void *user) {
    probe *at = user;
    (void)call;
    (void)trailers;
    at->statuses++;
    at->code = code;
    (void)snprintf(at->text, sizeof at->text, "%s", message);
    at->late |= at->closes > 0;
    maybe_act(at, IN_STATUS);
}

static inline void any_writable(rpcnet_call *call, void *user) {
    probe *at = user;
    (void)call;
    at->writables++;
    at->late |= at->statuses > 0 || at->cancels > 0 || at->closes > 0;
    probe_pump(at);
    if (at->finish_when_sent && at->sent == at->to_send) {
        at->finish_when_sent = false;
        int rv = rpcnet_call_half_close(call);
        if (rv == RPCNET_ERR_STATE) {
            rv = rpcnet_call_finish(call, RPCNET_GRPC_OK, NULL, NULL);
        }
        assert_int_equal(rv, RPCNET_OK);
    }
    maybe_act(at, IN_WRITABLE);
}

static inline void any_closed(rpcnet_call *call, void *user) {
    probe *at = user;
    (void)call;
    at->closes++;
    maybe_act(at, IN_CLOSED);
}

static const rpcnet_call_callbacks client_callbacks = {.on_headers = client_headers,
                                                       .on_message = any_message,
                                                       .on_status = client_status,
                                                       .on_writable = any_writable,
                                                       .on_closed = any_closed};

/* ---- the server's methods ---- */

static inline void server_half_close(rpcnet_call *call, void *user) {
    probe *at = user;
    at->half_closes++;
    if (at->echo && at->sent == at->to_send) {
        assert_int_equal(rpcnet_call_finish(call, RPCNET_GRPC_OK, "done", NULL), RPCNET_OK);
    } else if (at->echo) {
        at->finish_when_sent = true;
    }
    maybe_act(at, IN_HALF_CLOSE);
}

static inline void server_cancelled(rpcnet_call *call, int code, void *user) {
    probe *at = user;
    (void)call;
    at->cancels++;
    at->code = code;
    at->late |= at->closes > 0;
    maybe_act(at, IN_CANCELLED);
}

static const rpcnet_call_callbacks server_callbacks = {.on_message = any_message,
                                                       .on_half_close = server_half_close,
                                                       .on_cancelled = server_cancelled,
                                                       .on_writable = any_writable,
                                                       .on_closed = any_closed};

static inline probe *serve(rpcnet_call *call, world *w) {
    probe *at = &w->served[w->served_count++];
    assert_true(w->served_count <= SERVED_MAX);
    *at = (probe){.world = w, .call = call, .moment = w->serve_moment, .act = w->serve_act};
    rpcnet_call_set_callbacks(call, &server_callbacks, at);
    if (w->serve_held) {
        rpcnet_call_hold(call, true);
        at->hold = true;
    }
    return at;
}

/* Each message comes back; unary and bidirectional. */
static inline void method_echo(rpcnet_server *server, rpcnet_call *call, void *user) {
    (void)server;
    serve(call, user)->echo = true;
}

/* Nothing comes back until the test says so. */
static inline void method_sink(rpcnet_server *server, rpcnet_call *call, void *user) {
    (void)server;
    serve(call, user);
}

/* 300 messages of 1000 bytes, whatever is asked. */
static inline void method_tokens(rpcnet_server *server, rpcnet_call *call, void *user) {
    (void)server;
    probe *at = serve(call, user);
    at->to_send = 300000;
    at->piece = 1000;
    at->finish_when_sent = true;
    probe_pump(at);
    if (at->sent == at->to_send) {
        at->finish_when_sent = false;
        assert_int_equal(rpcnet_call_finish(call, RPCNET_GRPC_OK, NULL, NULL), RPCNET_OK);
    }
}

static inline void collect_end(rpcnet_call *call, void *user) {
    probe *at = user;
    char text[32];
    at->half_closes++;
    (void)snprintf(text, sizeof text, "%zu", at->bytes);
    assert_int_equal(rpcnet_call_finish(call, RPCNET_GRPC_OK, text, NULL), RPCNET_OK);
}

/* Counts the bytes of a client's stream; the status message tells how many. */
static inline void method_collect(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_message = any_message,
                                                    .on_half_close = collect_end,
                                                    .on_cancelled = server_cancelled,
                                                    .on_closed = any_closed};
    (void)server;
    rpcnet_call_set_callbacks(call, &callbacks, serve(call, user));
}

/* ---- world ---- */

static inline rpcnet_credentials *load(const char *name, const char *ca, bool require) {
    char crt[1024];
    char key[1024];
    char authority[1024];
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials_options options;
    rpcnet_credentials *credentials = NULL;
    (void)snprintf(crt, sizeof crt, "%s/%s.crt", RN_TEST_CERTS, name != NULL ? name : "");
    (void)snprintf(key, sizeof key, "%s/%s.key", RN_TEST_CERTS, name != NULL ? name : "");
    (void)snprintf(authority, sizeof authority, "%s/%s.crt", RN_TEST_CERTS, ca);
    rpcnet_credentials_options_init(&options);
    options.certificate_file = name != NULL ? crt : NULL;
    options.key_file = name != NULL ? key : NULL;
    options.ca_file = authority;
    options.require_client_certificate = require;
    int rv = rpcnet_credentials_new(&credentials, &options, error);
    if (rv != RPCNET_OK) {
        fail_msg("%s", error);
    }
    return credentials;
}

static inline void world_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                               enum rpcnet_loss loss, const char *text, void *user) {
    world *w = user;
    assert_int_equal(rpcnet_channel_get_state(channel), state);
    assert_true(w->state_count < STATES_MAX);
    w->state_time[w->state_count] = rn_sim_now(w->sim);
    w->state_log[w->state_count++] = state;
    w->states[state]++;
    if (state == RPCNET_CHANNEL_WAITING || state == RPCNET_CHANNEL_CLOSED) {
        w->loss = loss;
        (void)snprintf(w->loss_text, sizeof w->loss_text, "%s", text);
    }
    if (w->on_state != NULL) {
        w->on_state(w, state);
    }
}

static inline void world_connection(rpcnet_server *server, uint64_t connection, const char *address,
                                    const char *identity, void *user) {
    world *w = user;
    (void)server;
    assert_true(connection > 0 && strncmp(address, CLIENT_HOST, strlen(CLIENT_HOST)) == 0);
    w->connections++;
    (void)snprintf(w->identity, sizeof w->identity, "%s", identity);
    if (w->on_connection != NULL) {
        w->on_connection(w);
    }
}

static inline void world_disconnection(rpcnet_server *server, uint64_t connection, const char *text,
                                       void *user) {
    world *w = user;
    (void)server;
    (void)connection;
    assert_non_null(text);
    w->disconnections++;
}

static inline void world_drained(rpcnet_server *server, void *user) {
    (void)server;
    ((world *)user)->drained++;
}

static inline world *world_new(uint64_t seed) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->sim = rn_sim_new(rn_sim_seed(seed));
    w->client_env = rn_sim_host_new(w->sim, CLIENT_HOST);
    w->server_env = rn_sim_host_new(w->sim, SERVER_HOST);
    w->client_credentials = load(NULL, "ca", false);
    w->server_credentials = load("director", "ca", false);
    memset(w->secret, 0x5a, sizeof w->secret);
    rpcnet_server_options_init(&w->server_options);
    rpcnet_limits_init(&w->server_limits);
    w->server_options.limits = &w->server_limits;
    w->server_options.secret = w->secret;
    w->server_options.user = w;
    w->server_options.callbacks = (rpcnet_server_callbacks){.on_connection = world_connection,
                                                            .on_disconnection = world_disconnection,
                                                            .on_drained = world_drained};
    rpcnet_channel_options_init(&w->channel_options);
    rpcnet_limits_init(&w->channel_limits);
    w->channel_options.limits = &w->channel_limits;
    w->channel_options.identity = IDENTITY;
    w->channel_options.user = w;
    w->channel_options.callbacks.on_state = world_state;
    return w;
}

static inline void world_serve(world *w) {
    w->server_options.credentials = w->server_credentials;
    assert_int_equal(
        rpcnet_server_new(&w->server, w->server_env, SERVER_ADDRESS, &w->server_options),
        RPCNET_OK);
    rpcnet_server *server = w->server;
    assert_int_equal(rpcnet_server_add_method(server, "/t/Echo", method_echo, w), RPCNET_OK);
    assert_int_equal(rpcnet_server_add_method(server, "/t/Sink", method_sink, w), RPCNET_OK);
    assert_int_equal(rpcnet_server_add_method(server, "/t/Tokens", method_tokens, w), RPCNET_OK);
    assert_int_equal(rpcnet_server_add_method(server, "/t/Collect", method_collect, w), RPCNET_OK);
}

static inline void world_connect(world *w) {
    w->channel_options.credentials = w->client_credentials;
    assert_int_equal(
        rpcnet_channel_new(&w->channel, w->client_env, SERVER_ADDRESS, &w->channel_options),
        RPCNET_OK);
}

static inline world *world_start(uint64_t seed) {
    world *w = world_new(seed);
    world_serve(w);
    world_connect(w);
    return w;
}

static inline void run_ms(world *w, uint64_t duration_ms) {
    rn_sim_run_for(w->sim, duration_ms * RN_MILLISECOND);
}

static inline void probe_del(probe *at) {
    rpcnet_call_del(at->call);
    at->call = NULL;
}

static inline void world_del(world *w) {
    for (size_t i = 0; i < w->served_count; i++) {
        probe_del(&w->served[i]);
    }
    rpcnet_channel_del(w->channel);
    rpcnet_server_del(w->server);
    rpcnet_credentials_del(w->client_credentials);
    rpcnet_credentials_del(w->server_credentials);
    run_ms(w, 50); /* what was put off to the end of a turn */
    rn_sim_del(w->sim);
    free(w);
}

/* The server's process dies without a word; another one takes its place, if `again`. */
static inline void world_kill_server(world *w, bool again) {
    rn_sim_host_kill(w->server_env);
    for (size_t i = 0; i < w->served_count; i++) {
        probe_del(&w->served[i]);
    }
    w->served_count = 0;
    rpcnet_server_del(w->server);
    w->server = NULL;
    w->server_env = rn_sim_host_new(w->sim, SERVER_HOST);
    if (again) {
        world_serve(w);
    }
}

static inline void call_with(world *w, probe *at, const char *path,
                             const rpcnet_call_options *options) {
    at->world = w;
    assert_int_equal(rpcnet_call_new(&at->call, w->channel, path, options, &client_callbacks, at),
                     RPCNET_OK);
}

static inline void call_to(world *w, probe *at, const char *path) {
    call_with(w, at, path, NULL);
}

/* One request of `len` bytes, as a unary call sends it. */
static inline void call_unary(world *w, probe *at, const char *path, size_t len) {
    call_to(w, at, path);
    at->to_send = len;
    at->piece = len;
    probe_pump(at);
    assert_int_equal(rpcnet_call_half_close(at->call), RPCNET_OK);
}

static inline bool is_over(void *user) {
    return ((probe *)user)->statuses > 0;
}

static inline void run_until_over(world *w, probe *at) {
    if (!rn_sim_run_until_done(w->sim, is_over, at, rn_sim_now(w->sim) + 120 * RN_SECOND)) {
        fail_msg("the call did not end");
    }
}

#endif
