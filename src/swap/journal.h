/* journal: what one stream has delivered, kept to go on elsewhere.
 *
 *    checkpoint stands for 1..first-1     kept: first..next-1       next is due
 *   ─────────────────────────────────────┼────────────────────────┼──────────
 *
 * Messages are numbered from RN_SEQUENCE_FIRST. Over the limit (or without memory) the journal is
 * given up: it frees all that it holds and the stream is not resumable, until a checkpoint comes
 * that stands for everything delivered. */
#ifndef RN_SWAP_JOURNAL_H
#define RN_SWAP_JOURNAL_H

#include "swap/records.h"

#define RN_SEQUENCE_FIRST UINT64_C(1)

enum {
    RN_JOURNAL_LIMIT = 1 << 20,            /* default: payload + RN_RECORD_OVERHEAD a message */
    RN_JOURNAL_CHECKPOINT_LIMIT = 1 << 18, /* default: bytes of a checkpoint's state */
    /* While memory is short, what is kept all the same: messages of so many bytes, and journals. */
    RN_JOURNAL_SHORT = 16 << 10,
    RN_JOURNAL_SMALL = 64 << 10
};

typedef struct rn_journal {
    rn_records records;
    uint8_t *state; /* of the last checkpoint */
    size_t state_len;
    size_t state_capacity;
    size_t state_limit;
    uint64_t first;
    uint64_t next;
    bool given_up;
} rn_journal;

void rn_journal_init(rn_journal *journal, size_t limit, size_t state_limit, rn_budget *budget);
void rn_journal_fini(rn_journal *journal);

/* Records that message `next` was delivered, and counts it whatever the result:
 * RPCNET_OK: kept; RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY (there is none, or memory is short and the
 * message long): the journal was given up by this;
 * RPCNET_ERR_STATE: it had been given up before. */
int rn_journal_append(rn_journal *journal, rn_bytes payload);

/* Keeps the state in place of all messages up to and including `sequence`
 * (first - 1 <= sequence < next, else RPCNET_ERR_ARGUMENT). RPCNET_ERR_LIMIT: the state is too
 * large; RPCNET_ERR_STATE: the journal is given up and messages behind `sequence` would be missing;
 * RPCNET_ERR_MEMORY. Nothing is changed in these cases. */
int rn_journal_checkpoint(rn_journal *journal, uint64_t sequence, rn_bytes state);

/* Frees all; not resumable from here on, unless nothing was delivered yet. */
void rn_journal_give_up(rn_journal *journal);

static inline bool rn_journal_resumable(const rn_journal *journal) {
    return !journal->given_up;
}

/* For an Assignment; valid until the journal changes. Only when resumable. */
static inline rn_bytes rn_journal_state(const rn_journal *journal) {
    return rn_bytes_of(journal->state, journal->state_len);
}
static inline rn_repeated rn_journal_delivered(const rn_journal *journal) {
    return rn_records_list(&journal->records);
}

/* Bytes of memory held now: what stands in the budget. */
static inline size_t rn_journal_memory(const rn_journal *journal) {
    return rn_records_memory(&journal->records) + journal->state_capacity;
}

#endif
