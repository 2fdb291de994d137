/* varint: QUIC's variable-length integers (RFC 9000, section 16). */
#ifndef RN_BASE_VARINT_H
#define RN_BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define RN_VARINT_MAX ((UINT64_C(1) << 62) - 1)

size_t rn_varint_len(uint64_t value);                   /* 1, 2, 4 or 8; value <= RN_VARINT_MAX */
uint8_t *rn_varint_write(uint8_t *out, uint64_t value); /* returns behind the last byte written */
/* Reads at *cursor, not beyond end; moves the cursor. RPCNET_ERR_PARSE: cut short. */
int rn_varint_read(const uint8_t **cursor, const uint8_t *end, uint64_t *value);

#endif
