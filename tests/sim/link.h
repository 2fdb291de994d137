/* link: what a link does to packets in one direction, for the simulated network and for the relay
 * of tests/hosts. What is turned off draws no random number. */
#ifndef RN_TESTS_SIM_LINK_H
#define RN_TESTS_SIM_LINK_H

#include "sim/net.h"
#include "sim/random.h"

/* What the link remembers; zeroed at the beginning. */
typedef struct rn_sim_link_state {
    uint64_t arrival_last; /* of packets that keep the order */
    uint64_t busy_until;   /* with what waits for its turn, on a link with a rate */
} rn_sim_link_state;

/* What becomes of one packet. */
typedef struct rn_sim_passage {
    rn_sim_fate fate; /* RN_SIM_SENT: it is on its way; _TOO_LARGE, _QUEUE_FULL, _LOST */
    bool marked;      /* it gets CE */
    size_t copies;    /* 1 or 2 */
    struct {
        uint64_t time; /* of its arrival */
        bool reordered;
    } copy[2];
} rn_sim_passage;

/* A packet of `size` bytes, IP headers included, comes to the link. `ect`: it may be marked. */
void rn_sim_link_pass(const rn_sim_link *link, rn_sim_link_state *state, rn_sim_random *random,
                      uint64_t now, size_t size, bool ect, rn_sim_passage *out);

/* Turns bits of a copy's `len` > 0 bytes, perhaps; true: it did. */
bool rn_sim_link_harm(const rn_sim_link *link, rn_sim_random *random, uint8_t *data, size_t len);

#endif
