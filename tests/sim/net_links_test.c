/* Links of the simulated network: order, faults, rates, partitions, and who watches them. */
#include "sim/net_world.h"

static void latency_and_addresses(void **state) {
    (void)state;
    world *in = world_new(1);
    in->b.echo = true;
    assert_int_equal(send_number(&in->a, &in->b_address, 7), RPCNET_OK);
    assert_int_equal(in->b.count, 0); /* never inside the call */
    run_all(in);
    assert_int_equal(in->b.numbers[0], 7);
    assert_true(in->b.times[0] == RN_SIM_START + 5 * RN_MILLISECOND);
    assert_true(in->a.times[0] == RN_SIM_START + 10 * RN_MILLISECOND);
    assert_true(rn_address_equal(&in->b.last.remote, &in->a_address));
    assert_true(rn_address_equal(&in->b.last.local, &in->b_address));
    assert_true(rn_address_equal(&in->a.last.remote, &in->b_address));
    assert_int_equal(in->b.last.ecn, RN_ECN_ECT0);
    char text[RN_ADDRESS_TEXT_MAX];
    assert_string_equal(rn_address_format(in->b.env->ops->udp_address(in->b.udp), text),
                        "0.0.0.0:2000");
    world_del(in);
}

static void links_differ_by_direction(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_sim_link slow = {.latency_ns = 40 * RN_MILLISECOND};
    rn_sim_link fast = {.latency_ns = RN_MICROSECOND};
    rn_sim_set_link(in->sim, "10.0.0.1", "10.0.0.2", &fast);
    rn_sim_set_link_one_way(in->sim, "10.0.0.2", "10.0.0.1", &slow);
    in->b.echo = true;
    send_number(&in->a, &in->b_address, 0);
    run_all(in);
    assert_true(in->b.times[0] == RN_SIM_START + RN_MICROSECOND);
    assert_true(in->a.times[0] == RN_SIM_START + RN_MICROSECOND + 40 * RN_MILLISECOND);
    world_del(in);
}

static void segments_are_one_batch(void **state) {
    (void)state;
    world *in = world_new(1);
    uint8_t data[9 * 1200 + 700] = {0};
    assert_int_equal(send_bytes(&in->a, &in->b_address, data, sizeof data, 1200, 0), RPCNET_OK);
    run_all(in);
    assert_int_equal(in->b.count, 10);
    assert_int_equal(in->b.last_len, 700);
    assert_int_equal(in->b.batches, 1);
    world_del(in);
}

static void jitter_keeps_the_order(void **state) {
    (void)state;
    world *in = world_new(2);
    rn_sim_link link = {.latency_ns = RN_MILLISECOND, .jitter_ns = 3 * RN_MILLISECOND};
    rn_sim_set_default_link(in->sim, &link);
    send_numbers(in, 1000);
    run_all(in);
    assert_int_equal(in->b.count, 1000);
    assert_true(in_order(&in->b));
    uint64_t last_sent = RN_SIM_START + 9990 * RN_MICROSECOND;
    assert_true(in->b.times[0] >= RN_SIM_START + RN_MILLISECOND);
    assert_true(in->b.times[999] <= last_sent + 4 * RN_MILLISECOND);
    world_del(in);
}

static void reordering_overtakes(void **state) {
    (void)state;
    world *in = world_new(3);
    rn_sim_link link = {.latency_ns = RN_MILLISECOND, .reorder = 0.1};
    rn_sim_set_default_link(in->sim, &link);
    send_numbers(in, 1000);
    run_all(in);
    assert_int_equal(in->b.count, 1000);
    assert_false(in_order(&in->b));
    uint64_t reordered = rn_sim_get_stats(in->sim)->reordered;
    assert_in_range(reordered, 60, 140);
    world_del(in);
}

