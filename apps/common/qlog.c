/* qlog: texts are gathered during a turn and written at its end, so that a process that is killed
 * has left what it did before. */
#include "common/qlog.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { NAME_MAX_BYTES = 128, CLOSED = -1 };

struct rn_qlog {
    rn_qlog_sink sink;
    const char *target;
    int dir;
    uint64_t bytes_max;
    uint64_t files_max;
    bool at_once;
    uint64_t files; /* open now */
    uint64_t records;
    uint64_t missing; /* connections that got no file */
    uint64_t cut;     /* records that ended early */
};

typedef struct record {
    rn_qlog *qlog;
    rn_env *env;
    int fd;           /* CLOSED: given up */
    uint64_t written; /* bytes in the file, all of them whole texts */
    size_t held;      /* bytes in `buffer` */
    rn_deferred flush;
    char name[NAME_MAX_BYTES];
    uint8_t buffer[RN_QLOG_BUFFER_BYTES];
} record;

static void close_file(record *r) {
    rn_deferred_cancel(&r->flush);
    (void)close(r->fd);
    r->fd = CLOSED;
    r->held = 0;
    r->qlog->files--;
}

static void give_up(record *r, const char *why) {
    RN_WARN(r->env->log, r->qlog->target, "file=%s bytes=%llu err=%s qlog ends early", r->name,
            (unsigned long long)r->written, RN_TEXT_QUOTE(rn_bytes_text(why)));
    r->qlog->cut++;
    close_file(r);
}

/* A text that was written in part is taken back. */
static void write_out(record *r, const uint8_t *data, size_t len) {
    size_t done = 0;
    while (done < len) {
        ssize_t now = write(r->fd, data + done, len - done);
        if (now < 0 && errno == EINTR) {
            continue;
        }
        if (now <= 0) {
            int error = now < 0 ? errno : EIO;
            if (done > 0 && ftruncate(r->fd, (off_t)r->written) != 0) {
                error = errno;
            }
            give_up(r, strerror(error));
            return;
        }
        done += (size_t)now;
    }
    r->written += len;
}

static void flush(void *user) {
    record *r = user;
    size_t len = r->held;
    r->held = 0;
    if (r->fd != CLOSED && len > 0) {
        write_out(r, r->buffer, len);
    }
}

static void take(void *of, rn_bytes texts) {
    record *r = of;
    if (r->fd == CLOSED) {
        return;
    }
    if (texts.len > r->qlog->bytes_max - r->written - r->held) {
        flush(r);
        if (r->fd != CLOSED) {
            give_up(r, "it is as long as it may be");
        }
        return;
    }
    if (texts.len > sizeof r->buffer - r->held) {
        flush(r);
    }
    if (r->fd == CLOSED) {
        return;
    }
    if (r->qlog->at_once || texts.len > sizeof r->buffer) {
        write_out(r, texts.data, texts.len);
        return;
    }
    memcpy(r->buffer + r->held, texts.data, texts.len);
    r->held += texts.len;
    rn_env_defer(r->env, &r->flush);
}

static void end(void *of) {
    record *r = of;
    flush(r);
    if (r->fd != CLOSED) {
        close_file(r);
    }
    r->qlog->records--;
    free(r);
}

static void name_file(record *r, rn_bytes id, bool server) {
    char hex[64 + 1] = "";
    char at[32];
    struct tm utc;
    uint64_t wall = rn_env_wall(r->env);
    time_t seconds = (time_t)(wall / RN_SECOND);
    for (size_t i = 0; i < id.len && 2 * i + 2 < sizeof hex; i++) {
        snprintf(hex + 2 * i, 3, "%02x", id.data[i]);
    }
    gmtime_r(&seconds, &utc);
    strftime(at, sizeof at, "%Y%m%dT%H%M%S", &utc);
    snprintf(r->name, sizeof r->name, "%s.%06uZ-%s-%s.sqlog", at,
             (unsigned)(wall % RN_SECOND / RN_MICROSECOND), hex, server ? "server" : "client");
}

/* Newcomers may be many: the first, second, fourth, eighth ... is told. */
static void tell_missing(rn_qlog *qlog, rn_env *env, const char *why) {
    uint64_t n = ++qlog->missing;
    if ((n & (n - 1)) == 0) {
        RN_WARN(env->log, qlog->target, "connections=%llu err=%s connection without qlog",
                (unsigned long long)n, RN_TEXT_QUOTE(rn_bytes_text(why)));
    }
}

static void *begin(rn_env *env, rn_bytes id, bool server, void *user) {
    rn_qlog *qlog = user;
    if (qlog->files >= qlog->files_max) {
        tell_missing(qlog, env, "as many files are open as may be");
        return NULL;
    }
    record *r = malloc(sizeof *r);
    if (r == NULL) {
        tell_missing(qlog, env, strerror(ENOMEM));
        return NULL;
    }
    r->qlog = qlog;
    r->env = env;
    r->written = 0;
    r->held = 0;
    rn_deferred_init(&r->flush, flush, r);
    name_file(r, id, server);
    r->fd = openat(qlog->dir, r->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (r->fd < 0) {
        tell_missing(qlog, env, strerror(errno));
        free(r);
        return NULL;
    }
    qlog->files++;
    qlog->records++;
    return r;
}

int rn_qlog_new(rn_qlog **out, const rn_qlog_options *options) {
    struct rlimit descriptors;
    *out = NULL;
    rn_qlog *qlog = calloc(1, sizeof *qlog);
    if (qlog == NULL) {
        return ENOMEM;
    }
    qlog->dir = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (qlog->dir < 0) {
        int error = errno;
        free(qlog);
        return error;
    }
    signal(SIGXFSZ, SIG_IGN); /* a limit on the length of files is an error of `write` instead */
    qlog->sink = (rn_qlog_sink){.begin = begin, .write = take, .end = end, .user = qlog};
    qlog->target = options->target;
    qlog->bytes_max = options->bytes_max;
    qlog->files_max = options->files_max;
    qlog->at_once = options->at_once;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && qlog->files_max > descriptors.rlim_cur / 4) {
        qlog->files_max = descriptors.rlim_cur / 4;
    }
    *out = qlog;
    return 0;
}

void rn_qlog_del(rn_qlog *qlog) {
    if (qlog != NULL) {
        assert(qlog->records == 0);
        (void)close(qlog->dir);
        free(qlog);
    }
}

const rn_qlog_sink *rn_qlog_get_sink(const rn_qlog *qlog) {
    return &qlog->sink;
}

uint64_t rn_qlog_incomplete(const rn_qlog *qlog) {
    return qlog != NULL ? qlog->missing + qlog->cut : 0;
}
