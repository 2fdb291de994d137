/* wire: the protobuf encoding, read in place and written to memory.
 *
 * Fields are views into the bytes that were given; nothing is copied or allocated. Stricter than
 * most decoders where no encoder in use would differ: field number 0, groups (wire types 3 and 4)
 * and lengths beyond 2^31 - 1 are errors, tags and lengths take at most 5 bytes, varints at
 * most 10. Bits of a varint beyond 64 are dropped. */
#ifndef RN_SWAP_WIRE_H
#define RN_SWAP_WIRE_H

#include "base/bytes.h"

enum rn_wire_type {
    RN_WIRE_VARINT = 0,
    RN_WIRE_FIXED64 = 1,
    RN_WIRE_BYTES = 2,
    RN_WIRE_FIXED32 = 5
};

#define RN_WIRE_LENGTH_MAX ((size_t)INT32_MAX)

typedef struct rn_wire_field {
    uint32_t number;
    enum rn_wire_type type;
    uint64_t value; /* of a varint; 0 for other types */
    rn_bytes bytes; /* of a length-delimited field; empty for other types */
} rn_wire_field;

/* Takes the first field off `rest`, which must not be empty. RPCNET_ERR_PARSE. */
int rn_wire_next(rn_bytes *rest, rn_wire_field *out);

/* The occurrences of one length-delimited field, in order. Read it with rn_repeated_next on a copy:
 *
 *     rn_repeated walk = assignment.delivered;
 *     while (rn_repeated_next(&walk, &message)) { ... }
 */
typedef struct rn_repeated {
    rn_bytes run;    /* from the first occurrence to the end of the last; checked already */
    uint32_t number; /* of the field */
    size_t count;
    bool dense; /* nothing else lies in the run */
} rn_repeated;

/* Moves `walk` on by one occurrence; false: no more. */
bool rn_repeated_next(rn_repeated *walk, rn_bytes *value);

/* Sizes and writers; the writers return behind the last byte written, the room is the caller's
 * matter. The `number` and `bytes` writers leave out a field with its default value, as proto3
 * does; `head` (a tag and a length) never does. Lengths: at most RN_WIRE_LENGTH_MAX. */
enum { RN_WIRE_VARINT_MAX = 10 };

size_t rn_wire_varint_size(uint64_t value);
uint8_t *rn_wire_put_varint(uint8_t *out, uint64_t value);
size_t rn_wire_number_size(uint32_t number, uint64_t value);
uint8_t *rn_wire_put_number(uint8_t *out, uint32_t number, uint64_t value);
size_t rn_wire_head_size(uint32_t number, size_t len);
uint8_t *rn_wire_put_head(uint8_t *out, uint32_t number, size_t len);
size_t rn_wire_bytes_size(uint32_t number, size_t len);
uint8_t *rn_wire_put_bytes(uint8_t *out, uint32_t number, rn_bytes value);
/* Every occurrence under `number`, whatever number they were read under. */
size_t rn_wire_repeated_size(uint32_t number, const rn_repeated *values);
uint8_t *rn_wire_put_repeated(uint8_t *out, uint32_t number, const rn_repeated *values);

#endif
