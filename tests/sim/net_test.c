/* The simulated network keeps its promises: order, faults, time, and the same run for a seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpcnet/error.h"
#include "sim/net.h"

enum { SEEN_MAX = 4096 };

typedef struct peer {
    rn_env *env;
    rn_udp *udp;
    bool echo;
    size_t close_at;
    size_t kill_at;
    size_t count;
    size_t batches;
    size_t unreachable;
    uint64_t unreachable_time;
    size_t writable;
    rn_datagram last;
    uint32_t numbers[SEEN_MAX];
    uint64_t times[SEEN_MAX];
    size_t marked;
    size_t last_len;
} peer;

static int send_bytes(peer *from, const rn_address *to, const void *data, size_t len,
                      size_t segment_size, uint8_t ecn) {
    rn_transmit transmit = {
        .remote = *to, .ecn = ecn, .data = data, .len = len, .segment_size = segment_size};
    return from->env->ops->udp_send(from->udp, &transmit);
}

static int send_number(peer *from, const rn_address *to, uint32_t number) {
    return send_bytes(from, to, &number, sizeof number, sizeof number, RN_ECN_ECT0);
}

static void on_receive(const rn_datagram *datagram, void *user) {
    peer *at = user;
    assert_true(at->count < SEEN_MAX);
    if (datagram->len >= sizeof(uint32_t)) {
        memcpy(&at->numbers[at->count], datagram->data, sizeof(uint32_t));
    }
    at->times[at->count] = rn_env_now(at->env);
    at->last = *datagram;
    at->last_len = datagram->len;
    at->marked += datagram->ecn == RN_ECN_CE;
    at->count++;
    if (at->echo) {
        send_bytes(at, &datagram->remote, datagram->data, datagram->len, datagram->len, 0);
    }
    memset(datagram->data, 0xee, datagram->len);
    if (at->count == at->close_at) {
        at->env->ops->udp_close(at->udp);
        at->udp = NULL;
    }
    if (at->count == at->kill_at) {
        rn_sim_host_kill(at->env);
    }
}

static void on_batch_end(void *user) {
    ((peer *)user)->batches++;
}

static void on_unreachable(void *user) {
    peer *at = user;
    at->unreachable++;
    at->unreachable_time = rn_env_now(at->env);
}

static void on_writable(void *user) {
    ((peer *)user)->writable++;
}

static int try_open(peer *out, rn_env *env, const char *bind_to, const rn_address *connect_to) {
    memset(out, 0, sizeof *out);
    out->env = env;
    rn_udp_options options = {0};
    if (bind_to != NULL) {
        assert_int_equal(rn_address_parse(&options.bind, bind_to), RPCNET_OK);
    }
    if (connect_to != NULL) {
        options.connect = *connect_to;
    }
    rn_udp_handler handler = {.receive = on_receive,
                              .batch_end = on_batch_end,
                              .unreachable = on_unreachable,
                              .writable = on_writable};
    return rn_env_udp_open(env, &options, &handler, out, &out->udp);
}

/* A world of two machines with a socket each. */
typedef struct world {
    rn_sim *sim;
    peer a; /* 10.0.0.1:1000 */
    peer b; /* 10.0.0.2:2000 */
    rn_address a_address;
    rn_address b_address;
} world;

static world *world_new(uint64_t seed) {
    world *in = calloc(1, sizeof *in);
    assert_non_null(in);
    in->sim = rn_sim_new(seed);
    assert_int_equal(try_open(&in->a, rn_sim_host_new(in->sim, "10.0.0.1"), "10.0.0.1:1000", NULL),
                     RPCNET_OK);
    assert_int_equal(try_open(&in->b, rn_sim_host_new(in->sim, "10.0.0.2"), "0.0.0.0:2000", NULL),
                     RPCNET_OK);
    assert_int_equal(rn_address_parse(&in->a_address, "10.0.0.1:1000"), RPCNET_OK);
    assert_int_equal(rn_address_parse(&in->b_address, "10.0.0.2:2000"), RPCNET_OK);
    return in;
}

