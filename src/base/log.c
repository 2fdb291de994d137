/* log: the filter is parsed once into directives ordered by length, so that a check walks from the
 * most specific one down; a line is put together on the stack, without an allocation. */
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "rpcnet/error.h"

typedef struct directive {
    const char *target; /* "" matches everything */
    size_t target_len;
    enum rn_log_level level;
} directive;

struct rn_log {
    rn_log_sink sink;
    directive directives[RN_LOG_DIRECTIVES_MAX];
    size_t directive_count;
    enum rn_log_level level_max; /* of all directives: the cheap first check */
    uint64_t lost;               /* lines that the sink did not take */
    uint64_t lost_told;          /* of these, those that a line has told of */
    const char *text;            /* what a message must contain; NULL: nothing */
    char filter[];               /* the filter, cut into NUL-terminated pieces */
};

static const char *const level_names[] = {"OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"};

static bool parse_level(const char *text, enum rn_log_level *level) {
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *level = (enum rn_log_level)i;
            return true;
        }
    }
    return false;
}

static char *trim(char *text) {
    static const char spaces[] = " \t\r\n\v\f";
    text += strspn(text, spaces);
    size_t len = strlen(text);
    while (len > 0 && strchr(spaces, text[len - 1]) != NULL) {
        len--;
    }
    text[len] = '\0';
    return text;
}

/* A later directive for the same target replaces an earlier one. */
static int add_directive(rn_log *log, const char *target, enum rn_log_level level) {
    size_t len = strlen(target);
    size_t at = 0;
    while (at < log->directive_count && log->directives[at].target_len <= len) {
        if (strcmp(log->directives[at].target, target) == 0) {
            log->directives[at].level = level;
            return RPCNET_OK;
        }
        at++;
    }
    if (log->directive_count == RN_LOG_DIRECTIVES_MAX) {
        return RPCNET_ERR_LIMIT;
    }
    memmove(&log->directives[at + 1], &log->directives[at],
            (log->directive_count - at) * sizeof log->directives[0]);
    log->directives[at] = (directive){.target = target, .target_len = len, .level = level};
    log->directive_count++;
    return RPCNET_OK;
}

/* One directive: "level", "target", "target=" or "target=level". */
static int parse_directive(rn_log *log, char *spec, const char **invalid) {
    enum rn_log_level level = RN_LOG_TRACE;
    spec = trim(spec);
    if (*spec == '\0') {
        return RPCNET_OK;
    }
    char *equals = strchr(spec, '=');
    if (equals == NULL) {
        bool is_level = parse_level(spec, &level);
        return add_directive(log, is_level ? "" : spec, level);
    }
    *equals = '\0';
    char *value = trim(equals + 1);
    if (strchr(value, '=') != NULL) {
        *invalid = "a directive of the log filter has more than one '='";
        return RPCNET_OK;
    }
    if (*value != '\0' && !parse_level(value, &level)) {
        *invalid = "a level of the log filter is none of off, error, warn, info, debug, trace";
        return RPCNET_OK;
    }
    return add_directive(log, spec, level);
}

static int parse_filter(rn_log *log, const char **invalid) {
    char *slash = strchr(log->filter, '/');
    if (slash != NULL) {
        if (strchr(slash + 1, '/') != NULL) {
            *invalid = "the log filter has more than one '/'";
            return RPCNET_OK;
        }
        *slash = '\0';
        log->text = slash + 1;
    }
    char *rest = log->filter;
    while (rest != NULL) {
        char *spec = strsep(&rest, ",");
        int result = parse_directive(log, spec, invalid);
        if (result != RPCNET_OK) {
            return result;
        }
    }
    return RPCNET_OK;
}

