/* Tests of base/metrics: the text, its escaping, histograms, what is refused. */
#include <string.h>

#include "base/metrics.h"
#include "naive.h"
#include "rpcnet/error.h"

static rn_metrics *metrics_new(size_t limit) {
    rn_metrics *metrics;
    assert_int_equal(rn_metrics_new(&metrics, limit), RPCNET_OK);
    return metrics;
}

static rn_metric_spec swaps(const char *reason) {
    return (rn_metric_spec){.kind = RN_METRIC_COUNTER,
                            .name = "swaps_total",
                            .help = "Streams moved.",
                            .label = "reason",
                            .label_value = reason};
}

static rn_metric_spec plain(const char *name) {
    return (rn_metric_spec){.kind = RN_METRIC_GAUGE, .name = name, .help = "A gauge."};
}

static int add(rn_metrics *metrics, rn_metric_spec spec, uint64_t **value) {
    uint64_t *ignored;
    return rn_metrics_add(metrics, &spec, value != NULL ? value : &ignored);
}

static void test_text(void **state) {
    (void)state;
    rn_metrics *metrics = metrics_new(10);
    uint64_t *killed;
    uint64_t *streams;
    uint64_t *odd;
    assert_int_equal(add(metrics, swaps("killed"), &killed), RPCNET_OK);
    assert_int_equal(add(metrics, plain("streams"), &streams), RPCNET_OK);
    assert_int_equal(add(metrics, swaps("a\"b\\c\nd\xc3\xbc"), &odd), RPCNET_OK);
    rn_metric_spec help = plain("x:y_1");
    help.help = "Back\\slash, \"quote\"\nand line.";
    assert_int_equal(add(metrics, help, NULL), RPCNET_OK);
    ++*killed;
    ++*killed;
    *streams = UINT64_MAX;
    *odd += 7;
    rn_buffer out;
    rn_buffer_init(&out, 4096);
    assert_int_equal(rn_buffer_append(&out, "> ", 2), RPCNET_OK);
    assert_int_equal(rn_metrics_render(metrics, &out), RPCNET_OK);
    static const char expected[] = "> # HELP swaps_total Streams moved.\n"
                                   "# TYPE swaps_total counter\n"
                                   "swaps_total{reason=\"killed\"} 2\n"
                                   "swaps_total{reason=\"a\\\"b\\\\c\\nd\xc3\xbc\"} 7\n"
                                   "# HELP streams A gauge.\n"
                                   "# TYPE streams gauge\n"
                                   "streams 18446744073709551615\n"
                                   "# HELP x:y_1 Back\\\\slash, \"quote\"\\nand line.\n"
                                   "# TYPE x:y_1 gauge\n"
                                   "x:y_1 0\n";
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    size_t len = out.len;
    rn_buffer_fini(&out);

    for (size_t limit = len - 1; limit <= len + 1; limit++) {
        rn_buffer_init(&out, limit);
        assert_int_equal(rn_buffer_append(&out, "> ", 2), RPCNET_OK);
        assert_int_equal(rn_metrics_render(metrics, &out),
                         limit >= len ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(out.len, limit >= len ? len : 2);
        rn_buffer_fini(&out);
    }
    rn_metrics_del(metrics);
}

static void test_limit_and_stable_pointers(void **state) {
    (void)state;
    static const char *const values[] = {"0", "1", "2", "3"};
    uint64_t *counters[4] = {NULL};
    rn_metrics *metrics = metrics_new(3);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(add(metrics, swaps(values[i]), &counters[i]),
                         i < 3 ? RPCNET_OK : RPCNET_ERR_LIMIT);
    }
    for (size_t i = 0; i < 3; i++) {
        *counters[i] = i + 10;
    }
    assert_int_equal(rn_metrics_len(metrics), 3);
    size_t cursor = 0;
    for (size_t i = 0; i < 3; i++) {
        const rn_metric *metric = rn_metrics_next(metrics, &cursor);
        assert_non_null(metric);
        assert_string_equal(metric->spec.label_value, values[i]);
        assert_true(metric->value == i + 10);
    }
    assert_null(rn_metrics_next(metrics, &cursor));
    rn_metrics_del(metrics);
    rn_metrics_del(NULL);
    assert_int_equal(rn_metrics_new(&metrics, SIZE_MAX), RPCNET_ERR_MEMORY);
    assert_null(metrics);
    metrics = metrics_new(0);
    assert_int_equal(add(metrics, plain("a"), NULL), RPCNET_ERR_LIMIT);
    rn_metrics_del(metrics);
}

