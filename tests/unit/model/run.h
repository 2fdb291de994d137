/* run: the tokens of an undisturbed generation, to compare others with. */
#ifndef RN_TEST_MODEL_RUN_H
#define RN_TEST_MODEL_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model.h"

enum { RUN_LEN = 300, RUN_TAIL = 64, RUN_ALL = RUN_LEN + RUN_TAIL };

#define RUN_PROMPT "tell me about the night train"
#define RUN_SEED 7

/* A token as a journal keeps it: with a copy of its text. */
typedef struct run_token {
    uint64_t sequence;
    uint32_t id;
    char text[RN_MODEL_TEXT_MAX + 1];
} run_token;

static inline rn_model *run_model(void) {
    rn_model *model = NULL;
    assert_int_equal(rn_model_new(&model), RPCNET_OK);
    return model;
}

static inline void run_start(rn_generation *generation, const rn_model *model) {
    rn_generation_start(generation, model, rn_bytes_text(RUN_PROMPT), RUN_SEED);
}

static inline void run_next(rn_generation *generation, const rn_model *model, run_token *out,
                            size_t count) {
    for (size_t i = 0; i < count; i++) {
        rn_token token;
        rn_generation_next(generation, model, &token);
        assert_true(strlen(token.text) <= RN_MODEL_TEXT_MAX);
        out[i] = (run_token){.sequence = token.sequence, .id = token.id};
        memcpy(out[i].text, token.text, strlen(token.text));
    }
}

static inline void run_feed(rn_generation *generation, const rn_model *model,
                            const run_token *tokens, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(
            rn_generation_feed(generation, model, tokens[i].id, rn_bytes_text(tokens[i].text)),
            RPCNET_OK);
    }
}

/* The text alone, for a client that looks at nothing else. */
static inline bool run_same_text(const run_token *a, const run_token *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i].text, b[i].text) != 0) {
            return false;
        }
    }
    return true;
}

static inline void run_assert_same(const run_token *a, const run_token *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].sequence, b[i].sequence);
        assert_int_equal(a[i].id, b[i].id);
        assert_string_equal(a[i].text, b[i].text);
    }
}

#endif
