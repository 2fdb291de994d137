/* fake_rpc: rpcnet.h and an env without a network, for tests of programs that use them.
 *
 * Its definitions stand in for those of the archive rn_rpc. The test plays the other side: it calls
 * a call's callbacks itself and looks at what was sent. Time moves when the test says so. */
#ifndef TESTS_SUPPORT_FAKE_RPC_H
#define TESTS_SUPPORT_FAKE_RPC_H

#include "base/buffer.h"
#include "base/env.h"
#include "rpcnet/rpcnet.h"

typedef struct fake_env {
    rn_env env; /* first */
    uint64_t now;
    rn_list timers;
    rn_list deferred;
} fake_env;

void fake_env_init(fake_env *fake, rn_log *log);
/* Runs what was deferred, then timers in order until `now` + `ns`, and what they defer. */
void fake_env_advance(fake_env *fake, uint64_t ns);
size_t fake_env_timers(const fake_env *fake); /* that exist */

enum { FAKE_MESSAGES_MAX = 4096, FAKE_CALLS_MAX = 16 };

struct rpcnet_call {
    const rpcnet_call_callbacks *callbacks;
    void *user;
    const char *path;
    rn_buffer bytes;
    size_t ends[FAKE_MESSAGES_MAX]; /* of each message sent, in `bytes` */
    size_t sent;
    size_t room; /* messages taken until RPCNET_ERR_AGAIN */
    rpcnet_source source;
    size_t source_read;
    size_t source_room; /* bytes of sources that are read before fake_call_read_on */
    uint64_t received;  /* as the test says */
    bool sending;       /* a source is not read to its end */
    rpcnet_call_options options;
    int send_error; /* what sending returns; RPCNET_OK: as `room` says */
    bool held;
    bool starved;
    bool aborted;
    uint64_t deadline;
    bool half_closed;
    bool finished;
    bool cancelled;
    bool deleted; /* stays readable until fake_call_free */
    int code;
    char message[256];
    rpcnet_peer peer;
};

rpcnet_call *fake_call_new(const char *identity); /* of a server */
void fake_call_free(rpcnet_call *call);
rn_bytes fake_call_message(const rpcnet_call *call, size_t index);
void fake_call_give_room(rpcnet_call *call, size_t room); /* and calls on_writable */
void fake_call_stop(rpcnet_call *call);                   /* its peer wants no more messages */
/* Reads so many bytes more of the source; calls on_writable when that was all of it. */
void fake_call_read_on(rpcnet_call *call, size_t len);

/* Calls that were started by rpcnet_call_new on this channel. */
struct rpcnet_channel {
    rpcnet_channel_options options;
    enum rpcnet_channel_state state;
    rpcnet_call *calls[FAKE_CALLS_MAX];
    size_t call_count;
};

struct rpcnet_server {
    rpcnet_server_options options;
    rpcnet_limits limits;
    bool draining;
    rpcnet_method_fn *serve; /* the methods by their paths' ends */
    rpcnet_method_fn *generate;
    void *user;
};

struct rpcnet_credentials {
    char identity[96];
    int64_t expiry;
};

/* What the next rpcnet_..._new gives; the test sets it and frees what it holds. */
typedef struct fake_world {
    rpcnet_channel channel; /* there is one */
    rpcnet_server servers[2];
    size_t server_count;
    rpcnet_credentials credentials;
    int server_error; /* of rpcnet_server_new */
    enum rpcnet_serving health;
    bool reads_slowly; /* calls begin with a source_room of 0 */
} fake_world;

fake_world *fake_world_get(void);
void fake_world_reset(void); /* frees the channel's calls */

#endif