static void test_label_value_is_copied_and_bounded(void **state) {
    (void)state;
    rn_metrics *metrics = metrics_new(10);
    char value[RN_METRIC_LABEL_VALUE_MAX + 2];
    for (size_t len = RN_METRIC_LABEL_VALUE_MAX - 1; len <= RN_METRIC_LABEL_VALUE_MAX + 1; len++) {
        memset(value, 'v', len);
        value[len] = '\0';
        assert_int_equal(add(metrics, swaps(value), NULL),
                         len <= RN_METRIC_LABEL_VALUE_MAX ? RPCNET_OK : RPCNET_ERR_ARGUMENT);
    }
    memset(value, 'x', sizeof value);
    size_t cursor = 0;
    const rn_metric *metric = rn_metrics_next(metrics, &cursor);
    assert_int_equal(metric->spec.label_value[0], 'v');
    rn_metrics_del(metrics);
}

static void test_what_is_refused(void **state) {
    (void)state;
    rn_metrics *metrics = metrics_new(10);
    static const char *const names[] = {"", "1a", "a-b", "a b", "gr\xc3\xbc", NULL};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(add(metrics, plain(names[i]), NULL), RPCNET_ERR_ARGUMENT);
    }
    static const char *const labels[] = {"", "1a", "a:b", "a-b", "__name"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        rn_metric_spec spec = swaps("v");
        spec.label = labels[i];
        assert_int_equal(add(metrics, spec, NULL), RPCNET_ERR_ARGUMENT);
    }
    assert_int_equal(add(metrics, swaps(NULL), NULL), RPCNET_ERR_ARGUMENT);
    assert_int_equal(add(metrics, swaps("\xff"), NULL), RPCNET_ERR_ARGUMENT);
    rn_metric_spec spec = plain("a");
    spec.label_value = "without a label";
    assert_int_equal(add(metrics, spec, NULL), RPCNET_ERR_ARGUMENT);
    spec = plain("a");
    spec.help = NULL;
    assert_int_equal(add(metrics, spec, NULL), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_metrics_len(metrics), 0);

    assert_int_equal(add(metrics, plain("a"), NULL), RPCNET_OK);
    assert_int_equal(add(metrics, plain("a"), NULL), RPCNET_ERR_EXISTS);
    assert_int_equal(add(metrics, swaps("v"), NULL), RPCNET_OK);
    assert_int_equal(add(metrics, swaps("v"), NULL), RPCNET_ERR_EXISTS);
    spec = swaps("w");
    spec.kind = RN_METRIC_GAUGE;
    assert_int_equal(add(metrics, spec, NULL), RPCNET_ERR_ARGUMENT);
    spec = swaps("w");
    spec.help = "Another text.";
    assert_int_equal(add(metrics, spec, NULL), RPCNET_ERR_ARGUMENT);
    spec = swaps("w");
    spec.label = "cause";
    assert_int_equal(add(metrics, spec, NULL), RPCNET_ERR_ARGUMENT);
    spec.label = spec.label_value = NULL;
    assert_int_equal(add(metrics, spec, NULL), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_metrics_len(metrics), 2);
    rn_metrics_del(metrics);
}

static rn_metric_spec gaps(const char *reason) {
    return (rn_metric_spec){.kind = RN_METRIC_HISTOGRAM,
                            .name = "gap_seconds",
                            .help = "Gaps.",
                            .label = reason != NULL ? "reason" : NULL,
                            .label_value = reason,
                            .decimals = RN_METRIC_NANOSECONDS};
}

