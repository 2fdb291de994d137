/* Unit tests of src/swap/assignment: what is built is what protobuf-c reads, and a worker takes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rpcnet/error.h"
#include "rpcnet/v1/worker.pb-c.h"
#include "support/assignment.h"
#include "swap/serving.h"

#define NOW (5 * RN_SECOND)

static rn_swap_config config;
static rn_swap_counters counters;
static rn_swap_stream stream;
static rn_buffer out;
static rn_buffer metadata;
static rn_assignment_call call;

static int begin(void **state) {
    (void)state;
    rn_swap_config_default(&config);
    counters = (rn_swap_counters){0};
    rn_swap_stream_init(&stream, &config, &counters, NULL, 9);
    rn_buffer_init(&out, 8 << 20);
    rn_buffer_init(&metadata, 1000);
    rn_metadata_append(&metadata, RN_ASSIGNMENT_METADATA, rn_bytes_text("user-agent"),
                       rn_bytes_text("test"));
    rn_metadata_append(&metadata, RN_ASSIGNMENT_METADATA, rn_bytes_text("x-bin"),
                       rn_bytes_of("\0\1", 2));
    call = (rn_assignment_call){
        .connection_id = rn_bytes_text("conn-1"),
        .stream_id = 3,
        .method = rn_bytes_text("/a.B/C"),
        .metadata = rn_metadata_list(rn_buffer_bytes(&metadata), RN_ASSIGNMENT_METADATA, 2)};
    return 0;
}

static int finish(void **state) {
    (void)state;
    rn_swap_stream_fini(&stream);
    rn_buffer_fini(&out);
    rn_buffer_fini(&metadata);
    return 0;
}

static void relay(uint64_t sequence, const char *payload) {
    rn_worker_frame frame = {.kind = RN_WORKER_MESSAGE,
                             .message = {sequence, rn_bytes_text(payload)}};
    assert_int_equal(rn_swap_stream_frame(&stream, NOW, stream.pair, &frame).kind, RN_SWAP_RELAY);
}

static void same(ProtobufCBinaryData theirs, const char *text) {
    assert_true(rn_bytes_is(rn_bytes_of(theirs.data, theirs.len), text));
}

static void first_assignment(void **state) {
    (void)state;
    rn_swap_stream_open(&stream, NOW, NOW + 1500 * RN_MICROSECOND + 999);
    rn_swap_stream_client_message(&stream, rn_bytes_text("prompt"));
    rn_swap_stream_client_message(&stream, rn_bytes_of(NULL, 0));
    rn_swap_stream_half_close(&stream);
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker-a"), 77);
    assert_int_equal(test_assignment_append(&out, &stream, &call, NOW), RPCNET_OK);

    Rpcnet__V1__DirectorFrame *frame = rpcnet__v1__director_frame__unpack(NULL, out.len, out.data);
    assert_non_null(frame);
    assert_int_equal(frame->frame_case, RPCNET__V1__DIRECTOR_FRAME__FRAME_ASSIGNMENT);
    const Rpcnet__V1__Assignment *assignment = frame->assignment;
    assert_string_equal(assignment->connection_id, "conn-1");
    assert_int_equal(assignment->stream_id, 3);
    assert_int_equal(assignment->director_epoch, 9);
    assert_int_equal(assignment->attempt, 1);
    assert_string_equal(assignment->method, "/a.B/C");
    assert_int_equal(assignment->deadline_us, 1500);
    assert_int_equal(assignment->n_metadata, 2);
    assert_string_equal(assignment->metadata[0]->key, "user-agent");
    same(assignment->metadata[0]->value, "test");
    assert_int_equal(assignment->metadata[1]->value.len, 2);
    assert_int_equal(assignment->n_client_messages, 2);
    same(assignment->client_messages[0], "prompt");
    same(assignment->client_messages[1], "");
    assert_true(assignment->half_closed);
    assert_int_equal(assignment->next_sequence, 1);
    assert_int_equal(assignment->delivered_from, 1);
    assert_int_equal(assignment->n_delivered, 0);
    assert_int_equal(assignment->checkpoint.len, 0);
    assert_string_equal(assignment->previous_worker, "");
    assert_int_equal(assignment->swap_reason, 0);
    assert_string_equal(assignment->swap_message, "");
    assert_int_equal(assignment->credit, 77);
    rpcnet__v1__director_frame__free_unpacked(frame, NULL);
}

static void assignment_after_a_swap(void **state) {
    (void)state;
    rn_swap_stream_open(&stream, NOW, RN_NEVER);
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker-a"), 1000);
    relay(1, "one");
    relay(2, "two");
    rn_worker_frame checkpoint = {.kind = RN_WORKER_CHECKPOINT,
                                  .checkpoint = {2, rn_bytes_text("state")}};
    rn_swap_stream_frame(&stream, NOW, stream.pair, &checkpoint);
    relay(3, "three");
    relay(4, "");
    rn_swap_stream_lost(&stream, NOW, stream.pair, RN_SWAP_KILLED, rn_bytes_of(NULL, 0));
    rn_swap_stream_assign(&stream, 2, rn_bytes_text("worker-b"), 50);
    /* It goes behind what is in the buffer already. */
    assert_int_equal(rn_buffer_append(&out, "12345", 5), RPCNET_OK);
    assert_int_equal(test_assignment_append(&out, &stream, &call, NOW), RPCNET_OK);

    Rpcnet__V1__DirectorFrame *theirs =
        rpcnet__v1__director_frame__unpack(NULL, out.len - 5, out.data + 5);
    assert_non_null(theirs);
    const Rpcnet__V1__Assignment *assignment = theirs->assignment;
    assert_int_equal(assignment->attempt, 2);
    assert_int_equal(assignment->deadline_us, 0);
    assert_false(assignment->half_closed);
    assert_int_equal(assignment->next_sequence, 5);
    assert_int_equal(assignment->delivered_from, 3);
    assert_int_equal(assignment->n_delivered, 2);
    same(assignment->delivered[0], "three");
    same(assignment->delivered[1], "");
    same(assignment->checkpoint, "state");
    assert_string_equal(assignment->previous_worker, "worker-a");
    assert_int_equal(assignment->swap_reason, RN_SWAP_KILLED);
    assert_string_equal(assignment->swap_message, "worker-a was killed");
    rpcnet__v1__director_frame__free_unpacked(theirs, NULL);

    rn_director_frame frame;
    rn_serving serving;
    rn_serving_init(&serving, RN_SERVING_UNACKED_LIMIT, RN_SERVING_MESSAGE_LIMIT, NULL);
    assert_int_equal(rn_director_frame_parse(&frame, rn_bytes_of(out.data + 5, out.len - 5)),
                     RPCNET_OK);
    assert_int_equal(rn_serving_frame(&serving, &frame, NULL), RN_SERVING_ASSIGNED);
    assert_int_equal(serving.next, 5);
    rn_serving_fini(&serving);
}

