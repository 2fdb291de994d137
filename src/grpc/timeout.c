/* timeout: see timeout.h. */
#include "grpc/timeout.h"

#include "rpcnet/error.h"

static const struct {
    char unit;
    uint64_t length_ns;
} units[] = {
    {'n', 1},
    {'u', UINT64_C(1000)},
    {'m', UINT64_C(1000000)},
    {'S', UINT64_C(1000000000)},
    {'M', UINT64_C(60000000000)},
    {'H', UINT64_C(3600000000000)},
};

enum { UNITS = sizeof units / sizeof units[0], VALUE_MAX = 99999999 };

int rn_timeout_parse(rn_bytes text, uint64_t *timeout_ns) {
    uint64_t value = 0;
    if (text.len < 2 || text.len > RN_TIMEOUT_TEXT_MAX) {
        return RPCNET_ERR_PARSE;
    }
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return RPCNET_ERR_PARSE;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    for (size_t i = 0; i < UNITS; i++) {
        if ((char)text.data[text.len - 1] == units[i].unit) {
            bool fits = value <= UINT64_MAX / units[i].length_ns;
            *timeout_ns = fits ? value * units[i].length_ns : UINT64_MAX;
            return RPCNET_OK;
        }
    }
    return RPCNET_ERR_PARSE;
}

size_t rn_timeout_format(char out[RN_TIMEOUT_TEXT_MAX], uint64_t timeout_ns) {
    size_t unit = 0;
    uint64_t value = timeout_ns;
    while (value > VALUE_MAX && unit + 1 < UNITS) {
        unit++;
        uint64_t length = units[unit].length_ns;
        value = timeout_ns / length + (timeout_ns % length != 0 ? 1 : 0);
    }
    char digits[RN_TIMEOUT_DIGITS_MAX];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 && count < RN_TIMEOUT_DIGITS_MAX);
    for (size_t i = 0; i < count; i++) {
        out[i] = digits[count - 1 - i];
    }
    out[count] = units[unit].unit;
    return count + 1;
}
