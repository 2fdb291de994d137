/* stream_worker: what comes from the worker's side of a stream.
 *
 * Each input is fenced by its pair first. A worker that breaks the protocol is left like one that
 * failed, and that counts by the progress rule: a request that makes workers misbehave must not go
 * round for ever. */
#include "swap/stream.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "rpcnet/error.h"
#include "swap/stream_internal.h"

enum { GRPC_CODE_MAX = 16 };

static bool is_present(const rn_swap_stream *stream, rn_swap_pair pair) {
    return rn_swap_stream_live(stream) && pair.epoch == stream->pair.epoch &&
           pair.attempt == stream->pair.attempt;
}

static rn_swap_action stale(rn_swap_stream *stream) {
    stream->counters->stale++;
    return (rn_swap_action){.kind = RN_SWAP_STALE};
}

/* The worker's first frame, unless it is a refusal. */
static void note_first_frame(rn_swap_stream *stream, rn_swap_action *action) {
    if (stream->state == RN_SWAP_ASSIGNING) {
        stream->state = RN_SWAP_FLOWING;
        stream->counters->accepted++;
        action->accepted = true;
    }
}

static void end_attempts(rn_swap_stream *stream, rn_swap_action *action) {
    rn_sentence_format(stream->end_text, sizeof stream->end_text,
                       "%u workers in a row were lost without progress, the last one: %s",
                       (unsigned)stream->losses, stream->lost_text);
    rn_swap_stream_end(stream, action, RN_SWAP_CODE_UNAVAILABLE, &stream->counters->ended_attempts);
}

/* Leaves the present worker; lost_text says why already. */
static void leave(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns,
                  enum rn_swap_reason reason, bool proven) {
    rn_swap_stream_leave_worker(stream, action);
    action->lost = reason;
    action->message = rn_bytes_text(stream->lost_text);
    stream->counters->lost[reason]++;
    if (proven) {
        stream->losses++;
    }
    /* The client has seen nothing of a worker that was lost before it took the stream: for the
     * next one, the previous worker remains who it was. */
    if (stream->state == RN_SWAP_FLOWING) {
        memcpy(stream->previous_label, stream->worker_label, sizeof stream->previous_label);
        stream->swap_reason = reason;
        memcpy(stream->swap_text, stream->lost_text, sizeof stream->swap_text);
    }
    if (proven && stream->losses >= stream->config->max_attempts) {
        end_attempts(stream, action);
    } else if (!rn_swap_stream_resumable(stream)) {
        rn_swap_stream_end_unresumable(stream, action);
    } else {
        rn_swap_stream_wait(stream, action, now_ns);
    }
}

/* The worker's own words, or the default ones. */
static void write_text(const rn_swap_stream *stream, char out[RN_SWAP_SENTENCE_SIZE],
                       enum rn_swap_reason reason, rn_bytes peer_text) {
    if (peer_text.len > 0) {
        rn_sentence_copy(out, RN_SWAP_SENTENCE_SIZE, peer_text);
    } else {
        rn_swap_reason_text(out, RN_SWAP_SENTENCE_SIZE, reason,
                            rn_bytes_text(stream->worker_label));
    }
}

/* A death that may not be the request's doing counts all the same after so many of them in a row: a
 * request that kills its workers must not go round for ever. */
static bool counts_in_doubt(rn_swap_stream *stream) {
    if (stream->doubts >= stream->config->max_attempts) {
        return true;
    }
    stream->doubts++;
    return false;
}

static bool is_proof(rn_swap_stream *stream, enum rn_swap_reason reason) {
    /* Without credit a worker that had taken the stream could make no progress. */
    bool starved = stream->state == RN_SWAP_FLOWING && stream->received >= stream->granted;
    if (reason == RN_SWAP_KILLED) {
        return !starved || counts_in_doubt(stream);
    }
    return reason == RN_SWAP_FAILURE && !starved;
}

static void leave_with_text(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns,
                            enum rn_swap_reason reason, rn_bytes peer_text) {
    bool proven = is_proof(stream, reason);
    write_text(stream, stream->lost_text, reason, peer_text);
    leave(stream, action, now_ns, reason, proven);
}

