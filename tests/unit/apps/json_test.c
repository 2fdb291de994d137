/* Tests of common/json: what a peer's text may not do to a line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "rpcnet/error.h"

static void string_is(const char *text, size_t len, const char *expected) {
    rn_buffer out;
    rn_buffer_init(&out, 4096);
    assert_int_equal(rn_json_string(&out, rn_bytes_of(text, len)), RPCNET_OK);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    rn_buffer_fini(&out);
}

#define STRING_IS(text, expected) string_is((text), sizeof(text) - 1, (expected))

static void test_string(void **state) {
    (void)state;
    STRING_IS("", "\"\"");
    STRING_IS("plain, words.", "\"plain, words.\"");
    STRING_IS("a\"b\\c", "\"a\\u0022b\\u005cc\"");
    STRING_IS("a\0b\n\r\t\x1b[31m\x7f", "\"a\\u0000b\\u000a\\u000d\\u0009\\u001b[31m\\u007f\"");
    STRING_IS("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
              "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
    STRING_IS("\xc2\x85", "\"\\u0085\"");     /* a C1 control */
    STRING_IS("\xe2\x80\xa8", "\"\\u2028\""); /* the line separator */
    /* NOLINTNEXTLINE(misc-misleading-bidirectional) */
    STRING_IS("\xe2\x80\xae", "\"\\u202e\"");               /* turns the line around */
    STRING_IS("\xff", "\"\\ufffd\"");                       /* no UTF-8 */
    STRING_IS("\xc3", "\"\\ufffd\"");                       /* cut off */
    STRING_IS("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
}

static void test_limit(void **state) {
    (void)state;
    for (size_t limit = 4; limit <= 6; limit++) {
        rn_buffer out;
        rn_buffer_init(&out, limit);
        int result = rn_json_string(&out, rn_bytes_text("abc"));
        assert_int_equal(result, limit < 5 ? RPCNET_ERR_LIMIT : RPCNET_OK);
        assert_int_equal(out.len, limit < 5 ? 0 : 5);
        rn_buffer_fini(&out);
    }
}

static void test_object(void **state) {
    (void)state;
    static const char expected[] =
        "{\"t\":\"x\",\"n\":18446744073709551615,\"r\":1.500,\"b\":true}";
    rn_buffer out;
    rn_json json;
    rn_buffer_init(&out, 4096);
    rn_json_begin(&json, &out);
    rn_json_text(&json, "t", rn_bytes_text("x"));
    rn_json_number(&json, "n", UINT64_MAX);
    rn_json_real(&json, "r", 1.5);
    rn_json_bool(&json, "b", true);
    assert_int_equal(rn_json_end(&json), RPCNET_OK);
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.len);
    rn_buffer_fini(&out);

    rn_buffer_init(&out, 8); /* the first error stays */
    rn_json_begin(&json, &out);
    rn_json_text(&json, "long", rn_bytes_text("longer than that"));
    rn_json_bool(&json, "b", true);
    assert_int_equal(rn_json_end(&json), RPCNET_ERR_LIMIT);
    rn_buffer_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_string),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
