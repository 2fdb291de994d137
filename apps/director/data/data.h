/* data: the USER plane. Client streams are relayed to workers, and moved when a worker is lost.
 *
 * It reads the pool's snapshot and never changes the pool; what it sees of workers it reports
 * through `observe`. */
#ifndef APPS_DIRECTOR_DATA_DATA_H
#define APPS_DIRECTOR_DATA_DATA_H

#include "common/outbox.h"
#include "director/control/pool.h"
#include "rpcnet/rpcnet.h"
#include "swap/assignment.h"
#include "swap/detector.h"
#include "swap/pace.h"
#include "swap/stream.h"

enum {
    /* Moved streams that a worker has not taken yet: with more of them it is late for a reason. One
     * that fails now and then moves few at a time; a journal is at most 1 MiB by default. */
    RN_LINK_STRAIN_STREAMS = 16,
    RN_RELAY_METADATA_MAX = 64 * 1024,
    RN_RELAY_MESSAGE_MAX = 4 << 20, /* one message, of a client or to it */
    RN_RELAY_PROMPT_SIZE = 64       /* what the log shows of a prompt, with the NUL */
};

/* Who looks on; either function may be NULL. Called inside, so they only take notes. */
struct rn_relay;
typedef struct rn_data_watch {
    /* The stream was taken by another worker than before. */
    void (*moved)(void *user, const struct rn_relay *relay);
    /* The first message since then; `gap_ns` after the stream had lost the worker that served it.
     */
    void (*resumed)(void *user, const struct rn_relay *relay, uint64_t gap_ns);
    void *user;
} rn_data_watch;

typedef struct rn_data_options {
    rn_env *env;
    const rpcnet_credentials *credentials; /* the director's role, for the links */
    const uint8_t *secret;
    uint64_t epoch;
    rn_swap_config swap;
    rn_detector_config detector;
    uint64_t stall_min_ns;
    uint64_t assign_timeout_ns;
    size_t memory_max;
    size_t queue_max;                 /* of a stream's messages to its client */
    size_t waiting_max;               /* streams that wait for a worker's connection */
    size_t message_max;               /* one message of a client; at most RN_RELAY_MESSAGE_MAX */
    const rn_pool_snapshot *snapshot; /* borrowed: control's */
    void (*observe)(void *user, uint64_t worker, enum rn_pool_sight sight);
    void *observe_user;
    rn_data_watch watch;
} rn_data_options;

/* How often limits were met that no other counter tells of; they only grow. */
typedef struct rn_data_limits_hit {
    uint64_t streams_refused; /* new ones, while memory was over its limit */
    uint64_t streams_shed;    /* ended because they held most of the memory */
    uint64_t others_shed;     /* unsent ends of streams, and connections, likewise */
    uint64_t rings_full;      /* times that a client's ring had no room and messages had to wait */
    uint64_t waiting_refused; /* assignments, because too many waited for the worker's connection */
    uint64_t queue_overflows; /* streams ended because a queue to a client was full */
} rn_data_limits_hit;

typedef struct rn_data {
    rn_data_options options;
    rn_env *env;
    uint8_t secret[RPCNET_SECRET_LEN];
    rn_swap_counters counters;
    rn_budget budget; /* of all that streams hold: journals, requests, rings, queues, messages */
    rpcnet_server *server; /* whose calls the streams are; NULL: none has come yet */
    rn_data_limits_hit hit;
    rn_list links;
    rn_list relays;
    size_t relays_count;
    uint64_t picked_last; /* see rn_pick */
    uint64_t swaps;       /* streams that flow again on another worker */
    uint64_t suspicions;
    uint64_t false_suspicions;
    rn_deferred pool_changed;
    rn_deferred shed; /* the memory of streams went over its limit in this turn */
    uint64_t cut_ns;  /* when the server cuts what is open; RN_NEVER: it does not drain */
    bool ending;
} rn_data;

int rn_data_start(rn_data *data, const rn_data_options *options);
void rn_data_stop(rn_data *data);
/* The server drains (rpcnet_server_drain): at `deadline_ns` it cuts the streams that are open. */
void rn_data_drain(rn_data *data, uint64_t deadline_ns);
/* The director's certificate was renewed: for the next connection of each link. */
void rn_data_set_credentials(rn_data *data, const rpcnet_credentials *credentials);
/* The snapshot is another one. */
void rn_data_pool_changed(rn_data *data);
/* For rpcnet_server_set_fallback; `user` is the rn_data. */
void rn_data_serve(rpcnet_server *server, rpcnet_call *call, void *user);

/* ---- link.c: the connections to one worker ---- */

typedef struct rn_link {
    rn_list link; /* rn_data.links */
    rn_data *data;
    rn_pool_worker worker; /* as it was when the link was made */
    rpcnet_channel *channel;
    bool lost;           /* it has been lost: nothing more is assigned to it */
    bool gone;           /* its worker is no longer in the pool */
    rpcnet_call *probes; /* the probe channel; NULL: not open */
    rn_detector detector;
    rn_timer *timer;
    uint64_t probe_ns; /* when the next one is due; RN_NEVER: there is nothing to probe for */
    rn_deferred check;
    rn_list relays; /* rn_relay.link_entry */
    uint32_t streams;
    uint32_t untaken; /* of them, moved here and without a frame yet */
} rn_link;

/* Links follow the snapshot: new workers get one, those of workers that are gone end with their
 * last stream. */
