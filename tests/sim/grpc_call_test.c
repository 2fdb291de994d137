/* Calls over QUIC itself, on a network that loses and reorders: tokens in order, messages larger
 * than rings and windows, cancellation, many calls at once, and the end of a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc/call.h"
#include "quic/port.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "support/quic_echo.h"

enum { CALLS = 8, TOKENS = 300, BIG = 900000 };

typedef struct call {
    struct world *world;
    rn_call *call;
    bool served;
    unsigned tokens_sent; /* server */
    bool finish_wanted;
    unsigned messages;
    size_t bytes;
    bool wrong;
    unsigned statuses;
    enum rpcnet_grpc_code code;
    char text[200];
    unsigned cancels;
    unsigned closes;
} call;

typedef struct world {
    rn_sim *sim;
    rn_env *server_env;
    rn_env *client_env;
    rn_port *server_port;
    rn_port *client_port;
    rn_h3_session *server;
    rn_h3_session *client;
    call served[CALLS];
    call calls[CALLS];
    unsigned accepted;
    unsigned opened;
    bool established;
} world;

static rn_tls_context *load_tls(const char *name) {
    char crt[1024];
    char key[1024];
    char ca[1024];
    char error[RN_TLS_ERROR_MAX];
    rn_tls_context *context = NULL;
    (void)snprintf(crt, sizeof crt, "%s/%s.crt", RN_TEST_CERTS, name != NULL ? name : "");
    (void)snprintf(key, sizeof key, "%s/%s.key", RN_TEST_CERTS, name != NULL ? name : "");
    (void)snprintf(ca, sizeof ca, "%s/ca.crt", RN_TEST_CERTS);
    rn_tls_config config = {.certificate_file = name != NULL ? crt : NULL,
                            .key_file = name != NULL ? key : NULL,
                            .ca_file = ca,
                            .client_auth = RN_TLS_CLIENT_AUTH_NONE};
    assert_int_equal(rn_tls_context_new(&context, &config, error), RPCNET_OK);
    return context;
}

/* ---- what both sides hear ---- */

static void on_message(rn_call *c, const uint8_t *data, size_t len, void *user) {
    call *it = user;
    char expected[32];
    (void)c;
    if (len < 32 && !it->served) {
        int n = snprintf(expected, sizeof expected, "token %u", it->messages);
        it->wrong |= (size_t)n != len || memcmp(expected, data, len) != 0;
    }
    for (size_t i = 0; len >= 32 && i < len; i++) {
        it->wrong |= data[i] != (uint8_t)(i * 3 + i / 257);
    }
    it->messages++;
    it->bytes += len;
}

static void on_status(rn_call *c, const rn_status *status, const rn_metadata *trailers,
                      void *user) {
    call *it = user;
    (void)c;
    (void)trailers;
    it->statuses++;
    it->code = status->code;
    (void)snprintf(it->text, sizeof it->text, "%.*s", (int)status->message.len,
                   (const char *)status->message.data);
}

static void on_closed(rn_call *c, void *user) {
    (void)c;
    ((call *)user)->closes++;
}

static void on_cancelled(rn_call *c, enum rpcnet_grpc_code code, void *user) {
    call *it = user;
    (void)c;
    it->cancels++;
    it->code = code;
}

static void send_tokens(call *it) {
    char text[32];
    while (it->tokens_sent < TOKENS) {
        int n = snprintf(text, sizeof text, "token %u", it->tokens_sent);
        rn_bytes piece = rn_bytes_of(text, (size_t)n);
        if (rn_call_send(it->call, &piece, 1) != RPCNET_OK) {
            return;
        }
        it->tokens_sent++;
    }
    if (it->finish_wanted) {
        it->finish_wanted = false;
        rn_status status = {.code = RPCNET_GRPC_OK};
        assert_int_equal(rn_call_finish(it->call, &status, NULL), RPCNET_OK);
    }
}

static int send_big(call *it) {
    uint8_t *bytes = malloc(BIG);
    assert_non_null(bytes);
    for (size_t i = 0; i < BIG; i++) {
        bytes[i] = (uint8_t)(i * 3 + i / 257);
    }
    rn_bytes piece = rn_bytes_of(bytes, BIG);
    int rv = rn_call_send(it->call, &piece, 1);
    free(bytes);
    return rv;
}

