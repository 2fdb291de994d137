/* Tests of worker/generator: a stream that moved is byte for byte the one that did not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "swap/records.h"
#include "worker/generator.h"

enum { TOKENS = 300, MESSAGES = TOKENS + 1 };

static rn_model *model; /* of the group; never changed */
static rn_buffer messages[MESSAGES];
static uint8_t checkpoint[RN_GENERATION_CHECKPOINT_LEN]; /* after RN_GENERATOR_CHECKPOINT_EVERY */

static rn_buffer request_of(const char *prompt, uint64_t tokens, uint64_t pace_us) {
    char text[64];
    ConnectionSwap__GenerateRequest request = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    rn_buffer out;
    rn_buffer_init(&out, 4096);
    strcpy(text, prompt);
    request.prompt = text;
    request.tokens = tokens;
    request.seed = 7;
    request.pace_us = pace_us;
    assert_int_equal(rn_message_pack(&out, &request.base), RPCNET_OK);
    return out;
}

static void start(rn_generator *generator, const char *prompt, uint64_t tokens) {
    rn_buffer request = request_of(prompt, tokens, 0);
    assert_int_equal(rn_generator_start(generator, model, rn_buffer_bytes(&request)), RPCNET_OK);
    rn_buffer_fini(&request);
}

static int setup(void **state) {
    (void)state;
    rn_generator generator;
    assert_int_equal(rn_model_new(&model), RPCNET_OK);
    start(&generator, "prompt-1", TOKENS);
    for (size_t i = 0; i < MESSAGES; i++) {
        rn_buffer_init(&messages[i], RN_GENERATOR_MESSAGE_MAX);
        assert_int_equal(rn_generator_sequence(&generator), i + 1);
        assert_int_equal(rn_generator_has_token(&generator), i < TOKENS);
        assert_int_equal(rn_generator_next(&generator, &messages[i]), RPCNET_OK);
        assert_int_equal(rn_generator_checkpoint_due(&generator),
                         i + 1 == RN_GENERATOR_CHECKPOINT_EVERY);
        if (i + 1 == RN_GENERATOR_CHECKPOINT_EVERY) {
            rn_generation_checkpoint(&generator.generation, model, checkpoint);
        }
    }
    assert_true(generator.done);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (size_t i = 0; i < MESSAGES; i++) {
        rn_buffer_fini(&messages[i]);
    }
    rn_model_del(model);
    return 0;
}

/* Messages `from` to `next` - 1 as an assignment has them. */
static rn_assignment assignment_of(rn_records *records, uint64_t from, uint64_t next) {
    rn_records_init(records, RN_ASSIGNMENT_DELIVERED, 1 << 20, NULL);
    for (uint64_t n = from; n < next; n++) {
        assert_int_equal(rn_records_append(records, rn_buffer_bytes(&messages[n - 1])), RPCNET_OK);
    }
    return (rn_assignment){
        .next_sequence = next, .delivered_from = from, .delivered = rn_records_list(records)};
}

static void rest_is_same(rn_generator *generator, uint64_t next) {
    rn_buffer out;
    rn_buffer_init(&out, RN_GENERATOR_MESSAGE_MAX);
    assert_int_equal(rn_generator_sequence(generator), next);
    for (uint64_t n = next; n <= MESSAGES; n++) {
        assert_int_equal(rn_generator_next(generator, &out), RPCNET_OK);
        assert_int_equal(out.len, messages[n - 1].len);
        assert_memory_equal(out.data, messages[n - 1].data, out.len);
    }
    assert_true(generator->done);
    rn_buffer_fini(&out);
}

static void test_moved_at_any_point(void **state) {
    (void)state;
    for (uint64_t next = 1; next <= MESSAGES + 1; next += next < TOKENS - 2 ? 7 : 1) {
        rn_generator generator;
        rn_records records;
        rn_assignment assignment = assignment_of(&records, 1, next);
        start(&generator, "prompt-1", TOKENS);
        assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_OK);
        rest_is_same(&generator, next);
        rn_records_fini(&records);
    }
}

static void test_moved_from_checkpoint(void **state) {
    (void)state;
    const uint64_t from = RN_GENERATOR_CHECKPOINT_EVERY + 1;
    for (uint64_t next = from; next <= MESSAGES + 1; next++) {
        rn_generator generator;
        rn_records records;
        rn_assignment assignment = assignment_of(&records, from, next);
        assignment.checkpoint = rn_bytes_of(checkpoint, sizeof checkpoint);
        start(&generator, "prompt-1", TOKENS);
        assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_OK);
        rest_is_same(&generator, next);
        rn_records_fini(&records);
    }
}

