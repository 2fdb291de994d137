/* Timers: a heap of deadlines and one timer descriptor for the earliest, because libuv's own timers
 * count milliseconds and QUIC's pacing and loss timers need less. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loop/internal.h"
#include "rpcnet/error.h"

struct rn_timer {
    rn_loop *loop;
    rn_heap_node node; /* stays in the heap from _new to _del, so that _set cannot fail */
    rn_list due;       /* in rn_loop.due when its deadline has passed in this turn */
    rn_timer_fn *fn;
    void *user;
};

static rn_timer *timer_of(rn_heap_node *node) {
    return RN_CONTAINER_OF(node, rn_timer, node);
}

static void set_key(rn_timer *timer, uint64_t key) {
    int result = rn_heap_set(&timer->loop->timers, &timer->node, key);
    assert(result == RPCNET_OK); /* a move takes no memory */
    (void)result;
}

static void on_timer_fd(uv_poll_t *handle, int status, int events) {
    (void)status;
    (void)events;
    rn_loop *loop = handle->data;
    /* The descriptor is not read: arming it anew, before the next wait, clears its count. */
    loop->timer_armed = 0;
}

/* Behind the sockets: what lies in them may be the acknowledgement that a loss timer waits for. A
 * loop that is late would else send again what has arrived, and be later still. */
void rn_loop_timers_run(rn_loop *loop) {
    if (loop->timer_armed != 0) {
        return;
    }
    rn_loop_begin_callback(loop);
    /* All that are due leave the heap first: a timer set to the past inside a callback then waits
     * for the next turn instead of holding this one. */
    rn_heap_node *node;
    while ((node = rn_heap_first(&loop->timers)) != NULL && node->key <= loop->now) {
        assert(node->key != RN_NEVER);
        rn_timer *timer = timer_of(node);
        set_key(timer, RN_NEVER);
        rn_list_append(&loop->due, &timer->due);
    }
    while (!rn_list_empty(&loop->due)) {
        rn_timer *timer = RN_CONTAINER_OF(loop->due.next, rn_timer, due);
        rn_list_remove(&timer->due);
        timer->fn(timer->user);
    }
}

int rn_loop_timers_init(rn_loop *loop) {
    rn_heap_init(&loop->timers);
    rn_list_init(&loop->due);
    loop->timer_armed = RN_NEVER;
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0) {
        return rn_loop_is_out_of_descriptors(errno) ? RPCNET_ERR_DESCRIPTORS : RPCNET_ERR_IO;
    }
    if (uv_poll_init(&loop->uv, &loop->timer_poll, loop->timer_fd) != 0) {
        close(loop->timer_fd);
        return RPCNET_ERR_IO;
    }
    loop->timer_poll.data = loop;
    uv_poll_start(&loop->timer_poll, UV_READABLE, on_timer_fd);
    return RPCNET_OK;
}

void rn_loop_timers_arm(rn_loop *loop) {
    const rn_heap_node *first = rn_heap_first(&loop->timers);
    uint64_t deadline = first != NULL ? first->key : RN_NEVER;
    /* A deadline that moved away keeps the earlier alarm: one wake-up in vain costs less than a
     * system call in each turn of a connection that pushes its loss timer along. 0: it has rung. */
    if (deadline == loop->timer_armed || (deadline > loop->timer_armed && loop->timer_armed != 0)) {
        return;
    }
    struct itimerspec at = {0}; /* all zero disarms, and clears what has rung */
    if (deadline != RN_NEVER) {
        at.it_value.tv_sec = (time_t)(deadline / RN_SECOND);
        at.it_value.tv_nsec = (long)(deadline % RN_SECOND);
        if (deadline == 0) {
            at.it_value.tv_nsec = 1;
        }
    }
    int result = timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    assert(result == 0);
    (void)result;
    loop->timer_armed = deadline;
}

void rn_loop_timers_close(rn_loop *loop) {
    rn_heap_node *node;
    while ((node = rn_heap_first(&loop->timers)) != NULL) {
        rn_loop_timer_del(timer_of(node));
    }
    rn_heap_fini(&loop->timers);
    uv_close((uv_handle_t *)&loop->timer_poll, NULL);
    close(loop->timer_fd);
}

int rn_loop_timer_new(rn_env *env, rn_timer_fn *fn, void *user, rn_timer **out) {
    *out = NULL;
    rn_loop *loop = rn_loop_of(env);
    rn_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    timer->loop = loop;
    timer->fn = fn;
    timer->user = user;
    rn_list_init(&timer->due);
    int result = rn_heap_set(&loop->timers, &timer->node, RN_NEVER);
    if (result != RPCNET_OK) {
        free(timer);
        return result;
    }
    *out = timer;
    return RPCNET_OK;
}

void rn_loop_timer_set(rn_timer *timer, uint64_t deadline) {
    rn_list_remove(&timer->due);
    set_key(timer, deadline);
}

void rn_loop_timer_del(rn_timer *timer) {
    if (timer == NULL) {
        return;
    }
    rn_list_remove(&timer->due);
    rn_heap_remove(&timer->loop->timers, &timer->node);
    free(timer);
}
