/* framing: gRPC's length-prefixed messages, cut into pieces of any size, against a reader that has
 * all bytes at once.
 *
 *   byte 0: limit of a message, in units of 64 bytes    byte 1: seed of the pieces' sizes */
#include "grpc/framing.h"

#include "fuzz/fuzz.h"

typedef struct whole {
    rn_bytes rest;
    size_t limit;
} whole;

/* The next message of the whole stream, or why there is none. */
static enum rn_deframe_result whole_next(whole *w, rn_bytes *message) {
    const uint8_t *p = w->rest.data;
    if (w->rest.len < RN_FRAME_PREFIX_LEN) {
        return RN_DEFRAME_MORE;
    }
    size_t len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (p[0] != 0) {
        return p[0] == 1 ? RN_DEFRAME_COMPRESSED : RN_DEFRAME_MALFORMED;
    }
    if (len > w->limit) {
        return RN_DEFRAME_TOO_LARGE;
    }
    if (w->rest.len - RN_FRAME_PREFIX_LEN < len) {
        return RN_DEFRAME_MORE;
    }
    *message = rn_bytes_of(p + RN_FRAME_PREFIX_LEN, len);
    w->rest = rn_bytes_of(message->data + len, w->rest.len - RN_FRAME_PREFIX_LEN - len);
    return RN_DEFRAME_MESSAGE;
}

/* All messages of one piece are those that come next in the whole. */
static bool read_piece(rn_deframer *deframer, whole *w, rn_bytes piece) {
    uint8_t *copy = fuzz_copy(piece);
    const uint8_t *cursor = copy;
    enum rn_deframe_result result;
    do {
        rn_bytes message;
        rn_bytes expected;
        result = rn_deframer_next(deframer, &cursor, copy + piece.len, &message);
        assert(result != RN_DEFRAME_MEMORY);
        if (result != RN_DEFRAME_MORE) {
            enum rn_deframe_result wanted = whole_next(w, &expected);
            assert(wanted == result);
        }
        if (result == RN_DEFRAME_MESSAGE) {
            assert(rn_bytes_equal(message, expected));
            assert(!rn_deframer_is_midway(deframer));
        }
        assert(deframer->body.len <= deframer->limit);
    } while (result == RN_DEFRAME_MESSAGE);
    assert(result != RN_DEFRAME_MORE || cursor == copy + piece.len);
    free(copy);
    return result == RN_DEFRAME_MORE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    size_t limit = (size_t)fuzz_byte(&input) * 64;
    uint32_t seed = fuzz_byte(&input);
    whole w = {.rest = rn_bytes_of(input.data, input.len), .limit = limit};
    rn_deframer deframer;
    rn_deframer_init(&deframer, limit, NULL);
    bool more = true;
    while (input.len > 0 && more) {
        seed = seed * 1103515245 + 12345;
        more = read_piece(&deframer, &w, fuzz_bytes(&input, 1 + (seed >> 16) % 97));
    }
    if (more) {
        rn_bytes message;
        enum rn_deframe_result rest = whole_next(&w, &message);
        assert(rest == RN_DEFRAME_MORE);
        assert(rn_deframer_is_midway(&deframer) == (w.rest.len > 0));
    }
    rn_deframer_fini(&deframer);
    return 0;
}
