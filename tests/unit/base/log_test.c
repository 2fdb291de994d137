/* Tests of base/log: the line, the filter, escaping, limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "naive.h"
#include "rpcnet/error.h"

typedef struct capture {
    uint64_t wall;
    char line[RN_LOG_LINE_MAX + 1];
    char lost[RN_LOG_LINE_MAX + 1]; /* the last line about lost ones */
    size_t len;
    size_t count;
    bool full; /* takes nothing */
} capture;

static uint64_t capture_wall(void *user) {
    return ((const capture *)user)->wall;
}

static bool capture_write(const char *line, size_t len, void *user) {
    capture *c = user;
    if (c->full) {
        return false;
    }
    assert_true(len <= RN_LOG_LINE_MAX);
    memcpy(c->line, line, len);
    c->line[len] = '\0';
    c->len = len;
    c->count++;
    if (strstr(c->line, "were lost") != NULL) {
        memcpy(c->lost, c->line, len + 1);
    }
    return true;
}

static rn_log *log_new(capture *c, const char *filter, const char **invalid) {
    rn_log_sink sink = {.wall = capture_wall, .write = capture_write, .user = c};
    rn_log *log;
    memset(c, 0, sizeof *c);
    c->wall = UINT64_C(1795324080999999999);
    assert_int_equal(rn_log_new(&log, filter, &sink, invalid), RPCNET_OK);
    return log;
}

static void test_line(void **state) {
    (void)state;
    capture c;
    const char *invalid;
    rn_log *log = log_new(&c, "trace", &invalid);
    assert_null(invalid);
    RN_INFO(log, "connection_swap::director", "stream.id=%d client opened stream", 1);
    assert_string_equal(c.line, "[2026-11-22T05:08:00Z INFO connection_swap::director] stream.id=1 "
                                "client opened stream\n");
    RN_WARN(log, "worker", "w");
    assert_string_equal(c.line, "[2026-11-22T05:08:00Z WARN worker] w\n");
    RN_ERROR(log, "worker", "e");
    assert_string_equal(c.line, "[2026-11-22T05:08:00Z ERROR worker] e\n");
    RN_DEBUG(log, "worker", "d");
    assert_string_equal(c.line, "[2026-11-22T05:08:00Z DEBUG worker] d\n");
    RN_TRACE(log, "worker", "%s", "");
    assert_string_equal(c.line, "[2026-11-22T05:08:00Z TRACE worker] \n");
    assert_int_equal(c.count, 5);
    rn_log_del(log);
    rn_log_del(NULL);
}

static void test_lost_lines(void **state) {
    (void)state;
    capture c;
    rn_log *log = log_new(&c, "worker=info", NULL);
    RN_INFO(log, "worker", "one");
    assert_int_equal(rn_log_lines_lost(log), 0);
    c.full = true;
    for (unsigned i = 1; i <= 3; i++) {
        RN_INFO(log, "worker", "nobody reads this");
        assert_int_equal(rn_log_lines_lost(log), i);
    }
    RN_DEBUG(log, "worker", "filtered, not lost");
    assert_int_equal(rn_log_lines_lost(log), 3);
    c.full = false;
    RN_INFO(log, "worker", "two");
    assert_string_equal(c.line, "[2026-11-22T05:08:00Z INFO worker] two\n");
    assert_string_equal(c.lost,
                        "[2026-11-22T05:08:00Z WARN rpcnet::log] lines=3 log lines were lost\n");
    assert_int_equal(c.count, 3);
    RN_INFO(log, "worker", "three"); /* it is told once */
    assert_int_equal(c.count, 4);
    c.full = true;
    RN_INFO(log, "worker", "lost again");
    c.full = false;
    RN_INFO(log, "worker", "four");
    assert_string_equal(c.lost,
                        "[2026-11-22T05:08:00Z WARN rpcnet::log] lines=1 log lines were lost\n");
    assert_int_equal(rn_log_lines_lost(log), 4);
    rn_log_del(log);
}

static void test_times(void **state) {
    (void)state;
    static const struct {
        uint64_t seconds;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00Z"},           {86399, "1970-01-01T23:59:59Z"},
        {951782399, "2000-02-28T23:59:59Z"},   {951782400, "2000-02-29T00:00:00Z"},
        {951868800, "2000-03-01T00:00:00Z"},   {1709164800, "2024-02-29T00:00:00Z"},
        {1735689599, "2024-12-31T23:59:59Z"},  {1735689600, "2025-01-01T00:00:00Z"},
        {4107542399, "2100-02-28T23:59:59Z"},  {4107542400, "2100-03-01T00:00:00Z"},
        {18446744073, "2554-07-21T23:34:33Z"},
    };
    capture c;
    rn_log *log = log_new(&c, NULL, NULL);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char expected[64];
        c.wall = times[i].seconds * UINT64_C(1000000000);
        RN_INFO(log, "t", "m");
        snprintf(expected, sizeof expected, "[%s INFO t] m\n", times[i].text);
        assert_string_equal(c.line, expected);
    }
    rn_log_del(log);
}

