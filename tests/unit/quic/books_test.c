/* books and frame_walk: what is learnt from packets, and what bad packets cannot do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/varint.h"
#include "quic/books.h"

typedef struct payload {
    uint8_t bytes[2048];
    uint8_t *end;
} payload;

static rn_blocks uncounted; /* without an account */

static void begin(payload *p) {
    p->end = p->bytes;
}
static void put(payload *p, uint64_t value) {
    p->end = rn_varint_write(p->end, value);
}
static void put_bytes(payload *p, const void *data, size_t len) {
    memcpy(p->end, data, len);
    p->end += len;
}
static size_t len_of(const payload *p) {
    return (size_t)(p->end - p->bytes);
}

/* Streams 0 and 4 exist and have been delivered up to these offsets. */
static bool delivered(void *user, int64_t stream_id, uint64_t *offset) {
    const uint64_t *offsets = user;
    if (stream_id != 0 && stream_id != 4) {
        return false;
    }
    *offset = offsets[stream_id / 4];
    return true;
}

static void receive(rn_books *books, uint64_t number, const payload *p, uint64_t *offsets) {
    rn_books_received(books, number, p->bytes, len_of(p), delivered, offsets);
}

static void received_numbers_become_ranges(void **state) {
    (void)state;
    rn_books books;
    payload p;
    uint64_t offsets[2] = {0};
    rn_books_init(&books, &uncounted);
    begin(&p);
    put(&p, RN_FRAME_PING);
    const uint64_t order[] = {5, 7, 6, 1, 2, 2, 9, 8, 3, 4};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        receive(&books, order[i], &p, offsets);
    }
    assert_int_equal(books.received_count, 1);
    assert_int_equal(books.received[0].low, 1);
    assert_int_equal(books.received[0].high, 9);
    assert_true(books.unacknowledged_input);
    rn_books_fini(&books);
}

static void old_ranges_give_way_at_the_limit(void **state) {
    (void)state;
    rn_books books;
    payload p;
    uint64_t offsets[2] = {0};
    rn_books_init(&books, &uncounted);
    begin(&p);
    put(&p, RN_FRAME_PING);
    for (uint64_t i = 0; i < RN_BOOKS_RANGES_MAX - 1; i++) {
        receive(&books, 10 + 2 * i, &p, offsets);
    }
    assert_int_equal(books.received_count, RN_BOOKS_RANGES_MAX - 1);
    receive(&books, 10 + 2 * (RN_BOOKS_RANGES_MAX - 1), &p, offsets);
    assert_int_equal(books.received_count, RN_BOOKS_RANGES_MAX);
    receive(&books, 10 + 2 * RN_BOOKS_RANGES_MAX, &p, offsets);
    assert_int_equal(books.received_count, RN_BOOKS_RANGES_MAX);
    assert_int_equal(books.received[0].low, 12);
    receive(&books, 1, &p, offsets); /* older than all: not kept */
    assert_int_equal(books.received[0].low, 12);
    assert_int_equal(books.received[RN_BOOKS_RANGES_MAX - 1].high, 10 + 2 * RN_BOOKS_RANGES_MAX);
    rn_books_fini(&books);
}

static void put_stream(payload *p, uint64_t id, uint64_t offset, const char *text) {
    put(p, RN_FRAME_STREAM | 0x04 | 0x02);
    put(p, id);
    put(p, offset);
    put(p, strlen(text));
    put_bytes(p, text, strlen(text));
}