static int add_histogram(rn_metrics *metrics, rn_metric_spec spec, const uint64_t *bounds,
                         size_t count, rn_histogram **out) {
    rn_histogram *ignored;
    return rn_metrics_add_histogram(metrics, &spec, bounds, count, out != NULL ? out : &ignored);
}

static void text_is(const rn_metrics *metrics, const char *expected) {
    rn_buffer out;
    rn_buffer_init(&out, 4096);
    assert_int_equal(rn_metrics_render(metrics, &out), RPCNET_OK);
    assert_int_equal(rn_buffer_append(&out, "", 1), RPCNET_OK);
    assert_string_equal((const char *)out.data, expected);
    rn_buffer_fini(&out);
}

static void test_histogram_text(void **state) {
    (void)state;
    static const uint64_t bounds[] = {1000000, 2500000, 1000000000, 30000000000};
    rn_metrics *metrics = metrics_new(3);
    rn_histogram *killed;
    rn_histogram *plain_one;
    uint64_t *between;
    assert_int_equal(add_histogram(metrics, gaps("killed"), bounds, 4, &killed), RPCNET_OK);
    assert_int_equal(add(metrics, plain("between"), &between), RPCNET_OK);
    rn_metric_spec whole = gaps(NULL);
    whole.name = "bytes";
    whole.decimals = 0;
    assert_int_equal(add_histogram(metrics, whole, bounds, 1, &plain_one), RPCNET_OK);
    static const uint64_t values[] = {0,       999999,     1000000,    1000001,
                                      2500000, 1000000000, 30000000001};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        rn_histogram_observe(killed, values[i]);
    }
    assert_true(rn_histogram_count(killed) == 7);
    rn_histogram_observe(plain_one, 3);
    text_is(metrics, "# HELP gap_seconds Gaps.\n"
                     "# TYPE gap_seconds histogram\n"
                     "gap_seconds_bucket{reason=\"killed\",le=\"0.001\"} 3\n"
                     "gap_seconds_bucket{reason=\"killed\",le=\"0.0025\"} 5\n"
                     "gap_seconds_bucket{reason=\"killed\",le=\"1\"} 6\n"
                     "gap_seconds_bucket{reason=\"killed\",le=\"30\"} 6\n"
                     "gap_seconds_bucket{reason=\"killed\",le=\"+Inf\"} 7\n"
                     "gap_seconds_sum{reason=\"killed\"} 31.005500001\n"
                     "gap_seconds_count{reason=\"killed\"} 7\n"
                     "# HELP between A gauge.\n"
                     "# TYPE between gauge\n"
                     "between 0\n"
                     "# HELP bytes Gaps.\n"
                     "# TYPE bytes histogram\n"
                     "bytes_bucket{le=\"1000000\"} 1\n"
                     "bytes_bucket{le=\"+Inf\"} 1\n"
                     "bytes_sum 3\n"
                     "bytes_count 1\n");
    rn_metrics_del(metrics);
}

static void test_histogram_sum_does_not_wrap(void **state) {
    (void)state;
    static const uint64_t bounds[] = {1};
    rn_metrics *metrics = metrics_new(1);
    rn_histogram *histogram;
    rn_metric_spec spec = gaps(NULL);
    spec.decimals = 0;
    assert_int_equal(add_histogram(metrics, spec, bounds, 1, &histogram), RPCNET_OK);
    rn_histogram_observe(histogram, UINT64_MAX - 1);
    rn_histogram_observe(histogram, 2);
    rn_histogram_observe(histogram, 5);
    text_is(metrics, "# HELP gap_seconds Gaps.\n"
                     "# TYPE gap_seconds histogram\n"
                     "gap_seconds_bucket{le=\"1\"} 0\n"
                     "gap_seconds_bucket{le=\"+Inf\"} 3\n"
                     "gap_seconds_sum 18446744073709551615\n"
                     "gap_seconds_count 3\n");
    rn_metrics_del(metrics);
}

