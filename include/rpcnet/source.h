/* source: a message that is read piece by piece while it is sent, see rpcnet_call_send_source. */
#ifndef RPCNET_SOURCE_H
#define RPCNET_SOURCE_H

#include <stddef.h>

typedef struct rpcnet_piece {
    const void *data;
    size_t len;
} rpcnet_piece;

enum { RPCNET_SOURCE_PIECES_MAX = 5 };

/* A message that its owner holds anyway. It is read as the send ring has room for it, so that it
 * does not lie in memory twice. */
typedef struct rpcnet_source {
    size_t len; /* of the whole message */
    /* Fills `out` with at most RPCNET_SOURCE_PIECES_MAX pieces, which together are the message from
     * `offset` (less than `len`) to its end, and returns how many. They are copied as far as there
     * is room before anything else runs; the same bytes may be asked for again, and may lie
     * elsewhere then. It must call nothing of this library. */
    size_t (*read)(void *user, size_t offset, rpcnet_piece out[RPCNET_SOURCE_PIECES_MAX]);
    void *user;
} rpcnet_source;

#endif
