/* generator: between protobuf-c's messages and the model. */
#include "worker/generator.h"

#include <assert.h>
#include <string.h>

#include "base/env.h"
#include "base/text.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"

enum { PACE_MAX_US = 3600 * 1000 * 1000U }; /* an hour between tokens is slow enough */

/* What rn_generator.texts holds, each followed by its bytes. */
typedef struct said {
    uint64_t before; /* the token to be mixed in before */
    size_t len;
} said;

static void keep_prompt(rn_generator *generator, rn_bytes prompt) {
    rn_text_escape(prompt, generator->prompt, sizeof generator->prompt);
    rn_text_value(prompt, generator->prompt_value, sizeof generator->prompt_value);
}

int rn_generator_start(rn_generator *generator, const rn_model *model, rn_bytes request) {
    rn_message_memory memory;
    rn_message_memory_init(&memory);
    ConnectionSwap__GenerateRequest *message =
        connection_swap__generate_request__unpack(&memory.allocator, request.len, request.data);
    if (message == NULL) {
        return rn_message_error(&memory);
    }
    rn_bytes prompt = rn_bytes_text(message->prompt);
    *generator = (rn_generator){.model = model, .tokens = message->tokens};
    uint64_t pace_us = message->pace_us < PACE_MAX_US ? message->pace_us : PACE_MAX_US;
    generator->pace_ns = pace_us * RN_MICROSECOND;
    keep_prompt(generator, prompt);
    rn_generation_start(&generator->generation, model, prompt, message->seed);
    connection_swap__generate_request__free_unpacked(message, &memory.allocator);
    return RPCNET_OK;
}

void rn_generator_start_chat(rn_generator *generator, const rn_model *model) {
    *generator = (rn_generator){.model = model, .chat = true};
    rn_buffer_init(&generator->texts, RN_GENERATOR_TEXTS_MAX);
    rn_generation_start(&generator->generation, model, rn_bytes_of(NULL, 0), 0);
}

static int add_text(rn_generator *generator, rn_bytes bytes) {
    said head = {.before = generator->tokens + 1, .len = bytes.len};
    int result = rn_buffer_reserve(&generator->texts, sizeof head + bytes.len);
    if (result == RPCNET_OK) {
        (void)rn_buffer_append(&generator->texts, &head, sizeof head);
        (void)rn_buffer_append(&generator->texts, bytes.data, bytes.len);
    }
    return result;
}

int rn_generator_chat(rn_generator *generator, rn_bytes bytes) {
    rn_message_memory memory;
    rn_message_memory_init(&memory);
    ConnectionSwap__ChatMessage *message =
        connection_swap__chat_message__unpack(&memory.allocator, bytes.len, bytes.data);
    if (message == NULL) {
        return rn_message_error(&memory);
    }
    rn_bytes words = rn_bytes_text(message->text);
    int result = RPCNET_OK;
    if (message->tokens >= UINT64_MAX - generator->tokens) {
        result = RPCNET_ERR_LIMIT; /* the number of Done must fit, too */
    } else if (generator->begun) {
        result = add_text(generator, words);
    } else {
        generator->begun = true;
        keep_prompt(generator, words);
        rn_generation_start(&generator->generation, generator->model, words, 0);
    }
    if (result == RPCNET_OK) {
        generator->tokens += message->tokens;
    }
    connection_swap__chat_message__free_unpacked(message, &memory.allocator);
    return result;
}

void rn_generator_half_close(rn_generator *generator) {
    generator->half_closed = true;
}

void rn_generator_fini(rn_generator *generator) {
    rn_buffer_fini(&generator->texts);
}

/* Mixes in what stands before the token that `generation` comes to (NULL: it has been already), and
 * returns how many bytes of `texts` that was. */
static size_t mix(const rn_generator *generator, uint64_t token, rn_generation *generation) {
    const rn_buffer *texts = &generator->texts;
    size_t used = 0;
    while (used < texts->len) {
        said head;
        memcpy(&head, texts->data + used, sizeof head);
        if (head.before > token) {
            break;
        }
        if (generation != NULL) {
            rn_generation_mix(generation, rn_bytes_of(texts->data + used + sizeof head, head.len));
        }
        used += sizeof head + head.len;
    }
    return used;
}

