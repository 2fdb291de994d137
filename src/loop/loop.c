/* The loop itself: libuv's handles, clocks and randomness behind rn_env, deferred work, signals and
 * wake-ups. Timers, sockets and names have their own files. */
#include "loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/headroom.h"
#include "loop/internal.h"
#include "rpcnet/error.h"

enum { LOOP_DESCRIPTORS = 8 }; /* of libuv's and our own, with one to spare */

static const char log_target[] = "rpcnet::loop";

static uint64_t read_clock(clockid_t clock) {
    struct timespec at;
    int result = clock_gettime(clock, &at);
    assert(result == 0);
    (void)result;
    return (uint64_t)at.tv_sec * RN_SECOND + (uint64_t)at.tv_nsec;
}

static uint64_t loop_now(rn_env *env) {
    rn_loop *loop = rn_loop_of(env);
    return loop->running ? loop->now : read_clock(CLOCK_MONOTONIC);
}

static uint64_t loop_wall(rn_env *env) {
    (void)env;
    return read_clock(CLOCK_REALTIME);
}

static void loop_random(rn_env *env, void *out, size_t len) {
    (void)env;
    uint8_t *bytes = out;
    while (len > 0) {
        ssize_t got = getrandom(bytes, len, 0);
        if (got < 0) {
            assert(errno == EINTR);
            continue;
        }
        bytes += got;
        len -= (size_t)got;
    }
}

static void loop_defer(rn_env *env, rn_deferred *deferred) {
    rn_loop *loop = rn_loop_of(env);
    if (!rn_list_linked(&deferred->link)) {
        rn_list_append(&loop->end_of_turn, &deferred->link);
    }
}

static const rn_env_ops loop_ops = {
    .now = loop_now,
    .wall = loop_wall,
    .random = loop_random,
    .udp_open = rn_udp_open,
    .udp_send = rn_udp_send,
    .udp_address = rn_udp_address,
    .udp_close = rn_udp_close,
    .timer_new = rn_loop_timer_new,
    .timer_set = rn_loop_timer_set,
    .timer_del = rn_loop_timer_del,
    .defer = loop_defer,
    .resolve = rn_loop_resolve,
    .resolve_cancel = rn_loop_resolve_cancel,
};

void rn_loop_begin_callback(rn_loop *loop) {
    loop->now = read_clock(CLOCK_MONOTONIC);
}

static void run_end_of_turn(rn_loop *loop) {
    while (!rn_list_empty(&loop->end_of_turn)) {
        rn_deferred *deferred = RN_CONTAINER_OF(loop->end_of_turn.next, rn_deferred, link);
        rn_list_remove(&deferred->link);
        deferred->run(deferred->user);
    }
}

/* The last callback before the loop waits for the kernel: the turn ends here. */
static void on_prepare(uv_prepare_t *handle) {
    rn_loop *loop = handle->data;
    run_end_of_turn(loop);
    rn_loop_timers_arm(loop);
}

/* All that the kernel had to report has been called. */
static void on_check(uv_check_t *handle) {
    rn_loop_timers_run(handle->data);
}

static void on_idle(uv_idle_t *handle) {
    rn_loop *loop = handle->data;
    rn_loop_begin_callback(loop);
    /* What is deferred meanwhile waits for the next turn: a mark ends this one. */
    rn_list mark;
    rn_list_append(&loop->deferred, &mark);
    while (loop->deferred.next != &mark) {
        rn_list *link = loop->deferred.next;
        rn_list_remove(link);
        rn_loop_deferred *deferred = RN_CONTAINER_OF(link, rn_loop_deferred, link);
        deferred->fn(deferred);
    }
    rn_list_remove(&mark);
    if (rn_list_empty(&loop->deferred)) {
        uv_idle_stop(&loop->idle);
    }
}

void rn_loop_defer(rn_loop *loop, rn_loop_deferred *deferred) {
    if (rn_list_linked(&deferred->link)) {
        return;
    }
    rn_list_append(&loop->deferred, &deferred->link);
    uv_idle_start(&loop->idle, on_idle);
}

static void on_async(uv_async_t *handle) {
    rn_loop *loop = handle->data;
    rn_loop_begin_callback(loop);
    if (loop->wakeup != NULL) {
        loop->wakeup(loop->wakeup_user);
    }
}

static void on_signal(uv_signal_t *handle, int signal_number) {
    rn_loop_signal_slot *slot = handle->data;
    rn_loop_begin_callback(slot->loop);
    slot->fn(signal_number, slot->user);
}

/* libuv ends the process when it cannot make its first pipe, so we see whether there are enough. */
static int check_descriptors(void) {
    int spare[LOOP_DESCRIPTORS];
    size_t count = 0;
    int error = 0;
    while (count < LOOP_DESCRIPTORS && error == 0) {
        spare[count] = eventfd(0, EFD_CLOEXEC);
        error = spare[count] < 0 ? errno : 0;
        count += error == 0;
    }
    while (count > 0) {
        close(spare[--count]);
    }
    return rn_loop_is_out_of_descriptors(error) ? RPCNET_ERR_DESCRIPTORS : RPCNET_OK;
}