int rn_log_new(rn_log **out, const char *filter, const rn_log_sink *sink, const char **invalid) {
    const char *ignored;
    if (invalid == NULL) {
        invalid = &ignored;
    }
    *invalid = NULL;
    *out = NULL;
    if (filter == NULL) {
        filter = "";
    }
    size_t len = strlen(filter);
    rn_log *log = calloc(1, sizeof *log + len + 1);
    if (log == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    log->sink = *sink;
    memcpy(log->filter, filter, len + 1);
    int result = parse_filter(log, invalid);
    if (result == RPCNET_OK && log->directive_count == 0) {
        result = add_directive(log, "", RN_LOG_INFO);
    }
    if (result != RPCNET_OK) {
        free(log);
        return result;
    }
    for (size_t i = 0; i < log->directive_count; i++) {
        if (log->directives[i].level > log->level_max) {
            log->level_max = log->directives[i].level;
        }
    }
    *out = log;
    return RPCNET_OK;
}

void rn_log_del(rn_log *log) {
    free(log);
}

bool rn_log_enabled(const rn_log *log, enum rn_log_level level, const char *target) {
    if (level == RN_LOG_OFF || level > log->level_max) {
        return false;
    }
    for (size_t i = log->directive_count; i > 0; i--) {
        const directive *d = &log->directives[i - 1];
        if (strncmp(target, d->target, d->target_len) == 0) {
            return level <= d->level;
        }
    }
    return false;
}

/* A line under construction. `cut` is the last place between two characters where the mark of a cut
 * line still fits. */
typedef struct line {
    char text[RN_LOG_LINE_MAX];
    size_t len;
    size_t cut;
    bool full;
} line;

static const char cut_mark[] = "…";

static void add_piece(line *l, const char *piece, size_t len) {
    size_t room = RN_LOG_LINE_MAX - 1 - l->len; /* one byte is for the newline */
    if (l->full || len > room) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->len, piece, len);
    l->len += len;
    if (l->len + (sizeof cut_mark - 1) <= RN_LOG_LINE_MAX - 1) {
        l->cut = l->len;
    }
}

static void add_escaped(line *l, rn_bytes bytes) {
    while (bytes.len > 0 && !l->full) {
        char piece[RN_TEXT_PIECE_MAX];
        size_t len;
        size_t taken = rn_text_piece(bytes, piece, &len);
        add_piece(l, piece, len);
        bytes = rn_bytes_of(bytes.data + taken, bytes.len - taken);
    }
}

/* "2026-11-22T05:08:00Z". Days become a date by counting years from March, so that a leap day is
 * the last day of its year; 146097 days are 400 years. */
static void add_time(line *l, uint64_t wall_ns) {
    uint64_t seconds = wall_ns / UINT64_C(1000000000);
    unsigned second = (unsigned)(seconds % 86400);
    uint64_t days = seconds / 86400 + 719468; /* since 0000-03-01 */
    uint64_t era = days / 146097;
    unsigned day = (unsigned)(days % 146097);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    unsigned year_day = day - (365 * year + year / 4 - year / 100);
    unsigned march_month = (5 * year_day + 2) / 153;
    unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;
    char text[64];
    int len = snprintf(text, sizeof text, "[%04u-%02u-%02uT%02u:%02u:%02uZ ",
                       (unsigned)era * 400 + year + (month <= 2 ? 1 : 0), month,
                       year_day - (153 * march_month + 2) / 5 + 1, second / 3600, second / 60 % 60,
                       second % 60);
    add_piece(l, text, (size_t)len);
}

static void finish(line *l) {
    if (l->full) {
        memcpy(l->text + l->cut, cut_mark, sizeof cut_mark - 1);
        l->len = l->cut + sizeof cut_mark - 1;
    }
    l->text[l->len++] = '\n';
}

static bool write_line(const rn_log *log, enum rn_log_level level, const char *target,
                       rn_bytes message) {
    line l;
    l.len = l.cut = 0;
    l.full = false;
    add_time(&l, log->sink.wall(log->sink.user));
    add_piece(&l, level_names[level], strlen(level_names[level]));
    add_piece(&l, " ", 1);
    add_escaped(&l, rn_bytes_text(target));
    add_piece(&l, "] ", 2);
    add_escaped(&l, message);
    finish(&l);
    return log->sink.write(l.text, l.len, log->sink.user);
}

/* Whatever the filter says: who reads the log has to know that it is not whole. False: the sink
 * still takes nothing. */
static bool tell_lost(rn_log *log) {
    char message[64];
    if (log->lost == log->lost_told) {
        return true;
    }
    int len = snprintf(message, sizeof message, "lines=%" PRIu64 " log lines were lost",
                       log->lost - log->lost_told);
    if (!write_line(log, RN_LOG_WARN, "rpcnet::log", rn_bytes_of(message, (size_t)len))) {
        return false;
    }
    log->lost_told = log->lost;
    return true;
}

void rn_log_write(rn_log *log, enum rn_log_level level, const char *target, const char *format,
                  ...) {
    if (!rn_log_enabled(log, level, target)) {
        return;
    }
    /* What is cut off here would not fit in the line either: escaping never shortens. */
    char message[RN_LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int printed = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (printed < 0) {
        printed = snprintf(message, sizeof message, "a message that could not be formatted");
    }
    size_t len = (size_t)printed < sizeof message ? (size_t)printed : sizeof message - 1;
    if (log->text != NULL && memmem(message, len, log->text, strlen(log->text)) == NULL) {
        return;
    }
    if (!tell_lost(log) || !write_line(log, level, target, rn_bytes_of(message, len))) {
        log->lost++;
    }
}

uint64_t rn_log_lines_lost(const rn_log *log) {
    return log->lost;
}
