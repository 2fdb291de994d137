/* detector: is a worker's process still answering? One per link.
 *
 * The director sends Probe{n} on the link in a steady rhythm while streams are open; the worker
 * returns ProbeReply{n}. The link is suspect when
 *  - a probe has waited for so long that, by the mean and deviation of the last round trips (taken
 *    as a normal distribution), the odds of a later reply are 10^-threshold (phi accrual), or
 *  - nothing was heard for `bound_ns`, whatever the round trips were.
 * Until RN_DETECTOR_BOOTSTRAP round trips are known only the bound counts. A frame of a stream
 * shows that the worker's loop turns as a reply does, so silence begins with the last of either.
 *
 * A suspicion moves all streams at once, which may be what makes the next worker late. So that one
 * false suspicion does not make others, both limits are multiplied
 *  - by RN_DETECTOR_STRAIN_PATIENCE while the worker takes in many streams at once (`strain`), and
 *  - by `patience`, which doubles when a suspicion under strain proves false soon, and halves for
 *    each RN_DETECTOR_CALM_NS in which the worker needed none of it.
 * Patience grows under strain alone: seen from here, a worker that was stopped for a moment and one
 * that was late look the same, and a process that is stopped again and again has to be found as
 * soon each time.
 *
 * Silence is measured on the director's own clock, so a director that was stopped itself must not
 * blame its workers: a gap between two calls longer than `pause_ns` is taken out. That needs a call
 * (probe, reply or check) at least every `pause_ns` while a probe is out; the rhythm of probes does
 * it. Whoever drives the detector reads what has arrived before it checks.
 *
 * Pure integer arithmetic: the same inputs give the same result on every machine. */
#ifndef RN_SWAP_DETECTOR_H
#define RN_SWAP_DETECTOR_H

#include "base/env.h"

enum {
    RN_DETECTOR_WINDOW = 64,      /* round trips that are remembered */
    RN_DETECTOR_BOOTSTRAP = 8,    /* round trips before phi counts */
    RN_DETECTOR_OUTSTANDING = 64, /* probes without a reply; no more are sent then */
    /* So much of the bound, at most, has passed when a probe is sent: a tenth. */
    RN_DETECTOR_RHYTHM_SHARE = 10,
    RN_DETECTOR_THRESHOLD = 8,
    RN_DETECTOR_THRESHOLD_MAX = 16,
    RN_DETECTOR_STRAIN_PATIENCE = 4, /* 1 s of 250 ms: hundreds of Assignments of 1 MiB */
    RN_DETECTOR_PATIENCE_MAX = 16
};

#define RN_DETECTOR_INTERVAL_NS (25 * RN_MILLISECOND)
#define RN_DETECTOR_BOUND_NS (250 * RN_MILLISECOND)
#define RN_DETECTOR_MIN_DEVIATION_NS (20 * RN_MILLISECOND)
#define RN_DETECTOR_PAUSE_NS (100 * RN_MILLISECOND)
#define RN_DETECTOR_BOUND_MAX_NS (60 * RN_SECOND)
/* Patience makes no bound longer than this: below the 5 s after which an Assignment that was not
 * answered is given to another worker anyway. */
#define RN_DETECTOR_PATIENT_BOUND_NS (4 * RN_SECOND)
/* Longer than a storm needs from one move to the next, at the greatest patience. */
#define RN_DETECTOR_CALM_NS (10 * RN_SECOND)

typedef struct rn_detector_config {
    uint32_t threshold;        /* 1..RN_DETECTOR_THRESHOLD_MAX */
    uint64_t interval_ns;      /* of probes */
    uint64_t bound_ns;         /* <= RN_DETECTOR_BOUND_MAX_NS */
    uint64_t min_deviation_ns; /* keeps a very regular link from being suspected for a hiccup; at
                                * least half an interval */
    uint64_t pause_ns;         /* > interval_ns */
} rn_detector_config;

void rn_detector_config_default(rn_detector_config *config);

typedef struct rn_detector {
    const rn_detector_config *config;
    uint64_t round_trips_us[RN_DETECTOR_WINDOW];
    uint64_t round_trips; /* seen so far */
    uint64_t mean_us;
    uint64_t deviation_us;
    uint64_t sent_ns[RN_DETECTOR_OUTSTANDING]; /* of probe n at n % RN_DETECTOR_OUTSTANDING */
    uint64_t first_out; /* the oldest probe without a reply; last_sent + 1: none is out */
    uint64_t last_sent; /* probes are numbered from 1 */
    uint64_t quiet_since_ns;
    uint64_t heard_ns; /* the last frame of a stream */
    uint64_t last_call_ns;
    uint32_t patience;      /* 1..RN_DETECTOR_PATIENCE_MAX */
    uint64_t calm_since_ns; /* since then no patience was needed */
    uint64_t excused_ns;    /* a reply until then proves that strain was the cause; 0: never */
    bool strained;
    bool suspect;
    uint64_t suspicions;
    uint64_t false_suspicions;
} rn_detector;

/* `config` outlives the detector. */
void rn_detector_init(rn_detector *detector, const rn_detector_config *config, uint64_t now_ns);

/* A probe is about to be sent: its number, or 0 when too many are out already. To a worker that is
 * suspect those that are out are enough: an answer to one of them clears it, and more would only
 * fill the congestion window, and with it the way of QUIC's own packets, which find out sooner that
 * a path has healed. */
uint64_t rn_detector_probe(rn_detector *detector, uint64_t now_ns);

enum rn_detector_reply {
    RN_DETECTOR_ALIVE,   /* as expected */
    RN_DETECTOR_OLD,     /* of a probe that has been answered or forgotten */
    RN_DETECTOR_CLEARED, /* the link was suspect, wrongly; it is not any more */
    RN_DETECTOR_BOGUS    /* the probe was never sent: the worker broke the protocol */
};

/* ProbeReply{n}: the link is ordered, so it answers all probes up to n. */
enum rn_detector_reply rn_detector_reply(rn_detector *detector, uint64_t n, uint64_t now_ns);

/* A frame of a stream came from the worker. It ends no suspicion. */
void rn_detector_heard(rn_detector *detector, uint64_t now_ns);

/* The worker has been given many streams at once; or (`on` is false) it has taken them in. */
void rn_detector_strain(rn_detector *detector, bool on);

/* By how much the limits are longer now; 1: as usual. */
uint32_t rn_detector_patience(const rn_detector *detector);
/* For how long nothing may be heard now. */
uint64_t rn_detector_bound_ns(const rn_detector *detector);

/* No streams are open, or the connection is another one: what is out is forgotten. A suspicion
 * remains. */
void rn_detector_rest(rn_detector *detector);

/* True when the link has become suspect just now; detector->suspect tells whether it is. */
bool rn_detector_check(rn_detector *detector, uint64_t now_ns);
/* When rn_detector_check will find the link suspect if nothing is heard; RN_NEVER: it is suspect
 * already, or no probe is out. */
uint64_t rn_detector_deadline(const rn_detector *detector);

#endif
