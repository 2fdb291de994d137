/* Framing: every cut of the bytes, every limit, and the memory that an announced length may take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "grpc/framing.h"
#include "rpcnet/error.h"

static void put_message(rn_buffer *out, const void *data, size_t len) {
    uint8_t prefix[RN_FRAME_PREFIX_LEN];
    rn_frame_prefix(prefix, (uint32_t)len);
    assert_int_equal(rn_buffer_append(out, prefix, sizeof prefix), RPCNET_OK);
    assert_int_equal(rn_buffer_append(out, data, len), RPCNET_OK);
}

static void a_prefix(void **state) {
    uint8_t prefix[RN_FRAME_PREFIX_LEN];
    static const uint8_t expected[] = {0, 0x01, 0x02, 0x03, 0x04};
    (void)state;
    rn_frame_prefix(prefix, 0x01020304);
    assert_memory_equal(prefix, expected, sizeof expected);
}

/* Messages of many lengths, cut into random pieces, come out as they went in. */
static void random_cuts(void **state) {
    static uint8_t data[70000];
    static const size_t lengths[] = {0, 1, 5, 0, 300, 16384, 70000, 3, 0};
    enum { COUNT = sizeof lengths / sizeof lengths[0] };
    rn_buffer stream;
    (void)state;
    srand(11);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 13);
    }
    rn_buffer_init(&stream, 1 << 20);
    for (size_t i = 0; i < COUNT; i++) {
        put_message(&stream, data + i, i + lengths[i] <= sizeof data ? lengths[i] : lengths[i] - i);
    }
    for (int round = 0; round < 100; round++) {
        rn_deframer deframer;
        size_t seen = 0;
        size_t piece_max = round < 3 ? stream.len : round < 6 ? 3 : 1 + (size_t)(rand() % 5000);
        rn_deframer_init(&deframer, 70000, NULL);
        for (size_t at = 0; at < stream.len;) {
            size_t len = 1 + (size_t)rand() % piece_max;
            len = len < stream.len - at ? len : stream.len - at;
            uint8_t *piece = malloc(len);
            assert_non_null(piece);
            memcpy(piece, stream.data + at, len);
            const uint8_t *cursor = piece;
            rn_bytes message;
            enum rn_deframe_result result;
            while ((result = rn_deframer_next(&deframer, &cursor, piece + len, &message)) ==
                   RN_DEFRAME_MESSAGE) {
                size_t expected =
                    seen + lengths[seen] <= sizeof data ? lengths[seen] : lengths[seen] - seen;
                assert_int_equal(message.len, expected);
                if (expected > 0) {
                    assert_memory_equal(message.data, data + seen, expected);
                }
                seen++;
            }
            assert_int_equal(result, RN_DEFRAME_MORE);
            assert_ptr_equal(cursor, piece + len);
            free(piece);
            at += len;
        }
        assert_int_equal(seen, COUNT);
        assert_false(rn_deframer_is_midway(&deframer));
        rn_deframer_fini(&deframer);
    }
    rn_buffer_fini(&stream);
}

static void whole_messages_are_handed_out_in_place(void **state) {
    static const uint8_t bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 1, 'd', 0};
    rn_deframer deframer;
    const uint8_t *cursor = bytes;
    rn_bytes message;
    (void)state;
    rn_deframer_init(&deframer, 100, NULL);
    assert_int_equal(rn_deframer_next(&deframer, &cursor, bytes + sizeof bytes, &message),
                     RN_DEFRAME_MESSAGE);
    assert_ptr_equal(message.data, bytes + 5);
    assert_int_equal(rn_deframer_next(&deframer, &cursor, bytes + sizeof bytes, &message),
                     RN_DEFRAME_MESSAGE);
    assert_ptr_equal(message.data, bytes + 13);
    assert_int_equal(rn_deframer_next(&deframer, &cursor, bytes + sizeof bytes, &message),
                     RN_DEFRAME_MORE);
    assert_true(rn_deframer_is_midway(&deframer));
    assert_null(deframer.body.data);
    rn_deframer_fini(&deframer);
}