static void world_del(world *in) {
    rn_sim_del(in->sim);
    free(in);
}

static void run_all(world *in) {
    assert_true(rn_sim_run_until_idle(in->sim, UINT64_MAX));
}

static void send_numbers(world *in, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(send_number(&in->a, &in->b_address, i), RPCNET_OK);
        rn_sim_run_for(in->sim, 10 * RN_MICROSECOND);
    }
}

static bool in_order(const peer *at) {
    for (size_t i = 1; i < at->count; i++) {
        if (at->numbers[i] < at->numbers[i - 1]) {
            return false;
        }
    }
    return true;
}

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

typedef struct run_result {
    uint64_t digest;
    uint64_t end;
    uint8_t noise[2][32];
} run_result;

static run_result run_with(uint64_t seed) {
    world *in = world_new(seed);
    rn_sim_link link = {.latency_ns = RN_MILLISECOND,
                        .jitter_ns = RN_MILLISECOND,
                        .loss = 0.1,
                        .duplicate = 0.1,
                        .reorder = 0.1};
    rn_sim_set_default_link(in->sim, &link);
    in->b.echo = true;
    send_numbers(in, 300);
    run_all(in);
    run_result result = {.digest = rn_sim_trace_digest(in->sim), .end = rn_sim_now(in->sim)};
    rn_env_random(in->a.env, result.noise[0], sizeof result.noise[0]);
    rn_env_random(in->b.env, result.noise[1], sizeof result.noise[1]);
    world_del(in);
    return result;
}

static void same_seed_same_run(void **state) {
    (void)state;
    run_result first = run_with(42);
    run_result again = run_with(42);
    run_result other = run_with(43);
    assert_true(first.digest == again.digest);
    assert_true(first.end == again.end);
    assert_memory_equal(first.noise, again.noise, sizeof first.noise);
    assert_true(first.digest != other.digest);
    assert_memory_not_equal(first.noise, other.noise, sizeof first.noise);
    assert_memory_not_equal(first.noise[0], first.noise[1], sizeof first.noise[0]);
}

static void connected_hears_unreachable(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_address closed = in->b_address;
    rn_address_set_port(&closed, 2001);
    peer client;
    assert_int_equal(try_open(&client, in->a.env, NULL, &closed), RPCNET_OK);
    uint64_t start = rn_sim_now(in->sim);
    send_number(&client, &closed, 1);
    send_number(&in->a, &closed, 1); /* unconnected sockets hear nothing */
    run_all(in);
    assert_int_equal(client.unreachable, 1);
    assert_true(client.unreachable_time == start + 10 * RN_MILLISECOND); /* one round trip */
    assert_int_equal(in->a.unreachable, 0);
    assert_int_equal(rn_sim_get_stats(in->sim)->refused, 2);

    rn_address nowhere;
    assert_int_equal(rn_address_parse(&nowhere, "10.9.9.9:1"), RPCNET_OK);
    peer lost;
    assert_int_equal(try_open(&lost, in->a.env, NULL, &nowhere), RPCNET_OK);
    send_number(&lost, &nowhere, 1);
    run_all(in);
    assert_int_equal(lost.unreachable, 0); /* no machine, nobody to say so */
    assert_int_equal(rn_sim_get_stats(in->sim)->no_route, 1);
    world_del(in);
}

static void connected_hears_its_peer_alone(void **state) {
    (void)state;
    world *in = world_new(1);
    peer client;
    peer stranger;
    assert_int_equal(try_open(&client, in->a.env, NULL, &in->b_address), RPCNET_OK);
    assert_int_equal(try_open(&stranger, in->b.env, "10.0.0.2:0", NULL), RPCNET_OK);
    const rn_address *client_address = in->a.env->ops->udp_address(client.udp);
    send_number(&in->b, client_address, 1);
    send_number(&stranger, client_address, 2);
    run_all(in);
    assert_int_equal(client.count, 1);
    assert_int_equal(client.numbers[0], 1);
    world_del(in);
}

