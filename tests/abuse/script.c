/* script: see the header. */
/* Scripts nest, and so does their reader. NOLINTBEGIN(misc-no-recursion) */
#include "abuse/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/varint.h"
#include "rpcnet/error.h"

enum { BYTES_MAX = 1 << 20 };

static void append(rn_buffer *out, const void *data, size_t len) {
    assert_int_equal(rn_buffer_append(out, data, len), RPCNET_OK);
}

static void append_byte(rn_buffer *out, unsigned byte) {
    uint8_t value = (uint8_t)byte;
    append(out, &value, 1);
}

static void append_varint(rn_buffer *out, uint64_t value, bool wide) {
    uint8_t bytes[8];
    size_t len = 0;
    if (wide) {
        for (unsigned i = 0; i < 8; i++) {
            bytes[len++] = (uint8_t)(value >> (56 - 8 * i));
        }
        bytes[0] |= 0xc0;
    } else {
        len = (size_t)(rn_varint_write(bytes, value) - bytes);
    }
    append(out, bytes, len);
}

static unsigned hex_digit(const char *at) {
    const char digits[2] = {*at, '\0'};
    char *end;
    unsigned long value = strtoul(digits, &end, 16);
    if (end == digits) {
        fail_msg("no hexadecimal digit in the script: %s", at);
    }
    return (unsigned)value;
}

static const char *expect(const char *cursor, char c) {
    if (*cursor != c) {
        fail_msg("'%c' expected in the script: %s", c, cursor);
    }
    return cursor + 1;
}

/* ---- field sections ---- */

/* RFC 9204, section 4.1.1. */
static void append_prefixed(rn_buffer *out, unsigned first, unsigned prefix_max, size_t value) {
    if (value < prefix_max) {
        append_byte(out, first | (unsigned)value);
        return;
    }
    append_byte(out, first | prefix_max);
    for (value -= prefix_max; value >= 128; value /= 128) {
        append_byte(out, 128 + (unsigned)(value % 128));
    }
    append_byte(out, (unsigned)value);
}

/* Takes text up to one of `ends`. */
static const char *take_text(const char *cursor, const char *ends, rn_buffer *text) {
    while (strchr(ends, *cursor) == NULL) {
        if (*cursor == '\\') {
            append_byte(text, hex_digit(cursor + 1) << 4 | hex_digit(cursor + 2));
            cursor += 3;
        } else {
            append_byte(text, (unsigned char)*cursor++);
        }
    }
    return cursor;
}

static const char *take_fields(const char *cursor, rn_buffer *out) {
    rn_buffer text;
    rn_buffer_init(&text, BYTES_MAX);
    while (*cursor != '}') {
        rn_buffer_clear(&text);
        size_t colon = *cursor == ':' ? 1 : 0; /* of a pseudo-header, belongs to the name */
        append(&text, ":", colon);
        cursor = take_text(cursor + colon, "=", &text);
        append_prefixed(out, 0x20, 7, text.len);
        append(out, text.data, text.len);
        rn_buffer_clear(&text);
        cursor = take_text(cursor + 1, "|}", &text);
        append_prefixed(out, 0x00, 127, text.len);
        append(out, text.data, text.len);
        cursor += *cursor == '|';
    }
    rn_buffer_fini(&text);
    return cursor;
}

/* ---- bytes ---- */

static const char *take_bytes(const char *cursor, rn_buffer *out);

/* The contents of braces as bytes of their own. */
static const char *take_inner(const char *cursor, rn_buffer *inner) {
    rn_buffer_init(inner, BYTES_MAX);
    cursor = take_bytes(expect(cursor, '{'), inner);
    return expect(cursor, '}');
}

static const char *take_frame(const char *cursor, rn_buffer *out) {
    rn_buffer inner;
    char *end;
    uint64_t type = strtoull(cursor, &end, 16);
    cursor = take_inner(end, &inner);
    append_varint(out, type, false);
    append_varint(out, inner.len, false);
    append(out, inner.data, inner.len);
    rn_buffer_fini(&inner);
    return cursor;
}

