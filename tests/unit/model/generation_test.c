/* A generation that moved equals one that did not; an altered token changes the rest. */
#include "unit/model/run.h"

#include <stdlib.h>

/* Two models, as two processes have them. */
typedef struct fixture {
    rn_model *here;
    rn_model *there;
    run_token run[RUN_ALL]; /* undisturbed */
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->here = run_model();
    f->there = run_model();
    rn_generation generation;
    run_start(&generation, f->here);
    run_next(&generation, f->here, f->run, RUN_ALL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    rn_model_del(f->here);
    rn_model_del(f->there);
    free(f);
    return 0;
}

static void test_sequence_counts_from_one(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < RUN_ALL; i++) {
        assert_int_equal(f->run[i].sequence, i + 1);
        assert_true(f->run[i].id < rn_model_word_count(f->here));
    }
}

static void test_same_request_same_tokens(void **state) {
    fixture *f = *state;
    rn_generation generation;
    run_token again[RUN_ALL];
    run_start(&generation, f->there);
    run_next(&generation, f->there, again, RUN_ALL);
    run_assert_same(again, f->run, RUN_ALL);
}

/* Workers of different builds must agree. If this fails on purpose, change the version in
 * fingerprint_key, too. */
static void test_tokens_are_the_same_on_every_machine(void **state) {
    fixture *f = *state;
    static const char *const expected[] = {"Night",   " train", " is",   " full", " of",
                                           " people", " who",   " come", " for",  " bread",
                                           ".",       " A",     " boy"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_string_equal(f->run[i].text, expected[i]);
    }
    rn_generation generation;
    run_start(&generation, f->here);
    run_token token;
    for (int i = 0; i < 1000; i++) {
        run_next(&generation, f->here, &token, 1);
    }
    assert_int_equal(generation.hash, UINT64_C(0x3c72ce0b90ff0c39));
}

static void test_resume_by_feeding(void **state) {
    fixture *f = *state;
    for (size_t k = 0; k <= RUN_LEN; k++) {
        rn_generation generation;
        run_token rest[RUN_ALL];
        run_start(&generation, f->there);
        run_feed(&generation, f->there, f->run, k);
        assert_int_equal(generation.next_sequence, k + 1);
        run_next(&generation, f->there, rest, RUN_ALL - k);
        run_assert_same(rest, f->run + k, RUN_ALL - k);
    }
}

static void test_resume_from_checkpoint_and_feeding(void **state) {
    fixture *f = *state;
    for (size_t k = 0; k <= RUN_LEN; k++) {
        const size_t cuts[] = {0, 1, k / 2, k > 0 ? k - 1 : 0, k};
        for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
            size_t cut = cuts[c] <= k ? cuts[c] : k;
            uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
            run_token rest[RUN_ALL];
            rn_generation from;
            run_start(&from, f->here);
            run_next(&from, f->here, rest, cut);
            rn_generation_checkpoint(&from, f->here, bytes);

            rn_generation to;
            assert_int_equal(rn_generation_restore(&to, f->there, rn_bytes_of(bytes, sizeof bytes)),
                             RPCNET_OK);
            run_feed(&to, f->there, f->run + cut, k - cut);
            run_next(&to, f->there, rest, RUN_TAIL);
            run_assert_same(rest, f->run + k, RUN_TAIL);
        }
    }
}

/* A swap after every token, to and fro. */
static void test_swap_after_every_token(void **state) {
    fixture *f = *state;
    rn_generation generation;
    run_start(&generation, f->here);
    for (size_t k = 0; k < RUN_LEN; k++) {
        const rn_model *model = k % 2 == 0 ? f->here : f->there;
        run_token token;
        run_next(&generation, model, &token, 1);
        run_assert_same(&token, &f->run[k], 1);

        uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
        rn_generation_checkpoint(&generation, model, bytes);
        memset(&generation, 0xff, sizeof generation);
        model = k % 2 == 0 ? f->there : f->here;
        assert_int_equal(
            rn_generation_restore(&generation, model, rn_bytes_of(bytes, sizeof bytes)), RPCNET_OK);
    }
}

/* Another token of the vocabulary, written as it would be at this position. */
static void alter(const fixture *f, run_token *tokens, size_t position) {
    size_t other = position + 1;
    while (f->run[other].id == tokens[position].id) {
        other++;
    }
    const char *text = f->run[other].text;
    tokens[position].id = f->run[other].id;
    memset(tokens[position].text, 0, sizeof tokens[position].text);
    strcpy(tokens[position].text, position == 0 && text[0] == ' ' ? text + 1 : text);
}

