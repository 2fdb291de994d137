/* blocks: the memory in which the QUIC library keeps bytes that came out of order, counted.
 *
 * A peer decides how much that is, up to the connection's window, and a byte takes a whole block.
 * So large blocks stand in the account; the small ones of a connection, which every connection has,
 * do not. A large block is refused while the account is over its limit and the connection holds
 * many (RN_BLOCKS_FREE_MAX): the library then ends the connection. */
#ifndef RN_QUIC_BLOCKS_H
#define RN_QUIC_BLOCKS_H

#include <ngtcp2/ngtcp2.h>

#include "base/budget.h"

enum {
    RN_BLOCK_COUNTED_MIN = 8192, /* bytes */
    RN_BLOCKS_FREE_MAX = 262144  /* bytes of blocks that a connection may have whatever others do */
};

typedef struct rn_blocks {
    ngtcp2_mem mem;
    rn_budget *budget;
    size_t memory; /* of large blocks */
    size_t base;   /* of them, what is not counted: the connection itself */
    bool leaving;
    bool starved; /* a block was refused because of the account */
} rn_blocks;

/* `budget` may be NULL; else it outlives the blocks. */
void rn_blocks_init(rn_blocks *blocks, rn_budget *budget);
/* For the library, which keeps the pointer; NULL: the usual allocator, nothing is counted. */
const ngtcp2_mem *rn_blocks_mem(const rn_blocks *blocks);
/* What has been taken so far is what every connection costs, and counts no more. */
void rn_blocks_settle(rn_blocks *blocks);
/* Bytes that stand in the account. */
static inline size_t rn_blocks_counted(const rn_blocks *blocks) {
    return blocks->memory > blocks->base ? blocks->memory - blocks->base : 0;
}
/* Memory of our own that holds a peer's bytes: counted, however small. NULL: there is none. */
void *rn_blocks_take(rn_blocks *blocks, size_t size);
void rn_blocks_give_back(rn_blocks *blocks, void *block);
/* The connection is going: what it holds is on its way out. */
void rn_blocks_abandon(rn_blocks *blocks);

#endif