typedef struct filter_sample {
    const char *filter;
    const char *target;
    enum rn_log_level level; /* the most verbose one that is written */
    bool invalid;
} filter_sample;

static const filter_sample filters[] = {
    {NULL, "worker", RN_LOG_INFO, false},
    {"", "worker", RN_LOG_INFO, false},
    {" , ,", "worker", RN_LOG_INFO, false},
    {"off", "worker", RN_LOG_OFF, false},
    {"OFF", "worker", RN_LOG_OFF, false},
    {"error", "worker", RN_LOG_ERROR, false},
    {"Warn", "worker", RN_LOG_WARN, false},
    {"iNFO", "worker", RN_LOG_INFO, false},
    {"debuG", "worker", RN_LOG_DEBUG, false},
    {"TRACE", "worker", RN_LOG_TRACE, false},
    {"info,debug", "worker", RN_LOG_DEBUG, false},
    {"worker", "worker", RN_LOG_TRACE, false},
    {"worker", "director", RN_LOG_OFF, false},
    {"worker=", "worker", RN_LOG_TRACE, false},
    {"worker=warn", "worker", RN_LOG_WARN, false},
    {"worker= warn ", "worker", RN_LOG_WARN, false},
    {"worker=warn", "director", RN_LOG_OFF, false},
    {"worker=warn", "worker::pool", RN_LOG_WARN, false},
    {"worker=warn", "worker-a", RN_LOG_WARN, false},
    {"worker=warn", "work", RN_LOG_OFF, false},
    {"worker=off,info", "worker", RN_LOG_OFF, false},
    {"worker=off,info", "director", RN_LOG_INFO, false},
    {"info,worker=off", "worker", RN_LOG_OFF, false},
    {"warn,connection_swap::director=debug", "connection_swap::director", RN_LOG_DEBUG, false},
    {"warn,connection_swap::director=debug", "connection_swap::client_app", RN_LOG_WARN, false},
    {"a::b=error,a=trace", "a::b::c", RN_LOG_ERROR, false},
    {"a=trace,a::b=error", "a::b::c", RN_LOG_ERROR, false},
    {"a=trace,a::b=error", "a::c", RN_LOG_TRACE, false},
    {"a=trace,b=warn,a=error", "a", RN_LOG_ERROR, false},
    {"a=loud,b=warn", "a", RN_LOG_OFF, true},
    {"a=loud,b=warn", "b", RN_LOG_WARN, true},
    {"a=loud", "a", RN_LOG_INFO, true},
    {"a=warn=info,b=debug", "a", RN_LOG_OFF, true},
    {"a=warn=info,b=debug", "b", RN_LOG_DEBUG, true},
    {"debug/a/b", "worker", RN_LOG_INFO, true},
    {"loud", "worker", RN_LOG_OFF, false},
    {"loud", "loud", RN_LOG_TRACE, false},
    {"worker=debug/", "worker", RN_LOG_DEBUG, false},
    {"=warn", "worker", RN_LOG_WARN, false},
};

static void test_filters(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        const filter_sample *f = &filters[i];
        capture c;
        const char *invalid;
        rn_log *log = log_new(&c, f->filter, &invalid);
        for (int level = RN_LOG_ERROR; level <= RN_LOG_TRACE; level++) {
            bool enabled = rn_log_enabled(log, (enum rn_log_level)level, f->target);
            if (enabled != (level <= (int)f->level)) {
                fail_msg("'%s', target %s, level %d", f->filter, f->target, level);
            }
            c.count = 0;
            rn_log_write(log, (enum rn_log_level)level, f->target, "m");
            assert_int_equal(c.count, enabled ? 1 : 0);
        }
        assert_false(rn_log_enabled(log, RN_LOG_OFF, f->target));
        assert_int_equal(invalid != NULL, f->invalid);
        rn_log_del(log);
    }
}

