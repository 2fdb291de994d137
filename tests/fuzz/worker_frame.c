/* worker_frame: frames of workers, any bytes, through the director's state machine of a stream.
 *
 * The frames are read by protobuf-c, too. Over the whole life of a stream, from worker to worker:
 * each message is relayed once and in order, whatever the workers say; only what was relayed is
 * acknowledged; the stream ends once; and each assignment holds exactly what was delivered.
 *
 * The input: a byte for the limits, then steps (enum step) with what they need behind them. */
#include "fuzz/fuzz.h"
#include "fuzz/protobuf.h"
#include "rpcnet/error.h"
#include "rpcnet/v1/worker.pb-c.h"
#include "support/lax.h"
#include "support/assignment.h"
#include "swap/serving.h"
#include "swap/stream.h"

enum { DELIVERED_MAX = 1024, WORKERS = 5, EPOCH = 7 };

enum step {
    BYTES,
    STALE_BYTES,
    MESSAGE,
    EVENT,
    CHECKPOINT,
    DONE,
    FAILURE,
    REFUSED,
    LOST,
    ABSENT,
    FAULT,
    CLIENT,
    HALF_CLOSE,
    CLIENT_END,
    TIME,
    GRANT,
    ACK,
    NOBODY,
    STEPS
};

typedef struct life {
    rn_swap_config config;
    rn_swap_counters counters;
    rn_budget budget;
    rn_swap_stream stream;
    uint64_t now;
    uint64_t next;  /* message that is due */
    uint64_t acked; /* since the assignment */
    uint64_t granted;
    unsigned turn; /* which worker is next */
    bool ended;
    uint32_t sums[DELIVERED_MAX]; /* of what was relayed */
} life;

/* The worker is sent what waits for it now and then; the last of it is what just came. */
static void take_waiting(rn_swap_stream *s, const rn_swap_action *action) {
    rn_bytes payload = {0};
    assert(action->sequence == s->requests.count && rn_requests_waiting(&s->requests));
    if (action->sequence % 3 != 0) {
        return;
    }
    while (rn_requests_next(&s->requests, &payload)) {
        uint64_t sent = s->requests.sent;
        bool last = sent + 1 == s->requests.count;
        assert(!last || rn_bytes_equal(payload, action->payload));
        rn_requests_note_sent(&s->requests);
        assert(s->requests.sent == sent + 1);
    }
    assert(!rn_requests_waiting(&s->requests));
    assert(!s->requests.given_up || s->requests.records.count == 0);
}

/* What an action promises, whatever the input was. */
static void check_action(life *l, const rn_swap_action *action) {
    rn_swap_stream *s = &l->stream;
    bool was_ended = l->ended;
    switch (action->kind) {
    case RN_SWAP_RELAY:
        assert(action->sequence == l->next);
        l->sums[l->next % DELIVERED_MAX] = fuzz_sum(action->payload);
        l->next++;
        break;
    case RN_SWAP_DUPLICATE:
        assert(action->sequence < l->next);
        break;
    case RN_SWAP_CHOOSE:
        assert(s->state == RN_SWAP_WAITING && rn_swap_stream_resumable(s));
        break;
    case RN_SWAP_WAIT:
        assert(s->state == RN_SWAP_WAITING);
        assert(rn_swap_stream_next_deadline(s) > 0);
        break;
    case RN_SWAP_END:
        assert(!was_ended && action->code <= 16);
        l->ended = true;
        break;
    case RN_SWAP_FORWARD:
        assert(rn_swap_stream_live(s));
        take_waiting(s, action);
        break;
    case RN_SWAP_FORWARD_HALF_CLOSE:
    case RN_SWAP_RELAY_EVENT:
        assert(rn_swap_stream_live(s));
        break;
    case RN_SWAP_NOTHING:
    case RN_SWAP_STALE:
        break;
    }
    assert(!was_ended || action->kind == RN_SWAP_NOTHING || action->kind == RN_SWAP_STALE);
    assert((s->state == RN_SWAP_DONE) == l->ended);
    assert(!l->ended || l->budget.used == 0);
    assert(s->journal.next == l->next);
    assert(l->budget.used == rn_journal_memory(&s->journal) + rn_requests_memory(&s->requests));
}

static void act(life *l, rn_swap_action action) {
    check_action(l, &action);
}

