/* frame_walk: the layout of each frame, as far as stepping over it needs. */
#include "quic/frame_walk.h"

#include <string.h>

#include "base/varint.h"
#include "rpcnet/error.h"

static bool skip_varints(const uint8_t **cursor, const uint8_t *end, uint64_t count) {
    uint64_t ignored;
    for (; count > 0; count--) {
        if (rn_varint_read(cursor, end, &ignored) != RPCNET_OK) {
            return false;
        }
    }
    return true;
}

static bool skip_ack(const uint8_t **cursor, const uint8_t *end, bool ecn) {
    uint64_t ranges;
    if (!skip_varints(cursor, end, 2) || rn_varint_read(cursor, end, &ranges) != RPCNET_OK) {
        return false;
    }
    /* Each range takes two bytes or more, so a lying count ends the walk early. */
    if (ranges > (uint64_t)(end - *cursor)) {
        return false;
    }
    return skip_varints(cursor, end, 1 + 2 * ranges + (ecn ? 3 : 0));
}

static bool take_bytes(const uint8_t **cursor, const uint8_t *end, uint64_t len, rn_frame *out) {
    if (len > (uint64_t)(end - *cursor)) {
        return false;
    }
    out->data = *cursor;
    out->len = (size_t)len;
    *cursor += len;
    return true;
}

static bool read_stream(const uint8_t **cursor, const uint8_t *end, rn_frame *out) {
    enum { BIT_LEN = 0x02, BIT_OFFSET = 0x04 };
    uint64_t type = out->type;
    uint64_t len;
    out->type = RN_FRAME_STREAM;
    if (rn_varint_read(cursor, end, &out->id) != RPCNET_OK ||
        ((type & BIT_OFFSET) != 0 && rn_varint_read(cursor, end, &out->offset) != RPCNET_OK)) {
        return false;
    }
    if ((type & BIT_LEN) == 0) {
        len = (uint64_t)(end - *cursor);
    } else if (rn_varint_read(cursor, end, &len) != RPCNET_OK) {
        return false;
    }
    return take_bytes(cursor, end, len, out);
}

static bool read_new_connection_id(const uint8_t **cursor, const uint8_t *end, rn_frame *out) {
    if (rn_varint_read(cursor, end, &out->id) != RPCNET_OK || !skip_varints(cursor, end, 1) ||
        *cursor == end) {
        return false;
    }
    return take_bytes(cursor, end, 1U + **cursor + 16U, out);
}

bool rn_frame_next(const uint8_t **cursor, const uint8_t *end, rn_frame *out) {
    const uint8_t *p = *cursor;
    uint64_t len;
    bool ok = false;
    memset(out, 0, sizeof *out);
    out->begin = p;
    if (p == end || rn_varint_read(&p, end, &out->type) != RPCNET_OK) {
        return false;
    }
    switch (out->type) {
    case RN_FRAME_PADDING:
        while (p < end && *p == 0) {
            p++;
        }
        ok = true;
        break;
    case RN_FRAME_PING:
    case RN_FRAME_HANDSHAKE_DONE:
        ok = true;
        break;
    case RN_FRAME_ACK:
    case RN_FRAME_ACK_ECN:
        ok = skip_ack(&p, end, out->type == RN_FRAME_ACK_ECN);
        break;
    case RN_FRAME_RESET_STREAM:
        ok = rn_varint_read(&p, end, &out->id) == RPCNET_OK && skip_varints(&p, end, 2);
        break;
    case RN_FRAME_STOP_SENDING:
    case RN_FRAME_MAX_STREAM_DATA:
    case RN_FRAME_STREAM_DATA_BLOCKED:
        ok = rn_varint_read(&p, end, &out->id) == RPCNET_OK && skip_varints(&p, end, 1);
        break;
    case RN_FRAME_CRYPTO:
        ok = rn_varint_read(&p, end, &out->offset) == RPCNET_OK &&
             rn_varint_read(&p, end, &len) == RPCNET_OK && take_bytes(&p, end, len, out);
        break;
    case RN_FRAME_NEW_TOKEN:
        ok = rn_varint_read(&p, end, &len) == RPCNET_OK && take_bytes(&p, end, len, out);
        break;
    case RN_FRAME_STREAM:
    case RN_FRAME_STREAM + 1:
    case RN_FRAME_STREAM + 2:
    case RN_FRAME_STREAM + 3:
    case RN_FRAME_STREAM + 4:
    case RN_FRAME_STREAM + 5:
    case RN_FRAME_STREAM + 6:
    case RN_FRAME_STREAM + 7:
        ok = read_stream(&p, end, out);
        break;
    case RN_FRAME_MAX_DATA:
    case RN_FRAME_MAX_STREAMS_BIDI:
    case RN_FRAME_MAX_STREAMS_UNI:
    case RN_FRAME_DATA_BLOCKED:
    case RN_FRAME_STREAMS_BLOCKED_BIDI:
    case RN_FRAME_STREAMS_BLOCKED_UNI:
    case RN_FRAME_RETIRE_CONNECTION_ID:
        ok = rn_varint_read(&p, end, &out->id) == RPCNET_OK;
        break;
    case RN_FRAME_NEW_CONNECTION_ID:
        ok = read_new_connection_id(&p, end, out);
        break;
    case RN_FRAME_PATH_CHALLENGE:
    case RN_FRAME_PATH_RESPONSE:
        ok = take_bytes(&p, end, 8, out);
        break;
    default: /* CONNECTION_CLOSE ends everything; the rest is unknown */
        break;
    }
    if (ok) {
        *cursor = p;
    }
    return ok;
}

bool rn_ack_next(rn_ack_walk *walk, const rn_frame *ack, const uint8_t *end, uint64_t *low,
                 uint64_t *high) {
    uint64_t ignored;
    uint64_t first;
    uint64_t second;
    if (!walk->started) {
        walk->started = true;
        walk->cursor = ack->begin;
        if (rn_varint_read(&walk->cursor, end, &ignored) != RPCNET_OK ||
            rn_varint_read(&walk->cursor, end, high) != RPCNET_OK ||
            rn_varint_read(&walk->cursor, end, &ignored) != RPCNET_OK ||
            rn_varint_read(&walk->cursor, end, &walk->ranges_left) != RPCNET_OK ||
            rn_varint_read(&walk->cursor, end, &first) != RPCNET_OK || first > *high) {
            walk->ranges_left = 0;
            return false;
        }
        walk->smallest = *low = *high - first;
        return true;
    }
    if (walk->ranges_left == 0) {
        return false;
    }
    walk->ranges_left--;
    if (rn_varint_read(&walk->cursor, end, &first) != RPCNET_OK ||
        rn_varint_read(&walk->cursor, end, &second) != RPCNET_OK || walk->smallest < first + 2 ||
        walk->smallest - first - 2 < second) {
        walk->ranges_left = 0;
        return false;
    }
    *high = walk->smallest - first - 2;
    walk->smallest = *low = *high - second;
    return true;
}
