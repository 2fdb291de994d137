/* buffer: see the header. Capacity doubles and never exceeds the limit. */
#include "base/buffer.h"

#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"

enum { CAPACITY_FIRST = 256 };

void rn_buffer_init(rn_buffer *buffer, size_t limit) {
    rn_buffer_init_counted(buffer, limit, NULL);
}

void rn_buffer_init_counted(rn_buffer *buffer, size_t limit, rn_budget *budget) {
    *buffer = (rn_buffer){.limit = limit, .budget = budget};
}

void rn_buffer_fini(rn_buffer *buffer) {
    if (buffer != NULL) {
        free(buffer->data);
        rn_budget_move(buffer->budget, buffer->capacity, 0);
        rn_buffer_init_counted(buffer, buffer->limit, buffer->budget);
    }
}

void rn_buffer_clear(rn_buffer *buffer) {
    buffer->len = 0;
}

int rn_buffer_reserve(rn_buffer *buffer, size_t more) {
    if (more > buffer->limit - buffer->len) {
        return RPCNET_ERR_LIMIT;
    }
    size_t needed = buffer->len + more;
    if (needed <= buffer->capacity) {
        return RPCNET_OK;
    }
    size_t capacity = buffer->capacity > buffer->limit / 2 ? buffer->limit : buffer->capacity * 2;
    if (capacity < CAPACITY_FIRST) {
        capacity = buffer->limit < CAPACITY_FIRST ? buffer->limit : CAPACITY_FIRST;
    }
    if (capacity < needed) {
        capacity = needed;
    }
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    buffer->data = data;
    rn_budget_move(buffer->budget, buffer->capacity, capacity);
    buffer->capacity = capacity;
    return RPCNET_OK;
}

int rn_buffer_append(rn_buffer *buffer, const void *data, size_t len) {
    int result = rn_buffer_reserve(buffer, len);
    if (result != RPCNET_OK || len == 0) {
        return result;
    }
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    return RPCNET_OK;
}

void rn_buffer_drop_front(rn_buffer *buffer, size_t len) {
    assert(len <= buffer->len);
    if (len == 0) {
        return;
    }
    buffer->len -= len;
    memmove(buffer->data, buffer->data + len, buffer->len);
}