/* The assignment is a frame that a worker takes, and says what was delivered. */
static void check_assignment(life *l) {
    rn_buffer bytes;
    rn_director_frame frame;
    rn_serving serving;
    rn_bytes message;
    rn_assignment_call call = {.connection_id = rn_bytes_text("0a0b"),
                               .stream_id = 4,
                               .method = rn_bytes_text("/a.B/C"),
                               .metadata = {.number = RN_ASSIGNMENT_METADATA}};
    rn_buffer_init(&bytes, 16 << 20);
    assert(test_assignment_append(&bytes, &l->stream, &call, l->now) == RPCNET_OK);
    assert(rn_director_frame_parse(&frame, rn_buffer_bytes(&bytes)) == RPCNET_OK);
    rn_serving_init(&serving, RN_SERVING_UNACKED_LIMIT, RN_SERVING_MESSAGE_LIMIT, NULL);
    assert(rn_serving_frame(&serving, &frame, NULL) == RN_SERVING_ASSIGNED);
    assert(serving.next == l->next && serving.attempt == l->stream.pair.attempt);
    uint64_t sequence = frame.assignment.delivered_from;
    while (rn_repeated_next(&frame.assignment.delivered, &message)) {
        assert(l->next - sequence > DELIVERED_MAX ||
               l->sums[sequence % DELIVERED_MAX] == fuzz_sum(message));
        sequence++;
    }
    assert(sequence == l->next);
    rn_serving_fini(&serving);
    rn_buffer_fini(&bytes);
}

static void assign(life *l) {
    char label[] = "worker-a";
    uint64_t worker = 1 + l->turn++ % WORKERS;
    label[7] = (char)('a' + worker - 1);
    rn_swap_stream_assign(&l->stream, worker, rn_bytes_text(label), l->config.credit_window);
    l->acked = l->next - 1;
    l->granted = l->stream.granted;
    check_assignment(l);
}

static void give_frame(life *l, rn_swap_pair pair, const rn_worker_frame *frame) {
    uint64_t next = l->next;
    rn_swap_action action = rn_swap_stream_frame(&l->stream, l->now, pair, frame);
    if (action.kind == RN_SWAP_RELAY) {
        assert(frame->kind == RN_WORKER_MESSAGE && frame->message.sequence == next);
        assert(rn_bytes_equal(action.payload, frame->message.payload));
    }
    act(l, action);
}

static void give_bytes(life *l, rn_swap_pair pair, rn_bytes piece) {
    static const ProtobufCMessageDescriptor *const type = &rpcnet__v1__worker_frame__descriptor;
    uint8_t *copy = fuzz_copy(piece);
    rn_bytes bytes = rn_bytes_of(copy, piece.len);
    rn_worker_frame frame;
    int rv = rn_worker_frame_parse(&frame, bytes);
    rn_buffer written;
    rn_buffer_init(&written, 1 << 20);
    if (rv == RPCNET_OK) {
        assert(rn_worker_frame_append(&written, &frame) == RPCNET_OK);
        assert(written.len == rn_worker_frame_size(&frame));
    }
    if (!lax_is_read_otherwise(copy, copy + piece.len, type)) {
        fuzz_same_reading(type, bytes, rn_buffer_bytes(&written), rv != RPCNET_OK);
    }
    if (rv == RPCNET_OK) {
        give_frame(l, pair, &frame);
    } else {
        act(l, rn_swap_stream_fault(&l->stream, l->now, pair, "bytes that are no frame"));
    }
    rn_buffer_fini(&written);
    free(copy);
}

/* Frames whose numbers are near what is due. */
static void give_numbered(life *l, fuzz_input *input, enum step step) {
    uint64_t sequence = l->next + (uint64_t)(int8_t)fuzz_byte(input);
    rn_worker_frame frame = {.kind = RN_WORKER_MESSAGE};
    if (step == CHECKPOINT) {
        frame.kind = RN_WORKER_CHECKPOINT;
        frame.checkpoint = (rn_numbered){sequence, fuzz_piece(input)};
    } else {
        frame.message = (rn_numbered){sequence, fuzz_piece(input)};
    }
    give_frame(l, l->stream.pair, &frame);
}