static void test_an_altered_token_changes_what_follows(void **state) {
    fixture *f = *state;
    for (size_t k = 0; k < RUN_LEN; k++) {
        run_token tokens[RUN_LEN];
        run_token rest[RUN_TAIL];
        memcpy(tokens, f->run, sizeof tokens);
        alter(f, tokens, k);
        rn_generation generation;
        run_start(&generation, f->here);
        run_feed(&generation, f->here, tokens, k + 1);
        run_next(&generation, f->here, rest, RUN_TAIL);
        assert_false(run_same_text(rest, f->run + k + 1, RUN_TAIL));
    }
}

/* The second word of the prompt follows the first one only, not whatever stands in its place. */
static void test_an_altered_first_token_ends_the_start(void **state) {
    fixture *f = *state;
    run_token tokens[2];
    memcpy(tokens, f->run, sizeof tokens);
    alter(f, tokens, 0);
    rn_generation generation;
    run_token next;
    run_start(&generation, f->here);
    assert_int_equal(generation.start[1], f->run[1].id);
    run_feed(&generation, f->here, tokens, 1);
    run_next(&generation, f->here, &next, 1);
    assert_int_not_equal(next.id, f->run[1].id);
}

/* Not only the last two words count: the token lies up to 300 tokens back. */
static void test_an_altered_token_is_never_forgotten(void **state) {
    fixture *f = *state;
    for (size_t k = 0; k < RUN_LEN; k++) {
        run_token tokens[RUN_LEN];
        run_token rest[RUN_TAIL];
        memcpy(tokens, f->run, sizeof tokens);
        alter(f, tokens, k);
        rn_generation generation;
        run_start(&generation, f->here);
        run_feed(&generation, f->here, tokens, RUN_LEN);
        run_next(&generation, f->here, rest, RUN_TAIL);
        assert_false(run_same_text(rest, f->run + RUN_LEN, RUN_TAIL));
    }
}

/* The same id with its other spelling is an alteration, too. */
static void test_an_altered_spelling_changes_what_follows(void **state) {
    fixture *f = *state;
    size_t tried = 0;
    for (size_t k = 1; k < RUN_LEN; k++) {
        run_token altered = f->run[k];
        if (altered.text[0] != ' ' || altered.text[1] < 'a') {
            continue;
        }
        altered.text[1] = (char)(altered.text[1] - 'a' + 'A');
        rn_generation generation;
        run_token rest[RUN_TAIL];
        run_start(&generation, f->here);
        run_feed(&generation, f->here, f->run, k);
        run_feed(&generation, f->here, &altered, 1);
        run_next(&generation, f->here, rest, RUN_TAIL);
        assert_false(run_same_text(rest, f->run + k + 1, RUN_TAIL));
        tried++;
    }
    assert_true(tried > RUN_LEN / 2);
}

static void test_a_token_that_is_none_is_refused(void **state) {
    fixture *f = *state;
    uint32_t count = rn_model_word_count(f->here);
    rn_generation generation;
    run_start(&generation, f->here);
    for (size_t k = 0; k < RUN_LEN; k++) {
        const rn_generation before = generation;
        const run_token *token = &f->run[k];
        size_t len = strlen(token->text);
        char changed[RN_MODEL_TEXT_MAX + 3];
        changed[0] = ' ';
        memcpy(changed + 1, token->text, len + 1);
        rn_bytes spaced = rn_bytes_of(changed, len + 1);
        rn_bytes cut = rn_bytes_of(token->text, len - 1);
        rn_bytes with_nul = rn_bytes_of(token->text, len + 1);
        rn_bytes right = rn_bytes_text(token->text);
        uint32_t wrong_id = (token->id + 1) % count;
#define REFUSED(id, text)                                                                          \
    assert_int_equal(rn_generation_feed(&generation, f->here, (id), (text)), RPCNET_ERR_PARSE)
        REFUSED(wrong_id, right);
        REFUSED(count, right);
        REFUSED(RN_MODEL_NONE, right);
        REFUSED(token->id, spaced);
        REFUSED(token->id, cut);
        REFUSED(token->id, with_nul);
        REFUSED(token->id, rn_bytes_of(NULL, 0));
#undef REFUSED
        assert_memory_equal(&generation, &before, sizeof before);
        run_feed(&generation, f->here, token, 1);
    }
}

