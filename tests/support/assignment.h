/* assignment: an Assignment in one piece, for tests that look at what a worker gets. */
#ifndef TESTS_SUPPORT_ASSIGNMENT_H
#define TESTS_SUPPORT_ASSIGNMENT_H

#include "rpcnet/error.h"
#include "swap/assignment.h"

/* Appends the frame, and notes that the worker has it. What rn_assignment_begin and
 * rn_buffer_append return; nothing is appended then. */
static inline int test_assignment_append(rn_buffer *out, rn_swap_stream *stream,
                                         const rn_assignment_call *call, uint64_t now_ns) {
    rn_assignment_reader reader;
    rn_bytes pieces[RN_ASSIGNMENT_PIECES_MAX];
    rn_assignment_init(&reader, NULL);
    int result = rn_assignment_begin(&reader, stream, call, now_ns);
    if (result == RPCNET_OK) {
        result = rn_buffer_reserve(out, rn_assignment_size(&reader));
    }
    if (result == RPCNET_OK) {
        size_t count = rn_assignment_read(&reader, stream, 0, pieces);
        for (size_t i = 0; i < count; i++) {
            (void)rn_buffer_append(out, pieces[i].data, pieces[i].len);
        }
        rn_requests_note_assigned(&stream->requests, reader.messages, reader.messages_len);
    }
    rn_assignment_end(&reader);
    return result;
}

#endif
