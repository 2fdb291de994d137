/* Tests of base/buffer: its limit, and that it never takes more memory than that. */
#include <string.h>

#include "base/buffer.h"
#include "naive.h"
#include "rpcnet/error.h"

static void test_limit(void **state) {
    (void)state;
    static const uint8_t data[1001];
    for (size_t len = 999; len <= 1001; len++) {
        rn_buffer buffer;
        rn_buffer_init(&buffer, 1000);
        assert_int_equal(rn_buffer_append(&buffer, data, len),
                         len <= 1000 ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(buffer.len, len <= 1000 ? len : 0);
        assert_int_equal(rn_buffer_reserve(&buffer, 1), len == 1000 ? RPCNET_ERR_LIMIT : RPCNET_OK);
        assert_true(buffer.capacity <= 1000);
        rn_buffer_fini(&buffer);
    }
}

static void test_one_byte_at_a_time_up_to_an_odd_limit(void **state) {
    (void)state;
    rn_buffer buffer;
    rn_buffer_init(&buffer, 777);
    for (size_t i = 0; i < 777; i++) {
        uint8_t byte = (uint8_t)i;
        assert_int_equal(rn_buffer_append(&buffer, &byte, 1), RPCNET_OK);
        assert_true(buffer.capacity <= 777);
    }
    assert_int_equal(rn_buffer_append(&buffer, "x", 1), RPCNET_ERR_LIMIT);
    for (size_t i = 0; i < 777; i++) {
        assert_int_equal(buffer.data[i], (uint8_t)i);
    }
    assert_int_equal(rn_buffer_reserve(&buffer, SIZE_MAX), RPCNET_ERR_LIMIT);
    rn_buffer_fini(&buffer);
}

static void test_clear_drop_and_fini(void **state) {
    (void)state;
    rn_buffer buffer;
    rn_buffer_init(&buffer, 64);
    assert_int_equal(rn_buffer_append(&buffer, "abcdef", 6), RPCNET_OK);
    rn_buffer_drop_front(&buffer, 0);
    rn_buffer_drop_front(&buffer, 2);
    assert_true(rn_bytes_is(rn_buffer_bytes(&buffer), "cdef"));
    rn_buffer_drop_front(&buffer, 4);
    assert_int_equal(buffer.len, 0);
    assert_int_equal(rn_buffer_append(&buffer, "xy", 2), RPCNET_OK);
    const uint8_t *memory = buffer.data;
    rn_buffer_clear(&buffer);
    assert_int_equal(buffer.len, 0);
    assert_ptr_equal(buffer.data, memory);
    assert_int_equal(rn_buffer_append(&buffer, NULL, 0), RPCNET_OK);
    rn_buffer_fini(&buffer);
    rn_buffer_fini(&buffer);
    rn_buffer_fini(NULL);
    rn_buffer_init(&buffer, 0);
    rn_buffer_drop_front(&buffer, 0);
    assert_int_equal(rn_buffer_append(&buffer, "x", 1), RPCNET_ERR_LIMIT);
    rn_buffer_fini(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_one_byte_at_a_time_up_to_an_odd_limit),
        cmocka_unit_test(test_clear_drop_and_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
