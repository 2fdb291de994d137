/* base64: see base64.h. */
#include "grpc/base64.h"

#include "rpcnet/error.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int rn_base64_encode(rn_buffer *out, rn_bytes bytes) {
    int rv = rn_buffer_reserve(out, rn_base64_encoded_len(bytes.len));
    for (size_t i = 0; i < bytes.len && rv == RPCNET_OK; i += 3) {
        size_t left = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        char text[4];
        for (unsigned j = 0; j < 4; j++) {
            text[j] = alphabet[group >> (18 - 6 * j) & 0x3f];
        }
        rv = rn_buffer_append(out, text, left + 1);
    }
    return rv;
}

static int digit(uint8_t character) {
    if (character >= 'A' && character <= 'Z') {
        return character - 'A';
    }
    if (character >= 'a' && character <= 'z') {
        return character - 'a' + 26;
    }
    if (character >= '0' && character <= '9') {
        return character - '0' + 52;
    }
    if (character == '+') {
        return 62;
    }
    return character == '/' ? 63 : -1;
}

/* One group of two to four digits. */
static int decode_group(rn_buffer *out, const uint8_t *text, size_t len) {
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < len ? digit(text[i]) : 0;
        if (value < 0) {
            return RPCNET_ERR_PARSE;
        }
        group = group << 6 | (uint32_t)value;
    }
    uint32_t unused = len == 2 ? 0xffff : len == 3 ? 0xff : 0;
    if ((group & unused) != 0) {
        return RPCNET_ERR_PARSE;
    }
    uint8_t bytes[3] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
    return rn_buffer_append(out, bytes, len - 1);
}

int rn_base64_decode(rn_buffer *out, rn_bytes text) {
    size_t before = out->len;
    size_t len = text.len;
    if (len > 0 && len % 4 == 0 && text.data[len - 1] == '=') {
        len -= text.data[len - 2] == '=' ? 2 : 1;
    }
    if (len % 4 == 1) {
        return RPCNET_ERR_PARSE;
    }
    int rv = RPCNET_OK;
    for (size_t i = 0; i < len && rv == RPCNET_OK; i += 4) {
        rv = decode_group(out, text.data + i, len - i < 4 ? len - i : 4);
    }
    if (rv != RPCNET_OK) {
        out->len = before;
    }
    return rv;
}
