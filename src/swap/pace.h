/* pace: does this stream still move, measured by its own pace? One per assignment.
 *
 * A stream has a pace after RN_PACE_MESSAGES messages. From then on it is stalled when it has been
 * quiet for RN_PACE_FACTOR times its usual gap (a moving average), and at least `min_ns`. Only time
 * counts in which the worker may send: without credit it is the client that is slow. And while the
 * client may say more, nobody but the application knows whose turn it is: such a stream is never
 * stalled.
 *
 * Whoever drives it takes in what has arrived before it looks at the deadline. */
#ifndef RN_SWAP_PACE_H
#define RN_SWAP_PACE_H

#include "base/env.h"

enum { RN_PACE_MESSAGES = 8, RN_PACE_FACTOR = 10, RN_PACE_WEIGHT = 8 /* a gap counts 1/8 */ };

#define RN_PACE_MIN_NS (500 * RN_MILLISECOND)

typedef struct rn_pace {
    uint64_t min_ns;
    uint64_t messages;
    uint64_t usual_gap_ns;
    uint64_t quiet_ns; /* counted since the last message, until counted_ns */
    uint64_t counted_ns;
    bool may_send;
    bool client_open; /* the client may say more */
} rn_pace;

/* With a new assignment. `may_send`: the worker has credit. */
void rn_pace_init(rn_pace *pace, uint64_t min_ns, bool may_send, uint64_t now_ns);

void rn_pace_message(rn_pace *pace, uint64_t now_ns);
/* To be told whenever the worker runs out of credit or gets some; repeating it does no harm. */
void rn_pace_credit(rn_pace *pace, bool may_send, uint64_t now_ns);

/* The client has said something, or that this was all (`open` is false). What has been quiet before
 * was its own silence. */
void rn_pace_client(rn_pace *pace, bool open, uint64_t now_ns);

/* When the stream will be stalled if nothing comes; RN_NEVER: it has no pace yet, or no credit, or
 * the client may say more. */
uint64_t rn_pace_deadline(const rn_pace *pace);

static inline bool rn_pace_stalled(const rn_pace *pace, uint64_t now_ns) {
    return now_ns >= rn_pace_deadline(pace);
}

#endif
