/* Log lines to stderr with the system's wall clock.
 *
 * Whoever reads them must not be able to stop the loop: a pipe that nobody reads would block it,
 * and O_NONBLOCK cannot be set on a description that other processes share. So a socket is written
 * with MSG_DONTWAIT, and a pipe through a description of our own, opened anew. Where that is not
 * possible the line is written only after the kernel has said that there is room; another writer
 * that takes the room in between can block us then. Files do not block, but they can be full. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"
#include "loop/loop.h"

static uint64_t read_clock(clockid_t clock) {
    struct timespec at = {0};
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * RN_SECOND + (uint64_t)at.tv_nsec;
}

static uint64_t sink_wall(void *user) {
    (void)user;
    return read_clock(CLOCK_REALTIME);
}

static void close_pipe(rn_loop_stderr *out) {
    if (out->pipe_open) {
        close(out->pipe_fd);
        out->pipe_open = false;
    }
}

/* stderr may become another file at any time (dup2), so it is looked at each time. */
static void look(rn_loop_stderr *out) {
    struct stat status;
    if (fstat(STDERR_FILENO, &status) != 0) {
        status = (struct stat){0};
    }
    if (out->pipe_open && status.st_dev == out->pipe_dev && status.st_ino == out->pipe_ino) {
        return;
    }
    close_pipe(out);
    out->is_socket = S_ISSOCK(status.st_mode);
    if (S_ISFIFO(status.st_mode)) {
        out->pipe_fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        out->pipe_open = out->pipe_fd >= 0;
        out->pipe_dev = status.st_dev;
        out->pipe_ino = status.st_ino;
    }
}

static ssize_t write_some(const rn_loop_stderr *out, const char *bytes, size_t len) {
    if (out->is_socket) {
        return send(STDERR_FILENO, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (out->pipe_open) {
        return write(out->pipe_fd, bytes, len);
    }
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&fd, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(STDERR_FILENO, bytes, len);
}

/* A reader that is only slow is waited for, one that has stopped is not, but for one try in a
 * while. */
static bool wait_for_room(rn_loop_stderr *out) {
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (read_clock(CLOCK_MONOTONIC) < out->impatient_until_ns) {
        return false;
    }
    if (poll(&fd, 1, RN_LOOP_STDERR_WAIT_MS) > 0) {
        return true;
    }
    out->impatient_until_ns =
        read_clock(CLOCK_MONOTONIC) + RN_LOOP_STDERR_IMPATIENT_MS * RN_MILLISECOND;
    return false;
}

static bool put(rn_loop_stderr *out, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t taken = write_some(out, bytes, len);
        if (taken >= 0) {
            bytes += taken;
            len -= (size_t)taken;
            out->torn = len > 0;
        } else if (errno == EAGAIN) {
            if (!wait_for_room(out)) {
                return false;
            }
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool rn_loop_stderr_write(rn_loop_stderr *out, const char *line, size_t len) {
    look(out);
    /* What was cut off in the middle ends here. */
    if (out->torn && !put(out, "\n", 1)) {
        return false;
    }
    return put(out, line, len);
}

static bool sink_write(const char *line, size_t len, void *user) {
    return rn_loop_stderr_write(user, line, len);
}

rn_log_sink rn_loop_stderr_sink(rn_loop_stderr *out) {
    return (rn_log_sink){.wall = sink_wall, .write = sink_write, .user = out};
}

void rn_loop_stderr_fini(rn_loop_stderr *out) {
    close_pipe(out);
}
