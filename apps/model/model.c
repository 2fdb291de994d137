/* Builds the tables: the text is cut into tokens, each distinct one becomes an id, and all trigrams
 * are sorted. Successors of one or two words are then a range of that one array, in which a more
 * frequent successor simply occurs more often. */
#include "model/model.h"

#include <assert.h>
#include <stdlib.h>

#include "model/corpus.h"
#include "model/hash.h"
#include "model/tables.h"

/* Part of the fingerprint: to be changed whenever the same text would yield other tokens. */
static const rn_model_key fingerprint_key = {.k0 = 0x6d6f64656c, .k1 = 1};
static const rn_model_key slot_key = {.k0 = 0x736c6f74, .k1 = 1};

/* Character classes of their own: those of <ctype.h> depend on the locale. */
static bool is_upper(uint8_t c) {
    return c >= 'A' && c <= 'Z';
}
static bool is_letter(uint8_t c) {
    return is_upper(c) || (c >= 'a' && c <= 'z');
}
static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static bool is_end(uint8_t c) {
    return c == '.' || c == '?' || c == '!';
}
static bool is_mark(uint8_t c) {
    return is_end(c) || c == ',' || c == ';' || c == ':';
}
static char to_lower(uint8_t c) {
    return (char)(is_upper(c) ? c - 'A' + 'a' : c);
}
static char to_upper(uint8_t c) {
    return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

rn_bytes rn_model_scan(const uint8_t **cursor, const uint8_t *end) {
    const uint8_t *p = *cursor;
    while (p < end && is_space(*p)) {
        p++;
    }
    const uint8_t *begin = p;
    if (p < end && is_mark(*p)) {
        p++;
    } else if (p < end && is_letter(*p)) {
        while (p < end && (is_letter(*p) || *p == '\'' || *p == '-')) {
            p++;
        }
    }
    *cursor = p;
    return rn_bytes_of(begin, (size_t)(p - begin));
}

/* Finds the slot of a word of any case: the one that holds it, or the empty one where it belongs.
 * `folded` takes the word in small letters. */
static size_t find_slot(const rn_model *model, rn_bytes word, char folded[RN_MODEL_WORD_MAX]) {
    assert(word.len >= 1 && word.len <= RN_MODEL_WORD_MAX);
    for (size_t i = 0; i < word.len; i++) {
        folded[i] = to_lower(word.data[i]);
    }
    rn_bytes key = rn_bytes_of(folded, word.len);
    size_t slot = rn_model_hash(slot_key, key) % RN_MODEL_SLOTS;
    while (model->slots[slot] != 0) {
        const rn_model_word *known = &model->words[model->slots[slot] - 1];
        size_t skip = known->mark ? 0 : 1;
        /* Names are spelt with a capital; the key of a word is always folded. */
        if (known->len - skip == word.len) {
            size_t same = 0;
            while (same < word.len &&
                   to_lower((uint8_t)known->small[skip + same]) == folded[same]) {
                same++;
            }
            if (same == word.len) {
                break;
            }
        }
        slot = (slot + 1) % RN_MODEL_SLOTS;
    }
    return slot;
}

uint32_t rn_model_find(const rn_model *model, rn_bytes word) {
    char folded[RN_MODEL_WORD_MAX];
    if (word.len < 1 || word.len > RN_MODEL_WORD_MAX) {
        return RN_MODEL_NONE;
    }
    size_t slot = find_slot(model, word, folded);
    return model->slots[slot] == 0 ? RN_MODEL_NONE : model->slots[slot] - 1;
}

/* Gives the id of a token of the text, a new one if it is new. */
static int learn_word(rn_model *model, rn_bytes token, bool inside, uint32_t *id) {
    if (token.len > RN_MODEL_WORD_MAX) {
        return RPCNET_ERR_LIMIT;
    }
    char folded[RN_MODEL_WORD_MAX];
    size_t slot = find_slot(model, token, folded);
    if (model->slots[slot] == 0) {
        if (model->word_count == RN_MODEL_WORDS_MAX) {
            return RPCNET_ERR_LIMIT;
        }
        rn_model_word *word = &model->words[model->word_count];
        word->mark = is_mark(token.data[0]);
        word->ends_sentence = is_end(token.data[0]);
        size_t skip = word->mark ? 0 : 1;
        word->small[0] = ' ';
        memcpy(word->small + skip, folded, token.len);
        word->len = (uint8_t)(skip + token.len);
        memcpy(word->capital, word->small, word->len);
        word->capital[skip] = to_upper((uint8_t)word->small[skip]);
        model->slots[slot] = ++model->word_count;
    }
    *id = model->slots[slot] - 1;
    rn_model_word *word = &model->words[*id];
    if (!is_upper(token.data[0])) {
        word->seen_small = true;
    } else if (inside) {
        word->seen_inside = true;
    }
    return RPCNET_OK;
}

/* Cuts the text into ids; `ids` has room for RN_MODEL_TOKENS_MAX. */
static int learn_text(rn_model *model, rn_bytes text, uint32_t *ids, uint32_t *count) {
    if (text.len == 0) {
        return RPCNET_ERR_PARSE;
    }
    const uint8_t *cursor = text.data;
    const uint8_t *end = text.data + text.len;
    bool inside = false;
    *count = 0;
    for (;;) {
        rn_bytes token = rn_model_scan(&cursor, end);
        if (token.len == 0) {
            break;
        }
        if (*count == RN_MODEL_TOKENS_MAX) {
            return RPCNET_ERR_LIMIT;
        }
        int result = learn_word(model, token, inside, &ids[*count]);
        if (result != RPCNET_OK) {
            return result;
        }
        inside = !is_end(token.data[0]);
        *count += 1;
    }
    if (cursor != end || inside || *count == 0) {
        return RPCNET_ERR_PARSE;
    }
    for (uint32_t i = 0; i < model->word_count; i++) {
        rn_model_word *word = &model->words[i];
        if (word->seen_inside && !word->seen_small) {
            memcpy(word->small, word->capital, word->len);
        }
    }
    return RPCNET_OK;
}

static int compare_words(const rn_model_trigram *a, const rn_model_trigram *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (a->word[i] != b->word[i]) {
            return a->word[i] < b->word[i] ? -1 : 1;
        }
    }
    return 0;
}