/* With a probability p of n datagrams, the count stays within four standard deviations. */
static void faults_follow_their_probability(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        world *in = world_new(seed);
        rn_sim_link link = {
            .latency_ns = RN_MILLISECOND, .loss = 0.05, .duplicate = 0.02, .ecn_mark = 0.5};
        rn_sim_set_default_link(in->sim, &link);
        send_numbers(in, 2000);
        run_all(in);
        const rn_sim_stats *stats = rn_sim_get_stats(in->sim);
        assert_int_equal(stats->sent, 2000);
        assert_in_range(stats->lost, 61, 139);
        assert_in_range(stats->duplicated, 13, 63);
        assert_in_range(stats->marked, 860, 1040);
        assert_int_equal(stats->delivered, 2000 - stats->lost + stats->duplicated);
        assert_int_equal(in->b.count, stats->delivered);
        assert_true(in->b.marked >= stats->marked);
        world_del(in);
    }
}

static void all_or_nothing(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_sim_link link = {.loss = 1};
    rn_sim_set_link(in->sim, "10.0.0.1", "10.0.0.2", &link);
    send_numbers(in, 100);
    run_all(in);
    assert_int_equal(in->b.count, 0);
    link = (rn_sim_link){.duplicate = 1};
    rn_sim_set_link(in->sim, "10.0.0.1", "10.0.0.2", &link);
    send_numbers(in, 100);
    run_all(in);
    assert_int_equal(in->b.count, 200);
    world_del(in);
}

static void mtu_is_a_limit(void **state) {
    (void)state;
    world *in = world_new(1);
    static uint8_t data[1473];
    for (size_t len = 1471; len <= 1473; len++) {
        send_bytes(&in->a, &in->b_address, data, len, len, 0);
    }
    run_all(in);
    assert_int_equal(in->b.count, 2); /* 1500 without 28 bytes of headers */
    assert_int_equal(rn_sim_get_stats(in->sim)->too_large, 1);
    world_del(in);
}

typedef struct watcher {
    size_t fates[RN_SIM_REFUSED + 1];
    size_t harmed;
    size_t turned_min;
    size_t turned_max;
    rn_sim_seen last;
    uint8_t expected[200];
    size_t pair[4]; /* of copies: neither harmed, the first, the second, both */
    bool first_harmed;
    bool second;
} watcher;

static size_t turned_bits(rn_bytes data, const uint8_t *expected) {
    size_t count = 0;
    for (size_t i = 0; i < data.len; i++) {
        for (unsigned bits = (unsigned)(data.data[i] ^ expected[i]); bits > 0; bits &= bits - 1) {
            count++;
        }
    }
    return count;
}

static void on_seen(const rn_sim_seen *seen, void *user) {
    watcher *at = user;
    at->fates[seen->fate]++;
    at->last = *seen;
    if (seen->fate != RN_SIM_DELIVERED || seen->data.len != sizeof at->expected) {
        return;
    }
    size_t turned = turned_bits(seen->data, at->expected);
    assert_int_equal(turned > 0, seen->corrupted);
    at->harmed += turned > 0;
    at->turned_max = turned > at->turned_max ? turned : at->turned_max;
    at->turned_min = turned > 0 && turned < at->turned_min ? turned : at->turned_min;
    if (at->second) {
        at->pair[(at->first_harmed ? 1 : 0) + (turned > 0 ? 2 : 0)]++;
    }
    at->first_harmed = turned > 0;
    at->second = !at->second;
}

static void watch(world *in, watcher *out) {
    *out = (watcher){.turned_min = SIZE_MAX};
    memset(out->expected, 0x5a, sizeof out->expected);
    rn_sim_set_tap(in->sim, on_seen, out);
}

static void corruption_turns_bits(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        world *in = world_new(seed);
        watcher seen;
        watch(in, &seen);
        rn_sim_link link = {.latency_ns = RN_MILLISECOND, .corrupt = 0.5};
        rn_sim_set_default_link(in->sim, &link);
        for (size_t i = 0; i < 2000; i++) {
            send_bytes(&in->a, &in->b_address, seen.expected, 200, 200, 0);
        }
        run_all(in);
        assert_int_equal(in->b.count, 2000);
        assert_in_range(seen.harmed, 910, 1090); /* four standard deviations */
        assert_int_equal(rn_sim_get_stats(in->sim)->corrupted, seen.harmed);
        assert_int_equal(seen.turned_min, 1);
        assert_int_equal(seen.turned_max, 8);
        world_del(in);
    }
}

