/* poison: the prompt that kills. Its worker dies as soon as it has it, and comes back; and the
 * deaths are counted that the director has to count, too. */
#ifndef RN_TESTS_SIM_WORLD_POISON_H
#define RN_TESTS_SIM_WORLD_POISON_H

#include "sim/world/cluster.h"

/* Which worker died of which Assignment. */
typedef struct rn_poison_death {
    bool open; /* the director has not left that worker yet */
    char connection_id[RN_SWAP_LABEL_SIZE];
    uint64_t stream_id;
    rn_swap_pair pair;
} rn_poison_death;

typedef struct rn_poison {
    rn_cluster *cluster;
    rn_verdict *verdict;
    rn_poison_death deaths[RN_PLAN_WORKERS_MAX]; /* the last one of each worker */
    uint64_t hung;                               /* losses by a hang that this director had seen */
    unsigned seen;                               /* deaths that the director has seen */
} rn_poison;

void rn_poison_init(rn_poison *poison, rn_cluster *cluster, rn_verdict *verdict);
/* To be called every RN_POISON_EVERY. */
#define RN_POISON_EVERY RN_MILLISECOND
void rn_poison_look(rn_poison *poison);

#endif
