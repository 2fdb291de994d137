/* pool: the workers that have registered, and what the data plane sees of them.
 *
 * The pool belongs to control. The data plane reads its snapshot, and tells it what it saw of a
 * worker (rn_pool_observe); nothing else is shared between the two. */
#ifndef APPS_DIRECTOR_CONTROL_POOL_H
#define APPS_DIRECTOR_CONTROL_POOL_H

#include "base/env.h"
#include "common/certs.h"
#include "swap/pick.h"

#define RN_POOL_REPORT_NS (10 * RN_SECOND) /* from a registration to its Report stream */

enum { RN_POOL_MAX = 256, RN_POOL_ADDRESS_MAX = RN_HOST_MAX + 9 };

/* One row of the snapshot. */
typedef struct rn_pool_worker {
    uint64_t id; /* counts registrations, from 1 */
    enum rn_pick_state state;
    bool preferred;
    char label[RN_LABEL_MAX + 1];
    char user_addr[RN_POOL_ADDRESS_MAX]; /* "host:port" */
} rn_pool_worker;

typedef struct rn_pool_snapshot {
    size_t count;
    rn_pool_worker workers[RN_POOL_MAX];
} rn_pool_snapshot;

/* What the data plane saw on its own connections to a worker. */
enum rn_pool_sight {
    RN_POOL_SEEN_ALIVE, /* it answers again */
    RN_POOL_SEEN_HUNG,
    RN_POOL_SEEN_DEAD /* its port is closed, or another process has it */
};

typedef struct rn_pool_entry {
    rn_list link;
    rn_pool_worker row; /* row.state is computed when a snapshot is made */
    char mgmt_addr[RN_POOL_ADDRESS_MAX];
    uint64_t incarnation;
    uint64_t since_ns; /* of the registration */
    bool reporting;    /* its Report stream is open: it is in the snapshot */
    bool draining;
    bool recovering;
    bool unhealthy;
    bool hung;
    uint32_t streams; /* as it last reported */
    bool dead;        /* it is being removed because nobody is there */
    void *report;     /* the Report call and */
    void *check;      /* the health check, see their files */
} rn_pool_entry;

typedef struct rn_pool {
    rn_env *env;
    const char *preferred_label; /* NULL: none */
    rn_list entries;
    size_t count;
    size_t max;       /* of them; at most RN_POOL_MAX */
    uint64_t refused; /* because there were so many */
    uint64_t ids;
    rn_pool_snapshot snapshot;
    void (*changed)(void *user);                       /* the snapshot is another one */
    void (*removed)(rn_pool_entry *entry, void *user); /* before an entry is freed */
    void *user;
} rn_pool;

void rn_pool_init(rn_pool *pool, rn_env *env, const char *preferred_label, size_t max);
void rn_pool_fini(rn_pool *pool);

/* A worker registers. One with the same label is replaced, unless it reports, does not hang, and is
 * another process at another USER address; one that has opened no Report stream for
 * RN_POOL_REPORT_NS loses its place.
 * RPCNET_ERR_EXISTS: such another worker has the label; RPCNET_ERR_LIMIT (`max`, counted),
 * RPCNET_ERR_MEMORY. */
int rn_pool_add(rn_pool *pool, const char *label, const char *user_addr, const char *mgmt_addr,
                uint64_t incarnation, rn_pool_entry **out);
void rn_pool_remove(rn_pool *pool, rn_pool_entry *entry);
rn_pool_entry *rn_pool_find(const rn_pool *pool, uint64_t id); /* NULL: gone */
rn_pool_entry *rn_pool_find_label(const rn_pool *pool, const char *label);
/* Something about an entry has changed: makes a new snapshot and tells who listens. */
void rn_pool_publish(rn_pool *pool);
void rn_pool_observe(rn_pool *pool, uint64_t id, enum rn_pool_sight sight);

#endif
