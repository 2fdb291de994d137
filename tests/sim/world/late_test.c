/* A director whose memory is held by a client that lets nothing go: everybody else gets in again.
 */
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

enum { SEED = 90, HELD = 200000, MANY = 1000000, FEW = 5 };

#define HOLDER "10.0.2.1"
#define OTHER "10.0.2.2"

typedef struct stream {
    rpcnet_call *call;
    unsigned messages;
    unsigned statuses;
    int code;
} stream;

typedef struct world {
    rn_sim *sim;
    rn_plan plan;
    rn_verdict verdict;
    rn_cluster cluster;
    rpcnet_credentials *trust;
} world;

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    (void)data;
    (void)len;
    ((stream *)user)->messages++;
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    stream *at = user;
    (void)call;
    (void)message;
    (void)trailers;
    at->statuses++;
    at->code = code;
}

static rpcnet_channel *connect_from(const world *w, const char *host) {
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

static void ask(stream *at, rpcnet_channel *channel, uint64_t tokens) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_message,
                                                    .on_status = on_status};
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

static bool is_over(void *user) {
    return ((const stream *)user)->statuses > 0;
}

/* How a short stream of somebody else ends. */
static int try_to_get_in(const world *w, rpcnet_channel *channel) {
    stream at;
    ask(&at, channel, FEW);
    assert_true(rn_sim_run_until_done(w->sim, is_over, &at, rn_sim_now(w->sim) + 10 * RN_SECOND));
    rpcnet_call_del(at.call);
    return at.code;
}

static bool holds_much(void *user) {
    const world *w = user;
    return w->cluster.director->data.budget.used >= HELD;
}

static void start(world *w) {
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials_options trust;
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(rn_sim_seed(SEED));
    w->plan = (rn_plan){.workers = 1,
                        .token_interval_ns = 100 * RN_MICROSECOND,
                        .park_ns = 10 * RN_SECOND,
                        .journal_max = 1 << 20,
                        .credit_window = RN_SWAP_CREDIT_WINDOW};
    rn_cluster_init(&w->cluster, w->sim, &w->plan, RN_TEST_CERTS, &w->verdict);
    rpcnet_credentials_options_init(&trust);
    trust.ca_file = RN_TEST_CERTS "/ca.crt";
    assert_int_equal(rpcnet_credentials_new(&w->trust, &trust, error), RPCNET_OK);
    rn_cluster_start_director(&w->cluster);
    rn_cluster_start_worker(&w->cluster, 0);
    rn_sim_run_for(w->sim, RN_SECOND);
}

static void test_who_lets_nothing_go_goes(void **state) {
    (void)state;
    static world w;
    stream held;
    start(&w);
    rpcnet_channel *holder = connect_from(&w, HOLDER);
    rpcnet_channel *other = connect_from(&w, OTHER);
    rn_data *data = &w.cluster.director->data;
    assert_int_equal(try_to_get_in(&w, other), RPCNET_GRPC_OK);
    ask(&held, holder, MANY);
    rn_sim_run_for(w.sim, 100 * RN_MILLISECOND);
    assert_true(held.messages > 0);
    /* It goes on speaking, and acknowledges nothing that comes after this. */
    rn_sim_set_partition_one_way(w.sim, RN_CLUSTER_DIRECTOR_HOST, HOLDER, true);
    assert_true(rn_sim_run_until_done(w.sim, holds_much, &w, rn_sim_now(w.sim) + 60 * RN_SECOND));
    data->budget.limit = HELD / 4;
    assert_int_equal(try_to_get_in(&w, other), RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(data->relays_count, 0);
    assert_true(data->budget.leaving > data->budget.limit);
    uint64_t others = data->hit.others_shed;
    rn_sim_run_for(w.sim, RPCNET_LEAVING_NS);
    assert_int_equal(try_to_get_in(&w, other), RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(data->hit.others_shed, others + 1);
    assert_true(data->budget.used < data->budget.limit);
    assert_int_equal(try_to_get_in(&w, other), RPCNET_GRPC_OK);
    rpcnet_call_del(held.call);
    rpcnet_channel_del(holder);
    rpcnet_channel_del(other);
    rn_sim_run_for(w.sim, RN_SECOND);
    rn_cluster_check_empty(&w.cluster);
    assert_int_equal(w.verdict.violations, 0);
    rn_cluster_fini(&w.cluster);
    rpcnet_credentials_del(w.trust);
    rn_sim_del(w.sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_lets_nothing_go_goes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
