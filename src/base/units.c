/* units: each kind of value has a table of its units, the smallest first. */
#include "base/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "rpcnet/error.h"

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

static const unit durations[] = {
    {"ns", 1},
    {"us", UINT64_C(1000)},
    {"ms", UINT64_C(1000000)},
    {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
};
static const unit sizes[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
};
enum {
    DURATION_COUNT = sizeof durations / sizeof durations[0],
    SIZE_COUNT = sizeof sizes / sizeof sizes[0]
};

/* Reads the digits at the front; `*rest` is what follows them. */
static int parse_digits(const char *text, const char **rest, uint64_t *value) {
    uint64_t sum = 0;
    bool fits = true;
    const char *c = text;
    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        fits = fits && sum <= (UINT64_MAX - digit) / 10;
        sum = sum * 10 + digit;
    }
    if (c == text) {
        return RPCNET_ERR_PARSE;
    }
    *rest = c;
    *value = sum;
    return fits ? RPCNET_OK : RPCNET_ERR_LIMIT;
}

static int parse_with_unit(const char *text, const unit *units, size_t count, uint64_t *value) {
    const char *rest;
    uint64_t number;
    int result = parse_digits(text, &rest, &number);
    if (result == RPCNET_ERR_PARSE) {
        return result;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].name) == 0) {
            if (result != RPCNET_OK || number > UINT64_MAX / units[i].factor) {
                return RPCNET_ERR_LIMIT;
            }
            *value = number * units[i].factor;
            return RPCNET_OK;
        }
    }
    return RPCNET_ERR_PARSE;
}

int rn_number_parse(const char *text, uint64_t *value) {
    const char *rest;
    uint64_t number;
    int result = parse_digits(text, &rest, &number);
    if (result == RPCNET_ERR_PARSE || *rest != '\0') {
        return RPCNET_ERR_PARSE;
    }
    if (result == RPCNET_OK) {
        *value = number;
    }
    return result;
}

int rn_duration_parse(const char *text, uint64_t *value_ns) {
    if (strcmp(text, "0") == 0) {
        *value_ns = 0;
        return RPCNET_OK;
    }
    return parse_with_unit(text, durations, DURATION_COUNT, value_ns);
}

int rn_size_parse(const char *text, uint64_t *value) {
    int result = rn_number_parse(text, value);
    return result == RPCNET_ERR_PARSE ? parse_with_unit(text, sizes, SIZE_COUNT, value) : result;
}

static const char *format(uint64_t value, const unit *units, size_t count,
                          char out[RN_UNITS_TEXT_MAX]) {
    if (value == 0) {
        snprintf(out, RN_UNITS_TEXT_MAX, "0");
        return out;
    }
    size_t i = count - 1;
    while (i > 0 && value % units[i].factor != 0) {
        i--;
    }
    snprintf(out, RN_UNITS_TEXT_MAX, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
    return out;
}

const char *rn_duration_format(uint64_t value_ns, char out[RN_UNITS_TEXT_MAX]) {
    return format(value_ns, durations, DURATION_COUNT, out);
}

const char *rn_size_format(uint64_t value, char out[RN_UNITS_TEXT_MAX]) {
    return format(value, sizes, SIZE_COUNT, out);
}
