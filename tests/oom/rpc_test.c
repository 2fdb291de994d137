/* Channels, servers and calls of all kinds while an allocation fails: every call ends with a status
 * or completes with the right contents, and the server serves on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "oom/oom.h"
#include "rpcnet/rpcnet.h"
#include "sim/net.h"

#define SERVER_ADDRESS "10.0.0.1:61000"
#define CREDENTIALS(name) RN_TEST_CERTS "/" name

enum { SEED = 21, RUNS = 50, CALLS = 4, HOSTS = 3, CALLS_SERVED_MAX = 32 };

typedef struct served {
    rpcnet_call *call;
    size_t echoing; /* bytes kept because the call took none */
    uint8_t kept[70000];
    bool half_closed;
} served;

typedef struct asked {
    rpcnet_call *call;
    size_t bytes; /* to be sent, in one message */
    size_t echoed;
    bool wrong;
    unsigned statuses;
    int code;
} asked;

typedef struct world {
    rn_sim *sim;
    rn_env *env[HOSTS];
    rpcnet_credentials *own;
    rpcnet_credentials *trust;
    rpcnet_server *server;
    rpcnet_health *health;
    served served[CALLS_SERVED_MAX];
    size_t served_count;
} world;

/* ---- server: sends each message back and finishes after the half-close ---- */

static void echo_more(served *at) {
    if (at->echoing > 0) {
        int result = rpcnet_call_send(at->call, at->kept, at->echoing);
        if (result == RPCNET_ERR_AGAIN) {
            return;
        }
        if (result == RPCNET_ERR_MEMORY) {
            (void)rpcnet_call_finish(at->call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory",
                                     NULL);
        }
        at->echoing = 0;
    }
    if (at->half_closed) {
        (void)rpcnet_call_finish(at->call, RPCNET_GRPC_OK, NULL, NULL);
    }
}

static void server_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    served *at = user;
    (void)call;
    assert_true(len <= sizeof at->kept && at->echoing == 0);
    memcpy(at->kept, data, len);
    at->echoing = len;
    echo_more(at);
}

static void server_half_close(rpcnet_call *call, void *user) {
    served *at = user;
    (void)call;
    at->half_closed = true;
    echo_more(at);
}

static void server_writable(rpcnet_call *call, void *user) {
    (void)call;
    echo_more(user);
}

static void method_echo(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_message = server_message,
                                                    .on_half_close = server_half_close,
                                                    .on_writable = server_writable};
    world *w = user;
    (void)server;
    assert_true(w->served_count < CALLS_SERVED_MAX);
    served *at = &w->served[w->served_count++];
    at->call = call;
    rpcnet_call_set_callbacks(call, &callbacks, at);
}

/* ---- client ---- */

static uint8_t byte_at(size_t at) {
    return (uint8_t)(at * 7 + at / 251);
}

static void client_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    asked *at = user;
    const uint8_t *bytes = data;
    (void)call;
    for (size_t i = 0; i < len; i++) {
        at->wrong |= bytes[i] != byte_at(at->echoed + i);
    }
    at->echoed += len;
}

static void client_status(rpcnet_call *call, int code, const char *message,
                          const rpcnet_metadata *trailers, void *user) {
    asked *at = user;
    (void)call;
    (void)message;
    (void)trailers;
    at->statuses++;
    at->code = code;
}

