/* Tests of common/tokens: the file of hashes, what is a token, who is known. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tokens.h"
#include "rpcnet/error.h"

/* printf abc | sha256sum, and so on. */
#define OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OF_HELLO "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824"
#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static rn_tokens *parse(const char *text) {
    char error[RN_TOKENS_ERROR_MAX];
    rn_tokens *tokens = NULL;
    assert_int_equal(rn_tokens_parse(&tokens, rn_bytes_text(text), error), RPCNET_OK);
    return tokens;
}

static const char *match(const rn_tokens *tokens, const char *token) {
    return rn_tokens_match(tokens, rn_bytes_text(token));
}

static void test_match(void **state) {
    (void)state;
    rn_tokens *tokens = parse("# people\n\n" OF_ABC "  first client \n\t" OF_HELLO "\r\n");
    assert_int_equal(rn_tokens_count(tokens), 2);
    assert_string_equal(match(tokens, "abc"), "first client");
    assert_string_equal(match(tokens, "hello"), "");
    assert_null(match(tokens, "abcd"));
    assert_null(match(tokens, "ab"));
    assert_null(match(tokens, "ABC"));
    assert_null(match(tokens, ""));
    assert_null(match(tokens, OF_ABC)); /* whoever has the file has no token */
    rn_tokens_del(tokens);

    /* The last byte of the hash counts, and one entry is enough. */
    tokens = parse("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ae\n");
    assert_null(match(tokens, "abc"));
    rn_tokens_del(tokens);
    tokens = parse(OF_HELLO);
    assert_string_equal(match(tokens, "hello"), "");
    rn_tokens_del(tokens);
    rn_tokens_del(NULL);
}

static void is_wrong(const char *text, size_t len, int result, const char *says) {
    char error[RN_TOKENS_ERROR_MAX] = "";
    rn_tokens *tokens = NULL;
    assert_int_equal(rn_tokens_parse(&tokens, rn_bytes_of(text, len), error), result);
    assert_null(tokens);
    if (strstr(error, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error, says);
    }
}

static void test_wrong_files(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } wrong[] = {
        {"", "no token"},
        {"# nobody\n\n", "no token"},
        {"abc\n", "line 1"},
        {OF_ABC "\n\nsecret\n", "line 3"},
        {OF_ABC "0\n", "line 1"},
        {OF_ABC "# name\n", "line 1"},
        {"xa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n", "line 1"},
        {OF_ABC " na\001me\n", "printable"},
        {OF_ABC " n\303\244me\n", "printable"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        is_wrong(wrong[i].text, strlen(wrong[i].text), RPCNET_ERR_PARSE, wrong[i].says);
    }
    static const char with_nul[] = OF_ABC " a\0b";
    is_wrong(with_nul, sizeof with_nul - 1, RPCNET_ERR_PARSE, "printable");
}

static void test_limits(void **state) {
    (void)state;
    char name[RN_TOKEN_NAME_MAX + 2];
    char line[160];
    for (size_t len = RN_TOKEN_NAME_MAX - 1; len <= RN_TOKEN_NAME_MAX + 1; len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        int size = snprintf(line, sizeof line, OF_ABC " %s", name);
        if (len > RN_TOKEN_NAME_MAX) {
            is_wrong(line, (size_t)size, RPCNET_ERR_PARSE, "64 bytes");
        } else {
            rn_tokens *tokens = parse(line);
            assert_string_equal(match(tokens, "abc"), name);
            rn_tokens_del(tokens);
        }
    }

    size_t each = strlen(OF_HELLO "\n");
    char *text = malloc((RN_TOKENS_MAX + 1) * each + 1);
    assert_non_null(text);
    for (size_t i = 0; i <= RN_TOKENS_MAX; i++) {
        strcpy(text + i * each, i == RN_TOKENS_MAX - 1 ? OF_ABC "\n" : OF_HELLO "\n");
    }
    is_wrong(text, strlen(text), RPCNET_ERR_LIMIT, "more than");
    text[RN_TOKENS_MAX * each] = '\0';
    rn_tokens *tokens = parse(text);
    assert_int_equal(rn_tokens_count(tokens), RN_TOKENS_MAX);
    assert_non_null(match(tokens, "abc"));
    rn_tokens_del(tokens);
    free(text);
}

static bool is_field(const char *value, const char *expected) {
    rn_bytes token;
    return rn_token_of_field(rn_bytes_text(value), &token) && token.len == strlen(expected) &&
           memcmp(token.data, expected, token.len) == 0;
}

