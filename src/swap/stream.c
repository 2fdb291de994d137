/* stream: life, choosing, time and the client's inputs. The worker's inputs, and with them the
 * reasons to leave a worker, are in stream_worker.c. */
#include "swap/stream.h"

#include <assert.h>

#include "rpcnet/error.h"
#include "swap/stream_internal.h"

void rn_swap_config_default(rn_swap_config *config) {
    *config = (rn_swap_config){.max_attempts = RN_SWAP_MAX_ATTEMPTS,
                               .park_ns = RN_SWAP_PARK_NS,
                               .backoff_min_ns = RN_SWAP_BACKOFF_MIN_NS,
                               .backoff_max_ns = RN_SWAP_BACKOFF_MAX_NS,
                               .journal_limit = RN_JOURNAL_LIMIT,
                               .checkpoint_limit = RN_JOURNAL_CHECKPOINT_LIMIT,
                               .requests_limit = RN_REQUESTS_LIMIT,
                               .queue_limit = RN_REQUESTS_QUEUE_LIMIT,
                               .event_limit = RN_SWAP_EVENT_LIMIT,
                               .credit_window = RN_SWAP_CREDIT_WINDOW};
}

void rn_swap_stream_init(rn_swap_stream *stream, const rn_swap_config *config,
                         rn_swap_counters *counters, rn_budget *budget, uint64_t epoch) {
    *stream = (rn_swap_stream){.config = config,
                               .counters = counters,
                               .pair.epoch = epoch,
                               .deadline_ns = RN_NEVER,
                               .park_deadline_ns = RN_NEVER,
                               .retry_ns = RN_NEVER,
                               .backoff_ns = config->backoff_min_ns};
    rn_journal_init(&stream->journal, config->journal_limit, config->checkpoint_limit, budget);
    rn_requests_init(&stream->requests, config->requests_limit, config->queue_limit, budget);
}

void rn_swap_stream_fini(rn_swap_stream *stream) {
    if (stream != NULL) {
        rn_journal_fini(&stream->journal);
        rn_requests_fini(&stream->requests);
    }
}

static uint64_t later(uint64_t now_ns, uint64_t wait_ns) {
    return wait_ns > RN_NEVER - now_ns ? RN_NEVER : now_ns + wait_ns;
}

void rn_swap_stream_leave_worker(const rn_swap_stream *stream, rn_swap_action *action) {
    action->close_worker = true;
    action->closed = stream->pair;
    action->worker = stream->worker;
}

void rn_swap_stream_end(rn_swap_stream *stream, rn_swap_action *action, enum rn_swap_code code,
                        uint64_t *counter) {
    if (rn_swap_stream_live(stream)) {
        rn_swap_stream_leave_worker(stream, action);
    }
    stream->counters->opened += stream->state == RN_SWAP_IDLE;
    action->kind = RN_SWAP_END;
    action->code = code;
    action->message = rn_bytes_text(stream->end_text);
    stream->state = RN_SWAP_DONE;
    /* Nothing of it is needed any more, and the budget may be short. */
    rn_journal_fini(&stream->journal);
    rn_requests_fini(&stream->requests);
    if (counter != NULL) {
        (*counter)++;
    }
}

bool rn_swap_stream_resumable(const rn_swap_stream *stream) {
    return rn_journal_resumable(&stream->journal) && rn_requests_replayable(&stream->requests);
}

void rn_swap_stream_end_unresumable(rn_swap_stream *stream, rn_swap_action *action) {
    bool journal = !rn_journal_resumable(&stream->journal);
    rn_sentence_format(stream->end_text, sizeof stream->end_text,
                       "the stream cannot go to another worker: %s is not kept (limit %zu bytes)",
                       journal ? "what was delivered" : "the request",
                       journal ? stream->config->journal_limit : stream->config->requests_limit);
    rn_swap_stream_end(stream, action, RN_SWAP_CODE_UNAVAILABLE,
                       &stream->counters->ended_unresumable);
}

