/* json: one object on one line, with nothing in it that a terminal could act upon. */
#include "common/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "rpcnet/error.h"

/* The code point of a character that rn_text_piece took, which is well-formed or one stray byte. */
static unsigned code_point(const uint8_t *bytes, size_t len) {
    if (len == 1) {
        return bytes[0] < 0x80 ? bytes[0] : 0xFFFD;
    }
    unsigned value = bytes[0] & (0x7FU >> len);
    for (size_t i = 1; i < len; i++) {
        value = value << 6 | (bytes[i] & 0x3FU);
    }
    return value;
}

int rn_json_string(rn_buffer *out, rn_bytes text) {
    size_t before = out->len;
    int result = rn_buffer_append(out, "\"", 1);
    while (text.len > 0 && result == RPCNET_OK) {
        char piece[RN_TEXT_PIECE_MAX];
        size_t piece_len;
        size_t taken = rn_text_piece(text, piece, &piece_len);
        unsigned c = code_point(text.data, taken);
        /* What comes back changed was escaped; those characters all lie below U+10000. */
        bool plain = piece_len == taken && memcmp(piece, text.data, taken) == 0;
        if (!plain || c == '"' || c == '\\') {
            char escape[16];
            int len = snprintf(escape, sizeof escape, "\\u%04x", c);
            result = rn_buffer_append(out, escape, (size_t)len);
        } else {
            result = rn_buffer_append(out, text.data, taken);
        }
        text = rn_bytes_of(text.data + taken, text.len - taken);
    }
    if (result == RPCNET_OK) {
        result = rn_buffer_append(out, "\"", 1);
    }
    if (result != RPCNET_OK) {
        out->len = before;
    }
    return result;
}

static void put(rn_json *json, const char *text) {
    if (json->result == RPCNET_OK) {
        json->result = rn_buffer_append(json->out, text, strlen(text));
    }
}

void rn_json_begin(rn_json *json, rn_buffer *out) {
    *json = (rn_json){.out = out, .first = true};
    put(json, "{");
}

void rn_json_key(rn_json *json, const char *key) {
    put(json, json->first ? "\"" : ",\"");
    put(json, key);
    put(json, "\":");
    json->first = false;
}

void rn_json_text(rn_json *json, const char *key, rn_bytes value) {
    rn_json_key(json, key);
    if (json->result == RPCNET_OK) {
        json->result = rn_json_string(json->out, value);
    }
}

void rn_json_number(rn_json *json, const char *key, uint64_t value) {
    char text[32];
    rn_json_key(json, key);
    snprintf(text, sizeof text, "%" PRIu64, value);
    put(json, text);
}

void rn_json_real(rn_json *json, const char *key, double value) {
    char text[64];
    rn_json_key(json, key);
    snprintf(text, sizeof text, "%.3f", value);
    put(json, text);
}

void rn_json_bool(rn_json *json, const char *key, bool value) {
    rn_json_key(json, key);
    put(json, value ? "true" : "false");
}

int rn_json_end(rn_json *json) {
    put(json, "}");
    return json->result;
}
