/* What the director's connections to its workers tell about them. */
#include "sim/world/few.h"

enum { SEED = 91 };

#define CLIENT "10.0.2.1"

/* The port's news takes a round trip of 10 ms, and no worker has heard of the stream. */
static void test_dead_workers_far_away_end_no_stream(void **state) {
    (void)state;
    static few w;
    few_init(&w, SEED, 4);
    few_start(&w);
    rpcnet_channel *client = few_connect(&w, CLIENT);
    const rn_data *data = &w.cluster.director->data;
    assert_int_equal(few_result(&w, client), RPCNET_GRPC_OK);
    rn_sim_run_for(w.sim, 200 * RN_MILLISECOND); /* away from the next health checks */
    /* Its worker is the last one that is asked the next time. */
    const char *last = rn_link_find(data, data->picked_last)->worker.label;
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(w.cluster.workers[i].label, last) != 0) {
            rn_cluster_kill_worker(&w.cluster, i);
        }
    }
    assert_int_equal(few_result(&w, client), RPCNET_GRPC_OK);
    assert_int_equal(data->counters.lost[RN_SWAP_KILLED], 3);
    rpcnet_channel_del(client);
    few_del(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_workers_far_away_end_no_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
