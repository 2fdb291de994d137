/* Streams that one side wants no more of, while the other still sends: what they leave behind. */
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

enum { WINDOW = 65536, STREAMS = 60, STREAM_BYTES = 100000, STEPS_MAX = 3000 };

typedef struct world {
    rn_sim *sim;
    rn_env *server_env;
    rn_env *client_env;
    rn_echo_server server;
    rn_echo_client client;
} world;

static void begin(world *w, uint64_t streams_at_once, uint64_t streams, uint64_t bytes) {
    const rn_sim_link link = {.latency_ns = 5 * RN_MILLISECOND};
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(rn_sim_seed(1));
    rn_sim_set_default_link(w->sim, &link);
    w->server_env = rn_sim_host_new(w->sim, SERVER);
    w->client_env = rn_sim_host_new(w->sim, CLIENT);
    rn_echo_server_options options = {
        .certificate = "server", .secret_byte = 7, .limits = RN_QUIC_LIMITS_DEFAULT};
    options.limits.connection_window_bytes = WINDOW;
    options.limits.streams_bidi_max = streams_at_once;
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&w->server, w->server_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
    rn_echo_client_options client = {.expect = {.server_name = "localhost"},
                                     .server = *rn_port_address(w->server.port),
                                     .streams = streams,
                                     .bytes = bytes,
                                     .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_echo_client_start(&w->client, w->client_env, RN_TEST_CERTS, &client),
                     RPCNET_OK);
}

static void end(world *w) {
    rn_echo_client_stop(&w->client);
    rn_echo_server_stop(&w->server);
    rn_sim_del(w->sim);
}

/* The server wants no more of its streams from which something has come. */
static void reset_all(rn_conn *conn) {
    for (rn_list *at = conn->streams.next; at != &conn->streams; at = at->next) {
        rn_stream *stream = RN_CONTAINER_OF(at, rn_stream, link);
        if (stream->received > 0 && !stream->stopped) {
            rn_stream_reset(stream, 5);
        }
    }
}

/* What is on its way then counts as taken, once: in the end the client may send as much as in the
 * beginning, and no more. */
static void the_window_stays_what_it_is(void **state) {
    (void)state;
    world w;
    bool stopped_midway = false;
    begin(&w, 4, STREAMS, STREAM_BYTES);
    for (size_t i = 0; w.client.streams_failed < STREAMS; i++) {
        assert_true(i < STEPS_MAX);
        rn_sim_run_for(w.sim, RN_MILLISECOND);
        if (w.client.established) {
            assert_in_range(ngtcp2_conn_get_max_data_left(w.client.conn->quic), 0, WINDOW);
        }
        if (w.server.conn != NULL) {
            reset_all(w.server.conn);
            stopped_midway |= w.server.conn->streams_stopped > 0;
        }
    }
    rn_sim_run_for(w.sim, RN_SECOND);
    assert_true(stopped_midway);
    assert_in_range(ngtcp2_conn_get_max_data_left(w.client.conn->quic), WINDOW / 2, WINDOW);
    end(&w);
}

/* ---- a FIN without bytes ---- */

static size_t ends_heard;

/* Keeps what comes, so that the window is used up. */
static void keep(rn_conn *conn, rn_stream *stream, const uint8_t *data, size_t len, bool fin,
                 void *user) {
    (void)conn;
    (void)stream;
    (void)data;
    (void)len;
    (void)user;
    ends_heard += fin;
}

static bool is_established(void *user) {
    return ((const world *)user)->client.established;
}

static void write_bytes(rn_stream *stream, size_t len, bool fin) {
    static const uint8_t zeros[2 * WINDOW];
    rn_bytes piece = rn_bytes_of(zeros, len);
    assert_int_equal(rn_stream_write(stream, &piece, 1, fin), RPCNET_OK);
}

/* It takes no window (RFC 9000, section 4.1), so it waits for none. */
static void an_end_needs_no_window(void **state) {
    (void)state;
    static const rn_conn_handler handler = {.stream_data = keep};
    world w;
    rn_stream *large;
    rn_stream *small;
    ends_heard = 0;
    begin(&w, 4, 0, 0);
    assert_true(rn_sim_run_until_done(w.sim, is_established, &w, 10 * RN_SECOND));
    rn_conn_set_handler(w.server.conn, &handler, NULL);
    assert_int_equal(rn_conn_open_bidi(w.client.conn, &small), RPCNET_OK);
    assert_int_equal(rn_conn_open_bidi(w.client.conn, &large), RPCNET_OK);
    write_bytes(small, 10, false);
    rn_sim_run_for(w.sim, RN_SECOND);
    write_bytes(large, (size_t)2 * WINDOW, true);
    rn_sim_run_for(w.sim, RN_SECOND);
    assert_int_equal(ngtcp2_conn_get_max_data_left(w.client.conn->quic), 0);
    write_bytes(small, 0, true);
    rn_sim_run_for(w.sim, RN_SECOND);
    assert_int_equal(ends_heard, 1);
    rn_stream_consume(RN_CONTAINER_OF(w.server.conn->streams.prev, rn_stream, link), WINDOW - 10);
    rn_sim_run_for(w.sim, RN_SECOND);
    assert_int_equal(ngtcp2_conn_get_max_data_left(w.client.conn->quic), 0);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_stays_what_it_is),
        cmocka_unit_test(an_end_needs_no_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
