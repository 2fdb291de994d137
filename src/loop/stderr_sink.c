/* Log lines to stderr with the system's wall clock. */
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"
#include "loop/loop.h"

enum { STDERR_WAIT_MS = 100 };

static uint64_t sink_wall(void *user) {
    (void)user;
    struct timespec at = {0};
    clock_gettime(CLOCK_REALTIME, &at);
    return (uint64_t)at.tv_sec * RN_SECOND + (uint64_t)at.tv_nsec;
}

static void sink_write(const char *line, size_t len, void *user) {
    (void)user;
    while (len > 0) {
        ssize_t taken = write(STDERR_FILENO, line, len);
        if (taken >= 0) {
            line += taken;
            len -= (size_t)taken;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        /* Somebody made stderr non-blocking and does not read it: logging must not stop the
         * streams. */
        struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (errno != EAGAIN || poll(&fd, 1, STDERR_WAIT_MS) <= 0) {
            return;
        }
    }
}

rn_log_sink rn_loop_stderr_sink(void) {
    return (rn_log_sink){.wall = sink_wall, .write = sink_write, .user = NULL};
}
