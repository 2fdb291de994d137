/* caller: see the header. */
#include "sim/world/caller.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "sim/internal.h"
#include "swap/reason.h"

static const char generate_path[] = "/connection_swap.Inference/Generate";
static const char chat_path[] = "/connection_swap.Inference/Chat";

/* ---- what has to come ---- */

/* The words that a chat's message number `said` says. */
static void words_of(const rn_caller_stream *stream, size_t said, char *out, size_t size) {
    if (said == 0) {
        rn_plan_prompt(stream->caller->plan, stream->number, out, size);
    } else {
        snprintf(out, size, "and then %zu", said);
    }
}

static void expect(rn_caller_stream *stream) {
    char prompt[64];
    rn_plan_prompt(stream->caller->plan, stream->number, prompt, sizeof prompt);
    rn_generation_start(&stream->expected, stream->caller->model, rn_bytes_text(prompt),
                        stream->plan->seed);
    stream->mixed = 1;
}

/* What the client said before this token counts from it on. */
static void mix_in(rn_caller_stream *stream) {
    uint64_t asked = 0;
    for (size_t i = 0; i < stream->plan->says; i++) {
        if (i == stream->mixed && asked + 1 <= stream->expected.next_sequence) {
            char words[64];
            words_of(stream, i, words, sizeof words);
            rn_generation_mix(&stream->expected, rn_bytes_text(words));
            stream->mixed++;
        }
        asked += stream->plan->tokens[i];
    }
}

static void take_token(rn_caller_stream *stream, const ConnectionSwap__Token *token) {
    rn_caller *caller = stream->caller;
    rn_token expected;
    mix_in(stream);
    rn_generation_next(&stream->expected, caller->model, &expected);
    if (token->sequence != expected.sequence) {
        rn_violate(caller->verdict, "order",
                   "stream %zu got token %" PRIu64 " where %" PRIu64 " was due", stream->number,
                   token->sequence, expected.sequence);
    } else if (token->id != expected.id || strcmp(token->text, expected.text) != 0) {
        rn_violate(caller->verdict, "text",
                   "stream %zu: token %" PRIu64 " is '%s', undisturbed it would be '%s'",
                   stream->number, token->sequence, token->text, expected.text);
    }
    if (stream->done) {
        rn_violate(caller->verdict, "order", "stream %zu got token %" PRIu64 " behind its Done",
                   stream->number, token->sequence);
    }
    stream->received++;
    if (stream->received > stream->asked) {
        rn_violate(caller->verdict, "order", "stream %zu got more tokens than it asked for",
                   stream->number);
    }
    caller->tokens++;
}

static void check_reason(const rn_caller_stream *stream, const ConnectionSwap__Swap *swap) {
    const rn_caller_hooks *hooks = &stream->caller->hooks;
    if (!hooks->explained(hooks->user, swap->previous_worker, (uint32_t)swap->reason)) {
        rn_violate(stream->caller->verdict, "swap",
                   "stream %zu left %s for a reason that was none: %s", stream->number,
                   swap->previous_worker, rn_swap_reason_name((uint32_t)swap->reason));
    }
    if (strstr(swap->message, swap->previous_worker) == NULL) {
        rn_violate(stream->caller->verdict, "swap", "stream %zu left %s, and is told: '%s'",
                   stream->number, swap->previous_worker, swap->message);
    }
}

