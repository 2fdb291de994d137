/* metrics: named counters and gauges, and their Prometheus text.
 *
 * A registry belongs to one thread and to the program that made it. Counting is an increment
 * through a pointer that stays valid as long as the registry:
 *
 *   uint64_t *swaps;
 *   rn_metrics_add(metrics, &(rn_metric_spec){.kind = RN_METRIC_COUNTER,
 *                  .name = "rpcnet_director_swaps_total", .help = "Streams moved to another
 * worker.", .label = "reason", .label_value = "killed"}, &swaps);
 *   ++*swaps;
 */
#ifndef RN_BASE_METRICS_H
#define RN_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum { RN_METRIC_LABEL_VALUE_MAX = 64 }; /* bytes */

enum rn_metric_kind { RN_METRIC_COUNTER, RN_METRIC_GAUGE };

typedef struct rn_metric_spec {
    enum rn_metric_kind kind;
    const char *name;        /* [a-zA-Z_:][a-zA-Z0-9_:]*; borrowed for the registry's life */
    const char *help;        /* borrowed for the registry's life */
    const char *label;       /* [a-zA-Z_][a-zA-Z0-9_]*; borrowed likewise; NULL: no label */
    const char *label_value; /* UTF-8 of at most RN_METRIC_LABEL_VALUE_MAX bytes; copied */
} rn_metric_spec;

typedef struct rn_metric {
    rn_metric_spec spec; /* label_value points into the registry */
    uint64_t value;
} rn_metric;

typedef struct rn_metrics rn_metrics;

/* `limit`: how many metrics, a name with each label value counting as one. RPCNET_ERR_MEMORY. */
int rn_metrics_new(rn_metrics **out, size_t limit);
void rn_metrics_del(rn_metrics *metrics);

/* Registers a metric with the value 0. Metrics of one name agree in kind, help and label and differ
 * in the label's value. RPCNET_ERR_ARGUMENT (names, label value, or no agreement),
 * RPCNET_ERR_EXISTS, RPCNET_ERR_LIMIT. */
int rn_metrics_add(rn_metrics *metrics, const rn_metric_spec *spec, uint64_t **value);

size_t rn_metrics_len(const rn_metrics *metrics);
/* Visits all metrics in the order of their registration. Start with *cursor = 0; NULL: no more. */
const rn_metric *rn_metrics_next(const rn_metrics *metrics, size_t *cursor);

/* Appends all of them in Prometheus' text format (version 0.0.4), the metrics of one name together.
 * RPCNET_ERR_LIMIT or RPCNET_ERR_MEMORY of the buffer, which has its old length then. */
int rn_metrics_render(const rn_metrics *metrics, rn_buffer *out);

#endif
