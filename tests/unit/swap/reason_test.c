/* Unit tests of src/swap/reason and src/swap/sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "random.h"
#include "swap/reason.h"
#include "swap/sentence.h"

static void every_reason_has_a_name_and_a_sentence(void **state) {
    (void)state;
    static const struct {
        uint32_t reason;
        const char *name;
        const char *sentence;
    } cases[] = {
        {RN_SWAP_FAILURE, "failure", "worker-a failed"},
        {RN_SWAP_KILLED, "killed", "worker-a was killed"},
        {RN_SWAP_HUNG, "hung", "worker-a stopped answering"},
        {RN_SWAP_STALLED, "stalled", "worker-a stopped making progress"},
        {RN_SWAP_DRAIN, "drain", "worker-a is draining"},
        {RN_SWAP_LOST, "lost", "worker-a was lost"},
        {RN_SWAP_NONE, "unknown", "worker-a lost the stream"},
        {RN_SWAP_REASONS, "unknown", "worker-a lost the stream"},
        {UINT32_MAX, "unknown", "worker-a lost the stream"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[RN_SWAP_SENTENCE_SIZE];
        size_t len =
            rn_swap_reason_text(out, sizeof out, cases[i].reason, rn_bytes_text("worker-a"));
        assert_string_equal(out, cases[i].sentence);
        assert_int_equal(len, strlen(out));
        assert_string_equal(rn_swap_reason_name(cases[i].reason), cases[i].name);
    }
}

static void labels_are_made_safe(void **state) {
    (void)state;
    char out[RN_SWAP_SENTENCE_SIZE];
    rn_swap_reason_text(out, sizeof out, RN_SWAP_KILLED, rn_bytes_of(NULL, 0));
    assert_string_equal(out, "the worker was killed");
    rn_swap_reason_text(out, sizeof out, RN_SWAP_KILLED, rn_bytes_of("a\n\0\xff", 4));
    assert_string_equal(out, "a\\x0a\\x00\\xff was killed");
    rn_swap_reason_text(out, 10, RN_SWAP_KILLED, rn_bytes_text("worker-a"));
    assert_string_equal(out, "worker-a ");
}

static void copies_cut_at_a_character(void **state) {
    (void)state;
    /* One, two, three and four bytes. */
    const char *text = "a\u00e9\u20ac\U0001f600";
    static const size_t lens[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    for (size_t size = 1; size <= 12; size++) {
        char copied[16];
        char formatted[16];
        assert_int_equal(rn_sentence_copy(copied, size, rn_bytes_text(text)), lens[size - 1]);
        assert_int_equal(rn_sentence_format(formatted, size, "%s", text), lens[size - 1]);
        assert_string_equal(copied, formatted);
        assert_int_equal(strlen(copied), lens[size - 1]);
        assert_memory_equal(copied, text, lens[size - 1]);
    }
}

static void any_bytes_become_a_sentence(void **state) {
    (void)state;
    random_source random = {0x5eed0002};
    print_message("seed 0x5eed0002\n");
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[40];
        char out[64];
        char cut[64];
        size_t len = random_below(&random, sizeof bytes);
        size_t size = 1 + random_below(&random, sizeof out);
        random_fill(&random, bytes, len);
        size_t written = rn_sentence_copy(out, size, rn_bytes_of(bytes, len));
        assert_true(written < size && strlen(out) == written);
        assert_true(rn_text_is_utf8(rn_bytes_of(out, written)));
        for (size_t i = 0; i < written; i++) {
            assert_true((uint8_t)out[i] >= 0x20 && out[i] != 0x7f);
        }
        size = 1 + random_below(&random, sizeof cut);
        written = rn_sentence_format(cut, size, "%s!", out);
        assert_true(written < size && strlen(cut) == written);
        assert_true(rn_text_is_utf8(rn_bytes_of(cut, written)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_name_and_a_sentence),
        cmocka_unit_test(labels_are_made_safe),
        cmocka_unit_test(copies_cut_at_a_character),
        cmocka_unit_test(any_bytes_become_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
