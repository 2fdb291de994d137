/* send_ring: a queue of chunks whose bytes stay in place; see the header for the picture. */
#include "quic/send_ring.h"

#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"

void rn_send_ring_init(rn_send_ring *ring, size_t limit) {
    *ring = (rn_send_ring){.limit = limit};
}

void rn_send_ring_fini(rn_send_ring *ring) {
    for (rn_send_chunk *chunk = ring->first, *after; chunk != NULL; chunk = after) {
        after = chunk->next;
        free(chunk);
    }
    free(ring->spare);
    *ring = (rn_send_ring){0};
}

static uint64_t last_end(const rn_send_ring *ring, size_t chunks) {
    return ring->first_offset + (uint64_t)chunks * RN_SEND_CHUNK_BYTES;
}

static rn_send_chunk *take_chunk(rn_send_ring *ring) {
    rn_send_chunk *chunk = ring->spare;
    if (chunk != NULL) {
        ring->spare = NULL;
    } else {
        chunk = malloc(sizeof *chunk);
    }
    if (chunk != NULL) {
        chunk->next = NULL;
    }
    return chunk;
}

static size_t total_len(const rn_bytes *pieces, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += pieces[i].len;
    }
    return total;
}

/* Bytes that still fit behind `end` into the last chunk. */
static size_t tail_room(const rn_send_ring *ring) {
    if (ring->last == NULL) {
        return 0;
    }
    size_t used = (size_t)(ring->end - ring->first_offset) % RN_SEND_CHUNK_BYTES;
    if (used == 0) {
        return ring->end == ring->first_offset ? RN_SEND_CHUNK_BYTES : 0;
    }
    return RN_SEND_CHUNK_BYTES - used;
}

/* Makes room for `len` bytes; on failure the chunks that were added stay empty at the end and are
 * taken away again. */
static int reserve(rn_send_ring *ring, size_t len, rn_send_chunk **added) {
    *added = NULL;
    rn_send_chunk **link = added;
    for (size_t have = tail_room(ring); have < len; have += RN_SEND_CHUNK_BYTES) {
        *link = take_chunk(ring);
        if (*link == NULL) {
            while (*added != NULL) {
                rn_send_chunk *chunk = *added;
                *added = chunk->next;
                free(chunk);
            }
            return RPCNET_ERR_MEMORY;
        }
        link = &(*link)->next;
    }
    return RPCNET_OK;
}

int rn_send_ring_append(rn_send_ring *ring, const rn_bytes *pieces, size_t count) {
    size_t total = total_len(pieces, count);
    if (total > rn_send_ring_room(ring)) {
        return RPCNET_ERR_AGAIN;
    }
    rn_send_chunk *added;
    int result = reserve(ring, total, &added);
    if (result != RPCNET_OK) {
        return result;
    }
    if (ring->first == NULL && added != NULL) {
        ring->first = ring->last = added;
        ring->first_offset = ring->end;
        added = added->next;
        ring->first->next = NULL;
    }
    size_t at = RN_SEND_CHUNK_BYTES - tail_room(ring);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *data = pieces[i].data;
        for (size_t left = pieces[i].len; left > 0;) {
            if (at == RN_SEND_CHUNK_BYTES) {
                assert(added != NULL); /* reserve has counted */
                ring->last->next = added;
                ring->last = added;
                added = added->next;
                ring->last->next = NULL;
                at = 0;
            }
            size_t n = left < RN_SEND_CHUNK_BYTES - at ? left : RN_SEND_CHUNK_BYTES - at;
            memcpy(ring->last->bytes + at, data, n);
            at += n;
            data += n;
            left -= n;
            ring->end += n;
        }
    }
    assert(added == NULL);
    if (ring->cursor == NULL && ring->next < ring->end) {
        /* All had been sent: the cursor goes to the chunk that holds `next`. */
        ring->cursor = ring->first;
        ring->cursor_offset = ring->first_offset;
        while (ring->next - ring->cursor_offset >= RN_SEND_CHUNK_BYTES) {
            assert(ring->cursor != NULL); /* the chunk of `end` is beyond */
            ring->cursor = ring->cursor->next;
            ring->cursor_offset += RN_SEND_CHUNK_BYTES;
        }
    }
    return RPCNET_OK;
}

size_t rn_send_ring_unsent_spans(const rn_send_ring *ring, rn_bytes out[RN_SEND_SPANS_MAX]) {
    size_t count = 0;
    uint64_t offset = ring->next;
    uint64_t chunk_offset = ring->cursor_offset;
    for (const rn_send_chunk *chunk = ring->cursor;
         chunk != NULL && offset < ring->end && count < RN_SEND_SPANS_MAX; chunk = chunk->next) {
        size_t at = (size_t)(offset - chunk_offset);
        size_t n = RN_SEND_CHUNK_BYTES - at;
        if (n > ring->end - offset) {
            n = (size_t)(ring->end - offset);
        }
        out[count++] = rn_bytes_of(chunk->bytes + at, n);
        offset += n;
        chunk_offset += RN_SEND_CHUNK_BYTES;
    }
    return count;
}

void rn_send_ring_sent(rn_send_ring *ring, size_t len) {
    assert(len <= rn_send_ring_unsent(ring));
    ring->next += len;
    while (ring->cursor != NULL && ring->next - ring->cursor_offset >= RN_SEND_CHUNK_BYTES) {
        ring->cursor = ring->cursor->next;
        ring->cursor_offset += RN_SEND_CHUNK_BYTES;
    }
}

static void drop_first(rn_send_ring *ring) {
    rn_send_chunk *chunk = ring->first;
    ring->first = chunk->next;
    ring->first_offset += RN_SEND_CHUNK_BYTES;
    if (ring->first == NULL) {
        ring->last = NULL;
        ring->cursor = NULL;
    }
    if (ring->spare == NULL) {
        ring->spare = chunk;
    } else {
        free(chunk);
    }
}

void rn_send_ring_release(rn_send_ring *ring, uint64_t offset) {
    assert(offset >= ring->start && offset <= ring->next);
    ring->start = offset;
    while (ring->first != NULL && ring->start >= last_end(ring, 1)) {
        drop_first(ring);
    }
    if (ring->first != NULL && ring->start == ring->end) {
        /* Empty: the next byte starts a chunk, so short exchanges stay in one. */
        assert(ring->first == ring->last);
        ring->first_offset = ring->start;
        ring->cursor = NULL;
    }
}
