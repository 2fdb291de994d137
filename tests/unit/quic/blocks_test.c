/* blocks: large ones are counted, what a connection has at its start is not, and over the limit a
 * connection that holds many gets no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quic/blocks.h"

enum { MANY = 64, LARGE = 8232 }; /* as the library takes them for bytes out of order */

static void only_large_ones_are_counted(void **state) {
    rn_budget budget = {.limit = SIZE_MAX};
    rn_blocks blocks;
    (void)state;
    rn_blocks_init(&blocks, &budget);
    const ngtcp2_mem *mem = rn_blocks_mem(&blocks);
    void *small = mem->malloc(RN_BLOCK_COUNTED_MIN - 64, mem->user_data);
    assert_int_equal(budget.used, 0);
    void *large = mem->malloc(RN_BLOCK_COUNTED_MIN, mem->user_data);
    assert_in_range(budget.used, RN_BLOCK_COUNTED_MIN, RN_BLOCK_COUNTED_MIN + 64);
    large = mem->realloc(large, (size_t)4 * RN_BLOCK_COUNTED_MIN, mem->user_data);
    assert_in_range(budget.used, 4 * RN_BLOCK_COUNTED_MIN, 4 * RN_BLOCK_COUNTED_MIN + 4096);
    void *zeroed = mem->calloc(4, RN_BLOCK_COUNTED_MIN, mem->user_data);
    assert_in_range(budget.used, 8 * RN_BLOCK_COUNTED_MIN, 8 * RN_BLOCK_COUNTED_MIN + 8192);
    mem->free(small, mem->user_data);
    mem->free(large, mem->user_data);
    mem->free(zeroed, mem->user_data);
    mem->free(NULL, mem->user_data);
    assert_int_equal(budget.used, 0);
}

static void the_connection_itself_is_not(void **state) {
    rn_budget budget = {.limit = SIZE_MAX};
    rn_blocks blocks;
    (void)state;
    rn_blocks_init(&blocks, &budget);
    const ngtcp2_mem *mem = rn_blocks_mem(&blocks);
    void *connection = mem->calloc(1, LARGE, mem->user_data);
    rn_blocks_settle(&blocks);
    assert_int_equal(budget.used, 0);
    void *block = mem->malloc(LARGE, mem->user_data);
    size_t counted = budget.used;
    assert_true(counted >= LARGE);
    rn_blocks_abandon(&blocks);
    assert_int_equal(budget.leaving, counted);
    mem->free(connection, mem->user_data); /* in any order */
    mem->free(block, mem->user_data);
    assert_int_equal(budget.used, 0);
    assert_int_equal(budget.leaving, 0);
}

static void over_the_limit_few_are_taken(void **state) {
    (void)state;
    for (int over = 0; over < 2; over++) {
        rn_budget budget = {.limit = 1000};
        rn_budget_move(&budget, 0, 1000 + (size_t)over);
        budget.limit = over ? budget.limit : SIZE_MAX;
        rn_blocks blocks;
        void *taken[MANY];
        size_t count = 0;
        rn_blocks_init(&blocks, &budget);
        const ngtcp2_mem *mem = rn_blocks_mem(&blocks);
        while (count < MANY && (taken[count] = mem->malloc(LARGE, mem->user_data)) != NULL) {
            count++;
        }
        size_t all = rn_blocks_counted(&blocks);
        if (over) {
            /* Whatever others do it may have so many, the last of which reaches the number. */
            assert_true(all >= RN_BLOCKS_FREE_MAX && (all - RN_BLOCKS_FREE_MAX) * count < all);
            assert_true(blocks.starved);
            assert_int_equal(budget.refusals, 1);
        } else {
            assert_int_equal(count, MANY);
            assert_false(blocks.starved);
        }
        void *small = mem->malloc(100, mem->user_data);
        assert_non_null(small);
        mem->free(small, mem->user_data);
        while (count > 0) {
            mem->free(taken[--count], mem->user_data);
        }
        assert_int_equal(budget.used, 1000 + over);
    }
}

static void without_an_account_nothing_is_in_between(void **state) {
    rn_blocks blocks;
    (void)state;
    rn_blocks_init(&blocks, NULL);
    assert_null(rn_blocks_mem(&blocks));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_large_ones_are_counted),
        cmocka_unit_test(the_connection_itself_is_not),
        cmocka_unit_test(over_the_limit_few_are_taken),
        cmocka_unit_test(without_an_account_nothing_is_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
