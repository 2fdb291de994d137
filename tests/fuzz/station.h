/* station: a worker of the simulated network as the director sees it: it registers, answers for its
 * health, and has calls of Serve on which its owner says what it likes. */
#ifndef TESTS_FUZZ_STATION_H
#define TESTS_FUZZ_STATION_H

#include "fuzz/arena.h"
#include "swap/frames.h"

enum { STATION_CALLS_MAX = 16 };

struct station;

typedef struct station_call {
    struct station *station;
    rpcnet_call *call; /* NULL: over */
    bool assigned;
    bool honest;       /* the method is the honest client's */
    uint64_t next;     /* sequence that is due */
    uint64_t requests; /* the client's messages so far */
} station_call;

typedef struct station {
    rn_env *env;
    const char *label;
    const char *user_addr; /* where Serve is; ours, unless somebody else listens there */
    const char *mgmt_addr;
    bool serves; /* we are at user_addr */
    bool honest; /* answers each message of a client by its number */
    bool mute;   /* no answers to probes */
    rpcnet_server *user;
    rpcnet_server *mgmt;
    rpcnet_health *health;
    rpcnet_channel *channel;
    rpcnet_call *registering;
    rpcnet_call *report;
    uint64_t registration;
    station_call calls[STATION_CALLS_MAX];
    unsigned honest_assigned; /* assignments of the honest client's stream */
} station;

/* `label`, the addresses and the flags are set; listens and begins to register at `director`. */
void station_open(station *s, const char *director);
void station_close(station *s);
/* Drops all connections and listens anew, as a process that was restarted. */
void station_restart(station *s);

/* Sends a frame of the worker's. Nothing happens on a call that is over. */
void station_send(station_call *call, const rn_worker_frame *frame);
void station_send_bytes(rpcnet_call *call, rn_bytes bytes);
/* One more call of Register with any bytes. */
void station_register_bytes(station *s, rn_bytes bytes);
void station_report(station *s, bool draining, bool recovering);

#endif
