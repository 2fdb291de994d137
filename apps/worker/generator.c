/* generator: between protobuf-c's messages and the model. */
#include "worker/generator.h"

#include <assert.h>

#include "base/env.h"
#include "base/text.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"

enum { PACE_MAX_US = 3600 * 1000 * 1000U }; /* an hour between tokens is slow enough */

int rn_generator_start(rn_generator *generator, const rn_model *model, rn_bytes request) {
    ConnectionSwap__GenerateRequest *message =
        connection_swap__generate_request__unpack(NULL, request.len, request.data);
    if (message == NULL) {
        return RPCNET_ERR_PARSE;
    }
    rn_bytes prompt = rn_bytes_text(message->prompt);
    *generator = (rn_generator){.model = model, .tokens = message->tokens};
    uint64_t pace_us = message->pace_us < PACE_MAX_US ? message->pace_us : PACE_MAX_US;
    generator->pace_ns = pace_us * RN_MICROSECOND;
    rn_text_escape(prompt, generator->prompt, sizeof generator->prompt);
    rn_generation_start(&generator->generation, model, prompt, message->seed);
    connection_swap__generate_request__free_unpacked(message, NULL);
    return RPCNET_OK;
}

static int feed(rn_generator *generator, rn_bytes bytes) {
    ConnectionSwap__GenerateResponse *response =
        connection_swap__generate_response__unpack(NULL, bytes.len, bytes.data);
    int result = RPCNET_ERR_PARSE;
    if (response == NULL || generator->done) {
        goto out;
    }
    if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN) {
        const ConnectionSwap__Token *token = response->token;
        if (token->sequence == generator->generation.next_sequence &&
            rn_generator_has_token(generator)) {
            result = rn_generation_feed(&generator->generation, generator->model, token->id,
                                        rn_bytes_text(token->text));
        }
    } else if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_DONE &&
               !rn_generator_has_token(generator)) {
        generator->done = true;
        result = RPCNET_OK;
    }
out:
    connection_swap__generate_response__free_unpacked(response, NULL);
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
    if (first != assignment->delivered_from ||
        (generator->tokens > 0 && first - 1 > generator->tokens)) {
        return RPCNET_ERR_PARSE;
    }
    rn_repeated walk = assignment->delivered;
    rn_bytes message;
    while (rn_repeated_next(&walk, &message)) {
        if (feed(generator, message) != RPCNET_OK) {
            return RPCNET_ERR_PARSE;
        }
    }
    return rn_generator_sequence(generator) == assignment->next_sequence ? RPCNET_OK
                                                                         : RPCNET_ERR_PARSE;
}

uint64_t rn_generator_sequence(const rn_generator *generator) {
    return generator->generation.next_sequence + (generator->done ? 1 : 0);
}

bool rn_generator_has_token(const rn_generator *generator) {
    return generator->tokens == 0 || generator->generation.next_sequence <= generator->tokens;
}

int rn_generator_next(rn_generator *generator, rn_buffer *out) {
    assert(!generator->done);
    ConnectionSwap__GenerateResponse response = CONNECTION_SWAP__GENERATE_RESPONSE__INIT;
    ConnectionSwap__Token token = CONNECTION_SWAP__TOKEN__INIT;
    ConnectionSwap__Done done = CONNECTION_SWAP__DONE__INIT;
    char reason[] = "all tokens were generated";
    char text[RN_MODEL_TEXT_MAX + 1];
    rn_generation after = generator->generation;
    bool is_token = rn_generator_has_token(generator);
    if (is_token) {
        rn_token word;
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
        generator->done = !is_token;
    }
    return result;
}

bool rn_generator_checkpoint_due(const rn_generator *generator) {
    uint64_t made = generator->generation.next_sequence - 1;
    return made > 0 && made % RN_GENERATOR_CHECKPOINT_EVERY == 0;
}
