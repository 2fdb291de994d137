/* Unit tests of src/swap/wire: what is read, what is refused, and that sizes are exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rpcnet/error.h"
#include "swap/wire.h"

#define BYTES(...)                                                                                 \
    rn_bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static int next_of(rn_bytes bytes, rn_wire_field *field, size_t *left) {
    int rv = rn_wire_next(&bytes, field);
    *left = bytes.len;
    return rv;
}

static void reads_each_type(void **state) {
    (void)state;
    rn_wire_field field;
    size_t left;
    assert_int_equal(next_of(BYTES(0x08, 0x96, 0x01, 0xff), &field, &left), RPCNET_OK);
    assert_int_equal(field.number, 1);
    assert_int_equal(field.type, RN_WIRE_VARINT);
    assert_int_equal(field.value, 150);
    assert_int_equal(left, 1);
    assert_int_equal(next_of(BYTES(0x12, 0x02, 'h', 'i'), &field, &left), RPCNET_OK);
    assert_int_equal(field.number, 2);
    assert_true(rn_bytes_is(field.bytes, "hi"));
    assert_int_equal(next_of(BYTES(0x19, 1, 2, 3, 4, 5, 6, 7, 8), &field, &left), RPCNET_OK);
    assert_int_equal(field.type, RN_WIRE_FIXED64);
    assert_int_equal(next_of(BYTES(0x25, 1, 2, 3, 4), &field, &left), RPCNET_OK);
    assert_int_equal(field.type, RN_WIRE_FIXED32);
    assert_int_equal(left, 0);
    assert_int_equal(next_of(BYTES(0x12, 0x00), &field, &left), RPCNET_OK);
    assert_int_equal(field.bytes.len, 0);
}

static void refuses_what_is_malformed(void **state) {
    (void)state;
    const rn_bytes bad[] = {
        BYTES(0x80),                                     /* a tag cut short */
        BYTES(0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01), /* a tag of 6 bytes */
        BYTES(0x00, 0x01),                               /* field number 0 */
        BYTES(0x02, 0x00),                               /* the same, length-delimited */
        BYTES(0x0b),                                     /* a group begins */
        BYTES(0x0c),                                     /* a group ends */
        BYTES(0x0e, 0x00),                               /* wire type 6 */
        BYTES(0x0f, 0x00),                               /* wire type 7 */
        BYTES(0x08),                                     /* a varint is missing */
        BYTES(0x08, 0xff, 0xff, 0xff),                   /* a varint cut short */
        BYTES(0x12),                                     /* a length is missing */
        BYTES(0x12, 0x03, 'h', 'i'),                     /* a run cut short */
        BYTES(0x12, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00), /* a length of 6 bytes */
        BYTES(0x12, 0xff, 0xff, 0xff, 0xff, 0x0f),       /* 2^32 - 1 */
        BYTES(0x12, 0x80, 0x80, 0x80, 0x80, 0x10),       /* 2^32: no 0 */
        BYTES(0x19, 1, 2, 3, 4, 5, 6, 7),
        BYTES(0x25, 1, 2, 3),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rn_wire_field field;
        size_t left;
        print_message("case %zu\n", i);
        assert_int_equal(next_of(bad[i], &field, &left), RPCNET_ERR_PARSE);
    }
}

static void varints_take_ten_bytes_at_the_most(void **state) {
    (void)state;
    rn_wire_field field;
    size_t left;
    uint8_t bytes[12] = {0x08};
    for (size_t len = 1; len <= 11; len++) {
        memset(bytes + 1, 0x80, sizeof bytes - 1);
        bytes[len] = 0x01;
        int rv = next_of(rn_bytes_of(bytes, len + 1), &field, &left);
        assert_int_equal(rv, len <= 10 ? RPCNET_OK : RPCNET_ERR_PARSE);
        if (len <= 10) {
            assert_true(field.value == UINT64_C(1) << (7 * (len - 1)));
        }
    }
    /* Padding is fine; bits beyond 64 are dropped. */
    assert_int_equal(next_of(BYTES(0x08, 0x85, 0x80, 0x00), &field, &left), RPCNET_OK);
    assert_int_equal(field.value, 5);
    assert_int_equal(
        next_of(BYTES(0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7e), &field,
                &left),
        RPCNET_OK);
    assert_int_equal(field.value, 1);
}

