/* json: any bytes as text in a line of JSON, read again by a reader of RFC 8259's grammar; and the
 * other two ways to show a peer's bytes, as a line and as the value of a key. */
#include "common/json.h"

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "rpcnet/error.h"

enum { SHOWN_MAX = 120, REPLACEMENT = 0xFFFD };

static bool must_hide(unsigned code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* One character of well-formed UTF-8, or REPLACEMENT for one byte that is none. */
static unsigned take_character(rn_bytes *rest) {
    uint8_t first = rest->data[0];
    size_t len = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    while (len > 1 && !(len <= rest->len && rn_text_is_utf8(rn_bytes_of(rest->data, len)))) {
        len = len > 1 ? 1 : len;
    }
    unsigned code = len > 1 ? first & (0x7fu >> len) : first < 0x80 ? first : REPLACEMENT;
    for (size_t i = 1; i < len; i++) {
        code = code << 6 | (rest->data[i] & 0x3f);
    }
    *rest = rn_bytes_of(rest->data + len, rest->len - len);
    return code;
}

static unsigned hex_digit(uint8_t c) {
    assert((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* One character of a JSON string. */
static unsigned take_json(rn_bytes *rest) {
    assert(rest->len > 0);
    if (rest->data[0] != '\\') {
        unsigned code = take_character(rest);
        assert(code != '"' && !must_hide(code));
        return code;
    }
    assert(rest->len >= 6 && rest->data[1] == 'u');
    unsigned code = 0;
    for (size_t i = 2; i < 6; i++) {
        code = code << 4 | hex_digit(rest->data[i]);
    }
    *rest = rn_bytes_of(rest->data + 6, rest->len - 6);
    return code;
}

static void take_text(rn_bytes *rest, const char *text) {
    size_t len = strlen(text);
    assert(rest->len >= len && memcmp(rest->data, text, len) == 0);
    *rest = rn_bytes_of(rest->data + len, rest->len - len);
}

static void check_object(rn_bytes text, size_t limit) {
    rn_buffer out;
    rn_json json;
    rn_buffer_init(&out, limit);
    rn_json_begin(&json, &out);
    rn_json_text(&json, "text", text);
    rn_json_number(&json, "n", text.len);
    rn_json_bool(&json, "b", text.len > 3);
    int rv = rn_json_end(&json);
    assert(out.len <= limit);
    if (rv == RPCNET_OK) {
        rn_bytes rest = rn_buffer_bytes(&out);
        take_text(&rest, "{\"text\":\"");
        while (text.len > 0) {
            unsigned wanted = take_character(&text);
            unsigned written = take_json(&rest);
            assert(written == wanted);
        }
        take_text(&rest, "\",\"n\":");
    } else {
        assert(rv == RPCNET_ERR_LIMIT);
    }
    rn_buffer_fini(&out);
}

static void check_shown(const char *shown, size_t size) {
    rn_bytes rest = rn_bytes_text(shown);
    assert(rest.len < size && rn_text_is_utf8(rest));
    while (rest.len > 0) {
        unsigned code = take_character(&rest);
        assert(!must_hide(code));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    size_t shown_size = 6 + fuzz_byte(&input) % SHOWN_MAX;
    uint8_t *copy = fuzz_copy(rn_bytes_of(input.data, input.len));
    rn_bytes text = rn_bytes_of(copy, input.len);
    char shown[6 + SHOWN_MAX];
    check_object(text, 1 << 20);
    check_object(text, shown_size);
    check_shown(rn_text_escape(text, shown, shown_size), shown_size);
    check_shown(rn_text_value(text, shown, shown_size), shown_size);
    free(copy);
    return 0;
}
