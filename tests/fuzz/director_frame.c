/* director_frame: frames of a director, any bytes, through the state machine of the worker's side.
 *
 * The frames are read by protobuf-c, too. Whatever the director says: messages are numbered without
 * a gap from where the assignment says, exactly those that are not acknowledged are kept, nothing
 * is acknowledged that was not sent, and after the end nothing happens.
 *
 * The input: a byte for the limits, then steps (enum step) with what they need behind them. */
#include "fuzz/fuzz.h"
#include "fuzz/protobuf.h"
#include "rpcnet/error.h"
#include "rpcnet/v1/worker.pb-c.h"
#include "support/lax.h"
#include "swap/serving.h"

enum { SENT_MAX = 1024 };

enum step {
    BYTES,
    ASSIGN,
    ACK,
    CREDIT,
    CLIENT_MESSAGE,
    HALF_CLOSE,
    CANCEL,
    SEND,
    EVENT,
    CHECKPOINT,
    REFUSE,
    END,
    STEPS
};

typedef struct attempt {
    rn_serving serving;
    rn_budget budget;
    uint64_t next;
    uint32_t sums[SENT_MAX]; /* of what was sent */
} attempt;

static void check(const attempt *a) {
    const rn_serving *s = &a->serving;
    rn_repeated kept = rn_serving_unacked(s);
    rn_bytes message;
    if (s->state != RN_SERVING_SERVING) {
        assert(kept.count == 0 && a->budget.used == 0);
        assert(!rn_serving_may_send(s, 0));
        return;
    }
    assert(s->next == a->next && s->acked < s->next);
    assert(kept.count == s->next - 1 - s->acked);
    for (uint64_t sequence = s->acked + 1; rn_repeated_next(&kept, &message); sequence++) {
        assert(s->next - sequence > SENT_MAX || a->sums[sequence % SENT_MAX] == fuzz_sum(message));
    }
}

static void give_frame(attempt *a, const rn_director_frame *frame) {
    const char *why = NULL;
    enum rn_serving_state before = a->serving.state;
    uint64_t acked = a->serving.acked;
    uint64_t credit = a->serving.credit;
    enum rn_serving_verdict verdict = rn_serving_frame(&a->serving, frame, &why);
    assert((verdict == RN_SERVING_FAULT) == (why != NULL));
    assert(before != RN_SERVING_ENDED || verdict == RN_SERVING_IGNORE);
    if (verdict == RN_SERVING_ASSIGNED) {
        assert(before == RN_SERVING_NEW && frame->kind == RN_DIRECTOR_ASSIGNMENT);
        a->next = frame->assignment.next_sequence;
    } else if (verdict == RN_SERVING_FAULT || verdict == RN_SERVING_CANCELLED) {
        assert(a->serving.state == RN_SERVING_ENDED);
    } else {
        assert(a->serving.acked >= acked && a->serving.credit >= credit);
        assert(a->serving.state == before);
    }
}

static void give_bytes(attempt *a, rn_bytes piece) {
    static const ProtobufCMessageDescriptor *const type = &rpcnet__v1__director_frame__descriptor;
    uint8_t *copy = fuzz_copy(piece);
    rn_bytes bytes = rn_bytes_of(copy, piece.len);
    rn_director_frame frame;
    int rv = rn_director_frame_parse(&frame, bytes);
    rn_buffer written;
    rn_buffer_init(&written, 1 << 20);
    if (rv == RPCNET_OK) {
        assert(rn_director_frame_append(&written, &frame) == RPCNET_OK);
        assert(written.len == rn_director_frame_size(&frame));
    }
    if (!lax_is_read_otherwise(copy, copy + piece.len, type)) {
        fuzz_same_reading(type, bytes, rn_buffer_bytes(&written), rv != RPCNET_OK);
    }
    if (rv == RPCNET_OK) {
        give_frame(a, &frame);
    }
    rn_buffer_fini(&written);
    free(copy);
}

