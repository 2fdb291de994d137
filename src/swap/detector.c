/* detector: see the header. */
#include "swap/detector.h"

#include <assert.h>

/* How many deviations above the mean a normally distributed value lies with odds of 10^-i, in
 * 1/10000: the solutions of erfc(z / sqrt 2) / 2 = 10^-i. */
static const uint64_t deviations_for[RN_DETECTOR_THRESHOLD_MAX + 1] = {
    0,     12816, 23263, 30902, 37190, 42649, 47534, 51993, 56120,
    59978, 63613, 67060, 70345, 73488, 76506, 79413, 82221};

void rn_detector_config_default(rn_detector_config *config) {
    *config = (rn_detector_config){.threshold = RN_DETECTOR_THRESHOLD,
                                   .interval_ns = RN_DETECTOR_INTERVAL_NS,
                                   .bound_ns = RN_DETECTOR_BOUND_NS,
                                   .min_deviation_ns = RN_DETECTOR_MIN_DEVIATION_NS,
                                   .pause_ns = RN_DETECTOR_PAUSE_NS};
}

void rn_detector_init(rn_detector *detector, const rn_detector_config *config, uint64_t now_ns) {
    assert(config->threshold >= 1 && config->threshold <= RN_DETECTOR_THRESHOLD_MAX);
    assert(config->bound_ns <= RN_DETECTOR_BOUND_MAX_NS && config->pause_ns > config->interval_ns);
    *detector = (rn_detector){.config = config,
                              .first_out = 1,
                              .quiet_since_ns = now_ns,
                              .last_call_ns = now_ns,
                              .patience = 1,
                              .calm_since_ns = now_ns};
}

static bool is_out(const rn_detector *detector) {
    return detector->first_out <= detector->last_sent;
}

static uint64_t *sent_at(rn_detector *detector, uint64_t n) {
    return &detector->sent_ns[n % RN_DETECTOR_OUTSTANDING];
}

/* Takes a pause of our own out of every measure: as if it had lasted one interval. */
static void note_call(rn_detector *detector, uint64_t now_ns) {
    uint64_t gap = now_ns > detector->last_call_ns ? now_ns - detector->last_call_ns : 0;
    if (gap > detector->config->pause_ns && is_out(detector)) {
        uint64_t shift = gap - detector->config->interval_ns;
        for (uint64_t n = detector->first_out; n <= detector->last_sent; n++) {
            *sent_at(detector, n) += shift;
        }
        detector->quiet_since_ns += shift;
        detector->heard_ns += shift;
    }
    detector->last_call_ns = now_ns;
}

uint64_t rn_detector_probe(rn_detector *detector, uint64_t now_ns) {
    note_call(detector, now_ns);
    if ((detector->suspect && is_out(detector)) ||
        detector->last_sent + 1 - detector->first_out == RN_DETECTOR_OUTSTANDING) {
        return 0;
    }
    if (!is_out(detector)) {
        /* In the rhythm the silence began with the last reply; after a rest it begins now. A slow
         * rhythm leaves most of the bound for the answer, too. */
        uint64_t share_ns = detector->config->bound_ns / RN_DETECTOR_RHYTHM_SHARE;
        uint64_t interval_ns = detector->config->interval_ns;
        uint64_t before_ns = interval_ns < share_ns ? interval_ns : share_ns;
        uint64_t earliest = now_ns > before_ns ? now_ns - before_ns : 0;
        if (detector->quiet_since_ns < earliest) {
            detector->quiet_since_ns = earliest;
        }
    }
    detector->last_sent++;
    *sent_at(detector, detector->last_sent) = now_ns;
    return detector->last_sent;
}

static uint64_t square_root(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1) {
        uint64_t trial = root | bit;
        if (trial * trial <= value) {
            root = trial;
        }
    }
    return root;
}

/* The sums stay far below 2^64: a round trip counts as bound_ns at the most, so its square is at
 * most (6 * 10^7)^2 µs². */
static void add_round_trip(rn_detector *detector, uint64_t round_trip_ns) {
    uint64_t most = detector->config->bound_ns;
    uint64_t round_trip = (round_trip_ns < most ? round_trip_ns : most) / RN_MICROSECOND;
    detector->round_trips_us[detector->round_trips % RN_DETECTOR_WINDOW] = round_trip;
    detector->round_trips++;
    uint64_t count =
        detector->round_trips < RN_DETECTOR_WINDOW ? detector->round_trips : RN_DETECTOR_WINDOW;
    assert(count > 0);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += detector->round_trips_us[i];
    }
    uint64_t mean = sum / count;
    uint64_t squares = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t sample = detector->round_trips_us[i];
        uint64_t distance = sample > mean ? sample - mean : mean - sample;
        squares += distance * distance;
    }
    detector->mean_us = mean;
    detector->deviation_us = square_root(squares / count);
}

uint32_t rn_detector_patience(const rn_detector *detector) {
    bool more = detector->strained && detector->patience < RN_DETECTOR_STRAIN_PATIENCE;
    return more ? RN_DETECTOR_STRAIN_PATIENCE : detector->patience;
}

