/* wire: the lowest step of src/swap/frames. Everything here sees the peer's bytes first, so each
 * read checks what is left; there is no recursion. */
#include "swap/wire.h"

#include <assert.h>

#include "rpcnet/error.h"

enum { SHORT_VARINT_MAX = 5 }; /* tags and lengths */

static int take_varint(rn_bytes *rest, size_t size_max, uint64_t *out) {
    uint64_t value = 0;
    size_t most = rest->len < size_max ? rest->len : size_max;
    for (size_t i = 0; i < most; i++) {
        uint8_t byte = rest->data[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *out = value;
            rest->data += i + 1;
            rest->len -= i + 1;
            return RPCNET_OK;
        }
    }
    return RPCNET_ERR_PARSE;
}

static int take_run(rn_bytes *rest, uint64_t len, rn_bytes *out) {
    if (len > rest->len || len > RN_WIRE_LENGTH_MAX) {
        return RPCNET_ERR_PARSE;
    }
    *out = rn_bytes_of(rest->data, (size_t)len);
    rest->data += len;
    rest->len -= (size_t)len;
    return RPCNET_OK;
}

int rn_wire_next(rn_bytes *rest, rn_wire_field *out) {
    uint64_t tag;
    uint64_t len;
    rn_bytes skipped;
    int rv = take_varint(rest, SHORT_VARINT_MAX, &tag);
    if (rv != RPCNET_OK || tag >> 3 == 0) {
        return RPCNET_ERR_PARSE;
    }
    *out = (rn_wire_field){.number = (uint32_t)(tag >> 3)};
    switch (tag & 7) {
    case RN_WIRE_VARINT:
        out->type = RN_WIRE_VARINT;
        return take_varint(rest, RN_WIRE_VARINT_MAX, &out->value);
    case RN_WIRE_FIXED64:
        out->type = RN_WIRE_FIXED64;
        return take_run(rest, 8, &skipped);
    case RN_WIRE_BYTES:
        out->type = RN_WIRE_BYTES;
        rv = take_varint(rest, SHORT_VARINT_MAX, &len);
        return rv == RPCNET_OK ? take_run(rest, len, &out->bytes) : rv;
    case RN_WIRE_FIXED32:
        out->type = RN_WIRE_FIXED32;
        return take_run(rest, 4, &skipped);
    default:
        return RPCNET_ERR_PARSE;
    }
}

bool rn_repeated_next(rn_repeated *walk, rn_bytes *value) {
    rn_wire_field field;
    if (walk->count == 0) {
        return false;
    }
    do {
        /* The run was checked when it was made: it holds `count` occurrences. */
        int rv = rn_wire_next(&walk->run, &field);
        assert(rv == RPCNET_OK);
        (void)rv;
    } while (field.number != walk->number);
    walk->count--;
    *value = field.bytes;
    return true;
}

size_t rn_wire_varint_size(uint64_t value) {
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

uint8_t *rn_wire_put_varint(uint8_t *out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

static uint64_t tag_of(uint32_t number, enum rn_wire_type type) {
    return (uint64_t)number << 3 | (uint64_t)type;
}

size_t rn_wire_number_size(uint32_t number, uint64_t value) {
    if (value == 0) {
        return 0;
    }
    return rn_wire_varint_size(tag_of(number, RN_WIRE_VARINT)) + rn_wire_varint_size(value);
}

uint8_t *rn_wire_put_number(uint8_t *out, uint32_t number, uint64_t value) {
    if (value == 0) {
        return out;
    }
    out = rn_wire_put_varint(out, tag_of(number, RN_WIRE_VARINT));
    return rn_wire_put_varint(out, value);
}

size_t rn_wire_head_size(uint32_t number, size_t len) {
    return rn_wire_varint_size(tag_of(number, RN_WIRE_BYTES)) + rn_wire_varint_size(len);
}

uint8_t *rn_wire_put_head(uint8_t *out, uint32_t number, size_t len) {
    assert(len <= RN_WIRE_LENGTH_MAX);
    out = rn_wire_put_varint(out, tag_of(number, RN_WIRE_BYTES));
    return rn_wire_put_varint(out, len);
}

size_t rn_wire_bytes_size(uint32_t number, size_t len) {
    return len == 0 ? 0 : rn_wire_head_size(number, len) + len;
}

static uint8_t *put_record(uint8_t *out, uint32_t number, rn_bytes value) {
    out = rn_wire_put_head(out, number, value.len);
    if (value.len > 0) {
        memcpy(out, value.data, value.len);
    }
    return out + value.len;
}

uint8_t *rn_wire_put_bytes(uint8_t *out, uint32_t number, rn_bytes value) {
    return value.len == 0 ? out : put_record(out, number, value);
}

static bool copies_whole(uint32_t number, const rn_repeated *values) {
    return values->dense && values->number == number;
}

size_t rn_wire_repeated_size(uint32_t number, const rn_repeated *values) {
    if (copies_whole(number, values)) {
        return values->run.len;
    }
    rn_repeated walk = *values;
    rn_bytes value;
    size_t size = 0;
    while (rn_repeated_next(&walk, &value)) {
        size += rn_wire_head_size(number, value.len) + value.len;
    }
    return size;
}

uint8_t *rn_wire_put_repeated(uint8_t *out, uint32_t number, const rn_repeated *values) {
    if (copies_whole(number, values)) {
        if (values->run.len > 0) {
            memcpy(out, values->run.data, values->run.len);
        }
        return out + values->run.len;
    }
    rn_repeated walk = *values;
    rn_bytes value;
    while (rn_repeated_next(&walk, &value)) {
        out = put_record(out, number, value);
    }
    return out;
}
