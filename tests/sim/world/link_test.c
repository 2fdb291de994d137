/* What the director's connections to its workers tell about them. */
#include "sim/world/few.h"

enum { SEED = 91 };

#define CLIENT "10.0.2.1"

/* The port's news takes a round trip of 10 ms, and no worker has heard of the stream. */
static void test_dead_workers_far_away_end_no_stream(void **state) {
    (void)state;
    static few w;
    few_init(&w, SEED, 4, 10 * RN_MILLISECOND);
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

/* A worker has taken the stream, and has no credit to say a word; or all is over. */
static bool is_starved(void *user) {
    const rn_data *data = user;
    const rn_relay *relay = RN_CONTAINER_OF(data->relays.next, const rn_relay, link);
    return data->counters.ended_attempts > 0 ||
           (relay->swap.state == RN_SWAP_FLOWING && !rn_swap_stream_has_credit(&relay->swap));
}

/* Its client reads nothing, so no worker that dies of it could have made progress. */
static void test_a_request_kills_few_workers_though_nobody_reads(void **state) {
    enum { MANY = 1000000, TOO_MANY = 20 };
    (void)state;
    static few w;
    stream at;
    size_t killed = 0;
    few_init(&w, SEED, 2, 100 * RN_MICROSECOND);
    few_start(&w);
    rpcnet_channel *client = few_connect(&w, CLIENT);
    rn_data *data = &w.cluster.director->data;
    few_ask(&at, client, MANY);
    rpcnet_call_hold(at.call, true);
    rn_sim_run_for(w.sim, RN_SECOND);
    for (; killed < TOO_MANY; killed++) {
        assert_true(
            rn_sim_run_until_done(w.sim, is_starved, data, rn_sim_now(w.sim) + 60 * RN_SECOND));
        if (data->counters.ended_attempts > 0) {
            break;
        }
        const rn_relay *relay = RN_CONTAINER_OF(data->relays.next, const rn_relay, link);
        size_t worker = strcmp(relay->at->worker.label, w.cluster.workers[0].label) == 0 ? 0 : 1;
        rn_cluster_kill_worker(&w.cluster, worker);
        rn_cluster_start_worker(&w.cluster, worker);
        rn_sim_run_for(w.sim, RN_SECOND);
    }
    assert_int_equal(killed, 2 * RN_SWAP_MAX_ATTEMPTS);
    assert_int_equal(data->counters.lost[RN_SWAP_KILLED], killed);
    assert_int_equal(data->counters.ended_attempts, 1);
    rpcnet_call_del(at.call);
    rpcnet_channel_del(client);
    few_del(&w);
}

static rn_link *link_of(const few *w) {
    return rn_link_find(&w->cluster.director->data,
                        w->cluster.director->control.pool.snapshot.workers[0].id);
}

static bool is_suspect(void *user) {
    return link_of(user)->detector.suspect;
}

static bool is_ready(void *user) {
    return !link_of(user)->lost;
}

/* The worker's MGMT port answers all the time, so it stays in the pool. */
static void silence(few *w, rpcnet_channel *client, uint64_t lasting_ns) {
    rn_sim_set_filter(w->sim, w->cluster.workers[0].host, RN_CLUSTER_WORKER_USER_PORT);
    assert_int_equal(few_result(w, client), RPCNET_GRPC_UNAVAILABLE);
    assert_true(is_suspect(w));
    rn_sim_run_for(w->sim, lasting_ns);
}

static void mend(few *w) {
    rn_sim_set_filter(w->sim, w->cluster.workers[0].host, 0);
    assert_true(rn_sim_run_until_done(w->sim, is_ready, w, rn_sim_now(w->sim) + 30 * RN_SECOND));
    rn_sim_run_for(w->sim, RN_SECOND);
    assert_false(is_suspect(w));
}

/* All probes that may be out are, on a connection that is gone. */
static void test_a_new_connection_ends_a_suspicion(void **state) {
    (void)state;
    static few w;
    few_init(&w, SEED, 1, 10 * RN_MILLISECOND);
    few_start(&w);
    rpcnet_channel *client = few_connect(&w, CLIENT);
    silence(&w, client, 60 * RN_SECOND);
    assert_false(is_ready(&w));
    mend(&w);
    assert_int_equal(few_result(&w, client), RPCNET_GRPC_OK);
    rpcnet_channel_del(client);
    few_del(&w);
}

/* The connection outlasts the silence, its probe channel does not. */
static void test_a_new_probe_channel_ends_a_suspicion(void **state) {
    (void)state;
    static few w;
    few_init(&w, SEED, 1, 10 * RN_MILLISECOND);
    few_start(&w);
    rpcnet_channel *client = few_connect(&w, CLIENT);
    assert_int_equal(few_result(&w, client), RPCNET_GRPC_OK);
    silence(&w, client, 0);
    assert_true(is_ready(&w));
    rpcnet_call_cancel(link_of(&w)->probes);
    mend(&w);
    assert_int_equal(few_result(&w, client), RPCNET_GRPC_OK);
    rpcnet_channel_del(client);
    few_del(&w);
}

typedef struct wait {
    few *w;
    uint64_t deadline; /* of the detector, before the turn in which the worker became suspect */
} wait;

static bool is_found(void *user) {
    wait *at = user;
    if (is_suspect(at->w)) {
        return true;
    }
    at->deadline = rn_detector_deadline(&link_of(at->w)->detector);
    return false;
}

/* Stops the worker under a stream; how long it takes until it is found. */
static uint64_t find(few *w, uint64_t interval_ns, uint64_t after_ns) {
    enum { MANY = 1000000 };
    stream at;
    wait until = {.w = w};
    rpcnet_channel *client = few_connect(w, CLIENT);
    rn_detector_config *config = &w->cluster.director->data.options.detector;
    config->interval_ns = interval_ns;
    config->pause_ns = 4 * interval_ns;
    few_ask(&at, client, MANY);
    rn_sim_run_for(w->sim, after_ns);
    uint64_t stopped = rn_sim_now(w->sim);
    rn_cluster_hang_worker(&w->cluster, 0, true);
    assert_true(rn_sim_run_until_done(w->sim, is_found, &until, stopped + 60 * RN_SECOND));
    assert_true(rn_sim_now(w->sim) == until.deadline);
    rpcnet_call_del(at.call);
    rpcnet_channel_del(client);
    rn_cluster_hang_worker(&w->cluster, 0, false);
    return until.deadline - stopped;
}

/* Wherever in the rhythm of probes it falls silent. */
static void test_silence_is_found_at_its_deadline(void **state) {
    (void)state;
    for (uint64_t phase = 0; phase < RN_DETECTOR_INTERVAL_NS; phase += 5 * RN_MILLISECOND) {
        static few w;
        few_init(&w, SEED, 1, 10 * RN_MILLISECOND);
        few_start(&w);
        (void)find(&w, RN_DETECTOR_INTERVAL_NS, RN_SECOND + phase);
        few_del(&w);
    }
}

/* It is the probe that finds the worker, not the one behind it; and no probe blames the worker for
 * what it was not asked. */
static void test_few_probes_find_silence_as_soon(void **state) {
    (void)state;
    const uint64_t interval = 5 * RN_SECOND;
    static few w;
    few_init(&w, SEED, 1, 10 * RN_MILLISECOND);
    few_start(&w);
    uint64_t took = find(&w, interval, 12 * RN_SECOND);
    assert_true(took <= interval + RN_DETECTOR_BOUND_NS);
    assert_int_equal(w.cluster.director->data.suspicions, 1);
    few_del(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_workers_far_away_end_no_stream),
        cmocka_unit_test(test_a_request_kills_few_workers_though_nobody_reads),
        cmocka_unit_test(test_a_new_connection_ends_a_suspicion),
        cmocka_unit_test(test_a_new_probe_channel_ends_a_suspicion),
        cmocka_unit_test(test_silence_is_found_at_its_deadline),
        cmocka_unit_test(test_few_probes_find_silence_as_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
