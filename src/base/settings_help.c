/* settings_help: help and documentation from a table of settings. */
#include <stdio.h>
#include <string.h>

#include "base/settings.h"
#include "base/settings_value.h"
#include "rpcnet/error.h"

enum {
    COLUMNS = 90,
    INDENT = 6,          /* of what is said about an option */
    MAN_COLUMNS = 79,    /* of a line of a manual page's source */
    PARAGRAPH_MAX = 1024 /* bytes of that, before wrapping */
};

/* Keeps the first error, so that a text can be written without a check at each step. */
typedef struct writer {
    rn_buffer *out;
    int result;
} writer;

static void put(writer *w, const void *data, size_t len) {
    if (w->result == RPCNET_OK) {
        w->result = rn_buffer_append(w->out, data, len);
    }
}

static void put_text(writer *w, const char *text) {
    put(w, text, strlen(text));
}

/* Words of `text` in lines of at most COLUMNS, each indented. */
static void put_wrapped(writer *w, const char *text, size_t indent) {
    size_t column = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (column > 0 && column + 1 + len > COLUMNS) {
            put_text(w, "\n");
            column = 0;
        }
        if (column == 0) {
            for (size_t i = 0; i < indent; i++) {
                put_text(w, " ");
            }
            column = indent;
        } else {
            put_text(w, " ");
            column++;
        }
        put(w, text, len);
        column += len;
        text += len;
        text += strspn(text, " ");
    }
    put_text(w, "\n");
}

/* A sentence's end for what is put behind it. */
static const char *stop(const char *help) {
    size_t len = strlen(help);
    return len > 0 && strchr(".!?", help[len - 1]) != NULL ? "" : ".";
}

static void put_setting(writer *w, const rn_setting *setting) {
    char form[RN_SETTING_FORM_MAX];
    char line[PARAGRAPH_MAX];
    const char *placeholder = rn_setting_placeholder(setting, form);
    if (setting->option == NULL) {
        snprintf(line, sizeof line, "  %s=%s\n", setting->variable, placeholder);
    } else if (setting->kind == RN_SETTING_FLAG) {
        snprintf(line, sizeof line, "  --%s, --no-%s\n", setting->option, setting->option);
    } else {
        snprintf(line, sizeof line, "  --%s %s\n", setting->option, placeholder);
    }
    put_text(w, line);
    snprintf(line, sizeof line, "%s%s", setting->help, stop(setting->help));
    put_wrapped(w, line, INDENT);

    const char *range = rn_setting_range(setting, form);
    const char *unit = setting->unit;
    int len = snprintf(line, sizeof line, "[default: %s%s%s",
                       setting->value == NULL ? "none" : setting->value,
                       unit != NULL && setting->value != NULL ? " " : "",
                       unit != NULL && setting->value != NULL ? unit : "");
    if (unit != NULL && setting->value == NULL) {
        len += snprintf(line + len, sizeof line - (size_t)len, "; unit: %s", unit);
    }
    if (*range != '\0') {
        len += snprintf(line + len, sizeof line - (size_t)len, "; %s", range);
    }
    if (setting->option != NULL && setting->variable != NULL) {
        len += snprintf(line + len, sizeof line - (size_t)len, "; variable: %s", setting->variable);
    }
    snprintf(line + len, sizeof line - (size_t)len, "]");
    put_wrapped(w, line, INDENT);
}

int rn_settings_help(const rn_settings_spec *spec, rn_buffer *out) {
    writer w = {.out = out};
    put_text(&w, "Usage: ");
    put_text(&w, spec->program);
    put_text(&w, " [OPTION]...");
    if (spec->positional != NULL) {
        put_text(&w, " [");
        put_text(&w, spec->positional);
        put_text(&w, "]");
        put_text(&w, spec->positional_max > 1 ? "..." : "");
    }
    put_text(&w, "\n\n");
    put_wrapped(&w, spec->summary, 0);
    for (size_t i = 0; i < spec->count; i++) {
        if (i == 0 || spec->table[i].group != NULL) {
            put_text(&w, "\n");
            put_text(&w, spec->table[i].group != NULL ? spec->table[i].group : "Settings");
            put_text(&w, ":\n");
        }
        put_setting(&w, &spec->table[i]);
    }
    put_text(&w, "\nGeneral:\n  --help, -h\n      Show this text.\n"
                 "  --version, -V\n      Show the version.\n\n");
    put_wrapped(&w,
                "An option holds before its environment variable, and that before the default. "
                "Durations have a unit (us, ms, s, m, h), sizes too (B, KiB, MiB, GiB).",
                0);
    return w.result;
}

int rn_settings_version(const rn_settings_spec *spec, rn_buffer *out) {
    writer w = {.out = out};
    put_text(&w, spec->program);
    put_text(&w, " ");
    put_text(&w, spec->version);
    put_text(&w, "\n");
    return w.result;
}

/* In a cell a bar would end the cell, even between backticks. */
static void put_cell(writer *w, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            put_text(w, "\\");
        }
        put(w, text, 1);
    }
}

static void put_code_cell(writer *w, const char *before, const char *text) {
    if (text == NULL) {
        put_text(w, " –");
    } else {
        put_text(w, " `");
        put_text(w, before);
        put_cell(w, text);
        put_text(w, "`");
    }
    put_text(w, " |");
}

