/* Unit tests of src/swap/serving: every frame in every state, numbering, credit, the window of
 * unacknowledged messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rpcnet/error.h"
#include "swap/serving.h"

enum { UNACKED = 1000, LARGEST = 500 };

static rn_budget budget;
static rn_serving serving;
static const uint8_t memory[LARGEST + 1];

static int begin(void **state) {
    (void)state;
    budget = (rn_budget){.limit = SIZE_MAX};
    rn_serving_init(&serving, UNACKED, LARGEST, &budget);
    return 0;
}

static int finish(void **state) {
    (void)state;
    rn_serving_fini(&serving);
    rn_serving_fini(NULL);
    return budget.used == 0 ? 0 : -1;
}

static rn_assignment proper(void) {
    return (rn_assignment){.connection_id = rn_bytes_text("conn-1"),
                           .director_epoch = 5,
                           .attempt = 1,
                           .method = rn_bytes_text("/a.B/C"),
                           .next_sequence = 1,
                           .delivered_from = 1,
                           .credit = 100000};
}

static enum rn_serving_verdict assign(rn_assignment assignment) {
    rn_director_frame frame = {.kind = RN_DIRECTOR_ASSIGNMENT, .assignment = assignment};
    return rn_serving_frame(&serving, &frame, NULL);
}

static enum rn_serving_verdict number(enum rn_director_frame_kind kind, uint64_t value) {
    rn_director_frame frame = {.kind = kind, .ack = value};
    return rn_serving_frame(&serving, &frame, NULL);
}

static enum rn_serving_verdict client(uint64_t sequence) {
    rn_director_frame frame = {.kind = RN_DIRECTOR_CLIENT_MESSAGE,
                               .client_message = {sequence, rn_bytes_text("x")}};
    return rn_serving_frame(&serving, &frame, NULL);
}

static int send_len(size_t len, uint64_t *sequence) {
    return rn_serving_send(&serving, rn_bytes_of(memory, len), sequence);
}

static void again(void) {
    rn_serving_fini(&serving);
    begin(NULL);
}

static void only_an_assignment_begins(void **state) {
    (void)state;
    for (unsigned kind = RN_DIRECTOR_NONE; kind <= RN_DIRECTOR_PROBE; kind++) {
        if (kind == RN_DIRECTOR_ASSIGNMENT) {
            continue;
        }
        again();
        rn_director_frame frame = {.kind = (enum rn_director_frame_kind)kind};
        const char *why = NULL;
        assert_int_equal(rn_serving_frame(&serving, &frame, &why), RN_SERVING_FAULT);
        assert_string_equal(why, "the call does not begin with an assignment");
        assert_int_equal(serving.state, RN_SERVING_ENDED);
        assert_int_equal(assign(proper()), RN_SERVING_IGNORE);
    }
}

static void nothing_is_sent_before(void **state) {
    (void)state;
    uint64_t sequence;
    assert_false(rn_serving_may_send(&serving, 0));
    assert_int_equal(send_len(1, &sequence), RPCNET_ERR_STATE);
    assert_int_equal(rn_serving_event(&serving), RPCNET_ERR_STATE);
    assert_int_equal(rn_serving_checkpoint(&serving, 0), RPCNET_ERR_STATE);
    assert_int_equal(rn_serving_refuse(&serving), RPCNET_ERR_STATE);
    assert_int_equal(rn_serving_end(&serving), RPCNET_ERR_STATE);
}

static void improper_assignments(void **state) {
    (void)state;
    static const uint8_t two[] = {0x6a, 0, 0x6a, 0};
    static uint8_t method[RN_SERVING_METHOD_MAX + 1];
    memset(method, 'm', sizeof method);
    method[0] = '/';
    rn_assignment cases[12];
    size_t count = 0;
    for (; count < 12; count++) {
        cases[count] = proper();
    }
    rn_repeated delivered = {rn_bytes_of(two, sizeof two), RN_ASSIGNMENT_DELIVERED, 2, true};
    cases[0].attempt = 0;
    cases[1].method = rn_bytes_of(NULL, 0);
    cases[2].method = rn_bytes_text("/");
    cases[3].method = rn_bytes_text("a.B/C");
    cases[4].method = rn_bytes_of(method, RN_SERVING_METHOD_MAX + 1);
    cases[5].delivered_from = 0;
    cases[6].next_sequence = 0;
    cases[7].delivered_from = 2; /* behind next_sequence */
    cases[8].next_sequence = 2;  /* one message is missing */
    cases[9].delivered = delivered;
    cases[9].next_sequence = 2; /* one too many */
    cases[10].next_sequence = cases[10].delivered_from = UINT64_MAX;
    cases[11].next_sequence = cases[11].delivered_from = (uint64_t)INT64_MAX + 1;
    for (size_t i = 0; i < count; i++) {
        again();
        print_message("case %zu\n", i);
        assert_int_equal(assign(cases[i]), RN_SERVING_FAULT);
        assert_int_equal(serving.state, RN_SERVING_ENDED);
    }
}

