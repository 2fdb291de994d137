/* Tests of client/output: what waits for a reader, what comes out when there is one, and what the
 * descriptor is like for others meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/output.h"
#include "rpcnet/error.h"

enum { PIECE = 1000, PLENTY = 4 << 20 }; /* more than a pipe or socket takes unread */

typedef struct fixture {
    rn_log *log;
    rn_loop *loop;
    int reader;
    int writer;
    rn_output output;
    unsigned settled;
    uint64_t added;
    uint64_t read;
    rn_loop_watch *watch;
} fixture;

static uint64_t wall(void *user) {
    (void)user;
    return 0;
}

static bool drop_line(const char *line, size_t len, void *user) {
    (void)line, (void)len, (void)user;
    return true;
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    const rn_log_sink sink = {.wall = wall, .write = drop_line};
    assert_non_null(f);
    assert_int_equal(rn_log_new(&f->log, "off", &sink, NULL), RPCNET_OK);
    const rn_loop_options options = {.log = f->log};
    assert_int_equal(rn_loop_new(&f->loop, &options), RPCNET_OK);
    f->reader = f->writer = -1;
    *state = f;
    return 0;
}

static void close_reader(fixture *f) {
    rn_loop_watch_del(f->watch);
    f->watch = NULL;
    if (f->reader >= 0) {
        close(f->reader);
    }
    f->reader = -1;
}

static int teardown(void **state) {
    fixture *f = *state;
    rn_output_fini(&f->output);
    close_reader(f);
    close(f->writer);
    rn_loop_del(f->loop);
    rn_log_del(f->log);
    free(f);
    return 0;
}

static void on_settled(void *user) {
    fixture *f = user;
    f->settled++;
    rn_loop_stop(f->loop);
}

static void open_output(fixture *f, enum rn_output_way way) {
    assert_int_equal(rn_output_init(&f->output, f->loop, f->writer, on_settled, f), RPCNET_OK);
    assert_int_equal(f->output.way, way);
}

static void open_pipe(fixture *f) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    f->reader = ends[0];
    f->writer = ends[1];
}

static void open_sockets(fixture *f) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    f->reader = ends[0];
    f->writer = ends[1];
}

