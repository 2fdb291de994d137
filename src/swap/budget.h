/* budget: one account for the memory that all streams hold in journals and kept requests.
 *
 * It counts; it refuses nothing. Whoever owns it looks at rn_budget_over: then new streams are
 * refused, and the largest journals are given up (rn_swap_stream_give_up). */
#ifndef RN_SWAP_BUDGET_H
#define RN_SWAP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rn_budget {
    size_t used; /* bytes of memory held now, exactly */
    size_t peak;
    size_t limit;
} rn_budget;

static inline bool rn_budget_over(const rn_budget *budget) {
    return budget->used > budget->limit;
}

/* `budget` may be NULL. A holder's memory went from `before` to `after` bytes. */
static inline void rn_budget_move(rn_budget *budget, size_t before, size_t after) {
    if (budget != NULL) {
        budget->used = budget->used - before + after;
        budget->peak = budget->used > budget->peak ? budget->used : budget->peak;
    }
}

#endif
