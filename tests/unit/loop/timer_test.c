/* Timers of the loop: order and safety of changes inside callbacks; no assertion about how long
 * anything took. */
#include <time.h>

#include "fixture.h"

enum { CALLS_MAX = 64 };

typedef struct record {
    fixture *at;
    size_t count;
    size_t stop_at;
    int calls[CALLS_MAX];
    uint64_t times[CALLS_MAX];
} record;

typedef struct alarm_clock {
    record *record;
    rn_timer *timer;
    int name;
    struct alarm_clock *victim; /* deleted when this one rings */
    struct alarm_clock *moved;  /* put off for ever when this one rings */
    unsigned again;             /* how often it sets itself to the past when it rings */
} alarm_clock;

static void on_alarm(void *user) {
    alarm_clock *at = user;
    record *into = at->record;
    assert_true(into->count < CALLS_MAX);
    into->calls[into->count] = at->name;
    into->times[into->count] = rn_env_now(into->at->env);
    into->count++;
    const rn_env_ops *ops = into->at->env->ops;
    if (at->victim != NULL) {
        ops->timer_del(at->victim->timer);
        at->victim->timer = NULL;
    }
    if (at->moved != NULL) {
        ops->timer_set(at->moved->timer, RN_NEVER);
    }
    if (at->again > 0) {
        at->again--;
        ops->timer_set(at->timer, 0);
    }
    if (into->count == into->stop_at) {
        rn_loop_stop(into->at->loop);
    }
}

static void alarm_init(alarm_clock *out, record *into, int name) {
    *out = (alarm_clock){.record = into, .name = name};
    assert_int_equal(rn_env_timer_new(into->at->env, on_alarm, out, &out->timer), RPCNET_OK);
}

static void alarm_set(alarm_clock *at, uint64_t deadline) {
    at->record->at->env->ops->timer_set(at->timer, deadline);
}

static void expect_calls(const record *at, const int *names, size_t count) {
    assert_int_equal(at->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(at->calls[i], names[i]);
    }
}

static void order_of_nanoseconds(void **state) {
    (void)state;
    record into = {.at = fixture_new((rn_loop_options){0}), .stop_at = 4};
    alarm_clock clocks[4];
    uint64_t deadlines[4];
    uint64_t start = rn_env_now(into.at->env) + 2 * RN_MILLISECOND;
    static const uint64_t after[] = {300, 100, 400 * RN_MICROSECOND, 200};
    for (int i = 0; i < 4; i++) {
        alarm_init(&clocks[i], &into, i);
        deadlines[i] = start + after[i];
        alarm_set(&clocks[i], deadlines[i]);
    }
    rn_loop_run(into.at->loop);
    expect_calls(&into, (int[]){1, 3, 0, 2}, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(into.times[i] >= deadlines[into.calls[i]]); /* never too early */
    }
    fixture_del(into.at);
}

/* All are due in the same turn; the first one deletes the second and stops the third. */
static void changes_inside_callbacks(void **state) {
    (void)state;
    record into = {.at = fixture_new((rn_loop_options){0}), .stop_at = 3};
    alarm_clock clocks[5];
    for (int i = 0; i < 5; i++) {
        alarm_init(&clocks[i], &into, i);
        alarm_set(&clocks[i], (uint64_t)i + 1);
    }
    clocks[0].victim = &clocks[1];
    clocks[0].moved = &clocks[2];
    clocks[3].victim = &clocks[3]; /* itself */
    rn_loop_run(into.at->loop);
    expect_calls(&into, (int[]){0, 3, 4}, 3);
    assert_null(clocks[1].timer);
    assert_null(clocks[3].timer);
    fixture_del(into.at);
}

/* One that sets itself to the past waits for the next turn, behind those of this turn. */
static void past_is_the_next_turn(void **state) {
    (void)state;
    record into = {.at = fixture_new((rn_loop_options){0}), .stop_at = 5};
    alarm_clock first;
    alarm_clock second;
    alarm_init(&first, &into, 1);
    alarm_init(&second, &into, 2);
    first.again = 3;
    alarm_set(&first, 1);
    alarm_set(&second, 2);
    rn_loop_run(into.at->loop);
    expect_calls(&into, (int[]){1, 2, 1, 1, 1}, 5);
    fixture_del(into.at);
}

/* Put off and drawn near again: the last deadline counts. */
static void moved_deadlines(void **state) {
    (void)state;
    record into = {.at = fixture_new((rn_loop_options){0}), .stop_at = 2};
    alarm_clock first;
    alarm_clock second;
    alarm_init(&first, &into, 1);
    alarm_init(&second, &into, 2);
    uint64_t now = rn_env_now(into.at->env);
    alarm_set(&first, now);
    alarm_set(&second, now + RN_MILLISECOND);
    alarm_set(&first, now + 3 * RN_MILLISECOND);
    rn_loop_run(into.at->loop);
    expect_calls(&into, (int[]){2, 1}, 2);
    into.stop_at = 4;
    alarm_set(&first, rn_env_now(into.at->env) + 3600 * RN_SECOND);
    alarm_set(&second, 0);
    alarm_set(&first, RN_NEVER);
    alarm_set(&first, 1);
    rn_loop_run(into.at->loop);
    expect_calls(&into, (int[]){2, 1, 2, 1}, 4);
    fixture_del(into.at);
}

