/* Unit tests of src/swap/detector: both limits at the nanosecond, false suspicion, pauses of our
 * own, rests, replies that make no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"
#include "swap/detector.h"

#define MS RN_MILLISECOND
#define START (9 * RN_SECOND)

static rn_detector_config config;
static rn_detector detector;
static uint64_t now;

static int begin(void **state) {
    (void)state;
    rn_detector_config_default(&config);
    now = START;
    rn_detector_init(&detector, &config, now);
    return 0;
}

/* `count` probes in the rhythm, each answered after `round_trip_ns`; ends at a probe's time. */
static void answered(unsigned count, uint64_t round_trip_ns) {
    for (unsigned i = 0; i < count; i++) {
        uint64_t n = rn_detector_probe(&detector, now);
        assert_false(rn_detector_check(&detector, now + round_trip_ns));
        assert_int_equal(rn_detector_reply(&detector, n, now + round_trip_ns), RN_DETECTOR_ALIVE);
        now += config.interval_ns;
    }
}

/* Probes go on without replies; returns when the link became suspect. */
static uint64_t silence(void) {
    for (unsigned i = 0; i < 100; i++) {
        rn_detector_probe(&detector, now);
        uint64_t deadline = rn_detector_deadline(&detector);
        assert_true(deadline != RN_NEVER);
        if (deadline < now + config.interval_ns) {
            assert_false(rn_detector_check(&detector, deadline - 1));
            assert_true(rn_detector_check(&detector, deadline));
            assert_false(rn_detector_check(&detector, deadline)); /* said once */
            assert_true(rn_detector_deadline(&detector) == RN_NEVER);
            now += config.interval_ns;
            return deadline;
        }
        assert_false(rn_detector_check(&detector, now));
        now += config.interval_ns;
    }
    fail_msg("never suspect");
    return 0;
}

static void the_bound_while_nothing_is_known(void **state) {
    (void)state;
    assert_true(rn_detector_deadline(&detector) == RN_NEVER);
    assert_false(rn_detector_check(&detector, now + RN_SECOND));
    now += RN_SECOND;
    /* The silence begins with the rhythm, not when the link was made. */
    assert_true(silence() == START + RN_SECOND - 25 * MS + 250 * MS);
    assert_true(detector.suspect);
    assert_int_equal(detector.suspicions, 1);
}

/* Rarely asked, it is silent in between because it owes nothing. */
static void a_probe_leaves_time_for_its_answer(void **state) {
    (void)state;
    config.interval_ns = 10 * RN_SECOND;
    config.pause_ns = 4 * config.interval_ns;
    answered(2, 1 * MS);
    uint64_t sent = now;
    (void)rn_detector_probe(&detector, now);
    assert_true(rn_detector_deadline(&detector) == sent - 25 * MS + 250 * MS);
}

static void the_bound_counts_from_the_last_reply(void **state) {
    (void)state;
    answered(RN_DETECTOR_BOOTSTRAP - 1, 1 * MS);
    uint64_t last_reply = now - 25 * MS + 1 * MS;
    assert_true(silence() == last_reply + 250 * MS);
}

static void phi_is_sooner_on_a_steady_link(void **state) {
    (void)state;
    answered(RN_DETECTOR_BOOTSTRAP, 1 * MS);
    uint64_t first_silent = now;
    /* 1 ms + 5.612 deviations of at least 20 ms. */
    assert_true(silence() == first_silent + 1 * MS + 20 * MS / 10000 * 56120);
}

/* One that asks once a second takes no answer for late that may be a second away. */
static void phi_is_no_finer_than_the_rhythm(void **state) {
    (void)state;
    config.interval_ns = RN_SECOND;
    config.pause_ns = 2 * RN_SECOND;
    config.bound_ns = 60 * RN_SECOND;
    answered(RN_DETECTOR_BOOTSTRAP, 1 * MS);
    rn_detector_probe(&detector, now);
    assert_true(rn_detector_deadline(&detector) == now + 1 * MS + 500 * MS / 10000 * 56120);
}

