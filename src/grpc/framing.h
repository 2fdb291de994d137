/* framing: gRPC's length-prefixed messages: a flag byte, four bytes of length (big-endian), the
 * message.
 *
 * The de-framer takes the body's bytes in pieces of any size. Its state is this plain struct: to
 * write it down, write the prefix, and the body gathered so far. */
#ifndef RN_GRPC_FRAMING_H
#define RN_GRPC_FRAMING_H

#include "base/buffer.h"

enum {
    RN_FRAME_PREFIX_LEN = 5,
    RN_DEFRAMER_KEPT_MAX = 4096 /* bytes of memory that are kept from one message to the next */
};

enum rn_deframe_result {
    RN_DEFRAME_MORE,       /* all bytes are used; no whole message */
    RN_DEFRAME_MESSAGE,    /* a message; call again */
    RN_DEFRAME_COMPRESSED, /* a compressed message; from here on the rest is an error, and final */
    RN_DEFRAME_MALFORMED,  /* a flag that is neither 0 nor 1 */
    RN_DEFRAME_TOO_LARGE,  /* longer than the limit */
    RN_DEFRAME_MEMORY,
    RN_DEFRAME_STARVED /* the account is over its limit */
};

typedef struct rn_deframer {
    uint8_t prefix[RN_FRAME_PREFIX_LEN];
    size_t prefix_len; /* bytes of it that came; 0 between two messages */
    uint32_t length;   /* of the message, once the prefix is whole */
    size_t limit;      /* of messages whose prefix is still to come */
    rn_buffer body;    /* what came of it, if it did not come in one piece */
    bool gathered;     /* the last message was delivered from `body` */
} rn_deframer;

/* `limit`: bytes of a message. `budget`: where its memory is counted; may be NULL. While that is
 * over its limit a message may take no more than RN_DEFRAMER_KEPT_MAX. */
void rn_deframer_init(rn_deframer *deframer, size_t limit, rn_budget *budget);
void rn_deframer_fini(rn_deframer *deframer);
void rn_deframer_set_limit(rn_deframer *deframer, size_t limit); /* for messages to come */

/* Reads from *cursor on, moves it. A message that lies whole between *cursor and `end` is handed
 * out in place, another one from the de-framer's buffer; that one is valid until the next call
 * here. */
enum rn_deframe_result rn_deframer_next(rn_deframer *deframer, const uint8_t **cursor,
                                        const uint8_t *end, rn_bytes *message);
/* Bytes of memory that it holds. */
static inline size_t rn_deframer_memory(const rn_deframer *deframer) {
    return deframer->body.capacity;
}
/* Inside a message: an end of the stream here would cut it. */
static inline bool rn_deframer_is_midway(const rn_deframer *deframer) {
    return deframer->prefix_len > 0;
}

void rn_frame_prefix(uint8_t out[RN_FRAME_PREFIX_LEN], uint32_t length);

#endif
