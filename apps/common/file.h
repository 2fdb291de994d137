/* file: small files that are read as a whole, without a copy in between that nobody wipes. */
#ifndef APPS_COMMON_FILE_H
#define APPS_COMMON_FILE_H

#include <stddef.h>

/* Reads at most `max` bytes. 0, or an errno (EFBIG: the file is longer). */
int rn_file_read(const char *path, void *out, size_t max, size_t *len);

/* strerror, and when descriptors are out what to do about it. */
const char *rn_file_error(int error);

#endif
