/* settings: the one reader of options and environment variables for all programs.
 *
 * A program describes its settings in a table; reading it fills a struct of the program's. What an
 * option says beats what the environment says, that beats the default. Help and documentation are
 * made from the same table.
 *
 *   typedef struct config { const char *user_addr; uint64_t wait_ns; } config;
 *   static const rn_setting table[] = {
 *       {.option = "user-addr", .variable = "CONNECTION_SWAP_DIRECTOR_USER_ADDR",
 *        .kind = RN_SETTING_ADDRESS, .value = "127.0.0.1:61000",
 *        .help = "Where clients connect.", .offset = offsetof(config, user_addr)},
 *       ...
 *
 * Nothing here reads the process's environment or prints: argv and envp are handed in, texts come
 * back. Texts in the filled struct point into argv, envp or the table and are not copied. */
#ifndef RN_BASE_SETTINGS_H
#define RN_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    RN_SETTINGS_MAX = 96,            /* settings of one table */
    RN_SETTINGS_POSITIONAL_MAX = 16, /* positional arguments */
    RN_SETTINGS_WARNINGS_MAX = 8,    /* more are not kept */
    RN_SETTINGS_LINE_MAX = 320       /* bytes of an error or warning with its NUL */
};

/* The kind decides the type of the struct's member and what a value looks like. */
enum rn_setting_kind {
    RN_SETTING_TEXT,     /* const char *; min and max are its length in bytes */
    RN_SETTING_ADDRESS,  /* const char *, "host:port" that rn_address_split accepts; min is of the
                            port */
    RN_SETTING_PATH,     /* const char *, not empty */
    RN_SETTING_NUMBER,   /* uint64_t */
    RN_SETTING_DURATION, /* uint64_t, nanoseconds: "250ms", "15s", "2m", "0" */
    RN_SETTING_SIZE,     /* uint64_t, bytes: "256KiB", "4MiB" */
    RN_SETTING_FLAG,  /* bool: --name, --no-name, --name=false; true/false, yes/no, on/off, 1/0 */
    RN_SETTING_CHOICE /* unsigned: the index of the name in `choices` */
};

/* Where a value came from. UNSET: there is no default and nobody gave one; the member is NULL, 0 or
 * false. */
enum rn_setting_source {
    RN_SETTING_UNSET,
    RN_SETTING_DEFAULT,
    RN_SETTING_DERIVED, /* rn_settings_derive gave it */
    RN_SETTING_ENVIRONMENT,
    RN_SETTING_OPTION
};

typedef struct rn_setting {
    const char *group;           /* heading in help; NULL: that of the setting before */
    const char *option;          /* "user-addr" for --user-addr; NULL: no option */
    const char *variable;        /* environment variable; NULL: none; one of the two is needed */
    const char *const *replaces; /* older variables of the same meaning, ended by NULL; or NULL */
    enum rn_setting_kind kind;
    const char *value;          /* default as one would write it; NULL: unset */
    uint64_t min;               /* allowed range, both inclusive, */
    uint64_t max;               /* 0: no upper bound */
    const char *zero;           /* what 0 means ("never"); allows 0 below min; NULL: nothing */
    const char *const *choices; /* names of a CHOICE, ended by NULL */
    const char *unit;           /* "streams"; NULL: none or said by the kind */
    const char *help;           /* one or more sentences */
    size_t offset;              /* of the member in the program's struct */
} rn_setting;

typedef struct rn_settings rn_settings;

typedef struct rn_settings_spec {
    const char *program; /* "director" */
    const char *version; /* RPCNET_VERSION */
    const char *summary; /* sentences for --help */
    const rn_setting *table;
    size_t count;
    const char *positional; /* what positional arguments are called; NULL: none allowed */
    size_t positional_max;
    /* For what a table cannot say: older names that need arithmetic, limits that depend on each
     * other. Called when options and environment are read; looks up names by
     * rn_settings_environment, gives values by rn_settings_derive and complains by
     * rn_settings_complain; a setting that nobody gave is still UNSET then, with its default in
     * `values`. NULL: none. */
    int (*check)(rn_settings *settings, void *values);
} rn_settings_spec;

enum rn_settings_action { RN_SETTINGS_RUN, RN_SETTINGS_HELP, RN_SETTINGS_VERSION };

/* What reading found out, beside the values. Read only for callers. */
struct rn_settings {
    const rn_settings_spec *spec;
    void *values;
    char *const *envp;
    enum rn_settings_action action; /* HELP, VERSION: show it and end; the values are incomplete */
    enum rn_setting_source sources[RN_SETTINGS_MAX];
    const char *names[RN_SETTINGS_MAX]; /* the variable that gave a value */
    const char *positional[RN_SETTINGS_POSITIONAL_MAX];
    size_t positional_count;
    char warnings[RN_SETTINGS_WARNINGS_MAX][RN_SETTINGS_LINE_MAX]; /* lines for the log */
    size_t warning_count;
    char error[RN_SETTINGS_LINE_MAX]; /* one line without newline, when reading failed */
};

/* Fills `values`. RPCNET_OK, or RPCNET_ERR_ARGUMENT with one line in settings->error that names the
 * program, the option or variable as it was given, and what is expected. An environment variable
 * that is empty counts as not set. An option given twice: the last one holds. --help (-h) and
 * --version (-V) end the reading where they stand. "--" ends the options. A table that contradicts
 * itself (a default out of range, say) is an assertion. */
int rn_settings_read(rn_settings *settings, const rn_settings_spec *spec, void *values, int argc,
                     char *const argv[], char *const envp[]);

/* `name`, here and below: the setting's option, or its variable when it has no option. */
enum rn_setting_source rn_settings_source(const rn_settings *settings, const char *name);

/* Writes an error line about a setting, as the reader does: "director: --user-addr: <message>" with
 * the name by which the value was given. For what only the program can know, before or after it
 * runs (two settings that exclude each other, a file that cannot be read). */
void rn_settings_complain(const rn_settings *settings, const char *name,
                          char out[RN_SETTINGS_LINE_MAX], const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For `check`. */

/* The value of any environment variable; NULL when it is not set or empty. */
const char *rn_settings_environment(const rn_settings *settings, const char *variable);
/* Gives a setting a value computed from `variable`; `text` must outlive the values. Nothing happens
 * when the setting was given by option or by its own variable. RPCNET_ERR_ARGUMENT with
 * settings->error when the text is not acceptable. */
int rn_settings_derive(rn_settings *settings, const char *name, const char *text,
                       const char *variable);
/* Adds a warning line "<program>: <message>". */
void rn_settings_warn(rn_settings *settings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Sets settings->error to "<program>: <message>" and returns RPCNET_ERR_ARGUMENT. */
int rn_settings_fail(rn_settings *settings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Texts made from the table. RPCNET_ERR_LIMIT or RPCNET_ERR_MEMORY of the buffer. */

int rn_settings_help(const rn_settings_spec *spec, rn_buffer *out);    /* at most 90 columns */
int rn_settings_version(const rn_settings_spec *spec, rn_buffer *out); /* "director 0.1.0\n" */
/* A Markdown table: variable, option, default, value, meaning; one row for each setting. */
int rn_settings_markdown(const rn_settings_spec *spec, rn_buffer *out);
/* What stands under OPTIONS in a manual page, in the macros of man(7). */
int rn_settings_man(const rn_settings_spec *spec, rn_buffer *out);

#endif
