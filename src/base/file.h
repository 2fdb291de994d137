/* file: small regular files that are read as a whole: certificates, keys, secrets, tokens.
 *
 * They are read inside the loop, so nothing here waits: a FIFO or a device in the place of a file
 * is refused unread, and a file ends somewhere. There is no copy in between that nobody wipes. */
#ifndef RN_BASE_FILE_H
#define RN_BASE_FILE_H

#include <stddef.h>

enum {
    RN_FILE_PEM_MAX = 1 << 20, /* bytes of a file with certificates or a key */
    RN_FILE_IRREGULAR = -1     /* beside the values of errno */
};

/* Reads a regular file, or one that symbolic links lead to, of at most `max` bytes. 0, an errno
 * (EISDIR; EFBIG: the file is longer), or RN_FILE_IRREGULAR. On failure bytes may have been
 * written to `out`. */
int rn_file_read(const char *path, void *out, size_t max, size_t *len);

/* What is wrong, for people; when descriptors are out also what to do about it. */
const char *rn_file_error(int error);

#endif
