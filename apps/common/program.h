/* program: what the three programs do alike: settings, log, loop, signals, exit codes.
 *
 * A program lives on an rn_env. On a real machine rn_program_start makes one: a loop, whose signals
 * it hears and which rn_program_run runs. rn_program_start_on takes one that somebody else runs,
 * many programs in one process; everything else is the same.
 *
 *   int main(int argc, char *argv[]) {
 *       config config;
 *       rn_program program;
 *       if (rn_program_start(&program, &spec, &config, argc, argv, environ)) {
 *           ... make servers and channels on program.env; on failure rn_program_fail ...
 *           rn_program_run(&program);
 *           ... delete them ...
 *       }
 *       return rn_program_end(&program);
 *   }
 *
 * What goes wrong before or instead of the program's work is one plain line on stderr,
 * "<program>: ..."; everything else goes through the log. */
#ifndef APPS_COMMON_PROGRAM_H
#define APPS_COMMON_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/env.h"
#include "base/settings.h"
#include "common/qlog.h"
#include "loop/loop.h"
#include "rpcnet/error.h"

enum { RN_EXIT_OK = 0, RN_EXIT_RUNTIME = 1, RN_EXIT_USAGE = 2 };

/* Values of the settings that all programs have; a member of each program's struct. What a program
 * has no setting for stays NULL. */
typedef struct rn_common {
    const char *log;       /* filter; NULL: info */
    const char *certs_dir; /* NULL: searched for */
    const char *ca;        /* NULL: ca.crt there */
    const char *cert;      /* own identity; NULL: the program's default name there */
    const char *key;
    const char *secret_file; /* NULL: cluster.secret there */
    const char *qlog_dir;    /* NULL: connections are not recorded */
    uint64_t qlog_max;
    uint64_t qlog_files;
    bool allow_core_dumps;
} rn_common;

/* NOLINTBEGIN(bugprone-macro-parentheses): a type cannot stand in parentheses. */
/* Rows for a program's table; `type` is its struct, `member` its rn_common. */
#define RN_COMMON_LOG(type, member)                                                                \
    {                                                                                              \
        .group = "Log", .option = "log", .variable = "RUST_LOG", .kind = RN_SETTING_TEXT,          \
        .value = "info",                                                                           \
        .help =                                                                                    \
            "Which lines to log: a level (off, error, warn, info, debug, trace) or a list such "   \
            "as warn,worker=debug.",                                                               \
        .offset = offsetof(type, member.log)                                                       \
    }
#define RN_COMMON_QLOG(type, member)                                                               \
    {.group = "Records of connections",                                                            \
     .option = "qlog-dir",                                                                         \
     .variable = "CONNECTION_SWAP_QLOG_DIR",                                                       \
     .kind = RN_SETTING_PATH,                                                                      \
     .help = "Folder, which has to exist, for a file of each QUIC connection in the format qlog: " \
             "its packets and frames, no content, but tokens that can end the connection. Unset: " \
             "none.",                                                                              \
     .offset = offsetof(type, member.qlog_dir)},                                                   \
        {.option = "qlog-max",                                                                     \
         .variable = "CONNECTION_SWAP_QLOG_MAX",                                                   \
         .kind = RN_SETTING_SIZE,                                                                  \
         .value = "16MiB",                                                                         \
         .min = 4096,                                                                              \
         .max = UINT64_C(1) << 40,                                                                 \
         .help = "One such file; there the record of its connection ends.",                        \
         .offset = offsetof(type, member.qlog_max)},                                               \
    {                                                                                              \
        .option = "qlog-files", .variable = "CONNECTION_SWAP_QLOG_FILES",                          \
        .kind = RN_SETTING_NUMBER, .value = "64", .min = 1, .max = 65536, .unit = "files",         \
        .help = "Such files open at once, at most a quarter of the descriptors that the process "  \
                "may open. Connections beyond them are not recorded.",                             \
        .offset = offsetof(type, member.qlog_files)                                                \
    }
#define RN_COMMON_CERTS(type, member)                                                              \
    {.group = "Certificates",                                                                      \
     .option = "certs-dir",                                                                        \
     .variable = "CONNECTION_SWAP_CERTS_DIR",                                                      \
     .kind = RN_SETTING_PATH,                                                                      \
     .help = "Folder of the certificates and keys. Unset: the first certs/ found here, in a "      \
             "folder above, or above the program itself.",                                         \
     .offset = offsetof(type, member.certs_dir)},                                                  \
    {                                                                                              \
        .option = "ca", .variable = "CONNECTION_SWAP_CA", .kind = RN_SETTING_PATH,                 \
        .help = "Authority whose certificates are trusted (PEM). Unset: ca.crt in that folder.",   \
        .offset = offsetof(type, member.ca)                                                        \
    }
/* `what`: a sentence that says which files are taken when unset. */
#define RN_COMMON_PAIR(type, member, what)                                                         \
    {.option = "cert",                                                                             \
     .variable = "CONNECTION_SWAP_CERT",                                                           \
     .kind = RN_SETTING_PATH,                                                                      \
     .help = "Own certificate inside the cluster (PEM). " what,                                    \
     .offset = offsetof(type, member.cert)},                                                       \
    {                                                                                              \
        .option = "key", .variable = "CONNECTION_SWAP_KEY", .kind = RN_SETTING_PATH,               \
        .help = "Its private key (PEM). " what, .offset = offsetof(type, member.key)               \
    }
