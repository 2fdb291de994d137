/* certs_search: what needs no program: the search for the folder, labels, the secret's text. */
#include "common/certs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool rn_label_is_valid(const char *label) {
    size_t len = strlen(label);
    if (len == 0 || len > RN_LABEL_MAX || strchr("._-", label[0]) != NULL) {
        return false;
    }
    return strspn(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
           len;
}

static bool join(char out[PATH_MAX], const char *folder, const char *name) {
    const char *slash = strcmp(folder, "/") == 0 ? "" : "/";
    int len = snprintf(out, PATH_MAX, "%s%s%s", folder, slash, name);
    return len > 0 && len < PATH_MAX;
}

/* Has `folder` a certs/ with an authority in it? */
static bool has_certs(const char *folder, char out[PATH_MAX]) {
    char certs[PATH_MAX];
    char ca[PATH_MAX];
    if (!join(certs, folder, "certs") || !join(ca, certs, "ca.crt") || access(ca, R_OK) != 0) {
        return false;
    }
    memcpy(out, certs, sizeof certs);
    return true;
}

static bool is_open_to_all(const char *folder) {
    struct stat status;
    return stat(folder, &status) != 0 || (status.st_mode & S_IWOTH) != 0;
}

/* Cuts the last component off; false: it was the root. */
static bool go_up(char path[PATH_MAX]) {
    char *slash = strrchr(path, '/');
    if (slash == NULL || path[1] == '\0') {
        return false;
    }
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

bool rn_certs_search(const char *here, const char *program, char out[PATH_MAX]) {
    char path[PATH_MAX];
    if (here != NULL && strlen(here) < sizeof path && here[0] == '/') {
        if (has_certs(here, out)) {
            return true;
        }
        memcpy(path, here, strlen(here) + 1);
        while (go_up(path)) {
            if (!is_open_to_all(path) && has_certs(path, out)) {
                return true;
            }
        }
    }
    if (program != NULL && strlen(program) < sizeof path && program[0] == '/') {
        memcpy(path, program, strlen(program) + 1);
        while (go_up(path)) {
            if (!is_open_to_all(path) && has_certs(path, out)) {
                return true;
            }
        }
    }
    return false;
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_word(const char *text, size_t len, uint8_t out[RPCNET_SECRET_LEN]) {
    bool valid = len == (size_t)2 * RPCNET_SECRET_LEN;
    for (size_t i = 0; i < RPCNET_SECRET_LEN && valid; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        valid = high >= 0 && low >= 0;
        out[i] = (uint8_t)((unsigned)high << 4 | ((unsigned)low & 15U));
    }
    return valid;
}

/* The next word of the text, which is cut off; its length. */
static size_t next_word(const char **text, size_t *len, const char **word) {
    while (*len > 0 && isspace((unsigned char)**text)) {
        ++*text;
        --*len;
    }
    *word = *text;
    while (*len > 0 && !isspace((unsigned char)**text)) {
        ++*text;
        --*len;
    }
    return (size_t)(*text - *word);
}

bool rn_secret_parse(const char *text, size_t len, rn_secret *out) {
    const char *word;
    rn_secret secret = {.changed = false};
    size_t word_len = next_word(&text, &len, &word);
    bool valid = parse_word(word, word_len, secret.current);
    word_len = next_word(&text, &len, &word);
    if (valid && word_len > 0) {
        secret.changed = true;
        valid = parse_word(word, word_len, secret.previous) && next_word(&text, &len, &word) == 0;
    }
    if (valid) {
        *out = secret;
    }
    rn_secret_wipe(&secret);
    return valid;
}

void rn_secret_wipe(rn_secret *secret) {
    explicit_bzero(secret, sizeof *secret);
}

const uint8_t *rn_secret_previous(const rn_secret *secret) {
    return secret->changed ? secret->previous : NULL;
}
