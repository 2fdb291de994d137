/* Tests of client/report: the lines in each form. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/report.h"
#include "swap/reason.h"

/* What an output has written, in a file. */
typedef struct paper {
    FILE *file;
    rn_output output;
} paper;

static void open_paper(paper *p) {
    p->file = tmpfile();
    assert_non_null(p->file);
    assert_int_equal(rn_output_init(&p->output, NULL, fileno(p->file), NULL, NULL), RPCNET_OK);
}

/* To be freed. */
static char *take_text(paper *p) {
    struct stat status;
    rn_output_flush(&p->output);
    assert_int_equal(p->output.error, 0);
    assert_int_equal(fstat(fileno(p->file), &status), 0);
    char *text = calloc(1, (size_t)status.st_size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fileno(p->file), text, (size_t)status.st_size, 0), status.st_size);
    rn_output_fini(&p->output);
    fclose(p->file);
    return text;
}

static void paper_is(paper *p, const char *expected) {
    char *text = take_text(p);
    assert_string_equal(text, expected);
    free(text);
}

static const rn_report_place place = {.connection = "conn-1", .worker = "worker-a", .stream = 1};

static void tell(rn_report *report) {
    rn_report_swap swap = {.stream = 1,
                           .gap_ns = 12345678,
                           .reason = RN_SWAP_FAILURE,
                           .from = "worker-a",
                           .to = "worker-b",
                           .message = "worker-a simulated failure"};
    const rpcnet_channel_stats stats = {.connections_opened = 1, .handshakes_completed = 1};
    rn_report_connected(report, &place);
    rn_report_token(report, &place, 1, "The", 5, true);
    rn_report_token(report, &place, 2, " end", 6, true);
    size_t index = rn_report_add_swap(report, &swap);
    rn_report_swap_at(report, index)->sequence = 3;
    rn_report_token(report, &place, 3, ".", 7, true);
    rn_report_token(report, &place, 1, " other", 8, false);
    rn_report_done(report, &place, "all tokens");
    report->streams = 2;
    rn_report_summary(report, &stats, false);
}

static void test_log(void **state) {
    (void)state;
    rn_report report;
    paper p;
    open_paper(&p);
    rn_report_init(&report, RN_PRINT_LOG, &p.output, &p.output);
    tell(&report);
    rn_report_fini(&report);
    paper_is(&p, "[connected] connection=conn-1 worker=worker-a stream=1\n"
                 "[token] connection=conn-1 worker=worker-a stream=1 seq=1 The\n"
                 "[token] connection=conn-1 worker=worker-a stream=1 seq=2 end\n"
                 "[token] connection=conn-1 worker=worker-a stream=1 seq=3 .\n"
                 "[token] connection=conn-1 worker=worker-a stream=1 seq=1 other\n"
                 "[done] connection=conn-1 worker=worker-a stream=1 all tokens\n"
                 "[swap] stream=1 worker-a → worker-b reason=failure gap=12.3ms seq=3 "
                 "worker-a simulated failure\n"
                 "[summary] tokens=4 lost=0 duplicated=0 reordered=0 swaps=1 connections=1 "
                 "handshakes=1 streams=2 failed=0\n");
}

static void test_text(void **state) {
    (void)state;
    rn_report report;
    paper p;
    paper info;
    open_paper(&p);
    open_paper(&info);
    rn_report_init(&report, RN_PRINT_TEXT, &p.output, &info.output);
    tell(&report);
    rn_report_fini(&report);
    paper_is(&p, "The end.\n");
    char *text = take_text(&info);
    assert_non_null(strstr(text, "[summary] tokens=4 "));
    free(text);
}

static void test_json(void **state) {
    (void)state;
    rn_report report;
    paper p;
    open_paper(&p);
    rn_report_init(&report, RN_PRINT_JSON, &p.output, &p.output);
    tell(&report);
    rn_report_fini(&report);
    paper_is(
        &p,
        "{\"event\":\"connected\",\"connection\":\"conn-1\",\"worker\":\"worker-a\",\"stream\":1}\n"
        "{\"event\":\"token\",\"connection\":\"conn-1\",\"worker\":\"worker-a\",\"stream\":1,"
        "\"sequence\":1,\"text\":\"The\",\"id\":5}\n"
        "{\"event\":\"token\",\"connection\":\"conn-1\",\"worker\":\"worker-a\",\"stream\":1,"
        "\"sequence\":2,\"text\":\" end\",\"id\":6}\n"
        "{\"event\":\"token\",\"connection\":\"conn-1\",\"worker\":\"worker-a\",\"stream\":1,"
        "\"sequence\":3,\"text\":\".\",\"id\":7}\n"
        "{\"event\":\"token\",\"connection\":\"conn-1\",\"worker\":\"worker-a\",\"stream\":1,"
        "\"sequence\":1,\"text\":\" other\",\"id\":8}\n"
        "{\"event\":\"done\",\"connection\":\"conn-1\",\"worker\":\"worker-a\",\"stream\":1,"
        "\"reason\":\"all tokens\"}\n"
        "{\"event\":\"summary\",\"streams\":2,\"streams_failed\":0,\"interrupted\":false,"
        "\"tokens\":4,\"lost\":0,\"duplicated\":0,\"reordered\":0,\"connections\":1,"
        "\"handshakes\":1,\"swap_count\":1,\"swaps\":[{\"stream\":1,\"from\":\"worker-a\","
        "\"to\":\"worker-b\",\"reason\":\"failure\",\"message\":\"worker-a simulated failure\","
        "\"sequence\":3,\"gap_ms\":12.346}]}\n");
}

