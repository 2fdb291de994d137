/* Tests of base/metrics: the text, its escaping, what is refused. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_limit_and_stable_pointers),
        cmocka_unit_test(test_label_value_is_copied_and_bounded),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
