/* What a connection hands to whoever records it: a header, then events, then an end, whatever
 * becomes of the connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "support/quic_echo.h"

#define SERVER "10.0.0.1"
#define CLIENT "10.0.0.2"

enum { RECORDS_MAX = 8, TEXT_MAX = 64 << 20, ID_MAX = 20 };

typedef struct record {
    uint8_t id[ID_MAX];
    size_t id_len;
    bool server;
    bool over;
    size_t texts;
    rn_buffer text;
} record;

typedef struct recorder {
    rn_qlog_sink sink;
    record records[RECORDS_MAX];
    size_t count;
    bool refuses;
    size_t refused;
} recorder;

static void *recorder_begin(rn_env *env, rn_bytes id, bool server, void *user) {
    recorder *r = user;
    (void)env;
    if (r->refuses) {
        r->refused++;
        return NULL;
    }
    assert_true(r->count < RECORDS_MAX);
    assert_in_range(id.len, 8, ID_MAX);
    record *out = &r->records[r->count++];
    memcpy(out->id, id.data, id.len);
    out->id_len = id.len;
    out->server = server;
    rn_buffer_init(&out->text, TEXT_MAX);
    return out;
}

/* Whole texts: RFC 7464 puts a separator before each and a line end behind it. */
static void recorder_write(void *of, rn_bytes text) {
    record *r = of;
    assert_false(r->over);
    assert_true(text.len > 0);
    for (size_t at = 0; at < text.len; r->texts++) {
        const uint8_t *line = text.data + at;
        const uint8_t *stop = memchr(line, '\n', text.len - at);
        assert_non_null(stop);
        assert_int_equal(line[0], 0x1e);
        assert_int_equal(line[1], '{');
        assert_int_equal(stop[-1], '}');
        assert_null(memchr(line + 1, 0x1e, (size_t)(stop - line) - 1));
        at += (size_t)(stop + 1 - line);
    }
    assert_int_equal(rn_buffer_append(&r->text, text.data, text.len), RPCNET_OK);
}

static void recorder_end(void *of) {
    record *r = of;
    assert_false(r->over);
    r->over = true;
    assert_int_equal(rn_buffer_append(&r->text, "", 1), RPCNET_OK);
}

static void recorder_init(recorder *r) {
    memset(r, 0, sizeof *r);
    r->sink = (rn_qlog_sink){
        .begin = recorder_begin, .write = recorder_write, .end = recorder_end, .user = r};
}

static void recorder_fini(recorder *r) {
    for (size_t i = 0; i < r->count; i++) {
        assert_true(r->records[i].over);
        rn_buffer_fini(&r->records[i].text);
    }
}

static const char *text_of(const record *r) {
    assert_true(r->over);
    return (const char *)r->text.data;
}

static void assert_holds(const record *r, const char *part) {
    if (strstr(text_of(r), part) == NULL) {
        fail_msg("the %s's record holds no %s", r->server ? "server" : "client", part);
    }
}

typedef struct world {
    rn_sim *sim;
    rn_env *server_env;
    rn_env *client_env;
    rn_echo_server server;
    rn_echo_client client;
} world;

static void begin(world *w, uint64_t seed, const recorder *r, uint64_t retry_above) {
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(rn_sim_seed(seed));
    rn_sim_set_qlog(w->sim, &r->sink);
    w->server_env = rn_sim_host_new(w->sim, SERVER);
    w->client_env = rn_sim_host_new(w->sim, CLIENT);
    rn_echo_server_options options = {
        .certificate = "server", .secret_byte = 7, .limits = RN_QUIC_LIMITS_DEFAULT};
    options.limits.retry_above = retry_above;
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&w->server, w->server_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
}

