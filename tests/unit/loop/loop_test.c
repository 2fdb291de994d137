/* The loop as a whole: names, signals, wake-ups from another thread, clocks, the stderr sink. */
#include "fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

typedef struct answer {
    fixture *at;
    rn_resolve *resolve;
    unsigned count;
    int result;
    rn_address address;
} answer;

static void on_resolved(int result, const rn_address *addresses, size_t count, void *user) {
    answer *into = user;
    into->count++;
    into->result = result;
    assert_int_equal(count > 0, result == RPCNET_OK);
    into->address = count > 0 ? addresses[0] : (rn_address){0};
    into->at->env->ops->resolve_cancel(into->resolve); /* allowed, does nothing */
    rn_loop_stop(into->at->loop);
}

static void ask(answer *into, fixture *at, const char *host, uint16_t port) {
    *into = (answer){.at = at};
    assert_int_equal(at->env->ops->resolve(at->env, host, port, on_resolved, into, &into->resolve),
                     RPCNET_OK);
    assert_int_equal(into->count, 0); /* never inside the call */
    rn_loop_run(at->loop);
    assert_int_equal(into->count, 1);
}

static void resolves_names(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    answer into;
    char text[RN_ADDRESS_TEXT_MAX];
    ask(&into, at, "localhost", 61000);
    assert_int_equal(into.result, RPCNET_OK);
    rn_address_format(&into.address, text);
    assert_true(strcmp(text, "127.0.0.1:61000") == 0 || strcmp(text, "[::1]:61000") == 0);
    ask(&into, at, "127.0.0.9", 7);
    assert_int_equal(into.result, RPCNET_OK);
    assert_string_equal(rn_address_format(&into.address, text), "127.0.0.9:7");
    ask(&into, at, "2001:db8::1", 0);
    assert_int_equal(into.result, RPCNET_OK);
    assert_string_equal(rn_address_format(&into.address, text), "[2001:db8::1]:0");
    fixture_del(at);
}

static void refuses_bad_names(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    answer into = {.at = at};
    char host[RN_HOST_MAX + 2];
    memset(host, 'a', sizeof host);
    host[RN_HOST_MAX + 1] = '\0';
    assert_int_equal(at->env->ops->resolve(at->env, host, 1, on_resolved, &into, &into.resolve),
                     RPCNET_ERR_ADDRESS);
    assert_int_equal(at->env->ops->resolve(at->env, "", 1, on_resolved, &into, &into.resolve),
                     RPCNET_ERR_ADDRESS);
    /* A label of a name has at most 63 bytes, so the resolver need not ask anybody. */
    host[RN_HOST_MAX] = '\0';
    ask(&into, at, host, 1);
    assert_int_equal(into.result, RPCNET_ERR_ADDRESS);
    fixture_del(at);
}

static void on_resolved_aside(int result, const rn_address *addresses, size_t count, void *user) {
    (void)result;
    (void)addresses;
    (void)count;
    ((answer *)user)->count++;
}

static void cancelled_is_silent(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    answer numeric = {.at = at};
    answer name = {.at = at};
    answer left = {.at = at};
    const rn_env_ops *ops = at->env->ops;
    assert_int_equal(ops->resolve(at->env, "127.0.0.1", 1, on_resolved, &numeric, &numeric.resolve),
                     RPCNET_OK);
    assert_int_equal(ops->resolve(at->env, "localhost", 1, on_resolved, &name, &name.resolve),
                     RPCNET_OK);
    assert_int_equal(ops->resolve(at->env, "localhost", 1, on_resolved_aside, &left, &left.resolve),
                     RPCNET_OK);
    ops->resolve_cancel(numeric.resolve);
    ops->resolve_cancel(name.resolve);
    ops->resolve_cancel(NULL);
    answer last;
    ask(&last, at, "localhost", 2);
    assert_int_equal(numeric.count, 0);
    assert_int_equal(name.count, 0);
    fixture_del(at); /* `left` may wait still */
}

typedef struct caught {
    fixture *at;
    int signals[8];
    size_t count;
    size_t stop_at;
} caught;

static void on_signal(int signal_number, void *user) {
    caught *into = user;
    into->signals[into->count++] = signal_number;
    if (into->count == into->stop_at) {
        rn_loop_stop(into->at->loop);
    }
}

