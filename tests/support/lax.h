/* lax: where swap/frames.h says that it is stricter than protobuf-c, told by an independent walk
 * over protobuf-c's descriptors. */
#ifndef TESTS_SUPPORT_LAX_H
#define TESTS_SUPPORT_LAX_H

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

static inline bool lax_varint(const uint8_t **at, const uint8_t *end, size_t most,
                              uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < most && *at < end; i++) {
        uint8_t byte = *(*at)++;
        *value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

/* Does protobuf-c take something in these bytes that frames.h refuses, or read it otherwise? */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as worker.proto */
static inline bool lax_is_read_otherwise(const uint8_t *at, const uint8_t *end,
                                         const ProtobufCMessageDescriptor *type) {
    while (at < end) {
        uint64_t tag;
        uint64_t number;
        if (!lax_varint(&at, end, 5, &tag)) {
            return false;
        }
        if (tag >> 3 == 0) {
            return true;
        }
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        if (field != NULL && field->type == PROTOBUF_C_TYPE_BOOL && (tag & 7) != 0) {
            return true;
        }
        const uint8_t *start = at;
        switch (tag & 7) {
        case 0:
            if (!lax_varint(&at, end, 10, &number)) {
                return false;
            }
            if (field != NULL && field->type == PROTOBUF_C_TYPE_BOOL && number == 0 &&
                at - start == 10) {
                return true; /* only bits beyond 64 may be set */
            }
            break;
        case 1:
            at += end - at < 8 ? end - at : 8;
            break;
        case 5:
            at += end - at < 4 ? end - at : 4;
            break;
        case 2:
            if (!lax_varint(&at, end, 5, &number)) {
                return false;
            }
            if (number > (uint64_t)(end - at)) {
                return false;
            }
            if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE &&
                lax_is_read_otherwise(at, at + number, field->descriptor)) {
                return true;
            }
            at += number;
            break;
        default:
            return false;
        }
    }
    return false;
}

#endif
