/* Unit tests of src/swap/pace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "swap/pace.h"

#define MS RN_MILLISECOND
#define START (3 * RN_SECOND)

/* `count` messages, one every `gap_ns`; returns the time of the last one. */
static uint64_t messages(rn_pace *pace, unsigned count, uint64_t gap_ns, uint64_t now) {
    for (unsigned i = 0; i < count; i++) {
        now += gap_ns;
        assert_false(rn_pace_stalled(pace, now));
        rn_pace_message(pace, now);
    }
    return now;
}

static void off_until_there_is_a_pace(void **state) {
    (void)state;
    rn_pace pace;
    rn_pace_init(&pace, RN_PACE_MIN_NS, true, START);
    assert_false(rn_pace_stalled(&pace, START + 1000 * RN_SECOND));
    uint64_t now = messages(&pace, RN_PACE_MESSAGES - 1, 20 * MS, START);
    assert_true(rn_pace_deadline(&pace) == RN_NEVER);
    now = messages(&pace, 1, 20 * MS, now);
    assert_true(rn_pace_deadline(&pace) == now + 500 * MS);
    assert_false(rn_pace_stalled(&pace, now + 500 * MS - 1));
    assert_true(rn_pace_stalled(&pace, now + 500 * MS));
}

static void ten_times_the_usual_gap(void **state) {
    (void)state;
    rn_pace pace;
    rn_pace_init(&pace, RN_PACE_MIN_NS, true, START);
    /* However long the first message takes. */
    uint64_t now = messages(&pace, 1, 60 * RN_SECOND, START);
    now = messages(&pace, 20, 200 * MS, now);
    assert_true(rn_pace_deadline(&pace) == now + 2 * RN_SECOND);
    /* It follows a pace that changes, slowly in both directions. */
    now = messages(&pace, 1, 1000 * MS, now);
    assert_true(pace.usual_gap_ns == 300 * MS);
    now = messages(&pace, 1, 140 * MS, now);
    assert_true(pace.usual_gap_ns == 280 * MS);
    now = messages(&pace, 200, 10 * MS, now);
    assert_true(rn_pace_deadline(&pace) == now + 500 * MS);
}

static void time_without_credit_does_not_count(void **state) {
    (void)state;
    rn_pace pace;
    rn_pace_init(&pace, RN_PACE_MIN_NS, true, START);
    uint64_t now = messages(&pace, 10, 20 * MS, START);
    rn_pace_credit(&pace, false, now + 100 * MS);
    assert_true(rn_pace_deadline(&pace) == RN_NEVER);
    rn_pace_credit(&pace, false, now + 40 * RN_SECOND);
    now += 60 * RN_SECOND;
    rn_pace_credit(&pace, true, now);
    rn_pace_credit(&pace, true, now + 1 * MS);
    assert_true(rn_pace_deadline(&pace) == now + 400 * MS);
    assert_false(rn_pace_stalled(&pace, now + 400 * MS - 1));
    assert_true(rn_pace_stalled(&pace, now + 400 * MS));
    /* The gap that ends now was 120 ms long, not a minute. */
    rn_pace_message(&pace, now + 20 * MS);
    assert_true(pace.usual_gap_ns == 20 * MS + 100 * MS / 8);
}

static void no_credit_from_the_start(void **state) {
    (void)state;
    rn_pace pace;
    rn_pace_init(&pace, RN_PACE_MIN_NS, false, START);
    uint64_t now = messages(&pace, 10, RN_SECOND, START);
    assert_int_equal(pace.usual_gap_ns, 0);
    rn_pace_credit(&pace, true, now);
    assert_true(rn_pace_deadline(&pace) == now + 500 * MS);
}

static void gaps_of_ages_do_not_overflow(void **state) {
    (void)state;
    rn_pace pace;
    rn_pace_init(&pace, RN_PACE_MIN_NS, true, 0);
    uint64_t now = messages(&pace, 8, RN_NEVER / 9, 0);
    assert_true(rn_pace_deadline(&pace) == RN_NEVER || rn_pace_deadline(&pace) > now);
}

/* Nobody knows whose turn it is while the client may say more. */
static void never_while_the_client_may_say_more(void **state) {
    (void)state;
    rn_pace pace;
    rn_pace_init(&pace, RN_PACE_MIN_NS, true, START);
    rn_pace_client(&pace, true, START);
    uint64_t now = messages(&pace, RN_PACE_MESSAGES, 100 * MS, START);
    assert_true(rn_pace_deadline(&pace) == RN_NEVER);
    now += 1000 * RN_SECOND;
    rn_pace_client(&pace, true, now); /* thought about it for long: no gap of the worker's */
    now = messages(&pace, 1, 100 * MS, now);
    assert_true(rn_pace_deadline(&pace) == RN_NEVER);
    now += 1000 * RN_SECOND;
    rn_pace_client(&pace, false, now);
    assert_true(rn_pace_deadline(&pace) == now + RN_SECOND); /* ten times its gap */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_until_there_is_a_pace),
        cmocka_unit_test(ten_times_the_usual_gap),
        cmocka_unit_test(time_without_credit_does_not_count),
        cmocka_unit_test(no_credit_from_the_start),
        cmocka_unit_test(gaps_of_ages_do_not_overflow),
        cmocka_unit_test(never_while_the_client_may_say_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
