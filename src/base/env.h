/* env: all that the core needs from outside, behind one seam.
 *
 * Two drivers implement it: src/loop (libuv, a real machine) and tests/sim (a simulated network
 * with virtual time). Everything above depends on this header alone, so the same code runs on
 * both. All of it belongs to one thread; no function may be called from another thread.
 *
 * Time: `now` is sampled when the driver calls, and does not change during a callback.
 */
#ifndef RN_BASE_ENV_H
#define RN_BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/bytes.h"
#include "base/list.h"
#include "base/log.h"

#define RN_NEVER UINT64_MAX /* a deadline that does not come */

#define RN_MICROSECOND UINT64_C(1000)
#define RN_MILLISECOND UINT64_C(1000000)
#define RN_SECOND UINT64_C(1000000000)

typedef struct rn_env rn_env;
typedef struct rn_udp rn_udp;         /* a UDP socket of the driver */
typedef struct rn_timer rn_timer;     /* a one-shot timer of the driver */
typedef struct rn_resolve rn_resolve; /* a host name being resolved */

/* ECN codepoints (RFC 3168) as they stand in the IP header. */
enum { RN_ECN_NOT_ECT = 0, RN_ECN_ECT1 = 1, RN_ECN_ECT0 = 2, RN_ECN_CE = 3 };

/* One datagram that was received. The bytes belong to the driver and are valid during the
 * callback only; the callback may overwrite them. */
typedef struct rn_datagram {
    rn_address local;  /* the address that the peer sent to */
    rn_address remote; /* where it came from */
    uint8_t ecn;
    uint8_t *data;
    size_t len;
} rn_datagram;

/* Datagrams to send in one go: `len` bytes cut into segments of `segment_size` (the last one may
 * be shorter), all to the same peer with the same ECN mark. One segment: segment_size == len. The
 * driver has handed the bytes to the kernel, or queued or dropped them, when the call returns: the
 * caller keeps its buffer. `local.len == 0` lets the kernel choose the source address. */
typedef struct rn_transmit {
    rn_address local;
    rn_address remote;
    uint8_t ecn;
    const uint8_t *data;
    size_t len;
    size_t segment_size;
} rn_transmit;

typedef struct rn_udp_handler {
    /* One received datagram. Called several times per turn; GRO is already undone. */
    void (*receive)(const rn_datagram *datagram, void *user);
    /* All datagrams of this turn's batch were delivered: the moment to flush. */
    void (*batch_end)(void *user);
    /* A connected socket learnt from the kernel that its peer's port is closed (ICMP port
     * unreachable). What the peer had sent before, and had arrived, was received before. */
    void (*unreachable)(void *user);
    /* The socket takes datagrams again after `send` returned RPCNET_ERR_AGAIN. */
    void (*writable)(void *user);
} rn_udp_handler;

typedef struct rn_udp_options {
    rn_address bind;    /* where to listen; port 0: chosen by the system */
    rn_address connect; /* len > 0: a socket for this one peer, which hears of ICMP errors */
} rn_udp_options;

typedef void rn_timer_fn(void *user);

/* Work for the end of this turn, after all events of the turn were delivered and before the driver
 * sleeps: the place to flush what the turn has produced. Embedded in its owner; `link` must be
 * initialised (rn_deferred_init). Deferring it twice in a turn runs it once; work deferred while
 * deferred work runs is run in the same pass, so it must come to an end. */
typedef struct rn_deferred {
    rn_list link;
    void (*run)(void *user);
    void *user;
} rn_deferred;

/* RPCNET_OK with 1 to RN_RESOLVE_MAX addresses, the one to try first in front, or
 * RPCNET_ERR_ADDRESS with none. Never called inside `resolve`. */
enum { RN_RESOLVE_MAX = 8 };
typedef void rn_resolve_fn(int result, const rn_address *addresses, size_t count, void *user);

/* What a flight that is about to leave reveals; see rn_env_ops.commit. */
enum rn_dirty {
    RN_DIRTY_PACKET_NUMBERS = 1 << 0, /* packet numbers were used */
    RN_DIRTY_STREAM_BYTES = 1 << 1,   /* new stream bytes */
    RN_DIRTY_ACKED_RECEIVED = 1 << 2, /* acknowledgements of ack-eliciting packets */
    RN_DIRTY_IDS = 1 << 3,            /* connection ids issued or retired */
    RN_DIRTY_KEYS = 1 << 4,           /* keys of a new phase */
    RN_DIRTY_LIMITS = 1 << 5          /* flow-control or stream limits */
};