static void open_terminal(fixture *f) {
    struct termios raw;
    f->reader = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(f->reader >= 0);
    assert_int_equal(grantpt(f->reader) | unlockpt(f->reader), 0);
    f->writer = open(ptsname(f->reader), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(f->writer >= 0);
    assert_int_equal(tcgetattr(f->writer, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(f->writer, TCSANOW, &raw), 0);
}

/* The n-th byte of all that is ever added. */
static uint8_t byte_at(uint64_t n) {
    return (uint8_t)(n % 251);
}

static void add(fixture *f, size_t len) {
    uint8_t data[PIECE];
    while (len > 0) {
        size_t piece = len < sizeof data ? len : sizeof data;
        for (size_t i = 0; i < piece; i++) {
            data[i] = byte_at(f->added + i);
        }
        rn_output_add(&f->output, data, piece);
        f->added += piece;
        len -= piece;
    }
}

/* Reads what comes until `until` bytes were read in all. */
static void read_on(fixture *f, uint64_t until) {
    uint8_t data[PIECE];
    while (f->read < until) {
        size_t wanted = until - f->read < sizeof data ? (size_t)(until - f->read) : sizeof data;
        ssize_t len = read(f->reader, data, wanted);
        assert_true(len > 0);
        for (ssize_t i = 0; i < len; i++) {
            assert_int_equal(data[i], byte_at(f->read + (uint64_t)i));
        }
        f->read += (uint64_t)len;
    }
}

static void on_readable(void *user) {
    fixture *f = user;
    uint8_t data[PIECE];
    ssize_t len = read(f->reader, data, sizeof data);
    for (ssize_t i = 0; i < len; i++) {
        assert_int_equal(data[i], byte_at(f->read + (uint64_t)i));
    }
    f->read += len > 0 ? (uint64_t)len : 0;
}

/* Reads in the loop until nothing waits any more, and then the rest. */
static void read_all(fixture *f) {
    assert_int_equal(rn_loop_watch_new(&f->watch, f->loop, f->reader, on_readable, f), RPCNET_OK);
    rn_loop_run(f->loop);
    assert_int_equal(f->output.error, 0);
    assert_int_equal(rn_output_waiting(&f->output), 0);
    assert_false(f->output.blocked);
    rn_loop_watch_del(f->watch);
    f->watch = NULL;
    assert_int_equal(fcntl(f->reader, F_SETFL, 0), 0);
    read_on(f, f->added);
}

/* A reader that does not read, and then does. */
static void goes_on_later(fixture *f) {
    add(f, PLENTY);
    rn_output_flush(&f->output);
    assert_true(rn_output_is_full(&f->output));
    assert_true(f->output.taken > 0);
    assert_int_equal(f->output.taken + rn_output_waiting(&f->output), PLENTY);
    assert_int_equal(fcntl(f->writer, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(f->settled, 0);
    read_all(f);
    assert_int_equal(f->settled, 1);
    assert_false(rn_output_is_full(&f->output));
    /* And again. */
    add(f, PLENTY);
    rn_output_flush(&f->output);
    assert_true(rn_output_is_full(&f->output));
    read_all(f);
    assert_int_equal(f->settled, 2);
    assert_int_equal(f->output.taken, 2 * PLENTY);
}

static void test_pipe(void **state) {
    fixture *f = *state;
    open_pipe(f);
    open_output(f, RN_OUTPUT_OWN);
    goes_on_later(f);
}

static void test_socket(void **state) {
    fixture *f = *state;
    open_sockets(f);
    open_output(f, RN_OUTPUT_SOCKET);
    goes_on_later(f);
}

static void test_terminal(void **state) {
    fixture *f = *state;
    open_terminal(f);
    open_output(f, RN_OUTPUT_OWN);
    goes_on_later(f);
}

/* What is done where the pipe cannot be opened anew. */
static void ask_instead(fixture *f) {
    assert_int_equal(close(f->output.fd), 0);
    f->output.fd = f->writer;
    f->output.way = RN_OUTPUT_ASKING;
}

static void test_pipe_of_somebody_else(void **state) {
    fixture *f = *state;
    open_pipe(f);
    open_output(f, RN_OUTPUT_OWN);
    ask_instead(f);
    goes_on_later(f);
}

static void test_a_reader_that_keeps_up(void **state) {
    fixture *f = *state;
    open_pipe(f);
    open_output(f, RN_OUTPUT_OWN);
    add(f, PIECE);
    assert_int_equal(f->output.taken, 0); /* not before the turn's end */
    rn_output_flush(&f->output);
    assert_int_equal(f->output.taken, PIECE);
    assert_int_equal(rn_output_waiting(&f->output), 0);
    assert_false(f->output.blocked);
    read_on(f, PIECE);
    /* Much in one turn does not wait for its end. */
    add(f, RN_OUTPUT_TURN_BYTES - 1);
    assert_int_equal(f->output.taken, PIECE);
    add(f, 1);
    assert_int_equal(f->output.taken, PIECE + RN_OUTPUT_TURN_BYTES);
    assert_int_equal(f->settled, 0);
}

static void block(fixture *f) {
    open_pipe(f);
    open_output(f, RN_OUTPUT_OWN);
    while (!f->output.blocked) {
        add(f, PIECE);
        rn_output_flush(&f->output);
    }
}

static void test_full(void **state) {
    fixture *f = *state;
    block(f);
    add(f, RN_OUTPUT_FULL_BYTES - 1 - rn_output_waiting(&f->output));
    assert_false(rn_output_is_full(&f->output));
    add(f, 1);
    assert_true(rn_output_is_full(&f->output));
    add(f, 1);
    assert_true(rn_output_is_full(&f->output));
}

static void test_limit(void **state) {
    fixture *f = *state;
    block(f);
    add(f, RN_OUTPUT_BYTES_MAX - 1 - rn_output_waiting(&f->output));
    assert_int_equal(f->output.error, 0);
    add(f, 1);
    assert_int_equal(f->output.error, 0);
    assert_int_equal(rn_output_waiting(&f->output), RN_OUTPUT_BYTES_MAX);
    add(f, 1);
    assert_int_equal(f->output.error, ENOBUFS);
    assert_int_equal(rn_output_waiting(&f->output), 0);
    add(f, 1); /* for nothing */
    assert_int_equal(rn_output_waiting(&f->output), 0);
}

/* While it is waited for, and before. */
static void test_reader_goes_away(void **state) {
    fixture *f = *state;
    block(f);
    close_reader(f);
    rn_loop_run(f->loop);
    assert_int_equal(f->settled, 1);
    assert_int_equal(f->output.error, EPIPE);
    assert_int_equal(rn_output_waiting(&f->output), 0);
    rn_output_fini(&f->output);
    open_output(f, RN_OUTPUT_OWN);
    add(f, 1);
    rn_output_flush(&f->output);
    assert_int_equal(f->output.error, EPIPE);
    assert_int_equal(f->settled, 1);
}

static void test_first_error(void **state) {
    fixture *f = *state;
    open_pipe(f);
    open_output(f, RN_OUTPUT_OWN);
    rn_output_fail(&f->output, ENOMEM);
    rn_output_fail(&f->output, EIO);
    assert_int_equal(f->output.error, ENOMEM);
}

static void test_full_disk(void **state) {
    fixture *f = *state;
    f->writer = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(f->writer >= 0);
    open_output(f, RN_OUTPUT_PLAIN);
    add(f, 1);
    rn_output_flush(&f->output);
    assert_int_equal(f->output.error, ENOSPC);
}

static void test_without_a_loop(void **state) {
    fixture *f = *state;
    open_pipe(f);
    assert_int_equal(rn_output_init(&f->output, NULL, f->writer, on_settled, f), RPCNET_OK);
    assert_int_equal(f->output.way, RN_OUTPUT_PLAIN);
    add(f, PIECE);
    rn_output_flush(&f->output);
    read_on(f, PIECE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_terminal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipe_of_somebody_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_that_keeps_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reader_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_loop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
