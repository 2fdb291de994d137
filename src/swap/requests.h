/* requests: the client's messages of one call: what the present worker has still to be sent, and
 * all of them for the next one.
 *
 *    1 ── the worker has them ── sent │ sent + 1 ── they wait ── count
 *   ──────────────────────────────────┼──────────────────────────────
 *        kept while replayable        │  kept
 *
 * They are numbered from 1 within the call. Over the limit (or without memory) the store is given
 * up: it keeps only what waits, and the call cannot be given to another worker. */
#ifndef RN_SWAP_REQUESTS_H
#define RN_SWAP_REQUESTS_H

#include "swap/records.h"

enum {
    RN_REQUESTS_LIMIT = 4 << 20, /* default: payload + RN_RECORD_OVERHEAD a message */
    /* The same, of what waits once the store is given up, beyond what waited then. */
    RN_REQUESTS_QUEUE_LIMIT = 8 << 20
};

typedef struct rn_requests {
    rn_records records;
    size_t queue_limit;
    size_t sent_bytes; /* of the records: where the first one lies that waits */
    uint64_t count;    /* messages so far, kept or not */
    uint64_t sent;     /* of them, those that the present worker has */
    bool half_closed;  /* the client has sent its last message */
    bool given_up;
} rn_requests;

void rn_requests_init(rn_requests *requests, size_t limit, size_t queue_limit, rn_budget *budget);
void rn_requests_fini(rn_requests *requests);

/* Takes the client's next message.
 * RPCNET_OK: kept; RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY: the store was given up by this;
 * RPCNET_ERR_STATE: it had been given up before. In these cases the message is not taken. */
int rn_requests_append(rn_requests *requests, rn_bytes payload);
/* The same for a worker that has the call, when the store is given up: the message waits for it, no
 * longer. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY: it does not. */
int rn_requests_queue(rn_requests *requests, rn_bytes payload);

/* Nothing is lost when there is no message yet. */
void rn_requests_give_up(rn_requests *requests);

static inline bool rn_requests_replayable(const rn_requests *requests) {
    return !requests->given_up;
}

/* For an Assignment; valid until the store changes. Only when replayable; but an Assignment that
 * has begun may go on reading. */
static inline rn_repeated rn_requests_messages(const rn_requests *requests) {
    return rn_records_list(&requests->records);
}

/* Another worker, which has nothing. */
void rn_requests_restart(rn_requests *requests);
/* It has what an Assignment had: the first `messages`, in so many bytes of the list. */
void rn_requests_note_assigned(rn_requests *requests, uint64_t messages, size_t len);
/* The first message that waits, valid until the store changes. False: none. */
bool rn_requests_next(const rn_requests *requests, rn_bytes *payload);
void rn_requests_note_sent(rn_requests *requests);    /* the worker has it, */
void rn_requests_drop_waiting(rn_requests *requests); /* or reads no more */

static inline bool rn_requests_waiting(const rn_requests *requests) {
    return requests->sent < requests->count;
}

static inline size_t rn_requests_memory(const rn_requests *requests) {
    return rn_records_memory(&requests->records);
}

#endif