static void copies_are_harmed_alone(void **state) {
    (void)state;
    world *in = world_new(1);
    watcher seen;
    watch(in, &seen);
    rn_sim_link link = {.latency_ns = RN_MILLISECOND, .duplicate = 1, .corrupt = 0.5};
    rn_sim_set_default_link(in->sim, &link);
    for (size_t i = 0; i < 400; i++) {
        send_bytes(&in->a, &in->b_address, seen.expected, 200, 200, 0);
    }
    run_all(in);
    for (size_t i = 0; i < 4; i++) {
        assert_in_range(seen.pair[i], 65, 135);
    }
    /* The smallest datagram has room for all the bits, too. */
    link = (rn_sim_link){.corrupt = 1};
    rn_sim_set_default_link(in->sim, &link);
    uint8_t byte = 0x5a;
    for (size_t i = 0; i < 100; i++) {
        send_bytes(&in->a, &in->b_address, &byte, 1, 1, 0);
        run_all(in);
        assert_true(seen.last.corrupted);
        assert_int_equal(in->b.last_len, 1);
    }
    world_del(in);
}

#define PACKET ((size_t)1000) /* with its headers */
#define PAYLOAD (PACKET - 28)

static void send_packets(world *in, size_t count) {
    static const uint8_t data[PAYLOAD];
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(send_bytes(&in->a, &in->b_address, data, PAYLOAD, PAYLOAD, 0), RPCNET_OK);
    }
}

static void rate_sends_one_after_the_other(void **state) {
    (void)state;
    world *in = world_new(1);
    /* One byte per microsecond, headers included. */
    rn_sim_link link = {.latency_ns = 5 * RN_MILLISECOND, .rate_bps = 8000000};
    rn_sim_set_link_one_way(in->sim, "10.0.0.1", "10.0.0.2", &link);
    send_packets(in, 5);
    send_number(&in->b, &in->a_address, 1); /* the other direction has no rate */
    run_all(in);
    for (size_t i = 0; i < 5; i++) {
        assert_true(in->b.times[i] == RN_SIM_START + (6 + i) * RN_MILLISECOND);
    }
    assert_true(in->a.times[0] == RN_SIM_START + 5 * RN_MILLISECOND);
    uint64_t later = rn_sim_now(in->sim);
    send_packets(in, 1); /* nobody waits any more */
    run_all(in);
    assert_true(in->b.times[5] == later + 6 * RN_MILLISECOND);
    world_del(in);
}