static void take_connected(rn_caller_stream *stream, const ConnectionSwap__Connected *connected) {
    rn_caller *caller = stream->caller;
    stream->connected++;
    if (stream->connected > 1 && connected->swap == NULL) {
        rn_violate(caller->verdict, "swap", "stream %zu was not told why it moved to %s",
                   stream->number, connected->worker);
    } else if (connected->swap != NULL &&
               strcmp(connected->swap->previous_worker, stream->worker) != 0) {
        rn_violate(caller->verdict, "swap", "stream %zu was on '%s' and is told that it was on %s",
                   stream->number, stream->worker, connected->swap->previous_worker);
    } else if (connected->swap != NULL) {
        check_reason(stream, connected->swap);
    }
    snprintf(stream->worker, sizeof stream->worker, "%s", connected->worker);
    caller->swaps += connected->swap != NULL;
}

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    rn_caller_stream *stream = user;
    rn_caller *caller = stream->caller;
    (void)call;
    stream->moved_ns = rn_sim_now(caller->sim);
    ConnectionSwap__GenerateResponse *response =
        connection_swap__generate_response__unpack(NULL, len, data);
    if (response == NULL) {
        rn_violate(caller->verdict, "bytes", "stream %zu got bytes that are no message",
                   stream->number);
        return;
    }
    switch (response->frame_case) {
    case CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN:
        take_token(stream, response->token);
        break;
    case CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_CONNECTED:
        take_connected(stream, response->connected);
        break;
    case CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_DONE:
        if (stream->done) {
            rn_violate(caller->verdict, "order", "stream %zu got Done twice", stream->number);
        }
        stream->done = true;
        break;
    default:
        rn_violate(caller->verdict, "bytes", "stream %zu got an empty message", stream->number);
    }
    connection_swap__generate_response__free_unpacked(response, NULL);
    if (stream->plan->slow_ns > 0) {
        stream->held += len;
    }
    if (stream->held > caller->plan->client_window) {
        rn_violate(caller->verdict, "bound",
                   "stream %zu has got %zu bytes that it has not taken, and its window is %" PRIu64,
                   stream->number, stream->held, caller->plan->client_window);
    }
}

/* ---- how it ends ---- */

static void drop_timers(rn_caller_stream *stream) {
    rn_timer **const timers[] = {&stream->start, &stream->say, &stream->cancel, &stream->read};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        stream->caller->env->ops->timer_del(*timers[i]);
        *timers[i] = NULL;
    }
}

static void end(rn_caller_stream *stream) {
    if (stream->state != RN_CALLER_OVER) {
        stream->state = RN_CALLER_OVER;
        stream->over_ns = rn_sim_now(stream->caller->sim);
        stream->caller->over++;
    }
    drop_timers(stream);
    rpcnet_call_del(stream->call);
    stream->call = NULL;
}

static bool deadline_has_passed(const rn_caller_stream *stream) {
    return stream->plan->deadline_ns > 0 &&
           rn_env_now(stream->caller->env) + 100 * RN_MILLISECOND >=
               stream->opened_ns + stream->plan->deadline_ns;
}

static void judge(rn_caller_stream *stream, int code, const char *message) {
    rn_caller *caller = stream->caller;
    bool whole =
        stream->done && stream->received == stream->asked && stream->said == stream->plan->says;
    if (code == RPCNET_GRPC_OK) {
        if (!whole) {
            rn_violate(caller->verdict, "cut",
                       "stream %zu ended with OK after %" PRIu64 " of %" PRIu64 " tokens%s",
                       stream->number, stream->received, stream->asked,
                       stream->done ? "" : ", without Done");
        }
        return;
    }
    bool own = (code == RPCNET_GRPC_CANCELLED && stream->cancelled) ||
               (code == RPCNET_GRPC_DEADLINE_EXCEEDED && deadline_has_passed(stream));
    if (!own && !caller->hooks.excused(caller->hooks.user, stream, code, message)) {
        rn_violate(caller->verdict, "status",
                   "stream %zu ended with %s after %" PRIu64 " of %" PRIu64 " tokens: %s",
                   stream->number, rpcnet_grpc_code_name(code), stream->received, stream->asked,
                   message);
    }
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    rn_caller_stream *stream = user;
    (void)call;
    (void)trailers;
    stream->code = code;
    judge(stream, code, message);
    end(stream);
}

/* ---- what it does ---- */

static int send_message(rn_caller_stream *stream, const ProtobufCMessage *message) {
    return rn_message_send(stream->call, message);
}

