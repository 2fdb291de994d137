/* settings: options first, then the environment for what no option gave, then the program's own
 * older names, then defaults; so a wrong variable that is overridden does not hinder. */
#include "base/settings.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/settings_value.h"
#include "base/text.h"
#include "rpcnet/error.h"

enum {
    SUGGESTION_DISTANCE_MAX = 2, /* a typing error, not another word */
    SHOWN_ARGUMENT_MAX = 80
};

static const char *name_of(const rn_setting *setting) {
    return setting->option != NULL ? setting->option : setting->variable;
}

static size_t find(const rn_settings_spec *spec, const char *name) {
    size_t i = 0;
    while (i < spec->count && strcmp(name_of(&spec->table[i]), name) != 0) {
        i++;
    }
    assert(i < spec->count);
    return i;
}

enum rn_setting_source rn_settings_source(const rn_settings *settings, const char *name) {
    return settings->sources[find(settings->spec, name)];
}

const char *rn_settings_environment(const rn_settings *settings, const char *variable) {
    size_t len = strlen(variable);
    for (char *const *entry = settings->envp; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, variable, len) == 0 && (*entry)[len] == '=') {
            return (*entry)[len + 1] != '\0' ? *entry + len + 1 : NULL;
        }
    }
    return NULL;
}

/* "<program>: <message>", never more than one line. */
static void write_line(const rn_settings *settings, char out[RN_SETTINGS_LINE_MAX],
                       const char *format, va_list arguments) {
    char message[RN_SETTINGS_LINE_MAX];
    char whole[2 * RN_SETTINGS_LINE_MAX];
    vsnprintf(message, sizeof message, format, arguments);
    snprintf(whole, sizeof whole, "%s: %s", settings->spec->program, message);
    rn_text_escape(rn_bytes_text(whole), out, RN_SETTINGS_LINE_MAX);
}

int rn_settings_fail(rn_settings *settings, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_line(settings, settings->error, format, arguments);
    va_end(arguments);
    return RPCNET_ERR_ARGUMENT;
}

void rn_settings_warn(rn_settings *settings, const char *format, ...) {
    if (settings->warning_count == RN_SETTINGS_WARNINGS_MAX) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    write_line(settings, settings->warnings[settings->warning_count++], format, arguments);
    va_end(arguments);
}

