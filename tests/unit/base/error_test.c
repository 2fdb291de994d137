/* Tests of rpcnet_strerror. */
#include <string.h>

#include "naive.h"
#include "rpcnet/error.h"

static void test_each_result_has_its_own_text(void **state) {
    (void)state;
    for (int a = RPCNET_ERR_DESCRIPTORS; a <= RPCNET_OK; a++) {
        assert_string_not_equal(rpcnet_strerror(a), "unknown error");
        for (int b = RPCNET_ERR_DESCRIPTORS; b < a; b++) {
            assert_string_not_equal(rpcnet_strerror(a), rpcnet_strerror(b));
        }
    }
}

static void test_numbers_that_are_no_result(void **state) {
    (void)state;
    assert_string_equal(rpcnet_strerror(1), "unknown error");
    assert_string_equal(rpcnet_strerror(RPCNET_ERR_DESCRIPTORS - 1), "unknown error");
    assert_string_equal(rpcnet_strerror(-2147483647 - 1), "unknown error");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_result_has_its_own_text),
        cmocka_unit_test(test_numbers_that_are_no_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