static void proper_assignments(void **state) {
    (void)state;
    static const uint8_t two[] = {0x6a, 0, 0x6a, 0};
    static uint8_t method[RN_SERVING_METHOD_MAX];
    memset(method, 'm', sizeof method);
    method[0] = '/';
    rn_assignment assignment = proper();
    assignment.method = rn_bytes_of(method, sizeof method);
    assignment.delivered =
        (rn_repeated){rn_bytes_of(two, sizeof two), RN_ASSIGNMENT_DELIVERED, 2, true};
    assignment.delivered_from = 41;
    assignment.next_sequence = 43;
    assignment.client_messages.count = 3;
    assert_int_equal(assign(assignment), RN_SERVING_ASSIGNED);
    assert_int_equal(serving.next, 43);
    assert_int_equal(serving.epoch, 5);
    assert_int_equal(serving.attempt, 1);
    assert_int_equal(client(3), RN_SERVING_FAULT); /* 4 is due */
    again();
    assignment = proper();
    assignment.next_sequence = assignment.delivered_from = INT64_MAX;
    assert_int_equal(assign(assignment), RN_SERVING_ASSIGNED);
}

static void one_assignment_a_call(void **state) {
    (void)state;
    assert_int_equal(assign(proper()), RN_SERVING_ASSIGNED);
    assert_int_equal(assign(proper()), RN_SERVING_FAULT);
    again();
    assign(proper());
    assert_int_equal(number(RN_DIRECTOR_ATTACH, 0), RN_SERVING_FAULT);
    again();
    assign(proper());
    assert_int_equal(number(RN_DIRECTOR_PROBE, 1), RN_SERVING_FAULT);
    again();
    assign(proper());
    assert_int_equal(number(RN_DIRECTOR_NONE, 0), RN_SERVING_IGNORE);
    assert_int_equal(serving.state, RN_SERVING_SERVING);
}

static void client_messages_in_order(void **state) {
    (void)state;
    assign(proper());
    assert_int_equal(client(1), RN_SERVING_CLIENT_MESSAGE);
    assert_int_equal(client(2), RN_SERVING_CLIENT_MESSAGE);
    assert_int_equal(client(2), RN_SERVING_FAULT);
    again();
    assign(proper());
    assert_int_equal(client(2), RN_SERVING_FAULT);
    again();
    assign(proper());
    assert_int_equal(client(0), RN_SERVING_FAULT);
    again();
    assign(proper());
    assert_int_equal(number(RN_DIRECTOR_HALF_CLOSE, 0), RN_SERVING_HALF_CLOSED);
    assert_int_equal(client(1), RN_SERVING_FAULT);
    again();
    assign(proper());
    number(RN_DIRECTOR_HALF_CLOSE, 0);
    assert_int_equal(number(RN_DIRECTOR_HALF_CLOSE, 0), RN_SERVING_FAULT);
    again();
    rn_assignment closed = proper();
    closed.half_closed = true;
    assign(closed);
    assert_int_equal(number(RN_DIRECTOR_HALF_CLOSE, 0), RN_SERVING_FAULT);
    again();
    assign(closed);
    assert_int_equal(client(1), RN_SERVING_FAULT);
}

