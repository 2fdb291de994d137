/* Building a model, and what its text looks like. */
#include "unit/model/run.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static int build(const char *text) {
    rn_model *model = NULL;
    int result = rn_model_new_from(&model, rn_bytes_text(text));
    assert_true((result == RPCNET_OK) == (model != NULL));
    rn_model_del(model);
    return result;
}

static void speak(const rn_model *model, const char *prompt, uint64_t seed, size_t count, char *out,
                  size_t size) {
    rn_generation generation;
    rn_generation_start(&generation, model, rn_bytes_text(prompt), seed);
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        rn_token token;
        rn_generation_next(&generation, model, &token);
        assert_true(len + strlen(token.text) < size);
        memcpy(out + len, token.text, strlen(token.text) + 1);
        len += strlen(token.text);
    }
}

static void test_texts_that_are_refused(void **state) {
    (void)state;
    assert_int_equal(build(""), RPCNET_ERR_PARSE);
    assert_int_equal(build(" \n"), RPCNET_ERR_PARSE);
    assert_int_equal(build("No end"), RPCNET_ERR_PARSE);
    assert_int_equal(build("No end,"), RPCNET_ERR_PARSE);
    assert_int_equal(build("A digit 7."), RPCNET_ERR_PARSE);
    assert_int_equal(build("A hyphen - alone."), RPCNET_ERR_PARSE);
    assert_int_equal(build("Not \xc3\xa9 ASCII."), RPCNET_ERR_PARSE);
    assert_int_equal(build("It ends."), RPCNET_OK);
    assert_int_equal(build("."), RPCNET_OK);
    rn_model *model = NULL;
    assert_int_equal(rn_model_new_from(&model, rn_bytes_of(NULL, 0)), RPCNET_ERR_PARSE);
    assert_int_equal(rn_model_new_from(&model, rn_bytes_of("A.\0A.", 5)), RPCNET_ERR_PARSE);
    assert_null(model);
}

static void test_limit_of_a_word(void **state) {
    (void)state;
    for (int len = RN_MODEL_WORD_MAX - 1; len <= RN_MODEL_WORD_MAX + 1; len++) {
        char text[RN_MODEL_WORD_MAX + 3];
        memset(text, 'a', (size_t)len);
        memcpy(text + len, ".", 2);
        assert_int_equal(build(text), len <= RN_MODEL_WORD_MAX ? RPCNET_OK : RPCNET_ERR_LIMIT);
    }
}

static void test_limit_of_the_vocabulary(void **state) {
    (void)state;
    char *text = malloc(4 * RN_MODEL_WORDS_MAX + 8);
    assert_non_null(text);
    for (int words = RN_MODEL_WORDS_MAX - 1; words <= RN_MODEL_WORDS_MAX + 1; words++) {
        size_t len = 0;
        for (int i = 0; i < words - 1; i++) { /* the mark is the last one */
            text[len++] = (char)('a' + i / 676);
            text[len++] = (char)('a' + i / 26 % 26);
            text[len++] = (char)('a' + i % 26);
            text[len++] = ' ';
        }
        memcpy(text + len, ".", 2);
        rn_model *model = NULL;
        int result = rn_model_new_from(&model, rn_bytes_text(text));
        if (words <= RN_MODEL_WORDS_MAX) {
            assert_int_equal(result, RPCNET_OK);
            assert_int_equal(rn_model_word_count(model), words);
        } else {
            assert_int_equal(result, RPCNET_ERR_LIMIT);
        }
        rn_model_del(model);
    }
    free(text);
}

static void test_limit_of_the_text(void **state) {
    (void)state;
    char *text = malloc(2 * RN_MODEL_TOKENS_MAX + 8);
    assert_non_null(text);
    for (int tokens = RN_MODEL_TOKENS_MAX - 1; tokens <= RN_MODEL_TOKENS_MAX + 1; tokens++) {
        size_t len = 0;
        for (int i = 0; i < tokens - 1; i++) {
            text[len++] = 'a';
            text[len++] = ' ';
        }
        memcpy(text + len, ".", 2);
        assert_int_equal(build(text), tokens <= RN_MODEL_TOKENS_MAX ? RPCNET_OK : RPCNET_ERR_LIMIT);
    }
    free(text);
}

