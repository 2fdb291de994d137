/* books: where an inbound HTTP/3 stream stands, written down while its bytes pass by.
 *
 * A book follows the frames (RFC 9114, section 7) beside the HTTP/3 library, which does not tell
 * its position. It holds the bytes since the last frame boundary for frames that must be read as a
 * whole (HEADERS, SETTINGS, ...), and just the remaining length inside frames whose bytes are
 * passed on or skipped (DATA, unknown types). Fed to a fresh reader, rn_h3_book_resume makes it
 * continue exactly here.
 *
 * A book also bounds what the library may be made to hold: a frame that must be read as a whole is
 * refused above RN_H3_BOOK_FRAME_MAX. */
#ifndef RN_H3_BOOKS_H
#define RN_H3_BOOKS_H

#include "base/buffer.h"

enum {
    RN_H3_BOOK_FRAME_MAX = 16384, /* payload of a frame that must be read as a whole */
    RN_H3_BOOK_HEADER_MAX = 16,   /* type and length of a frame */
    RN_H3_FRAME_HEADERS = 0x01    /* rn_h3_book.frame_type */
};

enum rn_h3_book_state {
    RN_H3_BOOK_STREAM_TYPE, /* unidirectional stream: its type is not complete */
    RN_H3_BOOK_HEADER,      /* at a frame boundary, or inside a frame's type and length */
    RN_H3_BOOK_WHOLE,       /* inside a frame that must be read as a whole */
    RN_H3_BOOK_SKIP,        /* inside DATA or a frame of unknown type */
    RN_H3_BOOK_UNFRAMED     /* a unidirectional stream without frames (QPACK, unknown) */
};

typedef struct rn_h3_book {
    enum rn_h3_book_state state;
    bool unidirectional;
    uint64_t stream_type;                  /* of a unidirectional stream whose type is known */
    uint64_t frame_type;                   /* in WHOLE and SKIP */
    uint64_t left;                         /* payload bytes to come, in WHOLE and SKIP */
    uint8_t header[RN_H3_BOOK_HEADER_MAX]; /* bytes of the type, or the present frame's header */
    size_t header_len;
    rn_buffer payload;   /* bytes of the present WHOLE frame that came so far */
    uint64_t priorities; /* PRIORITY_UPDATE frames of requests that have come whole */
} rn_h3_book;

/* `budget`: where the bytes that it keeps are counted; may be NULL. */
void rn_h3_book_init(rn_h3_book *book, bool unidirectional, rn_budget *budget);
void rn_h3_book_fini(rn_h3_book *book);

/* The next bytes of the stream. RPCNET_ERR_LIMIT: a frame over RN_H3_BOOK_FRAME_MAX,
 * RPCNET_ERR_PROTOCOL: a frame of the control stream that holds one integer is longer or shorter
 * than it (the book must not be used further in both cases); RPCNET_ERR_MEMORY. */
int rn_h3_book_read(rn_h3_book *book, const uint8_t *data, size_t len);

/* On the control stream, inside a PRIORITY_UPDATE: its id has come and its value begins with the
 * next byte (RFC 9218, section 7.2). */
bool rn_h3_book_is_behind_priority_id(const rn_h3_book *book);

/* Appends the bytes that bring a fresh reader, standing at a frame boundary, to this position (for
 * a unidirectional stream: at its beginning). RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY by `out`. */
int rn_h3_book_resume(const rn_h3_book *book, rn_buffer *out);

#endif