static void phi_follows_the_deviation(void **state) {
    (void)state;
    for (unsigned i = 0; i < RN_DETECTOR_WINDOW / 2; i++) {
        answered(1, 20 * MS);
        uint64_t n = rn_detector_probe(&detector, now);
        now += 80 * MS;
        rn_detector_reply(&detector, n, now);
    }
    assert_int_equal(detector.mean_us, 50000);
    assert_int_equal(detector.deviation_us, 30000);
    uint64_t first_silent = now;
    assert_true(silence() == first_silent + 50 * MS + 30 * MS / 10000 * 56120);
}

static void the_bound_holds_on_an_unsteady_link(void **state) {
    (void)state;
    for (unsigned i = 0; i < RN_DETECTOR_WINDOW; i++) {
        uint64_t n = rn_detector_probe(&detector, now);
        now += (i % 2 == 0 ? 1 : 99) * MS;
        rn_detector_reply(&detector, n, now);
    }
    uint64_t last_reply = now;
    assert_true(silence() == last_reply + 250 * MS);
}

/* Tail odds of the normal distribution from printed tables: 1.2816 for 10 %, 2.3263 for 1 %, 3.0902
 * for 0.1 %, 3.7190, 4.2649, 4.7534, 5.1993, 5.6120 deviations for the next powers of ten. */
static void phi_is_what_it_says(void **state) {
    (void)state;
    static const uint64_t z[] = {0, 12816, 23263, 30902, 37190, 42649, 47534, 51993, 56120};
    for (uint32_t threshold = 1; threshold <= 8; threshold++) {
        begin(NULL);
        config.threshold = threshold;
        answered(RN_DETECTOR_BOOTSTRAP, 0);
        uint64_t first_silent = now;
        assert_true(silence() == first_silent + 20 * MS / 10000 * z[threshold]);
    }
}

static void every_threshold(void **state) {
    (void)state;
    uint64_t last = 0;
    for (uint32_t threshold = 1; threshold <= RN_DETECTOR_THRESHOLD_MAX; threshold++) {
        begin(NULL);
        config.threshold = threshold;
        config.min_deviation_ns = 5 * MS;
        answered(RN_DETECTOR_BOOTSTRAP, 1 * MS);
        uint64_t first_silent = now;
        uint64_t after = silence() - first_silent;
        assert_true(after > last);
        last = after;
    }
}

static void a_late_reply_clears(void **state) {
    (void)state;
    answered(20, 1 * MS);
    silence();
    uint64_t n = detector.last_sent;
    assert_int_equal(rn_detector_reply(&detector, n, now), RN_DETECTOR_CLEARED);
    assert_false(detector.suspect);
    assert_int_equal(detector.false_suspicions, 1);
    assert_int_equal(rn_detector_reply(&detector, n, now), RN_DETECTOR_OLD);
    assert_true(rn_detector_deadline(&detector) == RN_NEVER); /* nothing is out */
    answered(5, 1 * MS);
    silence();
    assert_int_equal(detector.suspicions, 2);
    assert_int_equal(detector.false_suspicions, 1);
}

static void one_reply_answers_all_before_it(void **state) {
    (void)state;
    uint64_t first = rn_detector_probe(&detector, now);
    rn_detector_probe(&detector, now + 25 * MS);
    uint64_t third = rn_detector_probe(&detector, now + 50 * MS);
    assert_int_equal(rn_detector_reply(&detector, third, now + 51 * MS), RN_DETECTOR_ALIVE);
    assert_int_equal(detector.round_trips, 1);
    assert_int_equal(detector.mean_us, 1000);
    assert_int_equal(rn_detector_reply(&detector, first, now + 52 * MS), RN_DETECTOR_OLD);
    assert_int_equal(rn_detector_reply(&detector, third, now + 52 * MS), RN_DETECTOR_OLD);
    assert_int_equal(detector.round_trips, 1);
}