static void test_field(void **state) {
    (void)state;
    static const char *const wrong[] = {"",         "Bearer",     "Bearer ",     "Bearer  ",
                                        "abc",      "Basic abc",  "Bearerabc",   "Bearer a b",
                                        "Bearer =", "Bearer a=b", "Bearer a\"b", "Bearer \303\244"};
    rn_bytes token;
    assert_true(is_field("Bearer abc", "abc"));
    assert_true(is_field("bearer  abc==", "abc=="));
    assert_true(is_field("BEARER aZ09-._~+/=", "aZ09-._~+/="));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(rn_token_of_field(rn_bytes_text(wrong[i]), &token));
    }
    assert_false(rn_token_of_field(rn_bytes_of("Bearer a\0b", 10), &token));

    char value[RN_TOKEN_MAX + 16];
    for (size_t len = RN_TOKEN_MAX - 1; len <= RN_TOKEN_MAX + 1; len++) {
        memset(value, 'x', sizeof value);
        memcpy(value, "Bearer ", 7); /* NOLINT(bugprone-not-null-terminated-result) */
        assert_int_equal(rn_token_of_field(rn_bytes_of(value, 7 + len), &token),
                         len <= RN_TOKEN_MAX);
    }
}

/* ---- files ---- */

static char path[64];

static void write_file(const void *bytes, size_t len) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/rpcnet-tokens-XXXXXX");
    int fd = mkstemp(path);
    return fd >= 0 && close(fd) == 0 ? 0 : -1;
}

static int remove_path(void **state) {
    (void)state;
    (void)unlink(path);
    return 0;
}

static void test_token_file(void **state) {
    (void)state;
    char token[RN_TOKEN_MAX + 1];
    char error[RN_TOKENS_ERROR_MAX];
    write_file(" abc==\r\n", 8);
    assert_int_equal(rn_token_read(path, token, error), RPCNET_OK);
    assert_string_equal(token, "abc==");

    static const char *const wrong[] = {"", "\n", "sesame open\n", "se\nsame\n", "s\303\244same"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_file(wrong[i], strlen(wrong[i]));
        assert_int_equal(rn_token_read(path, token, error), RPCNET_ERR_PARSE);
        assert_null(strstr(error, "same")); /* nothing of it is shown */
    }

    char text[RN_TOKEN_MAX + 2];
    memset(text, 'x', sizeof text);
    write_file(text, RN_TOKEN_MAX);
    assert_int_equal(rn_token_read(path, token, error), RPCNET_OK);
    assert_int_equal(strlen(token), RN_TOKEN_MAX);
    write_file(text, RN_TOKEN_MAX + 1);
    assert_int_equal(rn_token_read(path, token, error), RPCNET_ERR_PARSE);

    assert_int_equal(rn_token_read("/nonexistent/token", token, error), RPCNET_ERR_IO);
    assert_non_null(strstr(error, "No such file"));
}

static void test_hash_file(void **state) {
    (void)state;
    char error[RN_TOKENS_ERROR_MAX];
    rn_tokens *tokens = NULL;
    write_file(OF_NOTHING " nobody\n" OF_ABC " me\n",
               strlen(OF_NOTHING " nobody\n" OF_ABC " me\n"));
    assert_int_equal(rn_tokens_load(&tokens, path, error), RPCNET_OK);
    assert_string_equal(match(tokens, "abc"), "me");
    rn_tokens_del(tokens);
    tokens = NULL;

    assert_int_equal(rn_tokens_load(&tokens, "/nonexistent/tokens", error), RPCNET_ERR_IO);
    assert_non_null(strstr(error, "No such file"));
    assert_int_equal(rn_tokens_load(&tokens, "/", error), RPCNET_ERR_IO);

    char *text = malloc(RN_TOKENS_FILE_MAX + 1);
    assert_non_null(text);
    memset(text, '\n', RN_TOKENS_FILE_MAX + 1);
    memcpy(text, OF_ABC, 64); /* NOLINT(bugprone-not-null-terminated-result) */
    write_file(text, RN_TOKENS_FILE_MAX);
    assert_int_equal(rn_tokens_load(&tokens, path, error), RPCNET_OK);
    rn_tokens_del(tokens);
    tokens = NULL;
    write_file(text, RN_TOKENS_FILE_MAX + 1);
    assert_int_equal(rn_tokens_load(&tokens, path, error), RPCNET_ERR_IO);
    assert_non_null(strstr(error, "too large"));
    assert_null(tokens);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_field),
        cmocka_unit_test_setup_teardown(test_token_file, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_hash_file, make_path, remove_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
