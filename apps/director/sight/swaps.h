/* swaps: the last swaps of a director, and the page /swaps that shows them beside the streams that
 * live. */
#ifndef APPS_DIRECTOR_SIGHT_SWAPS_H
#define APPS_DIRECTOR_SIGHT_SWAPS_H

#include "director/data/data.h"

enum { RN_SWAP_HISTORY = 128 };

typedef struct rn_swap_record {
    uint64_t wall_ns; /* when the next worker took the stream */
    char connection_id[sizeof((rn_relay *)0)->connection_id];
    uint64_t stream_id;
    char from[RN_SWAP_LABEL_SIZE];
    char to[RN_SWAP_LABEL_SIZE];
    enum rn_swap_reason reason;
    uint64_t gap_ns; /* RN_NEVER: no message has come since */
} rn_swap_record;

typedef struct rn_swap_history {
    uint64_t count; /* of all, so the next one is records[count % RN_SWAP_HISTORY] */
    rn_swap_record records[RN_SWAP_HISTORY];
} rn_swap_history;

void rn_swap_history_add(rn_swap_history *history, const rn_relay *relay, uint64_t wall_ns);
/* The stream's last swap is complete. */
void rn_swap_history_resumed(rn_swap_history *history, const rn_relay *relay, uint64_t gap_ns);

/* The page: one JSON object, at most `streams_max` streams in it. Results of rn_buffer_append. */
int rn_swaps_page(rn_buffer *out, const rn_data *data, const rn_swap_history *history,
                  size_t streams_max);

#endif
