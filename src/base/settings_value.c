/* settings_value: see the header. All that depends on a setting's kind is here. */
#include "base/settings_value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/text.h"
#include "base/units.h"
#include "rpcnet/error.h"

static void *member(const rn_setting *setting, void *values) {
    return (char *)values + setting->offset;
}

static bool in_range(const rn_setting *setting, uint64_t value) {
    if (value == 0 && setting->zero != NULL) {
        return true;
    }
    return value >= setting->min && (setting->max == 0 || value <= setting->max);
}

static int parse_quantity(const rn_setting *setting, const char *text, uint64_t *value) {
    uint64_t parsed;
    int result = setting->kind == RN_SETTING_NUMBER     ? rn_number_parse(text, &parsed)
                 : setting->kind == RN_SETTING_DURATION ? rn_duration_parse(text, &parsed)
                                                        : rn_size_parse(text, &parsed);
    if (result != RPCNET_OK) {
        return result;
    }
    if (!in_range(setting, parsed)) {
        return RPCNET_ERR_LIMIT;
    }
    *value = parsed;
    return RPCNET_OK;
}

static int parse_flag(const char *text, bool *value) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return RPCNET_OK;
        }
    }
    return RPCNET_ERR_PARSE;
}

static int parse_choice(const rn_setting *setting, const char *text, unsigned *value) {
    for (unsigned i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(text, setting->choices[i]) == 0) {
            *value = i;
            return RPCNET_OK;
        }
    }
    return RPCNET_ERR_PARSE;
}

static int check_text(const rn_setting *setting, const char *text) {
    char host[RN_HOST_MAX + 1];
    uint16_t port;
    switch (setting->kind) {
    case RN_SETTING_ADDRESS:
        if (rn_address_split(text, host, &port) != RPCNET_OK) {
            return RPCNET_ERR_PARSE;
        }
        return in_range(setting, port) ? RPCNET_OK : RPCNET_ERR_LIMIT;
    case RN_SETTING_PATH:
        return *text != '\0' ? RPCNET_OK : RPCNET_ERR_PARSE;
    default:
        return in_range(setting, strlen(text)) ? RPCNET_OK : RPCNET_ERR_LIMIT;
    }
}

int rn_setting_store(const rn_setting *setting, const char *text, void *values) {
    switch (setting->kind) {
    case RN_SETTING_NUMBER:
    case RN_SETTING_DURATION:
    case RN_SETTING_SIZE:
        return parse_quantity(setting, text, member(setting, values));
    case RN_SETTING_FLAG:
        return parse_flag(text, member(setting, values));
    case RN_SETTING_CHOICE:
        return parse_choice(setting, text, member(setting, values));
    default: {
        int result = check_text(setting, text);
        if (result == RPCNET_OK) {
            *(const char **)member(setting, values) = text;
        }
        return result;
    }
    }
}

void rn_setting_clear(const rn_setting *setting, void *values) {
    switch (setting->kind) {
    case RN_SETTING_NUMBER:
    case RN_SETTING_DURATION:
    case RN_SETTING_SIZE:
        *(uint64_t *)member(setting, values) = 0;
        break;
    case RN_SETTING_FLAG:
        *(bool *)member(setting, values) = false;
        break;
    case RN_SETTING_CHOICE:
        *(unsigned *)member(setting, values) = 0;
        break;
    default:
        *(const char **)member(setting, values) = NULL;
        break;
    }
}

static const char *show(const rn_setting *setting, uint64_t value, char out[RN_UNITS_TEXT_MAX]) {
    if (setting->kind == RN_SETTING_DURATION) {
        return rn_duration_format(value, out);
    }
    if (setting->kind == RN_SETTING_SIZE) {
        return rn_size_format(value, out);
    }
    snprintf(out, RN_UNITS_TEXT_MAX, "%" PRIu64, value);
    return out;
}

