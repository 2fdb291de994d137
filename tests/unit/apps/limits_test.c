/* Limits of the programs: what may be set, one below and one above each bound and at it; what
 * depends on each other; the pool of workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "director/config.h"
#include "director/control/control.h"
#include "director/data/data.h"
#include "swap/assignment.h"
#include "support/fake_rpc.h"
#include "worker/worker.h"

enum { OPTIONS_MAX = 6, OPTION_SIZE = 80, KIB = 1024, MIB = 1024 * 1024 };

static rn_settings settings;

/* Options are separated by blanks. */
static int read_with(const rn_program_spec *spec, void *values, const char *options) {
    char text[OPTIONS_MAX * OPTION_SIZE];
    char program[] = "x";
    char *argv[OPTIONS_MAX + 2] = {program};
    char *envp[] = {NULL};
    int argc = 1;
    snprintf(text, sizeof text, "%s", options);
    for (char *rest, *word = strtok_r(text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        assert_true(argc <= OPTIONS_MAX);
        argv[argc++] = word;
    }
    return rn_settings_read(&settings, spec->settings, values, argc, argv, envp);
}

static int read_director(rn_director_config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int read_director(rn_director_config *config, const char *format, ...) {
    char options[OPTIONS_MAX * OPTION_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(options, sizeof options, format, arguments);
    va_end(arguments);
    *config = (rn_director_config){.common = {.log = NULL}};
    return read_with(&rn_director_program, config, options);
}

/* ---- each setting by itself ---- */

static const char *unit_of(const rn_setting *setting) {
    return setting->kind == RN_SETTING_DURATION ? "ns" : "";
}

static void check_value(const rn_program_spec *spec, const rn_setting *setting, uint64_t value,
                        const char *besides, bool good) {
    char options[2 * OPTION_SIZE];
    union {
        rn_director_config director;
        rn_worker_config worker;
    } values;
    memset(&values, 0, sizeof values);
    snprintf(options, sizeof options, "--%s=%llu%s%s", setting->option, (unsigned long long)value,
             value > 0 ? unit_of(setting) : "", besides);
    int result = read_with(spec, &values, options);
    if ((result == RPCNET_OK) != good) {
        fail_msg("%s: %s", options, settings.error);
    }
}

/* What else has to be set for its greatest value. */
static const char *besides_of(const rn_setting *setting) {
    static const char *const windows[] = {"credit-window", "stream-window"};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        if (strcmp(setting->option, windows[i]) == 0) {
            return " --queue-max=256MiB";
        }
    }
    return "";
}

static void check_bounds(const rn_program_spec *spec) {
    unsigned checked = 0;
    for (size_t i = 0; i < spec->settings->count; i++) {
        const rn_setting *setting = &spec->settings->table[i];
        bool counts = setting->kind == RN_SETTING_NUMBER || setting->kind == RN_SETTING_SIZE ||
                      setting->kind == RN_SETTING_DURATION;
        if (!counts || setting->max == 0) {
            continue;
        }
        const char *besides = besides_of(setting);
        bool queue = strcmp(setting->option, "queue-max") == 0; /* its least depends on others */
        if (setting->min > 0 && !queue) {
            check_value(spec, setting, setting->min - 1, besides,
                        setting->min == 1 && setting->zero != NULL);
        }
        check_value(spec, setting, setting->min,
                    queue ? " --credit-window=64KiB "
                            "--stream-window=64KiB"
                          : besides,
                    true);
        check_value(spec, setting, setting->max - 1, besides, true);
        check_value(spec, setting, setting->max, besides, true);
        check_value(spec, setting, setting->max + 1, besides, false);
        checked++;
    }
    assert_true(checked >= 3);
}

static void bounds_of_the_director(void **state) {
    (void)state;
    check_bounds(&rn_director_program);
}

static void bounds_of_the_worker(void **state) {
    (void)state;
    check_bounds(rn_worker_spec());
}

/* ---- what depends on each other ---- */

static void an_assignment_has_to_fit(void **state) {
    (void)state;
    rn_director_config config;
    const uint64_t most = RN_ASSIGNMENT_BYTES_MAX - RN_ASSIGNMENT_SLACK - (uint64_t)10 * MIB;
    for (uint64_t journal = most - 1; journal <= most + 1; journal++) {
        int result =
            read_director(&config, "--journal-max=%llu --request-max=6MiB --checkpoint-max=4MiB",
                          (unsigned long long)journal);
        assert_int_equal(result == RPCNET_OK, journal <= most);
        if (result != RPCNET_OK) {
            assert_non_null(strstr(settings.error, "--journal-max: expected at most 15MiB"));
        }
    }
}

static void a_queue_holds_what_windows_let_through(void **state) {
    (void)state;
    static const char *const windows[] = {"credit-window", "stream-window"};
    rn_director_config config;
    const uint64_t least = RN_RELAY_MESSAGE_MAX + (uint64_t)9 * 512 * KIB;
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t queue = least - 1; queue <= least + 1; queue++) {
            int result = read_director(&config, "--%s=512KiB --queue-max=%llu", windows[i],
                                       (unsigned long long)queue);
            assert_int_equal(result == RPCNET_OK, queue >= least);
            if (result != RPCNET_OK) {
                assert_non_null(strstr(settings.error, "--queue-max: expected at least"));
            }
        }
    }
}

