/* sequence: checks that numbers come as 1, 2, 3 ..., and counts how they do not. */
#ifndef APPS_CLIENT_SEQUENCE_H
#define APPS_CLIENT_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

enum { RN_SEQUENCE_GAPS_MAX = 64 }; /* more gaps at a time: what fills the oldest is a duplicate */

typedef struct rn_sequence_gap {
    uint64_t first;
    uint64_t last;
} rn_sequence_gap;

typedef struct rn_sequence {
    uint64_t next;       /* the number to come */
    uint64_t received;   /* numbers in all */
    uint64_t lost;       /* skipped and not come yet */
    uint64_t duplicated; /* came before */
    uint64_t reordered;  /* were skipped and came later */
    size_t gap_count;
    rn_sequence_gap gaps[RN_SEQUENCE_GAPS_MAX]; /* what is lost, oldest first */
} rn_sequence;

enum rn_sequence_verdict {
    RN_SEQUENCE_GOOD,
    RN_SEQUENCE_GAP, /* numbers were skipped before this one */
    RN_SEQUENCE_DUPLICATE,
    RN_SEQUENCE_LATE
};

void rn_sequence_init(rn_sequence *sequence);
enum rn_sequence_verdict rn_sequence_take(rn_sequence *sequence, uint64_t number);
/* The stream is complete and had to have `count` numbers: those that are missing are lost. */
void rn_sequence_end(rn_sequence *sequence, uint64_t count);

#endif
