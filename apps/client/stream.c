/* stream: one Generate call and what is said about its frames. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "client/client.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "swap/reason.h"

enum { PROMPT_SHOWN_MAX = 512 };

/* For the log; both are what the worker says. */
#define CONNECTION_OF(stream) RN_TEXT_VALUE(rn_bytes_text((stream)->connection_id))
#define WORKER_OF(stream) RN_TEXT_VALUE(rn_bytes_text((stream)->worker))

static rn_bytes text_of(const char *text) {
    return rn_bytes_text(text != NULL ? text : "");
}

static rn_report_place place_of(const rn_client_stream *stream) {
    return (rn_report_place){
        .connection = stream->connection_id, .worker = stream->worker, .stream = stream->stream_id};
}

static void take_swap(rn_client_stream *stream, const ConnectionSwap__Swap *swap,
                      const char *worker) {
    rn_client *client = stream->client;
    rn_report_swap record = {.stream = stream->stream_id};
    if (swap != NULL) {
        record.reason = (uint32_t)swap->reason;
        rn_sentence_copy(record.from, sizeof record.from, text_of(swap->previous_worker));
        rn_sentence_copy(record.message, sizeof record.message, text_of(swap->message));
    }
    if (record.from[0] == '\0') {
        memcpy(record.from, stream->worker, sizeof record.from);
    }
    if (record.message[0] == '\0') {
        rn_swap_reason_text(record.message, sizeof record.message, record.reason,
                            rn_bytes_text(record.from));
    }
    memcpy(record.to, worker, sizeof record.to);
    if (stream->last_ns > 0) {
        record.gap_ns = rn_client_stream_clock(client) - stream->last_ns;
    }
    RN_INFO(client->program.log, client->program.target,
            "stream ended; requesting another worker err=StreamError(%s)",
            RN_TEXT_QUOTE(rn_bytes_text(record.message)));
    stream->swap = rn_report_add_swap(&client->report, &record);
    stream->swapping = true;
}

static void take_connected(rn_client_stream *stream, const ConnectionSwap__Connected *connected) {
    rn_client *client = stream->client;
    char worker[RN_SWAP_LABEL_SIZE];
    rn_sentence_copy(worker, sizeof worker, text_of(connected->worker));
    rn_sentence_copy(stream->connection_id, sizeof stream->connection_id,
                     text_of(connected->connection_id));
    stream->stream_id = connected->stream_id;
    if (connected->swap != NULL || stream->worker[0] != '\0') {
        take_swap(stream, connected->swap, worker);
    }
    memcpy(stream->worker, worker, sizeof stream->worker);
    RN_INFO(client->program.log, client->program.target,
            "connection.id=%s worker=%s stream.id=%" PRIu64 " worker assigned to stream",
            CONNECTION_OF(stream), WORKER_OF(stream), stream->stream_id);
    rn_report_place place = place_of(stream);
    rn_report_connected(&client->report, &place);
}

static void log_disorder(const rn_client_stream *stream, uint64_t sequence,
                         enum rn_sequence_verdict verdict) {
    static const char *const texts[] = {
        [RN_SEQUENCE_GAP] = "tokens are missing before this one",
        [RN_SEQUENCE_DUPLICATE] = "token came before",
        [RN_SEQUENCE_LATE] = "token came late",
    };
    const rn_client *client = stream->client;
    RN_ERROR(client->program.log, client->program.target,
             "connection.id=%s worker=%s stream.id=%" PRIu64 " sequence=%" PRIu64 " %s",
             CONNECTION_OF(stream), WORKER_OF(stream), stream->stream_id, sequence, texts[verdict]);
}

