/* budget: what is counted, at the limit and beside it; and who counts in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "rpcnet/error.h"

enum { LIMIT = 1000 };

static void note(void *user) {
    ++*(unsigned *)user;
}

static void at_the_limit_and_beside_it(void **state) {
    (void)state;
    for (size_t used = LIMIT - 1; used <= LIMIT + 1; used++) {
        unsigned notes = 0;
        rn_budget budget = {.limit = LIMIT, .grown_over = note, .user = &notes};
        rn_budget_move(&budget, 0, used);
        bool over = used > LIMIT;
        assert_int_equal(rn_budget_over(&budget), over);
        assert_int_equal(rn_budget_excess(&budget), over ? 1 : 0);
        assert_int_equal(notes, over);
        assert_int_equal(rn_budget_may_grow(&budget), !over);
        assert_int_equal(budget.refusals, over);
        /* What shrinks is no news. */
        rn_budget_move(&budget, used, LIMIT + 1 < used ? LIMIT + 1 : used);
        assert_int_equal(notes, over);
        rn_budget_move(&budget, used, 0);
        assert_int_equal(budget.used, 0);
        assert_int_equal(budget.peak, used);
    }
}

static void what_is_leaving_need_not_be_given_up(void **state) {
    (void)state;
    rn_budget budget = {.limit = LIMIT};
    rn_budget_move(&budget, 0, 1500);
    assert_int_equal(rn_budget_excess(&budget), 500);
    rn_budget_leave(&budget, 0, 499);
    assert_int_equal(rn_budget_excess(&budget), 1);
    rn_budget_leave(&budget, 499, 500);
    assert_int_equal(rn_budget_excess(&budget), 0);
    assert_true(rn_budget_over(&budget)); /* and yet nothing new may begin */
    rn_budget_leave(&budget, 500, 0);
    rn_budget_move(&budget, 500, 0);
    assert_false(rn_budget_over(&budget));
}

static void no_account_is_one(void **state) {
    (void)state;
    rn_budget_move(NULL, 0, 5);
    rn_budget_leave(NULL, 0, 5);
    assert_true(rn_budget_may_grow(NULL));
}

static void buffers_count_their_memory(void **state) {
    (void)state;
    rn_budget budget = {.limit = LIMIT};
    rn_buffer buffer;
    rn_buffer_init_counted(&buffer, 4096, &budget);
    assert_int_equal(budget.used, 0);
    assert_int_equal(rn_buffer_append(&buffer, "x", 1), RPCNET_OK);
    assert_int_equal(budget.used, buffer.capacity);
    assert_int_equal(rn_buffer_reserve(&buffer, 4095), RPCNET_OK);
    assert_int_equal(budget.used, 4096);
    assert_int_equal(rn_buffer_reserve(&buffer, 4096), RPCNET_ERR_LIMIT);
    rn_buffer_clear(&buffer);
    assert_int_equal(budget.used, 4096);
    rn_buffer_fini(&buffer);
    assert_int_equal(budget.used, 0);
    assert_int_equal(rn_buffer_append(&buffer, "x", 1), RPCNET_OK); /* limit and account stay */
    assert_int_equal(budget.used, buffer.capacity);
    rn_buffer_fini(&buffer);
    assert_int_equal(budget.used, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_the_limit_and_beside_it),
        cmocka_unit_test(what_is_leaving_need_not_be_given_up),
        cmocka_unit_test(no_account_is_one),
        cmocka_unit_test(buffers_count_their_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
