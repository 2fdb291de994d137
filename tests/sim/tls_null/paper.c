/* paper: see the header. */
#include "sim/tls_null/paper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mix.h"

uint64_t rn_paper_public(uint64_t private_number) {
    rn_mix mix = RN_MIX_START;
    rn_mix_word(&mix, private_number);
    return mix.a;
}

static bool number(const char *text, int base, uint64_t *out) {
    char *end;
    if (text[0] == '\0' || strspn(text, "0123456789abcdef") != strlen(text)) {
        return false;
    }
    errno = 0;
    *out = strtoull(text, &end, base);
    return errno == 0 && *end == '\0';
}

static bool seconds(const char *text, int64_t *out) {
    uint64_t value;
    if (!number(text, 10, &value) || value > INT64_MAX) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

static bool copy(char out[RN_PAPER_TEXT_MAX], const char *text) {
    if (text[0] == '\0') {
        return false;
    }
    snprintf(out, RN_PAPER_TEXT_MAX, "%s", text);
    return true;
}

static bool set(rn_paper *paper, const char *key, const char *value) {
    if (strcmp(key, "subject") == 0) {
        return copy(paper->subject, value);
    }
    if (strcmp(key, "identity") == 0) {
        paper->several_identities = paper->identity[0] != '\0';
        return copy(paper->identity, value);
    }
    if (strcmp(key, "name") == 0) {
        return paper->name_count < RN_PAPER_NAMES_MAX &&
               copy(paper->names[paper->name_count++], value);
    }
    if (strcmp(key, "use") == 0) {
        paper->for_server |= strcmp(value, "server") == 0;
        paper->for_client |= strcmp(value, "client") == 0;
        return strcmp(value, "server") == 0 || strcmp(value, "client") == 0;
    }
    if (strcmp(key, "public") == 0) {
        return number(value, 16, &paper->public_number);
    }
    if (strcmp(key, "authority") == 0) {
        return number(value, 16, &paper->authority);
    }
    if (strcmp(key, "from") == 0) {
        return seconds(value, &paper->from);
    }
    return strcmp(key, "until") == 0 && seconds(value, &paper->until);
}

/* Cuts the next line that says something off the text. false: none is left, or (bad) it is too
 * long or holds a NUL. */
static bool next_line(rn_bytes *text, char out[RN_PAPER_TEXT_MAX], bool *bad) {
    while (text->len > 0) {
        const uint8_t *end = memchr(text->data, '\n', text->len);
        size_t len = end != NULL ? (size_t)(end - text->data) : text->len;
        size_t taken = end != NULL ? len + 1 : len;
        *bad = len >= RN_PAPER_TEXT_MAX || memchr(text->data, '\0', len) != NULL;
        if (*bad) {
            return false;
        }
        memcpy(out, text->data, len);
        out[len] = '\0';
        *text = rn_bytes_of(text->data + taken, text->len - taken);
        if (len > 0 && out[0] != '#') {
            return true;
        }
    }
    return false;
}

int rn_papers_parse(rn_paper papers[RN_PAPERS_MAX], rn_bytes text) {
    char line[RN_PAPER_TEXT_MAX];
    bool bad = false;
    int count = 0;
    while (next_line(&text, line, &bad)) {
        if (strcmp(line, RN_PAPER_CERTIFICATE) == 0) {
            if (count == RN_PAPERS_MAX) {
                return -1;
            }
            memset(&papers[count++], 0, sizeof papers[0]);
            continue;
        }
        char *equals = strchr(line, '=');
        if (count == 0 || equals == NULL) {
            return -1;
        }
        *equals = '\0';
        if (!set(&papers[count - 1], line, equals + 1)) {
            return -1;
        }
    }
    return bad ? -1 : count;
}

bool rn_paper_key_parse(uint64_t *private_number, rn_bytes text) {
    static const char prefix[] = "private=";
    char line[RN_PAPER_TEXT_MAX];
    bool bad = false;
    return next_line(&text, line, &bad) && strcmp(line, RN_PAPER_KEY) == 0 &&
           next_line(&text, line, &bad) && strncmp(line, prefix, sizeof prefix - 1) == 0 &&
           number(line + sizeof prefix - 1, 16, private_number) && !next_line(&text, line, &bad) &&
           !bad;
}
