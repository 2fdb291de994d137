/* The format of a checkpoint, and what restore refuses. */
#include "unit/model/run.h"

#include "model/hash.h"

/* Where the fields lie. */
enum {
    AT_VERSION = 3,
    AT_FINGERPRINT = 4,
    AT_SEED = 12,
    AT_PROMPT_HASH = 20,
    AT_HASH = 28,
    AT_NEXT = 36,
    AT_LAST_0 = 44,
    AT_START_0 = 48,
    AT_LAST_1 = 52,
    AT_START_1 = 56,
    AT_CHECKSUM = 60
};

static int setup(void **state) {
    *state = run_model();
    return 0;
}

static int teardown(void **state) {
    rn_model_del(*state);
    return 0;
}

static void take(const rn_model *model, size_t count, uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN]) {
    rn_generation generation;
    run_token tokens[RUN_LEN];
    assert_true(count <= RUN_LEN);
    run_start(&generation, model);
    run_next(&generation, model, tokens, count);
    rn_generation_checkpoint(&generation, model, bytes);
}

/* Makes the checksum fit whatever the bytes are. */
static void seal(uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN]) {
    rn_model_key key = {.k0 = 0x636865636b, .k1 = 1};
    rn_model_write64(bytes + AT_CHECKSUM, rn_model_hash(key, rn_bytes_of(bytes, AT_CHECKSUM)));
}

static void assert_refused(const rn_model *model, const uint8_t *bytes, size_t len) {
    rn_generation generation;
    memset(&generation, 0x5a, sizeof generation);
    rn_generation before = generation;
    assert_int_equal(rn_generation_restore(&generation, model, rn_bytes_of(bytes, len)),
                     RPCNET_ERR_PARSE);
    assert_memory_equal(&generation, &before, sizeof before);
}

static void assert_accepted(const rn_model *model, const uint8_t *bytes) {
    rn_generation generation;
    assert_int_equal(
        rn_generation_restore(&generation, model, rn_bytes_of(bytes, RN_GENERATION_CHECKPOINT_LEN)),
        RPCNET_OK);
}

static void test_round_trip(void **state) {
    const rn_model *model = *state;
    for (size_t count = 0; count < 5; count++) {
        uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
        uint8_t again[RN_GENERATION_CHECKPOINT_LEN];
        take(model, count, bytes);
        rn_generation generation;
        assert_int_equal(
            rn_generation_restore(&generation, model, rn_bytes_of(bytes, sizeof bytes)), RPCNET_OK);
        assert_int_equal(generation.next_sequence, count + 1);
        assert_int_equal(generation.seed, RUN_SEED);
        rn_generation_checkpoint(&generation, model, again);
        assert_memory_equal(bytes, again, sizeof bytes);
    }
}

static void test_length(void **state) {
    const rn_model *model = *state;
    uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN + 1] = {0};
    take(model, 10, bytes);
    assert_accepted(model, bytes);
    for (size_t len = 0; len < RN_GENERATION_CHECKPOINT_LEN; len++) {
        assert_refused(model, bytes, len);
    }
    assert_refused(model, bytes, RN_GENERATION_CHECKPOINT_LEN + 1);
    assert_refused(model, NULL, 0);
}

static void test_any_flipped_bit(void **state) {
    const rn_model *model = *state;
    uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
    take(model, 10, bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_refused(model, bytes, sizeof bytes);
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    assert_accepted(model, bytes);
}

static void test_other_version(void **state) {
    const rn_model *model = *state;
    uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
    take(model, 10, bytes);
    bytes[AT_VERSION] += 1;
    seal(bytes);
    assert_refused(model, bytes, sizeof bytes);
    bytes[AT_VERSION] -= 1;
    seal(bytes);
    assert_accepted(model, bytes);
}

static void test_other_model(void **state) {
    const rn_model *model = *state;
    rn_model *other = NULL;
    assert_int_equal(rn_model_new_from(&other, rn_bytes_text("Another text.")), RPCNET_OK);
    uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
    take(model, 0, bytes);
    assert_refused(other, bytes, sizeof bytes);
    bytes[AT_FINGERPRINT] ^= 1;
    seal(bytes);
    assert_refused(model, bytes, sizeof bytes);
    rn_model_del(other);
}

static void refuse32(const rn_model *model, size_t count, size_t at, uint32_t value) {
    uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
    take(model, count, bytes);
    rn_model_write32(bytes + at, value);
    seal(bytes);
    assert_refused(model, bytes, sizeof bytes);
}

static void accept32(const rn_model *model, size_t count, size_t at, uint32_t value) {
    uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
    take(model, count, bytes);
    rn_model_write32(bytes + at, value);
    seal(bytes);
    assert_accepted(model, bytes);
}

static void refuse64(const rn_model *model, size_t count, size_t at, uint64_t value) {
    uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
    take(model, count, bytes);
    rn_model_write64(bytes + at, value);
    seal(bytes);
    assert_refused(model, bytes, sizeof bytes);
}

/* A checksum that fits does not make it right. */
static void test_sealed_nonsense(void **state) {
    const rn_model *model = *state;
    uint32_t count = rn_model_word_count(model);
    static const size_t words[] = {AT_LAST_0, AT_LAST_1, AT_START_0, AT_START_1};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        accept32(model, 10, words[i], count - 1);
        refuse32(model, 10, words[i], count);
        refuse32(model, 10, words[i], RN_MODEL_NONE - 1);
    }
    /* As many last words as there are tokens. */
    refuse32(model, 10, AT_LAST_0, RN_MODEL_NONE);
    refuse32(model, 10, AT_LAST_1, RN_MODEL_NONE);
    refuse32(model, 1, AT_LAST_0, 0);
    refuse32(model, 1, AT_LAST_1, RN_MODEL_NONE);
    refuse32(model, 0, AT_LAST_1, 0);
    refuse64(model, 10, AT_NEXT, 0);
    refuse64(model, 10, AT_NEXT, 1);
    refuse64(model, 10, AT_NEXT, 2);
    refuse64(model, 0, AT_NEXT, 2);
    refuse64(model, 0, AT_NEXT, 0);
    /* A second word to begin with needs a first one. */
    refuse32(model, 0, AT_START_0, RN_MODEL_NONE);
    accept32(model, 0, AT_START_1, RN_MODEL_NONE);
    /* Before the first token the hash follows from prompt and seed. */
    refuse64(model, 0, AT_HASH, 1);
    refuse64(model, 0, AT_SEED, RUN_SEED + 1);
    refuse64(model, 0, AT_PROMPT_HASH, 1);
}

static void test_same_request(void **state) {
    const rn_model *model = *state;
    uint8_t bytes[RN_GENERATION_CHECKPOINT_LEN];
    take(model, 10, bytes);
    rn_generation restored;
    assert_int_equal(rn_generation_restore(&restored, model, rn_bytes_of(bytes, sizeof bytes)),
                     RPCNET_OK);
    rn_generation started;
    run_start(&started, model);
    assert_true(rn_generation_same_request(&restored, &started));
    rn_generation_start(&started, model, rn_bytes_text(RUN_PROMPT), RUN_SEED + 1);
    assert_false(rn_generation_same_request(&restored, &started));
    rn_generation_start(&started, model, rn_bytes_text(RUN_PROMPT "!"), RUN_SEED);
    assert_false(rn_generation_same_request(&restored, &started));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_length),
        cmocka_unit_test(test_any_flipped_bit), cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_other_model),     cmocka_unit_test(test_sealed_nonsense),
        cmocka_unit_test(test_same_request),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