static void test_largest_id_is_accepted(void **state) {
    (void)state;
    rn_model *model = NULL;
    assert_int_equal(rn_model_new_from(&model, rn_bytes_text("One two.")), RPCNET_OK);
    rn_generation generation;
    rn_generation_start(&generation, model, rn_bytes_text(""), 0);
    assert_int_equal(rn_generation_feed(&generation, model, 3, rn_bytes_text(".")),
                     RPCNET_ERR_PARSE);
    assert_int_equal(rn_generation_feed(&generation, model, 2, rn_bytes_text(".")), RPCNET_OK);
    rn_model_del(model);
}

static void test_seed_and_prompt_matter(void **state) {
    fixture *f = *state;
    static const char *const prompts[] = {RUN_PROMPT,
                                          "tell me about the night train ",
                                          "tell me about The night train",
                                          "prompt-1",
                                          "prompt-2",
                                          ""};
    enum { PROMPTS = sizeof prompts / sizeof prompts[0], SEEDS = 3 };
    static const uint64_t seeds[SEEDS] = {0, 1, UINT64_MAX};
    run_token runs[PROMPTS * SEEDS][RUN_TAIL];
    for (size_t i = 0; i < (size_t)PROMPTS * SEEDS; i++) {
        rn_generation generation;
        rn_generation_start(&generation, f->here, rn_bytes_text(prompts[i / SEEDS]),
                            seeds[i % SEEDS]);
        run_next(&generation, f->here, runs[i], RUN_TAIL);
        for (size_t j = 0; j < i; j++) {
            assert_false(run_same_text(runs[i], runs[j], RUN_TAIL));
        }
    }
}

static void test_generations_do_not_touch_each_other(void **state) {
    fixture *f = *state;
    rn_generation one;
    rn_generation other;
    run_start(&one, f->here);
    rn_generation_start(&other, f->here, rn_bytes_text("other"), 1);
    for (size_t k = 0; k < RUN_LEN; k++) {
        run_token token;
        run_next(&other, f->here, &token, 1);
        run_next(&one, f->here, &token, 1);
        run_assert_same(&token, &f->run[k], 1);
    }
}

/* No window of a million tokens repeats itself with a short period, and all words come up. */
static void test_a_million_tokens_do_not_loop(void **state) {
    fixture *f = *state;
    enum { COUNT = 1000000, WINDOW = 10000, PERIOD_MAX = 1000 };
    uint32_t *ids = calloc(COUNT, sizeof *ids);
    uint32_t *seen = calloc(rn_model_word_count(f->here), sizeof *seen);
    assert_non_null(ids);
    assert_non_null(seen);
    rn_generation generation;
    run_start(&generation, f->here);
    for (size_t i = 0; i < COUNT; i++) {
        rn_token token;
        rn_generation_next(&generation, f->here, &token);
        ids[i] = token.id;
        seen[token.id]++;
    }
    for (size_t begin = 0; begin < COUNT; begin += WINDOW) {
        for (size_t period = 1; period <= PERIOD_MAX; period++) {
            size_t same = 0;
            while (same < PERIOD_MAX && ids[begin + same] == ids[begin + same + period]) {
                same++;
            }
            assert_true(same < PERIOD_MAX);
        }
    }
    for (uint32_t id = 0; id < rn_model_word_count(f->here); id++) {
        assert_true(seen[id] > 0);
    }
    free(seen);
    free(ids);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence_counts_from_one),
        cmocka_unit_test(test_same_request_same_tokens),
        cmocka_unit_test(test_tokens_are_the_same_on_every_machine),
        cmocka_unit_test(test_resume_by_feeding),
        cmocka_unit_test(test_resume_from_checkpoint_and_feeding),
        cmocka_unit_test(test_swap_after_every_token),
        cmocka_unit_test(test_an_altered_token_changes_what_follows),
        cmocka_unit_test(test_an_altered_first_token_ends_the_start),
        cmocka_unit_test(test_an_altered_token_is_never_forgotten),
        cmocka_unit_test(test_an_altered_spelling_changes_what_follows),
        cmocka_unit_test(test_a_token_that_is_none_is_refused),
        cmocka_unit_test(test_largest_id_is_accepted),
        cmocka_unit_test(test_seed_and_prompt_matter),
        cmocka_unit_test(test_generations_do_not_touch_each_other),
        cmocka_unit_test(test_a_million_tokens_do_not_loop),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