static void end_parked(rn_swap_stream *stream, rn_swap_action *action) {
    rn_sentence_format(stream->end_text, sizeof stream->end_text,
                       "no worker took the stream within %llu ms",
                       (unsigned long long)(stream->config->park_ns / RN_MILLISECOND));
    rn_swap_stream_end(stream, action, RN_SWAP_CODE_UNAVAILABLE, &stream->counters->ended_parked);
}

static void end_deadline(rn_swap_stream *stream, rn_swap_action *action) {
    rn_sentence_format(stream->end_text, sizeof stream->end_text, "the deadline has passed");
    rn_swap_stream_end(stream, action, RN_SWAP_CODE_DEADLINE_EXCEEDED,
                       &stream->counters->ended_deadline);
}

/* Everybody was tried: the next round begins after a pause that grows. */
static void back_off(rn_swap_stream *stream, uint64_t now_ns) {
    stream->retry_ns = later(now_ns, stream->backoff_ns);
    stream->backoff_ns = stream->backoff_ns > stream->config->backoff_max_ns / 2
                             ? stream->config->backoff_max_ns
                             : stream->backoff_ns * 2;
}

void rn_swap_stream_wait(rn_swap_stream *stream, rn_swap_action *action, uint64_t now_ns) {
    if (stream->state == RN_SWAP_FLOWING) {
        /* It was served: the time to wait for a worker, and the round, begin anew. */
        stream->park_deadline_ns = later(now_ns, stream->config->park_ns);
        stream->backoff_ns = stream->config->backoff_min_ns;
        stream->tried_count = 0;
    }
    stream->state = RN_SWAP_WAITING;
    stream->retry_ns = RN_NEVER;
    if (now_ns >= stream->deadline_ns) {
        end_deadline(stream, action);
    } else if (stream->tried_count == RN_SWAP_TRIED_MAX) {
        stream->counters->rounds_full++;
        back_off(stream, now_ns);
        action->kind = RN_SWAP_WAIT;
    } else {
        stream->tried[stream->tried_count++] = stream->worker;
        action->kind = RN_SWAP_CHOOSE;
    }
}

rn_swap_action rn_swap_stream_open(rn_swap_stream *stream, uint64_t now_ns, uint64_t deadline_ns) {
    rn_swap_action action = {0};
    if (stream->state == RN_SWAP_DONE) {
        return action; /* it ended in the turn in which it came */
    }
    assert(stream->state == RN_SWAP_IDLE);
    stream->counters->opened++;
    stream->state = RN_SWAP_WAITING;
    stream->deadline_ns = deadline_ns;
    stream->park_deadline_ns = later(now_ns, stream->config->park_ns);
    action.kind = RN_SWAP_CHOOSE;
    if (now_ns >= deadline_ns) {
        end_deadline(stream, &action);
    }
    return action;
}

void rn_swap_stream_assign(rn_swap_stream *stream, uint64_t worker, rn_bytes label,
                           uint64_t credit) {
    assert(stream->state == RN_SWAP_WAITING);
    assert(rn_swap_stream_resumable(stream));
    stream->state = RN_SWAP_ASSIGNING;
    stream->pair.attempt++;
    stream->worker = worker;
    rn_sentence_copy(stream->worker_label, sizeof stream->worker_label, label);
    stream->retry_ns = RN_NEVER;
    stream->granted =
        credit < stream->config->credit_window ? credit : stream->config->credit_window;
    stream->received = 0;
    stream->event_bytes = 0;
    stream->acked = stream->journal.next - 1;
    stream->unacked_bytes = 0;
    rn_requests_restart(&stream->requests);
    stream->counters->assignments++;
}

rn_swap_action rn_swap_stream_nobody(rn_swap_stream *stream, uint64_t now_ns) {
    rn_swap_action action = {.kind = RN_SWAP_WAIT};
    assert(stream->state == RN_SWAP_WAITING);
    if (now_ns >= stream->park_deadline_ns) {
        end_parked(stream, &action);
    } else if (stream->tried_count > 0 && stream->retry_ns == RN_NEVER) {
        back_off(stream, now_ns);
    }
    return action;
}

