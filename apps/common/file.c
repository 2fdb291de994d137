/* file: with the system's own calls, for a stdio buffer would keep what it has read. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "rpcnet/error.h"

int rn_file_read(const char *path, void *out, size_t max, size_t *len) {
    uint8_t *bytes = out;
    uint8_t beyond;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    *len = 0;
    ssize_t got;
    int error = 0;
    do {
        bool full = *len == max;
        got = read(fd, full ? &beyond : bytes + *len, full ? 1 : max - *len);
        if (got < 0) {
            error = errno;
        } else if (got > 0 && full) {
            error = EFBIG;
        } else {
            *len += (size_t)got;
        }
    } while (error == EINTR || (got > 0 && error == 0));
    close(fd);
    return error;
}

const char *rn_file_error(int error) {
    return error == EMFILE || error == ENFILE ? rpcnet_strerror(RPCNET_ERR_DESCRIPTORS)
                                              : strerror(error);
}
