/* With tls_null a run is the same to the last byte: everything that a connection does, twice in one
 * process, where the second run finds another heap than the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "support/quic_echo.h"

#define SERVER "10.0.0.1"

enum { CLIENTS = 3, STREAMS = 4, BYTES = 150000, SHREDS_MAX = 64 };

typedef struct world {
    rn_sim *sim;
    rn_env *server_env;
    rn_env *client_envs[CLIENTS];
    rn_echo_server server;
    rn_echo_client clients[CLIENTS];
} world;

typedef struct outcome {
    uint64_t trace;
    uint64_t content;
    uint64_t end;
    rn_sim_stats stats;
    rn_endpoint_stats server;
} outcome;

static void start_client(world *w, size_t index) {
    static const char *const certificates[CLIENTS] = {"worker-a", "worker-b", NULL};
    rn_echo_client_options options = {.certificate = certificates[index],
                                      .expect = {.identity = "rpcnet://role/director"},
                                      .server = *rn_port_address(w->server.port),
                                      .streams = STREAMS,
                                      .bytes = BYTES,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    options.limits.handshake_timeout_ns = 60 * RN_SECOND;
    assert_int_equal(
        rn_echo_client_start(&w->clients[index], w->client_envs[index], RN_TEST_CERTS, &options),
        RPCNET_OK);
}

/* A token that was changed on its way is answered with INVALID_TOKEN, which ends the attempt (RFC
 * 9000, section 8.1.3); so nothing is changed until the handshakes are over. */
static void set_link(world *w, double corrupt) {
    const rn_sim_link link = {.latency_ns = 10 * RN_MILLISECOND,
                              .jitter_ns = 3 * RN_MILLISECOND,
                              .loss = 0.04,
                              .duplicate = 0.03,
                              .reorder = 0.05,
                              .corrupt = corrupt,
                              .ecn_mark = 0.01};
    rn_sim_set_default_link(w->sim, &link);
}

static void begin(world *w, uint64_t seed, const rn_qlog_sink *qlog) {
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(seed);
    rn_sim_set_qlog(w->sim, qlog);
    set_link(w, 0);
    w->server_env = rn_sim_host_new(w->sim, SERVER);
    rn_echo_server_options options = {.certificate = "director",
                                      .require_client = true,
                                      .secret_byte = 7,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    options.limits.retry_above = 0;
    options.limits.handshake_timeout_ns = 60 * RN_SECOND;
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&w->server, w->server_env, RN_TEST_CERTS, &options),
                     RPCNET_OK);
    for (size_t i = 0; i < CLIENTS; i++) {
        char address[16];
        snprintf(address, sizeof address, "10.0.0.%zu", i + 2);
        w->client_envs[i] = rn_sim_host_new(w->sim, address);
        start_client(w, i);
    }
}

static bool half_is_echoed(void *user) {
    return ((const world *)user)->clients[0].streams[0].echoed > BYTES / 2;
}

static bool all_are_settled(void *user) {
    const world *w = user;
    for (size_t i = 0; i < CLIENTS; i++) {
        if (!w->clients[i].done && !w->clients[i].closed) {
            return false;
        }
    }
    return true;
}

static void run_until(world *w, bool (*done)(void *user)) {
    assert_true(rn_sim_run_until_done(w->sim, done, w, rn_sim_now(w->sim) + 300 * RN_SECOND));
}

static outcome run(uint64_t seed, const rn_qlog_sink *qlog) {
    world w;
    begin(&w, seed, qlog);
    run_until(&w, half_is_echoed);
    set_link(&w, 0.03);
    assert_int_equal(rn_conn_update_key(w.clients[0].conn), RPCNET_OK);
    assert_int_equal(rn_sim_rebind(w.client_envs[0], 0, "203.0.113.7:4000"), RPCNET_OK);
    run_until(&w, all_are_settled);
    for (size_t i = 0; i < 2; i++) {
        assert_true(w.clients[i].done);
        assert_false(w.clients[i].wrong);
    }
    assert_int_equal(w.clients[0].conn->protection.generation_receive, 1);
    assert_true(w.clients[2].closed);      /* without a certificate */
    rn_sim_run_for(w.sim, 40 * RN_SECOND); /* keep-alives */
    outcome out = {.trace = rn_sim_trace_digest(w.sim),
                   .content = rn_sim_content_digest(w.sim),
                   .end = rn_sim_now(w.sim),
                   .stats = *rn_sim_get_stats(w.sim),
                   .server = *rn_endpoint_get_stats(rn_port_endpoint(w.server.port))};
    for (size_t i = 0; i < CLIENTS; i++) {
        rn_echo_client_stop(&w.clients[i]);
    }
    rn_echo_server_stop(&w.server);
    rn_sim_del(w.sim);
    return out;
}

/* Leaves holes of all sizes in the heap, with something in them. The caller frees what it gets. */
static void shred_heap(void *pieces[SHREDS_MAX]) {
    for (size_t i = 0; i < 2 * (size_t)SHREDS_MAX; i++) {
        size_t size = (i * 2654435761U) % 9000 + 16;
        uint8_t *piece = malloc(size);
        assert_non_null(piece);
        memset(piece, (int)(i + 1), size);
        if (i % 2 == 0) {
            pieces[i / 2] = piece;
        } else {
            free(piece);
        }
    }
}

static void same_seed_same_bytes(void **state) {
    (void)state;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        void *pieces[SHREDS_MAX];
        outcome first = run(seed, NULL);
        shred_heap(pieces);
        outcome again = run(seed, NULL);
        for (size_t i = 0; i < SHREDS_MAX; i++) {
            free(pieces[i]);
        }
        assert_true(first.content == again.content);
        assert_true(first.trace == again.trace);
        assert_true(first.end == again.end);
        assert_memory_equal(&first.stats, &again.stats, sizeof first.stats);
        assert_memory_equal(&first.server, &again.server, sizeof first.server);
        assert_true(first.content != last);
        last = first.content;
        /* All of it was in the run. */
        assert_true(first.server.retries_sent >= CLIENTS);
        assert_true(first.server.path_changes >= 1);
        assert_true(first.stats.lost > 0 && first.stats.duplicated > 0);
        assert_true(first.stats.reordered > 0 && first.stats.corrupted > 0);
    }
}

typedef struct record {
    uint64_t open;
    uint64_t begun;
    uint64_t bytes;
} record;

static void *record_begin(rn_env *env, rn_bytes id, bool server, void *user) {
    record *r = user;
    (void)env;
    (void)id;
    (void)server;
    r->open++;
    r->begun++;
    return r;
}

static void record_write(void *of, rn_bytes text) {
    ((record *)of)->bytes += text.len;
}

static void record_end(void *of) {
    ((record *)of)->open--;
}

static void who_records_changes_nothing(void **state) {
    (void)state;
    record r = {.open = 0};
    const rn_qlog_sink sink = {
        .begin = record_begin, .write = record_write, .end = record_end, .user = &r};
    outcome alone = run(3, NULL);
    outcome watched = run(3, &sink);
    assert_true(alone.content == watched.content);
    assert_true(alone.trace == watched.trace);
    assert_true(alone.end == watched.end);
    assert_true(r.begun >= (size_t)2 * CLIENTS);
    assert_int_equal(r.open, 0);
    assert_true(r.bytes > watched.stats.sent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_bytes),
        cmocka_unit_test(who_records_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
