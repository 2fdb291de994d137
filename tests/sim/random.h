/* random: xoshiro256** by Blackman and Vigna, seeded by splitmix64. Not for secrets. */
#ifndef RN_TESTS_SIM_RANDOM_H
#define RN_TESTS_SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rn_sim_random {
    uint64_t state[4];
} rn_sim_random;

/* Different (seed, stream) pairs give unrelated sequences. */
void rn_sim_random_init(rn_sim_random *random, uint64_t seed, uint64_t stream);
uint64_t rn_sim_random_next(rn_sim_random *random);
uint64_t rn_sim_random_below(rn_sim_random *random, uint64_t bound); /* 0..bound-1; bound > 0 */
bool rn_sim_random_chance(rn_sim_random *random, double probability);
void rn_sim_random_fill(rn_sim_random *random, void *out, size_t len);

#endif
