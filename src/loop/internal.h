/* What the files of src/loop share: the loop's parts and the socket. Private to this folder. */
#ifndef RN_LOOP_INTERNAL_H
#define RN_LOOP_INTERNAL_H

#include <errno.h>
#include <uv.h>

#include "base/env.h"
#include "base/heap.h"
#include "base/list.h"
#include "loop/loop.h"

/* libuv ends the process when it has no memory to watch one more descriptor: its table of them
 * grows to twice its size. So it is asked for before (base/headroom.h). */
enum { RN_LOOP_HEADROOM_BYTES = 256 * 1024 };

/* Work put off to the next turn, so that a caller is not called back from its own call. */
typedef struct rn_loop_deferred {
    rn_list link; /* in rn_loop.deferred while waiting */
    void (*fn)(struct rn_loop_deferred *deferred);
} rn_loop_deferred;

typedef struct rn_loop_signal_slot {
    uv_signal_t handle;
    rn_loop *loop;
    rn_loop_signal_fn *fn;
    void *user;
} rn_loop_signal_slot;

/* The memory that one batch of datagrams is received into; sockets of a loop share it. */
typedef struct rn_udp_batch rn_udp_batch;

struct rn_loop {
    rn_env env; /* first: rn_loop_env and back */
    rn_loop_options options;
    uv_loop_t uv;
    bool running;
    uint64_t now;

    uv_prepare_t prepare; /* arms the timer descriptor before each wait */
    uv_check_t check;     /* behind all sockets of a turn: the timers */
    uv_idle_t idle;       /* runs `deferred`; active while there is some */
    rn_list deferred;
    rn_list end_of_turn; /* rn_deferred of rn_env */

    int timer_fd;
    uv_poll_t timer_poll;
    uint64_t timer_armed; /* deadline in the kernel; RN_NEVER: none; 0: it has rung */
    rn_heap timers;       /* every timer, stopped ones with the key RN_NEVER */
    rn_list due;          /* timers about to be called in this turn */

    rn_list sockets;
    rn_udp_batch *batch; /* NULL until the first socket */
    bool udp_buffer_warned;

    rn_list resolves;
    rn_list watches;

    uv_async_t async;
    rn_loop_wakeup_fn *wakeup;
    void *wakeup_user;

    uint64_t descriptors_out;     /* see rn_loop_note_descriptors */
    uint64_t descriptors_told_ns; /* when the log was told last; 0: never */
    uint64_t descriptors_told;    /* of how many */

    rn_loop_signal_slot signals[RN_LOOP_SIGNALS_MAX];
    size_t signal_count;
};

static inline rn_loop *rn_loop_of(rn_env *env) {
    return RN_CONTAINER_OF(env, rn_loop, env);
}

/* loop.c: every callback of libuv begins with this: `now` is sampled. */
void rn_loop_begin_callback(rn_loop *loop);
void rn_loop_defer(rn_loop *loop, rn_loop_deferred *deferred); /* nothing if it waits already */

static inline bool rn_loop_is_out_of_descriptors(int error) {
    return error == EMFILE || error == ENFILE;
}

/* timer.c */
int rn_loop_timers_init(rn_loop *loop);
void rn_loop_timers_run(rn_loop *loop); /* those that are due, if the descriptor has rung */
void rn_loop_timers_arm(rn_loop *loop);
void rn_loop_timers_close(rn_loop *loop); /* deletes all timers, closes the descriptor */
int rn_loop_timer_new(rn_env *env, rn_timer_fn *fn, void *user, rn_timer **out);
void rn_loop_timer_set(rn_timer *timer, uint64_t deadline);
void rn_loop_timer_del(rn_timer *timer);

/* watch.c */
void rn_loop_watches_close(rn_loop *loop);

/* resolve.c */
int rn_loop_resolve(rn_env *env, const char *host, uint16_t port, rn_resolve_fn *fn, void *user,
                    rn_resolve **out);
void rn_loop_resolve_cancel(rn_resolve *resolve);
void rn_loop_resolves_close(rn_loop *loop);

/* A UDP socket. It is closed in two steps: `closed` from rn_env's udp_close on, freed when libuv
 * has let go of the handle; so a callback may close the socket that calls it. */
struct rn_udp {
    rn_loop *loop;
    rn_list link; /* in rn_loop.sockets until closed */
    int fd;
    uv_poll_t poll;
    rn_udp_handler handler;
    void *user;
    rn_address address;
    bool connected;
    bool wildcard; /* bound to no particular address */
    bool closed;
    bool gso;
    bool blocked;          /* the kernel took no more: waiting for UV_WRITABLE */
    bool wants_writable;   /* a send was answered with RPCNET_ERR_AGAIN */
    rn_transmit pending;   /* the rest of a transmit of which a part went out; data owned here */
    bool refused;          /* the kernel said so; told once nothing is left to be received */
    rn_loop_deferred hear; /* receives, and tells that it was refused */
};

/* udp.c */
int rn_udp_open(rn_env *env, const rn_udp_options *options, const rn_udp_handler *handler,
                void *user, rn_udp **out);
const rn_address *rn_udp_address(const rn_udp *udp);
void rn_udp_close(rn_udp *udp);
void rn_udp_watch(rn_udp *udp); /* tells libuv what to wait for */

/* udp_option.c */
void rn_udp_set_options(rn_udp *udp, int family); /* before bind; what the kernel lacks is off */

/* udp_receive.c */
int rn_udp_batch_new(rn_udp_batch **out);
void rn_udp_batch_del(rn_udp_batch *batch);
void rn_udp_receive(rn_udp *udp); /* the socket may be closed afterwards */

/* udp_send.c */
int rn_udp_send(rn_udp *udp, const rn_transmit *transmit);
void rn_udp_send_pending(rn_udp *udp); /* the socket is writable again */

#endif
