/* pick: which worker gets a stream. */
#ifndef RN_SWAP_PICK_H
#define RN_SWAP_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rn_pick_state { RN_PICK_READY, RN_PICK_DRAINING, RN_PICK_RECOVERING, RN_PICK_SUSPECT };

/* One worker of the pool's snapshot. */
typedef struct rn_pick_worker {
    uint64_t id;   /* unique; counts registrations */
    uint32_t load; /* streams */
    enum rn_pick_state state;
    bool preferred;
} rn_pick_worker;

#define RN_PICK_NONE SIZE_MAX

/* Chooses among the ready workers that are not in `tried`: the preferred one (the lowest id, if
 * there are several), else the one with the least load; among equals the one whose id comes next
 * behind `*last` in a circle. Stores the id of a worker that was chosen by load in `*last`, which
 * the caller keeps between calls (0 at first). Returns an index into `workers` or RN_PICK_NONE. The
 * order of `workers` and of `tried` does not matter. */
size_t rn_pick(const rn_pick_worker *workers, size_t count, const uint64_t *tried,
               size_t tried_count, uint64_t *last);

#endif
