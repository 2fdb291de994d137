/* Tests of base/settings on a table with one setting of each kind; every error line is written out.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/settings.h"
#include "naive.h"
#include "rpcnet/error.h"

typedef struct config {
    const char *user_addr;
    const char *mgmt_addr;
    const char *label;
    const char *certificate;
    uint64_t streams;
    uint64_t wait_ns;
    uint64_t memory;
    bool retry;
    bool quiet;
    unsigned print;
    const char *filter;
    char derived[80]; /* of the older name below */
} config;

static const char *const prints[] = {"text", "log", "json", NULL};
static const char *const older_certificates[] = {"OLD_CERT", "OLDER_CERT", NULL};

static const rn_setting table[] = {
    {.group = "Addresses",
     .option = "user-addr",
     .variable = "APP_USER_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .value = "127.0.0.1:61000",
     .help = "Where clients connect",
     .offset = offsetof(config, user_addr)},
    {.option = "mgmt-addr",
     .variable = "APP_MGMT_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .value = "127.0.0.1:61001",
     .help = "Where workers register.",
     .offset = offsetof(config, mgmt_addr)},
    {.group = "Others",
     .option = "label",
     .variable = "APP_LABEL",
     .kind = RN_SETTING_TEXT,
     .min = 1,
     .max = 8,
     .help = "The worker's name.",
     .offset = offsetof(config, label)},
    {.option = "cert",
     .variable = "APP_CERT",
     .replaces = older_certificates,
     .kind = RN_SETTING_PATH,
     .help = "A certificate.",
     .offset = offsetof(config, certificate)},
    {.option = "streams",
     .variable = "APP_STREAMS",
     .kind = RN_SETTING_NUMBER,
     .value = "1",
     .min = 1,
     .max = 64,
     .unit = "streams",
     .help = "How many streams are opened.",
     .offset = offsetof(config, streams)},
    {.option = "wait",
     .variable = "APP_WAIT",
     .kind = RN_SETTING_DURATION,
     .value = "15s",
     .min = 1000000000,
     .max = UINT64_C(86400000000000),
     .zero = "for ever",
     .help = "How long a stream waits for a worker. This text is long enough that it has to be "
             "broken into more than one line of help.",
     .offset = offsetof(config, wait_ns)},
    {.option = "memory-max",
     .variable = "APP_MEMORY_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "64MiB",
     .min = 1024,
     .help = "All memory.",
     .offset = offsetof(config, memory)},
    {.option = "retry",
     .variable = "APP_RETRY",
     .kind = RN_SETTING_FLAG,
     .value = "true",
     .help = "Answers with Retry.",
     .offset = offsetof(config, retry)},
    {.option = "quiet",
     .kind = RN_SETTING_FLAG,
     .help = "Says less.",
     .offset = offsetof(config, quiet)},
    {.option = "print",
     .variable = "APP_PRINT",
     .kind = RN_SETTING_CHOICE,
     .value = "text",
     .choices = prints,
     .help = "The form of the output.",
     .offset = offsetof(config, print)},
    {.variable = "RUST_LOG",
     .kind = RN_SETTING_TEXT,
     .value = "info",
     .help = "The log's filter.",
     .offset = offsetof(config, filter)},
};

/* One older name gives two settings, as the programs have it. */
static int older_names(rn_settings *settings, void *values) {
    config *c = values;
    const char *older = rn_settings_environment(settings, "APP_ADDR");
    if (older == NULL) {
        return RPCNET_OK;
    }
    rn_settings_warn(settings, "APP_ADDR is deprecated; use APP_USER_ADDR");
    snprintf(c->derived, sizeof c->derived, "%s1", older);
    int result = rn_settings_derive(settings, "user-addr", older, "APP_ADDR");
    return result == RPCNET_OK ? rn_settings_derive(settings, "mgmt-addr", c->derived, "APP_ADDR")
                               : result;
}

static const rn_settings_spec spec = {
    .program = "director",
    .version = "1.2.3",
    .summary = "Does something.",
    .table = table,
    .count = sizeof table / sizeof table[0],
    .check = older_names,
};