static void on_writable(rn_call *c, void *user) {
    call *it = user;
    (void)c;
    if (it->served) {
        send_tokens(it);
    }
}

/* "/t/tokens": tokens, then OK. "/t/big": one big message, then OK. "/t/hang": tokens, no end. */
static void on_half_close(rn_call *c, void *user) {
    call *it = user;
    if (rn_bytes_is(rn_call_path(c), "/t/big")) {
        assert_int_equal(send_big(it), RPCNET_OK);
        rn_status status = {.code = RPCNET_GRPC_OK};
        assert_int_equal(rn_call_finish(c, &status, NULL), RPCNET_OK);
        return;
    }
    it->finish_wanted = rn_bytes_is(rn_call_path(c), "/t/tokens");
    send_tokens(it);
}

static const rn_call_handler handler = {
    .message = on_message,
    .half_close = on_half_close,
    .status = on_status,
    .cancelled = on_cancelled,
    .writable = on_writable,
    .closed = on_closed,
};

static void on_request(rn_h3_session *session, rn_h3_stream *stream, const rn_h3_field *fields,
                       size_t count, void *user) {
    world *w = user;
    call *it = &w->served[w->accepted++ % CALLS];
    (void)session;
    it->world = w;
    it->served = true;
    assert_int_equal(rn_call_accept(&it->call, stream, fields, count, NULL), RPCNET_OK);
    rn_call_set_handler(it->call, &handler, it);
}

static void on_established(rn_h3_session *session, void *user) {
    (void)session;
    ((world *)user)->established = true;
}
static void on_server_closed(rn_h3_session *session, const rn_close *close, void *user) {
    (void)session;
    (void)close;
    ((world *)user)->server = NULL;
}
static void on_client_closed(rn_h3_session *session, const rn_close *close, void *user) {
    (void)session;
    (void)close;
    ((world *)user)->client = NULL;
}

static const rn_h3_handler server_handler = {.request = on_request, .closed = on_server_closed};
static const rn_h3_handler client_handler = {.established = on_established,
                                             .closed = on_client_closed};

static void on_accepted(rn_endpoint *endpoint, rn_conn *conn, void *user) {
    world *w = user;
    (void)endpoint;
    assert_int_equal(rn_h3_session_new(&w->server, conn, NULL, &server_handler, w), RPCNET_OK);
}

/* ---- the world ---- */

static bool is_established(void *user) {
    return ((world *)user)->established;
}

static void run_until(world *w, bool (*done)(void *user)) {
    assert_true(rn_sim_run_until_done(w->sim, done, w, rn_sim_now(w->sim) + 300 * RN_SECOND));
}

static world *world_new(uint64_t seed, const rn_sim_link *link, const rn_quic_limits *limits) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->sim = rn_sim_new(rn_sim_seed(seed));
    if (link != NULL) {
        rn_sim_set_default_link(w->sim, link);
    }
    w->server_env = rn_sim_host_new(w->sim, "10.0.0.1");
    w->client_env = rn_sim_host_new(w->sim, "10.0.0.2");
    rn_tls_context *tls = load_tls("server");
    rn_port_config server = {.endpoint = {.env = w->server_env,
                                          .tls = tls,
                                          .alpn = "h3",
                                          .accept = true,
                                          .limits = *limits,
                                          .accepted = on_accepted,
                                          .user = w}};
    assert_int_equal(rn_address_parse(&server.udp.bind, "10.0.0.1:61000"), RPCNET_OK);
    assert_int_equal(rn_port_new(&w->server_port, &server), RPCNET_OK);
    rn_tls_context_del(tls);
    tls = load_tls(NULL);
    rn_port_config client = {
        .udp = {.connect = *rn_port_address(w->server_port)},
        .endpoint = {.env = w->client_env, .tls = tls, .alpn = "h3", .limits = *limits}};
    assert_int_equal(rn_port_new(&w->client_port, &client), RPCNET_OK);
    rn_tls_context_del(tls);
    rn_connect_options connect = {.local = *rn_port_address(w->client_port),
                                  .remote = *rn_port_address(w->server_port),
                                  .expect = {.server_name = "localhost"}};
    rn_conn *conn = NULL;
    assert_int_equal(rn_endpoint_connect(rn_port_endpoint(w->client_port), &connect, &conn),
                     RPCNET_OK);
    assert_int_equal(rn_h3_session_new(&w->client, conn, NULL, &client_handler, w), RPCNET_OK);
    run_until(w, is_established);
    return w;
}