static void director_step(attempt *a, fuzz_input *input, enum step step) {
    uint64_t near = (uint64_t)(int8_t)fuzz_byte(input);
    rn_director_frame frame = {.kind = RN_DIRECTOR_CANCEL};
    switch (step) {
    case ASSIGN:
        frame.kind = RN_DIRECTOR_ASSIGNMENT;
        frame.assignment = (rn_assignment){.attempt = fuzz_byte(input),
                                           .director_epoch = 7,
                                           .method = rn_bytes_text("/a.B/C"),
                                           .delivered = {.number = RN_ASSIGNMENT_DELIVERED},
                                           .next_sequence = 1 + near,
                                           .delivered_from = 1 + near,
                                           .credit = fuzz_number(input, 2)};
        break;
    case ACK:
        frame.kind = RN_DIRECTOR_ACK;
        frame.ack = a->serving.next + near;
        break;
    case CREDIT:
        frame.kind = RN_DIRECTOR_CREDIT;
        frame.credit = a->serving.credit + 100 * near;
        break;
    case CLIENT_MESSAGE:
        frame.kind = RN_DIRECTOR_CLIENT_MESSAGE;
        frame.client_message = (rn_numbered){a->serving.client_next + near, fuzz_piece(input)};
        break;
    case HALF_CLOSE:
        frame.kind = RN_DIRECTOR_HALF_CLOSE;
        break;
    default: /* CANCEL */
        break;
    }
    give_frame(a, &frame);
}

static void send_message(attempt *a, rn_bytes payload) {
    uint64_t sequence = 0;
    bool may = rn_serving_may_send(&a->serving, payload.len);
    int rv = rn_serving_send(&a->serving, payload, &sequence);
    if (rv == RPCNET_OK) {
        assert(may && sequence == a->next);
        a->sums[sequence % SENT_MAX] = fuzz_sum(payload);
        a->next++;
    } else {
        assert(rv == RPCNET_ERR_LIMIT ||
               (!may && (rv == RPCNET_ERR_AGAIN || rv == RPCNET_ERR_STATE)));
    }
}

static void worker_step(attempt *a, fuzz_input *input, enum step step) {
    bool serving = a->serving.state == RN_SERVING_SERVING;
    int rv = RPCNET_OK;
    switch (step) {
    case SEND:
        send_message(a, fuzz_piece(input));
        return;
    case EVENT:
        rv = rn_serving_event(&a->serving);
        break;
    case CHECKPOINT:
        rv = rn_serving_checkpoint(&a->serving, a->next + (uint64_t)(int8_t)fuzz_byte(input));
        assert(rv != RPCNET_OK || a->serving.checkpointed < a->next);
        break;
    case REFUSE:
        rv = rn_serving_refuse(&a->serving);
        break;
    default: /* END */
        rv = rn_serving_end(&a->serving);
        break;
    }
    assert(serving || rv == RPCNET_ERR_STATE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    attempt *a = calloc(1, sizeof *a);
    assert(a != NULL);
    uint8_t limits = fuzz_byte(&input);
    a->budget.limit = SIZE_MAX;
    rn_serving_init(&a->serving, limits & 1 ? 300 : RN_SERVING_UNACKED_LIMIT,
                    limits & 2 ? 200 : RN_SERVING_MESSAGE_LIMIT, &a->budget);
    for (unsigned turn = 0; turn < 2000 && input.len > 0; turn++) {
        enum step step = (enum step)(fuzz_byte(&input) % STEPS);
        if (step == BYTES) {
            give_bytes(a, fuzz_piece(&input));
        } else if (step <= CANCEL) {
            director_step(a, &input, step);
        } else {
            worker_step(a, &input, step);
        }
        check(a);
    }
    rn_serving_fini(&a->serving);
    assert(a->budget.used == 0);
    free(a);
    return 0;
}
