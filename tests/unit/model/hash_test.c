/* hash: the keyed hash against its published vectors, and the properties the model relies on. */
#include "unit/model/run.h"

#include "model/hash.h"

/* Key 00 01 .. 0f, message 00 01 .. (len - 1): the reference values of SipHash-2-4. */
static void test_reference_values(void **state) {
    (void)state;
    static const struct {
        size_t len;
        uint64_t expected;
    } cases[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)},
    };
    uint8_t message[15];
    for (size_t i = 0; i < sizeof message; i++) {
        message[i] = (uint8_t)i;
    }
    rn_model_key key = {.k0 = UINT64_C(0x0706050403020100), .k1 = UINT64_C(0x0f0e0d0c0b0a0908)};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(rn_model_hash(key, rn_bytes_of(message, cases[i].len)), cases[i].expected);
    }
}

static void test_numbers_are_little_endian(void **state) {
    (void)state;
    static const uint8_t expected[12] = {4,    3,    2,    1,    0x88, 0x77,
                                         0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    uint8_t bytes[12];
    uint8_t *out = rn_model_write32(bytes, 0x01020304);
    out = rn_model_write64(out, UINT64_C(0x1122334455667788));
    assert_ptr_equal(out, bytes + sizeof bytes);
    assert_memory_equal(bytes, expected, sizeof expected);

    const uint8_t *cursor = bytes;
    assert_int_equal(rn_model_read32(&cursor), 0x01020304);
    assert_int_equal(rn_model_read64(&cursor), UINT64_C(0x1122334455667788));
    assert_ptr_equal(cursor, bytes + sizeof bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_values),
        cmocka_unit_test(test_numbers_are_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