#define RN_COMMON_SECRET(type, member)                                                             \
    {                                                                                              \
        .option = "secret-file", .variable = "CONNECTION_SWAP_SECRET_FILE",                        \
        .kind = RN_SETTING_PATH,                                                                   \
        .help =                                                                                    \
            "The cluster's secret, 64 hexadecimal digits, from which connection ids and tokens "   \
            "derive; a second line may hold the one before it, which is still recognised. Unset: " \
            "cluster.secret in that folder.",                                                      \
        .offset = offsetof(type, member.secret_file)                                               \
    }

#define RN_COMMON_PROCESS(type, member)                                                            \
    {                                                                                              \
        .group = "Process", .option = "allow-core-dumps",                                          \
        .variable = "CONNECTION_SWAP_ALLOW_CORE_DUMPS", .kind = RN_SETTING_FLAG, .value = "false", \
        .help = "Allow core dumps and debuggers, which can read keys and secrets.",                \
        .offset = offsetof(type, member.allow_core_dumps)                                          \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

typedef struct rn_program_spec {
    const rn_settings_spec *settings;
    const char *target;   /* log target: "connection_swap::director" */
    size_t common_offset; /* of the rn_common in the program's struct */
    bool reloads;         /* SIGHUP reads files anew instead of ending it: rn_program_on_reload */
} rn_program_spec;

typedef void rn_program_stop_fn(void *user);

typedef struct rn_program {
    const rn_program_spec *spec;
    rn_settings settings;
    const rn_common *common;
    const char *target; /* for RN_INFO(program->log, program->target, ...) */
    rn_loop_stderr err;
    rn_log *log;   /* its own with a loop, the env's without one */
    rn_loop *loop; /* NULL: somebody else runs the env */
    rn_env *env;   /* an rpcnet_env, too */
    rn_qlog *qlog; /* NULL: none, or the env is somebody else's */
    rn_program_stop_fn *stop;
    void *stop_user;
    void (*reload)(void *user);
    void *reload_user;
    bool reloading; /* in `reload`: what fails is logged and ends nothing */
    bool stopping;  /* SIGINT or SIGTERM came */
    bool exited;    /* rn_program_exit was called */
    int exit_code;
} rn_program;

/* Reads the settings into `values` and makes log and loop. False: nothing is to be run, because
 * help, version or the settings table was asked for (--help-markdown, first argument) or something
 * is wrong, which was said on stderr; rn_program_end then gives the exit code. The warnings of the
 * settings are logged. `argv` and `envp` must outlive the program. */
bool rn_program_start(rn_program *program, const rn_program_spec *spec, void *values, int argc,
                      char *argv[], char *envp[]);
/* The same on an env that the caller runs, and without what concerns the whole process: help and
 * version, core dumps, signals, the log filter (the env has its log), records of connections. Its
 * end shows in `exited`; then, or when the caller has had enough, what was made on the env is
 * deleted and rn_program_end called, outside of the env's callbacks. Addresses to listen on must be
 * numeric. */
bool rn_program_start_on(rn_program *program, const rn_program_spec *spec, void *values, int argc,
                         char *argv[], char *envp[], rn_env *env);
/* Frees log and loop; what was made on the env must be deleted before. Returns the exit code. */
int rn_program_end(rn_program *program);

/* Says "<program>: <message>" on stderr and sets the exit code to RN_EXIT_RUNTIME; ends a running
 * loop. Returns RPCNET_ERR_STATE for `return rn_program_fail(...)`. */
int rn_program_fail(rn_program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same about a setting, by the name it was given: "<program>: --user-addr: <message>". */
int rn_program_fail_setting(rn_program *program, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As a wrong value: exit code RN_EXIT_USAGE. */
int rn_program_fail_usage(rn_program *program, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Runs the loop until rn_program_exit. The first SIGINT or SIGTERM calls `stop` (which ends the
 * program in its own time with rn_program_exit), a second one exits at once with
 * RN_EXIT_RUNTIME. Returns at once when the program has failed already. */
void rn_program_on_stop(rn_program *program, rn_program_stop_fn *stop, void *user);
void rn_program_run(rn_program *program);
/* SIGINT, SIGTERM or SIGHUP has come: the loop calls it, and whoever runs the env may. */
void rn_program_signal(rn_program *program, int signal_number);
/* What SIGHUP calls from now on; NULL, or while the program is stopping: nothing. Inside it
 * rn_program_fail and its kin log an error and leave the program as it is. */
void rn_program_on_reload(rn_program *program, void (*reload)(void *user), void *user);
/* Ends rn_program_run after this turn; the first code that is not RN_EXIT_OK is kept. */
void rn_program_exit(rn_program *program, int exit_code);

/* An address to listen on, its host name resolved ("localhost:61000" -> "127.0.0.1:61000"); runs
 * the loop while it waits, so only before rn_program_run. On failure says so about the setting
 * `name`. */
int rn_program_resolve(rn_program *program, const char *name, const char *address,
                       char out[RN_ADDRESS_TEXT_MAX]);
/* Says why listening on the setting's address failed (`error` of rpcnet_server_new), with the
 * operating system's words and what to do. Returns RPCNET_ERR_STATE. */
int rn_program_bind_failed(rn_program *program, const char *name, const char *address, int error);

#endif
