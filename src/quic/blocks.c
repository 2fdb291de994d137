/* blocks: an allocator that counts. How large a block is the C library knows. */
#include "quic/blocks.h"

#include <malloc.h>
#include <stdlib.h>

static size_t size_of(void *block) {
    size_t size = block != NULL ? malloc_usable_size(block) : 0;
    return size >= RN_BLOCK_COUNTED_MIN ? size : 0;
}

static void set(rn_blocks *blocks, size_t memory, size_t base) {
    size_t before = rn_blocks_counted(blocks);
    blocks->memory = memory;
    blocks->base = base;
    size_t after = rn_blocks_counted(blocks);
    if (blocks->leaving) {
        rn_budget_leave(blocks->budget, before, after);
    }
    rn_budget_move(blocks->budget, before, after);
}

static void count(rn_blocks *blocks, size_t before, size_t after) {
    if (before != after) {
        set(blocks, blocks->memory - before + after, blocks->base);
    }
}

static bool may_take(rn_blocks *blocks, size_t size) {
    if (size < RN_BLOCK_COUNTED_MIN || rn_blocks_counted(blocks) < RN_BLOCKS_FREE_MAX ||
        rn_budget_may_grow(blocks->budget)) {
        return true;
    }
    blocks->starved = true;
    return false;
}

static void *take(size_t size, void *user) {
    rn_blocks *blocks = user;
    void *block = may_take(blocks, size) ? malloc(size) : NULL;
    count(blocks, 0, size_of(block));
    return block;
}

static void *take_zeroed(size_t count_of, size_t size, void *user) {
    void *block = calloc(count_of, size);
    count(user, 0, size_of(block));
    return block;
}

static void *resize(void *block, size_t size, void *user) {
    size_t before = size_of(block);
    void *resized = realloc(block, size);
    if (resized != NULL) {
        count(user, before, size_of(resized));
    }
    return resized;
}

static void give_back(void *block, void *user) {
    count(user, size_of(block), 0);
    free(block);
}

void rn_blocks_init(rn_blocks *blocks, rn_budget *budget) {
    *blocks = (rn_blocks){.mem = {.user_data = blocks,
                                  .malloc = take,
                                  .free = give_back,
                                  .calloc = take_zeroed,
                                  .realloc = resize},
                          .budget = budget};
}

const ngtcp2_mem *rn_blocks_mem(const rn_blocks *blocks) {
    return blocks->budget != NULL ? &blocks->mem : NULL;
}

void *rn_blocks_take(rn_blocks *blocks, size_t size) {
    void *block = malloc(size);
    if (block != NULL && blocks->budget != NULL) {
        count(blocks, 0, malloc_usable_size(block));
    }
    return block;
}

void rn_blocks_give_back(rn_blocks *blocks, void *block) {
    if (block != NULL && blocks->budget != NULL) {
        count(blocks, malloc_usable_size(block), 0);
    }
    free(block);
}

void rn_blocks_settle(rn_blocks *blocks) {
    set(blocks, blocks->memory, blocks->memory);
}

void rn_blocks_abandon(rn_blocks *blocks) {
    if (!blocks->leaving) {
        blocks->leaving = true;
        rn_budget_leave(blocks->budget, 0, rn_blocks_counted(blocks));
    }
}