typedef struct rn_env_ops {
    uint64_t (*now)(rn_env *env);                       /* monotonic, nanoseconds */
    uint64_t (*wall)(rn_env *env);                      /* nanoseconds since 1970-01-01 UTC */
    void (*random)(rn_env *env, void *out, size_t len); /* cryptographic on a real machine */

    /* Opens a socket. RPCNET_ERR_ADDRESS_IN_USE, _PERMISSION, _ADDRESS, _IO, _MEMORY,
     * _DESCRIPTORS. */
    int (*udp_open)(rn_env *env, const rn_udp_options *options, const rn_udp_handler *handler,
                    void *user, rn_udp **out);
    /* RPCNET_OK; RPCNET_ERR_AGAIN: nothing was taken, wait for `writable`; RPCNET_ERR_IO: it, or a
     * part of it, is lost, as the network may lose it. */
    int (*udp_send)(rn_udp *udp, const rn_transmit *transmit);
    const rn_address *(*udp_address)(const rn_udp *udp); /* where it is bound */
    void (*udp_close)(rn_udp *udp); /* no callback after this returns; frees `udp` */

    int (*timer_new)(rn_env *env, rn_timer_fn *fn, void *user, rn_timer **out);
    void (*timer_set)(rn_timer *timer, uint64_t deadline); /* RN_NEVER stops it; a past one fires in
                                                              the next turn */
    void (*timer_del)(rn_timer *timer); /* NULL is allowed; no callback after this returns */

    void (*defer)(rn_env *env, rn_deferred *deferred); /* undone by rn_deferred_cancel */

    int (*resolve)(rn_env *env, const char *host, uint16_t port, rn_resolve_fn *fn, void *user,
                   rn_resolve **out);
    void (*resolve_cancel)(rn_resolve *resolve); /* NULL is allowed */

    /* Commit before send: called once per flight, before its datagrams are handed out, with what
     * they reveal (enum rn_dirty). `connection` is the rn_conn. Whoever keeps connections on record
     * writes them down here; others leave it NULL. */
    void (*commit)(rn_env *env, void *connection, unsigned dirty);
} rn_env_ops;

/* Who records what connections do, in the format qlog: a QUIC library's own account of a
 * connection, one JSON text after the other, each behind a record separator (JSON-SEQ, RFC 7464).
 * No function may call into the connection. */
typedef struct rn_qlog_sink {
    /* A connection begins. `original_id` is what its client chose as the destination of its first
     * packet, the same on both sides. What is returned stands for the record in the two others;
     * NULL: this connection is not recorded, and costs nothing. */
    void *(*begin)(rn_env *env, rn_bytes original_id, bool server, void *user);
    void (*write)(void *record, rn_bytes texts); /* one or more whole JSON texts */
    void (*end)(void *record);                   /* once, the last call for it */
    void *user;
} rn_qlog_sink;

struct rn_env {
    const rn_env_ops *ops;
    rn_log *log;              /* never NULL */
    const rn_qlog_sink *qlog; /* NULL: nobody records; outlives the connections it has begun */
};

static inline uint64_t rn_env_now(rn_env *env) {
    return env->ops->now(env);
}
static inline uint64_t rn_env_wall(rn_env *env) {
    return env->ops->wall(env);
}
static inline void rn_env_random(rn_env *env, void *out, size_t len) {
    env->ops->random(env, out, len);
}
static inline int rn_env_udp_open(rn_env *env, const rn_udp_options *options,
                                  const rn_udp_handler *handler, void *user, rn_udp **out) {
    return env->ops->udp_open(env, options, handler, user, out);
}
static inline int rn_env_timer_new(rn_env *env, rn_timer_fn *fn, void *user, rn_timer **out) {
    return env->ops->timer_new(env, fn, user, out);
}
static inline void rn_deferred_init(rn_deferred *deferred, void (*run)(void *user), void *user) {
    rn_list_init(&deferred->link);
    deferred->run = run;
    deferred->user = user;
}
static inline void rn_deferred_cancel(rn_deferred *deferred) {
    rn_list_remove(&deferred->link);
}
static inline void rn_env_defer(rn_env *env, rn_deferred *deferred) {
    env->ops->defer(env, deferred);
}
static inline void rn_env_commit(rn_env *env, void *connection, unsigned dirty) {
    if (env->ops->commit != NULL) {
        env->ops->commit(env, connection, dirty);
    }
}

#endif
