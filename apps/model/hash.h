/* hash: SipHash-2-4, a keyed hash in which each bit of the input changes all of the output. The
 * same on every machine. */
#ifndef RN_MODEL_HASH_H
#define RN_MODEL_HASH_H

#include <stdint.h>

#include "base/bytes.h"

typedef struct rn_model_key {
    uint64_t k0;
    uint64_t k1;
} rn_model_key;

uint64_t rn_model_hash(rn_model_key key, rn_bytes bytes);

/* Little-endian numbers: what is hashed or checkpointed must not depend on the machine. Both
 * writers return behind the last byte written, both readers move the cursor. */
uint8_t *rn_model_write32(uint8_t *out, uint32_t value);
uint8_t *rn_model_write64(uint8_t *out, uint64_t value);
uint32_t rn_model_read32(const uint8_t **cursor);
uint64_t rn_model_read64(const uint8_t **cursor);

#endif
