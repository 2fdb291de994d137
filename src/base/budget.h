/* budget: one account for the memory that many holders have: send rings, messages that have not
 * come whole, queues, journals, kept requests.
 *
 * It counts memory where it is taken and given back, exactly, and takes none itself. Whoever owns
 * the account sets its limit and decides what goes when it is over; `grown_over` tells him. Two
 * things happen without him: a message that is still coming may not grow while the account is over
 * (rn_budget_may_grow), and what is on its way out is told apart (`leaving`), so that nobody gives
 * up more than is needed. */
#ifndef RN_BASE_BUDGET_H
#define RN_BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rn_budget rn_budget;

struct rn_budget {
    size_t used;    /* bytes of memory held now */
    size_t leaving; /* of them, those of streams that were reset: they wait for the peer alone */
    size_t peak;
    size_t limit;
    uint64_t refusals; /* messages that could not grow */
    /* Memory was taken and the account is over its limit. Called where that happens, so it only
     * takes a note (rn_env_defer, say). NULL: nobody listens. */
    void (*grown_over)(void *user);
    void *user;
};

/* All that is held, also by what is leaving: nothing new may begin. */
static inline bool rn_budget_over(const rn_budget *budget) {
    return budget->used > budget->limit;
}

/* How much has to be given up; 0: nothing. */
static inline size_t rn_budget_excess(const rn_budget *budget) {
    size_t staying = budget->used - budget->leaving;
    return staying > budget->limit ? staying - budget->limit : 0;
}

/* `budget` may be NULL. A holder's memory went from `before` to `after` bytes. */
static inline void rn_budget_move(rn_budget *budget, size_t before, size_t after) {
    if (budget == NULL) {
        return;
    }
    budget->used = budget->used - before + after;
    if (after > before) {
        budget->peak = budget->used > budget->peak ? budget->used : budget->peak;
        if (rn_budget_over(budget) && budget->grown_over != NULL) {
            budget->grown_over(budget->user);
        }
    }
}

/* May a message that is still coming take more memory? `budget` may be NULL. A refusal is counted.
 * The limit may be passed by one step, so that whoever is small is not refused because somebody
 * else is large: the owner of the account then looks for the largest. */
static inline bool rn_budget_may_grow(rn_budget *budget) {
    if (budget == NULL || !rn_budget_over(budget)) {
        return true;
    }
    budget->refusals++;
    return false;
}

/* What a holder has that waits for the peer alone went from `before` to `after` bytes; it is
 * counted above, too. `budget` may be NULL. */
static inline void rn_budget_leave(rn_budget *budget, size_t before, size_t after) {
    if (budget != NULL) {
        budget->leaving = budget->leaving - before + after;
    }
}

#endif