static int request(rn_caller_stream *stream) {
    char prompt[64];
    ConnectionSwap__GenerateRequest message = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    rn_plan_prompt(stream->caller->plan, stream->number, prompt, sizeof prompt);
    message.prompt = prompt;
    message.tokens = stream->plan->tokens[0];
    message.seed = stream->plan->seed;
    message.pace_us = stream->plan->pace_us;
    return send_message(stream, &message.base);
}

static int say_words(rn_caller_stream *stream) {
    char words[64];
    ConnectionSwap__ChatMessage message = CONNECTION_SWAP__CHAT_MESSAGE__INIT;
    words_of(stream, stream->said, words, sizeof words);
    message.text = words;
    message.tokens = stream->plan->tokens[stream->said];
    return send_message(stream, &message.base);
}

static void say(void *user) {
    rn_caller_stream *stream = user;
    rn_caller *caller = stream->caller;
    bool chat = stream->plan->kind != RN_STREAM_GENERATE;
    int result = chat ? say_words(stream) : request(stream);
    if (result == RPCNET_OK) {
        stream->asked += stream->plan->tokens[stream->said++];
        stream->moved_ns = rn_sim_now(caller->sim);
        if (stream->said == stream->plan->says) {
            result = rpcnet_call_half_close(stream->call);
        } else {
            caller->env->ops->timer_set(stream->say, rn_env_now(caller->env) +
                                                         stream->plan->say_ns[stream->said]);
        }
    }
    /* AGAIN: one message waits for the connection already, on_writable calls again. CLOSED: it is
     * over, which on_status is about to tell. */
    stream->waits = result == RPCNET_ERR_AGAIN;
    if (result != RPCNET_OK && result != RPCNET_ERR_CLOSED && !stream->waits) {
        rn_violate(caller->verdict, "call", "stream %zu cannot send: %s", stream->number,
                   rpcnet_strerror(result));
    }
}

static void on_writable(rpcnet_call *call, void *user) {
    rn_caller_stream *stream = user;
    (void)call;
    if (stream->waits) {
        say(stream);
    }
}

static void cancel(void *user) {
    rn_caller_stream *stream = user;
    stream->cancelled = true;
    rpcnet_call_cancel(stream->call);
}

static void read_on(void *user) {
    rn_caller_stream *stream = user;
    rn_env *env = stream->caller->env;
    if (stream->held > 0) {
        rpcnet_call_hold(stream->call, false);
        rpcnet_call_hold(stream->call, true);
        stream->held = 0;
        stream->moved_ns = rn_sim_now(stream->caller->sim);
    }
    env->ops->timer_set(stream->read, rn_env_now(env) + stream->plan->slow_ns);
}

static void set_timers(rn_caller_stream *stream) {
    rn_env *env = stream->caller->env;
    uint64_t now = rn_env_now(env);
    if (stream->plan->cancel_ns > 0) {
        env->ops->timer_set(stream->cancel, now + stream->plan->cancel_ns);
    }
    if (stream->plan->slow_ns > 0) {
        env->ops->timer_set(stream->read, now + stream->plan->slow_ns);
    }
}

static void start(void *user) {
    static const rpcnet_call_callbacks callbacks = {
        .on_message = on_message, .on_status = on_status, .on_writable = on_writable};
    rn_caller_stream *stream = user;
    rn_caller *caller = stream->caller;
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    stream->opened_ns = rn_env_now(caller->env);
    if (stream->plan->deadline_ns > 0) {
        options.deadline_ns = stream->opened_ns + stream->plan->deadline_ns;
    }
    stream->state = RN_CALLER_OPEN;
    stream->moved_ns = rn_sim_now(caller->sim);
    stream->directors = *caller->hooks.directors;
    stream->ready = caller->ready;
    expect(stream);
    int result =
        rpcnet_call_new(&stream->call, caller->channel,
                        stream->plan->kind != RN_STREAM_GENERATE ? chat_path : generate_path,
                        &options, &callbacks, stream);
    if (result != RPCNET_OK) {
        stream->call = NULL;
        rn_violate(caller->verdict, "call", "stream %zu cannot begin: %s", stream->number,
                   rpcnet_strerror(result));
        end(stream);
        return;
    }
    rpcnet_call_hold(stream->call, stream->plan->slow_ns > 0);
    set_timers(stream);
    say(stream);
}

