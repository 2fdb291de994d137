/* pace: see the header. */
#include "swap/pace.h"

void rn_pace_init(rn_pace *pace, uint64_t min_ns, bool may_send, uint64_t now_ns) {
    *pace = (rn_pace){.min_ns = min_ns, .may_send = may_send, .counted_ns = now_ns};
}

static void count(rn_pace *pace, uint64_t now_ns) {
    if (pace->may_send && now_ns > pace->counted_ns) {
        pace->quiet_ns += now_ns - pace->counted_ns;
    }
    pace->counted_ns = now_ns;
}

void rn_pace_message(rn_pace *pace, uint64_t now_ns) {
    count(pace, now_ns);
    uint64_t gap = pace->quiet_ns;
    pace->quiet_ns = 0;
    /* The time to the first message is no gap: the worker had to read itself in. */
    if (pace->messages == 1) {
        pace->usual_gap_ns = gap;
    } else if (pace->messages > 1) {
        uint64_t usual = pace->usual_gap_ns;
        pace->usual_gap_ns = gap > usual ? usual + (gap - usual) / RN_PACE_WEIGHT
                                         : usual - (usual - gap) / RN_PACE_WEIGHT;
    }
    pace->messages++;
}

void rn_pace_credit(rn_pace *pace, bool may_send, uint64_t now_ns) {
    count(pace, now_ns);
    pace->may_send = may_send;
}

void rn_pace_client(rn_pace *pace, bool open, uint64_t now_ns) {
    pace->client_open = open;
    pace->quiet_ns = 0;
    pace->counted_ns = now_ns;
}

uint64_t rn_pace_deadline(const rn_pace *pace) {
    if (pace->messages < RN_PACE_MESSAGES || !pace->may_send || pace->client_open) {
        return RN_NEVER;
    }
    uint64_t patience = pace->usual_gap_ns > RN_NEVER / RN_PACE_FACTOR
                            ? RN_NEVER
                            : pace->usual_gap_ns * RN_PACE_FACTOR;
    if (patience < pace->min_ns) {
        patience = pace->min_ns;
    }
    uint64_t left = patience > pace->quiet_ns ? patience - pace->quiet_ns : 0;
    return left > RN_NEVER - pace->counted_ns ? RN_NEVER : pace->counted_ns + left;
}
