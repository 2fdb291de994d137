/* reason: why a stream lost its worker. */
#ifndef RN_SWAP_REASON_H
#define RN_SWAP_REASON_H

#include "base/bytes.h"

/* The numbers are those of connection_swap.SwapReason and of Assignment.swap_reason. */
enum rn_swap_reason {
    RN_SWAP_NONE = 0,
    RN_SWAP_FAILURE = 1, /* the worker said that it failed */
    RN_SWAP_KILLED = 2,  /* its process died */
    RN_SWAP_HUNG = 3,    /* it stopped answering */
    RN_SWAP_STALLED = 4, /* it lives, but this stream does not move */
    RN_SWAP_DRAIN = 5,   /* it is being shut down */
    RN_SWAP_LOST = 6     /* it broke the protocol, or its connection was lost otherwise */
};

enum { RN_SWAP_REASONS = 7 };

/* "failure", "killed", "hung", "stalled", "drain", "lost"; "unknown" for any other number. */
const char *rn_swap_reason_name(uint32_t reason);

/* Writes a sentence for people such as "worker-a was killed" (see swap/sentence.h for `size` and
 * for what becomes of the peer's label; an empty label reads "the worker"). Returns its length. */
size_t rn_swap_reason_text(char *out, size_t size, uint32_t reason, rn_bytes label);

#endif
