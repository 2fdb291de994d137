/* h3_books: the book of an inbound HTTP/3 stream, fed in pieces of any size, against a reader that
 * begins at the first byte again after each piece; and a fresh book that is resumed.
 *
 *   byte 0: unidirectional (lowest bit), seed of the pieces' sizes (others) */
#include "h3/books.h"

#include "fuzz/fuzz.h"
#include "rpcnet/error.h"

enum { RESUMED_MAX = RN_H3_BOOK_FRAME_MAX + 64 };

/* Where the bytes end. */
typedef struct place {
    int result;
    enum rn_h3_book_state state;
    uint64_t stream_type;
    uint64_t frame_type;
    uint64_t left;
    rn_bytes open; /* of the header, or of the payload of a frame that must be whole */
} place;

/* Takes an integer off `rest`. False: it is not whole. */
static bool take_varint(rn_bytes *rest, uint64_t *value) {
    size_t len = rest->len > 0 ? (size_t)1 << (rest->data[0] >> 6) : 1;
    if (rest->len < len) {
        return false;
    }
    *value = rest->data[0] & 0x3f;
    for (size_t i = 1; i < len; i++) {
        *value = *value << 8 | rest->data[i];
    }
    *rest = rn_bytes_of(rest->data + len, rest->len - len);
    return true;
}

static bool is_whole(uint64_t type) {
    return type == 1 || (type >= 3 && type <= 5) || type == 7 || type == 0xd || type == 0xf0700 ||
           type == 0xf0701;
}

static place naive(rn_bytes rest, bool unidirectional) {
    place p = {.result = RPCNET_OK, .state = RN_H3_BOOK_STREAM_TYPE, .open = rest};
    if (unidirectional && !take_varint(&rest, &p.stream_type)) {
        return p;
    }
    if (unidirectional && p.stream_type != 0) {
        p.state = RN_H3_BOOK_UNFRAMED;
        return p;
    }
    for (;;) {
        p.state = RN_H3_BOOK_HEADER;
        p.open = rest;
        if (!take_varint(&rest, &p.frame_type) || !take_varint(&rest, &p.left)) {
            return p;
        }
        bool whole = is_whole(p.frame_type);
        bool integer = p.frame_type == 3 || p.frame_type == 7 || p.frame_type == 0xd;
        if (p.left > 0 && whole && p.left > RN_H3_BOOK_FRAME_MAX) {
            p.result = RPCNET_ERR_LIMIT;
            return p;
        }
        if (p.left > 0 && integer && unidirectional && rest.len > 0 &&
            p.left != (uint64_t)1 << (rest.data[0] >> 6)) {
            p.result = RPCNET_ERR_PROTOCOL;
            return p;
        }
        if (rest.len < p.left) {
            p.state = whole ? RN_H3_BOOK_WHOLE : RN_H3_BOOK_SKIP;
            p.left -= rest.len;
            p.open = rest;
            return p;
        }
        rest = rn_bytes_of(rest.data + p.left, rest.len - (size_t)p.left);
    }
}

static void check_place(const rn_h3_book *book, const place *p) {
    assert(book->state == p->state);
    assert(book->stream_type == p->stream_type);
    if (p->state == RN_H3_BOOK_WHOLE || p->state == RN_H3_BOOK_SKIP) {
        assert(book->frame_type == p->frame_type && book->left == p->left);
    }
    if (p->state == RN_H3_BOOK_WHOLE) {
        assert(rn_bytes_equal(rn_buffer_bytes(&book->payload), p->open));
    } else {
        assert(book->payload.len == 0);
    }
    if (p->state == RN_H3_BOOK_HEADER || p->state == RN_H3_BOOK_STREAM_TYPE) {
        assert(rn_bytes_equal(rn_bytes_of(book->header, book->header_len), p->open));
    }
}

static void check_resumed(const rn_h3_book *book, const place *p) {
    rn_buffer bytes;
    rn_h3_book fresh;
    rn_buffer_init(&bytes, RESUMED_MAX);
    rn_h3_book_init(&fresh, book->unidirectional, NULL);
    assert(rn_h3_book_resume(book, &bytes) == RPCNET_OK);
    assert(rn_h3_book_read(&fresh, bytes.data, bytes.len) == RPCNET_OK);
    check_place(&fresh, p);
    rn_h3_book_fini(&fresh);
    rn_buffer_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    uint32_t seed = fuzz_byte(&input);
    bool unidirectional = seed & 1;
    const uint8_t *start = input.data;
    rn_h3_book book;
    rn_h3_book_init(&book, unidirectional, NULL);
    int rv = RPCNET_OK;
    while (input.len > 0 && rv == RPCNET_OK) {
        seed = seed * 1103515245 + 12345;
        rn_bytes piece = fuzz_bytes(&input, 1 + (seed >> 16) % 150);
        rv = rn_h3_book_read(&book, piece.data, piece.len);
        place p = naive(rn_bytes_of(start, (size_t)(input.data - start)), unidirectional);
        assert(rv == p.result);
        if (rv == RPCNET_OK) {
            check_place(&book, &p);
            check_resumed(&book, &p);
        }
    }
    rn_h3_book_fini(&book);
    return 0;
}
