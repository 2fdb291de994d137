/* status: see status.h. */
#include "grpc/status.h"

#include "h3/session.h"

const char *rpcnet_grpc_code_name(int code) {
    static const char *const names[] = {"OK",
                                        "CANCELLED",
                                        "UNKNOWN",
                                        "INVALID_ARGUMENT",
                                        "DEADLINE_EXCEEDED",
                                        "NOT_FOUND",
                                        "ALREADY_EXISTS",
                                        "PERMISSION_DENIED",
                                        "RESOURCE_EXHAUSTED",
                                        "FAILED_PRECONDITION",
                                        "ABORTED",
                                        "OUT_OF_RANGE",
                                        "UNIMPLEMENTED",
                                        "INTERNAL",
                                        "UNAVAILABLE",
                                        "DATA_LOSS",
                                        "UNAUTHENTICATED"};
    bool known = code >= 0 && (size_t)code < sizeof names / sizeof names[0];
    return known ? names[code] : "UNKNOWN";
}

bool rn_status_parse_code(rn_bytes wire, enum rpcnet_grpc_code *out) {
    unsigned value = 0;
    for (size_t i = 0; i < wire.len; i++) {
        if (wire.data[i] < '0' || wire.data[i] > '9') {
            return false;
        }
        if (value <= RPCNET_GRPC_UNAUTHENTICATED) { /* larger stays larger */
            value = value * 10 + (unsigned)(wire.data[i] - '0');
        }
    }
    *out =
        value <= RPCNET_GRPC_UNAUTHENTICATED ? (enum rpcnet_grpc_code)value : RPCNET_GRPC_UNKNOWN;
    return wire.len > 0;
}

static bool is_continuation(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

/* RN_STATUS_MESSAGE_MAX bytes of a message, and the byte behind them. */
static size_t cut(const uint8_t *text, uint8_t next) {
    size_t len = RN_STATUS_MESSAGE_MAX;
    for (size_t back = 0; back < 3 && is_continuation(next); back++) {
        next = text[--len]; /* at most three continuation bytes: else it is no UTF-8 anyway */
    }
    return len;
}

size_t rn_status_cut(rn_bytes message) {
    return message.len > RN_STATUS_MESSAGE_MAX
               ? cut(message.data, message.data[RN_STATUS_MESSAGE_MAX])
               : message.len;
}

size_t rn_status_encode_message(char out[RN_STATUS_ENCODED_MAX], rn_bytes message) {
    static const char hex[] = "0123456789ABCDEF";
    size_t len = rn_status_cut(message);
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = message.data[i];
        /* Spaces at the ends would be trimmed by HTTP. */
        bool edge_space = c == ' ' && (i == 0 || i + 1 == len);
        if (c >= 0x20 && c <= 0x7e && c != '%' && !edge_space) {
            out[used++] = (char)c;
        } else {
            out[used++] = '%';
            out[used++] = hex[c >> 4];
            out[used++] = hex[c & 0xf];
        }
    }
    return used;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t rn_status_decode_message(char out[RN_STATUS_MESSAGE_MAX], rn_bytes wire) {
    size_t used = 0;
    for (size_t i = 0; i < wire.len; i++) {
        int high = wire.data[i] == '%' && wire.len - i > 2 ? hex_digit(wire.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(wire.data[i + 2]) : -1;
        uint8_t byte = wire.data[i];
        if (low >= 0) {
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (used == RN_STATUS_MESSAGE_MAX) {
            return cut((const uint8_t *)out, byte);
        }
        out[used++] = (char)byte;
    }
    return used;
}

enum rpcnet_grpc_code rn_status_of_http(unsigned http_status) {
    switch (http_status) {
    case 400:
        return RPCNET_GRPC_INTERNAL;
    case 401:
        return RPCNET_GRPC_UNAUTHENTICATED;
    case 403:
        return RPCNET_GRPC_PERMISSION_DENIED;
    case 404:
        return RPCNET_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return RPCNET_GRPC_UNAVAILABLE;
    default:
        return RPCNET_GRPC_UNKNOWN;
    }
}

enum rpcnet_grpc_code rn_status_of_h3(uint64_t code) {
    switch (code) {
    case RN_H3_REQUEST_REJECTED:
        return RPCNET_GRPC_UNAVAILABLE;
    case RN_H3_REQUEST_CANCELLED:
        return RPCNET_GRPC_CANCELLED;
    case RN_H3_EXCESSIVE_LOAD:
        return RPCNET_GRPC_RESOURCE_EXHAUSTED;
    default:
        return RPCNET_GRPC_INTERNAL;
    }
}
