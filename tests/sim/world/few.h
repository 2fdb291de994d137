/* few: a cluster of a few workers without a plan, and clients that ask it, for tests of one
 * situation. */
#ifndef RN_TESTS_SIM_WORLD_FEW_H
#define RN_TESTS_SIM_WORLD_FEW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "sim/world/cluster.h"

typedef struct few {
    rn_sim *sim;
    rn_plan plan;
    rn_verdict verdict;
    rn_cluster cluster;
    rpcnet_credentials *trust;
} few;

typedef struct stream {
    rpcnet_call *call;
    unsigned messages;
    unsigned statuses;
    int code;
} stream;

static inline void few_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    (void)data;
    (void)len;
    ((stream *)user)->messages++;
}

static inline void few_status(rpcnet_call *call, int code, const char *message,
                              const rpcnet_metadata *trailers, void *user) {
    stream *at = user;
    (void)call;
    (void)message;
    (void)trailers;
    at->statuses++;
    at->code = code;
}

/* From here on its options may be changed; nothing runs yet. */
static inline void few_init(few *w, uint64_t seed, size_t workers, uint64_t token_interval_ns) {
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials_options trust;
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(rn_sim_seed(seed));
    w->plan = (rn_plan){.workers = workers,
                        .token_interval_ns = token_interval_ns,
                        .park_ns = 10 * RN_SECOND,
                        .journal_max = 1 << 20,
                        .credit_window = RN_SWAP_CREDIT_WINDOW};
    rn_cluster_init(&w->cluster, w->sim, &w->plan, RN_TEST_CERTS, &w->verdict);
    rpcnet_credentials_options_init(&trust);
    trust.ca_file = RN_TEST_CERTS "/ca.crt";
    assert_int_equal(rpcnet_credentials_new(&w->trust, &trust, error), RPCNET_OK);
}

/* All are there and have found each other. */
static inline void few_start(few *w) {
    rn_cluster_start_director(&w->cluster);
    for (size_t i = 0; i < w->plan.workers; i++) {
        rn_cluster_start_worker(&w->cluster, i);
    }
    rn_sim_run_for(w->sim, RN_SECOND);
    assert_int_equal(w->cluster.director->control.pool.snapshot.count, w->plan.workers);
}

static inline rpcnet_channel *few_connect(const few *w, const char *host) {
    rpcnet_channel *channel = NULL;
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = w->trust;
    options.server_name = "localhost";
    assert_int_equal(
        rpcnet_channel_new(&channel, rn_sim_host_new(w->sim, host), RN_CLUSTER_USER_ADDR, &options),
        RPCNET_OK);
    return channel;
}

static inline void few_ask(stream *at, rpcnet_channel *channel, uint64_t tokens) {
    static const rpcnet_call_callbacks callbacks = {.on_message = few_message,
                                                    .on_status = few_status};
    static char prompt[] = "the river";
    ConnectionSwap__GenerateRequest request = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    *at = (stream){.code = -1};
    request.prompt = prompt;
    request.tokens = tokens;
    assert_int_equal(rpcnet_call_new(&at->call, channel, "/connection_swap.Inference/Generate",
                                     NULL, &callbacks, at),
                     RPCNET_OK);
    assert_int_equal(rn_message_send(at->call, &request.base), RPCNET_OK);
    assert_int_equal(rpcnet_call_half_close(at->call), RPCNET_OK);
}

static inline bool few_is_over(void *user) {
    return ((const stream *)user)->statuses > 0;
}

/* How a short stream ends that begins now. */
static inline int few_result(const few *w, rpcnet_channel *channel) {
    enum { TOKENS = 5 };
    stream at;
    few_ask(&at, channel, TOKENS);
    assert_true(
        rn_sim_run_until_done(w->sim, few_is_over, &at, rn_sim_now(w->sim) + 11 * RN_SECOND));
    rpcnet_call_del(at.call);
    return at.code;
}

/* Clients are gone by now. */
static inline void few_del(few *w) {
    rn_sim_run_for(w->sim, RN_SECOND);
    rn_cluster_check_empty(&w->cluster);
    assert_int_equal(w->verdict.violations, 0);
    rn_cluster_fini(&w->cluster);
    rpcnet_credentials_del(w->trust);
    rn_sim_del(w->sim);
}

#endif