static void start_client(world *w) {
    rn_echo_client_options options = {.expect = {.server_name = "localhost"},
                                      .server = *rn_port_address(w->server.port),
                                      .streams = 2,
                                      .bytes = 20000,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_echo_client_start(&w->client, w->client_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
}

static bool client_is_done(void *user) {
    const world *w = user;
    return w->client.done || w->client.closed;
}

static bool client_is_established(void *user) {
    return ((const world *)user)->client.established;
}

static bool client_is_closed(void *user) {
    return ((const world *)user)->client.closed;
}

static void run_until(world *w, bool (*done)(void *user)) {
    assert_true(rn_sim_run_until_done(w->sim, done, w, rn_sim_now(w->sim) + 120 * RN_SECOND));
}

static void end(world *w) {
    rn_echo_client_stop(&w->client);
    rn_echo_server_stop(&w->server);
    rn_sim_del(w->sim);
}

/* Two records of one connection, the client's first; and their texts are what they should be. */
static void check_pair(const recorder *r) {
    char id[2 * ID_MAX + 1];
    assert_int_equal(r->count, 2);
    const record *client = &r->records[0];
    assert_false(client->server);
    assert_true(r->records[1].server);
    assert_int_equal(client->id_len, r->records[1].id_len);
    assert_memory_equal(client->id, r->records[1].id, client->id_len);
    for (size_t i = 0; i < client->id_len; i++) {
        snprintf(id + 2 * i, 3, "%02x", client->id[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        const record *one = &r->records[i];
        static const char header[] = "\x1e{\"qlog_format\":\"JSON-SEQ\",\"qlog_version\":";
        assert_memory_equal(text_of(one), header, sizeof header - 1);
        assert_holds(one, id);
        assert_holds(one, one->server ? "\"type\":\"server\"" : "\"type\":\"client\"");
        assert_holds(one, "packet_sent");
        assert_holds(one, "packet_received");
        assert_holds(one, "\"frame_type\":\"stream\"");
        assert_true(one->texts > 20);
    }
}

static void a_connection_is_recorded(void **state) {
    (void)state;
    recorder r;
    world w;
    recorder_init(&r);
    begin(&w, 1, &r, 100);
    start_client(&w);
    run_until(&w, client_is_done);
    assert_true(w.client.done);
    assert_int_equal(r.count, 2);
    assert_false(r.records[0].over || r.records[1].over);
    rn_conn_close(w.client.conn, 5, "done");
    rn_port_flush(w.client.port);
    rn_sim_run_for(w.sim, RN_SECOND);
    check_pair(&r);
    for (size_t i = 0; i < 2; i++) {
        assert_holds(&r.records[i], "connection_close");
    }
    end(&w);
    recorder_fini(&r);
}

static void a_retry_does_not_change_its_name(void **state) {
    (void)state;
    recorder r;
    world w;
    recorder_init(&r);
    begin(&w, 2, &r, 0);
    start_client(&w);
    run_until(&w, client_is_done);
    assert_true(w.client.done);
    assert_int_equal(rn_endpoint_get_stats(rn_port_endpoint(w.server.port))->retries_sent, 1);
    end(&w);
    check_pair(&r);
    assert_holds(&r.records[0], "\"packet_type\":\"retry\"");
    recorder_fini(&r);
}

/* The client dies without a word; its objects, and the server at its idle timeout, end theirs. */
static void a_killed_process_has_an_end_too(void **state) {
    (void)state;
    recorder r;
    world w;
    recorder_init(&r);
    begin(&w, 3, &r, 100);
    start_client(&w);
    run_until(&w, client_is_established);
    rn_sim_host_kill(w.client_env);
    rn_sim_run_for(w.sim, 60 * RN_SECOND);
    assert_int_equal(r.count, 2);
    assert_true(r.records[1].over);
    assert_false(r.records[0].over);
    end(&w);
    /* It padded a datagram with a packet that has nothing else in it. */
    assert_holds(&r.records[1],
                 "\"frames\":[{\"frame_type\":\"padding\"}],\"header\":{\"packet_type\":\"1RTT\"");
    recorder_fini(&r);
}

static void a_handshake_that_fails_is_recorded(void **state) {
    (void)state;
    recorder r;
    world w;
    recorder_init(&r);
    begin(&w, 4, &r, 100);
    rn_sim_host_kill(w.server_env);
    start_client(&w);
    run_until(&w, client_is_closed);
    assert_int_equal(r.count, 1);
    assert_holds(&r.records[0], "packet_sent");
    assert_null(strstr(text_of(&r.records[0]), "packet_received"));
    end(&w);
    recorder_fini(&r);
}

static void who_refuses_hears_nothing(void **state) {
    (void)state;
    recorder r;
    world w;
    recorder_init(&r);
    r.refuses = true;
    begin(&w, 5, &r, 100);
    start_client(&w);
    run_until(&w, client_is_done);
    assert_true(w.client.done);
    end(&w);
    assert_int_equal(r.refused, 2);
    assert_int_equal(r.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_recorded),
        cmocka_unit_test(a_retry_does_not_change_its_name),
        cmocka_unit_test(a_killed_process_has_an_end_too),
        cmocka_unit_test(a_handshake_that_fails_is_recorded),
        cmocka_unit_test(who_refuses_hears_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
