/* metrics: named counters, gauges and histograms, and their Prometheus text.
 *
 * A registry belongs to one thread and to the program that made it. Counting is an increment
 * through a pointer that stays valid as long as the registry:
 *
 *   uint64_t *swaps;
 *   rn_metrics_add(metrics, &(rn_metric_spec){.kind = RN_METRIC_COUNTER,
 *                  .name = "rpcnet_director_swaps_total", .help = "Streams moved to another
 * worker.", .label = "reason", .label_value = "killed"}, &swaps);
 *   ++*swaps;
 *
 * Values are whole numbers; `decimals` says how many of their digits stand behind the point in the
 * text, so that nanoseconds are shown in Prometheus' unit, seconds.
 */
#ifndef RN_BASE_METRICS_H
#define RN_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    RN_METRIC_LABEL_VALUE_MAX = 64, /* bytes */
    RN_METRIC_BUCKETS_MAX = 32, /* of a histogram, without the one of what is above all bounds */
    RN_METRIC_DECIMALS_MAX = 18,
    RN_METRIC_NANOSECONDS = 9 /* decimals of nanoseconds that are shown in seconds */
};

enum rn_metric_kind { RN_METRIC_COUNTER, RN_METRIC_GAUGE, RN_METRIC_HISTOGRAM };

typedef struct rn_metric_spec {
    enum rn_metric_kind kind;
    const char *name;        /* [a-zA-Z_:][a-zA-Z0-9_:]*; borrowed for the registry's life */
    const char *help;        /* borrowed for the registry's life */
    const char *label;       /* [a-zA-Z_][a-zA-Z0-9_]*; borrowed likewise; NULL: no label */
    const char *label_value; /* UTF-8 of at most RN_METRIC_LABEL_VALUE_MAX bytes; copied */
    unsigned decimals;       /* at most RN_METRIC_DECIMALS_MAX */
} rn_metric_spec;

typedef struct rn_histogram rn_histogram;

typedef struct rn_metric {
    rn_metric_spec spec; /* label_value points into the registry */
    uint64_t value;
    rn_histogram *histogram; /* NULL: of another kind */
} rn_metric;

typedef struct rn_metrics rn_metrics;

/* `limit`: how many metrics, a name with each label value counting as one. RPCNET_ERR_MEMORY. */
int rn_metrics_new(rn_metrics **out, size_t limit);
void rn_metrics_del(rn_metrics *metrics);

/* Registers a counter or gauge with the value 0. Metrics of one name agree in kind, help, label and
 * decimals and differ in the label's value. RPCNET_ERR_ARGUMENT (kind, names, label value,
 * decimals, or no agreement), RPCNET_ERR_EXISTS, RPCNET_ERR_LIMIT. */
int rn_metrics_add(rn_metrics *metrics, const rn_metric_spec *spec, uint64_t **value);

/* Registers a histogram (spec->kind says so, too), which belongs to the registry. `bounds` are the
 * highest values of its buckets, rising, 1 to RN_METRIC_BUCKETS_MAX of them, copied; what is above
 * all of them is counted, too. Histograms of one name agree in bounds as well; none has the label
 * "le". Errors as above, and RPCNET_ERR_MEMORY. */
int rn_metrics_add_histogram(rn_metrics *metrics, const rn_metric_spec *spec,
                             const uint64_t *bounds, size_t count, rn_histogram **out);

/* Counts a value. Takes no memory. The sum of all values stays at UINT64_MAX when it gets there. */
void rn_histogram_observe(rn_histogram *histogram, uint64_t value);
uint64_t rn_histogram_count(const rn_histogram *histogram);

size_t rn_metrics_len(const rn_metrics *metrics);
/* Visits all metrics in the order of their registration. Start with *cursor = 0; NULL: no more. */
const rn_metric *rn_metrics_next(const rn_metrics *metrics, size_t *cursor);

/* Appends all of them in Prometheus' text format (version 0.0.4), the metrics of one name together.
 * RPCNET_ERR_LIMIT or RPCNET_ERR_MEMORY of the buffer, which has its old length then. */
int rn_metrics_render(const rn_metrics *metrics, rn_buffer *out);

#endif
