/* output: see the header.
 *
 * libuv makes non-blocking what it watches. So it is given an epoll descriptor of ours instead,
 * which has the output's descriptor in it only while a reader is waited for: epoll tells of a
 * reader that is gone whether it was asked or not. */
#include "client/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpcnet/error.h"

/* ---- writing ---- */

/* A pipe that has room has it for so many bytes, so that they do not block. */
static ssize_t ask_and_write(int fd, const void *data, size_t len) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(fd, data, len < PIPE_BUF ? len : PIPE_BUF);
}

static ssize_t write_some(const rn_output *output, const void *data, size_t len) {
    switch (output->way) {
    case RN_OUTPUT_SOCKET:
        return send(output->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case RN_OUTPUT_ASKING:
        return ask_and_write(output->fd, data, len);
    case RN_OUTPUT_PLAIN:
    case RN_OUTPUT_OWN:
        break;
    }
    return write(output->fd, data, len);
}

/* Each byte is moved once at most: only when no more is left than was written. */
static void drop_written(rn_output *output) {
    if (output->done >= rn_output_waiting(output)) {
        rn_buffer_drop_front(&output->bytes, output->done);
        output->done = 0;
    }
}

static void wait_for_reader(rn_output *output) {
    struct epoll_event event = {.events = EPOLLOUT};
    if (epoll_ctl(output->epoll_fd, EPOLL_CTL_ADD, output->fd, &event) != 0) {
        rn_output_fail(output, errno);
        return;
    }
    output->blocked = true;
}

static void write_waiting(rn_output *output) {
    while (rn_output_waiting(output) > 0) {
        ssize_t taken =
            write_some(output, output->bytes.data + output->done, rn_output_waiting(output));
        if (taken >= 0) {
            output->done += (size_t)taken;
            output->taken += (size_t)taken;
        } else if (errno == EAGAIN && output->way != RN_OUTPUT_PLAIN) {
            if (!output->blocked) {
                wait_for_reader(output);
            }
            break;
        } else if (errno != EINTR) {
            rn_output_fail(output, errno);
        }
    }
    drop_written(output);
}

void rn_output_flush(rn_output *output) {
    if (!output->blocked) {
        write_waiting(output);
    }
}

/* The reader has made room, or is gone. */
static void on_room(void *user) {
    rn_output *output = user;
    write_waiting(output);
    if (output->blocked && rn_output_waiting(output) == 0) {
        epoll_ctl(output->epoll_fd, EPOLL_CTL_DEL, output->fd, NULL);
        output->blocked = false;
        output->settled(output->user);
    }
}

void rn_output_fail(rn_output *output, int error) {
    if (output->error == 0) {
        output->error = error;
    }
    rn_buffer_clear(&output->bytes);
    output->done = 0;
}

void rn_output_add(rn_output *output, const void *data, size_t len) {
    if (output->error != 0) {
        return;
    }
    if (len > RN_OUTPUT_BYTES_MAX - rn_output_waiting(output)) {
        rn_output_fail(output, ENOBUFS);
    } else if (rn_buffer_append(&output->bytes, data, len) != RPCNET_OK) {
        rn_output_fail(output, ENOMEM);
    } else if (rn_output_waiting(output) >= RN_OUTPUT_TURN_BYTES) {
        rn_output_flush(output);
    }
}

/* ---- start and end ---- */

/* -1: it cannot be opened. */
static int open_anew(int fd) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void choose_way(rn_output *output) {
    struct stat status;
    if (fstat(output->fd, &status) != 0) {
        return;
    }
    if (S_ISSOCK(status.st_mode)) {
        output->way = RN_OUTPUT_SOCKET;
    } else if (S_ISFIFO(status.st_mode) || isatty(output->fd) == 1) {
        int own = open_anew(output->fd);
        output->way = own >= 0 ? RN_OUTPUT_OWN : RN_OUTPUT_ASKING;
        output->fd = own >= 0 ? own : output->fd;
    }
}

int rn_output_init(rn_output *output, rn_loop *loop, int fd, void (*settled)(void *user),
                   void *user) {
    *output = (rn_output){
        .fd = fd, .way = RN_OUTPUT_PLAIN, .epoll_fd = -1, .settled = settled, .user = user};
    /* Beside what waits there is at most as much that was written. */
    rn_buffer_init(&output->bytes, 2 * (size_t)RN_OUTPUT_BYTES_MAX);
    if (loop != NULL) {
        choose_way(output);
    }
    if (output->way == RN_OUTPUT_PLAIN) {
        return RPCNET_OK;
    }
    output->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (output->epoll_fd < 0) {
        return errno == EMFILE || errno == ENFILE ? RPCNET_ERR_DESCRIPTORS : RPCNET_ERR_MEMORY;
    }
    return rn_loop_watch_new(&output->watch, loop, output->epoll_fd, on_room, output);
}

void rn_output_fini(rn_output *output) {
    rn_loop_watch_del(output->watch);
    if (output->way != RN_OUTPUT_PLAIN && output->epoll_fd >= 0) {
        close(output->epoll_fd);
    }
    if (output->way == RN_OUTPUT_OWN) {
        close(output->fd);
    }
    rn_buffer_fini(&output->bytes);
    *output = (rn_output){.epoll_fd = -1};
}