/* ---- the process ---- */

static void on_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                     enum rpcnet_loss loss, const char *text, void *user) {
    rn_caller *caller = user;
    (void)channel;
    (void)loss;
    (void)text;
    if (state == RPCNET_CHANNEL_READY) {
        caller->ready++;
        caller->ready_ns = rn_sim_now(caller->sim);
    }
}

void rn_caller_init(rn_caller *caller, rn_sim *sim, const rn_plan *plan, size_t index) {
    memset(caller, 0, sizeof *caller);
    caller->sim = sim;
    caller->plan = plan;
    caller->index = index;
    snprintf(caller->host, sizeof caller->host, "10.0.2.%zu", index + 1);
    caller->streams = rn_sim_alloc(plan->stream_count * sizeof caller->streams[0]);
    for (size_t i = 0; i < plan->stream_count; i++) {
        if (plan->streams[i].client == index) {
            rn_caller_stream *stream = &caller->streams[caller->stream_count++];
            stream->caller = caller;
            stream->number = i;
            stream->plan = &plan->streams[i];
            stream->code = -1;
        }
    }
}

static rn_timer *timer(rn_caller_stream *stream, rn_timer_fn *fn) {
    rn_timer *made = NULL;
    rn_sim_require(rn_env_timer_new(stream->caller->env, fn, stream, &made) == RPCNET_OK, "timer");
    return made;
}

void rn_caller_start(rn_caller *caller, const char *certs, const char *target) {
    char error[RPCNET_ERROR_TEXT_MAX];
    char authority[4096];
    rpcnet_credentials_options trust;
    rpcnet_channel_options options;
    rpcnet_limits limits;
    caller->env = rn_sim_host_new(caller->sim, caller->host);
    snprintf(authority, sizeof authority, "%s/ca.crt", certs);
    rpcnet_credentials_options_init(&trust);
    trust.ca_file = authority;
    rn_sim_require(rpcnet_credentials_new(&caller->credentials, &trust, error) == RPCNET_OK, error);
    rpcnet_channel_options_init(&options);
    options.credentials = caller->credentials;
    options.server_name = "localhost";
    options.callbacks.on_state = on_state;
    options.user = caller;
    rpcnet_limits_init(&limits);
    limits.stream_window_bytes = caller->plan->client_window;
    limits.connection_window_bytes = 4 * caller->plan->client_window;
    options.limits = &limits;
    rn_sim_require(rpcnet_channel_new(&caller->channel, caller->env, target, &options) == RPCNET_OK,
                   "a channel");
    for (size_t i = 0; i < caller->stream_count; i++) {
        rn_caller_stream *stream = &caller->streams[i];
        stream->start = timer(stream, start);
        stream->say = timer(stream, say);
        stream->cancel = timer(stream, cancel);
        stream->read = timer(stream, read_on);
        caller->env->ops->timer_set(stream->start, stream->plan->at_ns);
    }
}

static void close_process(rn_caller *caller) {
    for (size_t i = 0; i < caller->stream_count; i++) {
        end(&caller->streams[i]);
    }
    rpcnet_channel_del(caller->channel);
    rpcnet_credentials_del(caller->credentials);
    caller->channel = NULL;
    caller->credentials = NULL;
}

void rn_caller_kill(rn_caller *caller) {
    if (!caller->killed) {
        caller->killed = true;
        rn_sim_host_kill(caller->env);
        close_process(caller);
    }
}

bool rn_caller_is_over(const rn_caller *caller) {
    return caller->over == caller->stream_count;
}

void rn_caller_fini(rn_caller *caller) {
    if (caller->channel != NULL) {
        close_process(caller);
    }
    free(caller->streams);
}
