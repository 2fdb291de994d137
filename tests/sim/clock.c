/* The clocks of a process. All of it in whole numbers, so that a timer fires at the first moment at
 * which its process's clock has come to the deadline, and not one nanosecond earlier. */
#include "sim/internal.h"

enum { MILLION = 1000000 };

void rn_sim_clock_init(rn_sim_clock_state *clock) {
    *clock = (rn_sim_clock_state){.rate = MILLION};
}

uint64_t rn_sim_clock_local(const rn_sim_clock_state *clock, uint64_t now) {
    uint64_t passed = now - clock->since;
    return clock->local + passed / MILLION * clock->rate + passed % MILLION * clock->rate / MILLION;
}

uint64_t rn_sim_clock_wall(const rn_sim_clock_state *clock, uint64_t now) {
    uint64_t drifted = rn_sim_clock_local(clock, now) - clock->jumped;
    return RN_SIM_WALL_START + drifted + (uint64_t)clock->wall_offset;
}

void rn_sim_clock_change(rn_sim_clock_state *clock, uint64_t now, const rn_sim_clock *to) {
    rn_sim_require(to->skew_ppm > -MILLION, "a clock must go forward");
    clock->local = rn_sim_clock_local(clock, now) + to->jump_ns;
    clock->since = now;
    clock->rate = (uint64_t)(MILLION + (int64_t)to->skew_ppm);
    clock->jumped += to->jump_ns;
    clock->wall_offset = to->wall_offset_ns;
}

uint64_t rn_sim_clock_when(const rn_sim_clock_state *clock, uint64_t local) {
    if (local <= clock->local) {
        return clock->since;
    }
    uint64_t left = local - clock->local;
    uint64_t whole = left / clock->rate;
    uint64_t rest = (left % clock->rate * MILLION + clock->rate - 1) / clock->rate;
    if (whole > (RN_NEVER - clock->since - rest) / MILLION) {
        return RN_NEVER;
    }
    return clock->since + whole * MILLION + rest;
}
