/* Tests of client/sequence: by example, at the limit of gaps, and against a naive checker. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "client/sequence.h"

static void counts_are(const rn_sequence *s, uint64_t lost, uint64_t duplicated,
                       uint64_t reordered) {
    assert_int_equal(s->lost, lost);
    assert_int_equal(s->duplicated, duplicated);
    assert_int_equal(s->reordered, reordered);
}

static void test_in_order(void **state) {
    (void)state;
    rn_sequence s;
    rn_sequence_init(&s);
    for (uint64_t n = 1; n <= 1000; n++) {
        assert_int_equal(rn_sequence_take(&s, n), RN_SEQUENCE_GOOD);
    }
    rn_sequence_end(&s, 1000);
    counts_are(&s, 0, 0, 0);
    assert_int_equal(s.received, 1000);
}

static void test_disorder(void **state) {
    (void)state;
    rn_sequence s;
    rn_sequence_init(&s);
    rn_sequence_take(&s, 1);
    assert_int_equal(rn_sequence_take(&s, 1), RN_SEQUENCE_DUPLICATE);
    assert_int_equal(rn_sequence_take(&s, 0), RN_SEQUENCE_DUPLICATE);
    assert_int_equal(rn_sequence_take(&s, 5), RN_SEQUENCE_GAP); /* 2 3 4 are missing */
    counts_are(&s, 3, 2, 0);
    assert_int_equal(rn_sequence_take(&s, 3), RN_SEQUENCE_LATE); /* splits the gap */
    assert_int_equal(rn_sequence_take(&s, 3), RN_SEQUENCE_DUPLICATE);
    assert_int_equal(rn_sequence_take(&s, 4), RN_SEQUENCE_LATE);
    assert_int_equal(rn_sequence_take(&s, 2), RN_SEQUENCE_LATE);
    counts_are(&s, 0, 3, 3);
    assert_int_equal(rn_sequence_take(&s, 6), RN_SEQUENCE_GOOD);
}

static void test_first_missing(void **state) {
    (void)state;
    rn_sequence s;
    rn_sequence_init(&s);
    assert_int_equal(rn_sequence_take(&s, 2), RN_SEQUENCE_GAP);
    counts_are(&s, 1, 0, 0);
}

static void test_end(void **state) {
    (void)state;
    rn_sequence s;
    rn_sequence_init(&s);
    rn_sequence_take(&s, 1);
    rn_sequence_end(&s, 0); /* no length was asked for */
    counts_are(&s, 0, 0, 0);
    rn_sequence_end(&s, 1);
    counts_are(&s, 0, 0, 0);
    rn_sequence_end(&s, 4);
    counts_are(&s, 3, 0, 0);
}

static void test_gap_limit(void **state) {
    (void)state;
    for (uint64_t gaps = RN_SEQUENCE_GAPS_MAX - 1; gaps <= RN_SEQUENCE_GAPS_MAX + 1; gaps++) {
        rn_sequence s;
        rn_sequence_init(&s);
        for (uint64_t i = 1; i <= gaps; i++) {
            rn_sequence_take(&s, 2 * i); /* the odd ones are missing */
        }
        counts_are(&s, gaps, 0, 0);
        bool forgotten = gaps > RN_SEQUENCE_GAPS_MAX;
        assert_int_equal(rn_sequence_take(&s, 1),
                         forgotten ? RN_SEQUENCE_DUPLICATE : RN_SEQUENCE_LATE);
        assert_int_equal(rn_sequence_take(&s, 3), RN_SEQUENCE_LATE);
    }
}

/* A split at the full table: the oldest gap makes room. */
static void test_split_at_limit(void **state) {
    (void)state;
    for (uint64_t victim = 0; victim < RN_SEQUENCE_GAPS_MAX; victim += RN_SEQUENCE_GAPS_MAX - 1) {
        rn_sequence s;
        rn_sequence_init(&s);
        for (uint64_t i = 1; i <= RN_SEQUENCE_GAPS_MAX; i++) {
            rn_sequence_take(&s, 4 * i); /* gaps of three */
        }
        assert_int_equal(s.gap_count, RN_SEQUENCE_GAPS_MAX);
        assert_int_equal(rn_sequence_take(&s, 4 * victim + 2), RN_SEQUENCE_LATE);
        assert_int_equal(s.gap_count, RN_SEQUENCE_GAPS_MAX);
        for (size_t i = 1; i < s.gap_count; i++) {
            assert_true(s.gaps[i - 1].last < s.gaps[i].first);
        }
    }
}

static void test_against_naive(void **state) {
    (void)state;
    enum { NUMBERS = 60 };
    uint64_t random = 42;
    for (int round = 0; round < 2000; round++) {
        rn_sequence s;
        bool seen[NUMBERS + 1] = {true};
        uint64_t highest = 0;
        uint64_t duplicated = 0;
        uint64_t reordered = 0;
        rn_sequence_init(&s);
        for (int i = 0; i < NUMBERS; i++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            uint64_t n = 1 + (random >> 33) % NUMBERS;
            duplicated += seen[n] ? 1 : 0;
            reordered += !seen[n] && n < highest ? 1 : 0;
            seen[n] = true;
            highest = n > highest ? n : highest;
            rn_sequence_take(&s, n);
        }
        uint64_t lost = 0;
        for (uint64_t n = 1; n <= highest; n++) {
            lost += seen[n] ? 0 : 1;
        }
        counts_are(&s, lost, duplicated, reordered);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),      cmocka_unit_test(test_disorder),
        cmocka_unit_test(test_first_missing), cmocka_unit_test(test_end),
        cmocka_unit_test(test_gap_limit),     cmocka_unit_test(test_split_at_limit),
        cmocka_unit_test(test_against_naive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