enum { ARGUMENTS_MAX = 24 };

/* Splits at spaces; "" between two spaces is an empty argument. The texts live in `words`. */
static int split(char *words, char *out[ARGUMENTS_MAX], char *first) {
    int count = 0;
    if (first != NULL) {
        out[count++] = first;
    }
    while (words != NULL && *words != '\0') {
        assert_true(count < ARGUMENTS_MAX - 1);
        out[count++] = strsep(&words, " ");
    }
    out[count] = NULL;
    return count;
}

typedef struct run {
    rn_settings settings;
    config config;
    char arguments[512];
    char variables[512];
    char *argv[ARGUMENTS_MAX];
    char *envp[ARGUMENTS_MAX];
} run;

static int read_with(run *r, const rn_settings_spec *with, const char *arguments,
                     const char *variables) {
    static char program[] = "program";
    memset(r, 0xee, sizeof *r);
    snprintf(r->arguments, sizeof r->arguments, "%s", arguments);
    snprintf(r->variables, sizeof r->variables, "%s", variables);
    int argc = split(r->arguments, r->argv, program);
    split(r->variables, r->envp, NULL);
    return rn_settings_read(&r->settings, with, &r->config, argc, r->argv, r->envp);
}

static int read(run *r, const char *arguments, const char *variables) {
    return read_with(r, &spec, arguments, variables);
}

static void test_defaults(void **state) {
    (void)state;
    run r;
    assert_int_equal(read(&r, "", ""), RPCNET_OK);
    assert_int_equal(r.settings.action, RN_SETTINGS_RUN);
    assert_string_equal(r.config.user_addr, "127.0.0.1:61000");
    assert_string_equal(r.config.mgmt_addr, "127.0.0.1:61001");
    assert_null(r.config.label);
    assert_null(r.config.certificate);
    assert_true(r.config.streams == 1);
    assert_true(r.config.wait_ns == UINT64_C(15000000000));
    assert_true(r.config.memory == 64 << 20);
    assert_true(r.config.retry);
    assert_false(r.config.quiet);
    assert_int_equal(r.config.print, 0);
    assert_string_equal(r.config.filter, "info");
    assert_int_equal(rn_settings_source(&r.settings, "label"), RN_SETTING_UNSET);
    assert_int_equal(rn_settings_source(&r.settings, "quiet"), RN_SETTING_UNSET);
    assert_int_equal(rn_settings_source(&r.settings, "user-addr"), RN_SETTING_DEFAULT);
    assert_int_equal(rn_settings_source(&r.settings, "RUST_LOG"), RN_SETTING_DEFAULT);
    assert_int_equal(r.settings.warning_count, 0);
    assert_string_equal(r.settings.error, "");
    assert_int_equal(rn_settings_read(&r.settings, &spec, &r.config, 0, NULL, NULL), RPCNET_OK);
}

static void test_precedence(void **state) {
    (void)state;
    run r;
    assert_int_equal(read(&r, "--streams 3 --wait=0 --print json --no-retry",
                          "APP_STREAMS=4 APP_LABEL=w APP_WAIT=9s APP_PRINT=log RUST_LOG=debug "
                          "APP_RETRY=yes APP_MEMORY_MAX= APP_USER_ADDRESS=x"),
                     RPCNET_OK);
    assert_true(r.config.streams == 3);
    assert_true(r.config.wait_ns == 0);
    assert_int_equal(r.config.print, 2);
    assert_false(r.config.retry);
    assert_string_equal(r.config.label, "w");
    assert_string_equal(r.config.filter, "debug");
    assert_true(r.config.memory == 64 << 20);
    assert_string_equal(r.config.user_addr, "127.0.0.1:61000");
    assert_int_equal(rn_settings_source(&r.settings, "streams"), RN_SETTING_OPTION);
    assert_int_equal(rn_settings_source(&r.settings, "label"), RN_SETTING_ENVIRONMENT);
    assert_int_equal(rn_settings_source(&r.settings, "memory-max"), RN_SETTING_DEFAULT);
    assert_int_equal(rn_settings_source(&r.settings, "RUST_LOG"), RN_SETTING_ENVIRONMENT);
    /* The last one holds; what an option overrides need not even be valid. */
    assert_int_equal(read(&r, "--streams 3 --streams=5", "APP_STREAMS=many"), RPCNET_OK);
    assert_true(r.config.streams == 5);
    assert_int_equal(read(&r, "--quiet --retry=off", "APP_RETRY=1"), RPCNET_OK);
    assert_true(r.config.quiet);
    assert_false(r.config.retry);
}

