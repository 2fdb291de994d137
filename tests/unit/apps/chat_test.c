/* Tests of a generator's chats: what counts is between which tokens a message stands, not when it
 * came, nor how often the chat has moved. */
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

/* The last turn crosses a checkpoint, and two say nothing between. */
static const struct {
    const char *text;
    uint64_t tokens;
} turns[] = {{"the river", 3}, {"and then", 0}, {"tell me more", 4}, {"", 0}, {"go on", 280}};

enum { TURNS = sizeof turns / sizeof turns[0], TOKENS = 287, MESSAGES = TOKENS + 1 };

static rn_model *model; /* of the group; never changed */
static rn_buffer messages[MESSAGES];
static uint8_t checkpoint[RN_GENERATION_CHECKPOINT_LEN]; /* after RN_GENERATOR_CHECKPOINT_EVERY */

static int say(rn_generator *generator, const char *text, uint64_t tokens) {
    char copy[64];
    ConnectionSwap__ChatMessage message = CONNECTION_SWAP__CHAT_MESSAGE__INIT;
    rn_buffer bytes;
    rn_buffer_init(&bytes, 4096);
    strcpy(copy, text);
    message.text = copy;
    message.tokens = tokens;
    assert_int_equal(rn_message_pack(&bytes, &message.base), RPCNET_OK);
    int result = rn_generator_chat(generator, rn_buffer_bytes(&bytes));
    rn_buffer_fini(&bytes);
    return result;
}

static void say_turns(rn_generator *generator, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        assert_int_equal(say(generator, turns[i].text, turns[i].tokens), RPCNET_OK);
    }
}

static void next_is(rn_generator *generator, uint64_t n) {
    rn_buffer out;
    rn_buffer_init(&out, RN_GENERATOR_MESSAGE_MAX);
    assert_int_equal(rn_generator_sequence(generator), n);
    assert_false(rn_generator_waits(generator));
    assert_int_equal(rn_generator_next(generator, &out), RPCNET_OK);
    assert_true(rn_bytes_equal(rn_buffer_bytes(&out), rn_buffer_bytes(&messages[n - 1])));
    rn_buffer_fini(&out);
}

