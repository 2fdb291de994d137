/* net: a simulated network with virtual time, the second driver of rn_env.
 *
 *        process (rn_env)   process            process
 *             └──── machine 10.0.0.1 ────┐  machine 10.0.0.2
 *                                        └──── path ────┘     one for each direction
 *
 * A world has machines, which are addresses, and on each of them any number of processes; each
 * process has its own rn_env, so that it can be killed or stopped alone. Everything that happens is
 * an event in one queue, ordered by virtual time and then by when it was made. Nothing depends on
 * the machine that runs the test: the same seed gives the same run, to the last event.
 *
 * Running out of memory or a wrong argument ends the program. rn_sim_new writes the seed to stderr,
 * where a failed test shows it. Environment variables for looking closer:
 *   RN_SIM_SEED=n      the seed that rn_sim_seed returns
 *   RN_SIM_LOG=filter  log filter of all processes; the lines go to stderr, too
 *   RN_SIM_TRACE=1     each datagram to stderr
 */
#ifndef RN_TESTS_SIM_NET_H
#define RN_TESTS_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"

enum {
    RN_SIM_MACHINES_MAX = 64,
    RN_SIM_QUEUE_BYTES_DEFAULT = 256 << 10, /* of a link with a rate */
    RN_SIM_QUEUE_BYTES_MAX = 1 << 30,
    RN_SIM_LOG_BYTES_MAX = 16 << 20,    /* kept log text; later lines are not kept */
    RN_SIM_EVENTS_AT_ONCE_MAX = 1000000 /* events without time going on: the run is stuck */
};

#define RN_SIM_START RN_SECOND /* virtual time at the beginning; 0 stays free for "never set" */
#define RN_SIM_WALL_START (UINT64_C(1767225600) * RN_SECOND) /* 2026-01-01T00:00:00Z at time 0 */

typedef struct rn_sim rn_sim;

/* What a path does to datagrams, in one direction. Probabilities are 0..1. */
typedef struct rn_sim_link {
    uint64_t latency_ns;
    uint64_t jitter_ns; /* 0..jitter_ns more, evenly spread; alone it never changes the order */
    double loss;
    double duplicate;    /* a second copy with its own jitter */
    double reorder;      /* held back by reorder_ns, so that later ones overtake it */
    uint64_t reorder_ns; /* 0: as much as latency_ns */
    double ecn_mark;     /* ECT datagrams get CE */
    double corrupt;      /* 1 to 8 bits of a copy are turned, and no checksum notices */
    size_t mtu;          /* IP packets above it vanish; 0: 1500 */
    uint64_t rate_bps;   /* bits of IP packets per second, one packet after the other; 0: any */
    size_t queue_bytes;  /* of packets that wait for their turn or have it; what does not fit is
                            dropped; 0: RN_SIM_QUEUE_BYTES_DEFAULT */
} rn_sim_link;

typedef struct rn_sim_stats {
    uint64_t sent; /* datagrams, after segmentation */
    uint64_t delivered;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t reordered;
    uint64_t marked;
    uint64_t corrupted;
    uint64_t too_large;
    uint64_t queue_full;
    uint64_t partitioned; /* or filtered */
    uint64_t down;        /* sent by a machine that is down, or come to one */
    uint64_t no_route;    /* to an address of no machine */
    uint64_t refused;     /* to a closed port */
} rn_sim_stats;

/* What happened to a datagram, for the tap: RN_SIM_SENT when it is sent, RN_SIM_DUPLICATED for each
 * copy more that comes into being, and one of the others for each copy in the end. What waits for a
 * stopped process that is then killed, or is under way when the world ends, has no end. */
typedef enum rn_sim_fate {
    RN_SIM_SENT,
    RN_SIM_DUPLICATED,
    RN_SIM_DELIVERED,
    RN_SIM_LOST,
    RN_SIM_TOO_LARGE,
    RN_SIM_QUEUE_FULL,
    RN_SIM_PARTITIONED,
    RN_SIM_DOWN,
    RN_SIM_NO_ROUTE,
    RN_SIM_REFUSED
} rn_sim_fate;

typedef struct rn_sim_seen {
    uint64_t time;
    rn_sim_fate fate;
    rn_address from; /* as the network sees it */
    rn_address to;
    uint8_t ecn;
    bool corrupted;
    rn_bytes data; /* valid during the call only */
} rn_sim_seen;

/* Runs inside the network: it may look and remember, nothing else. */
typedef void rn_sim_tap_fn(const rn_sim_seen *seen, void *user);

/* How the clocks of a process go. */
typedef struct rn_sim_clock {
    int32_t skew_ppm;       /* both run faster by so many millionths; above -1000000 */
    uint64_t jump_ns;       /* the monotonic clock goes forward by this, once */
    int64_t wall_offset_ns; /* by which the wall clock is wrong, besides what the skew makes */
} rn_sim_clock;

/* `fallback`, unless the environment variable RN_SIM_SEED says otherwise. */
uint64_t rn_sim_seed(uint64_t fallback);

/* A world whose links all have 5 ms latency and no faults. */
rn_sim *rn_sim_new(uint64_t seed);
rn_sim *rn_sim_new_quietly(uint64_t seed); /* writes nothing, for programs with very many worlds */

/* Frees the world with its processes, and what they left open. Objects that live on a process's env
 * must be deleted before. */