static const char *take_message(const char *cursor, rn_buffer *out) {
    rn_buffer inner;
    cursor = take_inner(cursor, &inner);
    append_byte(out, 0);
    for (unsigned i = 0; i < 4; i++) {
        append_byte(out, (unsigned)(inner.len >> (24 - 8 * i)) & 0xff);
    }
    append(out, inner.data, inner.len);
    rn_buffer_fini(&inner);
    return cursor;
}

static const char *take_repeated(const char *cursor, rn_buffer *out) {
    char *end;
    unsigned byte = (unsigned)strtoul(cursor, &end, 16);
    unsigned long count = strtoul(expect(end, ':'), &end, 10);
    for (unsigned long i = 0; i < count; i++) {
        append_byte(out, byte);
    }
    return end;
}

static const char *take_varint(const char *cursor, bool wide, rn_buffer *out) {
    char *end;
    append_varint(out, strtoull(cursor, &end, 0), wide);
    return end;
}

static const char *take_one(const char *cursor, rn_buffer *out, bool *section) {
    switch (*cursor) {
    case 'v':
    case 'V':
        return take_varint(cursor + 1, *cursor == 'V', out);
    case '"': {
        const char *end = strchr(cursor + 1, '"');
        assert_non_null(end);
        append(out, cursor + 1, (size_t)(end - cursor - 1));
        return end + 1;
    }
    case '*':
        return take_repeated(cursor + 1, out);
    case 'F':
        return take_frame(cursor + 1, out);
    case 'M':
        return take_message(cursor + 1, out);
    case 'Q':
        if (!*section) {
            append(out, "\0", 2);
        }
        *section = true;
        return expect(take_fields(expect(cursor + 1, '{'), out), '}');
    default:
        append_byte(out, hex_digit(cursor) << 4 | hex_digit(cursor + 1));
        return cursor + 2;
    }
}

static const char *take_bytes(const char *cursor, rn_buffer *out) {
    bool section = false;
    for (;;) {
        cursor += strspn(cursor, " ");
        if (*cursor == '\0' || *cursor == ';' || *cursor == '}' || strncmp(cursor, "FIN", 3) == 0 ||
            strncmp(cursor, "RESET:", 6) == 0 || strncmp(cursor, "STOP:", 5) == 0) {
            return cursor;
        }
        cursor = take_one(cursor, out, &section);
    }
}

void script_bytes(const char *text, rn_buffer *out) {
    const char *end = take_bytes(text, out);
    if (*end != '\0') {
        fail_msg("not understood in the script: %s", end);
    }
}

/* ---- steps ---- */

static const char *take_end(const char *cursor, script_step *step) {
    char *end;
    step->end = SCRIPT_GO_ON;
    if (strncmp(cursor, "FIN", 3) == 0) {
        step->end = SCRIPT_FIN;
        return cursor + 3;
    }
    if (*cursor == 'R' || *cursor == 'S') {
        step->end = *cursor == 'R' ? SCRIPT_RESET : SCRIPT_STOP;
        step->code = strtoull(strchr(cursor, ':') + 1, &end, 0);
        return end;
    }
    return cursor;
}

bool script_next(const char **cursor, script_step *step) {
    const char *at = *cursor + strspn(*cursor, " ;");
    rn_buffer_clear(&step->bytes);
    if (*at == '\0') {
        return false;
    }
    step->kind = *at;
    step->number = 0;
    if (strncmp(at, "wait", 4) == 0) {
        *cursor = at + 4;
        return true;
    }
    if (strchr("urb", *at) == NULL) {
        fail_msg("no stream in the script: %s", at);
    }
    char *end;
    step->number = (unsigned)strtoul(at + 1, &end, 10);
    at = take_bytes(expect(end, ':'), &step->bytes);
    at = take_end(at, step);
    at += strspn(at, " ");
    if (*at != '\0' && *at != ';') {
        fail_msg("not understood in the script: %s", at);
    }
    *cursor = at;
    return true;
}
/* NOLINTEND(misc-no-recursion) */