static void worker_step(life *l, fuzz_input *input, enum step step) {
    rn_swap_pair pair = l->stream.pair;
    rn_worker_frame frame = {.kind = RN_WORKER_NONE};
    switch (step) {
    case BYTES:
        give_bytes(l, pair, fuzz_piece(input));
        return;
    case STALE_BYTES:
        pair.attempt -= 1;
        pair.epoch -= fuzz_byte(input) & 1;
        give_bytes(l, pair, fuzz_piece(input));
        return;
    case MESSAGE:
    case CHECKPOINT:
        give_numbered(l, input, step);
        return;
    case EVENT:
        frame.kind = RN_WORKER_EVENT;
        frame.event = fuzz_piece(input);
        break;
    case DONE:
        frame.kind = RN_WORKER_DONE;
        frame.done = (rn_done){.code = fuzz_byte(input), .message = fuzz_piece(input)};
        break;
    case FAILURE: {
        uint8_t flags = fuzz_byte(input);
        frame.kind = RN_WORKER_FAILURE;
        frame.failure = (rn_failure){fuzz_piece(input), (flags & 1) != 0, (flags & 2) != 0};
        break;
    }
    default: /* REFUSED */
        frame.kind = RN_WORKER_REFUSED;
        frame.refused = fuzz_piece(input);
        break;
    }
    give_frame(l, pair, &frame);
}

static void grant(life *l, uint64_t room) {
    uint64_t total = 0;
    if (rn_swap_stream_grant(&l->stream, room, &total)) {
        assert(total > l->granted);
        l->granted = total;
    }
}

static void take_ack(life *l) {
    uint64_t sequence = 0;
    if (rn_swap_stream_take_ack(&l->stream, &sequence)) {
        assert(sequence > l->acked && sequence < l->next);
        l->acked = sequence;
    }
}

static void other_step(life *l, fuzz_input *input, enum step step) {
    rn_swap_stream *s = &l->stream;
    uint8_t choice = fuzz_byte(input);
    switch (step) {
    case LOST:
        act(l, rn_swap_stream_lost(s, l->now, s->pair,
                                   (enum rn_swap_reason)(1 + choice % (RN_SWAP_REASONS - 1)),
                                   fuzz_piece(input)));
        break;
    case ABSENT:
        act(l, rn_swap_stream_absent(s, l->now, s->pair));
        break;
    case FAULT:
        act(l, rn_swap_stream_fault(s, l->now, s->pair, "something else"));
        break;
    case CLIENT:
        act(l, rn_swap_stream_client_message(s, fuzz_piece(input)));
        break;
    case HALF_CLOSE:
        act(l, rn_swap_stream_half_close(s));
        break;
    case CLIENT_END:
        act(l, choice % 4 == 0   ? rn_swap_stream_cancel(s)
               : choice % 4 == 1 ? rn_swap_stream_expire(s)
                                 : rn_swap_stream_give_up(s));
        break;
    case TIME:
        l->now += fuzz_number(input, 2) * RN_MILLISECOND;
        act(l, rn_swap_stream_tick(s, l->now));
        break;
    case GRANT:
        grant(l, fuzz_number(input, 3));
        break;
    case ACK:
        take_ack(l);
        break;
    default: /* NOBODY */
        if (s->state == RN_SWAP_WAITING) {
            act(l, rn_swap_stream_nobody(s, l->now));
        }
        break;
    }
}

static void begin(life *l, uint8_t limits) {
    rn_swap_config_default(&l->config);
    l->config.journal_limit = limits & 1 ? 1000 : 1 << 20;
    l->config.requests_limit = limits & 2 ? 300 : 1 << 20;
    l->config.queue_limit = limits & 2 ? 500 : 1 << 20;
    l->config.checkpoint_limit = limits & 4 ? 32 : 1 << 16;
    l->config.event_limit = limits & 8 ? 300 : 1 << 16;
    l->config.credit_window = limits & 16 ? 256 : 1 << 18;
    l->config.max_attempts = limits & 32 ? 3 : 100;
    l->budget.limit = SIZE_MAX;
    l->now = 100 * RN_SECOND;
    l->next = 1;
    rn_swap_stream_init(&l->stream, &l->config, &l->counters, &l->budget, EPOCH);
    act(l,
        rn_swap_stream_open(&l->stream, l->now, limits & 64 ? l->now + 30 * RN_SECOND : RN_NEVER));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    life *l = calloc(1, sizeof *l);
    assert(l != NULL);
    begin(l, fuzz_byte(&input));
    for (unsigned turn = 0; turn < 2000 && input.len > 0; turn++) {
        enum step step = (enum step)(fuzz_byte(&input) % STEPS);
        if (l->stream.state == RN_SWAP_WAITING && step != NOBODY && step != TIME) {
            assign(l);
        }
        if (step <= REFUSED) {
            worker_step(l, &input, step);
        } else {
            other_step(l, &input, step);
        }
    }
    rn_swap_stream_fini(&l->stream);
    assert(l->budget.used == 0);
    free(l);
    return 0;
}
