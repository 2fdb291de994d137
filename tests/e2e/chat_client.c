/* chat_client: Inference.Chat as a program of somebody else would call it, on the public library.
 *
 *   chat_client --target HOST:PORT --ca FILE [--turn TOKENS TEXT]... [--fill BYTES] [--how MODE]
 *
 * --fill makes the last text so long.
 * MODE is one of
 *   turns    the next message when everything that the last one asked for has come (default)
 *   at-once  all messages at the start
 *   by-hand  as turns, but a line on standard input is waited for first, and before the half close;
 *            meanwhile nothing of the network is looked at
 *   deaf     all messages at the start, and what comes is never consumed
 *
 * Prints JSON lines: "connected", "token", "turn" (the last message was answered), "done",
 * "goaway" (the server takes no more calls) and "status", the last one. Exits with 0 when the
 * status is OK. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection_swap.pb-c.h"
#include "rpcnet/loop.h"

enum { TURNS_MAX = 64, LINE_MAX_BYTES = 256 };

enum mode { TURNS, AT_ONCE, BY_HAND, DEAF };

typedef struct chat {
    const char *target;
    const char *ca;
    enum mode mode;
    struct {
        const char *tokens;
        char *text;
    } turns[TURNS_MAX];
    size_t turn_count;
    char *filled;    /* the text of --fill */
    size_t said;     /* turns that were sent */
    uint64_t wanted; /* tokens, by those */
    uint64_t received;
    rpcnet_loop *loop;
    rpcnet_channel *channel;
    rpcnet_call *call;
    bool over;
    bool failed;
} chat;

static int complain(const char *what, const char *about) {
    fprintf(stderr, "chat_client: %s: %s\n", what, about);
    return EXIT_FAILURE;
}

static void print_text(const char *key, const char *text) {
    printf(",\"%s\":\"", key);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            printf("\\%c", byte);
        } else if (byte < 0x20) {
            printf("\\u%04x", byte);
        } else {
            putchar(byte);
        }
    }
    putchar('"');
}

static void end_line(void) {
    printf("}\n");
    fflush(stdout);
}

/* ---- what is said ---- */

static void say(chat *c, size_t turn) {
    ConnectionSwap__ChatMessage message = CONNECTION_SWAP__CHAT_MESSAGE__INIT;
    message.text = c->turns[turn].text;
    message.tokens = strtoull(c->turns[turn].tokens, NULL, 10);
    size_t len = connection_swap__chat_message__get_packed_size(&message);
    unsigned char *bytes = malloc(len);
    if (bytes == NULL) {
        abort();
    }
    connection_swap__chat_message__pack(&message, bytes);
    if (rpcnet_call_send(c->call, bytes, len) != RPCNET_OK) {
        c->failed = true;
        rpcnet_loop_stop(c->loop);
    }
    free(bytes);
    c->wanted += message.tokens;
    c->said++;
}

/* The next message, or the half close behind the last one. */
static void go_on(chat *c) {
    if (c->said < c->turn_count) {
        say(c, c->said);
    } else {
        rpcnet_call_half_close(c->call);
    }
}

static void answered(chat *c) {
    printf("{\"event\":\"turn\",\"turn\":%zu", c->said);
    end_line();
    if (c->mode == BY_HAND) {
        rpcnet_loop_stop(c->loop);
    } else if (c->mode == TURNS) {
        go_on(c);
    }
}

/* ---- what comes ---- */

static void print_connected(const ConnectionSwap__Connected *connected) {
    printf("{\"event\":\"connected\"");
    print_text("connection", connected->connection_id);
    print_text("worker", connected->worker);
    printf(",\"stream\":%" PRIu64, connected->stream_id);
    if (connected->swap != NULL) {
        print_text("from", connected->swap->previous_worker);
        printf(",\"reason\":%d", (int)connected->swap->reason);
        print_text("message", connected->swap->message);
    }
    end_line();
}

static void take_token(chat *c, const ConnectionSwap__Token *token) {
    c->received++;
    printf("{\"event\":\"token\",\"sequence\":%" PRIu64, token->sequence);
    print_text("text", token->text);
    end_line();
    if (c->received == c->wanted) {
        answered(c);
    }
}

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    chat *c = user;
    ConnectionSwap__GenerateResponse *response =
        connection_swap__generate_response__unpack(NULL, len, data);
    if (response == NULL) {
        rpcnet_call_cancel(call);
        return;
    }
    if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_CONNECTED) {
        print_connected(response->connected);
    } else if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN) {
        take_token(c, response->token);
    } else if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_DONE) {
        printf("{\"event\":\"done\"");
        end_line();
    }
    connection_swap__generate_response__free_unpacked(response, NULL);
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    chat *c = user;
    rpcnet_channel_stats stats = {0};
    (void)call;
    (void)trailers;
    rpcnet_channel_get_stats(c->channel, &stats);
    printf("{\"event\":\"status\"");
    print_text("code", rpcnet_grpc_code_name(code));
    print_text("message", message);
    printf(",\"connections\":%" PRIu64 ",\"handshakes\":%" PRIu64, stats.connections_opened,
           stats.handshakes_completed);
    end_line();
    c->over = true;
    c->failed = code != RPCNET_GRPC_OK;
    rpcnet_loop_stop(c->loop);
}

