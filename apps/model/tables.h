/* tables: what a model consists of; shared by model.c and generation.c only. */
#ifndef RN_MODEL_TABLES_H
#define RN_MODEL_TABLES_H

#include "model/model.h"

/* At most half full, so that a probe soon ends. A power of two. */
enum { RN_MODEL_SLOTS = 2 * RN_MODEL_WORDS_MAX };

typedef struct rn_model_word {
    char small[RN_MODEL_TEXT_MAX + 1];   /* " river"; a mark: "," */
    char capital[RN_MODEL_TEXT_MAX + 1]; /* " River"; a mark: "," */
    uint8_t len;                         /* of either */
    bool mark;
    bool ends_sentence;
    bool seen_small;  /* a word that is only ever capital inside sentences is a name: it is */
    bool seen_inside; /* written with a capital everywhere */
} rn_model_word;

/* Three tokens in a row. */
typedef struct rn_model_trigram {
    uint32_t word[3];
} rn_model_trigram;

/* A range of trigrams. */
typedef struct rn_model_range {
    uint32_t begin;
    uint32_t end;
} rn_model_range;

struct rn_model {
    uint64_t fingerprint; /* of the text and of the rules below */
    uint32_t word_count;
    uint32_t trigram_count;
    uint32_t opening; /* the mark that a new text is thought to follow */
    rn_model_word *words;
    rn_model_trigram *trigrams;     /* each one of the text, which is read as a circle, sorted */
    uint32_t *first;                /* word -> its first trigram; one more entry than words */
    uint32_t slots[RN_MODEL_SLOTS]; /* hash table over the small spellings: id + 1, or 0 */
};

/* Cuts the next word or mark off *cursor, skipping white space. Bytes of zero length: the end, or,
 * with *cursor < end, a byte that belongs to neither. */
rn_bytes rn_model_scan(const uint8_t **cursor, const uint8_t *end);

/* The word's id, whatever its case; RN_MODEL_NONE. */
uint32_t rn_model_find(const rn_model *model, rn_bytes word);

/* The trigrams that begin with a, and those that begin with a, b. Never empty for one word of the
 * vocabulary; may be empty for two. */
rn_model_range rn_model_after(const rn_model *model, uint32_t a);
rn_model_range rn_model_after_two(const rn_model *model, uint32_t a, uint32_t b);

#endif
