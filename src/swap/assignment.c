/* assignment: see the header. Journal and requests keep their messages as they stand in the frame,
 * so each list is one copy. */
#include "swap/assignment.h"

#include <assert.h>

/* 0 means no deadline, so one that is less than a microsecond away is rounded up. */
static uint64_t deadline_us(uint64_t deadline_ns, uint64_t now_ns) {
    if (deadline_ns == RN_NEVER) {
        return 0;
    }
    if (deadline_ns < now_ns + RN_MICROSECOND) {
        return 1;
    }
    return (deadline_ns - now_ns) / RN_MICROSECOND;
}

int rn_assignment_append(rn_buffer *out, const rn_swap_stream *stream,
                         const rn_assignment_call *call, uint64_t now_ns) {
    const rn_journal *journal = &stream->journal;
    assert(stream->state == RN_SWAP_ASSIGNING && rn_swap_stream_resumable(stream));
    rn_director_frame frame = {
        .kind = RN_DIRECTOR_ASSIGNMENT,
        .assignment = {.connection_id = call->connection_id,
                       .stream_id = call->stream_id,
                       .director_epoch = stream->pair.epoch,
                       .attempt = stream->pair.attempt,
                       .method = call->method,
                       .deadline_us = deadline_us(stream->deadline_ns, now_ns),
                       .metadata = call->metadata,
                       .client_messages = rn_requests_messages(&stream->requests),
                       .half_closed = stream->requests.half_closed,
                       .next_sequence = journal->next,
                       .checkpoint = rn_journal_state(journal),
                       .delivered_from = journal->first,
                       .delivered = rn_journal_delivered(journal),
                       .previous_worker = rn_bytes_text(stream->previous_label),
                       .swap_reason = stream->swap_reason,
                       .swap_message = rn_bytes_text(stream->swap_text),
                       .credit = stream->granted}};
    return rn_director_frame_append(out, &frame);
}