static void take_token(rn_client_stream *stream, const ConnectionSwap__Token *token) {
    rn_client *client = stream->client;
    uint64_t now = rn_client_stream_clock(client);
    const char *text = token->text != NULL ? token->text : "";
    if (stream->swapping) {
        rn_report_swap *swap = rn_report_swap_at(&client->report, stream->swap);
        if (swap != NULL) {
            swap->sequence = token->sequence;
            swap->gap_ns = stream->last_ns > 0 ? now - stream->last_ns : 0;
        }
        stream->swapping = false;
    }
    stream->last_ns = now;
    enum rn_sequence_verdict verdict = rn_sequence_take(&stream->sequence, token->sequence);
    RN_INFO(client->program.log, client->program.target,
            "connection.id=%s worker=%s stream.id=%" PRIu64 " sequence=%" PRIu64 " received token",
            CONNECTION_OF(stream), WORKER_OF(stream), stream->stream_id, token->sequence);
    if (verdict != RN_SEQUENCE_GOOD) {
        log_disorder(stream, token->sequence, verdict);
    }
    rn_report_place place = place_of(stream);
    rn_report_token(&client->report, &place, token->sequence, text, token->id, stream->number == 1);
    if (stream->text != NULL && fputs(text, stream->text) < 0) {
        rn_client_text_failed(client);
    }
}

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    rn_client_stream *stream = user;
    rn_client *client = stream->client;
    ConnectionSwap__GenerateResponse *response =
        connection_swap__generate_response__unpack(NULL, len, data);
    if (response == NULL) {
        RN_ERROR(client->program.log, client->program.target,
                 "stream.id=%" PRIu64 " a malformed frame came", stream->stream_id);
        rpcnet_call_cancel(call);
        return;
    }
    rn_report_place place = place_of(stream);
    switch (response->frame_case) {
    case CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_CONNECTED:
        take_connected(stream, response->connected);
        break;
    case CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN:
        take_token(stream, response->token);
        break;
    case CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_DONE:
        stream->done = true;
        rn_report_done(&client->report, &place,
                       response->done->reason != NULL ? response->done->reason : "");
        break;
    default:
        break; /* of a later version */
    }
    connection_swap__generate_response__free_unpacked(response, NULL);
    rn_client_write(client);
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    (void)trailers;
    rn_client_stream *stream = user;
    rn_client *client = stream->client;
    bool good = code == RPCNET_GRPC_OK && stream->done;
    bool asked = code == RPCNET_GRPC_CANCELLED && client->interrupted;
    if (good) {
        rn_sequence_end(&stream->sequence, client->config.tokens);
    }
    if (good || asked) {
        RN_INFO(client->program.log, client->program.target,
                "connection.id=%s stream.id=%" PRIu64 " code=%s stream finished",
                CONNECTION_OF(stream), stream->stream_id, rpcnet_grpc_code_name(code));
    } else {
        RN_ERROR(client->program.log, client->program.target,
                 "connection.id=%s stream.id=%" PRIu64 " code=%s err=%s stream failed",
                 CONNECTION_OF(stream), stream->stream_id, rpcnet_grpc_code_name(code),
                 RN_TEXT_QUOTE(rn_bytes_text(
                     code == RPCNET_GRPC_OK ? "it ended before its last token" : message)));
    }
    rpcnet_call_del(call);
    stream->call = NULL;
    rn_client_stream_over(stream, !good && !asked);
}

void rn_client_stream_start(rn_client_stream *stream) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_message,
                                                    .on_status = on_status};
    rn_client *client = stream->client;
    const rn_client_config *config = &client->config;
    char *prompt = client->prompt;
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.metadata = client->metadata;
    if (config->timeout_ns > 0) {
        options.deadline_ns = rpcnet_now(client->program.env) + config->timeout_ns;
    }
    ConnectionSwap__GenerateRequest request = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    union {
        const char *given;
        char *wanted; /* protobuf-c reads it, but its type does not say so */
    } as = {.given = config->prompt != NULL ? config->prompt : prompt};
    request.prompt = as.wanted;
    request.tokens = config->tokens;
    request.seed = config->seed + (stream->number - 1);
    request.pace_us = config->pace_ns / RN_MICROSECOND;
    char shown[PROMPT_SHOWN_MAX];
    RN_INFO(client->program.log, client->program.target,
            "prompt=%s issuing streaming request to director",
            rn_text_value(rn_bytes_text(request.prompt), shown, sizeof shown));
    int result =
        rpcnet_call_new(&stream->call, client->channel, "/connection_swap.Inference/Generate",
                        &options, &callbacks, stream);
    if (result == RPCNET_OK) {
        result = rn_message_send(stream->call, &request.base);
    }
    if (result == RPCNET_OK) {
        result = rpcnet_call_half_close(stream->call);
    }
    if (result != RPCNET_OK) {
        RN_ERROR(client->program.log, client->program.target, "err=%s stream could not be opened",
                 RN_TEXT_QUOTE(rn_bytes_text(rpcnet_strerror(result))));
        rpcnet_call_del(stream->call);
        stream->call = NULL;
        rn_client_stream_over(stream, true);
        return;
    }
    RN_INFO(client->program.log, client->program.target, "stream opened, waiting for frames");
}
