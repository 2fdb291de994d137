/* Tests of base/text: what is escaped, where text is cut, distances of names. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "naive.h"

static const struct {
    const char *in;
    const char *out;
} samples[] = {
    {"", ""},
    {"plain text ~", "plain text ~"},
    {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
     "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"a\nb\r\tc\x1b[31m", "a\\x0ab\\x0d\\x09c\\x1b[31m"},
    {"\x7f", "\\x7f"},
    {"\xc2\x80\xc2\x9f\xc2\xa0", "\\xc2\\x80\\xc2\\x9f\xc2\xa0"},
    /* Such characters are what is tested. NOLINTNEXTLINE(misc-misleading-bidirectional) */
    {"\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf",
     "\xe2\x80\xa7\\xe2\\x80\\xa8\\xe2\\x80\\xae\xe2\x80\xaf"},
    {"\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9\xe2\x81\xaa"},
    {"\x80z\xbf", "\\x80z\\xbf"},
    {"\xc3", "\\xc3"},
    {"\xc3(", "\\xc3("},
    {"\xe2\x82", "\\xe2\\x82"},
    {"\xc0\x80\xc1\xbf", "\\xc0\\x80\\xc1\\xbf"},
    {"\xc1\x81", "\\xc1\\x81"},
    {"\xe0\x9f\xbf\xe0\xa0\x80", "\\xe0\\x9f\\xbf\xe0\xa0\x80"},
    {"\xed\x9f\xbf\xed\xa0\x80\xee\x80\x80", "\xed\x9f\xbf\\xed\\xa0\\x80\xee\x80\x80"},
    {"\xf0\x8f\xbf\xbf\xf0\x90\x80\x80", "\\xf0\\x8f\\xbf\\xbf\xf0\x90\x80\x80"},
    {"\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf\\xf4\\x90\\x80\\x80"},
    {"\xf5\x80\xfe\xff", "\\xf5\\x80\\xfe\\xff"},
};

static void test_escaping(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char out[128];
        assert_string_equal(rn_text_escape(rn_bytes_text(samples[i].in), out, sizeof out),
                            samples[i].out);
    }
    char out[16];
    assert_string_equal(rn_text_escape(rn_bytes_of("a\0b", 3), out, sizeof out), "a\\x00b");
}

static void test_cutting(void **state) {
    (void)state;
    static const struct {
        const char *in;
        size_t size;
        const char *out;
    } cuts[] = {
        {"abc", 4, "abc"},        {"abcd", 4, "…"},       {"abcd", 5, "abcd"}, {"abcde", 5, "a…"},
        {"abcdefgh", 8, "abcd…"}, {"ab\n", 7, "ab\\x0a"}, {"ab\n", 6, "ab…"},  {"a€€", 8, "a€€"},
        {"a€€", 7, "a…"},         {"a€€b", 8, "a€…"},
    };
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        char out[16];
        memset(out, 'Z', sizeof out);
        assert_string_equal(rn_text_escape(rn_bytes_text(cuts[i].in), out, cuts[i].size),
                            cuts[i].out);
        assert_int_equal(out[cuts[i].size], 'Z');
    }
}

static void test_values(void **state) {
    (void)state;
    static const struct {
        const char *in;
        size_t size;
        const char *out;
    } values[] = {
        {"prompt-0a1b", 64, "prompt-0a1b"},
        {"gr\xc3\xbc\xc3\x9f", 64, "gr\xc3\xbc\xc3\x9f"},
        {"", 6, "\"\""},
        {"a b", 64, "\"a b\""},
        {"x code=OK", 64, "\"x code=OK\""},
        {"a=b", 64, "\"a=b\""},
        {"say \"no\"", 64, "\"say \\\"no\\\"\""},
        {"\"", 64, "\"\\\"\""},
        {"a\\", 64, "\"a\\\\\""},
        {"a\nb", 64, "\"a\\x0ab\""},
        {"a\\x0ab", 64, "\"a\\\\x0ab\""},
        {"\xff", 64, "\"\\xff\""},
        /* cut: the quote is closed, and no escape is torn */
        {"abcdef", 7, "abcdef"},
        {"abcdefg", 7, "abc…"},
        {"a b", 6, "\"a b\""},
        {"a bc", 6, "\"…\""},
        {"a bc", 7, "\"a bc\""},
        {"a bcd", 7, "\"a…\""},
        {"a \"bc", 9, "\"a \\\"bc\""},
        {"a \"bcd", 9, "\"a …\""},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char out[66];
        memset(out, 'Z', sizeof out);
        assert_string_equal(rn_text_value(rn_bytes_text(values[i].in), out, values[i].size),
                            values[i].out);
        assert_int_equal(out[values[i].size], 'Z');
    }
}

