/* log: leveled lines in the format of env_logger, filtered by RUST_LOG's syntax.
 *
 *   [2026-11-22T05:08:00Z INFO connection_swap::director] stream.id=1 ... client opened stream
 *
 * A log is an object (no globals); where lines go and what the time is comes from its creator.
 * Messages are printf-formatted as `key=value … message`. What could break or forge a line when it
 * came from a peer (C0, DEL and C1 controls, line separators and direction marks, bytes that are no
 * UTF-8) is escaped as \xNN before the line is written, so one message is always one line. A value
 * that came from elsewhere goes through RN_TEXT_QUOTE or RN_TEXT_VALUE (base/text.h): it could look
 * like more keys.
 *
 * The filter is a list of directives separated by commas: `level`, `target` (everything of it) or
 * `target=level`, with the levels off, error, warn, info, debug and trace in any case. A directive
 * holds for all targets that begin with its target; the longest one decides; without any that
 * matches nothing is written. `/text` at the end lets only messages through that contain the text,
 * which is compared as it is, before escaping: unlike in env_logger it is no regular expression. */
#ifndef RN_BASE_LOG_H
#define RN_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rn_log_level {
    RN_LOG_OFF,
    RN_LOG_ERROR,
    RN_LOG_WARN,
    RN_LOG_INFO,
    RN_LOG_DEBUG,
    RN_LOG_TRACE
};

enum {
    RN_LOG_LINE_MAX = 2048,    /* bytes of a line with its newline; longer ones end in "…" */
    RN_LOG_DIRECTIVES_MAX = 64 /* directives of one filter */
};

typedef struct rn_log rn_log;

typedef struct rn_log_sink {
    uint64_t (*wall)(void *user); /* nanoseconds since 1970-01-01 UTC */
    /* One whole line with its newline. False: it could not be written, and is counted as lost. */
    bool (*write)(const char *line, size_t len, void *user);
    void *user;
} rn_log_sink;

/* `filter` is env_logger's syntax ("info", "warn,connection_swap::director=debug", "…/text");
 * NULL or "" means info. A directive that cannot be parsed is ignored as env_logger does;
 * `*invalid` (may be NULL) then points to a static explanation. RPCNET_ERR_MEMORY,
 * RPCNET_ERR_LIMIT. */
int rn_log_new(rn_log **out, const char *filter, const rn_log_sink *sink, const char **invalid);
void rn_log_del(rn_log *log);

bool rn_log_enabled(const rn_log *log, enum rn_log_level level, const char *target);
/* Lines that the sink could not write, since the log was made. The first line that it takes again
 * says before itself how many were lost since the one before. */
uint64_t rn_log_lines_lost(const rn_log *log);
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