static void put_row(writer *w, const rn_setting *setting) {
    char form[RN_SETTING_FORM_MAX];
    put_text(w, "|");
    put_code_cell(w, "", setting->variable);
    put_code_cell(w, "--", setting->option);
    put_code_cell(w, "", setting->value);
    put_text(w, " ");
    put_cell(w, setting->kind == RN_SETTING_FLAG ? "true|false"
                                                 : rn_setting_placeholder(setting, form));
    if (setting->unit != NULL) {
        put_text(w, ", ");
        put_cell(w, setting->unit);
    }
    const char *range = rn_setting_range(setting, form);
    if (*range != '\0') {
        put_text(w, "; ");
        put_cell(w, range);
    }
    put_text(w, " | ");
    put_cell(w, setting->help);
    put_text(w, stop(setting->help));
    for (size_t i = 0; setting->replaces != NULL && setting->replaces[i] != NULL; i++) {
        put_text(w, i == 0 ? " Older name: `" : ", `");
        put_cell(w, setting->replaces[i]);
        put_text(w, "`");
    }
    put_text(w, " |\n");
}

int rn_settings_markdown(const rn_settings_spec *spec, rn_buffer *out) {
    writer w = {.out = out};
    put_text(&w, "| Variable | Option | Default | Value | Meaning |\n"
                 "| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < spec->count; i++) {
        put_row(&w, &spec->table[i]);
    }
    return w.result;
}

/* In roff a hyphen is not the minus that one would type, a backslash begins a command, and some
 * characters become typographical ones. */
static void put_roff(writer *w, const char *text, size_t len, bool literal) {
    static const char special[] = "\\~^`";
    static const char *const instead[] = {"\\e", "\\(ti", "\\(ha", "\\(ga"};
    for (size_t i = 0; i < len; i++) {
        const char *found = strchr(special, text[i]);
        if (found != NULL) {
            put_text(w, instead[found - special]);
        } else if (literal && (text[i] == '-' || text[i] == '\'')) {
            put_text(w, text[i] == '-' ? "\\-" : "\\(aq");
        } else {
            put(w, &text[i], 1);
        }
    }
}

/* `font`: 'B' or 'I'. */
static void put_font(writer *w, char font, const char *text) {
    put_text(w, "\\f");
    put(w, &font, 1);
    put_roff(w, text, strlen(text), true);
    put_text(w, "\\fR");
}

/* Words in lines, a new one for each sentence: so roff knows where sentences end. */
static void put_roff_lines(writer *w, const char *text) {
    size_t column = 0;
    bool ended = false;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        bool sentence = ended && text[0] >= 'A' && text[0] <= 'Z';
        if (column > 0 && (sentence || column + 1 + len > MAN_COLUMNS)) {
            put_text(w, "\n");
            column = 0;
        }
        if (column > 0) {
            put_text(w, " ");
        } else if (text[0] == '.' || text[0] == '\'') {
            put_text(w, "\\&");
        }
        put_roff(w, text, len, strncmp(text + strspn(text, "("), "--", 2) == 0);
        column += len + 1;
        ended = strchr(".!?", text[len - 1]) != NULL;
        text += len;
        text += strspn(text, " ");
    }
    put_text(w, "\n");
}

static void put_man_values(writer *w, const rn_setting *setting) {
    char form[RN_SETTING_FORM_MAX];
    put_text(w, ".br\nDefault: ");
    if (setting->value != NULL) {
        put_font(w, 'B', setting->value);
    } else {
        put_text(w, "none");
    }
    if (setting->unit != NULL) {
        put_text(w, setting->value != NULL ? " " : "; unit: ");
        put_roff(w, setting->unit, strlen(setting->unit), false);
    }
    const char *range = rn_setting_range(setting, form);
    if (*range != '\0') {
        put_text(w, ";\n");
        put_roff(w, range, strlen(range), false);
    }
    if (setting->option != NULL && setting->variable != NULL) {
        put_text(w, ";\nvariable: ");
        put_font(w, 'B', setting->variable);
    }
    for (size_t i = 0; setting->replaces != NULL && setting->replaces[i] != NULL; i++) {
        put_text(w, i == 0 ? ";\nolder name: " : ", ");
        put_font(w, 'B', setting->replaces[i]);
    }
    put_text(w, ".\n");
}

static void put_man_setting(writer *w, const rn_setting *setting) {
    char form[RN_SETTING_FORM_MAX];
    char name[PARAGRAPH_MAX];
    bool flag = setting->option != NULL && setting->kind == RN_SETTING_FLAG;
    put_text(w, ".TP\n");
    snprintf(name, sizeof name, "%s%s", setting->option != NULL ? "--" : "",
             setting->option != NULL ? setting->option : setting->variable);
    put_font(w, 'B', name);
    if (flag) {
        snprintf(name, sizeof name, "--no-%s", setting->option);
        put_text(w, ", ");
        put_font(w, 'B', name);
    } else {
        put_text(w, setting->option != NULL ? " " : "=");
        put_font(w, 'I', rn_setting_placeholder(setting, form));
    }
    put_text(w, "\n");
    snprintf(name, sizeof name, "%s%s", setting->help, stop(setting->help));
    put_roff_lines(w, name);
    put_man_values(w, setting);
}

int rn_settings_man(const rn_settings_spec *spec, rn_buffer *out) {
    writer w = {.out = out};
    for (size_t i = 0; i < spec->count; i++) {
        if (i == 0 || spec->table[i].group != NULL) {
            put_text(&w, ".SS \"");
            put_text(&w, spec->table[i].group != NULL ? spec->table[i].group : "Settings");
            put_text(&w, "\"\n");
        }
        put_man_setting(&w, &spec->table[i]);
    }
    put_text(&w, ".SS General\n"
                 ".TP\n\\fB\\-\\-help\\fR, \\fB\\-h\\fR\nShow the options.\n"
                 ".TP\n\\fB\\-\\-version\\fR, \\fB\\-V\\fR\nShow the version.\n");
    return w.result;
}
