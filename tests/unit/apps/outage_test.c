/* Tests of worker/outage: the simulated failure repeats, and only under streams. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/env.h"
#include "worker/outage.h"

static void test_cycle(void **state) {
    (void)state;
    rn_outage o;
    rn_outage_init(&o, 15, 10);
    assert_true(o.deadline_ns == RN_NEVER);
    for (uint64_t now = 100; now < 1000; now += 100) {
        rn_outage_stream(&o, now);
        rn_outage_stream(&o, now + 5); /* a second stream does not put it off */
        assert_int_equal(o.deadline_ns, now + 15);
        assert_int_equal(rn_outage_advance(&o, now + 14), RN_OUTAGE_NOTHING);
        assert_int_equal(rn_outage_advance(&o, now + 15), RN_OUTAGE_FAIL);
        rn_outage_no_stream(&o); /* those that failed */
        assert_int_equal(o.state, RN_OUTAGE_RECOVERING);
        assert_int_equal(rn_outage_advance(&o, now + 24), RN_OUTAGE_NOTHING);
        assert_int_equal(rn_outage_advance(&o, now + 25), RN_OUTAGE_RECOVER);
        assert_int_equal(o.state, RN_OUTAGE_HEALTHY);
        assert_true(o.deadline_ns == RN_NEVER);
        assert_int_equal(rn_outage_advance(&o, now + 99), RN_OUTAGE_NOTHING);
    }
}

static void test_idle_does_not_fail(void **state) {
    (void)state;
    rn_outage o;
    rn_outage_init(&o, 15, 10);
    rn_outage_stream(&o, 100);
    rn_outage_no_stream(&o);
    assert_int_equal(rn_outage_advance(&o, 200), RN_OUTAGE_NOTHING);
    rn_outage_stream(&o, 300);
    assert_int_equal(o.deadline_ns, 315);
}

static void test_never(void **state) {
    (void)state;
    rn_outage o;
    rn_outage_init(&o, 0, 10);
    rn_outage_stream(&o, 100);
    assert_int_equal(rn_outage_advance(&o, UINT64_MAX - 1), RN_OUTAGE_NOTHING);
    rn_outage_init(&o, 15, 0);
    rn_outage_stream(&o, 100);
    assert_int_equal(rn_outage_advance(&o, 115), RN_OUTAGE_FAIL);
    assert_int_equal(rn_outage_advance(&o, UINT64_MAX - 1), RN_OUTAGE_NOTHING);
    rn_outage_init(&o, UINT64_MAX, UINT64_MAX);
    rn_outage_stream(&o, 100); /* no wrap around */
    assert_true(o.deadline_ns == RN_NEVER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_idle_does_not_fail),
        cmocka_unit_test(test_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