uint64_t rn_swap_stream_next_deadline(const rn_swap_stream *stream) {
    uint64_t next = RN_NEVER;
    if (stream->state != RN_SWAP_DONE) {
        next = stream->deadline_ns;
    }
    if (stream->state == RN_SWAP_WAITING) {
        next = stream->park_deadline_ns < next ? stream->park_deadline_ns : next;
        next = stream->retry_ns < next ? stream->retry_ns : next;
    }
    return next;
}

rn_swap_action rn_swap_stream_tick(rn_swap_stream *stream, uint64_t now_ns) {
    rn_swap_action action = {0};
    if (stream->state == RN_SWAP_DONE) {
        return action;
    }
    if (now_ns >= stream->deadline_ns) {
        end_deadline(stream, &action);
    } else if (stream->state != RN_SWAP_WAITING) {
        return action;
    } else if (now_ns >= stream->park_deadline_ns) {
        end_parked(stream, &action);
    } else if (now_ns >= stream->retry_ns) {
        stream->retry_ns = RN_NEVER;
        stream->tried_count = 0;
        action.kind = RN_SWAP_CHOOSE;
    }
    return action;
}

/* There is no place for a message of the client: `result` says why. */
static void end_exhausted(rn_swap_stream *stream, rn_swap_action *action, int result) {
    if (result == RPCNET_ERR_MEMORY) {
        rn_sentence_format(stream->end_text, sizeof stream->end_text,
                           "out of memory for a message of the client");
    } else if (rn_swap_stream_live(stream)) {
        rn_sentence_format(stream->end_text, sizeof stream->end_text,
                           "the worker is slow, and more waits for it than is kept (%zu bytes)",
                           stream->config->queue_limit);
        stream->counters->queues_full++;
    } else {
        rn_sentence_format(stream->end_text, sizeof stream->end_text,
                           "no worker has the stream, and the request is more than is kept (%zu "
                           "bytes)",
                           stream->config->requests_limit);
    }
    rn_swap_stream_end(stream, action, RN_SWAP_CODE_RESOURCE_EXHAUSTED,
                       &stream->counters->ended_exhausted);
}

rn_swap_action rn_swap_stream_client_message(rn_swap_stream *stream, rn_bytes payload) {
    rn_swap_action action = {0};
    if (stream->state == RN_SWAP_DONE) {
        return action;
    }
    if (stream->requests.half_closed) {
        rn_sentence_format(stream->end_text, sizeof stream->end_text,
                           "a message came after the end of the request");
        rn_swap_stream_end(stream, &action, RN_SWAP_CODE_INTERNAL, &stream->counters->ended_other);
        return action;
    }
    int rv = rn_requests_append(&stream->requests, payload);
    if (rv == RPCNET_ERR_LIMIT || rv == RPCNET_ERR_MEMORY) {
        stream->counters->requests_given_up++;
        action.given_up = true;
    }
    if (rv != RPCNET_OK && rn_swap_stream_live(stream)) {
        rv = rn_requests_queue(&stream->requests, payload);
    }
    if (rv != RPCNET_OK) {
        end_exhausted(stream, &action, rv);
    } else if (rn_swap_stream_live(stream)) {
        action.kind = RN_SWAP_FORWARD;
        action.sequence = stream->requests.count;
        action.payload = payload;
    }
    return action;
}

rn_swap_action rn_swap_stream_half_close(rn_swap_stream *stream) {
    rn_swap_action action = {0};
    if (stream->state == RN_SWAP_DONE || stream->requests.half_closed) {
        return action;
    }
    stream->requests.half_closed = true;
    if (rn_swap_stream_live(stream)) {
        action.kind = RN_SWAP_FORWARD_HALF_CLOSE;
    }
    return action;
}