static void signals_become_callbacks(void **state) {
    (void)state;
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    caught into = {.at = fixture_new((rn_loop_options){0}), .stop_at = 1};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rn_loop_signal(into.at->loop, numbers[i], on_signal, &into), RPCNET_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        into.count = 0;
        pthread_kill(pthread_self(), numbers[i]);
        assert_int_equal(into.count, 0);
        rn_loop_run(into.at->loop);
        assert_int_equal(into.count, 1);
        assert_int_equal(into.signals[0], numbers[i]);
    }
    pthread_kill(pthread_self(), SIGPIPE); /* would end the process */
    assert_int_equal(rn_loop_signal(into.at->loop, SIGHUP, NULL, NULL), RPCNET_OK);
    assert_int_equal(rn_loop_signal(into.at->loop, SIGHUP, on_signal, &into), RPCNET_OK);
    into.count = 0;
    pthread_kill(pthread_self(), SIGHUP);
    rn_loop_run(into.at->loop);
    assert_int_equal(into.signals[0], SIGHUP);
    assert_int_equal(rn_loop_signal(into.at->loop, SIGKILL, on_signal, &into), RPCNET_ERR_IO);
    fixture_del(into.at);
}

static void signals_are_limited(void **state) {
    (void)state;
    caught into = {.at = fixture_new((rn_loop_options){0})};
    for (int i = 0; i < RN_LOOP_SIGNALS_MAX; i++) {
        assert_int_equal(rn_loop_signal(into.at->loop, SIGRTMIN + i, on_signal, &into), RPCNET_OK);
    }
    assert_int_equal(
        rn_loop_signal(into.at->loop, SIGRTMIN + RN_LOOP_SIGNALS_MAX, on_signal, &into),
        RPCNET_ERR_LIMIT);
    assert_int_equal(rn_loop_signal(into.at->loop, SIGRTMIN, NULL, NULL), RPCNET_OK);
    assert_int_equal(
        rn_loop_signal(into.at->loop, SIGRTMIN + RN_LOOP_SIGNALS_MAX, on_signal, &into), RPCNET_OK);
    fixture_del(into.at);
}

enum { WAKEUPS = 1000 };

typedef struct shared {
    fixture *at;
    atomic_uint sent;
    unsigned seen;
} shared;

static void on_wakeup(void *user) {
    shared *with = user;
    with->seen = atomic_load(&with->sent);
    if (with->seen == WAKEUPS) {
        rn_loop_stop(with->at->loop);
    }
}

static void *wake(void *user) {
    shared *with = user;
    for (unsigned i = 0; i < WAKEUPS; i++) {
        atomic_fetch_add(&with->sent, 1);
        rn_loop_wakeup(with->at->loop);
    }
    return NULL;
}

static void wakeup_from_another_thread(void **state) {
    (void)state;
    shared with = {.at = fixture_new((rn_loop_options){0})};
    rn_loop_on_wakeup(with.at->loop, on_wakeup, &with);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake, &with), 0);
    rn_loop_run(with.at->loop); /* ends only if no wake-up is lost */
    assert_int_equal(with.seen, WAKEUPS);
    pthread_join(thread, NULL);
    fixture_del(with.at);
}

static void clocks_and_randomness(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    uint64_t first = rn_env_now(at->env);
    assert_true(first > 0);
    assert_true(rn_env_now(at->env) >= first);
    assert_true(rn_env_wall(at->env) > UINT64_C(1700000000) * RN_SECOND);
    uint8_t one[32] = {0};
    uint8_t two[32] = {0};
    rn_env_random(at->env, one, sizeof one);
    rn_env_random(at->env, two, sizeof two);
    assert_memory_not_equal(one, two, sizeof one);
    rn_env_random(at->env, NULL, 0);
    rn_env_commit(at->env, NULL, RN_DIRTY_PACKET_NUMBERS); /* no hook: nothing happens */
    fixture_del(at);
}

static void stop_before_run_returns_at_once(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    rn_loop_stop(at->loop);
    rn_loop_run(at->loop);
    fixture_del(at);
    rn_loop_del(NULL);
}

/* Everything left open is closed with the loop; the sanitizers see what is not. */
static void del_closes_what_is_left(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    peer left;
    peer_open(&left, at, "127.0.0.1:0", NULL);
    assert_int_equal(peer_send(&left, peer_address(&left), "x", 1, 1, 0), RPCNET_OK);
    rn_timer *timer = NULL;
    assert_int_equal(rn_env_timer_new(at->env, peer_batch_end, &left, &timer), RPCNET_OK);
    at->env->ops->timer_set(timer, 1);
    fixture_del(at);
    assert_int_equal(left.count, 0);
    assert_int_equal(left.batches, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_names),
        cmocka_unit_test(refuses_bad_names),
        cmocka_unit_test(cancelled_is_silent),
        cmocka_unit_test(signals_become_callbacks),
        cmocka_unit_test(signals_are_limited),
        cmocka_unit_test(wakeup_from_another_thread),
        cmocka_unit_test(clocks_and_randomness),
        cmocka_unit_test(stop_before_run_returns_at_once),
        cmocka_unit_test(del_closes_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