uint64_t rn_detector_bound_ns(const rn_detector *detector) {
    uint64_t usual = detector->config->bound_ns;
    uint64_t patient = usual * rn_detector_patience(detector);
    uint64_t most = usual > RN_DETECTOR_PATIENT_BOUND_NS ? usual : RN_DETECTOR_PATIENT_BOUND_NS;
    return patient < most ? patient : most;
}

void rn_detector_strain(rn_detector *detector, bool on) {
    detector->strained = on;
}

void rn_detector_heard(rn_detector *detector, uint64_t now_ns) {
    note_call(detector, now_ns);
    detector->heard_ns = now_ns;
}

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* How long a probe may be out until phi reaches the threshold. Who asks rarely knows little of how
 * late an answer can be, and is in no hurry. */
static uint64_t wait_ns(const rn_detector *detector) {
    uint64_t least_ns =
        later(detector->config->min_deviation_ns, detector->config->interval_ns / 2);
    uint64_t deviation_ns = later(detector->deviation_us * RN_MICROSECOND, least_ns);
    return detector->mean_us * RN_MICROSECOND +
           deviation_ns / 10000 * deviations_for[detector->config->threshold];
}

/* Since when phi has counted: only while a probe is out. */
static uint64_t oldest_ns(const rn_detector *detector) {
    return later(detector->sent_ns[detector->first_out % RN_DETECTOR_OUTSTANDING],
                 detector->heard_ns);
}

/* When silence becomes suspicious: the first of both limits, each multiplied by `patience`. */
static uint64_t limit_ns(const rn_detector *detector, uint64_t bound_ns, uint32_t patience) {
    uint64_t bound = later(detector->quiet_since_ns, detector->heard_ns) + bound_ns;
    if (detector->round_trips < RN_DETECTOR_BOOTSTRAP) {
        return bound;
    }
    uint64_t phi = oldest_ns(detector) + patience * wait_ns(detector);
    return phi < bound ? phi : bound;
}

/* Before the reply is counted: has it come as soon as it must without patience? */
static void note_calm(rn_detector *detector, uint64_t now_ns) {
    if (now_ns >= limit_ns(detector, detector->config->bound_ns, 1)) {
        detector->calm_since_ns = now_ns;
    } else if (now_ns >= detector->calm_since_ns + RN_DETECTOR_CALM_NS) {
        detector->calm_since_ns = now_ns;
        detector->patience = detector->patience > 1 ? detector->patience / 2 : 1;
    }
}

static void note_false(rn_detector *detector, uint64_t now_ns) {
    detector->false_suspicions++;
    detector->calm_since_ns = now_ns;
    if (now_ns <= detector->excused_ns) {
        uint32_t twice = 2 * detector->patience;
        uint32_t least = 2 * RN_DETECTOR_STRAIN_PATIENCE;
        twice = twice < least ? least : twice;
        detector->patience = twice < RN_DETECTOR_PATIENCE_MAX ? twice : RN_DETECTOR_PATIENCE_MAX;
    }
}

enum rn_detector_reply rn_detector_reply(rn_detector *detector, uint64_t n, uint64_t now_ns) {
    note_call(detector, now_ns);
    if (n == 0 || n > detector->last_sent) {
        return RN_DETECTOR_BOGUS;
    }
    if (n < detector->first_out) {
        return RN_DETECTOR_OLD;
    }
    uint64_t sent_ns = *sent_at(detector, n);
    bool suspect = detector->suspect;
    if (suspect) {
        note_false(detector, now_ns);
    } else {
        note_calm(detector, now_ns);
        /* What a worker says after it hung tells nothing about its usual round trips. */
        add_round_trip(detector, now_ns > sent_ns ? now_ns - sent_ns : 0);
    }
    detector->first_out = n + 1;
    detector->quiet_since_ns = now_ns;
    if (!suspect) {
        return RN_DETECTOR_ALIVE;
    }
    detector->suspect = false;
    return RN_DETECTOR_CLEARED;
}

void rn_detector_rest(rn_detector *detector) {
    detector->first_out = detector->last_sent + 1;
}

static uint64_t suspicion_ns(const rn_detector *detector) {
    return limit_ns(detector, rn_detector_bound_ns(detector), rn_detector_patience(detector));
}

bool rn_detector_check(rn_detector *detector, uint64_t now_ns) {
    note_call(detector, now_ns);
    if (detector->suspect || !is_out(detector) || now_ns < suspicion_ns(detector)) {
        return false;
    }
    detector->suspect = true;
    detector->suspicions++;
    /* Later than that, it was stopped rather than late, strain or not. */
    detector->excused_ns = detector->strained ? now_ns + 2 * rn_detector_bound_ns(detector) : 0;
    return true;
}

uint64_t rn_detector_deadline(const rn_detector *detector) {
    return detector->suspect || !is_out(detector) ? RN_NEVER : suspicion_ns(detector);
}