static void on_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                     enum rpcnet_loss loss, const char *text, void *user) {
    const chat *c = user;
    (void)channel;
    (void)loss;
    if (c->call == NULL) {
        if (state == RPCNET_CHANNEL_READY) {
            rpcnet_loop_stop(c->loop);
        }
        return;
    }
    if (!c->over && state != RPCNET_CHANNEL_CONNECTING && state != RPCNET_CHANNEL_READY) {
        printf("{\"event\":\"goaway\"");
        print_text("message", text);
        end_line();
    }
}

/* ---- the program ---- */

static void run(chat *c) {
    char line[LINE_MAX_BYTES];
    size_t first = c->mode == AT_ONCE || c->mode == DEAF ? c->turn_count : 1;
    while (c->said < first && c->said < c->turn_count) {
        say(c, c->said);
    }
    if (c->said == c->turn_count && c->mode != BY_HAND && c->mode != TURNS) {
        rpcnet_call_half_close(c->call);
    }
    rpcnet_loop_run(c->loop);
    while (!c->over && !c->failed) {
        if (fgets(line, sizeof line, stdin) == NULL) {
            c->failed = true;
            return;
        }
        go_on(c);
        rpcnet_loop_run(c->loop);
    }
}

static int talk(chat *c) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_message,
                                                    .on_status = on_status};
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials *credentials;
    rpcnet_credentials_options given;
    rpcnet_credentials_options_init(&given);
    given.ca_file = c->ca;
    if (rpcnet_credentials_new(&credentials, &given, error) != RPCNET_OK) {
        return complain("credentials", error);
    }
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = credentials;
    options.callbacks.on_state = on_state;
    options.user = c;
    int rv = rpcnet_channel_new(&c->channel, rpcnet_loop_env(c->loop), c->target, &options);
    if (rv == RPCNET_OK) {
        rpcnet_loop_run(c->loop); /* until it is connected */
        rv = rpcnet_call_new(&c->call, c->channel, "/connection_swap.Inference/Chat", NULL,
                             &callbacks, c);
        if (rv == RPCNET_OK) {
            rpcnet_call_hold(c->call, c->mode == DEAF);
            run(c);
        }
        rpcnet_call_del(c->call);
        rpcnet_channel_del(c->channel);
    }
    rpcnet_credentials_del(credentials);
    if (rv != RPCNET_OK) {
        return complain("call", rpcnet_strerror(rv));
    }
    return c->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool take_mode(chat *c, const char *name) {
    static const char *const names[] = {
        [TURNS] = "turns", [AT_ONCE] = "at-once", [BY_HAND] = "by-hand", [DEAF] = "deaf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            c->mode = (enum mode)i;
            return true;
        }
    }
    return false;
}

/* `text` again and again; the caller frees it. */
static char *fill(const char *text, size_t len) {
    char *filled = malloc(len + 1);
    size_t step = strlen(text);
    if (filled == NULL || step == 0) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        filled[i] = text[i % step];
    }
    filled[len] = '\0';
    return filled;
}

static bool take_options(chat *c, int argc, char *argv[]) {
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) {
            return false;
        }
        if (strcmp(argv[i], "--target") == 0) {
            c->target = argv[i + 1];
        } else if (strcmp(argv[i], "--ca") == 0) {
            c->ca = argv[i + 1];
        } else if (strcmp(argv[i], "--turn") == 0 && i + 2 < argc && c->turn_count < TURNS_MAX) {
            c->turns[c->turn_count].tokens = argv[i + 1];
            c->turns[c->turn_count++].text = argv[i + 2];
            i++;
        } else if (strcmp(argv[i], "--fill") == 0 && c->turn_count > 0) {
            c->filled = fill(c->turns[c->turn_count - 1].text, strtoul(argv[i + 1], NULL, 10));
            c->turns[c->turn_count - 1].text = c->filled;
        } else if (strcmp(argv[i], "--how") != 0 || !take_mode(c, argv[i + 1])) {
            return false;
        }
    }
    return c->target != NULL && c->ca != NULL && c->turn_count > 0;
}

int main(int argc, char *argv[]) {
    chat c = {.mode = TURNS};
    if (!take_options(&c, argc, argv)) {
        return complain("usage",
                        "--target HOST:PORT --ca FILE --turn TOKENS TEXT... [--fill BYTES] "
                        "[--how MODE]");
    }
    if (rpcnet_loop_new(&c.loop, "off") != RPCNET_OK) {
        return complain("loop", "no memory");
    }
    int code = talk(&c);
    rpcnet_loop_del(c.loop);
    free(c.filled);
    return code;
}
