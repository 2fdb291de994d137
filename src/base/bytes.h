/* bytes: a borrowed run of bytes. */
#ifndef RN_BASE_BYTES_H
#define RN_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct rn_bytes {
    const uint8_t *data;
    size_t len;
} rn_bytes;

static inline rn_bytes rn_bytes_of(const void *data, size_t len) {
    return (rn_bytes){.data = data, .len = len};
}
static inline rn_bytes rn_bytes_text(const char *text) {
    return rn_bytes_of(text, strlen(text));
}
static inline bool rn_bytes_equal(rn_bytes a, rn_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool rn_bytes_is(rn_bytes a, const char *text) {
    return rn_bytes_equal(a, rn_bytes_text(text));
}

#endif
