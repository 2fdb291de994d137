/* varint: the two top bits of the first byte give the length (RFC 9000, section 16). */
#include "base/varint.h"

#include <assert.h>

#include "rpcnet/error.h"

size_t rn_varint_len(uint64_t value) {
    assert(value <= RN_VARINT_MAX);
    if (value < (UINT64_C(1) << 6)) {
        return 1;
    }
    if (value < (UINT64_C(1) << 14)) {
        return 2;
    }
    return value < (UINT64_C(1) << 30) ? 4 : 8;
}

uint8_t *rn_varint_write(uint8_t *out, uint64_t value) {
    size_t len = rn_varint_len(value);
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
    }
    uint8_t prefix = len == 1 ? 0 : len == 2 ? 1 : len == 4 ? 2 : 3;
    out[0] |= (uint8_t)(prefix << 6);
    return out + len;
}

int rn_varint_read(const uint8_t **cursor, const uint8_t *end, uint64_t *value) {
    const uint8_t *at = *cursor;
    if (at == end) {
        return RPCNET_ERR_PARSE;
    }
    size_t len = (size_t)1 << (at[0] >> 6);
    if ((size_t)(end - at) < len) {
        return RPCNET_ERR_PARSE;
    }
    uint64_t sum = at[0] & 0x3f;
    for (size_t i = 1; i < len; i++) {
        sum = sum << 8 | at[i];
    }
    *value = sum;
    *cursor = at + len;
    return RPCNET_OK;
}
