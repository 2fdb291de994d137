/* heap: a binary heap in an array of pointers; each node knows its position, so that a deadline can
 * be moved or removed without a search. */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"

enum { CAPACITY_FIRST = 16 };

void rn_heap_init(rn_heap *heap) {
    *heap = (rn_heap){.nodes = NULL};
}

void rn_heap_fini(rn_heap *heap) {
    if (heap != NULL) {
        free(heap->nodes);
        *heap = (rn_heap){.nodes = NULL};
    }
}

rn_heap_node *rn_heap_first(const rn_heap *heap) {
    return heap->len == 0 ? NULL : heap->nodes[0];
}

static void put_at(rn_heap *heap, size_t at, rn_heap_node *node) {
    heap->nodes[at] = node;
    node->index = at + 1;
}

static size_t sift_up(rn_heap *heap, size_t at, rn_heap_node *node) {
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (heap->nodes[parent]->key <= node->key) {
            break;
        }
        put_at(heap, at, heap->nodes[parent]);
        at = parent;
    }
    return at;
}

static size_t sift_down(rn_heap *heap, size_t at, rn_heap_node *node) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->len) {
            return at;
        }
        if (child + 1 < heap->len && heap->nodes[child + 1]->key < heap->nodes[child]->key) {
            child++;
        }
        if (heap->nodes[child]->key >= node->key) {
            return at;
        }
        put_at(heap, at, heap->nodes[child]);
        at = child;
    }
}

/* Position `at` is free; finds where the node belongs from there. */
static void settle(rn_heap *heap, size_t at, rn_heap_node *node) {
    at = sift_up(heap, at, node);
    put_at(heap, sift_down(heap, at, node), node);
}

int rn_heap_set(rn_heap *heap, rn_heap_node *node, uint64_t key) {
    if (node->index != 0) {
        assert(node->index <= heap->len && heap->nodes[node->index - 1] == node);
        node->key = key;
        settle(heap, node->index - 1, node);
        return RPCNET_OK;
    }
    if (heap->len == heap->capacity) {
        size_t capacity = heap->capacity == 0 ? CAPACITY_FIRST : heap->capacity * 2;
        if (capacity > SIZE_MAX / sizeof(rn_heap_node *)) {
            return RPCNET_ERR_MEMORY;
        }
        rn_heap_node **nodes = realloc(heap->nodes, capacity * sizeof *nodes);
        if (nodes == NULL) {
            return RPCNET_ERR_MEMORY;
        }
        heap->nodes = nodes;
        heap->capacity = capacity;
    }
    node->key = key;
    heap->len++;
    put_at(heap, heap->len - 1, node);
    settle(heap, heap->len - 1, node);
    return RPCNET_OK;
}

void rn_heap_remove(rn_heap *heap, rn_heap_node *node) {
    if (node->index == 0) {
        return;
    }
    size_t at = node->index - 1;
    assert(at < heap->len && heap->nodes[at] == node);
    rn_heap_node *last = heap->nodes[--heap->len];
    node->index = 0;
    if (last != node) {
        settle(heap, at, last);
    }
}
