/* assignment: the first frame of a call to a worker, built from what the stream has kept. */
#ifndef RN_SWAP_ASSIGNMENT_H
#define RN_SWAP_ASSIGNMENT_H

#include "swap/stream.h"

enum {
    RN_ASSIGNMENT_BYTES_MAX = 16 << 20, /* of a frame with an Assignment: what a worker takes */
    RN_ASSIGNMENT_SLACK = 1 << 20       /* of it, for all but journal, checkpoint and requests */
};

/* What the stream does not know about its call. Everything is borrowed. */
typedef struct rn_assignment_call {
    rn_bytes connection_id;
    uint64_t stream_id;
    rn_bytes method;      /* ":path" */
    rn_repeated metadata; /* see rn_metadata_list, with RN_ASSIGNMENT_METADATA */
} rn_assignment_call;

/* Appends a DirectorFrame with the Assignment for the worker that the stream is ASSIGNING to; to be
 * called before the stream gets its next input. At the most it takes the limits of the journal, of
 * the checkpoint and of the requests together, and the call's own fields: links to workers must
 * allow messages of that size. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY; nothing is appended then. */
int rn_assignment_append(rn_buffer *out, const rn_swap_stream *stream,
                         const rn_assignment_call *call, uint64_t now_ns);

#endif
