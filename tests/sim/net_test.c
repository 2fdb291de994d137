/* The simulated network keeps its promises: addresses, names, time, and the same run for a seed. */
#include "sim/net_world.h"

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
                        .reorder = 0.1,
                        .corrupt = 0.1,
                        .rate_bps = 2000000,
                        .queue_bytes = 1000};
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
        cmocka_unit_test(same_seed_same_run),
        cmocka_unit_test(connected_hears_unreachable),
        cmocka_unit_test(connected_hears_its_peer_alone),
        cmocka_unit_test(rebinding_changes_the_source),
        cmocka_unit_test(open_errors),
        cmocka_unit_test(ipv6_machines),
        cmocka_unit_test(names_resolve),
        cmocka_unit_test(log_lines_have_virtual_time),
        cmocka_unit_test(time_is_run_by_the_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
