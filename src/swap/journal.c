/* journal: see the header. The messages lie in a queue of records; the last checkpoint's state in
 * memory of its own, taken exactly as large as needed. */
#include "swap/journal.h"

#include <stdlib.h>

#include "rpcnet/error.h"
#include "swap/frames.h"

void rn_journal_init(rn_journal *journal, size_t limit, size_t state_limit, rn_budget *budget) {
    *journal = (rn_journal){
        .state_limit = state_limit, .first = RN_SEQUENCE_FIRST, .next = RN_SEQUENCE_FIRST};
    rn_records_init(&journal->records, RN_ASSIGNMENT_DELIVERED, limit, budget);
}

static void free_all(rn_journal *journal) {
    rn_records_release(&journal->records);
    free(journal->state);
    rn_budget_move(journal->records.budget, journal->state_capacity, 0);
    journal->state = NULL;
    journal->state_len = journal->state_capacity = 0;
}

void rn_journal_fini(rn_journal *journal) {
    if (journal != NULL) {
        free_all(journal);
    }
}

/* A long message would be in memory twice, and something has to be given up already: this journal
 * is no small one then. */
static bool is_too_much(const rn_journal *journal, rn_bytes payload) {
    const rn_budget *budget = journal->records.budget;
    return budget != NULL && rn_budget_excess(budget) > 0 && payload.len > RN_JOURNAL_SHORT &&
           rn_records_memory(&journal->records) + payload.len > RN_JOURNAL_SMALL;
}

int rn_journal_append(rn_journal *journal, rn_bytes payload) {
    int rv = RPCNET_ERR_STATE;
    if (!journal->given_up && is_too_much(journal, payload)) {
        rv = RPCNET_ERR_MEMORY;
    } else if (!journal->given_up) {
        rv = rn_records_append(&journal->records, payload);
    }
    journal->next++;
    if (rv != RPCNET_OK) {
        rn_journal_give_up(journal);
    }
    return rv;
}

/* Room for `len` bytes of state; what was there is lost only when it succeeds. Memory far larger
 * than the state is not kept. */
static int make_state_room(rn_journal *journal, size_t len) {
    if (len <= journal->state_capacity && journal->state_capacity / 4 <= len) {
        return RPCNET_OK;
    }
    uint8_t *state = NULL;
    if (len > 0) {
        state = malloc(len);
        if (state == NULL) {
            return RPCNET_ERR_MEMORY;
        }
    }
    free(journal->state);
    rn_budget_move(journal->records.budget, journal->state_capacity, len);
    journal->state = state;
    journal->state_capacity = len;
    return RPCNET_OK;
}

int rn_journal_checkpoint(rn_journal *journal, uint64_t sequence, rn_bytes state) {
    if (sequence >= journal->next || sequence < journal->first - 1) {
        return RPCNET_ERR_ARGUMENT;
    }
    if (state.len > journal->state_limit) {
        return RPCNET_ERR_LIMIT;
    }
    if (journal->given_up && sequence != journal->next - 1) {
        return RPCNET_ERR_STATE;
    }
    int rv = make_state_room(journal, state.len);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (state.len > 0) {
        memcpy(journal->state, state.data, state.len);
    }
    journal->state_len = state.len;
    if (!journal->given_up) {
        rn_records_cut(&journal->records, (size_t)(sequence + 1 - journal->first));
    }
    journal->given_up = false;
    journal->first = sequence + 1;
    return RPCNET_OK;
}

void rn_journal_give_up(rn_journal *journal) {
    free_all(journal);
    journal->given_up = journal->next > RN_SEQUENCE_FIRST;
}
