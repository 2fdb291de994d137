/* frames: DirectorFrame and WorkerFrame (proto/rpcnet/v1/worker.proto), read in place and written.
 *
 * Reading makes views into the bytes that were given: a frame is valid as long as those bytes.
 * Nothing is allocated. The rules are protobuf's: the last occurrence of a field and the last
 * member of the oneof win (a member that comes twice is replaced, not merged), unknown fields are
 * skipped, absent fields have their defaults. On top of what swap/wire.h refuses, a known field
 * with another wire type than its own is an error. Text is not checked to be UTF-8 and may hold
 * control characters: it is the peer's (see swap/sentence.h).
 *
 * Compared with protobuf-c 1.4: that one takes any wire type for a bool field and field number 0 in
 * a padded tag, which are errors here, and reads a bool of which only bits beyond 64 are set as
 * true, which is false here. All else is accepted and refused alike. */
#ifndef RN_SWAP_FRAMES_H
#define RN_SWAP_FRAMES_H

#include "base/buffer.h"
#include "swap/wire.h"

/* Field numbers of DirectorFrame's and WorkerFrame's members. */
enum rn_director_frame_kind {
    RN_DIRECTOR_NONE = 0, /* empty, or a member that this version does not know */
    RN_DIRECTOR_ASSIGNMENT = 1,
    RN_DIRECTOR_ATTACH = 2,
    RN_DIRECTOR_CLIENT_MESSAGE = 3,
    RN_DIRECTOR_HALF_CLOSE = 4,
    RN_DIRECTOR_ACK = 5,
    RN_DIRECTOR_CREDIT = 6,
    RN_DIRECTOR_CANCEL = 7,
    RN_DIRECTOR_PROBE = 8
};

enum rn_worker_frame_kind {
    RN_WORKER_NONE = 0,
    RN_WORKER_MESSAGE = 1,
    RN_WORKER_EVENT = 2,
    RN_WORKER_CHECKPOINT = 3,
    RN_WORKER_FAILURE = 4,
    RN_WORKER_REFUSED = 5,
    RN_WORKER_DONE = 6,
    RN_WORKER_PROBE_REPLY = 7
};

/* Numbers of the repeated fields, for runs that are kept in their encoded form. */
enum {
    RN_ASSIGNMENT_METADATA = 7,
    RN_ASSIGNMENT_CLIENT_MESSAGES = 8,
    RN_ASSIGNMENT_CHECKPOINT = 11, /* not repeated, but likewise */
    RN_ASSIGNMENT_DELIVERED = 13,
    RN_DONE_TRAILERS = 3
};

/* The members' fields are described in worker.proto. */
typedef struct rn_assignment {
    rn_bytes connection_id;
    uint64_t stream_id;
    uint64_t director_epoch;
    uint32_t attempt;
    rn_bytes method;
    uint64_t deadline_us;
    rn_repeated metadata; /* read it with rn_metadata_next */
    rn_repeated client_messages;
    bool half_closed;
    uint64_t next_sequence;
    rn_bytes checkpoint;
    uint64_t delivered_from;
    rn_repeated delivered;
    rn_bytes previous_worker;
    uint32_t swap_reason;
    rn_bytes swap_message;
    uint64_t credit;
} rn_assignment;

typedef struct rn_attach {
    rn_bytes connection_id;
    uint64_t stream_id;
    uint64_t director_epoch;
    uint32_t attempt;
    uint64_t next_sequence;
    uint64_t credit;
} rn_attach;

/* Message, ClientMessage, and Checkpoint (its state is the payload). */
typedef struct rn_numbered {
    uint64_t sequence;
    rn_bytes payload;
} rn_numbered;

typedef struct rn_failure {
    rn_bytes message;
    bool retry;
    bool drain;
} rn_failure;

typedef struct rn_done {
    uint32_t code;
    rn_bytes message;
    rn_repeated trailers; /* read it with rn_metadata_next */
} rn_done;

typedef struct rn_director_frame {
    enum rn_director_frame_kind kind;
    union {
        rn_assignment assignment;
        rn_attach attach;
        rn_numbered client_message;
        uint64_t ack;    /* sequence */
        uint64_t credit; /* total */
        uint64_t probe;  /* n */
    };
} rn_director_frame;

typedef struct rn_worker_frame {
    enum rn_worker_frame_kind kind;
    union {
        rn_numbered message;
        rn_bytes event;
        rn_numbered checkpoint;
        rn_failure failure;
        rn_bytes refused; /* reason */
        rn_done done;
        uint64_t probe_reply; /* n */
    };
} rn_worker_frame;

/* RPCNET_ERR_PARSE; *out is undefined then. */
int rn_director_frame_parse(rn_director_frame *out, rn_bytes bytes);
int rn_worker_frame_parse(rn_worker_frame *out, rn_bytes bytes);

/* The exact encoded size; `write` fills that many bytes and returns behind the last one. */
size_t rn_director_frame_size(const rn_director_frame *frame);
uint8_t *rn_director_frame_write(uint8_t *out, const rn_director_frame *frame);
size_t rn_worker_frame_size(const rn_worker_frame *frame);
uint8_t *rn_worker_frame_write(uint8_t *out, const rn_worker_frame *frame);

/* Appends the encoded frame. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY; nothing is appended then. */
int rn_director_frame_append(rn_buffer *out, const rn_director_frame *frame);
int rn_worker_frame_append(rn_buffer *out, const rn_worker_frame *frame);

/* Hot frames, without a copy of the payload: the frame is the returned number of bytes of `out`
 * with `payload_len` bytes of payload behind them. payload_len <= RN_FRAME_PAYLOAD_MAX. */
enum { RN_FRAME_PREFIX_MAX = 32, RN_FRAME_PAYLOAD_MAX = INT32_MAX - RN_FRAME_PREFIX_MAX };

size_t rn_frame_message_prefix(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t sequence,
                               size_t payload_len);
size_t rn_frame_event_prefix(uint8_t out[RN_FRAME_PREFIX_MAX], size_t payload_len);
size_t rn_frame_checkpoint_prefix(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t sequence,
                                  size_t state_len);
size_t rn_frame_client_message_prefix(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t sequence,
                                      size_t payload_len);

/* Small frames as a whole; they return the length. */
size_t rn_frame_ack(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t sequence);
size_t rn_frame_credit(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t total);
size_t rn_frame_probe(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t n);
size_t rn_frame_probe_reply(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t n);
size_t rn_frame_half_close(uint8_t out[RN_FRAME_PREFIX_MAX]);
size_t rn_frame_cancel(uint8_t out[RN_FRAME_PREFIX_MAX]);

/* An Assignment in pieces, for who does not want to copy what is long: the frame is `head` with the
 * checkpoint's bytes behind it, and the runs of metadata, client_messages and delivered. These are
 * dense and have the numbers of their fields. */
size_t rn_frame_assignment_head_size(const rn_assignment *assignment);
uint8_t *rn_frame_write_assignment_head(uint8_t *out, const rn_assignment *assignment);

/* Takes the next pair of Assignment.metadata or Done.trailers; false: no more. */
bool rn_metadata_next(rn_repeated *walk, rn_bytes *key, rn_bytes *value);

/* Builds such a list: appends a pair to `run`, whose bytes become the list with
 * rn_metadata_list(run, number, count). `number`: RN_ASSIGNMENT_METADATA or RN_DONE_TRAILERS.
 * RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY; nothing is appended then. */
int rn_metadata_append(rn_buffer *run, uint32_t number, rn_bytes key, rn_bytes value);
rn_repeated rn_metadata_list(rn_bytes run, uint32_t number, size_t count);

#endif
