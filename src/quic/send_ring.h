/* send_ring: the bytes of one stream from when they are written until the peer has acknowledged
 * them.
 *
 *        start              next                                 end
 *          │ sent, in flight  │ not sent yet                        │ room
 *          ▼                  ▼                                     ▼
 *   ───────[chunk 4 KiB][chunk 4 KiB][chunk 4 KiB]░░░░░░░░░░░░░░░░░░░░░
 *
 * Offsets are those of the QUIC stream. ngtcp2 keeps pointers to bytes in flight and reads them
 * again when it retransmits, so a byte never moves while it is in the ring: memory comes in chunks.
 * One emptied chunk is kept, so a stream that flows allocates nothing. The first chunk is a small
 * one if the first bytes fit into it: most streams (HTTP/3's own three, slow tokens) never hold
 * more. */
#ifndef RN_QUIC_SEND_RING_H
#define RN_QUIC_SEND_RING_H

#include "base/budget.h"
#include "base/bytes.h"

enum {
    /* With the chunk's head and malloc's they make 512 and 4096 bytes. */
    RN_SEND_CHUNK_SMALL_BYTES = 488,
    RN_SEND_CHUNK_BYTES = 4072,
    RN_SEND_SPANS_MAX = 4
};

typedef struct rn_send_chunk {
    struct rn_send_chunk *next;
    size_t size; /* one of the two above */
    uint8_t bytes[];
} rn_send_chunk;

typedef struct rn_send_ring {
    rn_send_chunk *first; /* holds `start` */
    rn_send_chunk *last;
    rn_send_chunk *cursor;  /* holds `next`; NULL when next is beyond the last chunk's bytes */
    rn_send_chunk *spare;   /* chunks to be taken before new ones are allocated */
    uint64_t first_offset;  /* of first->bytes[0]; those of the others follow */
    uint64_t last_offset;   /* of last->bytes[0] */
    uint64_t cursor_offset; /* of cursor->bytes[0] */
    uint64_t start;
    uint64_t next;
    uint64_t end;
    size_t limit;
    size_t memory; /* bytes held, the spare chunk included: what stands in the account */
    bool leaving;
    rn_budget *budget;
} rn_send_ring;

/* `budget` may be NULL; else it outlives the ring. */
void rn_send_ring_init(rn_send_ring *ring, size_t limit, rn_budget *budget);
void rn_send_ring_fini(rn_send_ring *ring);

static inline size_t rn_send_ring_len(const rn_send_ring *ring) {
    return (size_t)(ring->end - ring->start);
}
static inline size_t rn_send_ring_room(const rn_send_ring *ring) {
    return ring->limit - rn_send_ring_len(ring);
}
static inline size_t rn_send_ring_unsent(const rn_send_ring *ring) {
    return (size_t)(ring->end - ring->next);
}

/* Appends all the bytes or nothing: RPCNET_ERR_AGAIN (no room), RPCNET_ERR_MEMORY. */
int rn_send_ring_append(rn_send_ring *ring, const rn_bytes *pieces, size_t count);

/* Takes the memory for `len` more bytes now: appending them does not fail for lack of it. For who
 * cannot go back once the bytes are made. RPCNET_ERR_AGAIN, RPCNET_ERR_MEMORY. */
int rn_send_ring_reserve(rn_send_ring *ring, size_t len);

/* The first unsent bytes; returns how many spans (0: nothing unsent). They stay where they are
 * until released. */
size_t rn_send_ring_unsent_spans(const rn_send_ring *ring, rn_bytes out[RN_SEND_SPANS_MAX]);

/* `len` unsent bytes have been sent. */
void rn_send_ring_sent(rn_send_ring *ring, size_t len);

/* Nothing more will be appended or sent: what is held waits for the peer alone, and is counted so.
 */
void rn_send_ring_abandon(rn_send_ring *ring);

/* All bytes below `offset` are acknowledged; start <= offset <= next. */
void rn_send_ring_release(rn_send_ring *ring, uint64_t offset);

#endif
