/* What the files of tests/sim share. */
#ifndef RN_TESTS_SIM_INTERNAL_H
#define RN_TESTS_SIM_INTERNAL_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "sim/link.h"
#include "sim/mix.h"
#include "sim/net.h"
#include "sim/random.h"

typedef struct rn_sim_host rn_sim_host;

/* Something that will happen. It is part of its owner; fire and drop let go of it. */
typedef struct rn_sim_event {
    uint64_t time;
    uint64_t sequence; /* decides between events of the same time */
    size_t index;      /* position in the queue plus one; 0: not there */
    rn_list held;      /* in rn_sim_host.held while the process is stopped */
    rn_sim_host *host; /* whom it happens to; NULL: the network or the world */
    void (*fire)(struct rn_sim_event *event, rn_sim *sim);
    void (*drop)(struct rn_sim_event *event); /* frees it unfired; NULL: the owner does */
} rn_sim_event;

typedef struct rn_sim_queue {
    rn_sim_event **events; /* a binary heap by (time, sequence) */
    size_t len;
    size_t capacity;
    uint64_t sequence_next;
} rn_sim_queue;

typedef struct rn_sim_machine {
    size_t index;
    rn_address address; /* port 0 */
    char text[RN_ADDRESS_TEXT_MAX];
    uint16_t port_next; /* where the search for a free port begins */
    bool down;
    uint16_t filtered; /* a port; 0: none */
} rn_sim_machine;

typedef struct rn_sim_path {
    bool own_link;
    rn_sim_link link;
    bool cut;
    rn_sim_link_state state;
} rn_sim_path;

typedef struct rn_sim_name {
    rn_list link;
    char host[RN_HOST_MAX + 1];
    rn_address address;
} rn_sim_name;

struct rn_sim {
    uint64_t seed;
    uint64_t now;
    rn_sim_queue queue;
    size_t events_at_once;
    rn_sim_random random; /* of the network */
    rn_sim_machine machines[RN_SIM_MACHINES_MAX];
    size_t machine_count;
    rn_sim_path paths[RN_SIM_MACHINES_MAX][RN_SIM_MACHINES_MAX]; /* [from][to] */
    rn_sim_link default_link;
    rn_list hosts;
    uint64_t host_count;
    rn_list names;
    rn_map *outer;   /* sockets by the address that the network knows them by */
    rn_map *sockets; /* sockets by id */
    uint64_t socket_id_next;
    rn_list graveyard; /* closed sockets, freed between turns */
    rn_sim_commit_fn *commit;
    void *commit_user;
    const rn_qlog_sink *qlog;
    rn_sim_stats stats;
    rn_sim_tap_fn *tap; /* NULL: none */
    void *tap_user;
    uint64_t digest;
    rn_mix content; /* of all datagrams sent */
    bool trace;
    rn_buffer log_text; /* with a NUL behind it */
    char log_filter[256];
    bool log_to_stderr;
};

/* A process's clocks: `local` when the world's time was `since`, and going at `rate`. */
typedef struct rn_sim_clock_state {
    uint64_t since;
    uint64_t local;
    uint64_t rate;       /* local millionths of a second per second of the world */
    uint64_t jumped;     /* part of `local` that the wall clock has not */
    int64_t wall_offset; /* in ns, like all of it */
} rn_sim_clock_state;

struct rn_sim_host {
    rn_env env; /* first: an rn_env of the simulation is its process */
    rn_sim *sim;
    rn_list link; /* in rn_sim.hosts */
    rn_sim_machine *machine;
    rn_sim_random random;
    rn_sim_clock_state clock;
    bool killed;
    bool paused;
    bool sends_blocked;
    rn_list sockets;
    rn_list timers;
    rn_list resolves;
    rn_list held;     /* events that wait for resume */
    rn_list deferred; /* rn_deferred of rn_env */
    rn_sim_event turn_end;
};

struct rn_udp {
    rn_sim_host *host;
    rn_list link; /* in rn_sim_host.sockets, then in rn_sim.graveyard */
    uint64_t id;
    rn_address bound; /* as the process sees it; may be a wildcard */
    rn_address inner; /* the machine's address and the port */
    rn_address outer; /* what the others see */
    rn_address peer;  /* of a connected socket */
    rn_udp_handler handler;
    void *user;
    bool closed;
    bool wants_writable;
    rn_sim_event writable;
};

static inline rn_sim_host *rn_sim_host_of(rn_env *env) {
    return RN_CONTAINER_OF(env, rn_sim_host, env);
}

/* Ends the program with a message when `ok` is false: tests have no use for less. */
void rn_sim_require(bool ok, const char *what);
void *rn_sim_alloc(size_t size); /* zeroed */

/* queue.c */
void rn_sim_event_init(rn_sim_event *event, rn_sim_host *host,
                       void (*fire)(rn_sim_event *event, rn_sim *sim),
                       void (*drop)(rn_sim_event *event));
void rn_sim_event_set(rn_sim *sim, rn_sim_event *event, uint64_t time); /* a past one: now */
void rn_sim_event_cancel(rn_sim *sim, rn_sim_event *event);
rn_sim_event *rn_sim_queue_first(const rn_sim_queue *queue); /* NULL: empty */

/* net.c */
void rn_sim_note(rn_sim *sim, const char *kind, const rn_address *from, const rn_address *to,
                 size_t len); /* for the digest and the trace */
rn_sim_machine *rn_sim_find_machine(rn_sim *sim, const rn_address *address); /* NULL: none */
const rn_sim_link *rn_sim_link_between(const rn_sim *sim, size_t from, size_t to);
bool rn_sim_can_pass(const rn_sim *sim, size_t from, size_t to); /* up, and not cut off */

/* host.c */
rn_address rn_sim_parse_host(const char *address);
rn_sim_machine *rn_sim_need_machine(rn_sim *sim, const char *text); /* makes it if need be */
void rn_sim_host_del(rn_sim_host *host);

/* clock.c */
void rn_sim_clock_init(rn_sim_clock_state *clock);
void rn_sim_clock_change(rn_sim_clock_state *clock, uint64_t now, const rn_sim_clock *to);
uint64_t rn_sim_clock_local(const rn_sim_clock_state *clock, uint64_t now);
uint64_t rn_sim_clock_wall(const rn_sim_clock_state *clock, uint64_t now);
/* The world's first time at which the clock shows `local` or more; RN_NEVER: out of reach. */
uint64_t rn_sim_clock_when(const rn_sim_clock_state *clock, uint64_t local);

/* letter.c */
/* One datagram: dropped, or on its way once or twice. RPCNET_OK or RPCNET_ERR_IO, as udp_send. */
int rn_sim_letter_send(rn_udp *udp, const rn_transmit *transmit, rn_bytes data);

/* udp.c */
int rn_sim_udp_open(rn_env *env, const rn_udp_options *options, const rn_udp_handler *handler,
                    void *user, rn_udp **out);
int rn_sim_udp_send(rn_udp *udp, const rn_transmit *transmit);
const rn_address *rn_sim_udp_address(const rn_udp *udp);
void rn_sim_udp_close(rn_udp *udp);
rn_udp *rn_sim_find_socket(const rn_sim *sim, const rn_address *outer); /* NULL: none */
void rn_sim_udp_unplug(rn_udp *udp); /* the network forgets it; nothing reaches it any more */
void rn_sim_bury(rn_sim *sim);       /* frees what the graveyard holds */

#endif
