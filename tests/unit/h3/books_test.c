/* Books: the position in an inbound stream, written down at every byte and resumed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/varint.h"
#include "h3/books.h"
#include "rpcnet/error.h"

enum { FRAMES_MAX = 64, STREAM_MAX = 256 * 1024 };

static void put_varint(rn_buffer *out, uint64_t value) {
    uint8_t bytes[8];
    const uint8_t *end = rn_varint_write(bytes, value);
    assert_int_equal(rn_buffer_append(out, bytes, (size_t)(end - bytes)), RPCNET_OK);
}

static void put_frame(rn_buffer *out, uint64_t type, size_t len) {
    uint8_t payload[RN_H3_BOOK_FRAME_MAX + 1];
    put_varint(out, type);
    put_varint(out, len);
    memset(payload, 0xa5, len);
    assert_int_equal(rn_buffer_append(out, payload, len), RPCNET_OK);
}

/* A second, slow reader: the kinds and payload bytes of the frames that a stream of bytes holds. */
typedef struct frames {
    uint64_t type[FRAMES_MAX];
    uint64_t payload[FRAMES_MAX]; /* bytes that came */
    uint64_t length[FRAMES_MAX];
    size_t count;
} frames;

static frames list_frames(const uint8_t *data, size_t len) {
    frames out = {.count = 0};
    const uint8_t *cursor = data;
    const uint8_t *end = len > 0 ? data + len : data;
    while (cursor < end) {
        uint64_t type = 0;
        uint64_t length = 0;
        if (rn_varint_read(&cursor, end, &type) != RPCNET_OK ||
            rn_varint_read(&cursor, end, &length) != RPCNET_OK) {
            break;
        }
        uint64_t here = length < (uint64_t)(end - cursor) ? length : (uint64_t)(end - cursor);
        out.type[out.count] = type;
        out.length[out.count] = length;
        out.payload[out.count++] = here;
        cursor += here;
    }
    return out;
}

static bool is_passed_on(uint64_t type) {
    return type == 0x0 || type == 0x21 || type == 0x4040;
}

/* Cut at every byte: book of the front part, then resumed bytes + the rest must mean the same
 * frames as the rest of the whole stream. */
static void resumes_at_every_byte(void **state) {
    static const uint64_t types[] = {0x1, 0x0, 0x0, 0x21, 0x0, 0x4040, 0x1};
    static const size_t lengths[] = {70, 0, 300, 5, 63, 64, 20};
    rn_buffer stream;
    (void)state;
    rn_buffer_init(&stream, STREAM_MAX);
    for (size_t i = 0; i < 7; i++) {
        put_frame(&stream, types[i], lengths[i]);
    }
    frames whole = list_frames(stream.data, stream.len);
    assert_int_equal(whole.count, 7);
    for (size_t at = 0; at <= stream.len; at++) {
        rn_h3_book book;
        rn_buffer resumed;
        rn_buffer_init(&resumed, STREAM_MAX);
        rn_h3_book_init(&book, false, NULL);
        assert_int_equal(rn_h3_book_read(&book, stream.data, at), RPCNET_OK);
        assert_int_equal(rn_h3_book_resume(&book, &resumed), RPCNET_OK);
        if (stream.len > at) {
            assert_int_equal(rn_buffer_append(&resumed, stream.data + at, stream.len - at), 0);
        }
        frames rest = list_frames(resumed.data, resumed.len);
        size_t skipped = whole.count - rest.count;
        for (size_t i = 0; i < rest.count; i++) {
            assert_int_equal(rest.type[i], whole.type[skipped + i]);
            assert_int_equal(rest.payload[i], rest.length[i]);
            if (i > 0 || !is_passed_on(rest.type[0])) {
                assert_int_equal(rest.length[i], whole.length[skipped + i]);
            }
        }
        rn_h3_book_fini(&book);
        rn_buffer_fini(&resumed);
    }
    rn_buffer_fini(&stream);
}

static void remembers_the_rest_of_data(void **state) {
    rn_h3_book book;
    static const uint8_t front[] = {0x00, 0x44, 0x00, 'a', 'b', 'c'}; /* DATA of 1024 */
    (void)state;
    rn_h3_book_init(&book, false, NULL);
    assert_int_equal(rn_h3_book_read(&book, front, sizeof front), RPCNET_OK);
    assert_int_equal(book.state, RN_H3_BOOK_SKIP);
    assert_int_equal(book.left, 1021);
    assert_int_equal(book.payload.len, 0);
    rn_h3_book_fini(&book);
}

/* Pieces of random sizes say the same as one piece. */
static void chunks_do_not_matter(void **state) {
    (void)state;
    srand(7);
    for (int round = 0; round < 200; round++) {
        rn_buffer stream;
        rn_h3_book one;
        rn_h3_book many;
        rn_buffer_init(&stream, STREAM_MAX);
        for (int i = 0; i < 12; i++) {
            static const uint64_t types[] = {0x0, 0x1, 0x21, 0x4040};
            put_frame(&stream, types[rand() % 4], (size_t)(rand() % 200));
        }
        size_t len = stream.len - (size_t)(rand() % 50);
        rn_h3_book_init(&one, false, NULL);
        rn_h3_book_init(&many, false, NULL);
        assert_int_equal(rn_h3_book_read(&one, stream.data, len), RPCNET_OK);
        for (size_t at = 0; at < len;) {
            size_t step = 1 + (size_t)(rand() % 30);
            step = step < len - at ? step : len - at;
            assert_int_equal(rn_h3_book_read(&many, stream.data + at, step), RPCNET_OK);
            at += step;
        }
        assert_int_equal(one.state, many.state);
        assert_int_equal(one.left, many.left);
        assert_int_equal(one.header_len, many.header_len);
        assert_int_equal(one.payload.len, many.payload.len);
        if (one.payload.len > 0) {
            assert_memory_equal(one.payload.data, many.payload.data, one.payload.len);
        }
        rn_h3_book_fini(&one);
        rn_h3_book_fini(&many);
        rn_buffer_fini(&stream);
    }
}

