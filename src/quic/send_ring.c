/* send_ring: a queue of chunks whose bytes stay in place; see the header for the picture. */
#include "quic/send_ring.h"

#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"

void rn_send_ring_init(rn_send_ring *ring, size_t limit, rn_budget *budget) {
    *ring = (rn_send_ring){.limit = limit, .budget = budget};
}

static void count(rn_send_ring *ring, size_t memory) {
    if (ring->leaving) {
        rn_budget_leave(ring->budget, ring->memory, memory);
    }
    rn_budget_move(ring->budget, ring->memory, memory);
    ring->memory = memory;
}

static void free_chunks(rn_send_ring *ring, rn_send_chunk *chunk) {
    size_t freed = 0;
    for (rn_send_chunk *after; chunk != NULL; chunk = after) {
        after = chunk->next;
        freed += sizeof *chunk + chunk->size;
        free(chunk);
    }
    count(ring, ring->memory - freed);
}

void rn_send_ring_fini(rn_send_ring *ring) {
    free_chunks(ring, ring->first);
    free_chunks(ring, ring->spare);
    *ring = (rn_send_ring){0};
}

static rn_send_chunk *new_chunk(rn_send_ring *ring, size_t size) {
    rn_send_chunk *chunk = malloc(sizeof *chunk + size);
    if (chunk != NULL) {
        chunk->size = size;
        chunk->next = NULL;
        count(ring, ring->memory + sizeof *chunk + size);
    }
    return chunk;
}

static rn_send_chunk *take_chunk(rn_send_ring *ring, size_t size) {
    rn_send_chunk *chunk = ring->spare;
    if (chunk == NULL) {
        return new_chunk(ring, size);
    }
    ring->spare = chunk->next;
    chunk->next = NULL;
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
    return ring->last == NULL ? 0 : (size_t)(ring->last_offset + ring->last->size - ring->end);
}

static size_t chunk_size(const rn_send_ring *ring, size_t len) {
    bool small = ring->first == NULL && len <= RN_SEND_CHUNK_SMALL_BYTES;
    return small ? RN_SEND_CHUNK_SMALL_BYTES : RN_SEND_CHUNK_BYTES;
}

/* Chunks that with what is left of the last one take `len` bytes. */
static int take_chunks(rn_send_ring *ring, size_t len, rn_send_chunk **added) {
    size_t size = chunk_size(ring, len);
    *added = NULL;
    rn_send_chunk **link = added;
    for (size_t have = tail_room(ring); have < len;) {
        *link = take_chunk(ring, size);
        if (*link == NULL) {
            free_chunks(ring, *added);
            return RPCNET_ERR_MEMORY;
        }
        have += (*link)->size;
        link = &(*link)->next;
    }
    return RPCNET_OK;
}

int rn_send_ring_reserve(rn_send_ring *ring, size_t len) {
    size_t size = chunk_size(ring, len);
    size_t have = tail_room(ring);
    if (len > rn_send_ring_room(ring)) {
        return RPCNET_ERR_AGAIN;
    }
    rn_send_chunk **link = &ring->spare;
    for (; have < len; link = &(*link)->next) {
        if (*link == NULL) {
            *link = new_chunk(ring, size);
        }
        if (*link == NULL) {
            return RPCNET_ERR_MEMORY;
        }
        have += (*link)->size;
    }
    return RPCNET_OK;
}

/* All that was appended before has been sent: the cursor goes to the chunk that holds `next`. */
static void set_cursor(rn_send_ring *ring) {
    ring->cursor = ring->first;
    ring->cursor_offset = ring->first_offset;
    while (ring->next - ring->cursor_offset >= ring->cursor->size) {
        ring->cursor_offset += ring->cursor->size;
        ring->cursor = ring->cursor->next;
        assert(ring->cursor != NULL); /* the chunk of `end` is beyond */
    }
}

int rn_send_ring_append(rn_send_ring *ring, const rn_bytes *pieces, size_t count) {
    size_t total = total_len(pieces, count);
    if (total > rn_send_ring_room(ring)) {
        return RPCNET_ERR_AGAIN;
    }
    rn_send_chunk *added;
    int result = take_chunks(ring, total, &added);
    if (result != RPCNET_OK) {
        return result;
    }
    if (ring->first == NULL && added != NULL) {
        ring->first = ring->last = added;
        ring->first_offset = ring->last_offset = ring->end;
        added = added->next;
        ring->first->next = NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *data = pieces[i].data;
        for (size_t left = pieces[i].len; left > 0;) {
            size_t room = tail_room(ring);
            if (room == 0) {
                assert(added != NULL); /* take_chunks has counted */
                ring->last_offset += ring->last->size;
                ring->last->next = added;
                ring->last = added;
                added = added->next;
                ring->last->next = NULL;
                room = ring->last->size;
            }
            size_t n = left < room ? left : room;
            memcpy(ring->last->bytes + (ring->last->size - room), data, n);
            data += n;
            left -= n;
            ring->end += n;
        }
    }
    assert(added == NULL);
    if (ring->cursor == NULL && ring->next < ring->end) {
        set_cursor(ring);
    }
    return RPCNET_OK;
}

size_t rn_send_ring_unsent_spans(const rn_send_ring *ring, rn_bytes out[RN_SEND_SPANS_MAX]) {
    size_t spans = 0;
    uint64_t offset = ring->next;
    uint64_t chunk_offset = ring->cursor_offset;
    for (const rn_send_chunk *chunk = ring->cursor;
         chunk != NULL && offset < ring->end && spans < RN_SEND_SPANS_MAX; chunk = chunk->next) {
        size_t at = (size_t)(offset - chunk_offset);
        size_t n = chunk->size - at;
        if (n > ring->end - offset) {
            n = (size_t)(ring->end - offset);
        }
        out[spans++] = rn_bytes_of(chunk->bytes + at, n);
        offset += n;
        chunk_offset += chunk->size;
    }
    return spans;
}

void rn_send_ring_sent(rn_send_ring *ring, size_t len) {
    assert(len <= rn_send_ring_unsent(ring));
    ring->next += len;
    while (ring->cursor != NULL && ring->next - ring->cursor_offset >= ring->cursor->size) {
        ring->cursor_offset += ring->cursor->size;
        ring->cursor = ring->cursor->next;
    }
}

static void drop_first(rn_send_ring *ring) {
    rn_send_chunk *chunk = ring->first;
    ring->first = chunk->next;
    ring->first_offset += chunk->size;
    if (ring->first == NULL) {
        ring->last = NULL;
        ring->cursor = NULL;
    }
    chunk->next = NULL;
    if (ring->spare == NULL && !ring->leaving && chunk->size == RN_SEND_CHUNK_BYTES) {
        ring->spare = chunk;
    } else {
        free_chunks(ring, chunk);
    }
}

void rn_send_ring_abandon(rn_send_ring *ring) {
    free_chunks(ring, ring->spare);
    ring->spare = NULL;
    if (!ring->leaving) {
        ring->leaving = true;
        rn_budget_leave(ring->budget, 0, ring->memory);
    }
}

void rn_send_ring_release(rn_send_ring *ring, uint64_t offset) {
    assert(offset >= ring->start && offset <= ring->next);
    ring->start = offset;
    while (ring->first != NULL && ring->start >= ring->first_offset + ring->first->size) {
        drop_first(ring);
    }
    if (ring->first != NULL && ring->start == ring->end) {
        /* Empty: the next byte starts a chunk, so short exchanges stay in one. */
        assert(ring->first == ring->last);
        ring->first_offset = ring->last_offset = ring->start;
        ring->cursor = NULL;
    }
}
