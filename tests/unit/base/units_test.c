/* Tests of base/units: durations and sizes both ways. */
#include <string.h>

#include "base/units.h"
#include "naive.h"
#include "rpcnet/error.h"

typedef int parse_fn(const char *text, uint64_t *value);

typedef struct sample {
    const char *text;
    int result;
    uint64_t value;
} sample;

static const sample numbers[] = {
    {"0", RPCNET_OK, 0},
    {"007", RPCNET_OK, 7},
    {"18446744073709551614", RPCNET_OK, UINT64_MAX - 1},
    {"18446744073709551615", RPCNET_OK, UINT64_MAX},
    {"18446744073709551616", RPCNET_ERR_LIMIT, 0},
    {"99999999999999999999999999", RPCNET_ERR_LIMIT, 0},
    {"99999999999999999999999999x", RPCNET_ERR_PARSE, 0},
    {"", RPCNET_ERR_PARSE, 0},
    {"-1", RPCNET_ERR_PARSE, 0},
    {"+1", RPCNET_ERR_PARSE, 0},
    {" 1", RPCNET_ERR_PARSE, 0},
    {"1 ", RPCNET_ERR_PARSE, 0},
    {"0x10", RPCNET_ERR_PARSE, 0},
    {"1.5", RPCNET_ERR_PARSE, 0},
};

static const sample durations[] = {
    {"0", RPCNET_OK, 0},
    {"0s", RPCNET_OK, 0},
    {"7ns", RPCNET_OK, 7},
    {"3us", RPCNET_OK, 3000},
    {"250ms", RPCNET_OK, UINT64_C(250000000)},
    {"15s", RPCNET_OK, UINT64_C(15000000000)},
    {"2m", RPCNET_OK, UINT64_C(120000000000)},
    {"1h", RPCNET_OK, UINT64_C(3600000000000)},
    {"5124095h", RPCNET_OK, UINT64_C(5124095) * UINT64_C(3600000000000)},
    {"5124096h", RPCNET_ERR_LIMIT, 0},
    {"18446744073709551615ns", RPCNET_OK, UINT64_MAX},
    {"18446744073709551616ns", RPCNET_ERR_LIMIT, 0},
    {"15", RPCNET_ERR_PARSE, 0},
    {"00", RPCNET_ERR_PARSE, 0},
    {"s", RPCNET_ERR_PARSE, 0},
    {"", RPCNET_ERR_PARSE, 0},
    {"15 s", RPCNET_ERR_PARSE, 0},
    {"15S", RPCNET_ERR_PARSE, 0},
    {"15sec", RPCNET_ERR_PARSE, 0},
    {"1m30s", RPCNET_ERR_PARSE, 0},
    {"-1s", RPCNET_ERR_PARSE, 0},
    {"1.5s", RPCNET_ERR_PARSE, 0},
};

static const sample sizes[] = {
    {"0", RPCNET_OK, 0},
    {"4096", RPCNET_OK, 4096},
    {"100B", RPCNET_OK, 100},
    {"256KiB", RPCNET_OK, 262144},
    {"4MiB", RPCNET_OK, 4194304},
    {"1GiB", RPCNET_OK, 1073741824},
    {"17179869183GiB", RPCNET_OK, UINT64_C(17179869183) << 30},
    {"17179869184GiB", RPCNET_ERR_LIMIT, 0},
    {"18446744073709551616", RPCNET_ERR_LIMIT, 0},
    {"1KB", RPCNET_ERR_PARSE, 0},
    {"1k", RPCNET_ERR_PARSE, 0},
    {"1kib", RPCNET_ERR_PARSE, 0},
    {"KiB", RPCNET_ERR_PARSE, 0},
    {"", RPCNET_ERR_PARSE, 0},
    {"1 KiB", RPCNET_ERR_PARSE, 0},
};

static void check(parse_fn *parse, const sample *samples, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 77;
        int result = parse(samples[i].text, &value);
        uint64_t expected = samples[i].result == RPCNET_OK ? samples[i].value : 77;
        if (result != samples[i].result || value != expected) {
            fail_msg("'%s': %d, %llu", samples[i].text, result, (unsigned long long)value);
        }
    }
}

static void test_numbers(void **state) {
    (void)state;
    check(rn_number_parse, numbers, sizeof numbers / sizeof numbers[0]);
}

static void test_durations(void **state) {
    (void)state;
    check(rn_duration_parse, durations, sizeof durations / sizeof durations[0]);
}

static void test_sizes(void **state) {
    (void)state;
    check(rn_size_parse, sizes, sizeof sizes / sizeof sizes[0]);
}

static void test_formatting(void **state) {
    (void)state;
    char out[RN_UNITS_TEXT_MAX];
    assert_string_equal(rn_duration_format(0, out), "0");
    assert_string_equal(rn_duration_format(1, out), "1ns");
    assert_string_equal(rn_duration_format(1500000, out), "1500us");
    assert_string_equal(rn_duration_format(UINT64_C(15000000000), out), "15s");
    assert_string_equal(rn_duration_format(UINT64_C(90000000000), out), "90s");
    assert_string_equal(rn_duration_format(UINT64_C(7200000000000), out), "2h");
    assert_string_equal(rn_duration_format(UINT64_MAX, out), "18446744073709551615ns");
    assert_string_equal(rn_size_format(0, out), "0");
    assert_string_equal(rn_size_format(1000, out), "1000B");
    assert_string_equal(rn_size_format(1536, out), "1536B");
    assert_string_equal(rn_size_format(262144, out), "256KiB");
    assert_string_equal(rn_size_format(UINT64_C(1) << 40, out), "1024GiB");
}

static void test_what_is_written_can_be_read(void **state) {
    (void)state;
    naive_random random = naive_seed(9);
    for (size_t step = 0; step < 2000; step++) {
        char out[RN_UNITS_TEXT_MAX];
        uint64_t value = naive_next(&random) >> naive_below(&random, 64);
        uint64_t read = 0;
        value *= naive_below(&random, 2) == 0 ? 1 : 1000;
        NAIVE_CHECK(&random, step, rn_duration_parse(rn_duration_format(value, out), &read) == 0);
        NAIVE_CHECK(&random, step, read == value);
        NAIVE_CHECK(&random, step, rn_size_parse(rn_size_format(value, out), &read) == 0);
        NAIVE_CHECK(&random, step, read == value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_formatting),
        cmocka_unit_test(test_what_is_written_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