static void the_window_of_a_connection(void **state) {
    (void)state;
    rn_director_config config;
    /* As told. */
    assert_int_equal(read_director(&config, "--streams-max=1"), RPCNET_OK);
    assert_int_equal(rn_director_connection_window(&config), 16 * MIB);
    /* At most an eighth of the memory: one below, at it, one above. */
    const uint64_t most = UINT64_C(2) * MIB;
    for (uint64_t window = most - 1; window <= most + 1; window++) {
        assert_int_equal(read_director(&config,
                                       "--streams-max=1 --memory-max=16MiB "
                                       "--connection-window=%llu",
                                       (unsigned long long)window),
                         RPCNET_OK);
        assert_int_equal(rn_director_connection_window(&config), window < most ? window : most);
    }
    /* At least a share for each stream, and a stream's. */
    const uint64_t least = UINT64_C(64) * KIB + UINT64_C(10) * RN_STREAM_SHARE;
    for (uint64_t window = least - 1; window <= least + 1; window++) {
        assert_int_equal(read_director(&config,
                                       "--streams-max=10 --stream-window=64KiB "
                                       "--connection-window=%llu",
                                       (unsigned long long)window),
                         RPCNET_OK);
        assert_int_equal(rn_director_connection_window(&config), window > least ? window : least);
    }
}

/* ---- workers ---- */

static void the_pool_has_its_limit(void **state) {
    (void)state;
    enum { WORKERS = 3 };
    fake_env fake;
    rn_pool pool;
    fake_env_init(&fake, NULL);
    rn_pool_init(&pool, &fake.env, NULL, WORKERS);
    for (unsigned i = 0; i <= WORKERS; i++) {
        char label[16];
        rn_pool_entry *entry;
        snprintf(label, sizeof label, "worker-%u", i);
        int result = rn_pool_add(&pool, label, "h:1", "h:2", i, &entry);
        assert_int_equal(result, i < WORKERS ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(pool.refused, i == WORKERS);
    }
    rn_pool_entry *again;
    assert_int_equal(rn_pool_add(&pool, "worker-1", "h:1", "h:2", 9, &again), RPCNET_OK);
    rn_pool_remove(&pool, again);
    assert_int_equal(rn_pool_add(&pool, "worker-3", "h:1", "h:2", 9, &again), RPCNET_OK);
    rn_pool_fini(&pool);
}

static void a_worker_takes_so_many_streams(void **state) {
    (void)state;
    rn_worker worker;
    memset(&worker, 0, sizeof worker);
    worker.config.streams_max = 3;
    for (worker.streams = 2; worker.streams <= 4; worker.streams++) {
        const char *refusal = rn_task_refusal(&worker);
        assert_int_equal(refusal == NULL, worker.streams < 3);
        assert_true(refusal == NULL || strcmp(refusal, "full") == 0);
    }
    worker.config.streams_max = 0; /* no limit */
    assert_null(rn_task_refusal(&worker));
}

/* What docs/limits.md says of the ports inside the cluster. */
static void assert_cluster_limits(const rpcnet_limits *limits) {
    assert_int_equal(limits->handshakes_max, 512);
    assert_int_equal(limits->handshakes_per_address, 128);
    assert_int_equal(limits->handshake_timeout_ns, 3 * RN_SECOND);
}

/* Strangers cannot take the places of workers, though the pool be full. */
static void connections_with_the_mgmt_port(void **state) {
    (void)state;
    const uint8_t secret[RPCNET_SECRET_LEN] = {0};
    const rn_control_options options = {
        .address = "h:1", .secret = secret, .workers_max = RN_POOL_MAX};
    rn_control control;
    assert_int_equal(rn_control_start(&control, &options), RPCNET_OK);
    const rpcnet_limits *limits = &fake_world_get()->servers[0].limits;
    assert_cluster_limits(limits);
    assert_int_equal(limits->connections_max, 1024);
    assert_int_equal(limits->connections_max, UINT64_C(2) * RN_POOL_MAX + limits->handshakes_max);
    assert_int_equal(limits->connections_per_address, 512);
    assert_int_equal(limits->streams_max, 8);
    assert_int_equal(limits->stream_window_bytes, 64 * KIB);
    assert_int_equal(limits->connection_window_bytes, 128 * KIB);
    rn_control_stop(&control);
    fake_world_reset();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_of_the_director),
        cmocka_unit_test(bounds_of_the_worker),
        cmocka_unit_test(an_assignment_has_to_fit),
        cmocka_unit_test(a_queue_holds_what_windows_let_through),
        cmocka_unit_test(the_window_of_a_connection),
        cmocka_unit_test(the_pool_has_its_limit),
        cmocka_unit_test(a_worker_takes_so_many_streams),
        cmocka_unit_test(connections_with_the_mgmt_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
