/* fuzz: what the targets share: their entry point, and a reader that turns an input's bytes into
 * choices.
 *
 * A target is one file, tests/fuzz/<target>.c. Built with the preset fuzz it is a program of
 * libFuzzer; in every other build it is linked with replay.c, which runs it on its corpus. An input
 * that breaks a promise of the headers fails an assert. Nothing may depend on anything but the
 * input. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/* Assertions are what a target is for. */
#undef NDEBUG

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that are not taken yet. At the end every number is 0 and every piece is empty. */
typedef struct fuzz_input {
    const uint8_t *data;
    size_t len;
} fuzz_input;

static inline fuzz_input fuzz_input_of(const uint8_t *data, size_t size) {
    return (fuzz_input){.data = data, .len = size};
}

static inline uint8_t fuzz_byte(fuzz_input *input) {
    if (input->len == 0) {
        return 0;
    }
    input->len--;
    return *input->data++;
}

static inline uint64_t fuzz_number(fuzz_input *input, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | fuzz_byte(input);
    }
    return value;
}

static inline rn_bytes fuzz_bytes(fuzz_input *input, size_t len) {
    rn_bytes piece = rn_bytes_of(input->data, len < input->len ? len : input->len);
    if (piece.len > 0) {
        input->data += piece.len;
        input->len -= piece.len;
    }
    return piece;
}

/* A byte of length in front; 255: two more follow. */
static inline rn_bytes fuzz_piece(fuzz_input *input) {
    size_t len = fuzz_byte(input);
    return fuzz_bytes(input, len == 255 ? (size_t)fuzz_number(input, 2) : len);
}

static inline rn_bytes fuzz_rest(fuzz_input *input) {
    return fuzz_bytes(input, input->len);
}

/* Up to the next newline, which is taken, too. */
static inline rn_bytes fuzz_line(fuzz_input *input) {
    const uint8_t *newline = input->len > 0 ? memchr(input->data, '\n', input->len) : NULL;
    size_t len = newline != NULL ? (size_t)(newline - input->data) : input->len;
    rn_bytes line = fuzz_bytes(input, len);
    (void)fuzz_byte(input);
    return line;
}

/* Tells contents apart. */
static inline uint32_t fuzz_sum(rn_bytes bytes) {
    uint32_t sum = 17 + (uint32_t)bytes.len;
    for (size_t i = 0; i < bytes.len; i++) {
        sum = sum * 31 + bytes.data[i];
    }
    return sum;
}

/* A copy on the heap of exactly that size, so that the address sanitizer sees a byte too far. */
static inline uint8_t *fuzz_copy(rn_bytes bytes) {
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    assert(copy != NULL);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return copy;
}

/* The same with a NUL behind it. */
static inline char *fuzz_text(rn_bytes bytes) {
    char *copy = malloc(bytes.len + 1);
    assert(copy != NULL);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    copy[bytes.len] = '\0';
    return copy;
}

#endif
