/* metrics: see the header. The table is allocated whole when it is made, so that pointers to values
 * hold. Metrics of one name are chained, because the text format wants them together. */
#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rpcnet/error.h"

typedef struct slot {
    rn_metric metric;
    char label_value[RN_METRIC_LABEL_VALUE_MAX + 1];
    size_t next;   /* slot of the same name plus one; 0: the last */
    bool is_first; /* of its name */
} slot;

struct rn_histogram {
    uint64_t sum;
    size_t count;                                /* of bounds */
    uint64_t bounds[RN_METRIC_BUCKETS_MAX];      /* inclusive */
    uint64_t buckets[RN_METRIC_BUCKETS_MAX + 1]; /* each its own; the last: above all bounds */
};

struct rn_metrics {
    size_t limit;
    size_t len;
    slot slots[];
};

int rn_metrics_new(rn_metrics **out, size_t limit) {
    *out = NULL;
    if (limit > (SIZE_MAX - sizeof **out) / sizeof(slot)) {
        return RPCNET_ERR_MEMORY;
    }
    rn_metrics *metrics = calloc(1, sizeof *metrics + limit * sizeof(slot));
    if (metrics == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    metrics->limit = limit;
    *out = metrics;
    return RPCNET_OK;
}

void rn_metrics_del(rn_metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->len; i++) {
        free(metrics->slots[i].metric.histogram);
    }
    free(metrics);
}

static bool is_name(const char *name, bool colons) {
    if (name == NULL || *name == '\0' || (*name >= '0' && *name <= '9')) {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
        if (!letter && !(*c >= '0' && *c <= '9') && !(colons && *c == ':')) {
            return false;
        }
    }
    return true;
}

static bool is_valid(const rn_metric_spec *spec) {
    if (!is_name(spec->name, true) || spec->help == NULL ||
        !rn_text_is_utf8(rn_bytes_text(spec->help)) || spec->decimals > RN_METRIC_DECIMALS_MAX) {
        return false;
    }
    if (spec->label == NULL) {
        return spec->label_value == NULL;
    }
    /* Names that begin with two underscores are Prometheus' own. */
    return is_name(spec->label, false) && strncmp(spec->label, "__", 2) != 0 &&
           spec->label_value != NULL && strlen(spec->label_value) <= RN_METRIC_LABEL_VALUE_MAX &&
           rn_text_is_utf8(rn_bytes_text(spec->label_value));
}

static bool agree(const rn_metric_spec *a, const rn_metric_spec *b) {
    return a->kind == b->kind && a->decimals == b->decimals && strcmp(a->help, b->help) == 0 &&
           (a->label == NULL) == (b->label == NULL) &&
           (a->label == NULL || strcmp(a->label, b->label) == 0);
}

static bool same_bounds(const rn_histogram *a, const rn_histogram *b) {
    return a == NULL || (a->count == b->count &&
                         memcmp(a->bounds, b->bounds, a->count * sizeof *a->bounds) == 0);
}

/* `histogram`: of a metric of that kind; it is taken only with RPCNET_OK. */
static int add(rn_metrics *metrics, const rn_metric_spec *spec, rn_histogram *histogram,
               slot **out) {
    slot *last = NULL; /* of the same name */
    if (!is_valid(spec)) {
        return RPCNET_ERR_ARGUMENT;
    }
    for (size_t i = 0; i < metrics->len; i++) {
        slot *other = &metrics->slots[i];
        if (strcmp(other->metric.spec.name, spec->name) != 0) {
            continue;
        }
        if (!agree(&other->metric.spec, spec) || !same_bounds(other->metric.histogram, histogram)) {
            return RPCNET_ERR_ARGUMENT;
        }
        if (spec->label == NULL || strcmp(other->label_value, spec->label_value) == 0) {
            return RPCNET_ERR_EXISTS;
        }
        last = other;
    }
    if (metrics->len == metrics->limit) {
        return RPCNET_ERR_LIMIT;
    }
    slot *added = &metrics->slots[metrics->len++];
    added->metric.spec = *spec;
    added->metric.histogram = histogram;
    added->is_first = last == NULL;
    if (spec->label != NULL) {
        memcpy(added->label_value, spec->label_value, strlen(spec->label_value) + 1);
        added->metric.spec.label_value = added->label_value;
    }
    if (last != NULL) {
        last->next = metrics->len;
    }
    *out = added;
    return RPCNET_OK;
}