static void writes_exact_sizes(void **state) {
    (void)state;
    const uint64_t values[] = {0,
                               1,
                               0x7f,
                               0x80,
                               0x3fff,
                               0x4000,
                               UINT32_MAX,
                               (UINT64_C(1) << 63) - 1,
                               UINT64_C(1) << 63,
                               UINT64_MAX};
    const uint32_t numbers[] = {1, 15, 16, 2047, 2048, (1u << 29) - 1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t out[32];
        size_t size = (size_t)(rn_wire_put_varint(out, values[i]) - out);
        assert_int_equal(size, rn_wire_varint_size(values[i]));
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            rn_wire_field field;
            size_t left;
            size = (size_t)(rn_wire_put_number(out, numbers[k], values[i]) - out);
            assert_int_equal(size, rn_wire_number_size(numbers[k], values[i]));
            if (values[i] == 0) {
                assert_int_equal(size, 0);
                continue;
            }
            assert_int_equal(next_of(rn_bytes_of(out, size), &field, &left), RPCNET_OK);
            assert_int_equal(left, 0);
            assert_int_equal(field.number, numbers[k]);
            assert_true(field.value == values[i]);
        }
    }
}

static void repeated_fields_walk_and_copy(void **state) {
    (void)state;
    /* Field 8 three times with another field in between: not dense. */
    const uint8_t mixed[] = {0x42, 1, 'a', 0x08, 7, 0x42, 0, 0x42, 2, 'b', 'c'};
    rn_repeated list = {.run = rn_bytes_of(mixed, sizeof mixed), .number = 8, .count = 3};
    rn_repeated walk = list;
    rn_bytes value;
    assert_true(rn_repeated_next(&walk, &value) && rn_bytes_is(value, "a"));
    assert_true(rn_repeated_next(&walk, &value) && value.len == 0);
    assert_true(rn_repeated_next(&walk, &value) && rn_bytes_is(value, "bc"));
    assert_false(rn_repeated_next(&walk, &value));

    uint8_t out[32];
    const uint8_t same[] = {0x42, 1, 'a', 0x42, 0, 0x42, 2, 'b', 'c'};
    size_t size = (size_t)(rn_wire_put_repeated(out, 8, &list) - out);
    assert_int_equal(size, rn_wire_repeated_size(8, &list));
    assert_int_equal(size, sizeof same);
    assert_memory_equal(out, same, size);

    /* Dense: copied as it stands under its own number, rewritten under another one. */
    rn_repeated dense = {
        .run = rn_bytes_of(same, sizeof same), .number = 8, .count = 3, .dense = true};
    size = (size_t)(rn_wire_put_repeated(out, 8, &dense) - out);
    assert_int_equal(size, rn_wire_repeated_size(8, &dense));
    assert_memory_equal(out, same, size);
    size = (size_t)(rn_wire_put_repeated(out, 13, &dense) - out);
    assert_int_equal(size, rn_wire_repeated_size(13, &dense));
    assert_int_equal(out[0], 13 << 3 | 2);

    rn_repeated none = {0};
    assert_int_equal(rn_wire_repeated_size(8, &none), 0);
    assert_ptr_equal(rn_wire_put_repeated(out, 8, &none), out);
    assert_false(rn_repeated_next(&none, &value));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_type),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(varints_take_ten_bytes_at_the_most),
        cmocka_unit_test(writes_exact_sizes),
        cmocka_unit_test(repeated_fields_walk_and_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
