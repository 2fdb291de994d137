/* qlog: a folder of files that record what QUIC connections do, one for each connection:
 *
 *   <UTC time>-<original destination connection id>-<client|server>.sqlog
 *
 * as sequences of JSON texts (qlog 0.3, JSON-SEQ). Both ends of a connection name the same id.
 * Files are made anew, readable by their owner alone, and no link is followed. What goes wrong (a
 * full disk, a folder that is gone, no descriptor left) is said in the log, and is felt by the
 * record alone: it ends with the last text that could be written whole.
 *
 * Files are written in the env's thread: a disk that makes it wait makes connections wait. */
#ifndef APPS_COMMON_QLOG_H
#define APPS_COMMON_QLOG_H

#include "base/env.h"

enum {
    RN_QLOG_BYTES_MAX = 16 << 20, /* of one file, the default */
    RN_QLOG_FILES_MAX = 64,       /* open at once, the default */
    RN_QLOG_BUFFER_BYTES = 16 << 10
};

typedef struct rn_qlog rn_qlog;

typedef struct rn_qlog_options {
    const char *dir;    /* it has to exist */
    const char *target; /* of log lines; borrowed */
    uint64_t bytes_max; /* of one file; a text that does not fit whole ends it */
    uint64_t files_max; /* open at once; further connections go without. A quarter of the
                           descriptors that the process may open is the most, whatever this says */
    bool at_once;       /* write each text as it comes, not at the end of the env's turn */
} rn_qlog_options;

/* Also lets the process ignore SIGXFSZ. 0, or an errno that says what is wrong with the folder. */
int rn_qlog_new(rn_qlog **out, const rn_qlog_options *options);
void rn_qlog_del(rn_qlog *qlog); /* when no connection is recorded any more; NULL is fine */

const rn_qlog_sink *rn_qlog_get_sink(const rn_qlog *qlog); /* for rn_env.qlog; lives as long */

/* Connections so far that got no file, or whose record ended early; 0 for NULL. */
uint64_t rn_qlog_incomplete(const rn_qlog *qlog);

#endif
