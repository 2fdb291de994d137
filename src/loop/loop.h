/* loop: the driver of rn_env on a real machine: libuv, UDP sockets, timers, names, signals.
 *
 * One thread runs a loop and everything opened through its env; only rn_loop_wakeup may be called
 * from another thread. One turn of the loop waits for the kernel once and then runs the callbacks
 * of what became ready; a socket gives so many datagrams per turn (RN_LOOP_UDP_DATAGRAMS), so none
 * of them (and no timer) starves.
 *
 * UDP: an IPv6 socket takes IPv6 alone (IPV6_V6ONLY), so "[::]:p" and "0.0.0.0:p" are two sockets
 * and an address has one spelling. Datagrams are never fragmented; one that does not fit the path
 * counts as lost. A connected socket without a bind address binds to what the route says.
 */
#ifndef RN_LOOP_LOOP_H
#define RN_LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/env.h"
#include "base/log.h"

typedef struct rn_loop rn_loop;

enum {
    RN_LOOP_UDP_BATCH = 32, /* receives of one socket with one system call */
    /* Datagrams of one socket in one turn behind which no other batch is received. */
    RN_LOOP_UDP_DATAGRAMS = 512,
    RN_LOOP_UDP_SEGMENTS_MAX = 64,      /* datagrams handed to the kernel with one system call */
    RN_LOOP_UDP_BUFFER_BYTES = 4 << 20, /* SO_RCVBUF and SO_SNDBUF that are asked for */
    RN_LOOP_SIGNALS_MAX = 16,           /* signals handled by one loop */
    RN_LOOP_STDERR_WAIT_MS = 100,       /* how long a line waits for a reader of stderr, */
    RN_LOOP_STDERR_IMPATIENT_MS = 1000  /* and how long lines do not wait after one in vain */
};

#define RN_LOOP_DESCRIPTORS_QUIET_NS (10 * RN_SECOND)

typedef struct rn_loop_options {
    rn_log *log;             /* borrowed, must outlive the loop; not NULL */
    size_t udp_buffer_bytes; /* 0: RN_LOOP_UDP_BUFFER_BYTES */
    bool udp_gso_off;        /* send datagrams one by one, as on a kernel without UDP_SEGMENT */
    bool udp_gro_off;        /* do not ask the kernel to merge received datagrams */
} rn_loop_options;

typedef struct rn_loop_watch rn_loop_watch;

typedef void rn_loop_wakeup_fn(void *user);
typedef void rn_loop_watch_fn(void *user);
typedef void rn_loop_signal_fn(int signal_number, void *user);

/* Makes a loop and lets the process ignore SIGPIPE. RPCNET_ERR_MEMORY, RPCNET_ERR_DESCRIPTORS,
 * RPCNET_ERR_IO. */
int rn_loop_new(rn_loop **out, const rn_loop_options *options);

/* Closes what is still open (no callback is called any more) and frees the loop and its sockets,
 * timers and resolutions; not allowed inside a callback. May wait for a name resolution that the
 * system's resolver is working on. */
void rn_loop_del(rn_loop *loop);

/* Something could not be opened because descriptors are out; `what` says what ("a socket"). It is
 * counted, and the log says so, but for RN_LOOP_DESCRIPTORS_QUIET_NS after a line only in the next
 * line's count. The env does so for sockets that connect,
 * but for the first one. */
void rn_loop_note_descriptors(rn_loop *loop, const char *what);
/* How often that was. */
uint64_t rn_loop_descriptors_out(const rn_loop *loop);

/* The env that this loop drives; valid as long as the loop. Inside callbacks `now` is the time at
 * which the callback's batch began; outside rn_loop_run it is read from the clock. */
rn_env *rn_loop_env(rn_loop *loop);

/* Runs turns until rn_loop_stop. May be called again afterwards. */
void rn_loop_run(rn_loop *loop);

/* Ends rn_loop_run after the present turn; before rn_loop_run: it returns at once. */
void rn_loop_stop(rn_loop *loop);

/* Calls `fn` in the loop's thread when the signal arrives, instead of its default action. A second
 * call for the same signal replaces the first; `fn` NULL restores the default. The callback may
 * call anything but rn_loop_del. RPCNET_ERR_LIMIT, RPCNET_ERR_IO. */
int rn_loop_signal(rn_loop *loop, int signal_number, rn_loop_signal_fn *fn, void *user);

/* What rn_loop_wakeup calls, in the loop's thread. To be set before other threads use the loop. */
void rn_loop_on_wakeup(rn_loop *loop, rn_loop_wakeup_fn *fn, void *user);

/* Any thread, until rn_loop_del begins. Several calls may end in one callback; one callback comes
 * after the last call. */
void rn_loop_wakeup(rn_loop *loop);

/* Calls `fn` in each turn in which the descriptor is readable or has an error, until the watch is
 * deleted. The descriptor belongs to the caller (a library's own epoll descriptor, say), is made
 * non-blocking, and must stay open until then. RPCNET_ERR_MEMORY; RPCNET_ERR_IO: it cannot be
 * waited for, or is watched already. */
int rn_loop_watch_new(rn_loop_watch **out, rn_loop *loop, int fd, rn_loop_watch_fn *fn, void *user);
/* No callback any more; inside the callback, too. The descriptor may be closed then. NULL is fine.
 * A watch that still exists when its loop is deleted is deleted with it. */
void rn_loop_watch_del(rn_loop_watch *watch);

/* Where lines on stderr go; all zero before the first one. */
typedef struct rn_loop_stderr {
    bool is_socket;
    bool pipe_open;
    int pipe_fd; /* our own, non-blocking description of the pipe that stderr is */
    dev_t pipe_dev;
    ino_t pipe_ino;
    bool torn; /* the last line was cut off in its middle */
    uint64_t impatient_until_ns;
} rn_loop_stderr;

/* Writes to stderr without stopping the loop: a line for which there is no room within
 * RN_LOOP_STDERR_WAIT_MS is given up, and for a while after it no line waits. False: the line is
 * lost, or a part of it. */
bool rn_loop_stderr_write(rn_loop_stderr *out, const char *line, size_t len);
/* A sink for rn_log_new that does so, with the system's wall clock. `out` outlives it. */
rn_log_sink rn_loop_stderr_sink(rn_loop_stderr *out);
void rn_loop_stderr_fini(rn_loop_stderr *out);

#endif
