/* One generation: a chain of hashes decides, the tables say between what. */
#include <assert.h>

#include "model/hash.h"
#include "model/model.h"
#include "model/tables.h"

static const rn_model_key prompt_key = {.k0 = 0x70726f6d7074, .k1 = 1};
static const rn_model_key checkpoint_key = {.k0 = 0x636865636b, .k1 = 1};
static const rn_model_key mix_key = {.k0 = 0x6d6978, .k1 = 1};

/* The version is the last byte. */
static const uint8_t checkpoint_magic[4] = {'R', 'N', 'G', 1};

/* Where two words have been followed by one word only, this share of 256 looks at the last word
 * alone; the model would recite its text otherwise. */
enum { WANDER = 56 };

/* Two words that follow each other in the prompt and in the text are best, then one word that the
 * text knows. Among equals the longest, for short words say little about anything, then the last.
 */
static void choose_start(const rn_model *model, rn_bytes prompt, uint32_t start[2]) {
    uint32_t previous = RN_MODEL_NONE;
    size_t longest = 0;
    start[0] = start[1] = RN_MODEL_NONE;
    if (prompt.len == 0) {
        return;
    }
    const uint8_t *cursor = prompt.data;
    const uint8_t *end = prompt.data + prompt.len;
    while (cursor < end) {
        rn_bytes word = rn_model_scan(&cursor, end);
        uint32_t id = rn_model_find(model, word);
        if (word.len == 0 && cursor < end) {
            cursor++;
        }
        if (id == RN_MODEL_NONE || model->words[id].mark) {
            previous = RN_MODEL_NONE;
            continue;
        }
        size_t alone = word.len;
        size_t both = 0;
        if (previous != RN_MODEL_NONE) {
            rn_model_range range = rn_model_after_two(model, previous, id);
            both = range.begin < range.end ? alone + model->words[previous].len : 0;
        }
        if (both > 0 && (start[1] == RN_MODEL_NONE || both >= longest)) {
            longest = both;
            start[0] = previous;
            start[1] = id;
        } else if (start[1] == RN_MODEL_NONE && alone >= longest) {
            longest = alone;
            start[0] = id;
        }
        previous = id;
    }
}

/* The hash before the first token. */
static uint64_t first_hash(const rn_model *model, uint64_t seed, uint64_t prompt_hash) {
    uint8_t message[8];
    rn_model_write64(message, model->fingerprint);
    return rn_model_hash((rn_model_key){.k0 = seed, .k1 = prompt_hash},
                         rn_bytes_of(message, sizeof message));
}

void rn_generation_start(rn_generation *generation, const rn_model *model, rn_bytes prompt,
                         uint64_t seed) {
    uint64_t prompt_hash = rn_model_hash(prompt_key, prompt);
    *generation = (rn_generation){
        .seed = seed,
        .prompt_hash = prompt_hash,
        .hash = first_hash(model, seed, prompt_hash),
        .next_sequence = 1,
        .last = {RN_MODEL_NONE, RN_MODEL_NONE},
    };
    choose_start(model, prompt, generation->start);
}

/* Goes on behind a token; its text must be one of the id's. */
static void advance(rn_generation *generation, uint32_t id, rn_bytes text) {
    uint8_t message[8 + 8 + 4 + 4 + RN_MODEL_TEXT_MAX];
    assert(text.len <= RN_MODEL_TEXT_MAX);
    uint8_t *out = rn_model_write64(message, generation->hash);
    out = rn_model_write64(out, generation->next_sequence);
    out = rn_model_write32(out, id);
    out = rn_model_write32(out, (uint32_t)text.len);
    memcpy(out, text.data, text.len);
    out += text.len;
    generation->hash =
        rn_model_hash((rn_model_key){.k0 = generation->seed, .k1 = generation->prompt_hash},
                      rn_bytes_of(message, (size_t)(out - message)));
    generation->last[0] = generation->last[1];
    generation->last[1] = id;
    generation->next_sequence += 1;
}

void rn_generation_mix(rn_generation *generation, rn_bytes text) {
    uint8_t message[8 + 8 + 8];
    uint8_t *out = rn_model_write64(message, generation->hash);
    out = rn_model_write64(out, generation->next_sequence);
    rn_model_write64(out, rn_model_hash(mix_key, text));
    generation->hash =
        rn_model_hash((rn_model_key){.k0 = generation->seed, .k1 = generation->prompt_hash},
                      rn_bytes_of(message, sizeof message));
}

/* The word to say next. */
static uint32_t choose_word(const rn_generation *generation, const rn_model *model) {
    const uint32_t *start = generation->start;
    const uint32_t *last = generation->last;
    if (generation->next_sequence == 1 && start[0] != RN_MODEL_NONE) {
        return start[0];
    }
    if (generation->next_sequence == 2 && start[1] != RN_MODEL_NONE && last[1] == start[0]) {
        return start[1];
    }
    uint64_t draw = generation->hash;
    uint32_t after = last[1] == RN_MODEL_NONE ? model->opening : last[1];
    rn_model_range range = rn_model_after(model, after);
    size_t next = 1;
    if (last[0] != RN_MODEL_NONE) {
        rn_model_range two = rn_model_after_two(model, last[0], after);
        /* An altered token may have made a pair that the text does not have. */
        if (two.begin < two.end) {
            bool recites =
                model->trigrams[two.begin].word[2] == model->trigrams[two.end - 1].word[2];
            if (!recites || (draw & 0xff) >= WANDER) {
                range = two;
                next = 2;
            }
        }
    }
    uint64_t offset = (draw >> 32) * (range.end - range.begin) >> 32;
    return model->trigrams[range.begin + offset].word[next];
}

