/* protobuf: are two messages of protobuf-c the same, but for fields that it does not know? */
#ifndef TESTS_FUZZ_PROTOBUF_H
#define TESTS_FUZZ_PROTOBUF_H

#include <protobuf-c/protobuf-c.h>

#include "fuzz/fuzz.h"

static inline void fuzz_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b);

static inline void fuzz_same_bytes(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b) {
    assert(rn_bytes_equal(rn_bytes_of(a->data, a->len), rn_bytes_of(b->data, b->len)));
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as worker.proto */
static inline void fuzz_same_value(const ProtobufCFieldDescriptor *field, const void *a,
                                   const void *b) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT64:
        assert(*(const uint64_t *)a == *(const uint64_t *)b);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_BOOL:
        assert(*(const uint32_t *)a == *(const uint32_t *)b);
        break;
    case PROTOBUF_C_TYPE_STRING:
        assert(strcmp(*(char *const *)a, *(char *const *)b) == 0);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        fuzz_same_bytes(a, b);
        break;
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *left = *(ProtobufCMessage *const *)a;
        const ProtobufCMessage *right = *(ProtobufCMessage *const *)b;
        assert((left == NULL) == (right == NULL));
        if (left != NULL) {
            fuzz_same_message(left, right);
        }
        break;
    }
    default:
        abort(); /* a type that worker.proto does not use */
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as worker.proto */
static inline void fuzz_same_field(const ProtobufCFieldDescriptor *field, const char *a,
                                   const char *b) {
    size_t size =
        field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        bool in_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
        uint32_t is = in_oneof ? *(const uint32_t *)(a + field->quantifier_offset) : field->id;
        assert(!in_oneof || *(const uint32_t *)(b + field->quantifier_offset) == is);
        if (is == field->id) {
            fuzz_same_value(field, a + field->offset, b + field->offset);
        }
        return;
    }
    size_t count = *(const size_t *)(a + field->quantifier_offset);
    assert(*(const size_t *)(b + field->quantifier_offset) == count);
    for (size_t i = 0; i < count; i++) {
        fuzz_same_value(field, *(char *const *)(a + field->offset) + i * size,
                        *(char *const *)(b + field->offset) + i * size);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as worker.proto */
static inline void fuzz_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b) {
    assert(a->descriptor == b->descriptor);
    for (unsigned i = 0; i < a->descriptor->n_fields; i++) {
        fuzz_same_field(&a->descriptor->fields[i], (const char *)a, (const char *)b);
    }
}

/* `ours`: `bytes` read and written by swap/frames.h, or empty with `refused`. */
static inline void fuzz_same_reading(const ProtobufCMessageDescriptor *type, rn_bytes bytes,
                                     rn_bytes ours, bool refused) {
    ProtobufCMessage *theirs = protobuf_c_message_unpack(type, NULL, bytes.len, bytes.data);
    assert(refused == (theirs == NULL));
    if (theirs != NULL) {
        ProtobufCMessage *again = protobuf_c_message_unpack(type, NULL, ours.len, ours.data);
        assert(again != NULL);
        fuzz_same_message(theirs, again);
        protobuf_c_message_free_unpacked(again, NULL);
        protobuf_c_message_free_unpacked(theirs, NULL);
    }
}

#endif
