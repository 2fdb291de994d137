/* stream_internal: what stream.c (life and inputs of the client) and stream_worker.c (inputs of the
 * worker) share. */
#ifndef RN_SWAP_STREAM_INTERNAL_H
#define RN_SWAP_STREAM_INTERNAL_H

#include "swap/stream.h"

/* Fills `action` so that the present call to the worker is closed. */
void rn_swap_stream_leave_worker(const rn_swap_stream *stream, rn_swap_action *action);

/* Ends the stream with end_text, which the caller has written before. `counter` may be NULL. */
void rn_swap_stream_end(rn_swap_stream *stream, rn_swap_action *action, enum rn_swap_code code,
                        uint64_t *counter);

/* Goes to WAITING and makes `action` CHOOSE, WAIT or END: the present worker is not to be chosen
 * again in this round. */
void rn_swap_stream_wait(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns);

/* A stream that cannot be given to another worker: ends it and says why. */
void rn_swap_stream_end_unresumable(rn_swap_stream *stream, rn_swap_action *action);

#endif