int rn_metrics_add(rn_metrics *metrics, const rn_metric_spec *spec, uint64_t **value) {
    slot *added;
    if (spec->kind == RN_METRIC_HISTOGRAM) {
        return RPCNET_ERR_ARGUMENT;
    }
    int result = add(metrics, spec, NULL, &added);
    if (result == RPCNET_OK) {
        *value = &added->metric.value;
    }
    return result;
}

static bool are_rising(const uint64_t *bounds, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (bounds[i] <= bounds[i - 1]) {
            return false;
        }
    }
    return true;
}

int rn_metrics_add_histogram(rn_metrics *metrics, const rn_metric_spec *spec,
                             const uint64_t *bounds, size_t count, rn_histogram **out) {
    slot *added;
    if (spec->kind != RN_METRIC_HISTOGRAM || count == 0 || count > RN_METRIC_BUCKETS_MAX ||
        !are_rising(bounds, count) || (spec->label != NULL && strcmp(spec->label, "le") == 0)) {
        return RPCNET_ERR_ARGUMENT;
    }
    rn_histogram *histogram = calloc(1, sizeof *histogram);
    if (histogram == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    histogram->count = count;
    memcpy(histogram->bounds, bounds, count * sizeof *bounds);
    int result = add(metrics, spec, histogram, &added);
    if (result != RPCNET_OK) {
        free(histogram);
        return result;
    }
    *out = histogram;
    return RPCNET_OK;
}

void rn_histogram_observe(rn_histogram *histogram, uint64_t value) {
    size_t i = 0;
    while (i < histogram->count && value > histogram->bounds[i]) {
        i++;
    }
    histogram->buckets[i]++;
    histogram->sum = value > UINT64_MAX - histogram->sum ? UINT64_MAX : histogram->sum + value;
}

uint64_t rn_histogram_count(const rn_histogram *histogram) {
    uint64_t count = 0;
    for (size_t i = 0; i <= histogram->count; i++) {
        count += histogram->buckets[i];
    }
    return count;
}

size_t rn_metrics_len(const rn_metrics *metrics) {
    return metrics->len;
}

const rn_metric *rn_metrics_next(const rn_metrics *metrics, size_t *cursor) {
    return *cursor < metrics->len ? &metrics->slots[(*cursor)++].metric : NULL;
}

static int put(rn_buffer *out, const char *text) {
    return rn_buffer_append(out, text, strlen(text));
}

/* Backslash and newline are escaped everywhere, the quote in label values only. */
static int put_escaped(rn_buffer *out, const char *text, bool quoted) {
    int result = RPCNET_OK;
    for (; *text != '\0' && result == RPCNET_OK; text++) {
        if (*text == '\n') {
            result = put(out, "\\n");
        } else if (*text == '\\') {
            result = put(out, "\\\\");
        } else if (*text == '"' && quoted) {
            result = put(out, "\\\"");
        } else {
            result = rn_buffer_append(out, text, 1);
        }
    }
    return result;
}

static int put_head(rn_buffer *out, const rn_metric_spec *spec) {
    static const char *const kinds[] = {[RN_METRIC_COUNTER] = " counter\n",
                                        [RN_METRIC_GAUGE] = " gauge\n",
                                        [RN_METRIC_HISTOGRAM] = " histogram\n"};
    int result = put(out, "# HELP ");
    result = result == RPCNET_OK ? put(out, spec->name) : result;
    result = result == RPCNET_OK ? put(out, " ") : result;
    result = result == RPCNET_OK ? put_escaped(out, spec->help, false) : result;
    result = result == RPCNET_OK ? put(out, "\n# TYPE ") : result;
    result = result == RPCNET_OK ? put(out, spec->name) : result;
    return result == RPCNET_OK ? put(out, kinds[spec->kind]) : result;
}

enum { NUMBER_MAX = 48 };

/* "1.5" of 1500 with three decimals. */
static void format_number(char out[NUMBER_MAX], uint64_t value, unsigned decimals) {
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++) {
        unit *= 10;
    }
    int len = snprintf(out, NUMBER_MAX, "%" PRIu64, value / unit);
    if (value % unit == 0) {
        return;
    }
    len +=
        snprintf(out + len, NUMBER_MAX - (size_t)len, ".%0*" PRIu64, (int)decimals, value % unit);
    while (out[len - 1] == '0') {
        out[--len] = '\0';
    }
}

