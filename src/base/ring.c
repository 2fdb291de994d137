/* ring: see the header. A byte of offset n lives at data[n mod capacity], so growing means to place
 * the kept bytes anew. */
#include "base/ring.h"

#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"

enum {
    CAPACITY_FIRST = 1024,    /* of the first bytes that arrive */
    CAPACITY_KEPT = 16 * 1024 /* an empty ring gives larger memory back */
};

void rn_ring_init(rn_ring *ring, size_t limit) {
    assert(limit <= SIZE_MAX / 4);
    *ring = (rn_ring){.limit = limit};
}

void rn_ring_fini(rn_ring *ring) {
    if (ring != NULL) {
        free(ring->data);
        *ring = (rn_ring){.limit = 0};
    }
}

static void place(uint8_t *data, size_t capacity, uint64_t offset, const uint8_t *from,
                  size_t len) {
    size_t at = (size_t)(offset & (capacity - 1));
    size_t first = len < capacity - at ? len : capacity - at;
    memcpy(data + at, from, first);
    if (len > first) {
        memcpy(data, from + first, len - first);
    }
}

static int grow(rn_ring *ring, size_t needed) {
    size_t capacity = ring->capacity == 0 ? CAPACITY_FIRST : ring->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    uint8_t *data = malloc(capacity);
    if (data == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    rn_bytes spans[2];
    size_t count = rn_ring_peek(ring, ring->start, SIZE_MAX, spans);
    uint64_t offset = ring->start;
    for (size_t i = 0; i < count; i++) {
        place(data, capacity, offset, spans[i].data, spans[i].len);
        offset += spans[i].len;
    }
    free(ring->data);
    ring->data = data;
    ring->capacity = capacity;
    return RPCNET_OK;
}

int rn_ring_append(rn_ring *ring, const void *data, size_t len) {
    if (len == 0) {
        return RPCNET_OK;
    }
    if (len > rn_ring_room(ring)) {
        return RPCNET_ERR_AGAIN;
    }
    size_t needed = rn_ring_len(ring) + len;
    if (needed > ring->capacity) {
        int result = grow(ring, needed);
        if (result != RPCNET_OK) {
            return result;
        }
    }
    place(ring->data, ring->capacity, ring->end, data, len);
    ring->end += len;
    return RPCNET_OK;
}

size_t rn_ring_peek(const rn_ring *ring, uint64_t offset, size_t max, rn_bytes out[2]) {
    assert(offset >= ring->start && offset <= ring->end);
    uint64_t kept = ring->end - offset;
    size_t len = kept < max ? (size_t)kept : max;
    if (len == 0) {
        return 0;
    }
    size_t at = (size_t)(offset & (ring->capacity - 1));
    size_t first = len < ring->capacity - at ? len : ring->capacity - at;
    out[0] = rn_bytes_of(ring->data + at, first);
    if (first == len) {
        return 1;
    }
    out[1] = rn_bytes_of(ring->data, len - first);
    return 2;
}

void rn_ring_release(rn_ring *ring, uint64_t offset) {
    assert(offset >= ring->start && offset <= ring->end);
    ring->start = offset;
    if (ring->start == ring->end && ring->capacity > CAPACITY_KEPT) {
        free(ring->data);
        ring->data = NULL;
        ring->capacity = 0;
    }
}