/* Three packets at once against queues around their size. */
static void queue_drops_what_does_not_fit(void **state) {
    (void)state;
    static const struct {
        size_t queue_bytes;
        size_t accepted;
    } cases[] = {{3 * PACKET - 1, 2}, {3 * PACKET, 3}, {3 * PACKET + 1, 3}, {1, 1}, {0, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world *in = world_new(1);
        rn_sim_link link = {.rate_bps = 8000000, .queue_bytes = cases[i].queue_bytes};
        rn_sim_set_default_link(in->sim, &link);
        send_packets(in, 3);
        assert_int_equal(rn_sim_get_stats(in->sim)->queue_full, 3 - cases[i].accepted);
        run_all(in);
        assert_int_equal(in->b.count, cases[i].accepted);
        world_del(in);
    }
    world *in = world_new(1);
    rn_sim_link link = {.rate_bps = 8000000, .queue_bytes = 2 * PACKET};
    rn_sim_set_default_link(in->sim, &link);
    send_packets(in, 3);
    rn_sim_run_for(in->sim, RN_MILLISECOND); /* one has left */
    send_packets(in, 2);
    run_all(in);
    assert_int_equal(rn_sim_get_stats(in->sim)->queue_full, 2);
    assert_int_equal(in->b.count, 3);

    link = (rn_sim_link){.rate_bps = 1000000}; /* the default length */
    rn_sim_set_default_link(in->sim, &link);
    send_packets(in, 300);
    assert_int_equal(rn_sim_get_stats(in->sim)->queue_full,
                     2 + 300 - RN_SIM_QUEUE_BYTES_DEFAULT / PACKET);
    world_del(in);
}

static void partitions_cut_and_heal(void **state) {
    (void)state;
    world *in = world_new(1);
    in->b.echo = true;
    send_number(&in->a, &in->b_address, 1);
    rn_sim_set_partition_one_way(in->sim, "10.0.0.1", "10.0.0.2", true);
    send_number(&in->a, &in->b_address, 2);
    run_all(in);
    assert_int_equal(in->b.count, 1); /* it was under way */
    assert_int_equal(in->a.count, 1); /* the other direction is whole */
    assert_int_equal(rn_sim_get_stats(in->sim)->partitioned, 1);
    assert_int_equal(rn_sim_get_stats(in->sim)->lost, 0);

    rn_sim_set_partition_one_way(in->sim, "10.0.0.1", "10.0.0.2", false);
    rn_sim_set_partition_one_way(in->sim, "10.0.0.2", "10.0.0.1", true);
    send_number(&in->a, &in->b_address, 3);
    run_all(in);
    assert_int_equal(in->b.count, 2);
    assert_int_equal(in->a.count, 1);

    peer client; /* the news of a closed port does not get through either */
    rn_address closed = in->b_address;
    rn_address_set_port(&closed, 2001);
    assert_int_equal(try_open(&client, in->a.env, NULL, &closed), RPCNET_OK);
    send_number(&client, &closed, 1);
    run_all(in);
    assert_int_equal(client.unreachable, 0);

    rn_sim_set_partition(in->sim, "10.0.0.1", "10.0.0.2", true);
    send_number(&in->a, &in->b_address, 4);
    send_number(&in->b, &in->a_address, 4);
    run_all(in);
    assert_int_equal(rn_sim_get_stats(in->sim)->partitioned, 4);
    rn_sim_set_partition(in->sim, "10.0.0.1", "10.0.0.2", false);
    send_number(&in->a, &in->b_address, 5);
    run_all(in);
    assert_int_equal(in->b.numbers[2], 5);
    assert_int_equal(in->a.numbers[1], 5);
    world_del(in);
}

static void filters_take_a_port_away(void **state) {
    (void)state;
    world *in = world_new(1);
    peer other;
    rn_address address = in->b_address;
    rn_address_set_port(&address, 2001);
    assert_int_equal(try_open(&other, in->b.env, "0.0.0.0:2001", NULL), RPCNET_OK);
    rn_sim_set_filter(in->sim, "10.0.0.2", 2000);
    send_number(&in->a, &in->b_address, 1);
    send_number(&in->a, &address, 2);
    send_number(&other, &in->b_address, 3); /* its own machine has no filter in between */
    send_number(&in->b, &in->a_address, 4);
    run_all(in);
    assert_int_equal(in->b.count, 1);
    assert_int_equal(in->b.numbers[0], 3);
    assert_int_equal(other.numbers[0], 2);
    assert_int_equal(in->a.numbers[0], 4);
    assert_int_equal(rn_sim_get_stats(in->sim)->partitioned, 1);
    rn_sim_set_filter(in->sim, "10.0.0.2", 0);
    send_number(&in->a, &in->b_address, 5);
    run_all(in);
    assert_int_equal(in->b.numbers[1], 5);
    world_del(in);
}

/* What is off, what is cut and what only looks: none of it takes a random number from the rest. */
static void faults_take_no_chance_from_others(void **state) {
    (void)state;
    peer seen[2];
    for (size_t round = 0; round < 2; round++) {
        world *in = world_new(4);
        watcher seeing;
        rn_sim_link link = {.latency_ns = RN_MILLISECOND, .loss = 0.5, .duplicate = 0.3};
        rn_sim_set_default_link(in->sim, &link);
        if (round == 1) {
            watch(in, &seeing);
            rn_sim_set_partition(in->sim, "10.0.0.1", "10.0.0.2", true);
            send_numbers(in, 100);
            rn_sim_set_partition(in->sim, "10.0.0.1", "10.0.0.2", false);
            rn_sim_set_down(in->sim, "10.0.0.1", true);
            send_number(&in->a, &in->b_address, 1);
            rn_sim_set_down(in->sim, "10.0.0.1", false);
            const rn_sim_clock skewed = {.skew_ppm = 500};
            rn_sim_host_set_clock(in->a.env, &skewed);
        }
        send_numbers(in, 300);
        run_all(in);
        seen[round] = in->b;
        world_del(in);
    }
    assert_int_equal(seen[0].count, seen[1].count);
    assert_memory_equal(seen[0].numbers, seen[1].numbers, sizeof seen[0].numbers);
}

static void tap_sees_every_fate(void **state) {
    (void)state;
    world *in = world_new(1);
    watcher seen;
    watch(in, &seen);
    send_number(&in->a, &in->b_address, 9);
    assert_int_equal(seen.last.fate, RN_SIM_SENT);
    assert_true(seen.last.time == RN_SIM_START);
    run_all(in);
    assert_int_equal(seen.last.fate, RN_SIM_DELIVERED);
    assert_true(seen.last.time == RN_SIM_START + 5 * RN_MILLISECOND);
    assert_true(rn_address_equal(&seen.last.from, &in->a_address));
    assert_true(rn_address_equal(&seen.last.to, &in->b_address));
    assert_int_equal(seen.last.ecn, RN_ECN_ECT0);
    assert_int_equal(seen.last.data.len, sizeof(uint32_t));

    rn_sim_link link = {.loss = 1};
    rn_sim_set_default_link(in->sim, &link);
    send_packets(in, 1);
    link = (rn_sim_link){.mtu = PACKET - 1};
    rn_sim_set_default_link(in->sim, &link);
    send_packets(in, 1);
    link = (rn_sim_link){.rate_bps = 8, .queue_bytes = 1, .duplicate = 1};
    rn_sim_set_default_link(in->sim, &link);
    send_packets(in, 2);
    rn_sim_set_partition(in->sim, "10.0.0.1", "10.0.0.2", true);
    send_packets(in, 1);
    rn_sim_set_down(in->sim, "10.0.0.1", true);
    send_number(&in->a, &in->b_address, 1);
    rn_sim_set_down(in->sim, "10.0.0.1", false);
    rn_address other;
    assert_int_equal(rn_address_parse(&other, "10.9.9.9:1"), RPCNET_OK);
    send_number(&in->a, &other, 1);
    assert_int_equal(rn_address_parse(&other, "10.0.0.1:7"), RPCNET_OK);
    send_number(&in->a, &other, 1);
    run_all(in);
    static const size_t expected[] = {
        [RN_SIM_SENT] = 9,        [RN_SIM_DUPLICATED] = 2, [RN_SIM_DELIVERED] = 3,
        [RN_SIM_LOST] = 1,        [RN_SIM_TOO_LARGE] = 1,  [RN_SIM_QUEUE_FULL] = 1,
        [RN_SIM_PARTITIONED] = 1, [RN_SIM_DOWN] = 1,       [RN_SIM_NO_ROUTE] = 1,
        [RN_SIM_REFUSED] = 2};
    for (size_t i = 0; i <= RN_SIM_REFUSED; i++) {
        assert_int_equal(seen.fates[i], expected[i]);
    }
    rn_sim_set_tap(in->sim, NULL, NULL);
    send_number(&in->a, &in->b_address, 1);
    assert_int_equal(seen.fates[RN_SIM_SENT], 9);
    world_del(in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latency_and_addresses),
        cmocka_unit_test(links_differ_by_direction),
        cmocka_unit_test(segments_are_one_batch),
        cmocka_unit_test(jitter_keeps_the_order),
        cmocka_unit_test(reordering_overtakes),
        cmocka_unit_test(faults_follow_their_probability),
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(mtu_is_a_limit),
        cmocka_unit_test(corruption_turns_bits),
        cmocka_unit_test(copies_are_harmed_alone),
        cmocka_unit_test(rate_sends_one_after_the_other),
        cmocka_unit_test(queue_drops_what_does_not_fit),
        cmocka_unit_test(partitions_cut_and_heal),
        cmocka_unit_test(filters_take_a_port_away),
        cmocka_unit_test(faults_take_no_chance_from_others),
        cmocka_unit_test(tap_sees_every_fate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
