/* Lines on stderr: pipes, sockets and files that are full, not read, or gone. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

enum { BLOCK = 4096 };

static rn_loop_stderr out;
static int saved;
static int ends[2]; /* the reader's, and what stderr is */

static int setup(void **state) {
    (void)state;
    memset(&out, 0, sizeof out);
    saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    rn_loop_stderr_fini(&out);
    return 0;
}

static bool say(const char *line) {
    return rn_loop_stderr_write(&out, line, strlen(line));
}

/* stderr becomes the writer's end, of which nothing else remains here. */
static void become(int fd) {
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
}

static void make_pipe(void) {
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    become(ends[1]);
    assert_true(say("one line\n"));
    char text[16] = {0};
    assert_int_equal(read(ends[0], text, sizeof text), 9);
    assert_string_equal(text, "one line\n");
}

/* Fills it as another process would that has the same pipe. */
static void fill(void) {
    static const char block[BLOCK];
    int flags = fcntl(ends[0], F_GETFL);
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_WRONLY | O_NONBLOCK), 0);
    while (write(STDERR_FILENO, block, sizeof block) > 0) {
    }
    while (write(STDERR_FILENO, block, 1) > 0) {
    }
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_WRONLY), 0);
    assert_int_equal(fcntl(ends[0], F_GETFL), flags);
}

static void empty(void) {
    char block[BLOCK];
    assert_int_equal(fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK), 0);
    while (read(ends[0], block, sizeof block) > 0) {
    }
    assert_int_equal(fcntl(ends[0], F_SETFL, O_RDONLY), 0);
}

static void read_line(char text[64]) {
    ssize_t got = read(ends[0], text, 63);
    assert_true(got > 0);
    text[got] = '\0';
}

/* The description stays as it is for those who share it: only our writes do not block. */
static void pipe_that_nobody_reads(void **state) {
    char text[64];
    (void)state;
    make_pipe();
    fill();
    assert_false(say("lost\n")); /* would block for ever */
    uint64_t impatient = out.impatient_until_ns;
    assert_true(impatient > 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(say("lost without waiting\n"));
    }
    assert_int_equal(out.impatient_until_ns, impatient);
    assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
    empty();
    assert_true(say("again\n"));
    read_line(text);
    assert_string_equal(text, "again\n");
    close(ends[0]);
}

static void *read_all(void *user) {
    (void)user;
    char block[BLOCK];
    while (read(ends[0], block, sizeof block) == BLOCK) {
    }
    return NULL;
}

static void slow_reader_is_waited_for(void **state) {
    pthread_t reader;
    (void)state;
    make_pipe();
    fill();
    assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
    bool written = say("in time\n");
    /* A machine that let the reader wait for too long has tested nothing. */
    assert_true(written || out.impatient_until_ns > 0);
    close(STDERR_FILENO); /* the last writer but ours: the reader's loop ends */
    rn_loop_stderr_fini(&out);
    assert_int_equal(pthread_join(reader, NULL), 0);
    close(ends[0]);
}

static void reader_is_gone(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    make_pipe();
    close(ends[0]);
    assert_false(say("lost\n"));
    rn_loop_stderr_fini(&out); /* a pipe without a reader cannot be opened anew */
    assert_false(say("lost\n"));
    assert_int_equal(out.impatient_until_ns, 0);
}

static void socket_that_nobody_reads(void **state) {
    char text[64];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    become(ends[1]);
    unsigned lines = 0;
    while (say("a line of some length that goes to a socket\n")) {
        lines++;
    }
    assert_true(lines > 0);
    assert_true(out.is_socket);
    empty();
    out.torn = false; /* whether the last one was cut is the kernel's affair */
    assert_true(say("again\n"));
    read_line(text);
    assert_string_equal(text, "again\n");
    close(ends[0]);
    assert_false(say("lost\n"));
}

static void disk_that_is_full(void **state) {
    (void)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    become(full);
    assert_false(say("lost\n"));
    assert_int_equal(out.impatient_until_ns, 0);
    make_pipe(); /* stderr may become another file */
    close(ends[0]);
}

static void line_after_one_that_was_cut(void **state) {
    char text[64];
    (void)state;
    make_pipe();
    out.torn = true;
    assert_true(say("whole\n"));
    read_line(text);
    assert_string_equal(text, "\nwhole\n");
    assert_true(say("next\n"));
    read_line(text);
    assert_string_equal(text, "next\n");
    close(ends[0]);
}

static void closed_stderr(void **state) {
    (void)state;
    close(STDERR_FILENO);
    assert_false(say("lost\n"));
    /* The descriptor is another's now, and no pipe. */
    assert_int_equal(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    assert_true(say("nowhere\n"));
}

static void sink_counts_for_the_log(void **state) {
    rn_log *log;
    char text[256];
    (void)state;
    rn_log_sink sink = rn_loop_stderr_sink(&out);
    assert_true(sink.wall(sink.user) > UINT64_C(1700000000) * RN_SECOND);
    assert_int_equal(rn_log_new(&log, "info", &sink, NULL), RPCNET_OK);
    make_pipe();
    fill();
    RN_INFO(log, "t", "lost");
    RN_INFO(log, "t", "lost");
    assert_int_equal(rn_log_lines_lost(log), 2);
    empty();
    RN_INFO(log, "t", "there");
    ssize_t got = read(ends[0], text, sizeof text - 1);
    assert_true(got > 0);
    text[got] = '\0';
    assert_non_null(strstr(text, "WARN rpcnet::log] lines=2 log lines were lost\n"));
    assert_non_null(strstr(text, "INFO t] there\n"));
    close(ends[0]);
    rn_log_del(log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(pipe_that_nobody_reads), TEST(slow_reader_is_waited_for),
        TEST(reader_is_gone),         TEST(socket_that_nobody_reads),
        TEST(disk_that_is_full),      TEST(line_after_one_that_was_cut),
        TEST(closed_stderr),          TEST(sink_counts_for_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
