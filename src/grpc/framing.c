/* framing: see framing.h. Memory grows with the bytes that came, never with the announced length.
 */
#include "grpc/framing.h"

#include <assert.h>

#include "rpcnet/error.h"

void rn_deframer_init(rn_deframer *deframer, size_t limit, rn_budget *budget) {
    memset(deframer, 0, sizeof *deframer);
    deframer->limit = limit;
    rn_buffer_init_counted(&deframer->body, 0, budget);
}

void rn_deframer_fini(rn_deframer *deframer) {
    rn_buffer_fini(&deframer->body);
}

void rn_deframer_set_limit(rn_deframer *deframer, size_t limit) {
    deframer->limit = limit;
}

static enum rn_deframe_result read_prefix(rn_deframer *deframer, const uint8_t **cursor,
                                          const uint8_t *end) {
    if (deframer->prefix_len == RN_FRAME_PREFIX_LEN) {
        return RN_DEFRAME_MESSAGE;
    }
    while (deframer->prefix_len < RN_FRAME_PREFIX_LEN) {
        if (*cursor == end) {
            return RN_DEFRAME_MORE;
        }
        deframer->prefix[deframer->prefix_len++] = *(*cursor)++;
    }
    const uint8_t *p = deframer->prefix;
    deframer->length =
        (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | (uint32_t)p[4];
    if (p[0] > 1) {
        return RN_DEFRAME_MALFORMED;
    }
    if (p[0] == 1) {
        return RN_DEFRAME_COMPRESSED;
    }
    deframer->body.limit = deframer->length;
    return deframer->length > deframer->limit ? RN_DEFRAME_TOO_LARGE : RN_DEFRAME_MESSAGE;
}

static void release_gathered(rn_deframer *deframer) {
    if (deframer->gathered) {
        /* Small messages are cut by packet ends all the time; only large ones give memory back. */
        if (deframer->body.capacity <= RN_DEFRAMER_KEPT_MAX) {
            rn_buffer_clear(&deframer->body);
        } else {
            rn_buffer_fini(&deframer->body);
        }
        deframer->gathered = false;
    }
}

/* Few bytes are always taken: whoever is small keeps his service when memory is short. */
static enum rn_deframe_result gather(rn_deframer *deframer, const uint8_t *data, size_t len) {
    rn_buffer *body = &deframer->body;
    size_t needed = body->len + len;
    if (needed > RN_DEFRAMER_KEPT_MAX && needed > body->capacity &&
        !rn_budget_may_grow(body->budget)) {
        return RN_DEFRAME_STARVED;
    }
    return rn_buffer_append(body, data, len) == RPCNET_OK ? RN_DEFRAME_MESSAGE : RN_DEFRAME_MEMORY;
}

enum rn_deframe_result rn_deframer_next(rn_deframer *deframer, const uint8_t **cursor,
                                        const uint8_t *end, rn_bytes *message) {
    release_gathered(deframer);
    enum rn_deframe_result result = read_prefix(deframer, cursor, end);
    if (result != RN_DEFRAME_MESSAGE) {
        return result;
    }
    size_t here = (size_t)(end - *cursor);
    size_t wanted = deframer->length - deframer->body.len;
    size_t part = wanted < here ? wanted : here;
    if (deframer->body.len == 0 && part == wanted) {
        *message = rn_bytes_of(*cursor, part);
        *cursor += part;
        deframer->prefix_len = 0;
        return RN_DEFRAME_MESSAGE;
    }
    result = gather(deframer, *cursor, part);
    if (result != RN_DEFRAME_MESSAGE) {
        return result;
    }
    *cursor += part;
    if (part < wanted) {
        return RN_DEFRAME_MORE;
    }
    *message = rn_buffer_bytes(&deframer->body);
    deframer->gathered = true;
    deframer->prefix_len = 0;
    return RN_DEFRAME_MESSAGE;
}

void rn_frame_prefix(uint8_t out[RN_FRAME_PREFIX_LEN], uint32_t length) {
    out[0] = 0;
    out[1] = (uint8_t)(length >> 24);
    out[2] = (uint8_t)(length >> 16);
    out[3] = (uint8_t)(length >> 8);
    out[4] = (uint8_t)length;
}