static void test_limits(void **state) {
    (void)state;
    static const struct {
        const char *argument;
        bool accepted;
    } samples[] = {
        {"--streams=0", false},       {"--streams=1", true},
        {"--streams=2", true},        {"--streams=63", true},
        {"--streams=64", true},       {"--streams=65", false},
        {"--wait=0", true},           {"--wait=999ms", false},
        {"--wait=1s", true},          {"--wait=1001ms", true},
        {"--wait=86399s", true},      {"--wait=24h", true},
        {"--wait=86401s", false},     {"--memory-max=1023", false},
        {"--memory-max=1KiB", true},  {"--memory-max=1025", true},
        {"--label=", false},          {"--label=1", true},
        {"--label=1234567", true},    {"--label=12345678", true},
        {"--label=123456789", false}, {"--memory-max=17179869184GiB", false},
        {"--cert=", false},           {"--cert=a/b", true},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        run r;
        int result = read(&r, samples[i].argument, "");
        if (result != (samples[i].accepted ? RPCNET_OK : RPCNET_ERR_ARGUMENT)) {
            fail_msg("%s: %d %s", samples[i].argument, result, r.settings.error);
        }
    }
}

static const struct {
    const char *arguments;
    const char *variables;
    const char *error;
} errors[] = {
    {"--user-addr 1.2.3", "",
     "director: --user-addr: '1.2.3' is not an address; expected host:port, e.g. 127.0.0.1:61000"},
    {"", "APP_USER_ADDR=1.2.3:70000",
     "director: APP_USER_ADDR: '1.2.3:70000' is not an address; expected host:port, e.g. "
     "127.0.0.1:61000"},
    {"--streams 65", "", "director: --streams: '65' is out of range; expected 1 to 64"},
    {"--streams 99999999999999999999", "",
     "director: --streams: '99999999999999999999' is out of range; expected 1 to 64"},
    {"--streams=-1", "",
     "director: --streams: '-1' is not a number; expected digits only, e.g. 100"},
    {"--streams", "", "director: --streams: needs a value; expected digits only, e.g. 100"},
    {"--streams --quiet", "", "director: --streams: needs a value; expected digits only, e.g. 100"},
    {"--wait 15", "",
     "director: --wait: '15' is not a duration; expected a number and a unit, e.g. 250ms, 15s, 2m, "
     "or 0"},
    {"--wait 1ms", "", "director: --wait: '1ms' is out of range; expected 1s to 24h, 0: for ever"},
    {"--memory-max 1MB", "",
     "director: --memory-max: '1MB' is not a size; expected a number and a unit, e.g. 4096, "
     "256KiB, "
     "4MiB"},
    {"--memory-max 1", "", "director: --memory-max: '1' is out of range; expected at least 1KiB"},
    {"--label=", "", "director: --label: '' is out of range; expected 1 to 8 bytes"},
    {"--print xml", "",
     "director: --print: 'xml' is not one of its values; expected text, log, json"},
    {"", "APP_RETRY=maybe",
     "director: APP_RETRY: 'maybe' is not a yes or no; expected true or false"},
    {"--cert=", "", "director: --cert: '' is not a path; expected the name of a file or folder"},
    {"--user-adr 1.2.3.4:5", "",
     "director: unknown option '--user-adr'; did you mean '--user-addr'? See --help"},
    {"--user-adr=1.2.3.4:5", "",
     "director: unknown option '--user-adr'; did you mean '--user-addr'? See --help"},
    {"--hepl", "", "director: unknown option '--hepl'; did you mean '--help'? See --help"},
    {"--help=1", "", "director: --help: takes no value"},
    {"--version=", "", "director: --version: takes no value"},
    {"--certificate x", "", "director: unknown option '--certificate'; see --help"},
    {"--x", "", "director: unknown option '--x'; see --help"},
    {"--he", "", "director: unknown option '--he'; see --help"},
    {"--=x", "", "director: unknown option '--'; see --help"},
    {"--no-streams", "", "director: unknown option '--no-streams'; see --help"},
    {"--no-retry=1", "", "director: unknown option '--no-retry'; see --help"},
    {"--APP_STREAMS 3", "", "director: unknown option '--APP_STREAMS'; see --help"},
    {"-s 3", "", "director: unknown option '-s'; options begin with two dashes, see --help"},
    {"file", "", "director: unexpected argument 'file'; see --help"},
    {"-", "", "director: unexpected argument '-'; see --help"},
    {"-- --quiet", "", "director: unexpected argument '--quiet'; see --help"},
    {"--label a\x1b[31m\n2345678", "",
     "director: --label: 'a\\x1b[31m\\x0a2345678' is out of range; expected 1 to 8 bytes"},
    {"--\nbad\xff", "", "director: unknown option '--\\x0abad\\xff'; see --help"},
};

