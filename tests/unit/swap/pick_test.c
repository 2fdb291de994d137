/* Unit tests of src/swap/pick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"
#include "swap/pick.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void preferred_comes_first(void **state) {
    (void)state;
    rn_pick_worker workers[] = {{1, 0, RN_PICK_READY, false}, {2, 99, RN_PICK_READY, true}};
    uint64_t last = 0;
    assert_int_equal(rn_pick(workers, 2, NULL, 0, &last), 1);
    assert_int_equal(rn_pick(workers, 2, NULL, 0, &last), 1);
    assert_int_equal(last, 0);
    const uint64_t tried[] = {2};
    assert_int_equal(rn_pick(workers, 2, tried, 1, &last), 0);
    for (unsigned not_ready = RN_PICK_DRAINING; not_ready <= RN_PICK_SUSPECT; not_ready++) {
        workers[1].state = (enum rn_pick_state)not_ready;
        assert_int_equal(rn_pick(workers, 2, NULL, 0, &last), 0);
    }
}

static void several_preferred(void **state) {
    (void)state;
    const rn_pick_worker workers[] = {{8, 0, RN_PICK_READY, true}, {3, 5, RN_PICK_READY, true}};
    uint64_t last = 0;
    assert_int_equal(rn_pick(workers, 2, NULL, 0, &last), 1);
}

static void least_load_then_round_robin(void **state) {
    (void)state;
    const rn_pick_worker workers[] = {{4, 2, RN_PICK_READY, false},
                                      {2, 1, RN_PICK_READY, false},
                                      {9, 1, RN_PICK_READY, false},
                                      {5, 1, RN_PICK_READY, false},
                                      {1, 0, RN_PICK_RECOVERING, false}};
    static const uint64_t order[] = {2, 5, 9, 2, 5, 9, 2};
    uint64_t last = 0;
    for (size_t i = 0; i < COUNT(order); i++) {
        size_t at = rn_pick(workers, COUNT(workers), NULL, 0, &last);
        assert_int_equal(workers[at].id, order[i]);
        assert_int_equal(last, order[i]);
    }
    /* The one that was last is gone, and one with a higher id has come: the circle goes on. */
    last = 6;
    assert_int_equal(workers[rn_pick(workers, COUNT(workers), NULL, 0, &last)].id, 9);
    last = UINT64_MAX;
    assert_int_equal(workers[rn_pick(workers, COUNT(workers), NULL, 0, &last)].id, 2);
}

static void nobody(void **state) {
    (void)state;
    const rn_pick_worker workers[] = {
        {1, 0, RN_PICK_READY, true}, {2, 0, RN_PICK_READY, false}, {3, 0, RN_PICK_DRAINING, false}};
    const uint64_t tried[] = {2, 1};
    uint64_t last = 7;
    assert_true(rn_pick(workers, 3, tried, 2, &last) == RN_PICK_NONE);
    assert_true(rn_pick(NULL, 0, NULL, 0, &last) == RN_PICK_NONE);
    assert_int_equal(last, 7);
}

/* Whatever the pool: the choice is a ready worker that was not tried, none is better, the order of
 * the snapshot does not matter, and equals share evenly. */
static void any_pool(void **state) {
    (void)state;
    random_source random = {0x5eed0004};
    print_message("seed 0x5eed0004\n");
    for (unsigned round = 0; round < 20000; round++) {
        rn_pick_worker workers[8];
        rn_pick_worker shuffled[8];
        uint64_t tried[3];
        size_t count = random_below(&random, 9);
        size_t tried_count = random_below(&random, 4);
        for (size_t i = 0; i < count; i++) {
            workers[i] = (rn_pick_worker){
                .id = i * 3 + 1,
                .load = (uint32_t)random_below(&random, 3),
                .state = random_chance(&random, 70) ? RN_PICK_READY
                                                    : (enum rn_pick_state)random_below(&random, 4),
                .preferred = random_chance(&random, 10)};
        }
        for (size_t i = 0; i < tried_count; i++) {
            tried[i] = random_below(&random, 8) * 3 + 1;
        }
        size_t turn = count > 0 ? random_below(&random, count) : 0;
        for (size_t i = 0; i < count; i++) {
            shuffled[(i + turn) % count] = workers[i];
        }
        uint64_t last = random_below(&random, 25);
        uint64_t last_too = last;
        size_t at = rn_pick(workers, count, tried, tried_count, &last);
        size_t at_too = rn_pick(shuffled, count, tried, tried_count, &last_too);
        assert_int_equal(at == RN_PICK_NONE, at_too == RN_PICK_NONE);
        assert_true(at == RN_PICK_NONE || workers[at].id == shuffled[at_too].id);
        assert_int_equal(last, last_too);
        for (size_t i = 0; i < count; i++) {
            bool usable = workers[i].state == RN_PICK_READY;
            for (size_t k = 0; k < tried_count; k++) {
                usable = usable && tried[k] != workers[i].id;
            }
            assert_true(!usable || at != RN_PICK_NONE);
            assert_true(at != i || usable);
            if (usable) {
                assert_true(workers[at].preferred || !workers[i].preferred);
                assert_true(workers[at].preferred || workers[at].load <= workers[i].load);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preferred_comes_first),
        cmocka_unit_test(several_preferred),
        cmocka_unit_test(least_load_then_round_robin),
        cmocka_unit_test(nobody),
        cmocka_unit_test(any_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
