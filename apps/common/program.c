/* program: start and end of a program. A step that fails says so itself, so that main needs no
 * error texts. */
#include "common/program.h"

#include <assert.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "common/harden.h"

enum { HELP_MAX = 256 * 1024, MESSAGE_MAX = 1024 };

/* Shows what `make` writes of the settings; true when it could. */
static bool show(const rn_settings_spec *spec,
                 int (*make)(const rn_settings_spec *spec, rn_buffer *out)) {
    rn_buffer text;
    rn_buffer_init(&text, HELP_MAX);
    bool done = make(spec, &text) == RPCNET_OK &&
                fwrite(text.data, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    rn_buffer_fini(&text);
    return done;
}

/* For those who write the documentation: tests/unit/apps/environment_test.sh. */
static bool show_documentation(rn_program *program, int argc, char *argv[]) {
    const rn_settings_spec *spec = program->spec->settings;
    bool markdown = argc == 2 && strcmp(argv[1], "--help-markdown") == 0;
    bool man = argc == 2 && strcmp(argv[1], "--help-man") == 0;
    if (!markdown && !man) {
        return false;
    }
    bool shown = show(spec, markdown ? rn_settings_markdown : rn_settings_man);
    program->exit_code = shown ? RN_EXIT_OK : RN_EXIT_RUNTIME;
    return true;
}

static void hang_up(rn_program *program) {
    if (program->reload != NULL && !program->stopping) {
        program->reloading = true;
        program->reload(program->reload_user);
        program->reloading = false;
    }
}

void rn_program_signal(rn_program *program, int signal_number) {
    if (signal_number == SIGHUP && program->spec->reloads) {
        hang_up(program);
        return;
    }
    if (program->stopping || program->stop == NULL) {
        RN_WARN(program->log, program->target, "signal=%d ending at once", signal_number);
        rn_program_exit(program, RN_EXIT_RUNTIME);
        return;
    }
    program->stopping = true;
    program->stop(program->stop_user);
}

static void on_signal(int signal_number, void *user) {
    rn_program_signal(user, signal_number);
}

static int handle_signals(rn_program *program) {
    int result = rn_loop_signal(program->loop, SIGINT, on_signal, program);
    if (result == RPCNET_OK) {
        result = rn_loop_signal(program->loop, SIGTERM, on_signal, program);
    }
    if (result == RPCNET_OK && program->spec->reloads) {
        result = rn_loop_signal(program->loop, SIGHUP, on_signal, program);
    }
    return result;
}

/* What the reader of the settings had to say, as far as it is no error. */
static void log_warnings(const rn_program *program) {
    size_t prefix = strlen(program->spec->settings->program) + strlen(": ");
    for (size_t i = 0; i < program->settings.warning_count; i++) {
        RN_WARN(program->log, program->target, "%s", program->settings.warnings[i] + prefix);
    }
}

static int open_qlog(rn_program *program) {
    const rn_common *common = program->common;
    const rn_qlog_options options = {.dir = common->qlog_dir,
                                     .target = program->target,
                                     .bytes_max = common->qlog_max,
                                     .files_max = common->qlog_files};
    if (options.dir == NULL) {
        return RPCNET_OK;
    }
    int error = rn_qlog_new(&program->qlog, &options);
    if (error != 0) {
        return rn_program_fail_setting(program, "qlog-dir", "cannot use %s: %s", options.dir,
                                       strerror(error));
    }
    program->env->qlog = rn_qlog_get_sink(program->qlog);
    return RPCNET_OK;
}

/* Log, loop and what the loop's env has beside. */
static int open_program(rn_program *program) {
    rn_log_sink sink = rn_loop_stderr_sink(&program->err);
    const char *invalid = NULL;
    int result = rn_log_new(&program->log, program->common->log, &sink, &invalid);
    if (result != RPCNET_OK) {
        return rn_program_fail_usage(program, "log", "%s", rpcnet_strerror(result));
    }
    if (invalid != NULL) {
        RN_WARN(program->log, program->target, "invalid directive in RUST_LOG: %s", invalid);
    }
    log_warnings(program);
    rn_loop_options options = {.log = program->log};
    result = rn_loop_new(&program->loop, &options);
    if (result == RPCNET_OK) {
        program->env = rn_loop_env(program->loop);
        result = handle_signals(program);
    }
    if (result != RPCNET_OK) {
        return rn_program_fail(program, "cannot make an event loop: %s", rpcnet_strerror(result));
    }
    return open_qlog(program);
}

/* A parent may have closed them; whatever is opened next would then be taken for our output. */
static void open_standard_descriptors(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

static void init(rn_program *program, const rn_program_spec *spec, void *values) {
    memset(program, 0, sizeof *program);
    program->spec = spec;
    program->target = spec->target;
    program->common = (const rn_common *)(const void *)((const char *)values + spec->common_offset);
}

/* True: there is nothing wrong with them. */
static bool read_settings(rn_program *program, void *values, int argc, char *argv[], char *envp[]) {
    const rn_settings_spec *spec = program->spec->settings;
    if (rn_settings_read(&program->settings, spec, values, argc, argv, envp) == RPCNET_OK) {
        return true;
    }
    fprintf(stderr, "%s\n", program->settings.error);
    program->exit_code = RN_EXIT_USAGE;
    return false;
}

bool rn_program_start_on(rn_program *program, const rn_program_spec *spec, void *values, int argc,
                         char *argv[], char *envp[], rn_env *env) {
    init(program, spec, values);
    program->env = env;
    program->log = env->log;
    if (!read_settings(program, values, argc, argv, envp)) {
        return false;
    }
    log_warnings(program);
    return program->settings.action == RN_SETTINGS_RUN;
}

/* What is large goes back to the system when it is freed. glibc raises this threshold with each
 * large block, and would keep the memory of a burst in the holes of its heap. */
static void give_memory_back(void) {
#ifdef M_MMAP_THRESHOLD
    enum { LARGE = 128 << 10 };
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
#endif
}

bool rn_program_start(rn_program *program, const rn_program_spec *spec, void *values, int argc,
                      char *argv[], char *envp[]) {
    open_standard_descriptors();
    give_memory_back();
    signal(SIGXFSZ, SIG_IGN); /* a log at its size limit is as good as a full disk */
    init(program, spec, values);
    if (show_documentation(program, argc, argv) ||
        !read_settings(program, values, argc, argv, envp)) {
        return false;
    }
    if (program->settings.action != RN_SETTINGS_RUN) {
        bool help = program->settings.action == RN_SETTINGS_HELP;
        bool shown = show(spec->settings, help ? rn_settings_help : rn_settings_version);
        program->exit_code = shown ? RN_EXIT_OK : RN_EXIT_RUNTIME;
        return false;
    }
    if (!program->common->allow_core_dumps) { /* before anything secret is in memory */
        int error = rn_harden();
        if (error != 0) {
            rn_program_fail(program, "cannot turn core dumps off: %s", strerror(error));
            return false;
        }
    }
    return open_program(program) == RPCNET_OK;
}

int rn_program_end(rn_program *program) {
    bool own_log = program->env == NULL || program->loop != NULL;
    if (program->loop != NULL) {
        rn_loop_del(program->loop);
    }
    rn_qlog_del(program->qlog);
    if (own_log && program->log != NULL) {
        rn_log_del(program->log);
    }
    rn_loop_stderr_fini(&program->err);
    return program->exit_code;
}

/* The end of every failure: one line, whatever bytes its arguments hold. */
static int fail_line(rn_program *program, int exit_code, const char *line) {
    char shown[2 * MESSAGE_MAX + 1];
    rn_text_escape(rn_bytes_text(line), shown, sizeof shown - 1);
    if (program->reloading) {
        RN_ERROR(program->log, program->target, "err=%s not reloaded; all stays as it was",
                 RN_TEXT_QUOTE(rn_bytes_text(line + strlen(program->spec->settings->program) +
                                             strlen(": "))));
        return RPCNET_ERR_STATE;
    }
    size_t len = strlen(shown);
    shown[len] = '\n';
    (void)rn_loop_stderr_write(&program->err, shown, len + 1);
    rn_program_exit(program, exit_code);
    return RPCNET_ERR_STATE;
}

int rn_program_fail(rn_program *program, const char *format, ...) {
    char message[MESSAGE_MAX];
    char line[MESSAGE_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "%s: %s", program->spec->settings->program, message);
    return fail_line(program, RN_EXIT_RUNTIME, line);
}

/* rn_settings_complain limits its line to the size of the reader's; what is said here may name
 * whole paths, so the name is taken from it and the message is put behind. */
static int fail_setting(rn_program *program, int exit_code, const char *name, const char *format,
                        va_list arguments) {
    char message[MESSAGE_MAX];
    char start[RN_SETTINGS_LINE_MAX];
    char line[MESSAGE_MAX + RN_SETTINGS_LINE_MAX];
    vsnprintf(message, sizeof message, format, arguments);
    rn_settings_complain(&program->settings, name, start, "%s", "");
    snprintf(line, sizeof line, "%s%s", start, message);
    return fail_line(program, exit_code, line);
}

int rn_program_fail_setting(rn_program *program, const char *name, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int result = fail_setting(program, RN_EXIT_RUNTIME, name, format, arguments);
    va_end(arguments);
    return result;
}

int rn_program_fail_usage(rn_program *program, const char *name, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int result = fail_setting(program, RN_EXIT_USAGE, name, format, arguments);
    va_end(arguments);
    return result;
}

void rn_program_on_stop(rn_program *program, rn_program_stop_fn *stop, void *user) {
    program->stop = stop;
    program->stop_user = user;
}

void rn_program_on_reload(rn_program *program, void (*reload)(void *user), void *user) {
    program->reload = reload;
    program->reload_user = user;
}

void rn_program_run(rn_program *program) {
    if (!program->exited) {
        rn_loop_run(program->loop);
    }
}

void rn_program_exit(rn_program *program, int exit_code) {
    if (program->exit_code == RN_EXIT_OK) {
        program->exit_code = exit_code;
    }
    program->exited = true;
    if (program->loop != NULL) {
        rn_loop_stop(program->loop);
    }
}

typedef struct resolution {
    rn_loop *loop;
    int result;
    rn_address address;
} resolution;

static void on_resolved(int result, const rn_address *addresses, size_t count, void *user) {
    resolution *wait = user;
    (void)count;
    wait->result = result;
    if (result == RPCNET_OK) {
        wait->address = addresses[0];
    }
    rn_loop_stop(wait->loop);
}

int rn_program_resolve(rn_program *program, const char *name, const char *address,
                       char out[RN_ADDRESS_TEXT_MAX]) {
    resolution wait = {.loop = program->loop, .result = RPCNET_ERR_TIMEOUT};
    bool numeric = rn_address_parse(&wait.address, address) == RPCNET_OK;
    if (!numeric && program->loop == NULL) {
        return rn_program_fail_setting(program, name, "%s is no numeric address", address);
    }
    if (!numeric) {
        char host[RN_HOST_MAX + 1];
        uint16_t port;
        rn_resolve *resolve = NULL;
        int result = rn_address_split(address, host, &port);
        if (result == RPCNET_OK) {
            result =
                program->env->ops->resolve(program->env, host, port, on_resolved, &wait, &resolve);
        }
        if (result == RPCNET_OK) {
            rn_loop_run(program->loop);
            result = wait.result;
        }
        if (program->exited) { /* a signal came while we waited */
            program->env->ops->resolve_cancel(wait.result == RPCNET_ERR_TIMEOUT ? resolve : NULL);
            return RPCNET_ERR_STATE;
        }
        if (result != RPCNET_OK) {
            return rn_program_fail_setting(program, name, "cannot resolve %s: %s", address,
                                           rpcnet_strerror(result));
        }
    }
    rn_address_format(&wait.address, out);
    return RPCNET_OK;
}

/* The setting's option and variable, for a hint: "--user-addr or CONNECTION_SWAP_…". */
static void name_both(const rn_program *program, const char *name, char *out, size_t size) {
    const rn_settings_spec *spec = program->spec->settings;
    for (size_t i = 0; i < spec->count; i++) {
        const rn_setting *setting = &spec->table[i];
        if (setting->option != NULL && strcmp(setting->option, name) == 0) {
            snprintf(out, size, "--%s%s%s", name, setting->variable != NULL ? " or " : "",
                     setting->variable != NULL ? setting->variable : "");
            return;
        }
    }
    snprintf(out, size, "%s", name);
}

int rn_program_bind_failed(rn_program *program, const char *name, const char *address, int error) {
    char both[160];
    name_both(program, name, both, sizeof both);
    switch (error) {
    case RPCNET_ERR_ADDRESS_IN_USE:
        return rn_program_fail_setting(program, name,
                                       "cannot listen on %s: Address already in use (os error 98); "
                                       "another program has it, choose another with %s",
                                       address, both);
    case RPCNET_ERR_PERMISSION:
        return rn_program_fail_setting(
            program, name,
            "cannot listen on %s: Operation not permitted (os error 1); a local security policy "
            "blocks the QUIC socket: run outside of restricted environments or adjust permissions "
            "(ports below 1024 need them, too; choose another with %s)",
            address, both);
    case RPCNET_ERR_ADDRESS:
        return rn_program_fail_setting(program, name,
                                       "cannot listen on %s: Cannot assign requested address "
                                       "(os error 99); it is none of this machine, choose another "
                                       "with %s",
                                       address, both);
    default:
        return rn_program_fail_setting(program, name, "cannot listen on %s: %s", address,
                                       rpcnet_strerror(error));
    }
}