static void test_quotes(void **state) {
    (void)state;
    static const struct {
        const char *in;
        size_t size;
        const char *out;
    } quotes[] = {
        {"full", 64, "\"full\""},
        {"", 6, "\"\""},
        {"x\" code=OK err=\"y", 64, "\"x\\\" code=OK err=\\\"y\""},
        {"x\\", 64, "\"x\\\\\""},
        {"\n\\x0a", 64, "\"\\x0a\\\\x0a\""},
        /* one below its length, and as long as may be */
        {"abcd", 6, "\"…\""},
        {"abcd", 7, "\"abcd\""},
        {"abc\"", 7, "\"a…\""},
        {"abc\"", 8, "\"abc\\\"\""},
    };
    for (size_t i = 0; i < sizeof quotes / sizeof quotes[0]; i++) {
        char out[66];
        memset(out, 'Z', sizeof out);
        assert_string_equal(rn_text_quote(rn_bytes_text(quotes[i].in), out, quotes[i].size),
                            quotes[i].out);
        assert_int_equal(out[quotes[i].size], 'Z');
    }
}

/* As arguments of one line: each has a place of its own, and keeps to it. */
static void test_arguments(void **state) {
    (void)state;
    char text[2 * RN_TEXT_SHOWN_MAX];
    char line[3 * RN_TEXT_SHOWN_MAX];
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    snprintf(line, sizeof line, "a=%s err=%s b=%s c", RN_TEXT_VALUE(rn_bytes_text("plain")),
             RN_TEXT_QUOTE(rn_bytes_text(text)), RN_TEXT_VALUE(rn_bytes_text("two words")));
    assert_memory_equal(line, "a=plain err=\"\\\"", 15);
    assert_non_null(strstr(line, "…\" b=\"two words\" c"));
    assert_true(strlen(line) < RN_TEXT_SHOWN_MAX + 40);
}

static void test_utf8(void **state) {
    (void)state;
    assert_true(rn_text_is_utf8(rn_bytes_text("")));
    assert_true(rn_text_is_utf8(rn_bytes_text("gr\xc3\xbc\n\xf0\x9f\x98\x80")));
    assert_false(rn_text_is_utf8(rn_bytes_text("gr\xc3")));
    assert_false(rn_text_is_utf8(rn_bytes_text("\xed\xa0\x80")));
}

static void test_distance(void **state) {
    (void)state;
    assert_int_equal(rn_text_distance("", ""), 0);
    assert_int_equal(rn_text_distance("user-addr", "user-addr"), 0);
    assert_int_equal(rn_text_distance("user-adr", "user-addr"), 1);
    assert_int_equal(rn_text_distance("user-addrr", "user-addr"), 1);
    assert_int_equal(rn_text_distance("usre-addr", "user-addr"), 1);
    assert_int_equal(rn_text_distance("user_addr", "user-addr"), 1);
    assert_int_equal(rn_text_distance("", "abc"), 3);
    assert_int_equal(rn_text_distance("abc", ""), 3);
    assert_int_equal(rn_text_distance("kitten", "sitting"), 3);
    char name[65];
    memset(name, 'a', 64);
    name[64] = '\0';
    assert_true(rn_text_distance(name, "a") == SIZE_MAX);
    assert_int_equal(rn_text_distance(name + 1, ""), 63);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escaping),  cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