/* With one way to go on everywhere, the model recites: the text is read as a circle. */
static void test_words_marks_and_capitals(void **state) {
    (void)state;
    rn_model *model = NULL;
    assert_int_equal(
        rn_model_new_from(&model, rn_bytes_text("boats, said Anna:\n go well-rigged!")), RPCNET_OK);
    assert_int_equal(rn_model_word_count(model), 8);
    char text[128];
    speak(model, "", 1, 10, text, sizeof text);
    assert_string_equal(text, "Boats, said Anna: go well-rigged! Boats,");
    rn_model_del(model);
}

/* A word is one entry, however it is written; what starts a sentence is no name for that. */
static void test_case_is_no_other_word(void **state) {
    (void)state;
    rn_model *model = NULL;
    assert_int_equal(rn_model_new_from(&model, rn_bytes_text("The ship and the Ship. Ships wait.")),
                     RPCNET_OK);
    assert_int_equal(rn_model_word_count(model), 6); /* the ship and . ships wait */
    char text[512];
    speak(model, "", 3, 60, text, sizeof text);
    assert_null(strstr(text, " Ship "));
    assert_non_null(strstr(text, ". Ships wait"));
    rn_model_del(model);
}

static void test_the_text_looks_natural(void **state) {
    (void)state;
    rn_model *model = run_model();
    assert_true(rn_model_word_count(model) > 200);
    static char text[40000];
    speak(model, "prompt-1", 0, 5000, text, sizeof text);
    assert_true(isupper((unsigned char)text[0]));
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == ' ') {
            assert_true(isalpha((unsigned char)p[1]));
        } else if (ispunct((unsigned char)*p) && p[1] != '\0') {
            assert_int_equal(p[1], ' ');
            assert_true((strchr(".?!", *p) == NULL) || isupper((unsigned char)p[2]));
        } else {
            assert_true(isalpha((unsigned char)*p) || ispunct((unsigned char)*p));
        }
    }
    rn_model_del(model);
}

static void test_the_prompt_begins_the_text(void **state) {
    (void)state;
    static const struct {
        const char *prompt;
        const char *begin;
    } cases[] = {
        {"tell me about the night train", "Night train"},
        {"WHAT DOES THE RIVER SAY?", "The river"},
        {"Quarks and ships", "Ships"},
        {"a river, a ship, a landing", "A landing"},
        {"night: train", "Train"}, /* not side by side */
    };
    rn_model *model = run_model();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        speak(model, cases[i].prompt, i, 4, text, sizeof text);
        if (strncmp(text, cases[i].begin, strlen(cases[i].begin)) != 0) {
            fail_msg("\"%s\" begins \"%s\"", cases[i].prompt, text);
        }
    }
    rn_model_del(model);
}

static void test_any_bytes_are_a_prompt(void **state) {
    (void)state;
    rn_model *model = run_model();
    uint8_t bytes[512];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    rn_generation generation;
    rn_token token;
    for (size_t len = 0; len <= sizeof bytes; len++) {
        rn_generation_start(&generation, model, rn_bytes_of(bytes, len), len);
        rn_generation_next(&generation, model, &token);
        assert_true(token.id < rn_model_word_count(model));
    }
    memset(bytes, 'a', sizeof bytes); /* one word, longer than any */
    rn_generation_start(&generation, model, rn_bytes_of(bytes, sizeof bytes), 0);
    rn_generation_start(&generation, model, rn_bytes_of(NULL, 0), 0);
    rn_generation_next(&generation, model, &token);
    assert_int_equal(token.sequence, 1);
    rn_model_del(model);
}

static void test_del_of_null(void **state) {
    (void)state;
    rn_model_del(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_that_are_refused),
        cmocka_unit_test(test_limit_of_a_word),
        cmocka_unit_test(test_limit_of_the_vocabulary),
        cmocka_unit_test(test_limit_of_the_text),
        cmocka_unit_test(test_words_marks_and_capitals),
        cmocka_unit_test(test_case_is_no_other_word),
        cmocka_unit_test(test_the_text_looks_natural),
        cmocka_unit_test(test_the_prompt_begins_the_text),
        cmocka_unit_test(test_any_bytes_are_a_prompt),
        cmocka_unit_test(test_del_of_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
