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
        !rn_text_is_utf8(rn_bytes_text(spec->help))) {
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
    return a->kind == b->kind && strcmp(a->help, b->help) == 0 &&
           (a->label == NULL) == (b->label == NULL) &&
           (a->label == NULL || strcmp(a->label, b->label) == 0);
}

int rn_metrics_add(rn_metrics *metrics, const rn_metric_spec *spec, uint64_t **value) {
    if (!is_valid(spec)) {
        return RPCNET_ERR_ARGUMENT;
    }
    slot *last = NULL; /* of the same name */
    for (size_t i = 0; i < metrics->len; i++) {
        slot *other = &metrics->slots[i];
        if (strcmp(other->metric.spec.name, spec->name) != 0) {
            continue;
        }
        if (!agree(&other->metric.spec, spec)) {
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
    added->is_first = last == NULL;
    if (spec->label != NULL) {
        memcpy(added->label_value, spec->label_value, strlen(spec->label_value) + 1);
        added->metric.spec.label_value = added->label_value;
    }
    if (last != NULL) {
        last->next = metrics->len;
    }
    *value = &added->metric.value;
    return RPCNET_OK;
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
    const char *kind = spec->kind == RN_METRIC_COUNTER ? " counter\n" : " gauge\n";
    int result = put(out, "# HELP ");
    result = result == RPCNET_OK ? put(out, spec->name) : result;
    result = result == RPCNET_OK ? put(out, " ") : result;
    result = result == RPCNET_OK ? put_escaped(out, spec->help, false) : result;
    result = result == RPCNET_OK ? put(out, "\n# TYPE ") : result;
    result = result == RPCNET_OK ? put(out, spec->name) : result;
    return result == RPCNET_OK ? put(out, kind) : result;
}

static int put_sample(rn_buffer *out, const rn_metric *metric) {
    char value[24];
    int result = put(out, metric->spec.name);
    if (metric->spec.label != NULL) {
        result = result == RPCNET_OK ? put(out, "{") : result;
        result = result == RPCNET_OK ? put(out, metric->spec.label) : result;
        result = result == RPCNET_OK ? put(out, "=\"") : result;
        result = result == RPCNET_OK ? put_escaped(out, metric->spec.label_value, true) : result;
        result = result == RPCNET_OK ? put(out, "\"}") : result;
    }
    snprintf(value, sizeof value, " %" PRIu64 "\n", metric->value);
    return result == RPCNET_OK ? put(out, value) : result;
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
            result = put_sample(out, &metrics->slots[at - 1].metric);
        }
    }
    if (result != RPCNET_OK) {
        out->len = len_before;
    }
    return result;
}