const char *rn_setting_range(const rn_setting *setting, char out[RN_SETTING_FORM_MAX]) {
    char low[RN_UNITS_TEXT_MAX];
    char high[RN_UNITS_TEXT_MAX];
    const char *prefix = setting->kind == RN_SETTING_ADDRESS ? "port " : "";
    const char *suffix = setting->kind == RN_SETTING_TEXT ? " bytes" : "";
    int len = 0;
    show(setting, setting->min, low);
    show(setting, setting->max, high);
    if (setting->max != 0) {
        len = snprintf(out, RN_SETTING_FORM_MAX, "%s to %s%s", low, high, suffix);
    } else if (setting->min != 0) {
        len = snprintf(out, RN_SETTING_FORM_MAX, "%sat least %s%s", prefix, low, suffix);
    } else {
        out[0] = '\0';
    }
    if (setting->zero != NULL) {
        snprintf(out + len, RN_SETTING_FORM_MAX - (size_t)len, "%s0: %s", len > 0 ? ", " : "",
                 setting->zero);
    }
    return out;
}

static void join_choices(const rn_setting *setting, const char *separator,
                         char out[RN_SETTING_FORM_MAX]) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; setting->choices[i] != NULL; i++) {
        int added = snprintf(out + len, RN_SETTING_FORM_MAX - len, "%s%s", i == 0 ? "" : separator,
                             setting->choices[i]);
        len += (size_t)added;
        assert(len < RN_SETTING_FORM_MAX);
    }
}

const char *rn_setting_placeholder(const rn_setting *setting, char out[RN_SETTING_FORM_MAX]) {
    static const char *const names[] = {"TEXT",     "HOST:PORT", "PATH", "NUMBER",
                                        "DURATION", "SIZE",      ""};
    if (setting->kind == RN_SETTING_CHOICE) {
        join_choices(setting, "|", out);
    } else {
        snprintf(out, RN_SETTING_FORM_MAX, "%s", names[setting->kind]);
    }
    return out;
}

/* What a value of the kind is called, and an example. */
static void describe(const rn_setting *setting, const char **what, const char **expected,
                     char choices[RN_SETTING_FORM_MAX]) {
    switch (setting->kind) {
    case RN_SETTING_ADDRESS:
        *what = "an address";
        *expected = "host:port, e.g. 127.0.0.1:61000";
        break;
    case RN_SETTING_PATH:
        *what = "a path";
        *expected = "the name of a file or folder";
        break;
    case RN_SETTING_NUMBER:
        *what = "a number";
        *expected = "digits only, e.g. 100";
        break;
    case RN_SETTING_DURATION:
        *what = "a duration";
        *expected = "a number and a unit, e.g. 250ms, 15s, 2m, or 0";
        break;
    case RN_SETTING_SIZE:
        *what = "a size";
        *expected = "a number and a unit, e.g. 4096, 256KiB, 4MiB";
        break;
    case RN_SETTING_FLAG:
        *what = "a yes or no";
        *expected = "true or false";
        break;
    case RN_SETTING_CHOICE:
        join_choices(setting, ", ", choices);
        *what = "one of its values";
        *expected = choices;
        break;
    default:
        *what = "a text";
        *expected = "a text";
        break;
    }
}

void rn_setting_explain(const rn_setting *setting, const char *text, int result, char *out,
                        size_t size) {
    char shown[64];
    char form[RN_SETTING_FORM_MAX];
    if (text != NULL) {
        rn_text_escape(rn_bytes_text(text), shown, sizeof shown);
    }
    if (result == RPCNET_ERR_LIMIT) {
        const char *range = rn_setting_range(setting, form);
        snprintf(out, size, "'%s' is out of range%s%s", shown, *range != '\0' ? "; expected " : "",
                 range);
        return;
    }
    const char *what;
    const char *expected;
    describe(setting, &what, &expected, form);
    if (text == NULL) {
        snprintf(out, size, "needs a value; expected %s", expected);
    } else {
        snprintf(out, size, "'%s' is not %s; expected %s", shown, what, expected);
    }
}