static void deadlines_are_never_rounded_to_none(void **state) {
    (void)state;
    static const struct {
        uint64_t left_ns;
        uint64_t us;
    } cases[] = {{1, 1}, {999, 1}, {1000, 1}, {1999, 1}, {2000, 2}, {60 * RN_SECOND, 60000000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        finish(NULL);
        begin(NULL);
        rn_director_frame frame;
        rn_swap_stream_open(&stream, NOW, NOW + cases[i].left_ns);
        rn_swap_stream_assign(&stream, 1, rn_bytes_text("w"), 1);
        assert_int_equal(test_assignment_append(&out, &stream, &call, NOW), RPCNET_OK);
        assert_int_equal(rn_director_frame_parse(&frame, rn_buffer_bytes(&out)), RPCNET_OK);
        assert_true(frame.assignment.deadline_us == cases[i].us);
    }
}

/* From every offset on the pieces are the rest of the frame, also when the client goes on and the
 * stream's own bytes move. */
static void it_is_read_from_anywhere(void **state) {
    (void)state;
    static const uint8_t more[5000];
    rn_assignment_reader reader;
    rn_bytes pieces[RN_ASSIGNMENT_PIECES_MAX];
    rn_budget budget = {.limit = SIZE_MAX};
    rn_swap_stream_open(&stream, NOW, RN_NEVER);
    rn_swap_stream_client_message(&stream, rn_bytes_text("prompt"));
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker-a"), 1000);
    relay(1, "one");
    rn_worker_frame checkpoint = {.kind = RN_WORKER_CHECKPOINT,
                                  .checkpoint = {1, rn_bytes_text("state")}};
    rn_swap_stream_frame(&stream, NOW, stream.pair, &checkpoint);
    relay(2, "two");
    rn_swap_stream_lost(&stream, NOW, stream.pair, RN_SWAP_KILLED, rn_bytes_of(NULL, 0));
    rn_swap_stream_assign(&stream, 2, rn_bytes_text("worker-b"), 1000);
    assert_int_equal(test_assignment_append(&out, &stream, &call, NOW), RPCNET_OK);
    rn_requests_restart(&stream.requests);
    rn_assignment_init(&reader, &budget);
    assert_int_equal(rn_assignment_begin(&reader, &stream, &call, NOW), RPCNET_OK);
    assert_int_equal(rn_assignment_size(&reader), out.len);
    rn_swap_stream_client_message(&stream, rn_bytes_of(more, sizeof more));
    rn_swap_stream_half_close(&stream);
    for (size_t offset = 0; offset <= out.len; offset++) {
        size_t at = offset;
        size_t count = rn_assignment_read(&reader, &stream, offset, pieces);
        for (size_t i = 0; i < count; i++) {
            assert_true(pieces[i].len > 0);
            assert_true(rn_bytes_equal(pieces[i], rn_bytes_of(out.data + at, pieces[i].len)));
            at += pieces[i].len;
        }
        assert_int_equal(at, out.len);
    }
    assert_true(budget.used > 0);
    rn_assignment_end(&reader);
    assert_int_equal(budget.used, 0);
}

static void too_long_a_head(void **state) {
    (void)state;
    static char path[RN_ASSIGNMENT_HEAD_MAX];
    rn_assignment_reader reader;
    rn_assignment_init(&reader, NULL);
    rn_swap_stream_open(&stream, NOW, RN_NEVER);
    rn_swap_stream_assign(&stream, 1, rn_bytes_text("w"), 1);
    call.method = rn_bytes_of(path, sizeof path);
    assert_int_equal(rn_assignment_begin(&reader, &stream, &call, NOW), RPCNET_ERR_LIMIT);
    call.method.len = 1024;
    assert_int_equal(rn_assignment_begin(&reader, &stream, &call, NOW), RPCNET_OK);
    rn_assignment_end(&reader);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(first_assignment),
        TEST(assignment_after_a_swap),
        TEST(deadlines_are_never_rounded_to_none),
        TEST(it_is_read_from_anywhere),
        TEST(too_long_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
