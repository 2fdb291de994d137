/* json: values for one-line JSON objects. */
#ifndef APPS_COMMON_JSON_H
#define APPS_COMMON_JSON_H

#include <stdint.h>

#include "base/buffer.h"

/* Appends a string with its quotes: quotes, backslashes and all that rn_text_piece would escape
 * become \u escapes; each byte that is no UTF-8 becomes U+FFFD. RPCNET_ERR_LIMIT,
 * RPCNET_ERR_MEMORY. */
int rn_json_string(rn_buffer *out, rn_bytes text);

/* A writer of one object: {"a":"x","n":1}. Keeps the first error in `result`. */
typedef struct rn_json {
    rn_buffer *out;
    int result;
    bool first;
} rn_json;

void rn_json_begin(rn_json *json, rn_buffer *out);
void rn_json_text(rn_json *json, const char *key, rn_bytes value);
void rn_json_number(rn_json *json, const char *key, uint64_t value);
void rn_json_real(rn_json *json, const char *key, double value); /* three decimals; finite */
void rn_json_bool(rn_json *json, const char *key, bool value);
/* Opens a member that the caller writes itself into `out`. */
void rn_json_key(rn_json *json, const char *key);
int rn_json_end(rn_json *json); /* the first error, or RPCNET_OK */

#endif