static void bytes_beyond_a_gap_are_kept_until_delivered(void **state) {
    (void)state;
    rn_books books;
    payload p;
    uint64_t offsets[2] = {10, 0};
    rn_books_init(&books, &uncounted);
    begin(&p);
    put_stream(&p, 0, 10, "in order");
    put_stream(&p, 0, 5, "old old o");
    put_stream(&p, 0, 30, "beyond");
    put_stream(&p, 4, 1, "beyond, too");
    put_stream(&p, 8, 0, "a new stream's beginning");
    put_stream(&p, 12, 7, "a new stream's middle");
    receive(&books, 1, &p, offsets);
    receive(&books, 1, &p, offsets); /* the same packet again */
    assert_int_equal(books.pieces_count, 3);
    assert_true(books.pieces_complete);
    rn_books_stream_delivered(&books, 0, 35);
    assert_int_equal(books.pieces_count, 3);
    rn_books_stream_delivered(&books, 0, 36);
    assert_int_equal(books.pieces_count, 2);
    rn_books_stream_delivered(&books, 4, UINT64_MAX);
    rn_books_stream_delivered(&books, 12, UINT64_MAX);
    assert_int_equal(books.pieces_count, 0);
    rn_books_fini(&books);
}

static void pieces_are_bounded(void **state) {
    (void)state;
    rn_books books;
    uint64_t offsets[2] = {0};
    rn_books_init(&books, &uncounted);
    for (uint64_t i = 0; i < RN_BOOKS_PIECES_MAX + 1; i++) {
        payload p;
        begin(&p);
        put_stream(&p, 0, 10 + 10 * i, "x");
        receive(&books, i, &p, offsets);
        assert_int_equal(books.pieces_complete, i < RN_BOOKS_PIECES_MAX);
    }
    assert_int_equal(books.pieces_count, RN_BOOKS_PIECES_MAX);
    rn_books_fini(&books);
}

/* A stream that is over is not there again: nobody would ask for what is kept of it. One that has
 * only begun is, once the packet was judged. */
static void nothing_is_kept_of_streams_that_are_over(void **state) {
    (void)state;
    rn_books books;
    rn_budget budget = {.limit = SIZE_MAX};
    rn_blocks blocks;
    payload p;
    uint64_t offsets[2] = {0};
    rn_blocks_init(&blocks, &budget);
    rn_books_init(&books, &blocks);
    begin(&p);
    put_stream(&p, 8, 7, "of one that is over");
    put_stream(&p, 4, 7, "of one that goes on");
    put_stream(&p, 8, 70, "of the same once more");
    receive(&books, 1, &p, offsets);
    size_t all = budget.used;
    assert_int_equal(books.pieces_count, 3);
    rn_books_settle(&books, delivered, offsets);
    assert_int_equal(books.pieces_count, 1);
    assert_true(rn_books_hold(&books, 4));
    assert_in_range(budget.used, sizeof(rn_stream_piece) + 19, all / 2);
    assert_int_equal(budget.used, rn_blocks_counted(&blocks));
    rn_books_fini(&books);
    assert_int_equal(budget.used, 0);
}

static void peer_ids_come_and_go(void **state) {
    (void)state;
    rn_books books;
    payload p;
    uint64_t offsets[2] = {0};
    uint8_t token[16] = {1, 2, 3};
    rn_books_init(&books, &uncounted);
    for (uint64_t i = 1; i <= RN_BOOKS_PEER_IDS_MAX + 1; i++) {
        uint8_t id[8] = {(uint8_t)i};
        begin(&p);
        put(&p, RN_FRAME_NEW_CONNECTION_ID);
        put(&p, i);
        put(&p, 0);
        uint8_t len = sizeof id;
        put_bytes(&p, &len, 1);
        put_bytes(&p, id, sizeof id);
        put_bytes(&p, token, sizeof token);
        receive(&books, i, &p, offsets);
        receive(&books, i, &p, offsets);
        assert_int_equal(books.peer_ids_count,
                         i <= RN_BOOKS_PEER_IDS_MAX ? i : RN_BOOKS_PEER_IDS_MAX);
    }
    assert_int_equal(books.peer_ids[2].sequence, 3);
    assert_int_equal(books.peer_ids[2].id.data[0], 3);
    begin(&p);
    put(&p, RN_FRAME_RETIRE_CONNECTION_ID);
    put(&p, 3);
    rn_books_sent(&books, 1, p.bytes, len_of(&p));
    assert_int_equal(books.peer_ids_count, RN_BOOKS_PEER_IDS_MAX - 1);
    assert_true((books.dirty & RN_DIRTY_IDS) != 0);
    rn_books_fini(&books);
}