static void rebinding_changes_the_source(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_address outer;
    assert_int_equal(rn_address_parse(&outer, "192.0.2.7:4444"), RPCNET_OK);
    in->b.echo = true;
    send_number(&in->a, &in->b_address, 1); /* under way with the old address */
    assert_int_equal(rn_sim_rebind(in->a.env, 1000, "192.0.2.7:4444"), RPCNET_OK);
    run_all(in);
    assert_true(rn_address_equal(&in->b.last.remote, &in->a_address));
    assert_int_equal(in->a.count, 0); /* the answer finds the old mapping gone */
    send_number(&in->a, &in->b_address, 2);
    run_all(in);
    assert_true(rn_address_equal(&in->b.last.remote, &outer));
    assert_int_equal(in->a.count, 1);
    assert_true(rn_address_equal(&in->a.last.local, &in->a_address));
    assert_int_equal(rn_sim_rebind(in->a.env, 0, "10.0.0.2:2000"), RPCNET_ERR_EXISTS);
    assert_int_equal(rn_sim_rebind(in->a.env, 99, "10.0.0.1:5"), RPCNET_ERR_NOT_FOUND);
    assert_int_equal(rn_sim_rebind(in->a.env, 0, "10.0.0.1:1000"), RPCNET_OK);
    send_number(&in->a, &in->b_address, 3);
    run_all(in);
    assert_true(rn_address_equal(&in->b.last.remote, &in->a_address));
    world_del(in);
}

typedef struct alarm_clock {
    rn_env *env;
    rn_timer *timer;
    int name;
    int *calls;
    size_t *count;
    struct alarm_clock *victim;
    unsigned again;
} alarm_clock;

static void on_alarm(void *user) {
    alarm_clock *at = user;
    at->calls[(*at->count)++] = at->name;
    if (at->victim != NULL) {
        at->env->ops->timer_del(at->victim->timer);
        at->victim->timer = NULL;
    }
    if (at->again > 0) {
        at->again--;
        at->env->ops->timer_set(at->timer, 0);
    }
}

static void timers_fire_in_order(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_env *env = in->a.env;
    int calls[16];
    size_t count = 0;
    alarm_clock clocks[6];
    static const uint64_t after[] = {30, 10, 20, 20, 40, 50};
    uint64_t start = rn_env_now(env);
    for (int i = 0; i < 6; i++) {
        clocks[i] = (alarm_clock){.env = env, .name = i, .calls = calls, .count = &count};
        assert_int_equal(rn_env_timer_new(env, on_alarm, &clocks[i], &clocks[i].timer), RPCNET_OK);
        env->ops->timer_set(clocks[i].timer, start + after[i]);
    }
    clocks[2].victim = &clocks[3]; /* due at the same time */
    clocks[4].victim = &clocks[4]; /* itself */
    clocks[1].again = 2;
    env->ops->timer_set(clocks[5].timer, RN_NEVER);
    run_all(in);
    static const int expected[] = {1, 1, 1, 2, 0, 4};
    assert_int_equal(count, 6);
    assert_memory_equal(calls, expected, sizeof expected);
    assert_true(rn_sim_now(in->sim) == start + 40);
    env->ops->timer_del(clocks[0].timer);
    env->ops->timer_del(NULL);
    world_del(in); /* the other timers go with the world */
}

