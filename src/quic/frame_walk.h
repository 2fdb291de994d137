/* frame_walk: steps over the frames of a decrypted 1-RTT payload (RFC 9000, section 19), for the
 * books. It judges nothing: whatever it cannot step over is left to ngtcp2, which refuses it. */
#ifndef RN_QUIC_FRAME_WALK_H
#define RN_QUIC_FRAME_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rn_frame_type {
    RN_FRAME_PADDING = 0x00,
    RN_FRAME_PING = 0x01,
    RN_FRAME_ACK = 0x02,
    RN_FRAME_ACK_ECN = 0x03,
    RN_FRAME_RESET_STREAM = 0x04,
    RN_FRAME_STOP_SENDING = 0x05,
    RN_FRAME_CRYPTO = 0x06,
    RN_FRAME_NEW_TOKEN = 0x07,
    RN_FRAME_STREAM = 0x08, /* to 0x0f */
    RN_FRAME_MAX_DATA = 0x10,
    RN_FRAME_MAX_STREAM_DATA = 0x11,
    RN_FRAME_MAX_STREAMS_BIDI = 0x12,
    RN_FRAME_MAX_STREAMS_UNI = 0x13,
    RN_FRAME_DATA_BLOCKED = 0x14,
    RN_FRAME_STREAM_DATA_BLOCKED = 0x15,
    RN_FRAME_STREAMS_BLOCKED_BIDI = 0x16,
    RN_FRAME_STREAMS_BLOCKED_UNI = 0x17,
    RN_FRAME_NEW_CONNECTION_ID = 0x18,
    RN_FRAME_RETIRE_CONNECTION_ID = 0x19,
    RN_FRAME_PATH_CHALLENGE = 0x1a,
    RN_FRAME_PATH_RESPONSE = 0x1b,
    RN_FRAME_CONNECTION_CLOSE = 0x1c,
    RN_FRAME_CONNECTION_CLOSE_APP = 0x1d,
    RN_FRAME_HANDSHAKE_DONE = 0x1e
};

typedef struct rn_frame {
    uint64_t type; /* STREAM frames: always RN_FRAME_STREAM */
    uint64_t id;   /* stream id or sequence number, where the frame has one */
    uint64_t offset;
    const uint8_t *data; /* STREAM: the bytes; NEW_CONNECTION_ID: length byte, id, token */
    size_t len;
    const uint8_t *begin; /* of the whole frame */
} rn_frame;

/* Reads the frame at *cursor and moves the cursor behind it. False at the end, or at a frame whose
 * end cannot be told. */
bool rn_frame_next(const uint8_t **cursor, const uint8_t *end, rn_frame *out);

/* Does a packet with such a frame have to be acknowledged (RFC 9000, section 13.2.1)? */
static inline bool rn_frame_is_ack_eliciting(uint64_t type) {
    return type != RN_FRAME_PADDING && type != RN_FRAME_ACK && type != RN_FRAME_ACK_ECN &&
           type != RN_FRAME_CONNECTION_CLOSE && type != RN_FRAME_CONNECTION_CLOSE_APP;
}

/* Visits the ranges of an ACK frame from the largest down. Start with *state zeroed. */
typedef struct rn_ack_walk {
    const uint8_t *cursor;
    uint64_t ranges_left;
    uint64_t smallest;
    bool started;
} rn_ack_walk;
bool rn_ack_next(rn_ack_walk *walk, const rn_frame *ack, const uint8_t *end, uint64_t *low,
                 uint64_t *high);

#endif
