/* records: a bounded queue of messages in one contiguous run, in the form that a protobuf repeated
 * field has on the wire, so that a list of messages goes into an Assignment with one copy.
 *
 *        start                                 end               capacity
 *          │ tag len payload │ tag len payload  │ room              │
 *   ░░░░░░░█████████████████████████████████████░░░░░░░░░░░░░░░░░░░░
 *
 * Appending and cutting off the front are amortised O(1) per message; once warm, no allocation is
 * made for a message. Memory grows by a factor, is at most 1.5 x limit, and is given back when the
 * queue is cut empty and large. The queue owns its bytes. */
#ifndef RN_SWAP_RECORDS_H
#define RN_SWAP_RECORDS_H

#include "base/budget.h"
#include "swap/wire.h"

enum {
    RN_RECORD_OVERHEAD = 16, /* what a message costs on top of its payload */
    RN_RECORDS_KEEP = 65536  /* an empty queue keeps at most so much memory */
};

typedef struct rn_records {
    uint8_t *data;
    size_t capacity;
    size_t start;
    size_t end;
    size_t count;
    size_t cost; /* payload + RN_RECORD_OVERHEAD of each; <= limit */
    size_t limit;
    uint32_t number; /* of the repeated field */
    rn_budget *budget;
} rn_records;

/* `number` <= 15. `budget` may be NULL; else it outlives the queue. */
void rn_records_init(rn_records *records, uint32_t number, size_t limit, rn_budget *budget);
void rn_records_fini(rn_records *records);

/* RPCNET_ERR_LIMIT when the cost would exceed the limit, RPCNET_ERR_MEMORY; nothing is changed
 * then. */
int rn_records_append(rn_records *records, rn_bytes payload);
void rn_records_cut(rn_records *records,
                    size_t count);            /* the first ones; count <= records->count */
void rn_records_release(rn_records *records); /* empty, and no memory held */
/* Gives memory back that is more than twice what the messages need, if there is some to move to. */
void rn_records_shrink(rn_records *records);

/* All messages, in order; valid until the queue changes. */
rn_repeated rn_records_list(const rn_records *records);

static inline size_t rn_records_memory(const rn_records *records) {
    return records->capacity;
}

#endif