static void test_histograms_that_are_refused(void **state) {
    (void)state;
    rn_metrics *metrics = metrics_new(3);
    uint64_t bounds[RN_METRIC_BUCKETS_MAX + 1];
    for (size_t i = 0; i < RN_METRIC_BUCKETS_MAX + 1; i++) {
        bounds[i] = 10 * (i + 1);
    }
    const size_t max = RN_METRIC_BUCKETS_MAX;
    assert_int_equal(add_histogram(metrics, gaps("a"), bounds, 0, NULL), RPCNET_ERR_ARGUMENT);
    assert_int_equal(add_histogram(metrics, gaps("a"), bounds, max + 1, NULL), RPCNET_ERR_ARGUMENT);
    assert_int_equal(add_histogram(metrics, gaps("a"), bounds, max, NULL), RPCNET_OK);
    assert_int_equal(add_histogram(metrics, gaps("a"), bounds, max, NULL), RPCNET_ERR_EXISTS);
    assert_int_equal(add_histogram(metrics, gaps("b"), bounds, max - 1, NULL), RPCNET_ERR_ARGUMENT);
    assert_int_equal(add_histogram(metrics, gaps("b"), bounds + 1, max, NULL), RPCNET_ERR_ARGUMENT);
    static const uint64_t equal[] = {1, 2, 2};
    assert_int_equal(add_histogram(metrics, gaps("c"), equal, 3, NULL), RPCNET_ERR_ARGUMENT);
    rn_metric_spec spec = gaps("v");
    spec.label = "le";
    spec.name = "other_seconds";
    assert_int_equal(add_histogram(metrics, spec, bounds, 2, NULL), RPCNET_ERR_ARGUMENT);
    /* The functions and the kind agree. */
    assert_int_equal(add_histogram(metrics, plain("a_gauge"), bounds, 2, NULL),
                     RPCNET_ERR_ARGUMENT);
    assert_int_equal(add(metrics, gaps("b"), NULL), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_metrics_len(metrics), 1);
    assert_int_equal(add_histogram(metrics, gaps("b"), bounds, max, NULL), RPCNET_OK);
    assert_int_equal(add_histogram(metrics, gaps("c"), bounds, max, NULL), RPCNET_OK);
    assert_int_equal(add_histogram(metrics, gaps("d"), bounds, max, NULL), RPCNET_ERR_LIMIT);
    rn_metrics_del(metrics);
}

static void test_decimals(void **state) {
    (void)state;
    rn_metrics *metrics = metrics_new(3);
    rn_metric_spec spec = plain("seconds");
    uint64_t *value;
    spec.decimals = RN_METRIC_DECIMALS_MAX + 1;
    assert_int_equal(add(metrics, spec, NULL), RPCNET_ERR_ARGUMENT);
    spec.decimals = RN_METRIC_DECIMALS_MAX;
    assert_int_equal(add(metrics, spec, &value), RPCNET_OK);
    *value = UINT64_MAX;
    text_is(metrics, "# HELP seconds A gauge.\n"
                     "# TYPE seconds gauge\n"
                     "seconds 18.446744073709551615\n");
    *value = 1;
    text_is(metrics, "# HELP seconds A gauge.\n"
                     "# TYPE seconds gauge\n"
                     "seconds 0.000000000000000001\n");
    rn_metrics_del(metrics);
    metrics = metrics_new(3);
    rn_metric_spec other = swaps("a");
    assert_int_equal(add(metrics, other, NULL), RPCNET_OK);
    other = swaps("b");
    other.decimals = 1;
    assert_int_equal(add(metrics, other, NULL), RPCNET_ERR_ARGUMENT);
    rn_metrics_del(metrics);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_limit_and_stable_pointers),
        cmocka_unit_test(test_label_value_is_copied_and_bounded),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_histogram_text),
        cmocka_unit_test(test_histogram_sum_does_not_wrap),
        cmocka_unit_test(test_histograms_that_are_refused),
        cmocka_unit_test(test_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