static rn_swap_action end_for(rn_swap_stream *stream, enum rn_swap_code code, uint64_t *counter,
                              const char *text) {
    rn_swap_action action = {0};
    if (stream->state != RN_SWAP_DONE) {
        rn_sentence_format(stream->end_text, sizeof stream->end_text, "%s", text);
        rn_swap_stream_end(stream, &action, code, counter);
    }
    return action;
}

rn_swap_action rn_swap_stream_cancel(rn_swap_stream *stream) {
    return end_for(stream, RN_SWAP_CODE_CANCELLED, &stream->counters->ended_cancelled,
                   "cancelled by the client");
}

rn_swap_action rn_swap_stream_client_lost(rn_swap_stream *stream) {
    return end_for(stream, RN_SWAP_CODE_UNAVAILABLE, &stream->counters->ended_cancelled,
                   "the client's connection has ended");
}

rn_swap_action rn_swap_stream_fail(rn_swap_stream *stream, enum rn_swap_code code,
                                   const char *text) {
    return end_for(stream, code, &stream->counters->ended_other, text);
}

rn_swap_action rn_swap_stream_exhaust(rn_swap_stream *stream, const char *text) {
    return end_for(stream, RN_SWAP_CODE_RESOURCE_EXHAUSTED, &stream->counters->ended_exhausted,
                   text);
}

rn_swap_action rn_swap_stream_expire(rn_swap_stream *stream) {
    rn_swap_action action = {0};
    if (stream->state != RN_SWAP_DONE) {
        end_deadline(stream, &action);
    }
    return action;
}

/* Nothing is lost with a journal of which nothing was delivered. */
static bool give_up_journal(rn_swap_stream *stream) {
    rn_journal_give_up(&stream->journal);
    bool lost = !rn_journal_resumable(&stream->journal);
    stream->counters->journals_given_up += lost;
    return lost;
}

static bool give_up_requests(rn_swap_stream *stream) {
    bool kept = rn_requests_replayable(&stream->requests);
    rn_requests_give_up(&stream->requests);
    bool lost = kept && !rn_requests_replayable(&stream->requests);
    stream->counters->requests_given_up += lost;
    return lost;
}

rn_swap_action rn_swap_stream_give_up(rn_swap_stream *stream) {
    rn_swap_action action = {0};
    if (stream->state == RN_SWAP_DONE) {
        return action;
    }
    action.given_up = rn_journal_memory(&stream->journal) > 0 ? give_up_journal(stream)
                                                              : give_up_requests(stream);
    if (action.given_up && !rn_swap_stream_live(stream)) {
        rn_sentence_format(stream->end_text, sizeof stream->end_text,
                           "memory is short and no worker has the stream");
        rn_swap_stream_end(stream, &action, RN_SWAP_CODE_UNAVAILABLE,
                           &stream->counters->ended_unresumable);
    }
    return action;
}

bool rn_swap_stream_grant(rn_swap_stream *stream, uint64_t room, uint64_t *total) {
    if (!rn_swap_stream_live(stream) || room == 0) {
        return false;
    }
    stream->event_bytes = 0;
    uint64_t window = stream->config->credit_window;
    uint64_t wanted = stream->received + (room < window ? room : window);
    bool worth_a_frame = wanted > stream->granted && (wanted - stream->granted >= window / 4 ||
                                                      stream->received >= stream->granted);
    if (worth_a_frame) {
        stream->granted = wanted;
        *total = wanted;
    }
    return worth_a_frame;
}

bool rn_swap_stream_has_credit(const rn_swap_stream *stream) {
    return rn_swap_stream_live(stream) && stream->received < stream->granted;
}

bool rn_swap_stream_take_ack(rn_swap_stream *stream, uint64_t *sequence) {
    uint64_t last = stream->journal.next - 1;
    bool enough =
        last - stream->acked >= RN_SWAP_ACK_MESSAGES || stream->unacked_bytes >= RN_SWAP_ACK_BYTES;
    if (!rn_swap_stream_live(stream) || last == stream->acked || !enough) {
        return false;
    }
    stream->acked = last;
    stream->unacked_bytes = 0;
    *sequence = last;
    return true;
}
