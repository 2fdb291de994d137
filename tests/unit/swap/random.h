/* random: a small repeatable generator for tests. A test prints its seed. */
#ifndef RN_TEST_SWAP_RANDOM_H
#define RN_TEST_SWAP_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct random_source {
    uint64_t state;
} random_source;

static inline uint64_t random_next(random_source *source) {
    uint64_t z = source->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t random_below(random_source *source, uint64_t end) {
    return random_next(source) % end;
}

static inline bool random_chance(random_source *source, unsigned percent) {
    return random_below(source, 100) < percent;
}

static inline void random_fill(random_source *source, void *out, size_t len) {
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)random_next(source);
    }
}

#endif