void rn_generation_next(rn_generation *generation, const rn_model *model, rn_token *token) {
    uint32_t id = choose_word(generation, model);
    const rn_model_word *word = &model->words[id];
    uint32_t before = generation->last[1];
    bool first = before == RN_MODEL_NONE;
    bool capital = first || model->words[before].ends_sentence;
    size_t skip = first && !word->mark ? 1 : 0;
    const char *text = (capital ? word->capital : word->small) + skip;
    *token = (rn_token){.sequence = generation->next_sequence, .id = id, .text = text};
    advance(generation, id, rn_bytes_of(text, word->len - skip));
}

int rn_generation_feed(rn_generation *generation, const rn_model *model, uint32_t id,
                       rn_bytes text) {
    if (id >= model->word_count) {
        return RPCNET_ERR_PARSE;
    }
    const rn_model_word *word = &model->words[id];
    size_t skip = generation->next_sequence == 1 && !word->mark ? 1 : 0;
    if (!rn_bytes_equal(text, rn_bytes_of(word->small + skip, word->len - skip)) &&
        !rn_bytes_equal(text, rn_bytes_of(word->capital + skip, word->len - skip))) {
        return RPCNET_ERR_PARSE;
    }
    advance(generation, id, text);
    return RPCNET_OK;
}

void rn_generation_checkpoint(const rn_generation *generation, const rn_model *model,
                              uint8_t out[RN_GENERATION_CHECKPOINT_LEN]) {
    uint8_t *end = out;
    memcpy(end, checkpoint_magic, sizeof checkpoint_magic);
    end += sizeof checkpoint_magic;
    end = rn_model_write64(end, model->fingerprint);
    end = rn_model_write64(end, generation->seed);
    end = rn_model_write64(end, generation->prompt_hash);
    end = rn_model_write64(end, generation->hash);
    end = rn_model_write64(end, generation->next_sequence);
    for (size_t i = 0; i < 2; i++) {
        end = rn_model_write32(end, generation->last[i]);
        end = rn_model_write32(end, generation->start[i]);
    }
    end = rn_model_write64(end, rn_model_hash(checkpoint_key, rn_bytes_of(out, end - out)));
    assert(end == out + RN_GENERATION_CHECKPOINT_LEN);
}

static bool word_or_none(const rn_model *model, uint32_t id) {
    return id == RN_MODEL_NONE || id < model->word_count;
}

/* Can a generation be in this state? A checksum shows damage, not sense. */
static bool is_plausible(const rn_generation *generation, const rn_model *model) {
    uint64_t said = generation->next_sequence - 1;
    for (size_t i = 0; i < 2; i++) {
        if (!word_or_none(model, generation->last[i]) ||
            !word_or_none(model, generation->start[i]) ||
            (generation->last[i] == RN_MODEL_NONE) != (said < 2 - i)) {
            return false;
        }
    }
    if (generation->start[0] == RN_MODEL_NONE && generation->start[1] != RN_MODEL_NONE) {
        return false;
    }
    return generation->next_sequence != 0 &&
           (said > 0 ||
            generation->hash == first_hash(model, generation->seed, generation->prompt_hash));
}

int rn_generation_restore(rn_generation *generation, const rn_model *model, rn_bytes checkpoint) {
    if (checkpoint.len != RN_GENERATION_CHECKPOINT_LEN ||
        memcmp(checkpoint.data, checkpoint_magic, sizeof checkpoint_magic) != 0) {
        return RPCNET_ERR_PARSE;
    }
    const uint8_t *cursor = checkpoint.data + RN_GENERATION_CHECKPOINT_LEN - 8;
    rn_bytes sealed = rn_bytes_of(checkpoint.data, RN_GENERATION_CHECKPOINT_LEN - 8);
    if (rn_model_read64(&cursor) != rn_model_hash(checkpoint_key, sealed)) {
        return RPCNET_ERR_PARSE;
    }
    cursor = checkpoint.data + sizeof checkpoint_magic;
    uint64_t fingerprint = rn_model_read64(&cursor);
    rn_generation read = {0};
    read.seed = rn_model_read64(&cursor);
    read.prompt_hash = rn_model_read64(&cursor);
    read.hash = rn_model_read64(&cursor);
    read.next_sequence = rn_model_read64(&cursor);
    for (size_t i = 0; i < 2; i++) {
        read.last[i] = rn_model_read32(&cursor);
        read.start[i] = rn_model_read32(&cursor);
    }
    if (fingerprint != model->fingerprint || !is_plausible(&read, model)) {
        return RPCNET_ERR_PARSE;
    }
    *generation = read;
    return RPCNET_OK;
}

bool rn_generation_same_request(const rn_generation *a, const rn_generation *b) {
    return a->seed == b->seed && a->prompt_hash == b->prompt_hash;
}