static void messages_are_numbered_and_kept(void **state) {
    (void)state;
    uint64_t sequence = 0;
    rn_bytes value;
    rn_assignment assignment = proper();
    assignment.next_sequence = assignment.delivered_from = 10;
    assign(assignment);
    for (uint64_t i = 10; i < 14; i++) {
        assert_int_equal(send_len(i, &sequence), RPCNET_OK);
        assert_int_equal(sequence, i);
    }
    assert_int_equal(number(RN_DIRECTOR_ACK, 9), RN_SERVING_IGNORE); /* what it began with */
    assert_int_equal(number(RN_DIRECTOR_ACK, 0), RN_SERVING_IGNORE);
    assert_int_equal(number(RN_DIRECTOR_ACK, 11), RN_SERVING_ROOM);
    assert_int_equal(number(RN_DIRECTOR_ACK, 11), RN_SERVING_IGNORE);
    assert_int_equal(number(RN_DIRECTOR_ACK, 10), RN_SERVING_IGNORE);
    rn_repeated walk = rn_serving_unacked(&serving);
    assert_true(rn_repeated_next(&walk, &value) && value.len == 12);
    assert_true(rn_repeated_next(&walk, &value) && value.len == 13);
    assert_false(rn_repeated_next(&walk, &value));
    assert_int_equal(number(RN_DIRECTOR_ACK, 13), RN_SERVING_ROOM);
    assert_int_equal(serving.unacked.count, 0);
    assert_int_equal(number(RN_DIRECTOR_ACK, 14), RN_SERVING_FAULT);
    assert_int_equal(budget.used, 0);
}

static void acks_of_what_was_not_sent(void **state) {
    (void)state;
    assign(proper());
    assert_int_equal(number(RN_DIRECTOR_ACK, 0), RN_SERVING_IGNORE);
    assert_int_equal(number(RN_DIRECTOR_ACK, 1), RN_SERVING_FAULT);
    again();
    assign(proper());
    assert_int_equal(number(RN_DIRECTOR_ACK, UINT64_MAX), RN_SERVING_FAULT);
}

static void credit_is_respected(void **state) {
    (void)state;
    uint64_t sequence;
    rn_assignment assignment = proper();
    assignment.credit = 100;
    assign(assignment);
    assert_int_equal(send_len(99, &sequence), RPCNET_OK);
    assert_true(rn_serving_may_send(&serving, 1));
    assert_true(rn_serving_may_send(&serving, 50)); /* some is left */
    assert_int_equal(send_len(1, &sequence), RPCNET_OK);
    assert_false(rn_serving_may_send(&serving, 1));
    assert_true(rn_serving_may_send(&serving, 0));
    assert_int_equal(send_len(1, &sequence), RPCNET_ERR_AGAIN);
    assert_int_equal(number(RN_DIRECTOR_CREDIT, 99), RN_SERVING_IGNORE);
    assert_int_equal(number(RN_DIRECTOR_CREDIT, 100), RN_SERVING_IGNORE);
    assert_int_equal(send_len(1, &sequence), RPCNET_ERR_AGAIN);
    assert_int_equal(number(RN_DIRECTOR_CREDIT, 101), RN_SERVING_ROOM);
    assert_int_equal(send_len(50, &sequence), RPCNET_OK); /* goes 49 beyond */
    assert_int_equal(number(RN_DIRECTOR_CREDIT, 150), RN_SERVING_ROOM);
    assert_int_equal(send_len(1, &sequence), RPCNET_ERR_AGAIN);
    assert_int_equal(number(RN_DIRECTOR_CREDIT, 151), RN_SERVING_ROOM);
    assert_int_equal(send_len(1, &sequence), RPCNET_OK);
    assert_int_equal(sequence, 4);
}

static void window_of_unacknowledged_messages(void **state) {
    (void)state;
    uint64_t sequence;
    assign(proper());
    /* One byte below the limit: one more may go, of any size. */
    assert_int_equal(send_len(LARGEST, &sequence), RPCNET_OK);
    assert_int_equal(send_len(UNACKED - LARGEST - 2 * RN_RECORD_OVERHEAD - 1, &sequence),
                     RPCNET_OK);
    assert_int_equal(serving.unacked.cost, UNACKED - 1);
    assert_int_equal(send_len(LARGEST, &sequence), RPCNET_OK);
    assert_int_equal(send_len(0, &sequence), RPCNET_ERR_AGAIN);
    number(RN_DIRECTOR_ACK, 1);
    assert_int_equal(send_len(UNACKED - LARGEST, &sequence), RPCNET_OK);
    again();
    assign(proper());
    /* Exactly at the limit: none. */
    assert_int_equal(send_len(LARGEST, &sequence), RPCNET_OK);
    assert_int_equal(send_len(UNACKED - LARGEST - 2 * RN_RECORD_OVERHEAD, &sequence), RPCNET_OK);
    assert_int_equal(send_len(0, &sequence), RPCNET_ERR_AGAIN);
}

