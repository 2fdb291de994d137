/* The order in which random numbers are drawn is part of what a seed means: it stays as it is. */
#include "sim/link.h"

#include "sim/internal.h"

enum { MTU_DEFAULT = 1500, TURNED_BITS_MAX = 8 };

/* When a packet that leaves the queue at `leaves` arrives. */
static uint64_t arrival(const rn_sim_link *link, rn_sim_link_state *state, rn_sim_random *random,
                        uint64_t leaves, bool *reordered) {
    uint64_t at = leaves + link->latency_ns;
    if (link->jitter_ns > 0) {
        at += rn_sim_random_below(random, link->jitter_ns + 1);
    }
    *reordered = rn_sim_random_chance(random, link->reorder);
    if (*reordered) {
        return at + (link->reorder_ns > 0 ? link->reorder_ns : link->latency_ns);
    }
    if (at < state->arrival_last) {
        at = state->arrival_last;
    }
    state->arrival_last = at;
    return at;
}

/* Puts `size` bytes behind what waits already. false: the queue is full. */
static bool enqueue(const rn_sim_link *link, rn_sim_link_state *state, uint64_t now, size_t size,
                    uint64_t *leaves) {
    *leaves = now;
    if (link->rate_bps == 0) {
        return true;
    }
    size_t room = link->queue_bytes > 0 ? link->queue_bytes : RN_SIM_QUEUE_BYTES_DEFAULT;
    rn_sim_require(room <= RN_SIM_QUEUE_BYTES_MAX, "the queue of a link is too long");
    uint64_t room_ns = (uint64_t)room * 8 * RN_SECOND / link->rate_bps;
    uint64_t own_ns = ((uint64_t)size * 8 * RN_SECOND + link->rate_bps - 1) / link->rate_bps;
    uint64_t waiting_ns = state->busy_until > now ? state->busy_until - now : 0;
    if (waiting_ns > 0 && waiting_ns + own_ns > room_ns) {
        return false;
    }
    *leaves = state->busy_until = now + waiting_ns + own_ns;
    return true;
}

void rn_sim_link_pass(const rn_sim_link *link, rn_sim_link_state *state, rn_sim_random *random,
                      uint64_t now, size_t size, bool ect, rn_sim_passage *out) {
    uint64_t leaves;
    *out = (rn_sim_passage){.fate = RN_SIM_SENT, .copies = 1};
    if (size > (link->mtu > 0 ? link->mtu : MTU_DEFAULT)) {
        out->fate = RN_SIM_TOO_LARGE;
        return;
    }
    if (!enqueue(link, state, now, size, &leaves)) {
        out->fate = RN_SIM_QUEUE_FULL;
        return;
    }
    if (rn_sim_random_chance(random, link->loss)) {
        out->fate = RN_SIM_LOST;
        return;
    }
    out->marked = ect && rn_sim_random_chance(random, link->ecn_mark);
    out->copy[0].time = arrival(link, state, random, leaves, &out->copy[0].reordered);
    if (rn_sim_random_chance(random, link->duplicate)) {
        out->copies = 2;
        out->copy[1].time = arrival(link, state, random, leaves, &out->copy[1].reordered);
    }
}

bool rn_sim_link_harm(const rn_sim_link *link, rn_sim_random *random, uint8_t *data, size_t len) {
    if (!rn_sim_random_chance(random, link->corrupt)) {
        return false;
    }
    /* Different ones, for the steps are too short to go round. */
    uint64_t bits = 1 + rn_sim_random_below(random, TURNED_BITS_MAX);
    uint64_t at = rn_sim_random_below(random, 8 * len);
    for (uint64_t i = 0; i < bits; i++) {
        data[at / 8] ^= (uint8_t)(1U << at % 8);
        at = (at + 1 + rn_sim_random_below(random, len / 2 + 1)) % (8 * len);
    }
    return true;
}