__attribute__((format(printf, 4, 5))) static void leave_for_fault(rn_swap_stream *stream,
                                                                  rn_swap_action *action,
                                                                  uint64_t now_ns,
                                                                  const char *format, ...) {
    char how[RN_SWAP_SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(how, sizeof how, format, arguments);
    va_end(arguments);
    rn_sentence_format(stream->lost_text, sizeof stream->lost_text, "%s broke the protocol: %s",
                       stream->worker_label, how);
    stream->counters->faults++;
    action->fault = true;
    leave(stream, action, now_ns, RN_SWAP_LOST, true);
}

/* False: it is more than a worker may say outside of its credit, and the worker is left. */
static bool charge_event(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns,
                         size_t len) {
    size_t room = stream->config->event_limit - stream->event_bytes;
    if (room < RN_RECORD_OVERHEAD || len > room - RN_RECORD_OVERHEAD) {
        leave_for_fault(stream, action, now_ns, "more than %zu bytes of events or empty messages",
                        stream->config->event_limit);
        return false;
    }
    stream->event_bytes += len + RN_RECORD_OVERHEAD;
    return true;
}

static void take_message(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns,
                         const rn_numbered *message) {
    uint64_t due = stream->journal.next;
    if (message->payload.len > 0 && stream->received >= stream->granted) {
        leave_for_fault(stream, action, now_ns, "message %llu without credit",
                        (unsigned long long)message->sequence);
        return;
    }
    if (message->sequence > due) {
        leave_for_fault(stream, action, now_ns, "message %llu where %llu is due",
                        (unsigned long long)message->sequence, (unsigned long long)due);
        return;
    }
    note_first_frame(stream, action);
    stream->received += message->payload.len;
    stream->counters->credit_used_up +=
        message->payload.len > 0 && stream->received >= stream->granted;
    if (message->sequence < due) {
        stream->counters->duplicates++;
        action->kind = RN_SWAP_DUPLICATE;
        action->sequence = message->sequence;
        return;
    }
    if (message->payload.len == 0 && !charge_event(stream, action, now_ns, 0)) {
        return;
    }
    int rv = rn_journal_append(&stream->journal, message->payload);
    if (rv == RPCNET_ERR_LIMIT || rv == RPCNET_ERR_MEMORY) {
        stream->counters->journals_given_up++;
        action->given_up = true;
    }
    stream->losses = 0;
    stream->doubts = 0;
    stream->event_bytes -=
        message->payload.len < stream->event_bytes ? message->payload.len : stream->event_bytes;
    stream->unacked_bytes += message->payload.len;
    stream->counters->relayed++;
    action->kind = RN_SWAP_RELAY;
    action->sequence = message->sequence;
    action->payload = message->payload;
}

static void take_event(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns,
                       rn_bytes payload) {
    /* Events are outside the credit, so that a worker can always say that it is connected. */
    if (!charge_event(stream, action, now_ns, payload.len)) {
        return;
    }
    note_first_frame(stream, action);
    action->kind = RN_SWAP_RELAY_EVENT;
    action->payload = payload;
}

static void take_checkpoint(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns,
                            const rn_numbered *checkpoint) {
    const rn_journal *journal = &stream->journal;
    if (checkpoint->sequence >= journal->next || checkpoint->sequence < journal->first - 1) {
        leave_for_fault(stream, action, now_ns, "checkpoint %llu outside of %llu to %llu",
                        (unsigned long long)checkpoint->sequence,
                        (unsigned long long)(journal->first - 1),
                        (unsigned long long)(journal->next - 1));
        return;
    }
    note_first_frame(stream, action);
    if (rn_journal_checkpoint(&stream->journal, checkpoint->sequence, checkpoint->payload) ==
        RPCNET_OK) {
        stream->counters->checkpoints++;
    } else {
        stream->counters->checkpoints_refused++;
    }
}

static void take_failure(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns,
                         const rn_failure *failure) {
    if (failure->drain) {
        leave_with_text(stream, action, now_ns, RN_SWAP_DRAIN, failure->message);
        return;
    }
    if (failure->retry) {
        leave_with_text(stream, action, now_ns, RN_SWAP_FAILURE, failure->message);
        return;
    }
    write_text(stream, stream->end_text, RN_SWAP_FAILURE, failure->message);
    rn_swap_stream_end(stream, action, RN_SWAP_CODE_UNKNOWN, &stream->counters->ended_failed);
}

static void take_refused(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns,
                         rn_bytes reason) {
    if (stream->state == RN_SWAP_FLOWING) {
        leave_for_fault(stream, action, now_ns, "a refusal after it had taken the stream");
        return;
    }
    stream->counters->refusals++;
    action->refused = true;
    rn_sentence_copy(stream->lost_text, sizeof stream->lost_text, reason);
    action->message = rn_bytes_text(stream->lost_text);
    rn_swap_stream_leave_worker(stream, action);
    if (rn_swap_stream_resumable(stream)) {
        rn_swap_stream_wait(stream, action, now_ns);
    } else {
        rn_swap_stream_end_unresumable(stream, action);
    }
}

static void take_done(rn_swap_stream *stream, rn_swap_action *action, const rn_done *done) {
    note_first_frame(stream, action);
    rn_swap_stream_end(stream, action, RN_SWAP_CODE_OK, &stream->counters->ended_done);
    action->code = done->code <= GRPC_CODE_MAX ? done->code : RN_SWAP_CODE_UNKNOWN;
    action->message = done->message;
    action->message_from_worker = true;
    action->trailers = done->trailers;
}

rn_swap_action rn_swap_stream_frame(rn_swap_stream *stream, uint64_t now_ns, rn_swap_pair pair,
                                    const rn_worker_frame *frame) {
    rn_swap_action action = {0};
    if (!is_present(stream, pair)) {
        return stale(stream);
    }
    switch (frame->kind) {
    case RN_WORKER_NONE:
        break; /* of a later version of the protocol */
    case RN_WORKER_MESSAGE:
        take_message(stream, &action, now_ns, &frame->message);
        break;
    case RN_WORKER_EVENT:
        take_event(stream, &action, now_ns, frame->event);
        break;
    case RN_WORKER_CHECKPOINT:
        take_checkpoint(stream, &action, now_ns, &frame->checkpoint);
        break;
    case RN_WORKER_FAILURE:
        take_failure(stream, &action, now_ns, &frame->failure);
        break;
    case RN_WORKER_REFUSED:
        take_refused(stream, &action, now_ns, frame->refused);
        break;
    case RN_WORKER_DONE:
        take_done(stream, &action, &frame->done);
        break;
    case RN_WORKER_PROBE_REPLY:
        leave_for_fault(stream, &action, now_ns, "a probe reply on a stream's call");
        break;
    }
    return action;
}

rn_swap_action rn_swap_stream_lost(rn_swap_stream *stream, uint64_t now_ns, rn_swap_pair pair,
                                   enum rn_swap_reason reason, rn_bytes text) {
    rn_swap_action action = {0};
    assert(reason != RN_SWAP_NONE && (uint32_t)reason < RN_SWAP_REASONS);
    if (!is_present(stream, pair)) {
        return stale(stream);
    }
    leave_with_text(stream, &action, now_ns, reason, text);
    return action;
}

rn_swap_action rn_swap_stream_absent(rn_swap_stream *stream, uint64_t now_ns, rn_swap_pair pair) {
    rn_swap_action action = {0};
    if (!is_present(stream, pair)) {
        return stale(stream);
    }
    bool proven = stream->state != RN_SWAP_ASSIGNING || counts_in_doubt(stream);
    write_text(stream, stream->lost_text, RN_SWAP_KILLED, rn_bytes_of(NULL, 0));
    leave(stream, &action, now_ns, RN_SWAP_KILLED, proven);
    return action;
}

rn_swap_action rn_swap_stream_fault(rn_swap_stream *stream, uint64_t now_ns, rn_swap_pair pair,
                                    const char *how) {
    rn_swap_action action = {0};
    if (!is_present(stream, pair)) {
        return stale(stream);
    }
    leave_for_fault(stream, &action, now_ns, "%s", how);
    return action;
}