static int read_frame(uint64_t type, size_t len) {
    rn_h3_book book;
    rn_buffer stream;
    rn_buffer_init(&stream, STREAM_MAX);
    rn_h3_book_init(&book, false, NULL);
    put_frame(&stream, type, len);
    int rv = RPCNET_OK;
    for (size_t at = 0; at < stream.len && rv == RPCNET_OK; at++) {
        rv = rn_h3_book_read(&book, stream.data + at, 1);
    }
    rn_h3_book_fini(&book);
    rn_buffer_fini(&stream);
    return rv;
}

static void whole_frames_are_limited(void **state) {
    static const uint64_t whole[] = {0x1, 0x3, 0x4, 0x5, 0x7, 0xd, 0xf0700, 0xf0701};
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        assert_int_equal(read_frame(whole[i], RN_H3_BOOK_FRAME_MAX - 1), RPCNET_OK);
        assert_int_equal(read_frame(whole[i], RN_H3_BOOK_FRAME_MAX), RPCNET_OK);
        assert_int_equal(read_frame(whole[i], RN_H3_BOOK_FRAME_MAX + 1), RPCNET_ERR_LIMIT);
    }
    assert_int_equal(read_frame(0x0, RN_H3_BOOK_FRAME_MAX + 1), RPCNET_OK);
    assert_int_equal(read_frame(0x21, RN_H3_BOOK_FRAME_MAX + 1), RPCNET_OK);
}

static void unidirectional_streams(void **state) {
    static const uint8_t control[] = {0x00, 0x04, 0x02, 0x06, 0x10, 0x07, 0x02, 0x40};
    static const uint8_t encoder[] = {0x02, 0x20};
    static const uint8_t unknown_part[] = {0x40};
    rn_h3_book book;
    rn_buffer resumed;
    (void)state;
    rn_buffer_init(&resumed, 64);

    rn_h3_book_init(&book, true, NULL);
    assert_int_equal(rn_h3_book_read(&book, control, sizeof control), RPCNET_OK);
    assert_int_equal(book.state, RN_H3_BOOK_WHOLE);
    assert_int_equal(rn_h3_book_resume(&book, &resumed), RPCNET_OK);
    static const uint8_t expected[] = {0x00, 0x07, 0x02, 0x40};
    assert_int_equal(resumed.len, sizeof expected);
    assert_memory_equal(resumed.data, expected, sizeof expected);
    rn_h3_book_fini(&book);

    rn_buffer_clear(&resumed);
    rn_h3_book_init(&book, true, NULL);
    assert_int_equal(rn_h3_book_read(&book, encoder, sizeof encoder), RPCNET_OK);
    assert_int_equal(book.state, RN_H3_BOOK_UNFRAMED);
    assert_int_equal(book.stream_type, 2);
    assert_int_equal(rn_h3_book_resume(&book, &resumed), RPCNET_OK);
    assert_int_equal(resumed.len, 1);
    rn_h3_book_fini(&book);

    rn_buffer_clear(&resumed);
    rn_h3_book_init(&book, true, NULL);
    assert_int_equal(rn_h3_book_read(&book, unknown_part, 1), RPCNET_OK);
    assert_int_equal(book.state, RN_H3_BOOK_STREAM_TYPE);
    assert_int_equal(rn_h3_book_resume(&book, &resumed), RPCNET_OK);
    assert_int_equal(resumed.len, 1);
    assert_int_equal(resumed.data[0], 0x40);
    rn_h3_book_fini(&book);
    rn_buffer_fini(&resumed);
}

/* GOAWAY, MAX_PUSH_ID and CANCEL_PUSH hold one integer and nothing else. */
static void frames_of_one_integer(void **state) {
    static const struct {
        uint8_t bytes[12];
        size_t len;
        int result;
    } cases[] = {
        {{0x00, 0x07, 0x01, 0x04}, 4, RPCNET_OK},
        {{0x00, 0x0d, 0x02, 0x40, 0x04}, 5, RPCNET_OK},
        {{0x00, 0x03, 0x08, 0xc0, 0, 0, 0, 0, 0, 0, 1}, 11, RPCNET_OK},
        {{0x00, 0x07, 0x02, 0x04, 0x04}, 5, RPCNET_ERR_PROTOCOL},
        {{0x00, 0x0d, 0x01, 0x40}, 4, RPCNET_ERR_PROTOCOL},
        {{0x00, 0x03, 0x09, 0xc0, 0, 0, 0, 0, 0, 0, 1}, 11, RPCNET_ERR_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t step = 1; step <= cases[i].len; step++) {
            rn_h3_book book;
            int rv = RPCNET_OK;
            rn_h3_book_init(&book, true, NULL);
            for (size_t at = 0; at < cases[i].len && rv == RPCNET_OK; at += step) {
                size_t left = cases[i].len - at;
                rv = rn_h3_book_read(&book, cases[i].bytes + at, left < step ? left : step);
            }
            assert_int_equal(rv, cases[i].result);
            rn_h3_book_fini(&book);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumes_at_every_byte),  cmocka_unit_test(remembers_the_rest_of_data),
        cmocka_unit_test(chunks_do_not_matter),   cmocka_unit_test(whole_frames_are_limited),
        cmocka_unit_test(unidirectional_streams), cmocka_unit_test(frames_of_one_integer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