static void replies_that_answer_nothing(void **state) {
    (void)state;
    assert_int_equal(rn_detector_reply(&detector, 1, now), RN_DETECTOR_BOGUS);
    uint64_t n = rn_detector_probe(&detector, now);
    assert_int_equal(n, 1);
    assert_int_equal(rn_detector_reply(&detector, 0, now), RN_DETECTOR_BOGUS);
    assert_int_equal(rn_detector_reply(&detector, n + 1, now), RN_DETECTOR_BOGUS);
    assert_int_equal(rn_detector_reply(&detector, UINT64_MAX, now), RN_DETECTOR_BOGUS);
    assert_int_equal(detector.round_trips, 0);
    assert_int_equal(rn_detector_reply(&detector, n, now), RN_DETECTOR_ALIVE);
}

static void probes_are_bounded(void **state) {
    (void)state;
    for (uint64_t n = 1; n <= RN_DETECTOR_OUTSTANDING; n++) {
        assert_int_equal(rn_detector_probe(&detector, now), n);
        now += 25 * MS;
    }
    assert_int_equal(rn_detector_probe(&detector, now), 0);
    assert_int_equal(rn_detector_reply(&detector, 1, now), RN_DETECTOR_ALIVE);
    assert_int_equal(rn_detector_probe(&detector, now), RN_DETECTOR_OUTSTANDING + 1);
    assert_int_equal(rn_detector_probe(&detector, now), 0);
}

/* What is out is enough to clear it. Only when all of that is forgotten another one has to go. */
static void a_suspect_is_not_probed_again(void **state) {
    (void)state;
    answered(20, 1 * MS);
    (void)silence();
    uint64_t last = detector.last_sent;
    assert_int_equal(rn_detector_probe(&detector, now), 0);
    assert_int_equal(rn_detector_reply(&detector, last, now), RN_DETECTOR_CLEARED);
    assert_int_equal(rn_detector_probe(&detector, now), last + 1);
    (void)silence();
    last = detector.last_sent;
    rn_detector_rest(&detector);
    assert_int_equal(rn_detector_probe(&detector, now), last + 1);
    assert_int_equal(rn_detector_probe(&detector, now), 0);
}

static void a_pause_of_our_own_is_no_silence(void **state) {
    (void)state;
    answered(20, 1 * MS);
    uint64_t n = rn_detector_probe(&detector, now);
    uint64_t deadline = rn_detector_deadline(&detector);
    now += 10 * RN_SECOND; /* we were stopped */
    assert_false(rn_detector_check(&detector, now));
    /* As if the pause had lasted one interval. */
    assert_true(rn_detector_deadline(&detector) == deadline + 10 * RN_SECOND - 25 * MS);
    assert_int_equal(rn_detector_reply(&detector, n, now), RN_DETECTOR_ALIVE);
    assert_true(detector.mean_us < 3000);
    now += 25 * MS;
    answered(5, 1 * MS);
    silence();
    assert_int_equal(detector.suspicions, 1);
}

static void the_length_of_a_pause(void **state) {
    (void)state;
    /* One that is just not a pause counts in full. */
    rn_detector_probe(&detector, now);
    uint64_t deadline = rn_detector_deadline(&detector);
    now += config.pause_ns;
    rn_detector_check(&detector, now);
    assert_true(rn_detector_deadline(&detector) == deadline);
    now += config.pause_ns + 1;
    rn_detector_check(&detector, now);
    assert_true(rn_detector_deadline(&detector) == deadline + config.pause_ns + 1 - 25 * MS);
}

static void a_rest_is_no_silence(void **state) {
    (void)state;
    answered(20, 1 * MS);
    uint64_t n = rn_detector_probe(&detector, now);
    rn_detector_rest(&detector);
    assert_true(rn_detector_deadline(&detector) == RN_NEVER);
    now += 3600 * RN_SECOND;
    assert_false(rn_detector_check(&detector, now));
    assert_int_equal(rn_detector_reply(&detector, n, now), RN_DETECTOR_OLD);
    uint64_t first_silent = now;
    assert_true(silence() == first_silent + 1 * MS + 20 * MS / 10000 * 56120);
    /* A suspicion outlives a rest: only a reply clears it. */
    rn_detector_rest(&detector);
    now += RN_SECOND;
    n = rn_detector_probe(&detector, now);
    assert_false(rn_detector_check(&detector, now));
    assert_true(detector.suspect);
    assert_int_equal(rn_detector_reply(&detector, n, now), RN_DETECTOR_CLEARED);
}