void rn_settings_complain(const rn_settings *settings, const char *name,
                          char out[RN_SETTINGS_LINE_MAX], const char *format, ...) {
    size_t i = find(settings->spec, name);
    const rn_setting *setting = &settings->spec->table[i];
    bool by_variable = settings->names[i] != NULL || setting->option == NULL;
    char message[RN_SETTINGS_LINE_MAX];
    char whole[2 * RN_SETTINGS_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    const char *given = settings->names[i] != NULL ? settings->names[i] : name_of(setting);
    snprintf(whole, sizeof whole, "%s: %s%s: %s", settings->spec->program, by_variable ? "" : "--",
             given, message);
    rn_text_escape(rn_bytes_text(whole), out, RN_SETTINGS_LINE_MAX);
}

/* Stores a value and where it came from; `variable` is NULL for an option. */
static int store(rn_settings *settings, size_t i, const char *text, enum rn_setting_source source,
                 const char *variable) {
    const rn_setting *setting = &settings->spec->table[i];
    int result =
        text != NULL ? rn_setting_store(setting, text, settings->values) : RPCNET_ERR_PARSE;
    settings->sources[i] = source;
    settings->names[i] = variable;
    if (result != RPCNET_OK) {
        char reason[RN_SETTINGS_LINE_MAX];
        rn_setting_explain(setting, text, result, reason, sizeof reason);
        rn_settings_complain(settings, name_of(setting), settings->error, "%s", reason);
        return RPCNET_ERR_ARGUMENT;
    }
    return RPCNET_OK;
}

int rn_settings_derive(rn_settings *settings, const char *name, const char *text,
                       const char *variable) {
    size_t i = find(settings->spec, name);
    if (settings->sources[i] >= RN_SETTING_ENVIRONMENT) {
        return RPCNET_OK;
    }
    return store(settings, i, text, RN_SETTING_DERIVED, variable);
}

static int unknown_option(rn_settings *settings, rn_bytes name) {
    static const char *const built_in[] = {"help", "version"};
    char shown[SHOWN_ARGUMENT_MAX];
    char plain[SHOWN_ARGUMENT_MAX];
    const char *closest = NULL;
    size_t distance = SUGGESTION_DISTANCE_MAX + 1;
    rn_text_escape(name, shown, sizeof shown);
    /* Without a value they end the reading before it comes here. */
    if (rn_bytes_is(name, built_in[0]) || rn_bytes_is(name, built_in[1])) {
        return rn_settings_fail(settings, "--%s: takes no value", shown);
    }
    if (name.len < sizeof plain) {
        memcpy(plain, name.data, name.len);
        plain[name.len] = '\0';
        for (size_t i = 0; i < settings->spec->count + 2; i++) {
            const char *known = i < 2 ? built_in[i] : settings->spec->table[i - 2].option;
            size_t d = known != NULL ? rn_text_distance(plain, known) : SIZE_MAX;
            /* Nearly anything is close to a very short name. */
            if (d < distance && d < name.len) {
                distance = d;
                closest = known;
            }
        }
    }
    if (closest != NULL) {
        return rn_settings_fail(settings, "unknown option '--%s'; did you mean '--%s'? See --help",
                                shown, closest);
    }
    return rn_settings_fail(settings, "unknown option '--%s'; see --help", shown);
}

/* The setting with that option; count: none. */
static size_t find_option(const rn_settings_spec *spec, rn_bytes name) {
    size_t i = 0;
    while (i < spec->count &&
           (spec->table[i].option == NULL || !rn_bytes_is(name, spec->table[i].option))) {
        i++;
    }
    return i;
}

/* Reads "name" or "name=value" (without dashes); may take the next argument as the value. */
static int read_option(rn_settings *settings, const char *text, const char *next, bool *took_next) {
    const rn_settings_spec *spec = settings->spec;
    const char *equals = strchr(text, '=');
    rn_bytes name =
        equals != NULL ? rn_bytes_of(text, (size_t)(equals - text)) : rn_bytes_text(text);
    const char *value = equals != NULL ? equals + 1 : NULL;
    size_t i = find_option(spec, name);
    if (i == spec->count && value == NULL && strncmp(text, "no-", 3) == 0) {
        i = find_option(spec, rn_bytes_text(text + 3));
        if (i < spec->count && spec->table[i].kind != RN_SETTING_FLAG) {
            i = spec->count;
        }
        value = "false";
    }
    if (i == spec->count) {
        return unknown_option(settings, name);
    }
    if (value == NULL && spec->table[i].kind == RN_SETTING_FLAG) {
        value = "true";
    }
    if (value == NULL && next != NULL && strncmp(next, "--", 2) != 0) {
        value = next;
        *took_next = true;
    }
    return store(settings, i, value, RN_SETTING_OPTION, NULL);
}

static int read_positional(rn_settings *settings, const char *text) {
    const rn_settings_spec *spec = settings->spec;
    char shown[SHOWN_ARGUMENT_MAX];
    if (spec->positional == NULL) {
        rn_text_escape(rn_bytes_text(text), shown, sizeof shown);
        return rn_settings_fail(settings, "unexpected argument '%s'; see --help", shown);
    }
    if (settings->positional_count == spec->positional_max) {
        rn_text_escape(rn_bytes_text(text), shown, sizeof shown);
        return rn_settings_fail(settings, "too many arguments, at '%s'; %s: %zu at the most", shown,
                                spec->positional, spec->positional_max);
    }
    settings->positional[settings->positional_count++] = text;
    return RPCNET_OK;
}

static int read_arguments(rn_settings *settings, int argc, char *const argv[]) {
    bool options_end = false;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        int result;
        if (options_end || text[0] != '-' || text[1] == '\0') {
            result = read_positional(settings, text);
        } else if (strcmp(text, "--") == 0) {
            options_end = true;
            result = RPCNET_OK;
        } else if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
            settings->action = RN_SETTINGS_HELP;
            return RPCNET_OK;
        } else if (strcmp(text, "--version") == 0 || strcmp(text, "-V") == 0) {
            settings->action = RN_SETTINGS_VERSION;
            return RPCNET_OK;
        } else if (text[1] != '-') {
            char shown[SHOWN_ARGUMENT_MAX];
            rn_text_escape(rn_bytes_text(text), shown, sizeof shown);
            result = rn_settings_fail(
                settings, "unknown option '%s'; options begin with two dashes, see --help", shown);
        } else {
            bool took_next = false;
            result = read_option(settings, text + 2, i + 1 < argc ? argv[i + 1] : NULL, &took_next);
            i += took_next ? 1 : 0;
        }
        if (result != RPCNET_OK) {
            return result;
        }
    }
    return RPCNET_OK;
}

