/* tokens: hashes, their names, and the syntax of RFC 6750, section 2.1. */
#include "common/tokens.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/file.h"
#include "rpcnet/error.h"

enum { HASH_LEN = 32, DIGITS = 2 * HASH_LEN };

typedef struct entry {
    uint8_t hash[HASH_LEN];
    char name[RN_TOKEN_NAME_MAX + 1];
} entry;

struct rn_tokens {
    entry *entries;
    size_t count;
    size_t capacity;
};

/* ---- the file of hashes ---- */

static int digit_value(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static rn_bytes trim(rn_bytes text) {
    while (text.len > 0 && is_space(text.data[text.len - 1])) {
        text.len--;
    }
    while (text.len > 0 && is_space(text.data[0])) {
        text.data++;
        text.len--;
    }
    return text;
}

/* NULL, or what is wrong with the line. */
static const char *parse_line(rn_bytes line, entry *out) {
    if (line.len < DIGITS || (line.len > DIGITS && !is_space(line.data[DIGITS]))) {
        return "expected 64 hexadecimal digits (sha256sum of the token), and a name if you like";
    }
    for (size_t i = 0; i < HASH_LEN; i++) {
        int high = digit_value(line.data[2 * i]);
        int low = digit_value(line.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return "expected 64 hexadecimal digits (sha256sum of the token)";
        }
        out->hash[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    rn_bytes name = trim(rn_bytes_of(line.data + DIGITS, line.len - DIGITS));
    if (name.len > RN_TOKEN_NAME_MAX) {
        return "the name is longer than 64 bytes";
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < ' ' || name.data[i] > '~') {
            return "the name is not of printable ASCII";
        }
    }
    if (name.len > 0) {
        memcpy(out->name, name.data, name.len);
    }
    out->name[name.len] = '\0';
    return NULL;
}

static entry *new_entry(rn_tokens *tokens) {
    if (tokens->count == tokens->capacity) {
        size_t capacity = tokens->capacity == 0 ? 16 : 2 * tokens->capacity;
        entry *grown = realloc(tokens->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        tokens->entries = grown;
        tokens->capacity = capacity;
    }
    return &tokens->entries[tokens->count];
}

static int add_line(rn_tokens *tokens, rn_bytes line, size_t number,
                    char error[RN_TOKENS_ERROR_MAX]) {
    line = trim(line);
    if (line.len == 0 || line.data[0] == '#') {
        return RPCNET_OK;
    }
    if (tokens->count == RN_TOKENS_MAX) {
        snprintf(error, RN_TOKENS_ERROR_MAX, "more than %d tokens", (int)RN_TOKENS_MAX);
        return RPCNET_ERR_LIMIT;
    }
    entry *next = new_entry(tokens);
    if (next == NULL) {
        snprintf(error, RN_TOKENS_ERROR_MAX, "out of memory");
        return RPCNET_ERR_MEMORY;
    }
    const char *wrong = parse_line(line, next);
    if (wrong != NULL) {
        snprintf(error, RN_TOKENS_ERROR_MAX, "line %zu: %s", number, wrong);
        return RPCNET_ERR_PARSE;
    }
    tokens->count++;
    return RPCNET_OK;
}

int rn_tokens_parse(rn_tokens **out, rn_bytes text, char error[RN_TOKENS_ERROR_MAX]) {
    rn_tokens *tokens = calloc(1, sizeof *tokens);
    if (tokens == NULL) {
        snprintf(error, RN_TOKENS_ERROR_MAX, "out of memory");
        return RPCNET_ERR_MEMORY;
    }
    int result = RPCNET_OK;
    size_t start = 0;
    for (size_t number = 1; start < text.len && result == RPCNET_OK; number++) {
        const uint8_t *line = text.data + start;
        const uint8_t *newline = memchr(line, '\n', text.len - start);
        size_t len = newline != NULL ? (size_t)(newline - line) : text.len - start;
        result = add_line(tokens, rn_bytes_of(line, len), number, error);
        start += len + 1;
    }
    if (result == RPCNET_OK && tokens->count == 0) {
        snprintf(error, RN_TOKENS_ERROR_MAX, "there is no token in it");
        result = RPCNET_ERR_PARSE;
    }
    if (result != RPCNET_OK) {
        rn_tokens_del(tokens);
        return result;
    }
    *out = tokens;
    return RPCNET_OK;
}

int rn_tokens_load(rn_tokens **out, const char *file, char error[RN_TOKENS_ERROR_MAX]) {
    char *text = malloc(RN_TOKENS_FILE_MAX);
    size_t len = 0;
    int result = RPCNET_ERR_MEMORY;
    if (text == NULL) {
        snprintf(error, RN_TOKENS_ERROR_MAX, "out of memory");
        return result;
    }
    int failure = rn_file_read(file, text, RN_TOKENS_FILE_MAX, &len);
    if (failure != 0) {
        snprintf(error, RN_TOKENS_ERROR_MAX, "%s", rn_file_error(failure));
        result = RPCNET_ERR_IO;
    } else {
        result = rn_tokens_parse(out, rn_bytes_of(text, len), error);
    }
    free(text);
    return result;
}

void rn_tokens_del(rn_tokens *tokens) {
    if (tokens != NULL) {
        free(tokens->entries);
        free(tokens);
    }
}

size_t rn_tokens_count(const rn_tokens *tokens) {
    return tokens->count;
}

/* ---- a client's token ---- */

const char *rn_tokens_match(const rn_tokens *tokens, rn_bytes token) {
    uint8_t hash[HASH_LEN];
    const char *name = NULL;
    if (token.len > RN_TOKEN_MAX ||
        gnutls_hash_fast(GNUTLS_DIG_SHA256, token.data, token.len, hash) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < tokens->count; i++) {
        if (gnutls_memcmp(tokens->entries[i].hash, hash, sizeof hash) == 0) {
            name = tokens->entries[i].name;
        }
    }
    explicit_bzero(hash, sizeof hash);
    return name;
}

/* b64token of RFC 6750: letters, digits and -._~+/, then any number of "=". */
static bool is_token(rn_bytes text) {
    size_t len = text.len;
    while (len > 0 && text.data[len - 1] == '=') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr("-._~+/", c) == NULL)) {
            return false;
        }
    }
    return len > 0 && text.len <= RN_TOKEN_MAX;
}