static void kill_is_silent(void **state) {
    (void)state;
    world *in = world_new(1);
    peer client;
    assert_int_equal(try_open(&client, in->a.env, NULL, &in->b_address), RPCNET_OK);
    int calls[4];
    size_t count = 0;
    alarm_clock clock = {.env = in->b.env, .calls = calls, .count = &count};
    assert_int_equal(rn_env_timer_new(in->b.env, on_alarm, &clock, &clock.timer), RPCNET_OK);
    in->b.env->ops->timer_set(clock.timer, rn_sim_now(in->sim) + RN_MILLISECOND);

    send_number(&in->b, &in->a_address, 5); /* leaves before the end */
    rn_sim_host_kill(in->b.env);
    send_number(&client, &in->b_address, 1);
    run_all(in);
    assert_int_equal(in->a.count, 1);
    assert_int_equal(in->b.count, 0);
    assert_int_equal(count, 0);
    assert_int_equal(client.unreachable, 1);

    /* Its objects may still be used and deleted, without effect. */
    assert_int_equal(send_number(&in->b, &in->a_address, 6), RPCNET_OK);
    in->b.env->ops->timer_set(clock.timer, 0);
    peer late;
    assert_int_equal(try_open(&late, in->b.env, "0.0.0.0:0", NULL), RPCNET_ERR_IO);
    run_all(in);
    assert_int_equal(in->a.count, 1);
    assert_int_equal(count, 0);
    in->b.env->ops->udp_close(in->b.udp);
    in->b.env->ops->timer_del(clock.timer);

    /* The next process takes the port. */
    peer next;
    assert_int_equal(try_open(&next, rn_sim_host_new(in->sim, "10.0.0.2"), "10.0.0.2:2000", NULL),
                     RPCNET_OK);
    send_number(&client, &in->b_address, 8);
    run_all(in);
    assert_int_equal(next.numbers[0], 8);
    world_del(in);
}

static void kill_and_close_inside_receive(void **state) {
    (void)state;
    world *in = world_new(1);
    uint8_t data[500] = {0};
    in->b.close_at = 2;
    send_bytes(&in->a, &in->b_address, data, 500, 100, 0);
    run_all(in);
    assert_int_equal(in->b.count, 2);
    assert_int_equal(in->b.batches, 0);
    assert_int_equal(try_open(&in->b, in->b.env, "10.0.0.2:2000", NULL), RPCNET_OK);
    in->b.kill_at = 3;
    send_bytes(&in->a, &in->b_address, data, 500, 100, 0);
    run_all(in);
    assert_int_equal(in->b.count, 3);
    assert_int_equal(in->b.batches, 0);
    world_del(in);
}

static void pause_holds_everything(void **state) {
    (void)state;
    world *in = world_new(1);
    int calls[4];
    size_t count = 0;
    alarm_clock clock = {.env = in->b.env, .calls = calls, .count = &count};
    assert_int_equal(rn_env_timer_new(in->b.env, on_alarm, &clock, &clock.timer), RPCNET_OK);
    in->b.env->ops->timer_set(clock.timer, rn_sim_now(in->sim) + RN_MILLISECOND);
    rn_sim_host_pause(in->b.env);
    send_numbers(in, 3);
    rn_sim_run_for(in->sim, RN_SECOND);
    assert_int_equal(in->b.count, 0);
    assert_int_equal(count, 0);
    uint64_t resumed = rn_sim_now(in->sim);
    rn_sim_host_resume(in->b.env);
    run_all(in);
    assert_int_equal(count, 1);
    assert_int_equal(in->b.count, 3);
    assert_true(in_order(&in->b));
    assert_true(in->b.times[0] == resumed);

    /* Deleted or killed while stopped. */
    in->b.env->ops->timer_set(clock.timer, rn_sim_now(in->sim) + 1);
    rn_sim_host_pause(in->b.env);
    send_numbers(in, 3);
    rn_sim_run_for(in->sim, RN_SECOND);
    in->b.env->ops->timer_del(clock.timer);
    rn_sim_host_kill(in->b.env);
    rn_sim_host_resume(in->b.env);
    run_all(in);
    assert_int_equal(count, 1);
    assert_int_equal(in->b.count, 3);
    world_del(in);
}