/* Older names: the first that is set holds if nothing newer is; each that is set is worth a
 * warning. */
static int read_replaced(rn_settings *settings, size_t i) {
    const rn_setting *setting = &settings->spec->table[i];
    const char *current = setting->variable != NULL ? setting->variable : setting->option;
    const char *dashes = setting->variable != NULL ? "" : "--";
    for (size_t j = 0; setting->replaces != NULL && setting->replaces[j] != NULL; j++) {
        const char *older = setting->replaces[j];
        const char *text = rn_settings_environment(settings, older);
        if (text == NULL) {
            continue;
        }
        if (settings->sources[i] != RN_SETTING_UNSET) {
            bool by_option = settings->names[i] == NULL;
            rn_settings_warn(settings, "%s is deprecated and ignored, because %s%s is set", older,
                             by_option ? "--" : "",
                             by_option ? setting->option : settings->names[i]);
            continue;
        }
        rn_settings_warn(settings, "%s is deprecated; use %s%s", older, dashes, current);
        int result = store(settings, i, text, RN_SETTING_ENVIRONMENT, older);
        if (result != RPCNET_OK) {
            return result;
        }
    }
    return RPCNET_OK;
}

static int read_variables(rn_settings *settings) {
    for (size_t i = 0; i < settings->spec->count; i++) {
        const char *variable = settings->spec->table[i].variable;
        const char *text = variable != NULL && settings->sources[i] == RN_SETTING_UNSET
                               ? rn_settings_environment(settings, variable)
                               : NULL;
        int result = RPCNET_OK;
        if (text != NULL) {
            result = store(settings, i, text, RN_SETTING_ENVIRONMENT, variable);
        }
        if (result == RPCNET_OK) {
            result = read_replaced(settings, i);
        }
        if (result != RPCNET_OK) {
            return result;
        }
    }
    return RPCNET_OK;
}

/* Before anything is given, every default is stored once: that checks the table, too. */
static void begin(rn_settings *settings) {
    const rn_settings_spec *spec = settings->spec;
    assert(spec->count <= RN_SETTINGS_MAX);
    assert(spec->positional_max <= RN_SETTINGS_POSITIONAL_MAX);
    for (size_t i = 0; i < spec->count; i++) {
        const rn_setting *setting = &spec->table[i];
        assert(setting->option != NULL || setting->variable != NULL);
        assert(setting->help != NULL && find(spec, name_of(setting)) == i);
        assert(setting->kind != RN_SETTING_CHOICE || setting->choices != NULL);
        rn_setting_clear(setting, settings->values);
        if (setting->value != NULL) {
            int result = rn_setting_store(setting, setting->value, settings->values);
            assert(result == RPCNET_OK);
            (void)result;
        }
    }
}

int rn_settings_read(rn_settings *settings, const rn_settings_spec *spec, void *values, int argc,
                     char *const argv[], char *const envp[]) {
    memset(settings, 0, sizeof *settings);
    settings->spec = spec;
    settings->values = values;
    settings->envp = envp;
    begin(settings);
    int result = read_arguments(settings, argc, argv);
    if (result != RPCNET_OK || settings->action != RN_SETTINGS_RUN) {
        return result;
    }
    result = read_variables(settings);
    if (result == RPCNET_OK && spec->check != NULL) {
        result = spec->check(settings, values);
    }
    for (size_t i = 0; i < spec->count; i++) {
        if (settings->sources[i] == RN_SETTING_UNSET && spec->table[i].value != NULL) {
            settings->sources[i] = RN_SETTING_DEFAULT;
        }
    }
    return result;
}