static void world_del(world *w) {
    for (size_t i = 0; i < CALLS; i++) {
        rn_call_del(w->calls[i].call);
        rn_call_del(w->served[i].call);
    }
    rn_port_del(w->client_port);
    rn_port_del(w->server_port);
    rn_sim_del(w->sim);
    free(w);
}

static call *open_call(world *w, const char *path) {
    call *it = &w->calls[w->opened++];
    rn_call_start start = {
        .path = rn_bytes_text(path), .authority = rn_bytes_text("localhost"), .deadline = RN_NEVER};
    it->world = w;
    assert_int_equal(rn_call_new(&it->call, w->client, &start, &handler, it), RPCNET_OK);
    return it;
}

static bool all_closed(void *user) {
    const world *w = user;
    for (unsigned i = 0; i < w->opened; i++) {
        if (w->calls[i].closes == 0 || w->served[i].closes == 0) {
            return false;
        }
    }
    return true;
}

static const rn_sim_link bad_link = {.latency_ns = 8 * RN_MILLISECOND,
                                     .jitter_ns = 2 * RN_MILLISECOND,
                                     .loss = 0.05,
                                     .duplicate = 0.02,
                                     .reorder = 0.05};

static void calls_over(const rn_sim_link *link, const rn_quic_limits *limits, uint64_t seed) {
    world *w = world_new(seed, link, limits);
    for (int i = 0; i < CALLS; i++) {
        call *it = open_call(w, i % 2 == 0 ? "/t/tokens" : "/t/big");
        if (i % 3 == 0) {
            assert_int_equal(send_big(it), RPCNET_OK);
        }
        assert_int_equal(rn_call_half_close(it->call), RPCNET_OK);
    }
    run_until(w, all_closed);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(w->calls[i].statuses, 1);
        assert_int_equal(w->calls[i].code, RPCNET_GRPC_OK);
        assert_false(w->calls[i].wrong);
        assert_int_equal(w->calls[i].messages, i % 2 == 0 ? TOKENS : 1);
        assert_int_equal(w->served[i].cancels, 0);
    }
    assert_int_equal(rn_h3_session_streams(w->client), 0);
    assert_int_equal(rn_h3_session_streams(w->server), 0);
    world_del(w);
}

static void on_a_good_network(void **state) {
    static const rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    (void)state;
    calls_over(NULL, &limits, 1);
}

static void with_loss_and_small_buffers(void **state) {
    rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    (void)state;
    limits.send_ring_bytes = 40000;
    limits.stream_window_bytes = 50000;
    limits.connection_window_bytes = 100000;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        calls_over(&bad_link, &limits, seed);
    }
}

static bool some_tokens(void *user) {
    return ((world *)user)->calls[0].messages > TOKENS / 2;
}

static void cancellation(void **state) {
    static const rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        world *w = world_new(seed, &bad_link, &limits);
        call *it = open_call(w, "/t/hang");
        assert_int_equal(rn_call_half_close(it->call), RPCNET_OK);
        run_until(w, some_tokens);
        rn_call_cancel(it->call);
        assert_int_equal(it->statuses, 1);
        assert_int_equal(it->code, RPCNET_GRPC_CANCELLED);
        run_until(w, all_closed);
        assert_int_equal(w->served[0].cancels, 1);
        world_del(w);
    }
}

static void a_connection_that_closes(void **state) {
    static const rn_quic_limits limits = RN_QUIC_LIMITS_DEFAULT;
    (void)state;
    world *w = world_new(3, NULL, &limits);
    call *it = open_call(w, "/t/hang");
    assert_int_equal(rn_call_half_close(it->call), RPCNET_OK);
    run_until(w, some_tokens);
    rn_h3_session_close(w->server, RN_H3_NO_ERROR, "going down");
    run_until(w, all_closed);
    assert_int_equal(it->code, RPCNET_GRPC_UNAVAILABLE);
    assert_non_null(strstr(it->text, "going down"));
    assert_int_equal(w->served[0].code, RPCNET_GRPC_UNAVAILABLE);
    world_del(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_good_network),
        cmocka_unit_test(with_loss_and_small_buffers),
        cmocka_unit_test(cancellation),
        cmocka_unit_test(a_connection_that_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