/* One line; `le` is NULL but for a bucket. */
static int put_sample(rn_buffer *out, const rn_metric_spec *spec, const char *suffix,
                      const char *le, const char *number) {
    int result = put(out, spec->name);
    result = result == RPCNET_OK ? put(out, suffix) : result;
    if (spec->label != NULL) {
        result = result == RPCNET_OK ? put(out, "{") : result;
        result = result == RPCNET_OK ? put(out, spec->label) : result;
        result = result == RPCNET_OK ? put(out, "=\"") : result;
        result = result == RPCNET_OK ? put_escaped(out, spec->label_value, true) : result;
        result = result == RPCNET_OK ? put(out, le != NULL ? "\"," : "\"}") : result;
    } else if (le != NULL) {
        result = result == RPCNET_OK ? put(out, "{") : result;
    }
    if (le != NULL) {
        result = result == RPCNET_OK ? put(out, "le=\"") : result;
        result = result == RPCNET_OK ? put(out, le) : result;
        result = result == RPCNET_OK ? put(out, "\"}") : result;
    }
    result = result == RPCNET_OK ? put(out, " ") : result;
    result = result == RPCNET_OK ? put(out, number) : result;
    return result == RPCNET_OK ? put(out, "\n") : result;
}

/* Buckets are cumulative in the text: each counts what is at most its bound. */
static int put_histogram(rn_buffer *out, const rn_metric *metric) {
    const rn_histogram *histogram = metric->histogram;
    char number[NUMBER_MAX];
    char bound[NUMBER_MAX];
    uint64_t count = 0;
    int result = RPCNET_OK;
    for (size_t i = 0; i <= histogram->count && result == RPCNET_OK; i++) {
        count += histogram->buckets[i];
        format_number(number, count, 0);
        if (i < histogram->count) {
            format_number(bound, histogram->bounds[i], metric->spec.decimals);
        }
        result = put_sample(out, &metric->spec, "_bucket", i < histogram->count ? bound : "+Inf",
                            number);
    }
    if (result == RPCNET_OK) {
        char sum[NUMBER_MAX];
        format_number(sum, histogram->sum, metric->spec.decimals);
        result = put_sample(out, &metric->spec, "_sum", NULL, sum);
    }
    return result == RPCNET_OK ? put_sample(out, &metric->spec, "_count", NULL, number) : result;
}

static int put_metric(rn_buffer *out, const rn_metric *metric) {
    char number[NUMBER_MAX];
    if (metric->histogram != NULL) {
        return put_histogram(out, metric);
    }
    format_number(number, metric->value, metric->spec.decimals);
    return put_sample(out, &metric->spec, "", NULL, number);
}

int rn_metrics_render(const rn_metrics *metrics, rn_buffer *out) {
    size_t len_before = out->len;
    int result = RPCNET_OK;
    for (size_t i = 0; i < metrics->len && result == RPCNET_OK; i++) {
        if (!metrics->slots[i].is_first) {
            continue;
        }
        result = put_head(out, &metrics->slots[i].metric.spec);
        for (size_t at = i + 1; at != 0 && result == RPCNET_OK; at = metrics->slots[at - 1].next) {
            result = put_metric(out, &metrics->slots[at - 1].metric);
        }
    }
    if (result != RPCNET_OK) {
        out->len = len_before;
    }
    return result;
}
