/* Unit tests of src/swap/frames: the writers for hot and small frames, appending, metadata lists.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rpcnet/error.h"
#include "swap/frames.h"

enum { FRAME_MAX = 4096 };

static void same_number(uint64_t ours, uint64_t theirs) {
    assert_true(ours == theirs);
}

static void same_worker_prefix(const uint8_t *prefix, size_t prefix_len, const uint8_t *payload,
                               size_t payload_len, const rn_worker_frame *frame) {
    static uint8_t joined[FRAME_MAX];
    static uint8_t whole[FRAME_MAX];
    assert_true(prefix_len <= RN_FRAME_PREFIX_MAX);
    memcpy(joined, prefix, prefix_len);
    memcpy(joined + prefix_len, payload, payload_len);
    size_t len = (size_t)(rn_worker_frame_write(whole, frame) - whole);
    assert_int_equal(len, prefix_len + payload_len);
    assert_memory_equal(whole, joined, len);
}

static void prefixes_stand_for_whole_frames(void **state) {
    (void)state;
    static const uint64_t sequences[] = {0, 1, 127, 128, UINT32_MAX, UINT64_MAX};
    static const size_t lens[] = {0, 1, 127, 128, 1000, 3000};
    static uint8_t payload[3000];
    uint8_t prefix[RN_FRAME_PREFIX_MAX];
    memset(payload, 'p', sizeof payload);
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        for (size_t k = 0; k < sizeof lens / sizeof lens[0]; k++) {
            rn_numbered numbered = {sequences[i], rn_bytes_of(payload, lens[k])};
            rn_worker_frame frame = {.kind = RN_WORKER_MESSAGE, .message = numbered};
            same_worker_prefix(prefix, rn_frame_message_prefix(prefix, sequences[i], lens[k]),
                               payload, lens[k], &frame);
            frame = (rn_worker_frame){.kind = RN_WORKER_CHECKPOINT, .checkpoint = numbered};
            same_worker_prefix(prefix, rn_frame_checkpoint_prefix(prefix, sequences[i], lens[k]),
                               payload, lens[k], &frame);
            frame = (rn_worker_frame){.kind = RN_WORKER_EVENT, .event = numbered.payload};
            same_worker_prefix(prefix, rn_frame_event_prefix(prefix, lens[k]), payload, lens[k],
                               &frame);

            uint8_t whole[FRAME_MAX];
            rn_director_frame client = {.kind = RN_DIRECTOR_CLIENT_MESSAGE,
                                        .client_message = numbered};
            size_t len = (size_t)(rn_director_frame_write(whole, &client) - whole);
            size_t prefix_len = rn_frame_client_message_prefix(prefix, sequences[i], lens[k]);
            assert_int_equal(len, prefix_len + lens[k]);
            assert_memory_equal(whole, prefix, prefix_len);
        }
    }
    /* The largest that there can be. */
    assert_true(rn_frame_message_prefix(prefix, UINT64_MAX, RN_FRAME_PAYLOAD_MAX) <=
                RN_FRAME_PREFIX_MAX);
}

static void small_frames(void **state) {
    (void)state;
    static const uint64_t numbers[] = {0, 1, 300, UINT64_MAX};
    uint8_t out[RN_FRAME_PREFIX_MAX];
    rn_director_frame frame;
    rn_worker_frame reply;
    for (size_t i = 0; i < 4; i++) {
        size_t len = rn_frame_ack(out, numbers[i]);
        assert_int_equal(rn_director_frame_parse(&frame, rn_bytes_of(out, len)), RPCNET_OK);
        assert_int_equal(frame.kind, RN_DIRECTOR_ACK);
        same_number(frame.ack, numbers[i]);
        len = rn_frame_credit(out, numbers[i]);
        assert_int_equal(rn_director_frame_parse(&frame, rn_bytes_of(out, len)), RPCNET_OK);
        assert_int_equal(frame.kind, RN_DIRECTOR_CREDIT);
        same_number(frame.credit, numbers[i]);
        len = rn_frame_probe(out, numbers[i]);
        assert_int_equal(rn_director_frame_parse(&frame, rn_bytes_of(out, len)), RPCNET_OK);
        assert_int_equal(frame.kind, RN_DIRECTOR_PROBE);
        same_number(frame.probe, numbers[i]);
        len = rn_frame_probe_reply(out, numbers[i]);
        assert_int_equal(rn_worker_frame_parse(&reply, rn_bytes_of(out, len)), RPCNET_OK);
        assert_int_equal(reply.kind, RN_WORKER_PROBE_REPLY);
        same_number(reply.probe_reply, numbers[i]);
    }
    size_t len = rn_frame_half_close(out);
    assert_int_equal(rn_director_frame_parse(&frame, rn_bytes_of(out, len)), RPCNET_OK);
    assert_int_equal(frame.kind, RN_DIRECTOR_HALF_CLOSE);
    len = rn_frame_cancel(out);
    assert_int_equal(rn_director_frame_parse(&frame, rn_bytes_of(out, len)), RPCNET_OK);
    assert_int_equal(frame.kind, RN_DIRECTOR_CANCEL);
}

