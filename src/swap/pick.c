/* pick: see the header. A linear scan: pools are small, and it runs once per assignment. */
#include "swap/pick.h"

static bool is_tried(uint64_t id, const uint64_t *tried, size_t tried_count) {
    for (size_t i = 0; i < tried_count; i++) {
        if (tried[i] == id) {
            return true;
        }
    }
    return false;
}

static bool is_better(const rn_pick_worker *a, const rn_pick_worker *b, uint64_t last) {
    if (a->preferred != b->preferred) {
        return a->preferred;
    }
    if (a->preferred) {
        return a->id < b->id;
    }
    if (a->load != b->load) {
        return a->load < b->load;
    }
    /* Unsigned distances behind `last` make the circle. */
    return a->id - last - 1 < b->id - last - 1;
}

size_t rn_pick(const rn_pick_worker *workers, size_t count, const uint64_t *tried,
               size_t tried_count, uint64_t *last) {
    size_t best = RN_PICK_NONE;
    for (size_t i = 0; i < count; i++) {
        if (workers[i].state == RN_PICK_READY && !is_tried(workers[i].id, tried, tried_count) &&
            (best == RN_PICK_NONE || is_better(&workers[i], &workers[best], *last))) {
            best = i;
        }
    }
    if (best != RN_PICK_NONE && !workers[best].preferred) {
        *last = workers[best].id;
    }
    return best;
}