static void blocked_sends_become_writable(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_sim_host_block_sends(in->a.env, true);
    assert_int_equal(send_number(&in->a, &in->b_address, 1), RPCNET_ERR_AGAIN);
    run_all(in);
    assert_int_equal(in->a.writable, 0);
    rn_sim_host_block_sends(in->a.env, false);
    assert_int_equal(in->a.writable, 0);
    run_all(in);
    assert_int_equal(in->a.writable, 1);
    assert_int_equal(send_number(&in->a, &in->b_address, 2), RPCNET_OK);
    run_all(in);
    assert_int_equal(in->b.count, 1);
    assert_int_equal(in->a.writable, 1);
    world_del(in);
}

static void open_errors(void **state) {
    (void)state;
    world *in = world_new(1);
    peer other;
    assert_int_equal(try_open(&other, in->a.env, "10.0.0.1:1000", NULL), RPCNET_ERR_ADDRESS_IN_USE);
    assert_int_equal(try_open(&other, in->a.env, "0.0.0.0:1000", NULL), RPCNET_ERR_ADDRESS_IN_USE);
    assert_int_equal(try_open(&other, in->a.env, "10.0.0.2:1", NULL), RPCNET_ERR_ADDRESS);
    assert_int_equal(try_open(&other, in->a.env, "[::]:1", NULL), RPCNET_ERR_ADDRESS);
    assert_int_equal(try_open(&other, in->a.env, NULL, NULL), RPCNET_ERR_ADDRESS);
    rn_env *second = rn_sim_host_new(in->sim, "10.0.0.1"); /* another process, the same machine */
    assert_int_equal(try_open(&other, second, "10.0.0.1:1000", NULL), RPCNET_ERR_ADDRESS_IN_USE);
    assert_int_equal(try_open(&other, second, "0.0.0.0:0", NULL), RPCNET_OK);
    assert_int_not_equal(rn_address_port(second->ops->udp_address(other.udp)), 0);
    world_del(in);
}

static void ipv6_machines(void **state) {
    (void)state;
    rn_sim *sim = rn_sim_new(1);
    peer a;
    peer b;
    assert_int_equal(try_open(&a, rn_sim_host_new(sim, "2001:db8::1"), "[::]:1", NULL), RPCNET_OK);
    assert_int_equal(try_open(&b, rn_sim_host_new(sim, "2001:db8::2"), "[::]:2", NULL), RPCNET_OK);
    rn_address to;
    assert_int_equal(rn_address_parse(&to, "[2001:db8::2]:2"), RPCNET_OK);
    send_number(&a, &to, 9);
    assert_true(rn_sim_run_until_idle(sim, UINT64_MAX));
    assert_int_equal(b.numbers[0], 9);
    assert_true(rn_address_equal(&b.last.local, &to));
    rn_sim_del(sim);
}

typedef struct answer {
    rn_env *env;
    rn_resolve *resolve;
    unsigned count;
    int result;
    char text[RN_ADDRESS_TEXT_MAX];
} answer;

static void on_resolved(int result, const rn_address *addresses, size_t count, void *user) {
    answer *into = user;
    into->count++;
    into->result = result;
    assert_int_equal(count > 0, result == RPCNET_OK);
    if (count > 0) {
        rn_address_format(&addresses[0], into->text);
    }
    into->env->ops->resolve_cancel(into->resolve);
}