static void stopped_does_not_ring(void **state) {
    (void)state;
    record into = {.at = fixture_new((rn_loop_options){0}), .stop_at = 1};
    alarm_clock stopped;
    alarm_clock deleted;
    alarm_clock last;
    alarm_init(&stopped, &into, 1);
    alarm_init(&deleted, &into, 2);
    alarm_init(&last, &into, 3);
    uint64_t now = rn_env_now(into.at->env);
    alarm_set(&stopped, now);
    alarm_set(&deleted, now);
    alarm_set(&last, now + RN_MILLISECOND);
    alarm_set(&stopped, RN_NEVER);
    into.at->env->ops->timer_del(deleted.timer);
    into.at->env->ops->timer_del(NULL);
    rn_loop_run(into.at->loop);
    expect_calls(&into, (int[]){3}, 1);
    fixture_del(into.at);
}

static void time_stands_still_in_callbacks(void *user) {
    record *into = user;
    uint64_t first = rn_env_now(into->at->env);
    uint8_t noise[64];
    for (size_t i = 0; i < 1000; i++) {
        rn_env_random(into->at->env, noise, sizeof noise);
    }
    assert_true(rn_env_now(into->at->env) == first);
    rn_loop_stop(into->at->loop);
}

static void now_is_sampled_once(void **state) {
    (void)state;
    record into = {.at = fixture_new((rn_loop_options){0})};
    rn_timer *timer = NULL;
    assert_int_equal(rn_env_timer_new(into.at->env, time_stands_still_in_callbacks, &into, &timer),
                     RPCNET_OK);
    into.at->env->ops->timer_set(timer, 1);
    rn_loop_run(into.at->loop);
    fixture_del(into.at); /* the timer goes with the loop */
}

/* ---- beside sockets ---- */

typedef struct late_turn {
    fixture *at;
    peer one;
    peer other;
    rn_timer *timer;
    uint64_t delay;
    uint64_t deadline;
    bool heard;
    bool rang;
} late_turn;

static uint64_t clock_now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * RN_SECOND + (uint64_t)at.tv_nsec;
}

static void begin_late_turn(late_turn *t) {
    t->delay *= 2;
    t->deadline = clock_now() + t->delay;
    t->at->env->ops->timer_set(t->timer, t->deadline);
    assert_int_equal(peer_send(&t->other, peer_address(&t->one), "1", 1, 1, 0), RPCNET_OK);
}

/* The turn lasts until the timer is due, and only then the other socket gets something. */
static void on_first(const rn_datagram *datagram, void *user) {
    late_turn *t = user;
    (void)datagram;
    if (clock_now() >= t->deadline) {
        begin_late_turn(t); /* the machine was slow: the timer has rung before */
        return;
    }
    while (clock_now() <= t->deadline) {
    }
    assert_int_equal(peer_send(&t->one, peer_address(&t->other), "2", 1, 1, 0), RPCNET_OK);
}

static void on_second(const rn_datagram *datagram, void *user) {
    late_turn *t = user;
    (void)datagram;
    assert_false(t->rang);
    t->heard = true;
}

static void on_late(void *user) {
    late_turn *t = user;
    t->rang = true;
    rn_loop_stop(t->at->loop);
}

static void open_with(late_turn *t, peer *out,
                      void (*receive)(const rn_datagram *datagram, void *user)) {
    rn_udp_options options = {0};
    rn_udp_handler handler = {.receive = receive};
    *out = (peer){.at = t->at};
    assert_int_equal(rn_address_parse(&options.bind, "127.0.0.1:0"), RPCNET_OK);
    assert_int_equal(rn_env_udp_open(t->at->env, &options, &handler, t, &out->udp), RPCNET_OK);
}

static void sockets_come_first(void **state) {
    (void)state;
    late_turn t = {.at = fixture_new((rn_loop_options){0}), .delay = RN_MILLISECOND};
    open_with(&t, &t.one, on_first);
    open_with(&t, &t.other, on_second);
    assert_int_equal(rn_env_timer_new(t.at->env, on_late, &t, &t.timer), RPCNET_OK);
    begin_late_turn(&t);
    rn_loop_run(t.at->loop);
    assert_true(t.rang);
    assert_true(t.heard);
    fixture_del(t.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_nanoseconds),  cmocka_unit_test(changes_inside_callbacks),
        cmocka_unit_test(past_is_the_next_turn), cmocka_unit_test(moved_deadlines),
        cmocka_unit_test(stopped_does_not_ring), cmocka_unit_test(now_is_sampled_once),
        cmocka_unit_test(sockets_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
