/* world: one director stream, its client and a few workers, joined by ordered queues of encoded
 * frames, driven by a seeded generator. The workers run rn_serving and a model whose every message
 * depends on all before it, so a lost, repeated or altered message changes the rest. */
#ifndef RN_TEST_SWAP_WORLD_H
#define RN_TEST_SWAP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"
#include "rpcnet/error.h"
#include "support/assignment.h"
#include "swap/pick.h"
#include "swap/serving.h"

enum { WORLD_WORKERS = 4, WORLD_CALLS = 48, WORLD_PAYLOAD_MAX = 64 };

typedef struct world_queue {
    rn_buffer bytes;
    size_t at;
} world_queue;

typedef struct world_call {
    bool open;
    bool frozen; /* its worker hangs: it neither reads nor writes, but may come back */
    bool dead;   /* its worker's process is gone */
    rn_swap_pair pair;
    uint64_t worker;
    rn_serving serving;
    world_queue down;
    world_queue up;
    uint64_t hash; /* of all messages before serving.next */
    uint64_t client_messages;
} world_call;

typedef struct world_run {
    random_source random;
    bool liars; /* workers send frames that they should not */
    uint64_t now;
    uint64_t total; /* messages of the whole stream */
    rn_swap_config config;
    rn_swap_counters counters;
    rn_budget director_budget;
    rn_budget worker_budget;
    rn_swap_stream stream;
    world_call calls[WORLD_CALLS];
    uint64_t last_picked;
    /* the client */
    uint64_t hash;
    uint64_t received;
    uint64_t room;
    uint64_t client_sent;
    bool client_closed;
    bool ended;
    uint32_t end_code;
    bool end_is_done;
    /* what an observer counts */
    uint32_t losses;
    uint32_t doubts; /* deaths without credit, in a row */
    bool taken;      /* the present worker has taken the stream */
    uint32_t moves;
    uint32_t stale;
    bool gave_up;
} world_run;

static inline bool world_put(world_queue *queue, const void *head, size_t head_len,
                             rn_bytes payload) {
    uint32_t len = (uint32_t)(head_len + payload.len);
    int rv = rn_buffer_append(&queue->bytes, &len, sizeof len);
    assert_int_equal(rv, RPCNET_OK);
    assert_int_equal(rn_buffer_append(&queue->bytes, head, head_len), RPCNET_OK);
    assert_int_equal(rn_buffer_append(&queue->bytes, payload.data, payload.len), RPCNET_OK);
    return true;
}

/* The frame is valid until the next put. */
static inline bool world_take(world_queue *queue, rn_bytes *frame) {
    uint32_t len;
    if (queue->at == queue->bytes.len) {
        rn_buffer_clear(&queue->bytes);
        queue->at = 0;
        return false;
    }
    memcpy(&len, queue->bytes.data + queue->at, sizeof len);
    *frame = rn_bytes_of(queue->bytes.data + queue->at + sizeof len, len);
    queue->at += sizeof len + len;
    return true;
}

static inline void world_put_worker_frame(world_queue *queue, const rn_worker_frame *frame) {
    uint8_t bytes[512];
    assert_true(rn_worker_frame_size(frame) <= sizeof bytes);
    size_t len = (size_t)(rn_worker_frame_write(bytes, frame) - bytes);
    world_put(queue, bytes, len, rn_bytes_of(NULL, 0));
}

/* ── the model ── */