static void test_errors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        run r;
        assert_int_equal(read(&r, errors[i].arguments, errors[i].variables), RPCNET_ERR_ARGUMENT);
        assert_string_equal(r.settings.error, errors[i].error);
    }
}

static void test_long_arguments_are_cut(void **state) {
    (void)state;
    char text[400];
    run r;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "--", 2);
    assert_int_equal(read(&r, text, ""), RPCNET_ERR_ARGUMENT);
    assert_non_null(strstr(r.settings.error, "xxx…'; see --help"));
    memcpy(text, "--wait=", 7);
    assert_int_equal(read(&r, text, ""), RPCNET_ERR_ARGUMENT);
    assert_non_null(strstr(r.settings.error, "xxx…' is not a duration; expected"));
}

static void test_help_and_version(void **state) {
    (void)state;
    static const struct {
        const char *arguments;
        enum rn_settings_action action;
    } samples[] = {
        {"--help", RN_SETTINGS_HELP},
        {"-h", RN_SETTINGS_HELP},
        {"--quiet --help --nonsense", RN_SETTINGS_HELP},
        {"--version", RN_SETTINGS_VERSION},
        {"-V", RN_SETTINGS_VERSION},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        run r;
        /* A wrong environment does not stand in the way of help. */
        assert_int_equal(read(&r, samples[i].arguments, "APP_WAIT=x"), RPCNET_OK);
        assert_int_equal(r.settings.action, samples[i].action);
    }
    rn_buffer out;
    rn_buffer_init(&out, 100);
    assert_int_equal(rn_settings_version(&spec, &out), RPCNET_OK);
    assert_true(rn_bytes_is(rn_buffer_bytes(&out), "director 1.2.3\n"));
    rn_buffer_fini(&out);
}

static void test_older_names(void **state) {
    (void)state;
    run r;
    assert_int_equal(read(&r, "", "OLD_CERT=a"), RPCNET_OK);
    assert_string_equal(r.config.certificate, "a");
    assert_int_equal(rn_settings_source(&r.settings, "cert"), RN_SETTING_ENVIRONMENT);
    assert_int_equal(r.settings.warning_count, 1);
    assert_string_equal(r.settings.warnings[0], "director: OLD_CERT is deprecated; use APP_CERT");

    assert_int_equal(read(&r, "", "OLD_CERT=a APP_CERT=b"), RPCNET_OK);
    assert_string_equal(r.config.certificate, "b");
    assert_int_equal(r.settings.warning_count, 1);
    assert_string_equal(r.settings.warnings[0],
                        "director: OLD_CERT is deprecated and ignored, because APP_CERT is set");

    assert_int_equal(read(&r, "--cert c", "OLDER_CERT=a"), RPCNET_OK);
    assert_string_equal(r.config.certificate, "c");
    assert_string_equal(r.settings.warnings[0],
                        "director: OLDER_CERT is deprecated and ignored, because --cert is set");

    assert_int_equal(read(&r, "", "OLDER_CERT=b OLD_CERT=a"), RPCNET_OK);
    assert_string_equal(r.config.certificate, "a");
    assert_int_equal(r.settings.warning_count, 2);
}