static enum rn_deframe_result read_prefix(uint8_t flag, uint32_t length, size_t limit) {
    uint8_t prefix[RN_FRAME_PREFIX_LEN];
    rn_deframer deframer;
    rn_bytes message;
    const uint8_t *cursor = prefix;
    rn_frame_prefix(prefix, length);
    prefix[0] = flag;
    rn_deframer_init(&deframer, limit, NULL);
    enum rn_deframe_result result =
        rn_deframer_next(&deframer, &cursor, prefix + sizeof prefix, &message);
    assert_true(deframer.body.capacity <= 256); /* nothing came yet */
    rn_deframer_fini(&deframer);
    return result;
}

static void limits_and_flags(void **state) {
    (void)state;
    assert_int_equal(read_prefix(0, 99, 100), RN_DEFRAME_MORE);
    assert_int_equal(read_prefix(0, 100, 100), RN_DEFRAME_MORE);
    assert_int_equal(read_prefix(0, 101, 100), RN_DEFRAME_TOO_LARGE);
    assert_int_equal(read_prefix(0, UINT32_MAX, UINT32_MAX), RN_DEFRAME_MORE);
    assert_int_equal(read_prefix(0, UINT32_MAX, 4 << 20), RN_DEFRAME_TOO_LARGE);
    assert_int_equal(read_prefix(1, 0, 100), RN_DEFRAME_COMPRESSED);
    assert_int_equal(read_prefix(2, 0, 100), RN_DEFRAME_MALFORMED);
    assert_int_equal(read_prefix(255, 3, 100), RN_DEFRAME_MALFORMED);
}

static void a_new_limit_spares_the_present_message(void **state) {
    static const uint8_t first[] = {0, 0, 0, 0, 4, 'a', 'b'};
    static const uint8_t second[] = {'c', 'd', 0, 0, 0, 0, 4};
    rn_deframer deframer;
    rn_bytes message;
    const uint8_t *cursor = first;
    (void)state;
    rn_deframer_init(&deframer, 4, NULL);
    assert_int_equal(rn_deframer_next(&deframer, &cursor, first + sizeof first, &message),
                     RN_DEFRAME_MORE);
    rn_deframer_set_limit(&deframer, 3);
    cursor = second;
    assert_int_equal(rn_deframer_next(&deframer, &cursor, second + sizeof second, &message),
                     RN_DEFRAME_MESSAGE);
    assert_true(rn_bytes_is(message, "abcd"));
    assert_int_equal(rn_deframer_next(&deframer, &cursor, second + sizeof second, &message),
                     RN_DEFRAME_TOO_LARGE);
    rn_deframer_fini(&deframer);
}

/* Feeds a message of `len` bytes, all but the last one; true: it was taken. */
static bool feed(rn_deframer *deframer, size_t len) {
    uint8_t bytes[RN_FRAME_PREFIX_LEN + 3 * RN_DEFRAMER_KEPT_MAX] = {0};
    const uint8_t *cursor = bytes;
    rn_bytes message;
    rn_frame_prefix(bytes, (uint32_t)len);
    enum rn_deframe_result result =
        rn_deframer_next(deframer, &cursor, bytes + RN_FRAME_PREFIX_LEN + len - 1, &message);
    assert_true(result == RN_DEFRAME_MORE || result == RN_DEFRAME_STARVED);
    return result == RN_DEFRAME_MORE;
}

static void over_the_account_messages_stay_small(void **state) {
    (void)state;
    for (size_t used = 999; used <= 1001; used++) {
        for (size_t kept = RN_DEFRAMER_KEPT_MAX - 1; kept <= RN_DEFRAMER_KEPT_MAX + 1; kept++) {
            rn_budget budget = {.limit = 1000};
            rn_deframer deframer;
            rn_budget_move(&budget, 0, used);
            rn_deframer_init(&deframer, 100000, &budget);
            bool refused = used > 1000 && kept > RN_DEFRAMER_KEPT_MAX;
            assert_int_equal(feed(&deframer, kept + 1), !refused);
            assert_int_equal(budget.refusals, refused);
            assert_int_equal(budget.used, used + rn_deframer_memory(&deframer));
            rn_deframer_fini(&deframer);
            assert_int_equal(budget.used, used);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix),
        cmocka_unit_test(random_cuts),
        cmocka_unit_test(whole_messages_are_handed_out_in_place),
        cmocka_unit_test(limits_and_flags),
        cmocka_unit_test(a_new_limit_spares_the_present_message),
        cmocka_unit_test(over_the_account_messages_stay_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
