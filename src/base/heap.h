/* heap: an intrusive binary min-heap of deadlines. Nodes live in their owner. */
#ifndef RN_BASE_HEAP_H
#define RN_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rn_heap_node {
    uint64_t key;
    size_t index; /* position in the heap plus one; 0: not in a heap */
} rn_heap_node;

typedef struct rn_heap {
    rn_heap_node **nodes;
    size_t len;
    size_t capacity;
} rn_heap;

void rn_heap_init(rn_heap *heap);
void rn_heap_fini(rn_heap *heap); /* nodes are not touched, so they may be gone already */
rn_heap_node *rn_heap_first(const rn_heap *heap); /* smallest key; NULL: empty */
/* Inserts the node, or moves it to its new key. RPCNET_ERR_MEMORY. */
int rn_heap_set(rn_heap *heap, rn_heap_node *node, uint64_t key);
void rn_heap_remove(rn_heap *heap, rn_heap_node *node); /* nothing when it is in no heap */

#endif
