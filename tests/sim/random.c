/* The only source of chance in a simulated world. */
#include "sim/random.h"

#include <assert.h>
#include <string.h>

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

void rn_sim_random_init(rn_sim_random *random, uint64_t seed, uint64_t stream) {
    uint64_t mixed_seed = splitmix(&seed);
    uint64_t mixed_stream = splitmix(&stream);
    uint64_t state = mixed_seed ^ rotate(mixed_stream, 32);
    for (size_t i = 0; i < 4; i++) {
        random->state[i] = splitmix(&state);
    }
}

uint64_t rn_sim_random_next(rn_sim_random *random) {
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rn_sim_random_below(rn_sim_random *random, uint64_t bound) {
    assert(bound > 0);
    /* The numbers above the last multiple of `bound` would favour the small results. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value;
    do {
        value = rn_sim_random_next(random);
    } while (value >= limit);
    return value % bound;
}

bool rn_sim_random_chance(rn_sim_random *random, double probability) {
    if (probability <= 0) {
        return false;
    }
    return (double)(rn_sim_random_next(random) >> 11) * 0x1p-53 < probability;
}

void rn_sim_random_fill(rn_sim_random *random, void *out, size_t len) {
    uint8_t *bytes = out;
    while (len > 0) {
        uint64_t value = rn_sim_random_next(random);
        size_t part = len < sizeof value ? len : sizeof value;
        memcpy(bytes, &value, part);
        bytes += part;
        len -= part;
    }
}
