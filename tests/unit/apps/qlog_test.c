/* Tests of common/qlog: names and modes of the files, when they are written, how long and how many
 * they may be, and that what goes wrong is one line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <errno.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/qlog.h"
#include "rpcnet/error.h"

#define ID "\x01\x23\xab\xff"
/* 2026-01-01T00:00:00.000123Z */
#define WALL (UINT64_C(1767225600) * RN_SECOND + 123 * RN_MICROSECOND)
#define NAME "20260101T000000.000123Z-0123abff-server.sqlog"

enum { PATH_SIZE = 256, TEXT_LEN = 100, LINES_SIZE = 8192 };

typedef struct fixture {
    rn_env env; /* first */
    rn_list turn;
    uint64_t wall;
    char lines[LINES_SIZE];
    size_t warnings;
    char dir[64];
    rn_qlog *qlog;
    const rn_qlog_sink *sink;
} fixture;

static uint64_t env_wall(rn_env *env) {
    return ((fixture *)(void *)env)->wall;
}

static void env_defer(rn_env *env, rn_deferred *deferred) {
    fixture *f = (fixture *)(void *)env;
    if (!rn_list_linked(&deferred->link)) {
        rn_list_append(&f->turn, &deferred->link);
    }
}

static const rn_env_ops ops = {.wall = env_wall, .defer = env_defer};

static void end_turn(fixture *f) {
    while (!rn_list_empty(&f->turn)) {
        rn_deferred *deferred = RN_CONTAINER_OF(f->turn.next, rn_deferred, link);
        rn_list_remove(&deferred->link);
        deferred->run(deferred->user);
    }
}

static uint64_t log_wall(void *user) {
    (void)user;
    return WALL;
}

static bool log_write(const char *line, size_t len, void *user) {
    fixture *f = user;
    assert_true(strlen(f->lines) + len < sizeof f->lines);
    strncat(f->lines, line, len);
    f->warnings += strstr(line, " WARN test] ") != NULL;
    return true;
}

