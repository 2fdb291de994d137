/* ring: a bounded byte queue addressed by absolute offset, for bytes that must stay until they are
 * acknowledged.
 *
 *        start            (any offset in between)            end
 *          │ kept: sent or not, not yet released              │ room: limit - (end - start)
 *          ▼                                                  ▼
 *   ───────█████████████████████████████████████████████████░░░░░░░
 *
 * Offsets only grow (they are the QUIC stream's). Memory is taken when bytes arrive, doubles up to
 * the limit given at creation, and is given back when the ring is empty and large: an idle stream
 * costs little. The ring owns its bytes. */
#ifndef RN_BASE_RING_H
#define RN_BASE_RING_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

typedef struct rn_ring {
    uint8_t *data;
    size_t capacity; /* a power of two, or 0 */
    size_t limit;
    uint64_t start;
    uint64_t end;
} rn_ring;

void rn_ring_init(rn_ring *ring, size_t limit);
void rn_ring_fini(rn_ring *ring); /* wipes nothing: stream bytes are no secrets of ours */

static inline size_t rn_ring_len(const rn_ring *ring) {
    return (size_t)(ring->end - ring->start);
}
static inline size_t rn_ring_room(const rn_ring *ring) {
    return ring->limit - rn_ring_len(ring);
}

/* Appends all `len` bytes. RPCNET_ERR_AGAIN when there is no room for all of them,
 * RPCNET_ERR_MEMORY; nothing is appended then. */
int rn_ring_append(rn_ring *ring, const void *data, size_t len);

/* The kept bytes from `offset` on, at most `max`, as one or two spans; returns how many spans. They
 * are valid until the next call that changes the ring. */
size_t rn_ring_peek(const rn_ring *ring, uint64_t offset, size_t max, rn_bytes out[2]);

/* Lets go of all bytes below `offset` (start <= offset <= end). */
void rn_ring_release(rn_ring *ring, uint64_t offset);

#endif