/* What could not be asked is over at once. */
static void ask(rpcnet_channel *channel, asked *at, const char *path) {
    static const rpcnet_call_callbacks callbacks = {.on_message = client_message,
                                                    .on_status = client_status};
    static uint8_t bytes[70000];
    assert_true(at->bytes <= sizeof bytes);
    for (size_t i = 0; i < at->bytes; i++) {
        bytes[i] = byte_at(i);
    }
    rpcnet_metadata *metadata = NULL;
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    int result = rpcnet_metadata_new(&metadata);
    if (result == RPCNET_OK) {
        result = rpcnet_metadata_add(metadata, "trace", "0123456789abcdef0123456789abcdef", 32);
    }
    if (result == RPCNET_OK) {
        options.metadata = metadata;
        result = rpcnet_call_new(&at->call, channel, path, &options, &callbacks, at);
    }
    rpcnet_metadata_del(metadata);
    if (result == RPCNET_OK && at->bytes > 0) {
        result = rpcnet_call_send(at->call, bytes, at->bytes);
    }
    if (result == RPCNET_OK) {
        result = rpcnet_call_half_close(at->call);
    }
    if (result != RPCNET_OK) {
        assert_true(result == RPCNET_ERR_MEMORY || result == RPCNET_ERR_CLOSED ||
                    result == RPCNET_ERR_STATE);
        assert_true(rn_oom_failures() > 0);
        rpcnet_call_del(at->call);
        at->call = NULL;
        at->statuses = 1;
        at->code = RPCNET_GRPC_RESOURCE_EXHAUSTED;
    }
}

static void check(const asked *at) {
    assert_int_equal(at->statuses, 1);
    assert_false(at->wrong);
    if (at->code == RPCNET_GRPC_OK) {
        assert_int_equal(at->echoed, at->bytes);
    } else {
        assert_true(at->echoed <= at->bytes);
        if (at->code != RPCNET_GRPC_RESOURCE_EXHAUSTED && at->code != RPCNET_GRPC_UNAVAILABLE &&
            at->code != RPCNET_GRPC_INTERNAL && at->code != RPCNET_GRPC_CANCELLED) {
            fail_msg("code %d", at->code);
        }
    }
}

/* ---- world ---- */

static rpcnet_credentials *load(bool own) {
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials_options options;
    rpcnet_credentials *credentials = NULL;
    rpcnet_credentials_options_init(&options);
    options.certificate_file = own ? CREDENTIALS("director.crt") : NULL;
    options.key_file = own ? CREDENTIALS("director.key") : NULL;
    options.ca_file = CREDENTIALS("ca.crt");
    int result = rpcnet_credentials_new(&credentials, &options, error);
    assert_true(result == RPCNET_OK || result == RPCNET_ERR_MEMORY);
    assert_true(result == RPCNET_OK || rn_oom_failures() > 0);
    return credentials;
}

static void world_begin(world *w) {
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(SEED);
    for (size_t i = 0; i < HOSTS; i++) {
        static const char *const hosts[HOSTS] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
        w->env[i] = rn_sim_host_new(w->sim, hosts[i]);
        rn_oom_env(w->env[i]);
    }
    w->own = load(true);
    w->trust = load(false);
}

/* RPCNET_OK, or RPCNET_ERR_MEMORY with nothing left. */
static int serve(world *w) {
    rpcnet_server_options options;
    rpcnet_limits limits;
    rpcnet_server_options_init(&options);
    options.credentials = w->own;
    rpcnet_limits_init(&limits);
    limits.connections_per_address = 8;
    limits.calls_per_address = 100;
    options.limits = &limits;
    int result = rpcnet_server_new(&w->server, w->env[0], SERVER_ADDRESS, &options);
    if (result == RPCNET_OK) {
        result = rpcnet_server_add_method(w->server, "/t/Echo", method_echo, w);
    }
    if (result == RPCNET_OK) {
        result = rpcnet_health_new(&w->health, w->server);
    }
    if (result == RPCNET_OK) {
        result = rpcnet_health_set(w->health, "t", RPCNET_SERVING);
    }
    if (result != RPCNET_OK) {
        assert_int_equal(result, RPCNET_ERR_MEMORY);
        rpcnet_server_del(w->server);
        rpcnet_health_del(w->health);
        w->server = NULL;
        w->health = NULL;
    }
    return result;
}

static int connect_from(world *w, size_t host, rpcnet_channel **out) {
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = w->trust;
    options.identity = "rpcnet://role/director";
    return rpcnet_channel_new(out, w->env[host], SERVER_ADDRESS, &options);
}

static bool all_over(void *user) {
    const asked *at = user;
    for (size_t i = 0; i < CALLS; i++) {
        if (at[i].statuses == 0) {
            return false;
        }
    }
    return true;
}

