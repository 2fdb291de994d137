/* Tests of watches: a foreign descriptor wakes the loop, in each turn while it is readable. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fixture.h"

typedef struct seen {
    fixture *at;
    rn_loop_watch *watch;
    int fd;
    int calls;
    int stop_at;
    bool read_it;  /* so that it is not readable any more */
    bool close_it; /* deletes the watch and closes the descriptor inside */
} seen;

static void on_watch(void *user) {
    seen *see = user;
    see->calls++;
    if (see->read_it) {
        uint64_t value;
        assert_int_equal(read(see->fd, &value, sizeof value), sizeof value);
    }
    if (see->close_it) {
        rn_loop_watch_del(see->watch);
        close(see->fd);
        see->fd = -1;
    }
    if (see->calls == see->stop_at) {
        rn_loop_stop(see->at->loop);
    }
}

static void stop(void *user) {
    rn_loop_stop(((seen *)user)->at->loop);
}

/* Runs the loop for some more turns. */
static void run_for(seen *see, uint64_t time_ns) {
    rn_timer *timer;
    assert_int_equal(rn_env_timer_new(see->at->env, stop, see, &timer), RPCNET_OK);
    see->at->env->ops->timer_set(timer, rn_env_now(see->at->env) + time_ns);
    rn_loop_run(see->at->loop);
    see->at->env->ops->timer_del(timer);
}

static void run_on(seen *see) {
    run_for(see, RN_MILLISECOND);
}

static void watch_event(seen *see, fixture *at, unsigned value) {
    *see = (seen){.at = at, .fd = eventfd(value, EFD_CLOEXEC)};
    assert_true(see->fd >= 0);
    assert_int_equal(rn_loop_watch_new(&see->watch, at->loop, see->fd, on_watch, see), RPCNET_OK);
}

static void test_calls_while_readable(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    seen see;
    watch_event(&see, at, 0);
    run_on(&see);
    assert_int_equal(see.calls, 0);
    assert_int_equal(eventfd_write(see.fd, 1), 0);
    see.stop_at = 3; /* nobody reads, so each turn calls */
    rn_loop_run(at->loop);
    assert_int_equal(see.calls, 3);
    see.read_it = true;
    run_on(&see);
    assert_int_equal(see.calls, 4);
    rn_loop_watch_del(see.watch);
    assert_int_equal(eventfd_write(see.fd, 1), 0);
    run_on(&see);
    assert_int_equal(see.calls, 4);
    close(see.fd);
    fixture_del(at);
}

static void test_deleted_in_its_callback(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    seen see;
    watch_event(&see, at, 1);
    see.close_it = true;
    run_on(&see);
    assert_int_equal(see.calls, 1);
    rn_loop_watch_del(NULL);
    fixture_del(at);
}

static void test_an_epoll_descriptor(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    int event = eventfd(0, EFD_CLOEXEC);
    seen see = {.at = at, .fd = epoll_create1(EPOLL_CLOEXEC), .stop_at = 1};
    struct epoll_event wanted = {.events = EPOLLIN};
    assert_true(event >= 0 && see.fd >= 0);
    assert_int_equal(epoll_ctl(see.fd, EPOLL_CTL_ADD, event, &wanted), 0);
    assert_int_equal(rn_loop_watch_new(&see.watch, at->loop, see.fd, on_watch, &see), RPCNET_OK);
    assert_int_equal(eventfd_write(event, 1), 0);
    rn_loop_run(at->loop);
    assert_int_equal(see.calls, 1);
    rn_loop_watch_del(see.watch);
    close(see.fd);
    close(event);
    fixture_del(at);
}

/* libuv watches a descriptor no longer that has an error. */
static void test_an_error_ends_no_watch(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]); /* the other one has an error from now on */
    seen see = {.at = at, .fd = ends[1], .stop_at = 3};
    assert_int_equal(rn_loop_watch_new(&see.watch, at->loop, see.fd, on_watch, &see), RPCNET_OK);
    run_for(&see, 10 * RN_SECOND);
    assert_int_equal(see.calls, 3);
    rn_loop_watch_del(see.watch);
    close(see.fd);
    fixture_del(at);
}

static void test_what_cannot_be_watched(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    rn_loop_watch *watch;
    assert_int_equal(rn_loop_watch_new(&watch, at->loop, -1, on_watch, NULL), RPCNET_ERR_IO);
    assert_null(watch);
    fixture_del(at);
}

static void test_left_to_the_loop(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    seen see;
    watch_event(&see, at, 1);
    int fd = see.fd;
    fixture_del(at);
    assert_int_equal(see.calls, 0);
    assert_int_equal(close(fd), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_while_readable), cmocka_unit_test(test_deleted_in_its_callback),
        cmocka_unit_test(test_an_epoll_descriptor),  cmocka_unit_test(test_what_cannot_be_watched),
        cmocka_unit_test(test_left_to_the_loop),     cmocka_unit_test(test_an_error_ends_no_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
