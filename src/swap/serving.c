/* serving: see the header. The counterpart of stream_worker.c: what is a fault there is not sent
 * here. */
#include "swap/serving.h"

#include "rpcnet/error.h"
#include "swap/journal.h"

/* No stream counts that far; beyond it the numbers would wrap. */
#define SEQUENCE_MAX ((uint64_t)INT64_MAX)

void rn_serving_init(rn_serving *serving, size_t unacked_limit, size_t message_limit,
                     rn_budget *budget) {
    *serving = (rn_serving){.unacked_limit = unacked_limit, .message_limit = message_limit};
    /* rn_serving_may_send stops at unacked_limit; the message that goes beyond must fit, too. */
    rn_records_init(&serving->unacked, RN_ASSIGNMENT_DELIVERED,
                    unacked_limit + message_limit + RN_RECORD_OVERHEAD, budget);
}

void rn_serving_fini(rn_serving *serving) {
    if (serving != NULL) {
        rn_records_fini(&serving->unacked);
    }
}

static void end(rn_serving *serving) {
    serving->state = RN_SERVING_ENDED;
    rn_records_release(&serving->unacked);
}

static const char *fault_of_assignment(const rn_assignment *assignment) {
    if (assignment->attempt == 0) {
        return "the assignment has no attempt number";
    }
    if (assignment->method.len < 2 || assignment->method.data[0] != '/' ||
        assignment->method.len > RN_SERVING_METHOD_MAX) {
        return "the assignment has no proper method";
    }
    if (assignment->delivered_from < RN_SEQUENCE_FIRST ||
        assignment->delivered_from > assignment->next_sequence ||
        assignment->next_sequence > SEQUENCE_MAX) {
        return "the assignment's numbers are out of order";
    }
    if (assignment->delivered.count != assignment->next_sequence - assignment->delivered_from) {
        return "the assignment does not hold what was delivered";
    }
    return NULL;
}

static const char *take_assignment(rn_serving *serving, const rn_assignment *assignment) {
    const char *fault = fault_of_assignment(assignment);
    if (fault == NULL) {
        serving->state = RN_SERVING_SERVING;
        serving->epoch = assignment->director_epoch;
        serving->attempt = assignment->attempt;
        serving->next = assignment->next_sequence;
        serving->acked = assignment->next_sequence - 1;
        serving->checkpointed = assignment->delivered_from - 1;
        serving->credit = assignment->credit;
        serving->client_next = assignment->client_messages.count + 1;
        serving->half_closed = assignment->half_closed;
    }
    return fault;
}

static const char *take_client_message(rn_serving *serving, uint64_t sequence) {
    if (serving->half_closed) {
        return "a client's message after the half close";
    }
    if (sequence != serving->client_next) {
        return "a client's message out of order";
    }
    serving->client_next++;
    return NULL;
}

static const char *take_ack(rn_serving *serving, uint64_t sequence,
                            enum rn_serving_verdict *verdict) {
    if (sequence >= serving->next) {
        return "an acknowledgement of what was not sent";
    }
    *verdict = RN_SERVING_IGNORE;
    if (sequence > serving->acked) {
        rn_records_cut(&serving->unacked, (size_t)(sequence - serving->acked));
        serving->acked = sequence;
        *verdict = RN_SERVING_ROOM;
    }
    return NULL;
}

/* Frames of a call that is being served; NULL: no fault. */
static const char *take_frame(rn_serving *serving, const rn_director_frame *frame,
                              enum rn_serving_verdict *verdict) {
    switch (frame->kind) {
    case RN_DIRECTOR_NONE:
        *verdict = RN_SERVING_IGNORE; /* of a later version of the protocol */
        return NULL;
    case RN_DIRECTOR_CLIENT_MESSAGE:
        *verdict = RN_SERVING_CLIENT_MESSAGE;
        return take_client_message(serving, frame->client_message.sequence);
    case RN_DIRECTOR_HALF_CLOSE:
        if (serving->half_closed) {
            return "a second half close";
        }
        serving->half_closed = true;
        *verdict = RN_SERVING_HALF_CLOSED;
        return NULL;
    case RN_DIRECTOR_ACK:
        return take_ack(serving, frame->ack, verdict);
    case RN_DIRECTOR_CREDIT:
        *verdict = frame->credit > serving->credit ? RN_SERVING_ROOM : RN_SERVING_IGNORE;
        serving->credit = frame->credit > serving->credit ? frame->credit : serving->credit;
        return NULL;
    case RN_DIRECTOR_CANCEL:
        serving->cancelled = true;
        end(serving);
        *verdict = RN_SERVING_CANCELLED;
        return NULL;
    case RN_DIRECTOR_ASSIGNMENT:
    case RN_DIRECTOR_ATTACH:
        return "a second assignment on one call";
    case RN_DIRECTOR_PROBE:
        break;
    }
    return "a probe on a stream's call";
}

enum rn_serving_verdict rn_serving_frame(rn_serving *serving, const rn_director_frame *frame,
                                         const char **why) {
    enum rn_serving_verdict verdict = RN_SERVING_ASSIGNED;
    const char *fault;
    if (serving->state == RN_SERVING_ENDED) {
        return RN_SERVING_IGNORE;
    }
    if (serving->state == RN_SERVING_SERVING) {
        fault = take_frame(serving, frame, &verdict);
    } else if (frame->kind == RN_DIRECTOR_ASSIGNMENT) {
        fault = take_assignment(serving, &frame->assignment);
    } else {
        fault = "the call does not begin with an assignment";
    }
    if (fault == NULL) {
        return verdict;
    }
    if (why != NULL) {
        *why = fault;
    }
    end(serving);
    return RN_SERVING_FAULT;
}

bool rn_serving_may_send(const rn_serving *serving, size_t len) {
    return serving->state == RN_SERVING_SERVING && serving->unacked.cost < serving->unacked_limit &&
           (len == 0 || serving->sent < serving->credit);
}

int rn_serving_send(rn_serving *serving, rn_bytes payload, uint64_t *sequence) {
    if (serving->state != RN_SERVING_SERVING) {
        return RPCNET_ERR_STATE;
    }
    if (payload.len > serving->message_limit) {
        return RPCNET_ERR_LIMIT;
    }
    if (!rn_serving_may_send(serving, payload.len)) {
        return RPCNET_ERR_AGAIN;
    }
    int rv = rn_records_append(&serving->unacked, payload);
    if (rv == RPCNET_OK) {
        serving->answered = true;
        serving->sent += payload.len;
        *sequence = serving->next++;
    }
    return rv;
}

int rn_serving_event(rn_serving *serving) {
    if (serving->state != RN_SERVING_SERVING) {
        return RPCNET_ERR_STATE;
    }
    serving->answered = true;
    return RPCNET_OK;
}

int rn_serving_checkpoint(rn_serving *serving, uint64_t sequence) {
    if (serving->state != RN_SERVING_SERVING) {
        return RPCNET_ERR_STATE;
    }
    if (sequence >= serving->next || sequence < serving->checkpointed) {
        return RPCNET_ERR_ARGUMENT;
    }
    serving->answered = true;
    serving->checkpointed = sequence;
    return RPCNET_OK;
}

int rn_serving_refuse(rn_serving *serving) {
    return serving->answered ? RPCNET_ERR_STATE : rn_serving_end(serving);
}

int rn_serving_end(rn_serving *serving) {
    if (serving->state != RN_SERVING_SERVING) {
        return RPCNET_ERR_STATE;
    }
    end(serving);
    return RPCNET_OK;
}