static void test_derived_values(void **state) {
    (void)state;
    run r;
    assert_int_equal(read(&r, "", "APP_ADDR=10.0.0.1:500"), RPCNET_OK);
    assert_string_equal(r.config.user_addr, "10.0.0.1:500");
    assert_string_equal(r.config.mgmt_addr, "10.0.0.1:5001");
    assert_int_equal(rn_settings_source(&r.settings, "mgmt-addr"), RN_SETTING_DERIVED);
    assert_string_equal(r.settings.warnings[0],
                        "director: APP_ADDR is deprecated; use APP_USER_ADDR");
    assert_int_equal(read(&r, "--mgmt-addr 10.0.0.3:3", "APP_ADDR=10.0.0.1:500 APP_USER_ADDR=h:1"),
                     RPCNET_OK);
    assert_string_equal(r.config.user_addr, "h:1");
    assert_string_equal(r.config.mgmt_addr, "10.0.0.3:3");
    assert_int_equal(read(&r, "", "APP_ADDR=10.0.0.1:7000"), RPCNET_ERR_ARGUMENT);
    assert_string_equal(r.settings.error, "director: APP_ADDR: '10.0.0.1:70001' is not an address; "
                                          "expected host:port, e.g. 127.0.0.1:61000");
}

static void test_complaints_of_the_program(void **state) {
    (void)state;
    run r;
    char line[RN_SETTINGS_LINE_MAX];
    assert_int_equal(read(&r, "--cert a", "APP_LABEL=w"), RPCNET_OK);
    rn_settings_complain(&r.settings, "cert", line, "cannot read '%s'", "a\n");
    assert_string_equal(line, "director: --cert: cannot read 'a\\x0a'");
    rn_settings_complain(&r.settings, "label", line, "taken");
    assert_string_equal(line, "director: APP_LABEL: taken");
    rn_settings_complain(&r.settings, "user-addr", line, "in use");
    assert_string_equal(line, "director: --user-addr: in use");
    rn_settings_complain(&r.settings, "RUST_LOG", line, "odd");
    assert_string_equal(line, "director: RUST_LOG: odd");
    assert_int_equal(rn_settings_fail(&r.settings, "%s and %s", "this", "that"),
                     RPCNET_ERR_ARGUMENT);
    assert_string_equal(r.settings.error, "director: this and that");
    for (int i = 0; i < RN_SETTINGS_WARNINGS_MAX + 1; i++) {
        rn_settings_warn(&r.settings, "w%d", i);
    }
    assert_int_equal(r.settings.warning_count, RN_SETTINGS_WARNINGS_MAX);
    assert_string_equal(r.settings.warnings[RN_SETTINGS_WARNINGS_MAX - 1], "director: w7");
}

static void test_positional_arguments(void **state) {
    (void)state;
    rn_settings_spec with = spec;
    run r;
    with.positional = "PROMPT";
    with.positional_max = 3;
    assert_int_equal(read_with(&r, &with, "a --quiet b", ""), RPCNET_OK);
    assert_int_equal(r.settings.positional_count, 2);
    assert_true(r.config.quiet);
    assert_int_equal(read_with(&r, &with, "a -- --quiet -", ""), RPCNET_OK);
    assert_int_equal(r.settings.positional_count, 3);
    assert_string_equal(r.settings.positional[1], "--quiet");
    assert_string_equal(r.settings.positional[2], "-");
    assert_int_equal(read_with(&r, &with, "a b c d", ""), RPCNET_ERR_ARGUMENT);
    assert_string_equal(r.settings.error,
                        "director: too many arguments, at 'd'; PROMPT: 3 at the most");
}

static const char *render(int (*make)(const rn_settings_spec *, rn_buffer *),
                          const rn_settings_spec *with, rn_buffer *out) {
    rn_buffer_init(out, 16384);
    assert_int_equal(make(with, out), RPCNET_OK);
    assert_int_equal(rn_buffer_append(out, "", 1), RPCNET_OK);
    return (const char *)out->data;
}

