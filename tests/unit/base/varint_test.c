/* Tests of base/varint, with the examples of RFC 9000. */
#include <string.h>

#include "base/varint.h"
#include "naive.h"
#include "rpcnet/error.h"

typedef struct sample {
    uint64_t value;
    size_t len;
    uint8_t bytes[8];
} sample;

/* The first four are the examples of RFC 9000, appendix A.1. */
static const sample samples[] = {
    {UINT64_C(151288809941952652), 8, {0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}},
    {494878333, 4, {0x9d, 0x7f, 0x3e, 0x7d}},
    {15293, 2, {0x7b, 0xbd}},
    {37, 1, {0x25}},
    {0, 1, {0x00}},
    {63, 1, {0x3f}},
    {64, 2, {0x40, 0x40}},
    {16383, 2, {0x7f, 0xff}},
    {16384, 4, {0x80, 0x00, 0x40, 0x00}},
    {(1u << 30) - 1, 4, {0xbf, 0xff, 0xff, 0xff}},
    {1u << 30, 8, {0xc0, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00}},
    {RN_VARINT_MAX, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
};

static void test_samples_both_ways(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const sample *s = &samples[i];
        uint8_t out[9];
        memset(out, 0xaa, sizeof out);
        assert_int_equal(rn_varint_len(s->value), s->len);
        assert_ptr_equal(rn_varint_write(out, s->value), out + s->len);
        assert_memory_equal(out, s->bytes, s->len);
        assert_int_equal(out[s->len], 0xaa);
        for (size_t cut = 0; cut <= s->len; cut++) {
            const uint8_t *cursor = out;
            uint64_t value = 7;
            int result = rn_varint_read(&cursor, out + cut, &value);
            assert_int_equal(result, cut == s->len ? RPCNET_OK : RPCNET_ERR_PARSE);
            assert_ptr_equal(cursor, cut == s->len ? out + cut : out);
            assert_true(value == (cut == s->len ? s->value : 7));
        }
    }
}

static void test_longer_than_needed_is_accepted(void **state) {
    (void)state;
    const uint8_t bytes[] = {0x40, 0x25, 0xff};
    const uint8_t *cursor = bytes;
    uint64_t value;
    assert_int_equal(rn_varint_read(&cursor, bytes + 3, &value), RPCNET_OK);
    assert_int_equal(value, 37);
    assert_ptr_equal(cursor, bytes + 2);
}

static void test_random_values_come_back(void **state) {
    (void)state;
    naive_random random = naive_seed(1);
    for (size_t step = 0; step < 10000; step++) {
        uint64_t value = naive_next(&random) >> (2 + naive_below(&random, 62));
        uint8_t out[8];
        const uint8_t *cursor = out;
        uint64_t read;
        const uint8_t *end = rn_varint_write(out, value);
        NAIVE_CHECK(&random, step, rn_varint_read(&cursor, end, &read) == RPCNET_OK);
        NAIVE_CHECK(&random, step, read == value && cursor == end);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_both_ways),
        cmocka_unit_test(test_longer_than_needed_is_accepted),
        cmocka_unit_test(test_random_values_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
