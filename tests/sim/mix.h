/* mix: a checksum of 128 bits under a key, fast and without any secrecy.
 *
 * Each step maps `a` one to one, for a given input and also from input to `a`. So two inputs of the
 * same length that differ in one word of eight bytes always end in different sums, and so do two
 * keys that differ in their first word. */
#ifndef RN_TESTS_SIM_MIX_H
#define RN_TESTS_SIM_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct rn_mix {
    uint64_t a;
    uint64_t b;
} rn_mix;

#define RN_MIX_START                                                                               \
    { UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344) }

static inline void rn_mix_word(rn_mix *mix, uint64_t word) {
    mix->a = (mix->a ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    mix->a ^= mix->a >> 29;
    mix->b = (mix->b << 27 | mix->b >> 37) * UINT64_C(0xbf58476d1ce4e5b9) + mix->a;
}

/* The length goes in front, so that the end of one input cannot be the start of the next. */
static inline void rn_mix_add(rn_mix *mix, const void *data, size_t len) {
    const uint8_t *bytes = data;
    uint64_t word;
    rn_mix_word(mix, len);
    for (; len >= sizeof word; len -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        rn_mix_word(mix, word);
    }
    if (len > 0) {
        word = 0;
        memcpy(&word, bytes, len);
        rn_mix_word(mix, word);
    }
}

/* The sum, as many bytes as wanted. The first 16 hold all of it. */
static inline void rn_mix_sum(const rn_mix *mix, uint8_t *out, size_t len) {
    rn_mix state = *mix;
    while (len > 0) {
        uint64_t words[2];
        rn_mix_word(&state, UINT64_C(0x94d049bb133111eb));
        words[0] = state.a;
        words[1] = state.b;
        size_t piece = len < sizeof words ? len : sizeof words;
        memcpy(out, words, piece);
        out += piece;
        len -= piece;
    }
}

#endif