/* Everything said at once. */
static int setup(void **state) {
    (void)state;
    rn_generator generator;
    assert_int_equal(rn_model_new(&model), RPCNET_OK);
    rn_generator_start_chat(&generator, model);
    say_turns(&generator, 0, TURNS);
    rn_generator_half_close(&generator);
    for (size_t i = 0; i < MESSAGES; i++) {
        rn_buffer_init(&messages[i], RN_GENERATOR_MESSAGE_MAX);
        assert_int_equal(rn_generator_has_token(&generator), i < TOKENS);
        assert_int_equal(rn_generator_next(&generator, &messages[i]), RPCNET_OK);
        if (i + 1 == RN_GENERATOR_CHECKPOINT_EVERY) {
            assert_true(rn_generator_checkpoint_due(&generator));
            rn_generation_checkpoint(&generator.generation, model, checkpoint);
        }
    }
    assert_true(generator.done);
    assert_int_equal(generator.texts.len, 0);
    rn_generator_fini(&generator);
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

static void test_one_by_one(void **state) {
    (void)state;
    rn_generator generator;
    uint64_t n = 1;
    rn_generator_start_chat(&generator, model);
    assert_true(rn_generator_waits(&generator));
    for (size_t i = 0; i < TURNS; i++) {
        assert_true(rn_generator_waits(&generator));
        say_turns(&generator, i, i + 1);
        for (uint64_t k = 0; k < turns[i].tokens; k++) {
            next_is(&generator, n++);
        }
        assert_true(rn_generator_waits(&generator));
    }
    rn_generator_half_close(&generator);
    assert_false(rn_generator_waits(&generator));
    next_is(&generator, n);
    assert_true(generator.done);
    rn_generator_fini(&generator);
}

static void resume(rn_generator *generator, uint64_t from, uint64_t next, size_t said) {
    rn_records records;
    rn_records_init(&records, RN_ASSIGNMENT_DELIVERED, 1 << 20, NULL);
    for (uint64_t n = from; n < next; n++) {
        assert_int_equal(rn_records_append(&records, rn_buffer_bytes(&messages[n - 1])), RPCNET_OK);
    }
    rn_assignment assignment = {
        .next_sequence = next, .delivered_from = from, .delivered = rn_records_list(&records)};
    if (from > 1) {
        assignment.checkpoint = rn_bytes_of(checkpoint, sizeof checkpoint);
    }
    rn_generator_start_chat(generator, model);
    say_turns(generator, 0, said);
    if (said == TURNS) {
        rn_generator_half_close(generator);
    }
    assert_int_equal(rn_generator_resume(generator, &assignment), RPCNET_OK);
    rn_records_fini(&records);
}

static void test_moved_at_any_point(void **state) {
    (void)state;
    for (uint64_t next = 1; next <= MESSAGES + 1; next++) {
        rn_generator generator;
        uint64_t from = next > RN_GENERATOR_CHECKPOINT_EVERY && next % 2 == 0
                            ? RN_GENERATOR_CHECKPOINT_EVERY + 1
                            : 1;
        resume(&generator, from, next, TURNS);
        for (uint64_t n = next; n <= MESSAGES; n++) {
            next_is(&generator, n);
        }
        assert_true(generator.done);
        rn_generator_fini(&generator);
    }
}

/* Moved while it waits, and what is said next comes to the new place. */
static void test_moved_between_turns(void **state) {
    (void)state;
    uint64_t said = 0;
    for (size_t i = 0; i < TURNS; i++) {
        rn_generator generator;
        resume(&generator, 1, said + 1, i);
        assert_true(rn_generator_waits(&generator));
        say_turns(&generator, i, TURNS);
        rn_generator_half_close(&generator);
        for (uint64_t n = said + 1; n <= MESSAGES; n++) {
            next_is(&generator, n);
        }
        rn_generator_fini(&generator);
        said += turns[i].tokens;
    }
}

/* The first message alone is what Generate would say; another word changes what follows it. */
static void test_texts_matter(void **state) {
    (void)state;
    rn_generator generator;
    rn_buffer out;
    rn_buffer_init(&out, RN_GENERATOR_MESSAGE_MAX);
    rn_generator_start_chat(&generator, model);
    say_turns(&generator, 0, 1);
    assert_string_equal(generator.prompt, "the river");
    assert_int_equal(say(&generator, "and now", 0), RPCNET_OK);
    say_turns(&generator, 2, TURNS);
    rn_generator_half_close(&generator);
    for (uint64_t n = 1; n <= 3; n++) {
        next_is(&generator, n);
    }
    size_t same = 0;
    for (uint64_t n = 4; n <= TOKENS; n++) {
        assert_int_equal(rn_generator_next(&generator, &out), RPCNET_OK);
        same += rn_bytes_equal(rn_buffer_bytes(&out), rn_buffer_bytes(&messages[n - 1]));
    }
    assert_true(same < TOKENS / 2);
    rn_buffer_fini(&out);
    rn_generator_fini(&generator);
}

static void test_what_does_not_belong(void **state) {
    (void)state;
    rn_generator generator;
    rn_records records;
    rn_generator_start_chat(&generator, model);
    assert_int_equal(rn_generator_chat(&generator, rn_bytes_text("\xff")), RPCNET_ERR_PARSE);
    assert_int_equal(say(&generator, "x", UINT64_MAX - 1), RPCNET_OK);
    assert_int_equal(say(&generator, "x", 0), RPCNET_OK);
    assert_int_equal(say(&generator, "x", 1), RPCNET_ERR_LIMIT);
    rn_generator_fini(&generator);
    /* More was delivered than was asked for; Done before the last message. */
    for (int done = 0; done < 2; done++) {
        rn_records_init(&records, RN_ASSIGNMENT_DELIVERED, 4096, NULL);
        for (size_t i = 0; i < 3; i++) {
            rn_records_append(&records, rn_buffer_bytes(&messages[i]));
        }
        rn_records_append(&records, rn_buffer_bytes(&messages[done ? TOKENS : 3]));
        rn_assignment assignment = {
            .next_sequence = 5, .delivered_from = 1, .delivered = rn_records_list(&records)};
        rn_generator_start_chat(&generator, model);
        say_turns(&generator, 0, 1);
        assert_int_equal(rn_generator_resume(&generator, &assignment), RPCNET_ERR_PARSE);
        rn_generator_fini(&generator);
        rn_records_fini(&records);
    }
}

/* A message that makes what waits one byte less than may wait, as much, and one more. */
static void waiting_messages_have_their_limit(void **state) {
    (void)state;
    for (int more = -1; more <= 1; more++) {
        rn_generator generator;
        rn_generator_start_chat(&generator, model);
        assert_int_equal(generator.texts.limit, RN_GENERATOR_TEXTS_MAX);
        assert_int_equal(say(&generator, "the river", 3), RPCNET_OK);
        size_t before = generator.texts.len;
        assert_int_equal(say(&generator, "and then", 1), RPCNET_OK);
        size_t one = generator.texts.len - before;
        assert_true(one > 0);
        generator.texts.limit = generator.texts.len + one - (size_t)(more + 1) + 1;
        assert_int_equal(say(&generator, "and then", 1), more <= 0 ? RPCNET_OK : RPCNET_ERR_LIMIT);
        rn_generator_fini(&generator);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_moved_at_any_point),
        cmocka_unit_test(test_moved_between_turns),
        cmocka_unit_test(test_texts_matter),
        cmocka_unit_test(test_what_does_not_belong),
        cmocka_unit_test(waiting_messages_have_their_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