static inline uint64_t model_mix(uint64_t hash, rn_bytes payload) {
    for (size_t i = 0; i < payload.len; i++) {
        hash = (hash ^ payload.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash + payload.len + 1;
}

static inline rn_bytes model_message(uint64_t hash, uint8_t out[WORLD_PAYLOAD_MAX]) {
    random_source source = {hash};
    size_t len = random_below(&source, WORLD_PAYLOAD_MAX);
    random_fill(&source, out, len);
    return rn_bytes_of(out, len);
}

/* ── the director ── */

static inline world_call *world_free_call(world_run *world) {
    for (size_t i = 0; i < WORLD_CALLS; i++) {
        if (!world->calls[i].open) {
            return &world->calls[i];
        }
    }
    fail_msg("no call is free");
    return NULL;
}

static inline void world_close_call(world_call *call) {
    rn_serving_fini(&call->serving);
    rn_buffer_fini(&call->down.bytes);
    rn_buffer_fini(&call->up.bytes);
    call->open = false;
}

static inline world_call *world_present(world_run *world) {
    for (size_t i = 0; i < WORLD_CALLS; i++) {
        world_call *call = &world->calls[i];
        if (call->open && call->pair.attempt == world->stream.pair.attempt) {
            return call;
        }
    }
    return NULL;
}

static inline void world_assign(world_run *world, uint64_t worker) {
    static const char *const labels[] = {"", "worker-a", "worker-b", "worker-c", "worker-d"};
    world_call *call = world_free_call(world);
    rn_buffer frame;
    uint32_t attempt = world->stream.pair.attempt;
    world->taken = false;
    rn_swap_stream_assign(&world->stream, worker, rn_bytes_text(labels[worker]), world->room);
    assert_int_equal(world->stream.pair.attempt, attempt + 1);
    *call = (world_call){.open = true, .pair = world->stream.pair, .worker = worker};
    rn_serving_init(&call->serving, 2000, 1000, &world->worker_budget);
    rn_buffer_init(&call->down.bytes, 1 << 20);
    rn_buffer_init(&call->up.bytes, 1 << 20);
    rn_buffer_init(&frame, 1 << 20);
    rn_assignment_call about = {.connection_id = rn_bytes_text("conn-1"),
                                .stream_id = 1,
                                .method = rn_bytes_text("/a.B/C")};
    assert_int_equal(test_assignment_append(&frame, &world->stream, &about, world->now), RPCNET_OK);
    world_put(&call->down, frame.data, frame.len, rn_bytes_of(NULL, 0));
    rn_buffer_fini(&frame);
    world->moves++;
}

static inline rn_swap_action world_choose(world_run *world) {
    rn_pick_worker workers[WORLD_WORKERS];
    for (uint64_t i = 0; i < WORLD_WORKERS; i++) {
        workers[i] = (rn_pick_worker){.id = i + 1,
                                      .state = random_chance(&world->random, 80) ? RN_PICK_READY
                                                                                 : RN_PICK_SUSPECT,
                                      .preferred = i == 0};
    }
    size_t at = rn_pick(workers, WORLD_WORKERS, world->stream.tried, world->stream.tried_count,
                        &world->last_picked);
    if (at == RN_PICK_NONE) {
        return rn_swap_stream_nobody(&world->stream, world->now);
    }
    world_assign(world, workers[at].id);
    return (rn_swap_action){0};
}

static inline void world_relay(world_run *world, const rn_swap_action *action) {
    uint8_t memory[WORLD_PAYLOAD_MAX];
    assert_int_equal(action->sequence, world->received + 1);
    if (!world->liars) {
        rn_bytes expected = model_message(world->hash, memory);
        assert_true(rn_bytes_equal(expected, action->payload));
    }
    world->hash = model_mix(world->hash, action->payload);
    world->received++;
    world->losses = 0;
    world->doubts = 0;
    world->room -= action->payload.len < world->room ? action->payload.len : world->room;
}

static inline void world_end(world_run *world, const rn_swap_action *action) {
    assert_false(world->ended);
    world->ended = true;
    world->end_code = action->code;
    world->end_is_done = action->message_from_worker;
    assert_int_equal(world->director_budget.used, 0);
    assert_int_equal(world->stream.state, RN_SWAP_DONE);
}

/* What an observer sees of an action, and the end of the call that it leaves. */
static inline void world_note_loss(world_run *world, world_call *call,
                                   const rn_swap_action *action) {
    uint8_t head[RN_FRAME_PREFIX_MAX];
    world->gave_up = world->gave_up || action->given_up;
    if (!world->liars) {
        assert_false(action->fault);
    }
    /* Who had answered and had no credit left could make no progress: that is no proof, but of
     * deaths when they are many. */
    world->taken = world->taken || action->accepted;
    bool starved = world->taken && world->stream.received >= world->stream.granted;
    bool doubted = starved && world->doubts < world->config.max_attempts;
    bool died = action->lost == RN_SWAP_KILLED && !doubted;
    bool failed = action->lost == RN_SWAP_FAILURE && !starved;
    world->losses += action->fault || died || failed;
    world->doubts += action->lost == RN_SWAP_KILLED && doubted;
    if (action->close_worker && call != NULL) {
        assert_int_equal(action->closed.attempt, call->pair.attempt);
        world_put(&call->down, head, rn_frame_cancel(head), rn_bytes_of(NULL, 0));
    }
}

/* What waits is just what the action brings: a call here takes everything at once. */
static inline void world_forward(world_run *world, world_call *call, const rn_swap_action *action) {
    uint8_t head[RN_FRAME_PREFIX_MAX];
    rn_requests *requests = &world->stream.requests;
    rn_bytes payload;
    assert_true(rn_requests_next(requests, &payload));
    assert_true(rn_bytes_equal(payload, action->payload));
    assert_int_equal(requests->sent + 1, action->sequence);
    world_put(&call->down, head,
              rn_frame_client_message_prefix(head, action->sequence, payload.len), payload);
    rn_requests_note_sent(requests);
    assert_false(rn_requests_waiting(requests));
}

static inline void world_do(world_run *world, rn_swap_action action) {
    uint8_t head[RN_FRAME_PREFIX_MAX];
    world_call *call = world_present(world);
    if (action.kind != RN_SWAP_STALE) {
        world_note_loss(world, call, &action);
    }
    if (action.kind == RN_SWAP_CHOOSE) {
        action = world_choose(world);
    }
    switch (action.kind) {
    case RN_SWAP_STALE:
        world->stale++;
        break;
    case RN_SWAP_RELAY:
        world_relay(world, &action);
        break;
    case RN_SWAP_FORWARD:
        assert_non_null(call);
        world_forward(world, call, &action);
        break;
    case RN_SWAP_FORWARD_HALF_CLOSE:
        assert_non_null(call);
        world_put(&call->down, head, rn_frame_half_close(head), rn_bytes_of(NULL, 0));
        break;
    case RN_SWAP_END:
        world_end(world, &action);
        break;
    case RN_SWAP_CHOOSE:
    case RN_SWAP_NOTHING:
    case RN_SWAP_DUPLICATE:
    case RN_SWAP_RELAY_EVENT:
    case RN_SWAP_WAIT:
        break;
    }
}

/* An acknowledgement to the present worker, when one is due, or `anyway`: it may always come. */
static inline void world_acknowledge(world_run *world, bool anyway) {
    uint8_t head[RN_FRAME_PREFIX_MAX];
    uint64_t number = world->stream.journal.next - 1;
    if (rn_swap_stream_take_ack(&world->stream, &number) ||
        (anyway && rn_swap_stream_live(&world->stream))) {
        world_put(&world_present(world)->down, head, rn_frame_ack(head, number),
                  rn_bytes_of(NULL, 0));
    }
}

/* The director reads one frame of a call, and what follows from having read it. */
static inline void world_director_reads(world_run *world, world_call *call) {
    rn_bytes bytes;
    rn_worker_frame frame;
    uint8_t head[RN_FRAME_PREFIX_MAX];
    uint64_t number;
    if (!world_take(&call->up, &bytes)) {
        return;
    }
    assert_int_equal(rn_worker_frame_parse(&frame, bytes), RPCNET_OK);
    world_do(world, rn_swap_stream_frame(&world->stream, world->now, call->pair, &frame));
    world_call *present = world_present(world);
    world_acknowledge(world, random_chance(&world->random, 10));
    if (rn_swap_stream_grant(&world->stream, world->room, &number)) {
        world_put(&present->down, head, rn_frame_credit(head, number), rn_bytes_of(NULL, 0));
    }
}

#endif