static void put_ack(payload *p, uint64_t largest, uint64_t first, uint64_t gap, uint64_t second) {
    put(p, RN_FRAME_ACK);
    put(p, largest);
    put(p, 0);
    put(p, 1);
    put(p, first);
    put(p, gap);
    put(p, second);
}

static void handshake_done_is_known_to_have_arrived(void **state) {
    (void)state;
    rn_books books;
    payload p;
    uint64_t offsets[2] = {0};
    rn_books_init(&books, &uncounted);
    begin(&p);
    put(&p, RN_FRAME_HANDSHAKE_DONE);
    rn_books_sent(&books, 3, p.bytes, len_of(&p));
    begin(&p);
    put_ack(&p, 9, 2, 1, 0); /* 7..9 and 4 */
    receive(&books, 1, &p, offsets);
    assert_false(books.handshake_done_acknowledged);
    assert_false(books.unacknowledged_input); /* an ACK alone is not to be acknowledged */
    assert_int_equal(books.largest_acknowledged, 9);
    begin(&p);
    put_ack(&p, 9, 2, 1, 1); /* 7..9 and 3..4 */
    receive(&books, 2, &p, offsets);
    assert_true(books.handshake_done_acknowledged);
    rn_books_fini(&books);
}

static void what_a_flight_reveals_is_noted(void **state) {
    (void)state;
    rn_books books;
    payload p;
    uint64_t offsets[2] = {0};
    rn_books_init(&books, &uncounted);
    begin(&p);
    put_ack(&p, 9, 2, 1, 0);
    rn_books_sent(&books, 0, p.bytes, len_of(&p));
    assert_int_equal(books.dirty, RN_DIRTY_PACKET_NUMBERS);
    begin(&p);
    put(&p, RN_FRAME_PING);
    receive(&books, 0, &p, offsets);
    begin(&p);
    put_ack(&p, 0, 0, 0, 0);
    put_stream(&p, 0, 0, "token");
    rn_books_sent(&books, 1, p.bytes, len_of(&p));
    assert_int_equal(books.dirty,
                     RN_DIRTY_PACKET_NUMBERS | RN_DIRTY_ACKED_RECEIVED | RN_DIRTY_STREAM_BYTES);
    assert_int_equal(books.packet_number_next, 2);
    rn_books_fini(&books);
}

/* Any bytes: the walk ends, reads nothing outside (sanitizers watch) and keeps the bounds. */
static void garbage_is_harmless(void **state) {
    (void)state;
    uint64_t random = 7;
    for (size_t round = 0; round < 20000; round++) {
        rn_books books;
        uint64_t offsets[2] = {0};
        rn_books_init(&books, &uncounted);
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t len = 1 + (size_t)(random >> 33) % 64;
        uint8_t *bytes = malloc(len);
        assert_non_null(bytes);
        for (size_t i = 0; i < len; i++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bytes[i] = (uint8_t)(random >> 40) & ((i % 3) != 0 ? 0xff : 0x1f);
        }
        rn_books_received(&books, round, bytes, len, delivered, offsets);
        rn_books_sent(&books, round, bytes, len);
        free(bytes);
        rn_books_fini(&books);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(received_numbers_become_ranges),
        cmocka_unit_test(old_ranges_give_way_at_the_limit),
        cmocka_unit_test(bytes_beyond_a_gap_are_kept_until_delivered),
        cmocka_unit_test(pieces_are_bounded),
        cmocka_unit_test(nothing_is_kept_of_streams_that_are_over),
        cmocka_unit_test(peer_ids_come_and_go),
        cmocka_unit_test(handshake_done_is_known_to_have_arrived),
        cmocka_unit_test(what_a_flight_reveals_is_noted),
        cmocka_unit_test(garbage_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