static const size_t sizes[CALLS] = {0, 10, 3000, 60000};

static void ask_all(rpcnet_channel *channel, asked *at) {
    for (size_t i = 0; i < CALLS; i++) {
        at[i] = (asked){.bytes = sizes[i]};
        ask(channel, &at[i], "/t/Echo");
    }
}

static void forget_all(asked *at) {
    for (size_t i = 0; i < CALLS; i++) {
        rpcnet_call_del(at[i].call);
        at[i].call = NULL;
    }
}

static void run_until_over(world *w, asked *at) {
    assert_true(rn_sim_run_until_done(w->sim, all_over, at, rn_sim_now(w->sim) + 60 * RN_SECOND));
    for (size_t i = 0; i < CALLS; i++) {
        check(&at[i]);
    }
}

static void run_until_ok(world *w, rpcnet_channel *channel) {
    asked at[CALLS];
    ask_all(channel, at);
    run_until_over(w, at);
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(at[i].code, RPCNET_GRPC_OK);
    }
    forget_all(at);
}

static void world_end(world *w) {
    for (size_t i = 0; i < w->served_count; i++) {
        rpcnet_call_del(w->served[i].call);
    }
    rpcnet_server_del(w->server);
    rpcnet_health_del(w->health);
    rpcnet_credentials_del(w->own);
    rpcnet_credentials_del(w->trust);
    rn_sim_run_for(w->sim, 50 * RN_MILLISECOND); /* what was put off to the end of a turn */
    rn_sim_del(w->sim);
}

/* ---- scenarios ---- */

static world the; /* large */

/* Everything comes into being, is used, and goes. */
static void whole_life(void *user) {
    asked at[CALLS] = {{0}};
    rpcnet_channel *channel = NULL;
    (void)user;
    world_begin(&the);
    rpcnet_credentials_del(the.own);
    rpcnet_credentials_del(the.trust);
    rn_oom_begin();
    the.own = load(true);
    the.trust = load(false);
    if (the.own != NULL && the.trust != NULL && serve(&the) == RPCNET_OK) {
        int result = connect_from(&the, 1, &channel);
        assert_true(result == RPCNET_OK || result == RPCNET_ERR_MEMORY);
        if (result == RPCNET_OK) {
            ask_all(channel, at);
            run_until_over(&the, at);
        }
    }
    rn_oom_end();
    forget_all(at);
    rpcnet_channel_del(channel);
    world_end(&the);
}

/* An idle channel, and a new one beside it. */
static void newcomer(void *user) {
    asked at[CALLS] = {{0}};
    rpcnet_channel *there = NULL;
    rpcnet_channel *fresh = NULL;
    (void)user;
    world_begin(&the);
    assert_int_equal(serve(&the), RPCNET_OK);
    assert_int_equal(connect_from(&the, 1, &there), RPCNET_OK);
    run_until_ok(&the, there);
    rn_oom_begin();
    if (connect_from(&the, 2, &fresh) == RPCNET_OK) {
        ask_all(fresh, at);
        run_until_over(&the, at);
    }
    rn_oom_end();
    forget_all(at);
    assert_int_equal(rpcnet_channel_get_state(there), RPCNET_CHANNEL_READY);
    rpcnet_channel_stats stats;
    run_until_ok(&the, there);
    rpcnet_channel_get_stats(there, &stats);
    assert_int_equal(stats.connections_opened, 1);
    if (fresh != NULL) {
        run_until_ok(&the, fresh);
    }
    rpcnet_channel_del(there);
    rpcnet_channel_del(fresh);
    world_end(&the);
}

