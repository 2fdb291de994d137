/* tokens: bearer tokens (RFC 6750) by which clients are known.
 *
 * A director has a file of their SHA-256 hashes, so that nobody who reads it can call:
 *
 *   # one token a line: its hash in 64 hexadecimal digits, and a name if you like
 *   2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 batch jobs
 *
 * A client has a file with its one token. */
#ifndef APPS_COMMON_TOKENS_H
#define APPS_COMMON_TOKENS_H

#include <stdbool.h>

#include "base/bytes.h"

enum {
    RN_TOKENS_MAX = 4096,         /* tokens of a file */
    RN_TOKENS_FILE_MAX = 1 << 20, /* bytes of it */
    RN_TOKEN_MAX = 4096,          /* bytes of a token */
    RN_TOKEN_NAME_MAX = 64,       /* bytes of a name */
    RN_TOKENS_ERROR_MAX = 256
};

typedef struct rn_tokens rn_tokens;

/* Takes the text of a file of hashes. On failure `error` says what is wrong in which line.
 * RPCNET_ERR_PARSE (also without a single token), RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY. */
int rn_tokens_parse(rn_tokens **out, rn_bytes text, char error[RN_TOKENS_ERROR_MAX]);
/* The same with a file. RPCNET_ERR_IO: it cannot be read. */
int rn_tokens_load(rn_tokens **out, const char *file, char error[RN_TOKENS_ERROR_MAX]);
void rn_tokens_del(rn_tokens *tokens);
size_t rn_tokens_count(const rn_tokens *tokens);

/* The name that stands beside the token, "" for none; NULL: nobody's token. All entries are
 * compared, each in constant time. */
const char *rn_tokens_match(const rn_tokens *tokens, rn_bytes token);

/* The token in the value of an authorization field: "Bearer <token>". False: it is none. */
bool rn_token_of_field(rn_bytes value, rn_bytes *token);

/* Reads a client's file: one token, with white space around it. RPCNET_ERR_IO, RPCNET_ERR_PARSE
 * with `error`, which does not show it. Wipe `out` after use. */
int rn_token_read(const char *file, char out[RN_TOKEN_MAX + 1], char error[RN_TOKENS_ERROR_MAX]);

#endif
