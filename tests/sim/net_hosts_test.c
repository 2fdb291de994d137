/* Processes and machines of the simulated network: timers, clocks, ends, stops and new beginnings.
 */
#include "sim/net_world.h"

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

/* A process dies with all it knew; the next one on its port is another. */
static void restart_on_the_same_port(void **state) {
    (void)state;
    world *in = world_new(1);
    uint8_t noise[2][32];
    rn_env_random(in->b.env, noise[0], sizeof noise[0]);
    send_number(&in->a, &in->b_address, 1);
    rn_sim_run_for(in->sim, RN_MILLISECOND);
    rn_sim_host_kill(in->b.env);
    peer next;
    rn_env *env = rn_sim_host_new(in->sim, "10.0.0.2");
    assert_int_equal(try_open(&next, env, "10.0.0.2:2000", NULL), RPCNET_OK);
    next.echo = true;
    run_all(in);
    assert_int_equal(in->b.count, 0);
    assert_int_equal(next.count, 1); /* what was under way finds the port open again */
    assert_int_equal(in->a.count, 1);
    rn_env_random(env, noise[1], sizeof noise[1]);
    assert_memory_not_equal(noise[0], noise[1], sizeof noise[0]);

    for (uint32_t i = 0; i < 3; i++) { /* again and again; the old objects may stay */
        rn_sim_host_kill(next.env);
        send_number(&in->a, &in->b_address, i);
        run_all(in);
        assert_int_equal(
            try_open(&next, rn_sim_host_new(in->sim, "10.0.0.2"), "0.0.0.0:2000", NULL), RPCNET_OK);
        send_number(&in->a, &in->b_address, 10 + i);
        run_all(in);
        assert_int_equal(next.count, 1);
        assert_int_equal(next.numbers[0], 10 + i);
    }
    world_del(in);
}

static void interface_disappears_and_returns(void **state) {
    (void)state;
    world *in = world_new(1);
    peer neighbour; /* on the same machine */
    rn_env *env = rn_sim_host_new(in->sim, "10.0.0.2");
    assert_int_equal(try_open(&neighbour, env, "10.0.0.2:3000", NULL), RPCNET_OK);
    send_number(&in->a, &in->b_address, 1); /* under way */
    rn_sim_set_down(in->sim, "10.0.0.2", true);
    static const uint8_t data[300];
    assert_int_equal(send_bytes(&in->b, &in->a_address, data, 300, 100, 0), RPCNET_ERR_IO);
    send_number(&in->a, &in->b_address, 2);
    assert_int_equal(send_number(&neighbour, &in->b_address, 3), RPCNET_OK);
    rn_address closed = in->b_address;
    rn_address_set_port(&closed, 2001);
    peer client;
    assert_int_equal(try_open(&client, in->a.env, NULL, &closed), RPCNET_OK);
    send_number(&client, &closed, 4);
    run_all(in);
    assert_int_equal(in->a.count, 0);
    assert_int_equal(in->b.count, 1);
    assert_int_equal(in->b.numbers[0], 3);
    assert_int_equal(client.unreachable, 0); /* nobody there to say so */
    assert_int_equal(rn_sim_get_stats(in->sim)->down, 3 + 3);

    rn_sim_set_down(in->sim, "10.0.0.2", false);
    in->b.echo = true;
    send_number(&in->a, &in->b_address, 5);
    send_number(&client, &closed, 6);
    run_all(in);
    assert_int_equal(in->b.numbers[1], 5);
    assert_int_equal(in->a.numbers[0], 5);
    assert_int_equal(client.unreachable, 1);
    world_del(in);
}

static void skewed_clock_runs_its_timers(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_env *env = in->a.env;
    int calls[4];
    size_t count = 0;
    alarm_clock clock = {.env = env, .calls = calls, .count = &count};
    assert_int_equal(rn_env_timer_new(env, on_alarm, &clock, &clock.timer), RPCNET_OK);
    env->ops->timer_set(clock.timer, rn_env_now(env) + 1100 * RN_MILLISECOND);
    rn_sim_clock fast = {.skew_ppm = 100000, .wall_offset_ns = -(int64_t)(3600 * RN_SECOND)};
    rn_sim_host_set_clock(env, &fast); /* a timer that runs already goes faster, too */
    assert_true(rn_env_now(env) == RN_SIM_START);
    assert_true(rn_env_wall(env) == RN_SIM_WALL_START + RN_SIM_START - 3600 * RN_SECOND);
    run_all(in);
    assert_true(rn_sim_now(in->sim) == RN_SIM_START + RN_SECOND);
    assert_true(clock.time == RN_SIM_START + 1100 * RN_MILLISECOND);
    assert_true(rn_env_wall(env) == RN_SIM_WALL_START + clock.time - 3600 * RN_SECOND);
    assert_true(rn_env_now(in->b.env) == rn_sim_now(in->sim)); /* others have their own */

    uint64_t before = rn_env_now(env);
    env->ops->timer_set(clock.timer, before + 9 * RN_SECOND);
    rn_sim_clock slow = {.skew_ppm = -100000, .jump_ns = 3600 * RN_SECOND};
    rn_sim_host_set_clock(env, &slow); /* the deadline has passed with the jump */
    assert_true(rn_env_now(env) == before + 3600 * RN_SECOND);
    assert_true(rn_env_wall(env) == RN_SIM_WALL_START + before); /* not its jump, nor wrong now */
    assert_true(rn_sim_step(in->sim));
    assert_int_equal(count, 2);
    uint64_t start = rn_sim_now(in->sim);
    env->ops->timer_set(clock.timer, rn_env_now(env) + 9 * RN_SECOND);
    run_all(in);
    assert_true(rn_sim_now(in->sim) == start + 10 * RN_SECOND);
    env->ops->timer_set(clock.timer, RN_NEVER - 1); /* too far for a slow clock */
    run_all(in);
    assert_int_equal(count, 3);
    world_del(in);
}

/* At any rate, a timer fires neither before its deadline nor later than it must, and the clock
 * never goes back. */
static void timers_keep_to_any_clock(void **state) {
    (void)state;
    world *in = world_new(1);
    rn_env *env = in->a.env;
    int calls[2000];
    size_t count = 0;
    alarm_clock clock = {.env = env, .calls = calls, .count = &count};
    assert_int_equal(rn_env_timer_new(env, on_alarm, &clock, &clock.timer), RPCNET_OK);
    uint64_t last = rn_env_now(env);
    for (size_t i = 0; i < 1000; i++) {
        uint32_t noise[3];
        rn_env_random(in->b.env, noise, sizeof noise);
        rn_sim_clock to = {.skew_ppm = (int32_t)(noise[0] % 1999999) - 999999,
                           .jump_ns = noise[1] % 1000};
        rn_sim_host_set_clock(env, &to);
        assert_true(rn_env_now(env) >= last);
        uint64_t deadline = rn_env_now(env) + 1 + noise[2] % RN_SECOND;
        env->ops->timer_set(clock.timer, deadline);
        run_all(in);
        assert_int_equal(count, i + 1);
        last = clock.time;
        assert_in_range(clock.time - deadline, 0, 1); /* a clock twice as fast may step over it */
    }
    world_del(in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(kill_is_silent),
        cmocka_unit_test(kill_and_close_inside_receive),
        cmocka_unit_test(pause_holds_everything),
        cmocka_unit_test(blocked_sends_become_writable),
        cmocka_unit_test(restart_on_the_same_port),
        cmocka_unit_test(interface_disappears_and_returns),
        cmocka_unit_test(skewed_clock_runs_its_timers),
        cmocka_unit_test(timers_keep_to_any_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