/* Two channels with calls under way: a failure is of one of them, and neither is lost for good. */
static void busy(void *user) {
    asked at[2][CALLS] = {{{0}}};
    rpcnet_channel *channel[2] = {NULL};
    (void)user;
    world_begin(&the);
    assert_int_equal(serve(&the), RPCNET_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(connect_from(&the, 1 + i, &channel[i]), RPCNET_OK);
        run_until_ok(&the, channel[i]);
    }
    rn_oom_begin();
    for (size_t i = 0; i < 2; i++) {
        ask_all(channel[i], at[i]);
    }
    size_t failed = 0;
    for (size_t i = 0; i < 2; i++) {
        run_until_over(&the, at[i]);
        bool whole = true;
        for (size_t j = 0; j < CALLS; j++) {
            whole = whole && at[i][j].code == RPCNET_GRPC_OK;
        }
        failed += !whole;
    }
    rn_oom_end();
    assert_true(failed <= rn_oom_failures());
    for (size_t i = 0; i < 2; i++) {
        forget_all(at[i]);
        run_until_ok(&the, channel[i]);
        rpcnet_channel_del(channel[i]);
    }
    world_end(&the);
}

static void health_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    (void)data;
    (void)len;
    ((asked *)user)->echoed++; /* messages */
}

static void ask_health(rpcnet_channel *channel, asked *at, const char *path) {
    static const rpcnet_call_callbacks callbacks = {.on_message = health_message,
                                                    .on_status = client_status};
    int result = rpcnet_call_new(&at->call, channel, path, NULL, &callbacks, at);
    if (result == RPCNET_OK) {
        result = rpcnet_call_send(at->call, NULL, 0);
    }
    if (result != RPCNET_OK) {
        assert_true(rn_oom_failures() > 0);
        rpcnet_call_del(at->call);
        *at = (asked){.statuses = 1, .code = RPCNET_GRPC_RESOURCE_EXHAUSTED};
    }
}

static bool health_is_told(void *user) {
    const asked *at = user;
    return at[0].statuses > 0 && (at[1].statuses > 0 || at[1].echoed > 0);
}

/* A check with OK has an answer, and a watch hears something or ends. */
static void health(void *user) {
    asked at[2] = {{0}};
    rpcnet_channel *channel = NULL;
    (void)user;
    world_begin(&the);
    assert_int_equal(serve(&the), RPCNET_OK);
    assert_int_equal(connect_from(&the, 1, &channel), RPCNET_OK);
    run_until_ok(&the, channel);
    rn_oom_begin();
    ask_health(channel, &at[0], "/grpc.health.v1.Health/Check");
    ask_health(channel, &at[1], "/grpc.health.v1.Health/Watch");
    assert_true(
        rn_sim_run_until_done(the.sim, health_is_told, at, rn_sim_now(the.sim) + 60 * RN_SECOND));
    rn_oom_end();
    assert_true(at[0].echoed == 1 || at[0].code != RPCNET_GRPC_OK);
    rpcnet_call_del(at[0].call);
    rpcnet_call_del(at[1].call);
    rpcnet_channel_del(channel);
    world_end(&the);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): values of an initializer and the name of a function */
#define SCENARIO(function, kind_of, libraries_of)                                                  \
    static void test_##function##_##kind_of(void **state) {                                        \
        (void)state;                                                                               \
        rn_oom_each(&(rn_oom_case){.name = "rpc " #function,                                       \
                                   .kind = kind_of,                                                \
                                   .libraries = libraries_of,                                      \
                                   .runs_max = RUNS,                                               \
                                   .run = function});                                              \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

SCENARIO(whole_life, RN_OOM_OURS, NULL)
SCENARIO(newcomer, RN_OOM_OURS, NULL)
SCENARIO(busy, RN_OOM_OURS, NULL)
SCENARIO(health, RN_OOM_OURS, NULL)
SCENARIO(newcomer, RN_OOM_LIBRARIES, RN_OOM_SANS_IO)
SCENARIO(busy, RN_OOM_LIBRARIES, RN_OOM_SANS_IO)

int main(void) {
    const struct CMUnitTest tests[] = {
        RN_OOM_TEST(test_whole_life_RN_OOM_OURS),    RN_OOM_TEST(test_newcomer_RN_OOM_OURS),
        RN_OOM_TEST(test_busy_RN_OOM_OURS),          RN_OOM_TEST(test_health_RN_OOM_OURS),
        RN_OOM_TEST(test_newcomer_RN_OOM_LIBRARIES), RN_OOM_TEST(test_busy_RN_OOM_LIBRARIES)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