void rn_sim_del(rn_sim *sim);

/* Starts a process on the machine "10.0.0.1" or "2001:db8::1", which comes into being when it is
 * first named here or for a link. The env belongs to the world. Its randomness is a stream of its
 * own. */
rn_env *rn_sim_host_new(rn_sim *sim, const char *address);

/* Ends a process without a word, as SIGKILL does: its ports are closed, its timers never fire, no
 * callback is called any more. What it has sent is still under way. Its objects must still be
 * deleted; whatever they do meanwhile has no effect. */
void rn_sim_host_kill(rn_env *env);

/* Stops a process, as SIGSTOP does: what would reach it waits, and comes at once after resume. */
void rn_sim_host_pause(rn_env *env);
void rn_sim_host_resume(rn_env *env);

/* From now on the clocks of the process go like this; its timers follow its own monotonic clock.
 * Before, both tell the world's time. */
void rn_sim_host_set_clock(rn_env *env, const rn_sim_clock *clock);

/* While blocked, sends of the process return RPCNET_ERR_AGAIN; `writable` follows when it ends. */
void rn_sim_host_block_sends(rn_env *env, bool blocked);

/* The link of all paths that have none of their own. */
void rn_sim_set_default_link(rn_sim *sim, const rn_sim_link *link);
/* The link between two machines, both directions or one. Datagrams under way are not touched. */
void rn_sim_set_link(rn_sim *sim, const char *a, const char *b, const rn_sim_link *link);
void rn_sim_set_link_one_way(rn_sim *sim, const char *from, const char *to,
                             const rn_sim_link *link);

/* A partition: while `cut`, no datagram gets from one machine to the other, in both directions or
 * one. Those under way arrive. The link stays as it is. */
void rn_sim_set_partition(rn_sim *sim, const char *a, const char *b, bool cut);
void rn_sim_set_partition_one_way(rn_sim *sim, const char *from, const char *to, bool cut);

/* A packet filter: what other machines send to that port of the machine vanishes; 0: nothing. */
void rn_sim_set_filter(rn_sim *sim, const char *machine, uint16_t port);

/* A machine's interface disappears and comes back: while it is down, its processes' sends to other
 * machines fail (RPCNET_ERR_IO), and what comes is lost. Its processes still reach each other. */
void rn_sim_set_down(rn_sim *sim, const char *machine, bool down);

/* A name that `resolve` finds from now on; "localhost" is the asking machine. Both texts are
 * copied. */
void rn_sim_set_name(rn_sim *sim, const char *name, const char *address);

/* NAT rebinding: from now on the datagrams of the process's socket on `port` (0: of its only
 * socket) seem to come from `outer` ("203.0.113.7:4000"), and only what is sent there reaches it.
 * RPCNET_ERR_NOT_FOUND: no such socket; RPCNET_ERR_EXISTS: `outer` is in use. */
int rn_sim_rebind(rn_env *env, uint16_t port, const char *outer);

/* Calls `fn` at a virtual time (a past one: now), outside every process. */
void rn_sim_at(rn_sim *sim, uint64_t time, void (*fn)(void *user), void *user);

uint64_t rn_sim_now(const rn_sim *sim);

/* One turn: the next event, with all datagrams for the same socket at the same time. false: no
 * event is left. */
bool rn_sim_step(rn_sim *sim);
/* All events up to and including `time`; then it is `time`. */
void rn_sim_run_until(rn_sim *sim, uint64_t time);
void rn_sim_run_for(rn_sim *sim, uint64_t duration_ns);
/* Until no event is left (true), at most up to `latest` (false). Timers that keep setting
 * themselves are events, too. */
bool rn_sim_run_until_idle(rn_sim *sim, uint64_t latest);
/* Until `done` says so after a turn (true), at most up to `latest` (false). */
bool rn_sim_run_until_done(rn_sim *sim, bool (*done)(void *user), void *user, uint64_t latest);

const rn_sim_stats *rn_sim_get_stats(const rn_sim *sim);

/* Calls `fn` for each datagram from now on; NULL: no more. There is one tap. It changes nothing. */
void rn_sim_set_tap(rn_sim *sim, rn_sim_tap_fn *fn, void *user);

/* Calls `fn` for each commit of a process (rn_env_ops.commit), inside; NULL: no more. */
typedef void rn_sim_commit_fn(rn_env *env, void *connection, unsigned dirty, void *user);
void rn_sim_set_commit(rn_sim *sim, rn_sim_commit_fn *fn, void *user);

/* Processes that are started from now on have their connections recorded by `sink` (rn_env.qlog),
 * which is borrowed; NULL: they do not. */
void rn_sim_set_qlog(rn_sim *sim, const rn_qlog_sink *sink);

/* A digest of all events up to now: when, which kind, from where to where, how long. Two runs that
 * have the same one went the same way. */
uint64_t rn_sim_trace_digest(const rn_sim *sim);
/* A digest of the bytes of all datagrams sent. With the real TLS it differs from run to run. */
uint64_t rn_sim_content_digest(const rn_sim *sim);

/* Filter of processes that are started from now on; "info" at the beginning. */
void rn_sim_set_log_filter(rn_sim *sim, const char *filter);
/* All log lines so far, each with the machine's address in front. Valid until the next line. */
const char *rn_sim_log_text(const rn_sim *sim);

#endif