/* A peer's text stays on its line and cannot forge another one. */
static void test_escapes(void **state) {
    (void)state;
    const rn_report_place evil = {.connection = "c\n[token]", .worker = "\x1b[2J", .stream = 9};
    rn_report report;
    paper p;
    open_paper(&p);
    rn_report_init(&report, RN_PRINT_LOG, &p.output, &p.output);
    rn_report_token(&report, &evil, 1, "\r\xff", 1, true);
    rn_report_fini(&report);
    paper_is(
        &p, "[token] connection=\"c\\x0a[token]\" worker=\"\\x1b[2J\" stream=9 seq=1 \\x0d\\xff\n");
}

/* Labels that would like to be more keys. */
static void test_forged(void **state) {
    (void)state;
    const rn_report_place evil = {.connection = "c seq=7", .worker = "w\" seq=8", .stream = 9};
    const rn_report_swap swap = {.stream = 1,
                                 .reason = RN_SWAP_KILLED,
                                 .from = "a reason=none",
                                 .to = "b\"",
                                 .message = "!"};
    const rpcnet_channel_stats stats = {0};
    rn_report report;
    paper p;
    open_paper(&p);
    rn_report_init(&report, RN_PRINT_LOG, &p.output, &p.output);
    rn_report_connected(&report, &evil);
    rn_report_add_swap(&report, &swap);
    rn_report_summary(&report, &stats, false);
    rn_report_fini(&report);
    paper_is(&p, "[connected] connection=\"c seq=7\" worker=\"w\\\" seq=8\" stream=9\n"
                 "[swap] stream=1 \"a reason=none\" → \"b\\\"\" reason=killed gap=0.0ms seq=0 !\n"
                 "[summary] tokens=0 lost=0 duplicated=0 reordered=0 swaps=1 connections=0 "
                 "handshakes=0 streams=0 failed=0\n");
}

static void test_swap_limit(void **state) {
    (void)state;
    const rn_report_swap swap = {.stream = 1};
    const rpcnet_channel_stats stats = {0};
    rn_report report;
    paper p;
    open_paper(&p);
    rn_report_init(&report, RN_PRINT_LOG, &p.output, &p.output);
    for (size_t i = 0; i < RN_REPORT_SWAPS_MAX; i++) {
        assert_int_equal(rn_report_add_swap(&report, &swap), i);
    }
    assert_true(rn_report_add_swap(&report, &swap) == SIZE_MAX);
    assert_null(rn_report_swap_at(&report, SIZE_MAX));
    assert_int_equal(report.swap_count, RN_REPORT_SWAPS_MAX + 1);
    rn_report_summary(&report, &stats, true);
    rn_report_fini(&report);
    char *text = take_text(&p);
    assert_non_null(strstr(text, "[swap] and 1 more\n"));
    assert_non_null(strstr(text, " interrupted\n"));
    free(text);
}

static void test_clean(void **state) {
    (void)state;
    assert_true(rn_report_is_clean(&(rn_report){.tokens = 1}));
    assert_false(rn_report_is_clean(&(rn_report){.lost = 1}));
    assert_false(rn_report_is_clean(&(rn_report){.duplicated = 1}));
    assert_false(rn_report_is_clean(&(rn_report){.reordered = 1}));
}

/* What is in the file ends with a line, however much comes in one turn. */
static void test_whole_lines(void **state) {
    (void)state;
    rn_report report;
    paper p;
    open_paper(&p);
    rn_report_init(&report, RN_PRINT_LOG, &p.output, &p.output);
    off_t before = 0;
    unsigned writes = 0;
    for (uint64_t i = 1; i <= 3000; i++) {
        rn_report_token(&report, &place, i, " word", 1, true);
        struct stat status;
        assert_int_equal(fstat(fileno(p.file), &status), 0);
        if (status.st_size != before) {
            char last;
            assert_int_equal(pread(fileno(p.file), &last, 1, status.st_size - 1), 1);
            assert_int_equal(last, '\n');
            before = status.st_size;
            writes++;
        }
    }
    assert_in_range(writes, 2, 4); /* of 64 KiB */
    rn_report_fini(&report);
    free(take_text(&p));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),    cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),   cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_forged), cmocka_unit_test(test_swap_limit),
        cmocka_unit_test(test_clean),  cmocka_unit_test(test_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