static void largest_message(void **state) {
    (void)state;
    uint64_t sequence;
    assign(proper());
    assert_int_equal(send_len(LARGEST - 1, &sequence), RPCNET_OK);
    assert_int_equal(send_len(LARGEST + 1, &sequence), RPCNET_ERR_LIMIT);
    assert_int_equal(serving.next, 2);
    number(RN_DIRECTOR_ACK, 1);
    assert_int_equal(send_len(LARGEST, &sequence), RPCNET_OK);
    assert_int_equal(sequence, 2);
}

static void checkpoints_go_forward(void **state) {
    (void)state;
    uint64_t sequence;
    assign(proper());
    assert_int_equal(rn_serving_checkpoint(&serving, 0), RPCNET_OK);
    assert_int_equal(rn_serving_checkpoint(&serving, 1), RPCNET_ERR_ARGUMENT);
    send_len(1, &sequence);
    send_len(1, &sequence);
    assert_int_equal(rn_serving_checkpoint(&serving, 2), RPCNET_OK);
    assert_int_equal(rn_serving_checkpoint(&serving, 2), RPCNET_OK);
    assert_int_equal(rn_serving_checkpoint(&serving, 1), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_serving_checkpoint(&serving, 3), RPCNET_ERR_ARGUMENT);
    again();
    /* Not below the one that came with the assignment. */
    rn_assignment assignment = proper();
    assignment.next_sequence = assignment.delivered_from = 7;
    assign(assignment);
    assert_int_equal(rn_serving_checkpoint(&serving, 5), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_serving_checkpoint(&serving, 6), RPCNET_OK);
}

static void refusing_is_only_first(void **state) {
    (void)state;
    uint64_t sequence;
    assign(proper());
    client(1);
    assert_int_equal(rn_serving_refuse(&serving), RPCNET_OK);
    assert_int_equal(rn_serving_refuse(&serving), RPCNET_ERR_STATE);
    again();
    assign(proper());
    assert_int_equal(rn_serving_event(&serving), RPCNET_OK);
    assert_int_equal(rn_serving_refuse(&serving), RPCNET_ERR_STATE);
    again();
    assign(proper());
    send_len(0, &sequence);
    assert_int_equal(rn_serving_refuse(&serving), RPCNET_ERR_STATE);
    again();
    assign(proper());
    rn_serving_checkpoint(&serving, 0);
    assert_int_equal(rn_serving_refuse(&serving), RPCNET_ERR_STATE);
    assert_int_equal(serving.state, RN_SERVING_SERVING);
}

static void after_the_end(void **state) {
    (void)state;
    for (unsigned how = 0; how < 3; how++) {
        uint64_t sequence;
        again();
        assign(proper());
        send_len(10, &sequence);
        if (how == 0) {
            assert_int_equal(rn_serving_end(&serving), RPCNET_OK);
        } else if (how == 1) {
            assert_int_equal(number(RN_DIRECTOR_CANCEL, 0), RN_SERVING_CANCELLED);
            assert_true(serving.cancelled);
        } else {
            assert_int_equal(client(9), RN_SERVING_FAULT);
        }
        assert_int_equal(budget.used, 0);
        /* What the director sent before it knew is no fault of it. */
        for (unsigned kind = RN_DIRECTOR_NONE; kind <= RN_DIRECTOR_PROBE; kind++) {
            rn_director_frame frame = {.kind = (enum rn_director_frame_kind)kind};
            assert_int_equal(rn_serving_frame(&serving, &frame, NULL), RN_SERVING_IGNORE);
        }
        assert_int_equal(number(RN_DIRECTOR_ACK, 1), RN_SERVING_IGNORE);
        assert_false(rn_serving_may_send(&serving, 0));
        assert_int_equal(send_len(0, &sequence), RPCNET_ERR_STATE);
        assert_int_equal(rn_serving_event(&serving), RPCNET_ERR_STATE);
        assert_int_equal(rn_serving_checkpoint(&serving, 1), RPCNET_ERR_STATE);
        assert_int_equal(rn_serving_refuse(&serving), RPCNET_ERR_STATE);
        assert_int_equal(rn_serving_end(&serving), RPCNET_ERR_STATE);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(only_an_assignment_begins),
        TEST(nothing_is_sent_before),
        TEST(improper_assignments),
        TEST(proper_assignments),
        TEST(one_assignment_a_call),
        TEST(client_messages_in_order),
        TEST(messages_are_numbered_and_kept),
        TEST(acks_of_what_was_not_sent),
        TEST(credit_is_respected),
        TEST(window_of_unacknowledged_messages),
        TEST(largest_message),
        TEST(checkpoints_go_forward),
        TEST(refusing_is_only_first),
        TEST(after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
