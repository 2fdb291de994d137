/* SipHash-2-4 as its authors describe it: eight bytes at a time into a state of four words, the
 * last block carries the length. */
#include "model/hash.h"

typedef struct {
    uint64_t v0, v1, v2, v3;
} sip_state;

static uint64_t rotate_left(uint64_t value, int bits) {
    return (value << bits) | (value >> (64 - bits));
}

static void sip_rounds(sip_state *s, int count) {
    for (int i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v1 = rotate_left(s->v1, 13) ^ s->v0;
        s->v0 = rotate_left(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate_left(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate_left(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate_left(s->v1, 17) ^ s->v2;
        s->v2 = rotate_left(s->v2, 32);
    }
}

static void sip_block(sip_state *s, uint64_t block) {
    s->v3 ^= block;
    sip_rounds(s, 2);
    s->v0 ^= block;
}

uint64_t rn_model_hash(rn_model_key key, rn_bytes bytes) {
    sip_state s = {
        .v0 = key.k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = key.k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key.k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = key.k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = bytes.len - bytes.len % 8;
    for (size_t i = 0; i < whole; i += 8) {
        const uint8_t *cursor = bytes.data + i;
        sip_block(&s, rn_model_read64(&cursor));
    }
    uint64_t last = (uint64_t)bytes.len << 56;
    for (size_t i = whole; i < bytes.len; i++) {
        last |= (uint64_t)bytes.data[i] << (8 * (i - whole));
    }
    sip_block(&s, last);
    s.v2 ^= 0xff;
    sip_rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static uint8_t *write_bytes(uint8_t *out, uint64_t value, int count) {
    for (int i = 0; i < count; i++) {
        *out++ = (uint8_t)(value >> (8 * i));
    }
    return out;
}

static uint64_t read_bytes(const uint8_t **cursor, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++) {
        value |= (uint64_t)(*cursor)[i] << (8 * i);
    }
    *cursor += count;
    return value;
}

uint8_t *rn_model_write32(uint8_t *out, uint32_t value) {
    return write_bytes(out, value, 4);
}

uint8_t *rn_model_write64(uint8_t *out, uint64_t value) {
    return write_bytes(out, value, 8);
}

uint32_t rn_model_read32(const uint8_t **cursor) {
    return (uint32_t)read_bytes(cursor, 4);
}

uint64_t rn_model_read64(const uint8_t **cursor) {
    return read_bytes(cursor, 8);
}
