/* units: durations and sizes as people write them in settings. */
#ifndef RN_BASE_UNITS_H
#define RN_BASE_UNITS_H

#include <stdint.h>

enum { RN_UNITS_TEXT_MAX = 32 };

/* All of them: digits only, no sign, no space. RPCNET_ERR_PARSE when malformed, RPCNET_ERR_LIMIT
 * when the value does not fit in 64 bits; `*value` is unchanged then. */

int rn_number_parse(const char *text, uint64_t *value);

/* "250ms", "15s", "2m", "1h", also "us" and "ns"; "0" alone. A number without a unit is refused,
 * because a reader cannot tell what it means. */
int rn_duration_parse(const char *text, uint64_t *value_ns);

/* "256KiB", "4MiB", "1GiB" (powers of 1024), "100B" or "100": bytes. */
int rn_size_parse(const char *text, uint64_t *value);

/* Written in the largest unit that divides the value; return `out`. */
const char *rn_duration_format(uint64_t value_ns, char out[RN_UNITS_TEXT_MAX]);
const char *rn_size_format(uint64_t value, char out[RN_UNITS_TEXT_MAX]);

#endif
