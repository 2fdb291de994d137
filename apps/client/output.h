/* output: bytes for a descriptor whose reader may be slow, such as standard output.
 *
 * What is added waits until the end of the turn and is then written, with one system call if there
 * is room. If there is none, it waits on, and the loop tells when there is room again; the program
 * serves its connection meanwhile. The descriptor is shared with other processes, so it is never
 * made non-blocking. */
#ifndef APPS_CLIENT_OUTPUT_H
#define APPS_CLIENT_OUTPUT_H

#include "base/buffer.h"
#include "loop/loop.h"

enum {
    RN_OUTPUT_TURN_BYTES = 64 << 10, /* of one turn, written together */
    RN_OUTPUT_FULL_BYTES = 64 << 10, /* that wait for a reader: more should not be made */
    RN_OUTPUT_BYTES_MAX = 64 << 20   /* that wait; more is an error */
};

/* How it is written without waiting for a reader. */
enum rn_output_way {
    RN_OUTPUT_PLAIN,  /* a file, or a device other than a terminal: it has no reader */
    RN_OUTPUT_OWN,    /* a pipe or terminal, by a non-blocking description of our own */
    RN_OUTPUT_SOCKET, /* a socket: each send says that it does not wait */
    RN_OUTPUT_ASKING  /* as RN_OUTPUT_OWN, but it could not be opened anew (the pipe is another
                         user's, say): the kernel is asked before each small write */
};

typedef struct rn_output {
    int fd; /* borrowed, but for RN_OUTPUT_OWN */
    enum rn_output_way way;
    int epoll_fd; /* has `fd` while `blocked` */
    rn_loop_watch *watch;
    rn_buffer bytes; /* what waits, behind `done` bytes that were written */
    size_t done;
    uint64_t taken; /* bytes in all */
    bool blocked;   /* a reader is waited for */
    int error;      /* errno: why it takes no more; what waits is dropped then. 0: all is well */
    void (*settled)(void *user);
    void *user;
} rn_output;

/* `settled` is called in a turn of its own when all that had to wait for a reader was written, or
 * when that failed; not inside any function here. `loop` may be NULL: written as a plain file.
 * RPCNET_ERR_DESCRIPTORS, RPCNET_ERR_MEMORY, RPCNET_ERR_IO; rn_output_fini is to be called then,
 * too. */
int rn_output_init(rn_output *output, rn_loop *loop, int fd, void (*settled)(void *user),
                   void *user);
/* What waits is dropped. All zero is fine. Before the loop is deleted. */
void rn_output_fini(rn_output *output);

/* Keeps the bytes for rn_output_flush, which it calls itself when RN_OUTPUT_TURN_BYTES wait. Bytes
 * that are added together reach a file in one write. */
void rn_output_add(rn_output *output, const void *data, size_t len);
/* Writes what waits, unless a reader is waited for. */
void rn_output_flush(rn_output *output);
/* Something for it could not be made; as if it could not be written. The first error is kept. */
void rn_output_fail(rn_output *output, int error);

static inline size_t rn_output_waiting(const rn_output *output) {
    return output->bytes.len - output->done;
}

static inline bool rn_output_is_full(const rn_output *output) {
    return output->blocked && rn_output_waiting(output) >= RN_OUTPUT_FULL_BYTES;
}

#endif
