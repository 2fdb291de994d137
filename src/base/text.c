/* text: see the header. Used by log, settings and metrics, which all show what others wrote. */
#include "base/text.h"

#include <assert.h>
#include <stdint.h>

enum { DISTANCE_NAME_MAX = 63 };

/* Decodes one character (RFC 3629: no overlong forms, no surrogates). 0: malformed. */
static size_t decode(rn_bytes bytes, uint32_t *code) {
    uint8_t first = bytes.data[0];
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.len < len) {
        return 0;
    }
    uint32_t value = first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((bytes.data[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (bytes.data[i] & 0x3f);
    }
    bool overlong = (len == 3 && value < 0x800) || (len == 4 && value < 0x10000);
    if (overlong || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *code = value;
    return len;
}

static bool must_escape(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

size_t rn_text_piece(rn_bytes bytes, char out[RN_TEXT_PIECE_MAX], size_t *out_len) {
    static const char hex[] = "0123456789abcdef";
    uint32_t code = 0;
    size_t taken = decode(bytes, &code);
    if (taken != 0 && !must_escape(code)) {
        memcpy(out, bytes.data, taken);
        *out_len = taken;
        return taken;
    }
    if (taken == 0) {
        taken = 1;
    }
    for (size_t i = 0; i < taken && i < RN_TEXT_PIECE_MAX / 4; i++) {
        out[4 * i] = '\\';
        out[4 * i + 1] = 'x';
        out[4 * i + 2] = hex[bytes.data[i] >> 4];
        out[4 * i + 3] = hex[bytes.data[i] & 15];
    }
    *out_len = 4 * taken;
    return taken;
}

const char *rn_text_escape(rn_bytes bytes, char *out, size_t size) {
    static const char ellipsis[] = "…";
    assert(size >= sizeof ellipsis);
    size_t len = 0;
    size_t cut = 0; /* where the ellipsis would go */
    while (bytes.len > 0) {
        char piece[RN_TEXT_PIECE_MAX];
        size_t piece_len;
        size_t taken = rn_text_piece(bytes, piece, &piece_len);
        if (len + piece_len >= size) {
            memcpy(out + cut, ellipsis, sizeof ellipsis);
            return out;
        }
        memcpy(out + len, piece, piece_len);
        len += piece_len;
        if (len + sizeof ellipsis <= size) {
            cut = len;
        }
        bytes = rn_bytes_of(bytes.data + taken, bytes.len - taken);
    }
    out[len] = '\0';
    return out;
}

/* Of what will not be cut off: `size` bytes are enough to know. */
static bool is_plain_word(rn_bytes bytes, size_t size) {
    static const char special[] = {' ', '=', '"', '\\'};
    bool plain = bytes.len > 0;
    for (size_t len = bytes.len; bytes.len > 0 && plain && len - bytes.len < size;) {
        char piece[RN_TEXT_PIECE_MAX];
        size_t piece_len;
        size_t taken = rn_text_piece(bytes, piece, &piece_len);
        plain = piece_len == taken && memchr(special, bytes.data[0], sizeof special) == NULL;
        bytes = rn_bytes_of(bytes.data + taken, bytes.len - taken);
    }
    return plain;
}

const char *rn_text_value(rn_bytes bytes, char *out, size_t size) {
    return is_plain_word(bytes, size) ? rn_text_escape(bytes, out, size)
                                      : rn_text_quote(bytes, out, size);
}

const char *rn_text_quote(rn_bytes bytes, char *out, size_t size) {
    static const char ending[] = "…\"";
    assert(size > sizeof ending);
    size_t len = 0;
    size_t cut = 1; /* where the ending would go */
    out[len++] = '"';
    while (bytes.len > 0) {
        char piece[1 + RN_TEXT_PIECE_MAX] = {'\\'};
        size_t piece_len;
        bool quoted = bytes.data[0] == '"' || bytes.data[0] == '\\';
        size_t taken = rn_text_piece(bytes, piece + quoted, &piece_len);
        piece_len += quoted;
        if (len + piece_len + sizeof "\"" > size) {
            memcpy(out + cut, ending, sizeof ending);
            return out;
        }
        memcpy(out + len, piece, piece_len);
        len += piece_len;
        if (len + sizeof ending <= size) {
            cut = len;
        }
        bytes = rn_bytes_of(bytes.data + taken, bytes.len - taken);
    }
    memcpy(out + len, "\"", sizeof "\"");
    return out;
}

bool rn_text_is_utf8(rn_bytes bytes) {
    while (bytes.len > 0) {
        uint32_t code;
        size_t taken = decode(bytes, &code);
        if (taken == 0) {
            return false;
        }
        bytes = rn_bytes_of(bytes.data + taken, bytes.len - taken);
    }
    return true;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t rn_text_distance(const char *a, const char *b) {
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > DISTANCE_NAME_MAX || b_len > DISTANCE_NAME_MAX) {
        return SIZE_MAX;
    }
    /* Three rows of the usual table: the one before the last is for swapped neighbours. */
    size_t rows[3][DISTANCE_NAME_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *above_two = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = smaller(row[j], above_two[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}
