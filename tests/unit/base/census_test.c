/* Tests of base/census: counts of addresses, at their limit and beside it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/census.h"
#include "rpcnet/error.h"

enum { EACH = 3, ADDRESSES = 4 };

static rn_address address(const char *text) {
    rn_address out;
    assert_int_equal(rn_address_parse(&out, text), RPCNET_OK);
    return out;
}

static rn_census *new_census(size_t each, size_t addresses) {
    rn_census *census;
    assert_int_equal(rn_census_new(&census, each, addresses, 7), RPCNET_OK);
    return census;
}

static void test_limit_of_an_address(void **state) {
    (void)state;
    rn_census *census = new_census(EACH, ADDRESSES);
    rn_address here = address("192.0.2.1:1000");
    rn_address other_port = address("192.0.2.1:2000");
    rn_address elsewhere = address("192.0.2.2:1000");
    rn_census_place *places[EACH];
    rn_census_place *more = NULL;
    for (size_t i = 0; i < EACH; i++) {
        assert_int_equal(rn_census_count(census, &here), i);
        assert_int_equal(rn_census_enter(census, i % 2 == 0 ? &here : &other_port, &places[i]),
                         RPCNET_OK);
    }
    assert_int_equal(rn_census_enter(census, &here, &more), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_census_enter(census, &other_port, &more), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_census_count(census, &here), EACH);
    assert_int_equal(rn_census_enter(census, &elsewhere, &more), RPCNET_OK);
    rn_census_leave(census, more);
    assert_int_equal(rn_census_count(census, &elsewhere), 0);

    rn_census_leave(census, places[0]);
    assert_int_equal(rn_census_enter(census, &here, &places[0]), RPCNET_OK);
    assert_int_equal(rn_census_enter(census, &here, &more), RPCNET_ERR_LIMIT);
    for (size_t i = 0; i < EACH; i++) {
        rn_census_leave(census, places[i]);
    }
    assert_int_equal(rn_census_count(census, &here), 0);
    rn_census_leave(census, NULL);
    rn_census_del(census);
}

static void test_limit_of_addresses(void **state) {
    (void)state;
    static const char *const texts[] = {"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1"};
    rn_census *census = new_census(EACH, ADDRESSES);
    rn_census_place *places[ADDRESSES];
    rn_census_place *more = NULL;
    for (size_t i = 0; i < ADDRESSES; i++) {
        rn_address one = address(texts[i]);
        assert_int_equal(rn_census_enter(census, &one, &places[i]), RPCNET_OK);
    }
    rn_address fifth = address("192.0.2.5:1");
    assert_int_equal(rn_census_enter(census, &fifth, &more), RPCNET_ERR_LIMIT);
    /* One that is known already needs no new place. */
    rn_address first = address(texts[0]);
    assert_int_equal(rn_census_enter(census, &first, &more), RPCNET_OK);
    rn_census_leave(census, places[1]);
    assert_int_equal(rn_census_enter(census, &fifth, &places[1]), RPCNET_OK);
    rn_census_del(census); /* with places that were not left */
}

static void test_ipv6(void **state) {
    (void)state;
    rn_census *census = new_census(EACH, ADDRESSES);
    rn_census_place *place;
    rn_address one = address("[2001:db8:0:1::1]:1000");
    rn_address neighbour = address("[2001:db8:0:1:ffff:ffff:ffff:ffff]:1");
    rn_address network = address("[2001:db8:0:2::1]:1000");
    rn_address mapped = address("[::ffff:192.0.2.1]:1000");
    rn_address other_mapped = address("[::ffff:192.0.2.2]:1000");
    rn_address plain = address("192.0.2.1:7");
    assert_int_equal(rn_census_enter(census, &one, &place), RPCNET_OK);
    assert_int_equal(rn_census_count(census, &neighbour), 1);
    assert_int_equal(rn_census_count(census, &network), 0);
    assert_int_equal(rn_census_enter(census, &mapped, &place), RPCNET_OK);
    assert_int_equal(rn_census_count(census, &plain), 1);
    assert_int_equal(rn_census_count(census, &other_mapped), 0);
    rn_census_del(census);
}

static void test_nothing_is_allowed(void **state) {
    (void)state;
    rn_census *census = new_census(0, ADDRESSES);
    rn_census_place *place;
    rn_address here = address("192.0.2.1:1");
    assert_int_equal(rn_census_each(census), 0);
    assert_int_equal(rn_census_enter(census, &here, &place), RPCNET_ERR_LIMIT);
    rn_census_del(census);
    rn_census_del(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_of_an_address),
        cmocka_unit_test(test_limit_of_addresses),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
