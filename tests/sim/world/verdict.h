/* verdict: what was seen to break a promise. The first violation is kept in words, all are counted.
 */
#ifndef RN_TESTS_SIM_WORLD_VERDICT_H
#define RN_TESTS_SIM_WORLD_VERDICT_H

#include <stdint.h>

#include "sim/net.h"

enum { RN_VERDICT_TEXT_MAX = 512 };

typedef struct rn_verdict {
    const rn_sim *sim; /* for the time */
    uint64_t violations;
    uint64_t at_ns; /* of the first one */
    char rule[32];  /* a word for its kind: "order", "status", ... */
    char text[RN_VERDICT_TEXT_MAX];
} rn_verdict;

void rn_violate(rn_verdict *verdict, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