static void start(fixture *f, rn_qlog_options options) {
    memset(f, 0, sizeof *f);
    f->env.ops = &ops;
    rn_list_init(&f->turn);
    f->wall = WALL;
    const rn_log_sink lines = {.wall = log_wall, .write = log_write, .user = f};
    assert_int_equal(rn_log_new(&f->env.log, "info", &lines, NULL), RPCNET_OK);
    strcpy(f->dir, "/tmp/rpcnet-qlog-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    options.dir = f->dir;
    options.target = "test";
    assert_int_equal(rn_qlog_new(&f->qlog, &options), 0);
    f->sink = rn_qlog_get_sink(f->qlog);
}

static const rn_qlog_options usual = {.bytes_max = RN_QLOG_BYTES_MAX,
                                      .files_max = RN_QLOG_FILES_MAX};

static void path_of(const fixture *f, const char *name, char out[PATH_SIZE]) {
    snprintf(out, PATH_SIZE, "%s/%s", f->dir, name);
}

static void remove_file(const fixture *f, const char *name) {
    char path[PATH_SIZE];
    path_of(f, name, path);
    assert_int_equal(unlink(path), 0);
}

static void stop(fixture *f) {
    rn_qlog_del(f->qlog);
    rn_log_del(f->env.log);
    assert_int_equal(rmdir(f->dir), 0); /* nothing else is in there */
}

static void *begin(fixture *f) {
    return f->sink->begin(&f->env, rn_bytes_text(ID), true, f->sink->user);
}

/* The n-th text of a record: TEXT_LEN bytes that tell it from the others. */
static void write_text(const fixture *f, void *record, unsigned n) {
    char text[TEXT_LEN + 1];
    int len = snprintf(text, sizeof text, "\x1e{\"n\":%0*u}\n", TEXT_LEN - 8, n);
    assert_int_equal(len, TEXT_LEN);
    f->sink->write(record, rn_bytes_of(text, TEXT_LEN));
}

static size_t size_of(const fixture *f, const char *name) {
    char path[PATH_SIZE];
    struct stat about;
    path_of(f, name, path);
    assert_int_equal(stat(path, &about), 0);
    return (size_t)about.st_size;
}

/* The file holds the first `count` texts and nothing else. */
static void assert_texts(const fixture *f, const char *name, unsigned count) {
    char path[PATH_SIZE];
    char text[TEXT_LEN + 1] = "";
    assert_int_equal(size_of(f, name), (size_t)count * TEXT_LEN);
    path_of(f, name, path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (unsigned n = 0; n < count; n++) {
        assert_int_equal(fread(text, 1, TEXT_LEN, file), TEXT_LEN);
        assert_int_equal(text[0], 0x1e);
        assert_int_equal(strtoul(text + 6, NULL, 10), n);
    }
    fclose(file);
}

static void a_file_for_a_connection(void **state) {
    (void)state;
    fixture f;
    start(&f, usual);
    assert_int_equal(rn_qlog_incomplete(NULL), 0);
    void *record = begin(&f);
    assert_non_null(record);
    char path[PATH_SIZE];
    struct stat about;
    path_of(&f, NAME, path);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    for (unsigned n = 0; n < 3; n++) {
        write_text(&f, record, n);
    }
    assert_texts(&f, NAME, 0);
    end_turn(&f);
    assert_texts(&f, NAME, 3);
    write_text(&f, record, 3);
    f.sink->end(record); /* what is left is written */
    assert_texts(&f, NAME, 4);
    assert_true(rn_list_empty(&f.turn));
    assert_string_equal(f.lines, "");
    remove_file(&f, NAME);
    stop(&f);
}

static void at_once_means_at_once(void **state) {
    (void)state;
    fixture f;
    rn_qlog_options options = usual;
    options.at_once = true;
    start(&f, options);
    void *record = begin(&f);
    write_text(&f, record, 0);
    assert_true(rn_list_empty(&f.turn));
    assert_texts(&f, NAME, 1);
    f.sink->end(record);
    remove_file(&f, NAME);
    stop(&f);
}

static void much_in_one_turn(void **state) {
    (void)state;
    const unsigned count = 5 * RN_QLOG_BUFFER_BYTES / TEXT_LEN;
    static const char large[2 * RN_QLOG_BUFFER_BYTES];
    fixture f;
    start(&f, usual);
    void *record = begin(&f);
    for (unsigned n = 0; n < count; n++) {
        write_text(&f, record, n);
    }
    end_turn(&f);
    assert_texts(&f, NAME, count);
    f.sink->write(record, rn_bytes_of(large, sizeof large));
    f.sink->end(record);
    assert_int_equal(size_of(&f, NAME), (size_t)count * TEXT_LEN + sizeof large);
    remove_file(&f, NAME);
    stop(&f);
}

/* Three texts: one byte more than may be, as much, one less than needed. */
static void a_file_is_only_so_long(void **state) {
    enum { THREE = 3 * TEXT_LEN };
    (void)state;
    static const struct {
        uint64_t max;
        unsigned texts;
    } cases[] = {{THREE + 1, 3}, {THREE, 3}, {THREE - 1, 2}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        rn_qlog_options options = usual;
        options.bytes_max = cases[i / 2].max;
        options.at_once = i % 2 == 1;
        start(&f, options);
        void *record = begin(&f);
        for (unsigned n = 0; n < 3; n++) {
            write_text(&f, record, n);
        }
        assert_int_equal(f.warnings, cases[i / 2].texts == 3 ? 0 : 1);
        for (unsigned n = 3; n < 6; n++) {
            write_text(&f, record, n); /* a short one would not fit behind a gap */
        }
        assert_int_equal(f.warnings, 1);
        assert_non_null(strstr(f.lines, "file=" NAME " bytes="));
        end_turn(&f);
        f.sink->end(record);
        assert_int_equal(f.warnings, 1);
        assert_texts(&f, NAME, cases[i / 2].texts);
        remove_file(&f, NAME);
        stop(&f);
    }
}

static void only_so_many_files(void **state) {
    (void)state;
    enum { MAX = 3 };
    fixture f;
    rn_qlog_options options = usual;
    options.files_max = MAX;
    options.bytes_max = TEXT_LEN;
    start(&f, options);
    void *records[MAX + 1];
    for (size_t i = 0; i < MAX; i++) {
        f.wall += RN_MICROSECOND;
        records[i] = begin(&f);
        assert_non_null(records[i]);
    }
    assert_null(begin(&f));
    assert_int_equal(f.warnings, 1);
    assert_non_null(strstr(f.lines, "connections=1 err=\"as many files are open as may be\""));
    for (size_t i = 0; i < 8; i++) {
        assert_null(begin(&f));
    }
    assert_int_equal(f.warnings, 4); /* at the first, second, fourth and eighth */
    /* One that has ended early holds no descriptor. */
    write_text(&f, records[0], 0);
    write_text(&f, records[0], 1);
    assert_int_equal(f.warnings, 5);
    f.wall += RN_MICROSECOND;
    records[MAX] = begin(&f);
    assert_non_null(records[MAX]);
    assert_null(begin(&f));
    f.sink->end(records[1]);
    f.wall += RN_MICROSECOND;
    records[1] = begin(&f);
    assert_non_null(records[1]);
    for (size_t i = 0; i <= MAX; i++) {
        f.sink->end(records[i]);
    }
    assert_int_equal(rn_qlog_incomplete(f.qlog), 9 + 1 + 1); /* without one, cut, without one */
    for (unsigned i = 1; i <= MAX + 2; i++) {
        char name[96];
        snprintf(name, sizeof name, "20260101T000000.%06uZ-0123abff-server.sqlog", 123 + i);
        remove_file(&f, name);
    }
    stop(&f);
}

static void what_is_there_is_left_alone(void **state) {
    (void)state;
    fixture f;
    char path[PATH_SIZE];
    char other[PATH_SIZE];
    start(&f, usual);
    path_of(&f, NAME, path);
    path_of(&f, "other", other);
    assert_int_equal(symlink(other, path), 0);
    assert_null(begin(&f)); /* would make "other" */
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(f.warnings, 1);
    remove_file(&f, NAME);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("mine", file);
    fclose(file);
    assert_null(begin(&f));
    assert_int_equal(size_of(&f, NAME), 4);
    remove_file(&f, NAME);
    stop(&f);
}

static void set_limit(int which, rlim_t soft, struct rlimit *before) {
    assert_int_equal(getrlimit((__rlimit_resource_t)which, before), 0);
    const struct rlimit limit = {.rlim_cur = soft, .rlim_max = before->rlim_max};
    assert_int_equal(setrlimit((__rlimit_resource_t)which, &limit), 0);
}

/* The file ends with the last text that was written whole. */
static void a_full_disk_ends_the_record(void **state) {
    (void)state;
    struct rlimit before;
    fixture f;
    rn_qlog_options options = usual;
    options.at_once = true;
    start(&f, options);
    void *record = begin(&f);
    set_limit(RLIMIT_FSIZE, 5 * TEXT_LEN / 2, &before);
    for (unsigned n = 0; n < 9; n++) {
        write_text(&f, record, n);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    write_text(&f, record, 9);
    f.sink->end(record);
    assert_texts(&f, NAME, 2);
    assert_int_equal(f.warnings, 1);
    assert_non_null(
        strstr(f.lines, "file=" NAME " bytes=200 err=\"File too large\" qlog ends early"));
    remove_file(&f, NAME);
    stop(&f);
}

static void a_full_disk_at_the_end_of_a_turn(void **state) {
    (void)state;
    struct rlimit before;
    fixture f;
    start(&f, usual);
    void *record = begin(&f);
    set_limit(RLIMIT_FSIZE, 5 * TEXT_LEN / 2, &before);
    for (unsigned n = 0; n < 2; n++) {
        write_text(&f, record, n);
    }
    end_turn(&f);
    for (unsigned n = 2; n < 4; n++) {
        write_text(&f, record, n);
    }
    end_turn(&f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    f.sink->end(record);
    assert_texts(&f, NAME, 2);
    assert_int_equal(f.warnings, 1);
    remove_file(&f, NAME);
    stop(&f);
}

static void no_descriptor_is_left(void **state) {
    (void)state;
    struct rlimit before;
    fixture f;
    start(&f, usual);
    set_limit(RLIMIT_NOFILE, 0, &before);
    assert_null(begin(&f));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(f.warnings, 1);
    assert_non_null(strstr(f.lines, "err=\"Too many open files\" connection without qlog"));
    void *record = begin(&f);
    assert_non_null(record);
    f.sink->end(record);
    remove_file(&f, NAME);
    stop(&f);
}

static void most_descriptors_are_for_others(void **state) {
    (void)state;
    enum { DESCRIPTORS = 64, MAX = DESCRIPTORS / 4 };
    struct rlimit before;
    fixture f;
    set_limit(RLIMIT_NOFILE, DESCRIPTORS, &before);
    start(&f, usual);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    void *records[MAX];
    char name[96];
    for (unsigned i = 0; i < MAX; i++) {
        f.wall = WALL + i * RN_SECOND;
        records[i] = begin(&f);
        assert_non_null(records[i]);
        snprintf(name, sizeof name, "20260101T0000%02u.000123Z-0123abff-server.sqlog", i);
        remove_file(&f, name);
    }
    assert_null(begin(&f));
    for (size_t i = 0; i < MAX; i++) {
        f.sink->end(records[i]);
    }
    stop(&f);
}

static void a_folder_that_is_none(void **state) {
    (void)state;
    rn_qlog *qlog;
    rn_qlog_options options = usual;
    options.dir = "/nonexistent/folder";
    assert_int_equal(rn_qlog_new(&qlog, &options), ENOENT);
    assert_null(qlog);
    options.dir = "/dev/null";
    assert_int_equal(rn_qlog_new(&qlog, &options), ENOTDIR);
    rn_qlog_del(NULL);
}

static void a_folder_that_is_gone(void **state) {
    (void)state;
    fixture f;
    start(&f, usual);
    void *record = begin(&f);
    remove_file(&f, NAME);
    assert_int_equal(rmdir(f.dir), 0);
    write_text(&f, record, 0); /* into a file without a name */
    f.sink->end(record);
    assert_null(begin(&f));
    assert_int_equal(f.warnings, 1);
    rn_qlog_del(f.qlog);
    rn_log_del(f.env.log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_for_a_connection),
        cmocka_unit_test(at_once_means_at_once),
        cmocka_unit_test(much_in_one_turn),
        cmocka_unit_test(a_file_is_only_so_long),
        cmocka_unit_test(only_so_many_files),
        cmocka_unit_test(what_is_there_is_left_alone),
        cmocka_unit_test(a_full_disk_ends_the_record),
        cmocka_unit_test(a_full_disk_at_the_end_of_a_turn),
        cmocka_unit_test(no_descriptor_is_left),
        cmocka_unit_test(most_descriptors_are_for_others),
        cmocka_unit_test(a_folder_that_is_none),
        cmocka_unit_test(a_folder_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