static int compare_trigrams(const void *a, const void *b) {
    return compare_words(a, b, 3);
}

static int build_trigrams(rn_model *model, const uint32_t *ids, uint32_t count) {
    model->trigrams = calloc(count, sizeof *model->trigrams);
    model->first = calloc((size_t)model->word_count + 1, sizeof *model->first);
    if (model->trigrams == NULL || model->first == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < 3; k++) {
            model->trigrams[i].word[k] = ids[(i + k) % count];
        }
        model->first[ids[i] + 1] += 1;
    }
    for (uint32_t i = 0; i < model->word_count; i++) {
        model->first[i + 1] += model->first[i];
    }
    qsort(model->trigrams, count, sizeof *model->trigrams, compare_trigrams);
    model->trigram_count = count;
    model->opening = ids[count - 1];
    return RPCNET_OK;
}

int rn_model_new_from(rn_model **out, rn_bytes text) {
    *out = NULL;
    rn_model *model = calloc(1, sizeof *model);
    uint32_t *ids = calloc(RN_MODEL_TOKENS_MAX, sizeof *ids);
    int result = RPCNET_ERR_MEMORY;
    if (model != NULL && ids != NULL) {
        model->words = calloc(RN_MODEL_WORDS_MAX, sizeof *model->words);
        uint32_t count = 0;
        if (model->words != NULL) {
            result = learn_text(model, text, ids, &count);
        }
        if (result == RPCNET_OK) {
            result = build_trigrams(model, ids, count);
        }
    }
    free(ids);
    if (result != RPCNET_OK) {
        rn_model_del(model);
        return result;
    }
    model->fingerprint = rn_model_hash(fingerprint_key, text);
    *out = model;
    return RPCNET_OK;
}

int rn_model_new(rn_model **out) {
    return rn_model_new_from(out, rn_bytes_of(rn_model_corpus, rn_model_corpus_len));
}

void rn_model_del(rn_model *model) {
    if (model == NULL) {
        return;
    }
    free(model->words);
    free(model->trigrams);
    free(model->first);
    free(model);
}

uint32_t rn_model_word_count(const rn_model *model) {
    return model->word_count;
}

rn_model_range rn_model_after(const rn_model *model, uint32_t a) {
    assert(a < model->word_count);
    return (rn_model_range){.begin = model->first[a], .end = model->first[a + 1]};
}

/* The first trigram of `range` whose second word is not below `b`. */
static uint32_t lower_bound(const rn_model *model, rn_model_range range, uint32_t b) {
    while (range.begin < range.end) {
        uint32_t middle = range.begin + (range.end - range.begin) / 2;
        if (model->trigrams[middle].word[1] < b) {
            range.begin = middle + 1;
        } else {
            range.end = middle;
        }
    }
    return range.begin;
}

rn_model_range rn_model_after_two(const rn_model *model, uint32_t a, uint32_t b) {
    rn_model_range range = rn_model_after(model, a);
    return (rn_model_range){.begin = lower_bound(model, range, b),
                            .end = lower_bound(model, range, b + 1)};
}
