/* assignment: see the header. Journal and requests keep their messages as they stand in the frame,
 * so each list is one piece. */
#include "swap/assignment.h"

#include <assert.h>

#include "rpcnet/error.h"

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

void rn_assignment_init(rn_assignment_reader *reader, rn_budget *budget) {
    *reader = (rn_assignment_reader){0};
    rn_buffer_init_counted(&reader->head, RN_ASSIGNMENT_HEAD_MAX, budget);
}

static rn_assignment assignment_of(const rn_swap_stream *stream, const rn_assignment_call *call,
                                   uint64_t now_ns) {
    const rn_journal *journal = &stream->journal;
    return (rn_assignment){.connection_id = call->connection_id,
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
                           .credit = stream->granted};
}

int rn_assignment_begin(rn_assignment_reader *reader, const rn_swap_stream *stream,
                        const rn_assignment_call *call, uint64_t now_ns) {
    assert(stream->state == RN_SWAP_ASSIGNING && rn_swap_stream_resumable(stream));
    assert(call->metadata.count == 0 ||
           (call->metadata.dense && call->metadata.number == RN_ASSIGNMENT_METADATA));
    rn_assignment assignment = assignment_of(stream, call, now_ns);
    size_t head = rn_frame_assignment_head_size(&assignment);
    rn_buffer_clear(&reader->head);
    int rv = rn_buffer_reserve(&reader->head, head);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rn_frame_write_assignment_head(reader->head.data, &assignment);
    reader->head.len = head;
    reader->metadata = assignment.metadata.run;
    reader->checkpoint_len = assignment.checkpoint.len;
    reader->messages_len = assignment.client_messages.run.len;
    reader->messages = assignment.client_messages.count;
    reader->delivered_len = assignment.delivered.run.len;
    return RPCNET_OK;
}

size_t rn_assignment_size(const rn_assignment_reader *reader) {
    return reader->head.len + reader->checkpoint_len + reader->metadata.len + reader->messages_len +
           reader->delivered_len;
}

size_t rn_assignment_read(const rn_assignment_reader *reader, const rn_swap_stream *stream,
                          size_t offset, rn_bytes out[RN_ASSIGNMENT_PIECES_MAX]) {
    const rn_bytes whole[RN_ASSIGNMENT_PIECES_MAX] = {
        rn_buffer_bytes(&reader->head),
        rn_bytes_of(rn_journal_state(&stream->journal).data, reader->checkpoint_len),
        reader->metadata,
        rn_bytes_of(rn_requests_messages(&stream->requests).run.data, reader->messages_len),
        rn_bytes_of(rn_journal_delivered(&stream->journal).run.data, reader->delivered_len)};
    size_t count = 0;
    for (size_t i = 0; i < RN_ASSIGNMENT_PIECES_MAX; i++) {
        size_t skip = offset < whole[i].len ? offset : whole[i].len;
        offset -= skip;
        if (whole[i].len > skip) {
            out[count++] = rn_bytes_of(whole[i].data + skip, whole[i].len - skip);
        }
    }
    return count;
}

void rn_assignment_end(rn_assignment_reader *reader) {
    rn_buffer_fini(&reader->head); /* its limit and account stay */
}