static void test_text_of_a_filter(void **state) {
    (void)state;
    capture c;
    rn_log *log = log_new(&c, "info/a.c", NULL);
    RN_INFO(log, "t", "xa.cx");
    assert_int_equal(c.count, 1);
    RN_INFO(log, "t", "xabcx");
    assert_int_equal(c.count, 1);
    RN_DEBUG(log, "t", "a.c");
    assert_int_equal(c.count, 1);
    /* The target is no part of the message. */
    RN_INFO(log, "a.c", "m");
    assert_int_equal(c.count, 1);
    rn_log_del(log);
    log = log_new(&c, "/x", NULL);
    RN_INFO(log, "t", "x");
    RN_INFO(log, "t", "y");
    RN_DEBUG(log, "t", "x");
    assert_int_equal(c.count, 1);
    rn_log_del(log);
}

static void test_arguments_are_not_evaluated_in_vain(void **state) {
    (void)state;
    capture c;
    rn_log *log = log_new(&c, "info", NULL);
    int evaluated = 0;
    RN_DEBUG(log, "t", "%d", ++evaluated);
    assert_int_equal(evaluated, 0);
    RN_INFO(log, "t", "%d", ++evaluated);
    assert_int_equal(evaluated, 1);
    rn_log_del(log);
}

static void test_directive_limit(void **state) {
    (void)state;
    for (int count = RN_LOG_DIRECTIVES_MAX - 1; count <= RN_LOG_DIRECTIVES_MAX + 1; count++) {
        char filter[1024] = "";
        size_t len = 0;
        for (int i = 0; i < count; i++) {
            len += (size_t)snprintf(filter + len, sizeof filter - len, "t%d=warn,", i);
        }
        capture c = {.wall = 0};
        rn_log_sink sink = {.wall = capture_wall, .write = capture_write, .user = &c};
        rn_log *log;
        bool fits = count <= RN_LOG_DIRECTIVES_MAX;
        assert_int_equal(rn_log_new(&log, filter, &sink, NULL),
                         fits ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(log != NULL, fits);
        if (fits) {
            assert_true(rn_log_enabled(log, RN_LOG_WARN, "t0"));
            assert_false(rn_log_enabled(log, RN_LOG_INFO, "t0"));
        }
        rn_log_del(log);
    }
}

static void test_escaping(void **state) {
    (void)state;
    capture c;
    rn_log *log = log_new(&c, NULL, NULL);
    RN_INFO(log, "t", "label=%s", "a\n[2026] ERROR forged\x1b[2J\xc2\x9b\xff gr\xc3\xbc\xc3\x9f");
    assert_string_equal(c.line, "[2026-11-22T05:08:00Z INFO t] label=a\\x0a[2026] ERROR forged"
                                "\\x1b[2J\\xc2\\x9b\\xff gr\xc3\xbc\xc3\x9f\n");
    RN_INFO(log, "t", "%c|", 0);
    assert_string_equal(c.line, "[2026-11-22T05:08:00Z INFO t] \\x00|\n");
    rn_log_del(log);
}

static void test_line_limit(void **state) {
    (void)state;
    capture c;
    rn_log *log = log_new(&c, NULL, NULL);
    char message[2 * RN_LOG_LINE_MAX];
    size_t head = strlen("[2026-11-22T05:08:00Z INFO t] ");
    size_t fits = RN_LOG_LINE_MAX - head - 1;
    for (size_t len = fits - 1; len <= fits + 1; len++) {
        memset(message, 'm', len);
        message[len] = '\0';
        RN_INFO(log, "t", "%s", message);
        assert_int_equal(c.line[c.len - 1], '\n');
        if (len <= fits) {
            assert_int_equal(c.len, head + len + 1);
            assert_null(strstr(c.line, "…"));
        } else {
            assert_int_equal(c.len, RN_LOG_LINE_MAX);
            assert_memory_equal(c.line + c.len - 5, "m…\n", 5);
        }
    }
    /* Far over it, also as escapes and as characters of several bytes, which are never split. */
    memset(message, '\n', sizeof message);
    message[sizeof message - 1] = '\0';
    RN_INFO(log, "t", "%s", message);
    assert_true(c.len > RN_LOG_LINE_MAX - 8);
    assert_memory_equal(c.line + c.len - 8, "\\x0a…\n", 8);
    for (size_t shift = 0; shift < 3; shift++) {
        memset(message, 'm', shift);
        for (size_t i = shift; i + 3 < sizeof message; i += 3) {
            memcpy(message + i, "€", 4);
        }
        RN_INFO(log, "t", "%s", message);
        assert_true(c.len > RN_LOG_LINE_MAX - 4);
        assert_memory_equal(c.line + c.len - 7, "€…\n", 7);
        assert_null(strstr(c.line, "\\x"));
    }
    rn_log_del(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_lost_lines),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_text_of_a_filter),
        cmocka_unit_test(test_arguments_are_not_evaluated_in_vain),
        cmocka_unit_test(test_directive_limit),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_line_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
