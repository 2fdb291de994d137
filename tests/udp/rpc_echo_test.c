/* The public library alone, on real sockets: calls, a closed port, deletion in callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpcnet/loop.h"

enum { MESSAGES = 500, LEN = 3000, DEADLINE_S = 20 };

typedef struct world {
    rpcnet_loop *loop;
    rpcnet_credentials *client;
    rpcnet_credentials *show;
    rpcnet_server *server;
    rpcnet_channel *channel;
    rpcnet_call *call;
    rpcnet_call *served;
    unsigned sent;
    unsigned echoed;
    unsigned received;
    unsigned disconnections;
    int code;
    char text[200];
    enum rpcnet_loss loss;
    bool delete_in_status;
} world;

static rpcnet_credentials *load(const char *name) {
    char crt[1024];
    char key[1024];
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials *credentials = NULL;
    rpcnet_credentials_options options;
    rpcnet_credentials_options_init(&options);
    (void)snprintf(crt, sizeof crt, "%s/%s.crt", RN_TEST_CERTS, name != NULL ? name : "");
    (void)snprintf(key, sizeof key, "%s/%s.key", RN_TEST_CERTS, name != NULL ? name : "");
    options.certificate_file = name != NULL ? crt : NULL;
    options.key_file = name != NULL ? key : NULL;
    options.ca_file = RN_TEST_CERTS "/ca.crt";
    if (rpcnet_credentials_new(&credentials, &options, error) != RPCNET_OK) {
        fail_msg("%s", error);
    }
    return credentials;
}

static void finish_server(world *w) {
    assert_int_equal(rpcnet_call_finish(w->served, RPCNET_GRPC_OK, "all of it", NULL), RPCNET_OK);
    rpcnet_call_del(w->served);
    w->served = NULL;
}

static void pump_server(world *w) {
    static const uint8_t bytes[LEN] = {7};
    while (w->echoed < MESSAGES && rpcnet_call_send(w->served, bytes, LEN) == RPCNET_OK) {
        w->echoed++;
    }
    if (w->echoed == MESSAGES) {
        finish_server(w);
    }
}

static void server_writable(rpcnet_call *call, void *user) {
    (void)call;
    pump_server(user);
}

static void server_half_close(rpcnet_call *call, void *user) {
    (void)call;
    pump_server(user);
}

static void take(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_half_close = server_half_close,
                                                    .on_writable = server_writable};
    (void)server;
    ((world *)user)->served = call;
    rpcnet_call_set_callbacks(call, &callbacks, user);
}

static void on_disconnection(rpcnet_server *server, uint64_t connection, const char *text,
                             void *user) {
    world *w = user;
    (void)server;
    (void)connection;
    (void)text;
    w->disconnections++;
    rpcnet_loop_stop(w->loop);
}

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    assert_int_equal(len, LEN);
    assert_int_equal(*(const uint8_t *)data, 7);
    ((world *)user)->received++;
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    world *w = user;
    (void)trailers;
    w->code = code;
    (void)snprintf(w->text, sizeof w->text, "%s", message);
    if (w->delete_in_status) {
        rpcnet_call_del(call);
        rpcnet_channel_del(w->channel);
        w->call = NULL;
        w->channel = NULL;
    } else {
        rpcnet_loop_stop(w->loop);
    }
}

static void on_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                     enum rpcnet_loss loss, const char *text, void *user) {
    world *w = user;
    (void)channel;
    (void)text;
    if (state == RPCNET_CHANNEL_CLOSED) {
        w->loss = loss;
    }
}

static int setup(void **state) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(rpcnet_loop_new(&w->loop, NULL), RPCNET_OK);
    w->client = load(NULL);
    w->show = load("server");
    w->code = -1;
    *state = w;
    return 0;
}

static int teardown(void **state) {
    world *w = *state;
    rpcnet_call_del(w->call);
    rpcnet_call_del(w->served);
    rpcnet_channel_del(w->channel);
    rpcnet_server_del(w->server);
    rpcnet_credentials_del(w->client);
    rpcnet_credentials_del(w->show);
    rpcnet_loop_del(w->loop);
    free(w);
    return 0;
}

static void serve(world *w) {
    rpcnet_server_options options;
    rpcnet_server_options_init(&options);
    options.credentials = w->show;
    options.callbacks.on_disconnection = on_disconnection;
    options.user = w;
    assert_int_equal(
        rpcnet_server_new(&w->server, rpcnet_loop_env(w->loop), "127.0.0.1:0", &options),
        RPCNET_OK);
    assert_int_equal(rpcnet_server_add_method(w->server, "/t/Tokens", take, w), RPCNET_OK);
}

static void call(world *w, const char *target) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_message,
                                                    .on_status = on_status};
    rpcnet_channel_options options;
    rpcnet_call_options call_options;
    rpcnet_channel_options_init(&options);
    rpcnet_call_options_init(&call_options);
    options.credentials = w->client;
    options.reconnect = false;
    options.callbacks.on_state = on_state;
    options.user = w;
    rpcnet_env *env = rpcnet_loop_env(w->loop);
    assert_int_equal(rpcnet_channel_new(&w->channel, env, target, &options), RPCNET_OK);
    call_options.deadline_ns = rpcnet_now(env) + DEADLINE_S * UINT64_C(1000000000);
    assert_int_equal(
        rpcnet_call_new(&w->call, w->channel, "/t/Tokens", &call_options, &callbacks, w),
        RPCNET_OK);
    assert_int_equal(rpcnet_call_half_close(w->call), RPCNET_OK);
}

static void test_stream(void **state) {
    world *w = *state;
    serve(w);
    call(w, rpcnet_server_address(w->server));
    rpcnet_loop_run(w->loop);
    assert_string_equal(w->text, "all of it");
    assert_int_equal(w->code, RPCNET_GRPC_OK);
    assert_int_equal(w->received, MESSAGES);
    assert_true(rpcnet_channel_rtt(w->channel) > 0);
    /* Outside the loop too the server is told at once. */
    rpcnet_channel_del(w->channel);
    w->channel = NULL;
    rpcnet_loop_run(w->loop);
    assert_int_equal(w->disconnections, 1);
}

static void test_delete_in_callback(void **state) {
    world *w = *state;
    w->delete_in_status = true;
    serve(w);
    call(w, rpcnet_server_address(w->server));
    rpcnet_loop_run(w->loop);
    assert_int_equal(w->code, RPCNET_GRPC_OK);
    assert_int_equal(w->disconnections, 1);
}

static void test_closed_port(void **state) {
    world *w = *state;
    char target[RPCNET_ADDRESS_TEXT_MAX];
    serve(w);
    (void)snprintf(target, sizeof target, "%s", rpcnet_server_address(w->server));
    rpcnet_server_del(w->server);
    w->server = NULL;
    call(w, target);
    rpcnet_loop_run(w->loop);
    assert_int_equal(w->code, RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(w->loss, RPCNET_LOSS_UNREACHABLE);
}

static void test_version(void **state) {
    (void)state;
    assert_string_equal(rpcnet_version(), RPCNET_VERSION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_in_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_port, setup, teardown),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