bool rn_token_of_field(rn_bytes value, rn_bytes *token) {
    static const char scheme[] = "Bearer ";
    size_t prefix = sizeof scheme - 1;
    if (value.len <= prefix || strncasecmp((const char *)value.data, scheme, prefix) != 0) {
        return false;
    }
    while (prefix < value.len && value.data[prefix] == ' ') {
        prefix++;
    }
    *token = rn_bytes_of(value.data + prefix, value.len - prefix);
    return is_token(*token);
}

int rn_token_read(const char *file, char out[RN_TOKEN_MAX + 1], char error[RN_TOKENS_ERROR_MAX]) {
    char text[RN_TOKEN_MAX + 64];
    size_t len = 0;
    int result = RPCNET_ERR_IO;
    int failure = rn_file_read(file, text, sizeof text, &len);
    if (failure != 0 && failure != EFBIG) {
        snprintf(error, RN_TOKENS_ERROR_MAX, "%s", rn_file_error(failure));
    } else {
        rn_bytes token = trim(rn_bytes_of(text, len));
        if (failure == 0 && is_token(token)) {
            memcpy(out, token.data, token.len);
            out[token.len] = '\0';
            result = RPCNET_OK;
        } else {
            snprintf(error, RN_TOKENS_ERROR_MAX,
                     "expected one token of letters, digits and -._~+/ with = at its end, at most "
                     "%d bytes",
                     (int)RN_TOKEN_MAX);
            result = RPCNET_ERR_PARSE;
        }
    }
    explicit_bzero(text, sizeof text);
    return result;
}
