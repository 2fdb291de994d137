/* file: with the system's own calls, for a stdio buffer would keep what it has read. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpcnet/error.h"

/* Is it one that reading cannot wait for? What was opened is asked, not the path: that may name
 * something else by now. */
static int check_kind(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return errno;
    }
    if (S_ISDIR(status.st_mode)) {
        return EISDIR;
    }
    return S_ISREG(status.st_mode) ? 0 : RN_FILE_IRREGULAR;
}

static int read_whole(int fd, uint8_t *out, size_t max, size_t *len) {
    uint8_t beyond = 0;
    ssize_t got;
    int error = 0;
    do {
        bool full = *len == max;
        error = 0;
        got = read(fd, full ? &beyond : out + *len, full ? 1 : max - *len);
        if (got < 0) {
            error = errno;
        } else if (got > 0 && full) {
            error = EFBIG;
        } else {
            *len += (size_t)got;
        }
    } while (error == EINTR || (got > 0 && error == 0));
    explicit_bzero(&beyond, sizeof beyond);
    return error;
}

int rn_file_read(const char *path, void *out, size_t max, size_t *len) {
    *len = 0;
    /* Without O_NONBLOCK a FIFO waits for its writer before it can be asked what it is. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int error = check_kind(fd);
    if (error == 0) {
        error = read_whole(fd, out, max, len);
    }
    close(fd);
    return error;
}

const char *rn_file_error(int error) {
    switch (error) {
    case RN_FILE_IRREGULAR:
        return "is no regular file";
    case EMFILE:
    case ENFILE:
        return rpcnet_strerror(RPCNET_ERR_DESCRIPTORS);
    default:
        return strerror(error);
    }
}
