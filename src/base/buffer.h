/* buffer: a growable run of bytes with a limit that is set when it is made, counted in an account
 * if it has one. */
#ifndef RN_BASE_BUFFER_H
#define RN_BASE_BUFFER_H

#include "base/budget.h"
#include "base/bytes.h"

typedef struct rn_buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t limit;
    rn_budget *budget; /* where its memory is counted; NULL: nowhere */
} rn_buffer;

void rn_buffer_init(rn_buffer *buffer, size_t limit);
/* The same, with an account, which outlives it and may be NULL. */
void rn_buffer_init_counted(rn_buffer *buffer, size_t limit, rn_budget *budget);
void rn_buffer_fini(rn_buffer *buffer);  /* limit and account stay */
void rn_buffer_clear(rn_buffer *buffer); /* len = 0; keeps its memory */

/* RPCNET_ERR_LIMIT over the limit, RPCNET_ERR_MEMORY; nothing is changed then. */
int rn_buffer_append(rn_buffer *buffer, const void *data, size_t len);
int rn_buffer_reserve(rn_buffer *buffer, size_t more);    /* room for `more` bytes behind len */
void rn_buffer_drop_front(rn_buffer *buffer, size_t len); /* moves what remains to the front */

static inline rn_bytes rn_buffer_bytes(const rn_buffer *buffer) {
    return rn_bytes_of(buffer->data, buffer->len);
}

#endif