static void test_help_text(void **state) {
    (void)state;
    rn_settings_spec with = spec;
    rn_buffer out;
    with.count = 6;
    with.positional = "PROMPT";
    with.positional_max = 2;
    assert_string_equal(
        render(rn_settings_help, &with, &out),
        "Usage: director [OPTION]... [PROMPT]...\n"
        "\n"
        "Does something.\n"
        "\n"
        "Addresses:\n"
        "  --user-addr HOST:PORT\n"
        "      Where clients connect.\n"
        "      [default: 127.0.0.1:61000; variable: APP_USER_ADDR]\n"
        "  --mgmt-addr HOST:PORT\n"
        "      Where workers register.\n"
        "      [default: 127.0.0.1:61001; variable: APP_MGMT_ADDR]\n"
        "\n"
        "Others:\n"
        "  --label TEXT\n"
        "      The worker's name.\n"
        "      [default: none; 1 to 8 bytes; variable: APP_LABEL]\n"
        "  --cert PATH\n"
        "      A certificate.\n"
        "      [default: none; variable: APP_CERT]\n"
        "  --streams NUMBER\n"
        "      How many streams are opened.\n"
        "      [default: 1 streams; 1 to 64; variable: APP_STREAMS]\n"
        "  --wait DURATION\n"
        "      How long a stream waits for a worker. This text is long enough that it has to be\n"
        "      broken into more than one line of help.\n"
        "      [default: 15s; 1s to 24h, 0: for ever; variable: APP_WAIT]\n"
        "\n"
        "General:\n"
        "  --help, -h\n"
        "      Show this text.\n"
        "  --version, -V\n"
        "      Show the version.\n"
        "\n"
        "An option holds before its environment variable, and that before the default. Durations\n"
        "have a unit (us, ms, s, m, h), sizes too (B, KiB, MiB, GiB).\n");
    rn_buffer_fini(&out);
    const char *line = render(rn_settings_help, &spec, &out);
    assert_non_null(strstr(line, "  --retry, --no-retry\n"));
    assert_non_null(strstr(line, "  --print text|log|json\n"));
    assert_non_null(
        strstr(line, "  RUST_LOG=TEXT\n      The log's filter.\n      [default: info]\n"));
    for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
        assert_true(strcspn(line, "\n") <= 90);
    }
    rn_buffer_fini(&out);
}

static void test_wrapping_at_the_last_column(void **state) {
    (void)state;
    for (int len = 43; len <= 45; len++) {
        rn_settings_spec with = spec;
        rn_buffer out;
        char summary[128];
        char line[128];
        static const char word[] = "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";
        snprintf(summary, sizeof summary, "%.45s %.*s", word, len, word);
        snprintf(line, sizeof line, "\n%.45s%s%.*s\n", word, len <= 44 ? " " : "\n", len, word);
        with.summary = summary;
        with.count = 0;
        assert_non_null(strstr(render(rn_settings_help, &with, &out), line));
        rn_buffer_fini(&out);
    }
}

static void test_markdown(void **state) {
    (void)state;
    rn_buffer out;
    const char *text = render(rn_settings_markdown, &spec, &out);
    static const char head[] =
        "| Variable | Option | Default | Value | Meaning |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| `APP_USER_ADDR` | `--user-addr` | `127.0.0.1:61000` | HOST:PORT | Where clients "
        "connect. |\n";
    assert_memory_equal(text, head, strlen(head));
    assert_non_null(strstr(text, "| `APP_CERT` | `--cert` | – | PATH | A certificate. Older name: "
                                 "`OLD_CERT`, `OLDER_CERT` |\n"));
    assert_non_null(strstr(text, "| `APP_STREAMS` | `--streams` | `1` | NUMBER, streams; 1 to 64 | "
                                 "How many streams are opened. |\n"));
    assert_non_null(strstr(text, "| `APP_PRINT` | `--print` | `text` | text\\|log\\|json | The "));
    assert_non_null(strstr(text, "| – | `--quiet` | – | true\\|false | Says less. |\n"));
    assert_non_null(strstr(text, "| `RUST_LOG` | – | `info` | TEXT | The log's filter. |\n"));
    rn_buffer_fini(&out);
    rn_buffer_init(&out, 100);
    assert_int_equal(rn_settings_markdown(&spec, &out), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_settings_help(&spec, &out), RPCNET_ERR_LIMIT);
    rn_buffer_fini(&out);
}

