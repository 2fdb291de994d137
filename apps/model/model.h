/* model: the demo's language model, a word-level Markov chain over a text that is compiled in.
 *
 * What it says is a pure function of prompt, seed and every token before: the choice of token n
 * comes from a running hash over the ids and texts of tokens 1 to n - 1. A generation that moved
 * between processes therefore continues byte for byte as if it had stayed, and a single altered
 * token on the way changes all that follows. Nothing here depends on machine, clock or order of
 * calls.
 *
 *   rn_generation_start ──► next, next, next ...            undisturbed
 *   rn_generation_start ──► feed what was delivered ──► next    moved, from the journal
 *   rn_generation_restore ──► feed what followed ──► next       moved, from a checkpoint
 *
 * Tokens are words with their leading space and punctuation marks without one; concatenated they
 * are the text. */
#ifndef RN_MODEL_MODEL_H
#define RN_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "rpcnet/error.h"

enum {
    RN_MODEL_WORD_MAX = 31,                    /* bytes of a word */
    RN_MODEL_TEXT_MAX = 1 + RN_MODEL_WORD_MAX, /* bytes of a token's text */
    RN_MODEL_WORDS_MAX = 4096,                 /* entries of a vocabulary */
    RN_MODEL_TOKENS_MAX = 65536,               /* words and marks of a text to learn from */
    RN_GENERATION_CHECKPOINT_LEN = 68          /* bytes */
};

#define RN_MODEL_NONE UINT32_MAX /* no word */

/* Vocabulary and transition tables. Never changes after it was built, so one serves any number of
 * generations and threads. */
typedef struct rn_model rn_model;

/* Builds the model of the text that is compiled in. RPCNET_ERR_MEMORY. */
int rn_model_new(rn_model **out);

/* Builds the model of another text: words of ASCII letters (inside a word also ' and -), the marks
 * . , ; : ? ! and white space; the last of it ends a sentence. RPCNET_ERR_PARSE for any other
 * text, RPCNET_ERR_LIMIT when it exceeds one of the limits above, RPCNET_ERR_MEMORY. */
int rn_model_new_from(rn_model **out, rn_bytes text);
void rn_model_del(rn_model *model);

uint32_t rn_model_word_count(const rn_model *model); /* ids are 0 .. count - 1 */

/* One generated token. */
typedef struct rn_token {
    uint64_t sequence; /* counts from 1 */
    uint32_t id;
    const char *text; /* NUL-terminated, at most RN_MODEL_TEXT_MAX bytes; lives as the model does */
} rn_token;

/* Where a generation stands; a value, copied freely. It refers to no memory. */
typedef struct rn_generation {
    uint64_t seed;
    uint64_t prompt_hash;
    uint64_t hash;          /* over all tokens so far */
    uint64_t next_sequence; /* of the token to come, from 1 */
    uint32_t last[2];       /* the last two words, the later one second; RN_MODEL_NONE: none yet */
    uint32_t start[2];      /* the words of the prompt to begin with, or RN_MODEL_NONE */
} rn_generation;

/* Begins a generation. If words of the prompt are known to the model, the text begins with the most
 * telling one or two of them. Any bytes are a prompt. */
void rn_generation_start(rn_generation *generation, const rn_model *model, rn_bytes prompt,
                         uint64_t seed);

/* Makes the next token. Always succeeds, allocates nothing. */
void rn_generation_next(rn_generation *generation, const rn_model *model, rn_token *token);

/* Takes a token that was delivered before, as number `next_sequence`. RPCNET_ERR_PARSE, and nothing
 * is changed, when the vocabulary has no such id or `text` is not how a token of that id is
 * written: small or with a capital, and with a leading space unless it is a mark or the first
 * token. It is not compared with what the model would have said. */
int rn_generation_feed(rn_generation *generation, const rn_model *model, uint32_t id,
                       rn_bytes text);

/* Lets other words change every choice from here on: what is said to the model in mid-text. */
void rn_generation_mix(rn_generation *generation, rn_bytes text);

/* Writes all that is needed to go on from here. */
void rn_generation_checkpoint(const rn_generation *generation, const rn_model *model,
                              uint8_t out[RN_GENERATION_CHECKPOINT_LEN]);

/* Reads a checkpoint. RPCNET_ERR_PARSE, and nothing is changed, when the bytes are damaged, of
 * another version or of another model, or describe a state that no generation can be in. */
int rn_generation_restore(rn_generation *generation, const rn_model *model, rn_bytes checkpoint);

/* Do both answer the same request: same prompt, same seed? */
bool rn_generation_same_request(const rn_generation *a, const rn_generation *b);

#endif
