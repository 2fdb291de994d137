/* outage: see the header. */
#include "worker/outage.h"

#include "base/env.h"

void rn_outage_init(rn_outage *outage, uint64_t fail_after_ns, uint64_t recover_after_ns) {
    *outage = (rn_outage){.fail_after_ns = fail_after_ns,
                          .recover_after_ns = recover_after_ns,
                          .deadline_ns = RN_NEVER};
}

static void enter(rn_outage *outage, enum rn_outage_state state, uint64_t deadline_ns) {
    outage->state = state;
    outage->deadline_ns = deadline_ns;
}

/* A duration of centuries is as good as never. */
static uint64_t after(uint64_t now_ns, uint64_t duration_ns) {
    return duration_ns < RN_NEVER - now_ns ? now_ns + duration_ns : RN_NEVER;
}

void rn_outage_stream(rn_outage *outage, uint64_t now_ns) {
    if (outage->state == RN_OUTAGE_HEALTHY && outage->fail_after_ns > 0) {
        enter(outage, RN_OUTAGE_COUNTING, after(now_ns, outage->fail_after_ns));
    }
}

void rn_outage_no_stream(rn_outage *outage) {
    if (outage->state == RN_OUTAGE_COUNTING) {
        enter(outage, RN_OUTAGE_HEALTHY, RN_NEVER);
    }
}

enum rn_outage_event rn_outage_advance(rn_outage *outage, uint64_t now_ns) {
    if (now_ns < outage->deadline_ns) {
        return RN_OUTAGE_NOTHING;
    }
    if (outage->state == RN_OUTAGE_COUNTING) {
        uint64_t wait = outage->recover_after_ns;
        enter(outage, RN_OUTAGE_RECOVERING, wait == 0 ? RN_NEVER : after(now_ns, wait));
        return RN_OUTAGE_FAIL;
    }
    if (outage->state == RN_OUTAGE_RECOVERING) {
        enter(outage, RN_OUTAGE_HEALTHY, RN_NEVER);
        return RN_OUTAGE_RECOVER;
    }
    return RN_OUTAGE_NOTHING;
}