static int feed(rn_generator *generator, rn_bytes bytes) {
    rn_message_memory memory;
    rn_message_memory_init(&memory);
    ConnectionSwap__GenerateResponse *response =
        connection_swap__generate_response__unpack(&memory.allocator, bytes.len, bytes.data);
    if (response == NULL) {
        return rn_message_error(&memory);
    }
    int result = RPCNET_ERR_PARSE;
    if (generator->done) {
        goto out;
    }
    if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN) {
        const ConnectionSwap__Token *token = response->token;
        if (token->sequence == generator->generation.next_sequence &&
            rn_generator_has_token(generator)) {
            size_t used = mix(generator, token->sequence, &generator->generation);
            rn_buffer_drop_front(&generator->texts, used);
            result = rn_generation_feed(&generator->generation, generator->model, token->id,
                                        rn_bytes_text(token->text));
        }
    } else if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_DONE &&
               !rn_generator_has_token(generator) && !rn_generator_waits(generator)) {
        generator->done = true;
        result = RPCNET_OK;
    }
out:
    connection_swap__generate_response__free_unpacked(response, &memory.allocator);
    return result;
}

int rn_generator_resume(rn_generator *generator, const rn_assignment *assignment) {
    if (assignment->checkpoint.len > 0) {
        rn_generation restored;
        int result = rn_generation_restore(&restored, generator->model, assignment->checkpoint);
        if (result != RPCNET_OK || !rn_generation_same_request(&restored, &generator->generation)) {
            return RPCNET_ERR_PARSE;
        }
        generator->generation = restored;
    }
    uint64_t first = generator->generation.next_sequence;
    bool endless = !generator->chat && generator->tokens == 0;
    if (first != assignment->delivered_from || (!endless && first - 1 > generator->tokens)) {
        return RPCNET_ERR_PARSE;
    }
    /* What was mixed in before the last token is in the checkpoint. */
    rn_buffer_drop_front(&generator->texts, mix(generator, first - 1, NULL));
    rn_repeated walk = assignment->delivered;
    rn_bytes message;
    while (rn_repeated_next(&walk, &message)) {
        int result = feed(generator, message);
        if (result != RPCNET_OK) {
            return result;
        }
    }
    return rn_generator_sequence(generator) == assignment->next_sequence ? RPCNET_OK
                                                                         : RPCNET_ERR_PARSE;
}

uint64_t rn_generator_sequence(const rn_generator *generator) {
    return generator->generation.next_sequence + (generator->done ? 1 : 0);
}

bool rn_generator_has_token(const rn_generator *generator) {
    return (generator->tokens == 0 && !generator->chat) ||
           generator->generation.next_sequence <= generator->tokens;
}

bool rn_generator_waits(const rn_generator *generator) {
    return generator->chat && !generator->half_closed && !rn_generator_has_token(generator);
}

int rn_generator_next(rn_generator *generator, rn_buffer *out) {
    assert(!generator->done && !rn_generator_waits(generator));
    ConnectionSwap__GenerateResponse response = CONNECTION_SWAP__GENERATE_RESPONSE__INIT;
    ConnectionSwap__Token token = CONNECTION_SWAP__TOKEN__INIT;
    ConnectionSwap__Done done = CONNECTION_SWAP__DONE__INIT;
    char reason[] = "all tokens were generated";
    char text[RN_MODEL_TEXT_MAX + 1];
    rn_generation after = generator->generation;
    bool is_token = rn_generator_has_token(generator);
    size_t mixed = 0;
    if (is_token) {
        rn_token word;
        mixed = mix(generator, after.next_sequence, &after);
        rn_generation_next(&after, generator->model, &word);
        memcpy(text, word.text, strlen(word.text) + 1);
        token.sequence = word.sequence;
        token.text = text;
        token.id = word.id;
        response.frame_case = CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN;
        response.token = &token;
    } else {
        done.reason = reason;
        response.frame_case = CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_DONE;
        response.done = &done;
    }
    int result = rn_message_pack(out, &response.base);
    if (result == RPCNET_OK) {
        generator->generation = after;
        rn_buffer_drop_front(&generator->texts, mixed);
        generator->done = !is_token;
    }
    return result;
}

bool rn_generator_checkpoint_due(const rn_generator *generator) {
    uint64_t made = generator->generation.next_sequence - 1;
    return made > 0 && made % RN_GENERATOR_CHECKPOINT_EVERY == 0;
}