static void test_man(void **state) {
    (void)state;
    static const rn_setting difficult[] = {
        {.variable = "APP_TEXT",
         .kind = RN_SETTING_TEXT,
         .value = "a-b\\'",
         .help = "It's one\\two, so-called. See (--wait-for-it or e.g. --other. And this is long "
                 "enough .for a line; .again, ~ and ` ^",
         .offset = offsetof(config, label)}};
    rn_settings_spec odd = {.program = "p", .version = "1", .table = difficult, .count = 1};
    rn_buffer out;
    const char *text = render(rn_settings_man, &spec, &out);
    static const char head[] = ".SS \"Addresses\"\n"
                               ".TP\n"
                               "\\fB\\-\\-user\\-addr\\fR \\fIHOST:PORT\\fR\n"
                               "Where clients connect.\n"
                               ".br\n"
                               "Default: \\fB127.0.0.1:61000\\fR;\n"
                               "variable: \\fBAPP_USER_ADDR\\fR.\n"
                               ".TP\n";
    assert_memory_equal(text, head, strlen(head));
    assert_non_null(strstr(text, "variable: \\fBAPP_CERT\\fR;\n"
                                 "older name: \\fBOLD_CERT\\fR, \\fBOLDER_CERT\\fR.\n"));
    assert_non_null(strstr(text, "\n\\fB\\-\\-retry\\fR, \\fB\\-\\-no\\-retry\\fR\n"));
    assert_non_null(strstr(text, "Default: \\fB1\\fR streams;\n1 to 64;\n"));
    rn_buffer_fini(&out);
    text = render(rn_settings_man, &odd, &out);
    static const char whole[] =
        ".SS \"Settings\"\n"
        ".TP\n"
        "\\fBAPP_TEXT\\fR=\\fITEXT\\fR\n"
        "It's one\\etwo, so-called.\n"
        "See (\\-\\-wait\\-for\\-it or e.g. \\-\\-other.\n"
        "And this is long enough .for a line; .again, \\(ti and \\(ga \\(ha.\n"
        ".br\n"
        "Default: \\fBa\\-b\\e\\(aq\\fR.\n";
    assert_memory_equal(text, whole, strlen(whole));
    rn_buffer_fini(&out);
    rn_buffer_init(&out, 100);
    assert_int_equal(rn_settings_man(&spec, &out), RPCNET_ERR_LIMIT);
    rn_buffer_fini(&out);
}

static void test_man_never_begins_a_line_with_a_command(void **state) {
    (void)state;
    rn_setting setting = {.option = "x", .kind = RN_SETTING_FLAG};
    rn_settings_spec odd = {.program = "p", .version = "1", .table = &setting, .count = 1};
    for (int len = 70; len <= 80; len++) {
        rn_buffer out;
        char help[128];
        snprintf(help, sizeof help, "%0*d .br 'br .br 'br", len, 0);
        setting.help = help;
        const char *line = render(rn_settings_man, &odd, &out);
        const char *start = strstr(line, "\n0");
        assert_non_null(start);
        const char *end = strstr(start, "\n.br\nDefault");
        assert_non_null(end);
        for (const char *at = start; at < end; at++) {
            assert_false(at[0] == '\n' && (at[1] == '.' || at[1] == '\''));
        }
        rn_buffer_fini(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_long_arguments_are_cut),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_older_names),
        cmocka_unit_test(test_derived_values),
        cmocka_unit_test(test_complaints_of_the_program),
        cmocka_unit_test(test_positional_arguments),
        cmocka_unit_test(test_help_text),
        cmocka_unit_test(test_wrapping_at_the_last_column),
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_man),
        cmocka_unit_test(test_man_never_begins_a_line_with_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
