/* settings: options and environment of the three programs. The first byte chooses the program; then
 * one line for each argument, or with '$' in front for each environment variable.
 *
 * Whatever they are: either all values are within what the table allows, or there is one line that
 * says what is wrong. */
#include "base/text.h"
#include "client/config.h"
#include "director/config.h"
#include "fuzz/fuzz.h"
#include "rpcnet/error.h"
#include "worker/config.h"

enum { LINES_MAX = 40, PROGRAMS = 3 };

typedef union values {
    rn_director_config director;
    rn_worker_config worker;
    rn_client_config client;
} values;

static void check_line(const char *line, const char *program) {
    rn_bytes text = rn_bytes_text(line);
    assert(text.len > 0 && text.len < RN_SETTINGS_LINE_MAX);
    assert(strncmp(line, program, strlen(program)) == 0);
    assert(rn_text_is_utf8(text));
    for (size_t i = 0; i < text.len; i++) {
        assert(text.data[i] >= 0x20 && text.data[i] != 0x7f);
    }
}

static void check_number(const rn_setting *setting, uint64_t value) {
    if (value != 0 || setting->zero == NULL) {
        assert(value >= setting->min);
    }
    assert(setting->max == 0 || value <= setting->max);
}

static void check_value(const rn_setting *setting, const void *member) {
    char host[RN_HOST_MAX + 1];
    uint16_t port;
    const char *text = NULL;
    uint64_t number = 0;
    switch (setting->kind) {
    case RN_SETTING_ADDRESS:
        memcpy(&text, member, sizeof text);
        assert(rn_address_split(text, host, &port) == RPCNET_OK && port >= setting->min);
        break;
    case RN_SETTING_TEXT:
    case RN_SETTING_PATH:
        memcpy(&text, member, sizeof text);
        assert(strlen(text) >= setting->min);
        assert(setting->max == 0 || strlen(text) <= setting->max);
        break;
    case RN_SETTING_NUMBER:
    case RN_SETTING_DURATION:
    case RN_SETTING_SIZE:
        memcpy(&number, member, sizeof number);
        check_number(setting, number);
        break;
    case RN_SETTING_FLAG: {
        uint8_t flag;
        memcpy(&flag, member, sizeof flag);
        assert(flag <= 1);
        break;
    }
    case RN_SETTING_CHOICE: {
        unsigned choice = 0;
        memcpy(&choice, member, sizeof choice);
        for (unsigned i = 0; i <= choice; i++) {
            assert(setting->choices[i] != NULL);
        }
        break;
    }
    }
}

static void check_settings(const rn_settings *settings, const values *read) {
    const rn_settings_spec *spec = settings->spec;
    for (size_t i = 0; i < spec->count; i++) {
        if (settings->sources[i] != RN_SETTING_UNSET) {
            check_value(&spec->table[i], (const char *)read + spec->table[i].offset);
        }
    }
}

static void read_settings(const rn_settings_spec *spec, int argc, char *argv[], char *envp[]) {
    rn_settings *settings = malloc(sizeof *settings);
    values *read = calloc(1, sizeof *read);
    assert(settings != NULL && read != NULL);
    int rv = rn_settings_read(settings, spec, read, argc, argv, envp);
    if (rv == RPCNET_OK) {
        if (settings->action == RN_SETTINGS_RUN) {
            check_settings(settings, read);
        }
    } else {
        assert(rv == RPCNET_ERR_ARGUMENT);
        check_line(settings->error, spec->program);
    }
    assert(settings->warning_count <= RN_SETTINGS_WARNINGS_MAX);
    for (size_t i = 0; i < settings->warning_count; i++) {
        check_line(settings->warnings[i], spec->program);
    }
    free(read);
    free(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const rn_settings_spec *const specs[PROGRAMS] = {
        rn_director_program.settings, rn_worker_spec()->settings, rn_client_spec()->settings};
    fuzz_input input = fuzz_input_of(data, size);
    char *argv[LINES_MAX + 2] = {NULL};
    char *envp[LINES_MAX + 1] = {NULL};
    char name[] = "program";
    int argc = 1;
    size_t variables = 0;
    const rn_settings_spec *spec = specs[fuzz_byte(&input) % PROGRAMS];
    argv[0] = name;
    for (size_t lines = 0; lines < LINES_MAX && input.len > 0; lines++) {
        rn_bytes line = fuzz_line(&input);
        if (line.len > 0 && line.data[0] == '$') {
            envp[variables++] = fuzz_text(rn_bytes_of(line.data + 1, line.len - 1));
        } else {
            argv[argc++] = fuzz_text(line);
        }
    }
    read_settings(spec, argc, argv, envp);
    for (int i = 1; i < argc; i++) {
        free(argv[i]);
    }
    for (size_t i = 0; i < variables; i++) {
        free(envp[i]);
    }
    return 0;
}
