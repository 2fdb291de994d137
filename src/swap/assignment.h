/* assignment: the first frame of a call to a worker.
 *
 * It is made of what the stream has kept, and nothing of that is copied: it is read piece by piece
 * while there is room for it on the way to the worker.
 *
 *    head │ checkpoint │ metadata │ client messages │ delivered
 *    ours │ journal    │ call's   │ requests        │ journal
 */
#ifndef RN_SWAP_ASSIGNMENT_H
#define RN_SWAP_ASSIGNMENT_H

#include "swap/stream.h"

enum {
    RN_ASSIGNMENT_BYTES_MAX = 16 << 20, /* of a frame with an Assignment: what a worker takes */
    RN_ASSIGNMENT_SLACK = 1 << 20,      /* of it, for all but journal, checkpoint and requests */
    RN_ASSIGNMENT_HEAD_MAX = 8 << 10,   /* of it, for the small fields */
    RN_ASSIGNMENT_PIECES_MAX = 5
};

/* What the stream does not know about its call. Everything is borrowed. */
typedef struct rn_assignment_call {
    rn_bytes connection_id;
    uint64_t stream_id;
    rn_bytes method;      /* ":path" */
    rn_repeated metadata; /* see rn_metadata_list, with RN_ASSIGNMENT_METADATA */
} rn_assignment_call;

typedef struct rn_assignment_reader {
    rn_buffer head;
    rn_bytes metadata;
    size_t checkpoint_len;
    size_t messages_len; /* of the client's messages that it has */
    uint64_t messages;
    size_t delivered_len;
} rn_assignment_reader;

void rn_assignment_init(rn_assignment_reader *reader, rn_budget *budget); /* it may be NULL */

/* Begins with the Assignment for the worker that the stream is ASSIGNING to; to be called before
 * the stream gets its next input. Until the end the call's metadata stay where they are, and of the
 * stream's inputs only the client's may follow: what they add goes behind the Assignment.
 * RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY; nothing has begun then. */
int rn_assignment_begin(rn_assignment_reader *reader, const rn_swap_stream *stream,
                        const rn_assignment_call *call, uint64_t now_ns);
/* Of the whole frame. At the most it takes the limits of the journal, of the checkpoint and of the
 * requests together, and the call's own fields. */
size_t rn_assignment_size(const rn_assignment_reader *reader);
/* The frame from `offset` on, in pieces; returns how many. They are valid until the stream's next
 * input. */
size_t rn_assignment_read(const rn_assignment_reader *reader, const rn_swap_stream *stream,
                          size_t offset, rn_bytes out[RN_ASSIGNMENT_PIECES_MAX]);
/* Frees what it holds; all was read, or the worker is left. */
void rn_assignment_end(rn_assignment_reader *reader);

#endif