void rn_links_sync(rn_data *data);
void rn_links_stop(rn_data *data);
rn_link *rn_link_find(const rn_data *data, uint64_t worker);
/* A stream comes or goes. */
struct rn_relay;
void rn_link_attach(rn_link *link, struct rn_relay *relay);
void rn_link_detach(rn_link *link, struct rn_relay *relay);
/* The worker owes a first frame for a stream that came from another worker. */
void rn_link_await(rn_link *link, struct rn_relay *relay);
/* It sent a frame of the stream. */
void rn_link_heard(rn_link *link, struct rn_relay *relay);

/* ---- relay.c: one client stream ---- */

/* What goes to the worker of a relay: what it reads now, and small frames that wait. The client's
 * messages wait in the stream's requests. */
enum rn_uplink_reading { RN_UPLINK_IDLE, RN_UPLINK_ASSIGNMENT, RN_UPLINK_MESSAGE };

typedef struct rn_uplink {
    enum rn_uplink_reading reading; /* by the worker's call; it may have all of it already */
    rn_assignment_reader assignment;
    uint8_t prefix[RN_FRAME_PREFIX_MAX]; /* of the message */
    size_t prefix_len;
    uint64_t ack; /* to be sent; 0: none */
    uint64_t credit;
    bool half_close; /* to be sent, behind the messages */
    bool assigned;   /* the worker can have the whole Assignment */
    bool closed;     /* it reads no more, since */
    uint64_t closed_ns;
    uint64_t closed_received; /* bytes that had come from it when closed_ns was set */
} rn_uplink;

typedef struct rn_relay {
    rn_list link;       /* rn_data.relays */
    rn_list link_entry; /* rn_link.relays */
    rn_data *data;
    rpcnet_call *client;
    char connection_id[32]; /* "conn-<n>" */
    uint64_t stream_id;
    char prompt[RN_RELAY_PROMPT_SIZE]; /* made safe for the log */
    rn_buffer metadata;                /* for Assignments */
    size_t metadata_count;

    rn_swap_stream swap;
    rn_pace pace;
    rn_timer *timer;
    uint64_t timer_deadline;

    rpcnet_call *worker; /* the present attempt's call; NULL: none */
    rn_link *at;         /* whose call it is */
    bool untaken;        /* counted in at->untaken */
    rn_swap_pair pair;   /* of the call */
    uint64_t assigned_ns;
    uint64_t absence_ns; /* from then on: a port that is found closed had been so before */
    uint64_t asked_ns; /* when the worker had a message of the client, or its half close; RN_NEVER:
                        * it has neither yet */
    int call_code;     /* with which the call ended, see call_lost */
    bool announced;    /* the log has told of the stream */
    bool moved;        /* it is not the stream's first worker */
    uint64_t lost_ns;  /* when the last one that served it was lost; RN_NEVER: messages flow */

    rn_outbox down; /* messages that the client's ring had no room for */
    rn_uplink up;
    bool held; /* the client is held back, until nothing waits for the worker */

    bool finishing; /* finish the client's call once `down` is empty */
    uint32_t code;
    char *message;
    rpcnet_metadata *trailers;

    rn_deferred open;      /* after the events of the turn in which the call came */
    rn_deferred call_lost; /* after the turn in which the worker's call ended: by then the link
                            * knows whether its connection did */
} rn_relay;

void rn_relay_del(rn_relay *relay);
/* The relay's link was lost, or its worker hangs. */
void rn_relay_lost(rn_relay *relay, enum rn_swap_reason reason);
/* The pool has changed: a stream that waits may find a worker. */
void rn_relay_retry(rn_relay *relay);
/* Ends the client's call now, whatever is kept for it. The relay is gone. */
void rn_relay_abort(rn_relay *relay, const char *text);

/* ---- shed.c ---- */
/* Memory is over its limit: what holds most of it goes first, until it is enough. A journal or a
 * request is given up, and its stream goes on; what cannot be given up ends its stream. */
void rn_data_shed(rn_data *data);

/* ---- relay_worker.c: the worker's side of a relay ---- */
/* Does what the state machine says. False: the relay is gone. */
bool rn_relay_handle(rn_relay *relay, rn_swap_action action);
void rn_relay_drop_worker(rn_relay *relay);
/* Grants the worker what the client's side has room for. */
void rn_relay_pass_credit(rn_relay *relay);
void rn_relay_schedule(rn_relay *relay);
/* Looks for a worker. False: the relay is gone. */
bool rn_relay_choose(rn_relay *relay);

/* ---- relay_up.c: what goes to the worker ---- */
/* What the stream itself holds: what can be given up just now, and what it needs. */
void rn_relay_memory(const rn_relay *relay, size_t *spare, size_t *needed);

/* ---- relay_client.c: the client's side ---- */
/* Sends a message to the client, or keeps it until there is room. RPCNET_ERR_LIMIT,
 * RPCNET_ERR_MEMORY: neither could be done. */
int rn_relay_deliver(rn_relay *relay, rn_bytes payload);
/* Ends the client's call behind everything that is kept. False: the relay is gone. */
bool rn_relay_finish(rn_relay *relay, const rn_swap_action *action);

/* ---- route.c ---- */
/* The link of the worker to take; NULL: nobody. */
rn_link *rn_route(rn_data *data, const rn_swap_stream *stream);

#endif
