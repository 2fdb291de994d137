/* log: leveled lines in the format of env_logger, filtered by RUST_LOG's syntax.
 *
 *   [2026-11-22T05:08:00Z INFO connection_swap::director] stream.id=1 ... client opened stream
 *
 * A log is an object (no globals); where lines go and what the time is comes from its creator.
 * Messages are printf-formatted as `key=value … message`. Control characters that came from a peer
 * (C0, DEL, C1 as UTF-8) are escaped as \xNN before the line is written, so one message is always one line. */
#ifndef RN_BASE_LOG_H
#define RN_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rn_log_level { RN_LOG_OFF, RN_LOG_ERROR, RN_LOG_WARN, RN_LOG_INFO, RN_LOG_DEBUG, RN_LOG_TRACE };

enum {
    RN_LOG_LINE_MAX = 2048,      /* bytes of a line with its newline; longer ones end in "…" */
    RN_LOG_DIRECTIVES_MAX = 64   /* directives of one filter */
};

typedef struct rn_log rn_log;

typedef struct rn_log_sink {
    uint64_t (*wall)(void *user); /* nanoseconds since 1970-01-01 UTC */
    void (*write)(const char *line, size_t len, void *user); /* one whole line with its newline */
    void *user;
} rn_log_sink;

/* `filter` is env_logger's syntax ("info", "warn,connection_swap::director=debug", "…/text");
 * NULL or "" means info. A directive that cannot be parsed is ignored as env_logger does;
 * `*invalid` (may be NULL) then points to a static explanation. RPCNET_ERR_MEMORY,
 * RPCNET_ERR_LIMIT. */
int rn_log_new(rn_log **out, const char *filter, const rn_log_sink *sink, const char **invalid);
void rn_log_del(rn_log *log);

bool rn_log_enabled(const rn_log *log, enum rn_log_level level, const char *target);
void rn_log_write(rn_log *log, enum rn_log_level level, const char *target, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Arguments are not evaluated when the level is filtered out. */
#define RN_LOG(log, level, target, ...)                                                            \
    do {                                                                                           \
        if (rn_log_enabled((log), (level), (target))) {                                            \
            rn_log_write((log), (level), (target), __VA_ARGS__);                                   \
        }                                                                                          \
    } while (0)
#define RN_ERROR(log, target, ...) RN_LOG(log, RN_LOG_ERROR, target, __VA_ARGS__)
#define RN_WARN(log, target, ...) RN_LOG(log, RN_LOG_WARN, target, __VA_ARGS__)
#define RN_INFO(log, target, ...) RN_LOG(log, RN_LOG_INFO, target, __VA_ARGS__)
#define RN_DEBUG(log, target, ...) RN_LOG(log, RN_LOG_DEBUG, target, __VA_ARGS__)
#define RN_TRACE(log, target, ...) RN_LOG(log, RN_LOG_TRACE, target, __VA_ARGS__)

#endif
