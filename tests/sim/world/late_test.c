/* A director whose memory is held by a client that lets nothing go: everybody else gets in again.
 */
#include "sim/world/few.h"

enum { SEED = 90, HELD = 200000, MANY = 1000000 };

#define HOLDER "10.0.2.1"
#define OTHER "10.0.2.2"

static bool holds_much(void *user) {
    const few *w = user;
    return w->cluster.director->data.budget.used >= HELD;
}

static void test_who_lets_nothing_go_goes(void **state) {
    (void)state;
    static few w;
    stream held;
    few_init(&w, SEED, 1, 100 * RN_MICROSECOND);
    few_start(&w);
    rpcnet_channel *holder = few_connect(&w, HOLDER);
    rpcnet_channel *other = few_connect(&w, OTHER);
    rn_data *data = &w.cluster.director->data;
    assert_int_equal(few_result(&w, other), RPCNET_GRPC_OK);
    few_ask(&held, holder, MANY);
    rn_sim_run_for(w.sim, 100 * RN_MILLISECOND);
    assert_true(held.messages > 0);
    /* It goes on speaking, and acknowledges nothing that comes after this. */
    rn_sim_set_partition_one_way(w.sim, RN_CLUSTER_DIRECTOR_HOST, HOLDER, true);
    assert_true(rn_sim_run_until_done(w.sim, holds_much, &w, rn_sim_now(w.sim) + 60 * RN_SECOND));
    data->budget.limit = HELD / 4;
    assert_int_equal(few_result(&w, other), RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(data->relays_count, 0);
    assert_true(data->budget.leaving > data->budget.limit);
    uint64_t others = data->hit.others_shed;
    rn_sim_run_for(w.sim, RPCNET_LEAVING_NS);
    assert_int_equal(few_result(&w, other), RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(data->hit.others_shed, others + 1);
    assert_true(data->budget.used < data->budget.limit);
    assert_int_equal(few_result(&w, other), RPCNET_GRPC_OK);
    rpcnet_call_del(held.call);
    rpcnet_channel_del(holder);
    rpcnet_channel_del(other);
    few_del(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_lets_nothing_go_goes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