/* The worker is suspected under strain and answers `late_ns` behind that. */
static void late_under_strain(uint64_t late_ns) {
    rn_detector_strain(&detector, true);
    uint64_t seen = silence();
    now = seen + late_ns;
    assert_int_equal(rn_detector_reply(&detector, detector.last_sent, now), RN_DETECTOR_CLEARED);
    rn_detector_strain(&detector, false);
    now += config.interval_ns;
}

static void a_frame_is_heard_like_a_reply(void **state) {
    (void)state;
    answered(20, 1 * MS);
    uint64_t n = rn_detector_probe(&detector, now);
    /* The reply stands behind a burst, whose streams begin one by one. */
    for (unsigned i = 0; i < 100; i++) {
        now += 25 * MS;
        assert_false(rn_detector_check(&detector, now));
        rn_detector_heard(&detector, now);
    }
    /* The limits of phi and, with little known, of the bound count from the last of them. */
    assert_true(rn_detector_deadline(&detector) == now + 1 * MS + 20 * MS / 10000 * 56120);
    assert_int_equal(rn_detector_reply(&detector, n, now), RN_DETECTOR_ALIVE);
    begin(NULL);
    rn_detector_probe(&detector, now);
    rn_detector_heard(&detector, now + 9 * MS);
    assert_true(rn_detector_deadline(&detector) == now + 9 * MS + 250 * MS);
}

static void a_frame_ends_no_suspicion(void **state) {
    (void)state;
    silence();
    rn_detector_heard(&detector, now);
    assert_true(detector.suspect);
    assert_true(rn_detector_deadline(&detector) == RN_NEVER);
}

static void strain_makes_patient(void **state) {
    (void)state;
    assert_true(rn_detector_bound_ns(&detector) == 250 * MS);
    rn_detector_strain(&detector, true);
    assert_true(rn_detector_bound_ns(&detector) == 1000 * MS);
    assert_true(silence() == START - 25 * MS + 25 * MS + 1000 * MS);
    begin(NULL);
    answered(RN_DETECTOR_BOOTSTRAP, 1 * MS);
    uint64_t first_silent = now;
    rn_detector_strain(&detector, true);
    assert_true(silence() == first_silent + 4 * (1 * MS + 20 * MS / 10000 * 56120));
    assert_int_equal(detector.patience, 1); /* it may be dead */
}

static void a_suspicion_under_strain_that_was_false(void **state) {
    (void)state;
    answered(20, 1 * MS);
    late_under_strain(100 * MS);
    assert_int_equal(detector.patience, 8);
    assert_true(rn_detector_bound_ns(&detector) == 2000 * MS);
    uint64_t first_silent = now;
    late_under_strain(100 * MS);
    assert_true(now > first_silent + 8 * (1 * MS + 20 * MS / 10000 * 56120));
    assert_int_equal(detector.patience, 16);
    assert_true(rn_detector_bound_ns(&detector) == 4000 * MS);
    late_under_strain(100 * MS);
    assert_int_equal(detector.patience, RN_DETECTOR_PATIENCE_MAX);
}

