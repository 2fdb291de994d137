/* sequence: see the header. */
#include "client/sequence.h"

#include <string.h>

void rn_sequence_init(rn_sequence *sequence) {
    memset(sequence, 0, sizeof *sequence);
    sequence->next = 1;
}

static void remove_gap(rn_sequence *sequence, size_t index) {
    sequence->gap_count--;
    memmove(&sequence->gaps[index], &sequence->gaps[index + 1],
            (sequence->gap_count - index) * sizeof sequence->gaps[0]);
}

static void insert_gap(rn_sequence *sequence, size_t index, uint64_t first, uint64_t last) {
    if (sequence->gap_count == RN_SEQUENCE_GAPS_MAX) {
        remove_gap(sequence, 0);
        index -= index > 0 ? 1 : 0;
    }
    memmove(&sequence->gaps[index + 1], &sequence->gaps[index],
            (sequence->gap_count - index) * sizeof sequence->gaps[0]);
    sequence->gaps[index] = (rn_sequence_gap){first, last};
    sequence->gap_count++;
}

/* A number below the one to come: was it missing? */
static enum rn_sequence_verdict take_old(rn_sequence *sequence, uint64_t number) {
    for (size_t i = 0; i < sequence->gap_count; i++) {
        rn_sequence_gap gap = sequence->gaps[i];
        if (number < gap.first || number > gap.last) {
            continue;
        }
        if (gap.first == gap.last) {
            remove_gap(sequence, i);
        } else if (number == gap.first) {
            sequence->gaps[i].first++;
        } else if (number == gap.last) {
            sequence->gaps[i].last--;
        } else {
            sequence->gaps[i].last = number - 1;
            insert_gap(sequence, i + 1, number + 1, gap.last);
        }
        sequence->lost--;
        sequence->reordered++;
        return RN_SEQUENCE_LATE;
    }
    sequence->duplicated++;
    return RN_SEQUENCE_DUPLICATE;
}

enum rn_sequence_verdict rn_sequence_take(rn_sequence *sequence, uint64_t number) {
    sequence->received++;
    if (number < sequence->next) {
        return take_old(sequence, number);
    }
    enum rn_sequence_verdict verdict = RN_SEQUENCE_GOOD;
    if (number > sequence->next) {
        insert_gap(sequence, sequence->gap_count, sequence->next, number - 1);
        sequence->lost += number - sequence->next;
        verdict = RN_SEQUENCE_GAP;
    }
    sequence->next = number + 1;
    return verdict;
}

void rn_sequence_end(rn_sequence *sequence, uint64_t count) {
    if (sequence->next <= count) {
        sequence->lost += count - sequence->next + 1;
        sequence->next = count + 1;
    }
}