static void appending_respects_the_limit(void **state) {
    (void)state;
    rn_worker_frame frame = {.kind = RN_WORKER_REFUSED, .refused = rn_bytes_text("full")};
    size_t size = rn_worker_frame_size(&frame);
    for (size_t limit = size - 1; limit <= size + 1; limit++) {
        rn_buffer buffer;
        rn_buffer_init(&buffer, limit);
        int rv = rn_worker_frame_append(&buffer, &frame);
        assert_int_equal(rv, limit < size ? RPCNET_ERR_LIMIT : RPCNET_OK);
        assert_int_equal(buffer.len, limit < size ? 0 : size);
        rn_buffer_fini(&buffer);
    }
}

/* Occurrences with another field between them are put together when they are written. */
static void scattered_lists_are_written_in_order(void **state) {
    (void)state;
    static const uint8_t scattered[] = {0x0a, 0x0a, 0x6a, 1, 'a', 0x50, 3, 0x6a, 0, 0x6a, 1, 'b'};
    static const uint8_t ordered[] = {0x0a, 0x0a, 0x50, 3, 0x6a, 1, 'a', 0x6a, 0, 0x6a, 1, 'b'};
    rn_director_frame frame;
    uint8_t out[32];
    assert_int_equal(rn_director_frame_parse(&frame, rn_bytes_of(scattered, sizeof scattered)),
                     RPCNET_OK);
    assert_int_equal(frame.assignment.delivered.count, 3);
    assert_false(frame.assignment.delivered.dense);
    assert_int_equal(rn_director_frame_size(&frame), sizeof ordered);
    assert_ptr_equal(rn_director_frame_write(out, &frame), out + sizeof ordered);
    assert_memory_equal(out, ordered, sizeof ordered);
}

static void metadata_lists(void **state) {
    (void)state;
    rn_buffer run;
    rn_bytes key;
    rn_bytes value;
    rn_buffer_init(&run, 40);
    assert_int_equal(
        rn_metadata_append(&run, RN_DONE_TRAILERS, rn_bytes_text("x-a"), rn_bytes_text("1")),
        RPCNET_OK);
    assert_int_equal(
        rn_metadata_append(&run, RN_DONE_TRAILERS, rn_bytes_text("x-b"), rn_bytes_text("")),
        RPCNET_OK);
    size_t len = run.len;
    assert_int_equal(rn_metadata_append(&run, RN_DONE_TRAILERS, rn_bytes_text("x-c"),
                                        rn_bytes_text("too long for what is left")),
                     RPCNET_ERR_LIMIT);
    assert_int_equal(run.len, len);
    rn_repeated list = rn_metadata_list(rn_buffer_bytes(&run), RN_DONE_TRAILERS, 2);
    assert_true(rn_metadata_next(&list, &key, &value));
    assert_true(rn_bytes_is(key, "x-a") && rn_bytes_is(value, "1"));
    assert_true(rn_metadata_next(&list, &key, &value));
    assert_true(rn_bytes_is(key, "x-b") && value.len == 0);
    assert_false(rn_metadata_next(&list, &key, &value));
    rn_buffer_fini(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_stand_for_whole_frames),
        cmocka_unit_test(small_frames),
        cmocka_unit_test(appending_respects_the_limit),
        cmocka_unit_test(scattered_lists_are_written_in_order),
        cmocka_unit_test(metadata_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