static void patience_ends_with_calm(void **state) {
    (void)state;
    answered(20, 1 * MS);
    late_under_strain(100 * MS);
    const unsigned calm = (unsigned)(RN_DETECTOR_CALM_NS / config.interval_ns);
    answered(calm, 1 * MS);
    assert_int_equal(detector.patience, 4);
    /* A reply that needed it: the calm begins anew. */
    uint64_t n = rn_detector_probe(&detector, now);
    now += 75 * MS;
    rn_detector_check(&detector, now);
    now += 75 * MS;
    assert_false(rn_detector_check(&detector, now));
    assert_int_equal(rn_detector_reply(&detector, n, now), RN_DETECTOR_ALIVE);
    uint64_t needed = now;
    answered(calm, 1 * MS);
    assert_int_equal(detector.patience, 4);
    answered(1, 1 * MS);
    assert_int_equal(detector.patience, 2);
    assert_true(now - needed >= RN_DETECTOR_CALM_NS);
    answered(3 * calm, 1 * MS);
    assert_int_equal(detector.patience, 1);
    answered(2, 1 * MS);
    uint64_t first_silent = now;
    assert_true(silence() <= first_silent + 250 * MS);
}

/* One that is stopped again and again is found as soon each time, however soon it goes on. */
static void stops_make_nobody_patient(void **state) {
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        answered(12, 1 * MS);
        uint64_t heard = now - 24 * MS;
        uint64_t seen = silence();
        assert_true(seen <= heard + 250 * MS);
        now = seen + 2 * MS;
        rn_detector_reply(&detector, detector.last_sent, now);
        now += config.interval_ns;
        assert_int_equal(detector.patience, 1);
    }
    /* Nor does one that was stopped under strain, and not for a moment. */
    late_under_strain(2 * RN_SECOND + 1);
    assert_int_equal(detector.patience, 1);
    late_under_strain(2 * RN_SECOND);
    assert_int_equal(detector.patience, 8);
}

static void patience_has_a_longest_bound(void **state) {
    (void)state;
    config.bound_ns = 2 * RN_SECOND;
    rn_detector_strain(&detector, true);
    assert_true(rn_detector_bound_ns(&detector) == 4 * RN_SECOND);
    config.bound_ns = 60 * RN_SECOND;
    assert_true(rn_detector_bound_ns(&detector) == 60 * RN_SECOND);
}

/* On a healthy, jittery link nothing is suspected; a death is always seen within the bound. */
static void random_links(void **state) {
    (void)state;
    random_source random = {0x5eed0005};
    print_message("seed 0x5eed0005\n");
    for (unsigned round = 0; round < 300; round++) {
        begin(NULL);
        uint64_t base = random_below(&random, 40) * MS / 2;
        unsigned count = (unsigned)random_below(&random, 200);
        uint64_t heard = 0;
        for (unsigned i = 0; i < count; i++) {
            uint64_t n = rn_detector_probe(&detector, now);
            heard = now + base + random_below(&random, 5 * MS);
            assert_false(rn_detector_check(&detector, heard));
            assert_int_equal(rn_detector_reply(&detector, n, heard), RN_DETECTOR_ALIVE);
            now += config.interval_ns;
        }
        uint64_t died = count > 0 ? heard : now;
        uint64_t seen = silence();
        assert_true(seen > died && seen <= died + config.bound_ns);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        TEST(the_bound_while_nothing_is_known),
        TEST(a_probe_leaves_time_for_its_answer),
        TEST(the_bound_counts_from_the_last_reply),
        TEST(phi_is_sooner_on_a_steady_link),
        TEST(phi_is_no_finer_than_the_rhythm),
        TEST(phi_follows_the_deviation),
        TEST(the_bound_holds_on_an_unsteady_link),
        TEST(phi_is_what_it_says),
        TEST(every_threshold),
        TEST(a_late_reply_clears),
        TEST(one_reply_answers_all_before_it),
        TEST(replies_that_answer_nothing),
        TEST(probes_are_bounded),
        TEST(a_suspect_is_not_probed_again),
        TEST(a_pause_of_our_own_is_no_silence),
        TEST(the_length_of_a_pause),
        TEST(a_rest_is_no_silence),
        TEST(a_frame_is_heard_like_a_reply),
        TEST(a_frame_ends_no_suspicion),
        TEST(strain_makes_patient),
        TEST(a_suspicion_under_strain_that_was_false),
        TEST(patience_ends_with_calm),
        TEST(stops_make_nobody_patient),
        TEST(patience_has_a_longest_bound),
        TEST(random_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