int rn_loop_new(rn_loop **out, const rn_loop_options *options) {
    assert(options->log != NULL);
    *out = NULL;
    int result = check_descriptors();
    if (result != RPCNET_OK) {
        return result;
    }
    rn_loop *loop = rn_headroom(RN_LOOP_HEADROOM_BYTES) ? calloc(1, sizeof *loop) : NULL;
    if (loop == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    loop->env = (rn_env){.ops = &loop_ops, .log = options->log};
    loop->options = *options;
    if (loop->options.udp_buffer_bytes == 0) {
        loop->options.udp_buffer_bytes = RN_LOOP_UDP_BUFFER_BYTES;
    }
    rn_list_init(&loop->deferred);
    rn_list_init(&loop->end_of_turn);
    rn_list_init(&loop->sockets);
    rn_list_init(&loop->resolves);
    rn_list_init(&loop->watches);
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return RPCNET_ERR_IO;
    }
    result = rn_loop_timers_init(loop);
    if (result != RPCNET_OK) {
        uv_loop_close(&loop->uv);
        free(loop);
        return result;
    }
    uv_prepare_init(&loop->uv, &loop->prepare);
    loop->prepare.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_init(&loop->uv, &loop->check);
    loop->check.data = loop;
    uv_check_start(&loop->check, on_check);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->idle.data = loop;
    if (uv_async_init(&loop->uv, &loop->async, on_async) != 0) {
        loop->async.loop = NULL; /* tells rn_loop_del that it is not there */
        rn_loop_del(loop);
        return RPCNET_ERR_IO;
    }
    loop->async.data = loop;
    signal(SIGPIPE, SIG_IGN);
    *out = loop;
    return RPCNET_OK;
}

void rn_loop_del(rn_loop *loop) {
    if (loop == NULL) {
        return;
    }
    assert(!loop->running);
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &loop->sockets) {
        rn_udp_close(RN_CONTAINER_OF(link, rn_udp, link));
    }
    rn_loop_resolves_close(loop);
    rn_loop_watches_close(loop);
    rn_loop_timers_close(loop);
    for (size_t i = 0; i < loop->signal_count; i++) {
        uv_close((uv_handle_t *)&loop->signals[i].handle, NULL);
    }
    if (loop->async.loop != NULL) {
        uv_close((uv_handle_t *)&loop->async, NULL);
    }
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
    }
    int result = uv_loop_close(&loop->uv);
    assert(result == 0);
    (void)result;
    assert(rn_list_empty(&loop->deferred) && rn_list_empty(&loop->resolves));
    rn_udp_batch_del(loop->batch);
    free(loop);
}

void rn_loop_note_descriptors(rn_loop *loop, const char *what) {
    uint64_t now = read_clock(CLOCK_MONOTONIC);
    loop->descriptors_out++;
    if (loop->descriptors_told_ns == 0 ||
        now - loop->descriptors_told_ns >= RN_LOOP_DESCRIPTORS_QUIET_NS) {
        RN_ERROR(loop->env.log, log_target, "times=%" PRIu64 " cannot open %s: %s",
                 loop->descriptors_out - loop->descriptors_told, what,
                 rpcnet_strerror(RPCNET_ERR_DESCRIPTORS));
        loop->descriptors_told = loop->descriptors_out;
        loop->descriptors_told_ns = now;
    }
}

uint64_t rn_loop_descriptors_out(const rn_loop *loop) {
    return loop->descriptors_out;
}

rn_env *rn_loop_env(rn_loop *loop) {
    return &loop->env;
}

void rn_loop_run(rn_loop *loop) {
    assert(!loop->running);
    loop->running = true;
    rn_loop_begin_callback(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    run_end_of_turn(loop); /* what the turn that called rn_loop_stop has left */
    loop->running = false;
}

void rn_loop_stop(rn_loop *loop) {
    uv_stop(&loop->uv);
}

static rn_loop_signal_slot *find_signal(rn_loop *loop, int signal_number) {
    for (size_t i = 0; i < loop->signal_count; i++) {
        if (loop->signals[i].handle.signum == signal_number) {
            return &loop->signals[i];
        }
    }
    for (size_t i = 0; i < loop->signal_count; i++) {
        if (loop->signals[i].fn == NULL) {
            return &loop->signals[i];
        }
    }
    if (loop->signal_count == RN_LOOP_SIGNALS_MAX) {
        return NULL;
    }
    rn_loop_signal_slot *slot = &loop->signals[loop->signal_count];
    if (uv_signal_init(&loop->uv, &slot->handle) != 0) {
        return NULL;
    }
    slot->handle.data = slot;
    slot->loop = loop;
    loop->signal_count++;
    return slot;
}

int rn_loop_signal(rn_loop *loop, int signal_number, rn_loop_signal_fn *fn, void *user) {
    rn_loop_signal_slot *slot = find_signal(loop, signal_number);
    if (slot == NULL) {
        return loop->signal_count == RN_LOOP_SIGNALS_MAX ? RPCNET_ERR_LIMIT : RPCNET_ERR_IO;
    }
    slot->fn = fn;
    slot->user = user;
    if (fn == NULL) {
        uv_signal_stop(&slot->handle);
        return RPCNET_OK;
    }
    if (uv_signal_start(&slot->handle, on_signal, signal_number) != 0) {
        slot->fn = NULL;
        return RPCNET_ERR_IO;
    }
    return RPCNET_OK;
}

void rn_loop_on_wakeup(rn_loop *loop, rn_loop_wakeup_fn *fn, void *user) {
    loop->wakeup = fn;
    loop->wakeup_user = user;
}

void rn_loop_wakeup(rn_loop *loop) {
    uv_async_send(&loop->async);
}
