/* books: see books.h. A small frame walker beside the HTTP/3 library's own; it keeps bytes only
 * when a chunk ends inside a frame, so a stream whose frames come whole costs no memory here. */
#include "h3/books.h"

#include "base/varint.h"
#include "rpcnet/error.h"

enum {
    STREAM_TYPE_CONTROL = 0,
    FRAME_PRIORITY_REQUEST = 0xf0700, /* PRIORITY_UPDATE (RFC 9218, section 7.2) */
    FRAME_PRIORITY_PUSH = 0xf0701
};

void rn_h3_book_init(rn_h3_book *book, bool unidirectional, rn_budget *budget) {
    memset(book, 0, sizeof *book);
    book->unidirectional = unidirectional;
    book->state = unidirectional ? RN_H3_BOOK_STREAM_TYPE : RN_H3_BOOK_HEADER;
    rn_buffer_init_counted(&book->payload, RN_H3_BOOK_FRAME_MAX, budget);
}

void rn_h3_book_fini(rn_h3_book *book) {
    rn_buffer_fini(&book->payload);
}

/* Frames that mean something only as a whole (RFC 9114, section 7.2; RFC 9218, section 7.2). */
static bool is_whole(uint64_t type) {
    switch (type) {
    case RN_H3_FRAME_HEADERS:
    case 0x03: /* CANCEL_PUSH */
    case 0x04: /* SETTINGS */
    case 0x05: /* PUSH_PROMISE */
    case 0x07: /* GOAWAY */
    case 0x0d: /* MAX_PUSH_ID */
    case FRAME_PRIORITY_REQUEST:
    case FRAME_PRIORITY_PUSH:
        return true;
    default:
        return false;
    }
}

static size_t varint_len_at(const uint8_t *first) {
    return (size_t)1 << (*first >> 6);
}

static uint64_t varint_at(const rn_h3_book *book, size_t position) {
    const uint8_t *cursor = book->header + position;
    uint64_t value = 0;
    int rv = rn_varint_read(&cursor, book->header + book->header_len, &value);
    return rv == RPCNET_OK ? value : 0;
}

static void read_stream_type(rn_h3_book *book, uint8_t byte) {
    book->header[book->header_len++] = byte;
    if (book->header_len < varint_len_at(book->header)) {
        return;
    }
    book->stream_type = varint_at(book, 0);
    book->header_len = 0;
    book->state =
        book->stream_type == STREAM_TYPE_CONTROL ? RN_H3_BOOK_HEADER : RN_H3_BOOK_UNFRAMED;
}

static int read_header(rn_h3_book *book, uint8_t byte) {
    book->header[book->header_len++] = byte;
    size_t type_len = varint_len_at(book->header);
    if (book->header_len <= type_len) {
        return RPCNET_OK;
    }
    if (book->header_len < type_len + varint_len_at(book->header + type_len)) {
        return RPCNET_OK;
    }
    book->frame_type = varint_at(book, 0);
    book->left = varint_at(book, type_len);
    if (book->left == 0) {
        book->header_len = 0;
        return RPCNET_OK;
    }
    if (is_whole(book->frame_type)) {
        book->state = RN_H3_BOOK_WHOLE;
        return book->left > RN_H3_BOOK_FRAME_MAX ? RPCNET_ERR_LIMIT : RPCNET_OK;
    }
    book->state = RN_H3_BOOK_SKIP;
    return RPCNET_OK;
}

/* Frames that hold one integer and nothing else (RFC 9114, sections 7.2.3, 7.2.6 and 7.2.7). The
 * HTTP/3 library would read more as the next frame. */
static bool is_one_integer(uint64_t type) {
    return type == 0x03 || type == 0x07 || type == 0x0d;
}

static int read_payload(rn_h3_book *book, const uint8_t *data, size_t len) {
    bool first = book->state == RN_H3_BOOK_WHOLE && book->payload.len == 0;
    if (first && book->unidirectional && is_one_integer(book->frame_type) &&
        book->left != varint_len_at(data)) {
        return RPCNET_ERR_PROTOCOL;
    }
    book->left -= len;
    if (book->left > 0) {
        return book->state == RN_H3_BOOK_WHOLE ? rn_buffer_append(&book->payload, data, len)
                                               : RPCNET_OK;
    }
    if (book->payload.len > 0) {
        rn_buffer_fini(&book->payload); /* its limit stays */
    }
    book->priorities += book->frame_type == FRAME_PRIORITY_REQUEST;
    book->state = RN_H3_BOOK_HEADER;
    book->header_len = 0;
    return RPCNET_OK;
}

int rn_h3_book_read(rn_h3_book *book, const uint8_t *data, size_t len) {
    int rv = RPCNET_OK;
    size_t at = 0;
    while (at < len && rv == RPCNET_OK) {
        size_t step = 1;
        switch (book->state) {
        case RN_H3_BOOK_STREAM_TYPE:
            read_stream_type(book, data[at]);
            break;
        case RN_H3_BOOK_HEADER:
            rv = read_header(book, data[at]);
            break;
        case RN_H3_BOOK_WHOLE:
        case RN_H3_BOOK_SKIP:
            step = book->left < len - at ? (size_t)book->left : len - at;
            rv = read_payload(book, data + at, step);
            break;
        case RN_H3_BOOK_UNFRAMED:
            step = len - at;
            break;
        }
        at += step;
    }
    return rv;
}

bool rn_h3_book_is_behind_priority_id(const rn_h3_book *book) {
    bool priority =
        book->frame_type == FRAME_PRIORITY_REQUEST || book->frame_type == FRAME_PRIORITY_PUSH;
    return book->state == RN_H3_BOOK_WHOLE && book->unidirectional && priority &&
           book->payload.len > 0 && book->payload.len == varint_len_at(book->payload.data);
}

static int append_varint(rn_buffer *out, uint64_t value) {
    uint8_t bytes[8];
    const uint8_t *end = rn_varint_write(bytes, value);
    return rn_buffer_append(out, bytes, (size_t)(end - bytes));
}

int rn_h3_book_resume(const rn_h3_book *book, rn_buffer *out) {
    int rv = RPCNET_OK;
    if (book->unidirectional && book->state != RN_H3_BOOK_STREAM_TYPE) {
        rv = append_varint(out, book->stream_type);
    }
    if (rv != RPCNET_OK) {
        return rv;
    }
    switch (book->state) {
    case RN_H3_BOOK_SKIP:
        rv = append_varint(out, book->frame_type);
        return rv != RPCNET_OK ? rv : append_varint(out, book->left);
    case RN_H3_BOOK_WHOLE:
        rv = rn_buffer_append(out, book->header, book->header_len);
        return rv != RPCNET_OK ? rv : rn_buffer_append(out, book->payload.data, book->payload.len);
    case RN_H3_BOOK_STREAM_TYPE:
    case RN_H3_BOOK_HEADER:
        return rn_buffer_append(out, book->header, book->header_len);
    case RN_H3_BOOK_UNFRAMED:
        break;
    }
    return RPCNET_OK;
}