static void test_what_does_not_belong(void **state) {
    (void)state;
    rn_generator generator;
    rn_records records;
    /* another prompt's checkpoint */
    rn_assignment assignment = assignment_of(&records, RN_GENERATOR_CHECKPOINT_EVERY + 1,
                                             RN_GENERATOR_CHECKPOINT_EVERY + 1);
    assignment.checkpoint = rn_bytes_of(checkpoint, sizeof checkpoint);
    start(&generator, "prompt-2", TOKENS);
    assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
    /* a stream that should have ended before */
    start(&generator, "prompt-1", RN_GENERATOR_CHECKPOINT_EVERY - 1);
    assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
    start(&generator, "prompt-1", RN_GENERATOR_CHECKPOINT_EVERY);
    assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_OK);
    /* no checkpoint, but not from the start either */
    assignment.checkpoint = rn_bytes_of(NULL, 0);
    start(&generator, "prompt-1", TOKENS);
    assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
    rn_records_fini(&records);
    /* a message left out */
    rn_records_init(&records, RN_ASSIGNMENT_DELIVERED, 1 << 20, NULL);
    rn_records_append(&records, rn_buffer_bytes(&messages[0]));
    rn_records_append(&records, rn_buffer_bytes(&messages[2]));
    assignment = (rn_assignment){
        .next_sequence = 3, .delivered_from = 1, .delivered = rn_records_list(&records)};
    start(&generator, "prompt-1", TOKENS);
    assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
    rn_records_fini(&records);
    /* the number does not fit what was delivered */
    assignment = assignment_of(&records, 1, 5);
    assignment.next_sequence = 6;
    start(&generator, "prompt-1", TOKENS);
    assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
    rn_records_fini(&records);
}

/* Done before the last token, or something behind Done. */
static void test_done_out_of_place(void **state) {
    (void)state;
    const rn_bytes done = rn_buffer_bytes(&messages[TOKENS]);
    for (int behind = 0; behind < 2; behind++) {
        rn_generator generator;
        rn_records records;
        rn_assignment assignment = assignment_of(&records, 1, behind ? MESSAGES + 1 : 2);
        rn_records_append(&records, done);
        assignment.next_sequence++;
        assignment.delivered = rn_records_list(&records);
        start(&generator, "prompt-1", TOKENS);
        assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
        rn_records_fini(&records);
    }
}

static void test_garbage(void **state) {
    (void)state;
    rn_generator generator;
    rn_records records;
    rn_assignment assignment = assignment_of(&records, 1, 1);
    assert_int_equal(rn_generator_start(&generator, model, rn_bytes_text("\xff\xff")),
                     RPCNET_ERR_PARSE);
    rn_records_append(&records, rn_bytes_text("\x12\xff"));
    assignment.delivered = rn_records_list(&records);
    assignment.next_sequence = 2;
    start(&generator, "prompt-1", TOKENS);
    assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
    rn_records_fini(&records);
    assignment.checkpoint = rn_bytes_text("no checkpoint");
    assignment.delivered = (rn_repeated){0};
    start(&generator, "prompt-1", TOKENS);
    assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
}

static void test_pace_and_prompt(void **state) {
    (void)state;
    rn_generator generator;
    rn_buffer request = request_of("two\nlines", 0, 250);
    assert_int_equal(rn_generator_start(&generator, model, rn_buffer_bytes(&request)), RPCNET_OK);
    assert_int_equal(generator.pace_ns, 250000);
    assert_string_equal(generator.prompt, "two\\x0alines");
    assert_true(rn_generator_has_token(&generator));
    rn_buffer_fini(&request);
    request = request_of("", 0, UINT64_MAX); /* cut instead of wrapped */
    assert_int_equal(rn_generator_start(&generator, model, rn_buffer_bytes(&request)), RPCNET_OK);
    assert_true(generator.pace_ns == UINT64_C(3600000000000));
    rn_buffer_fini(&request);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moved_at_any_point),
        cmocka_unit_test(test_moved_from_checkpoint),
        cmocka_unit_test(test_what_does_not_belong),
        cmocka_unit_test(test_done_out_of_place),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_pace_and_prompt),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