static void names_resolve(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_sim_set_name(in->sim, "director.example", "10.0.0.2");
    static const struct {
        const char *host;
        int result;
        const char *text;
    } cases[] = {{"director.example", RPCNET_OK, "10.0.0.2:7"},
                 {"localhost", RPCNET_OK, "10.0.0.1:7"},
                 {"192.0.2.1", RPCNET_OK, "192.0.2.1:7"},
                 {"2001:db8::5", RPCNET_OK, "[2001:db8::5]:7"},
                 {"nobody.example", RPCNET_ERR_ADDRESS, ""}};
    rn_env *env = in->a.env;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answer into = {.env = env};
        assert_int_equal(
            env->ops->resolve(env, cases[i].host, 7, on_resolved, &into, &into.resolve), RPCNET_OK);
        assert_int_equal(into.count, 0);
        run_all(in);
        assert_int_equal(into.count, 1);
        assert_int_equal(into.result, cases[i].result);
        assert_string_equal(into.text, cases[i].text);
    }
    answer cancelled = {.env = env};
    env->ops->resolve(env, "localhost", 1, on_resolved, &cancelled, &cancelled.resolve);
    env->ops->resolve_cancel(cancelled.resolve);
    answer left = {.env = env};
    env->ops->resolve(env, "localhost", 1, on_resolved, &left, &left.resolve);
    rn_sim_host_kill(env);
    run_all(in);
    assert_int_equal(cancelled.count + left.count, 0);
    world_del(in);
}

static void log_lines_have_virtual_time(void **state) {
    (void)state;
    world *in = world_new(1);
    RN_INFO(in->b.env->log, "test", "k=%d first", 1);
    rn_sim_run_for(in->sim, 61 * RN_SECOND);
    RN_DEBUG(in->b.env->log, "test", "filtered out");
    RN_WARN(in->a.env->log, "test", "second");
    assert_string_equal(rn_sim_log_text(in->sim),
                        "10.0.0.2 [2026-01-01T00:00:01Z INFO test] k=1 first\n"
                        "10.0.0.1 [2026-01-01T00:01:02Z WARN test] second\n");
    rn_sim_set_log_filter(in->sim, "error");
    rn_env *quiet = rn_sim_host_new(in->sim, "10.0.0.3");
    assert_false(rn_log_enabled(quiet->log, RN_LOG_WARN, "test"));
    world_del(in);
}

static void count_up(void *user) {
    (*(unsigned *)user)++;
}

static bool is_two(void *user) {
    return *(unsigned *)user == 2;
}

static void time_is_run_by_the_test(void **state) {
    (void)state;
    rn_sim *sim = rn_sim_new(1);
    unsigned count = 0;
    assert_false(rn_sim_step(sim));
    for (uint64_t i = 1; i <= 4; i++) {
        rn_sim_at(sim, i * 10 * RN_SECOND, count_up, &count);
    }
    rn_sim_run_until(sim, 10 * RN_SECOND);
    assert_int_equal(count, 1);
    assert_true(rn_sim_run_until_done(sim, is_two, &count, 100 * RN_SECOND));
    assert_true(rn_sim_now(sim) == 20 * RN_SECOND);
    assert_false(rn_sim_run_until_idle(sim, 30 * RN_SECOND));
    assert_int_equal(count, 3);
    assert_false(rn_sim_run_until_done(sim, is_two, &count, 30 * RN_SECOND));
    rn_sim_at(sim, 0, count_up, &count); /* the past is now */
    assert_true(rn_sim_step(sim));
    assert_true(rn_sim_now(sim) == 30 * RN_SECOND);
    assert_int_equal(count, 4);
    rn_sim_del(sim); /* one event is left */
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
        cmocka_unit_test(same_seed_same_run),
        cmocka_unit_test(connected_hears_unreachable),
        cmocka_unit_test(connected_hears_its_peer_alone),
        cmocka_unit_test(rebinding_changes_the_source),
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(kill_is_silent),
        cmocka_unit_test(kill_and_close_inside_receive),
        cmocka_unit_test(pause_holds_everything),
        cmocka_unit_test(blocked_sends_become_writable),
        cmocka_unit_test(open_errors),
        cmocka_unit_test(ipv6_machines),
        cmocka_unit_test(names_resolve),
        cmocka_unit_test(log_lines_have_virtual_time),
        cmocka_unit_test(time_is_run_by_the_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
