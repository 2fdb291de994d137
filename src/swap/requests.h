/* requests: the client's messages of one call, kept to be sent again to the next worker.
 *
 * They are numbered from 1 within the call. Over the limit (or without memory) the store is given
 * up: it frees what it holds, and the call cannot be given to another worker. */
#ifndef RN_SWAP_REQUESTS_H
#define RN_SWAP_REQUESTS_H

#include "swap/records.h"

enum { RN_REQUESTS_LIMIT = 4 << 20 }; /* default: payload + RN_RECORD_OVERHEAD a message */

typedef struct rn_requests {
    rn_records records;
    uint64_t count;   /* messages so far, kept or not */
    bool half_closed; /* the client has sent its last message */
    bool given_up;
} rn_requests;

void rn_requests_init(rn_requests *requests, size_t limit, rn_budget *budget);
void rn_requests_fini(rn_requests *requests);

/* Takes the client's next message, and counts it whatever the result:
 * RPCNET_OK: kept; RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY: the store was given up by this;
 * RPCNET_ERR_STATE: it had been given up before. */
int rn_requests_append(rn_requests *requests, rn_bytes payload);

void rn_requests_give_up(rn_requests *requests); /* nothing is lost when there is no message yet */

static inline bool rn_requests_replayable(const rn_requests *requests) {
    return !requests->given_up;
}

/* For an Assignment; valid until the store changes. Only when replayable. */
static inline rn_repeated rn_requests_messages(const rn_requests *requests) {
    return rn_records_list(&requests->records);
}

static inline size_t rn_requests_memory(const rn_requests *requests) {
    return rn_records_memory(&requests->records);
}

#endif
