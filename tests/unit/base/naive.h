/* naive: what the tests of the containers share: a seeded generator and the way a failure names its
 * seed. */
#ifndef RN_TESTS_UNIT_BASE_NAIVE_H
#define RN_TESTS_UNIT_BASE_NAIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>

typedef struct naive_random {
    uint64_t state;
    uint64_t seed;
} naive_random;

static inline naive_random naive_seed(uint64_t seed) {
    return (naive_random){.state = seed, .seed = seed};
}

/* splitmix64 */
static inline uint64_t naive_next(naive_random *random) {
    uint64_t x = random->state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline uint64_t naive_below(naive_random *random, uint64_t bound) {
    return naive_next(random) % bound;
}

/* A check of a random run: fails with the seed and the step that lead to it. */
#define NAIVE_CHECK(random, step, condition)                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("seed %llu, step %zu: %s", (unsigned long long)(random)->seed,                \
                     (size_t)(step), #condition);                                                  \
        }                                                                                          \
    } while (0)

#endif
