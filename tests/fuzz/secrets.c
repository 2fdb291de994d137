/* secrets: the files of bearer tokens' hashes and of the cluster's secret, and the field that bears
 * a token. The first line is a value of "authorization", all is a file. */
#include "common/certs.h"
#include "common/tokens.h"
#include "fuzz/fuzz.h"

static void check_tokens(rn_bytes text, rn_bytes token) {
    char error[RN_TOKENS_ERROR_MAX] = "";
    rn_tokens *tokens = NULL;
    int rv = rn_tokens_parse(&tokens, text, error);
    if (rv != RPCNET_OK) {
        assert(rv == RPCNET_ERR_PARSE || rv == RPCNET_ERR_LIMIT);
        assert(tokens == NULL && error[0] != '\0');
        return;
    }
    assert(rn_tokens_count(tokens) > 0 && rn_tokens_count(tokens) <= RN_TOKENS_MAX);
    const char *name = rn_tokens_match(tokens, token);
    assert(name == NULL || strlen(name) <= RN_TOKEN_NAME_MAX);
    rn_tokens_del(tokens);
}

static void check_secret(rn_bytes text) {
    rn_secret secret;
    if (rn_secret_parse((const char *)text.data, text.len, &secret)) {
        assert(text.len >= 2 * (size_t)RPCNET_SECRET_LEN);
        assert((rn_secret_previous(&secret) != NULL) == secret.changed);
    }
    rn_secret_wipe(&secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    rn_bytes line = fuzz_line(&input);
    rn_bytes token = line;
    uint8_t *field = fuzz_copy(line);
    uint8_t *file = fuzz_copy(rn_bytes_of(data, size));
    if (rn_token_of_field(rn_bytes_of(field, line.len), &token)) {
        assert(token.len > 0 && token.len <= RN_TOKEN_MAX);
        assert(token.data > field && token.data + token.len == field + line.len);
    } else {
        token = rn_bytes_of(field, line.len);
    }
    check_tokens(rn_bytes_of(file, size), token);
    check_secret(rn_bytes_of(file, size));
    free(field);
    free(file);
    return 0;
}
