/* probe_call: one call with whatever certificate, path, metadata and messages a test wants to try,
 * also those that the product's own programs would never send.
 *
 *   probe_call --target HOST:PORT --ca FILE (--name NAME | --identity URI) [--cert FILE --key FILE]
 *              --path /package.Service/Method [--metadata NAME=VALUE]... [--message HEX]...
 *              [--large COUNT] [--half-close no]
 *
 * The messages are sent, and behind them so many of 1 MiB; then the call is half-closed if it is
 * not to stay open. Prints "message HEX" for each answer and at the end "code=<gRPC code> loss=<how
 * the connection was lost, or none> text=<message>". Exits with 0 when it could ask, whatever the
 * answer was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpcnet/loop.h"

enum { MESSAGES_MAX = 8, MESSAGE_MAX = 65536, LARGE = 1 << 20, TEXT_MAX = 2048, TIMEOUT_S = 60 };

#define SECOND UINT64_C(1000000000)

typedef struct probe {
    const char *target;
    const char *name;
    const char *identity;
    const char *cert;
    const char *key;
    const char *ca;
    const char *path;
    const char *messages[MESSAGES_MAX];
    size_t message_count;
    size_t large_count;
    size_t sent;
    bool stays_open;
    rpcnet_metadata *metadata;
    rpcnet_loop *loop;
    rpcnet_channel *channel;
    rpcnet_call *call;
    enum rpcnet_loss loss;
    int code;
    char text[TEXT_MAX];
} probe;

static int complain(const char *what, const char *about) {
    fprintf(stderr, "probe_call: %s: %s\n", what, about);
    return EXIT_FAILURE;
}

static int add_metadata(probe *p, const char *text) {
    char name[256];
    const char *equals = strchr(text, '=');
    if (equals == NULL || (size_t)(equals - text) >= sizeof name) {
        return RPCNET_ERR_ARGUMENT;
    }
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    return rpcnet_metadata_add(p->metadata, name, equals + 1, strlen(equals + 1));
}

static int take_option(probe *p, const char *name, const char *value) {
    const struct {
        const char *name;
        const char **value;
    } options[] = {{"--target", &p->target}, {"--name", &p->name}, {"--identity", &p->identity},
                   {"--cert", &p->cert},     {"--key", &p->key},   {"--ca", &p->ca},
                   {"--path", &p->path}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(name, options[i].name) == 0) {
            *options[i].value = value;
            return RPCNET_OK;
        }
    }
    if (strcmp(name, "--metadata") == 0) {
        return add_metadata(p, value);
    }
    if (strcmp(name, "--half-close") == 0 && strcmp(value, "no") == 0) {
        p->stays_open = true;
        return RPCNET_OK;
    }
    if (strcmp(name, "--large") == 0) {
        p->large_count = strtoul(value, NULL, 10);
        return RPCNET_OK;
    }
    if (strcmp(name, "--message") == 0 && p->message_count < MESSAGES_MAX) {
        p->messages[p->message_count++] = value;
        return RPCNET_OK;
    }
    return RPCNET_ERR_ARGUMENT;
}

static const char *loss_name(enum rpcnet_loss loss) {
    static const char *const names[] = {[RPCNET_LOSS_NONE] = "none",
                                        [RPCNET_LOSS_RESOLVE] = "resolve",
                                        [RPCNET_LOSS_UNREACHABLE] = "unreachable",
                                        [RPCNET_LOSS_TIMEOUT] = "timeout",
                                        [RPCNET_LOSS_REFUSED] = "refused",
                                        [RPCNET_LOSS_PEER] = "peer",
                                        [RPCNET_LOSS_RESET] = "reset",
                                        [RPCNET_LOSS_PROTOCOL] = "protocol",
                                        [RPCNET_LOSS_LOCAL] = "local"};
    return names[loss];
}

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    const unsigned char *bytes = data;
    (void)call;
    (void)user;
    printf("message ");
    for (size_t i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    probe *p = user;
    (void)trailers;
    p->code = code;
    snprintf(p->text, sizeof p->text, "%s", message);
    p->call = NULL;
    rpcnet_call_del(call);
    rpcnet_loop_stop(p->loop);
}

/* In the same turn of the loop as the status of a call that is lost with the connection. */
static void on_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                     enum rpcnet_loss loss, const char *text, void *user) {
    probe *p = user;
    (void)channel;
    (void)text;
    if (state == RPCNET_CHANNEL_CLOSED) {
        p->loss = loss;
    }
}

static int send_hex(probe *p, const char *hex) {
    static unsigned char bytes[MESSAGE_MAX];
    size_t len = strlen(hex) / 2;
    if (len > sizeof bytes) {
        return RPCNET_ERR_LIMIT;
    }
    for (size_t at = 0; at < len; at++) {
        const char digits[] = {hex[2 * at], hex[2 * at + 1], '\0'};
        bytes[at] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return rpcnet_call_send(p->call, bytes, len);
}

/* As many as there is room for; the rest when there is more. */
static int send_messages(probe *p) {
    static const unsigned char large[LARGE];
    for (; p->sent < p->message_count + p->large_count; p->sent++) {
        int rv = p->sent < p->message_count ? send_hex(p, p->messages[p->sent])
                                            : rpcnet_call_send(p->call, large, sizeof large);
        if (rv != RPCNET_OK) {
            return rv == RPCNET_ERR_AGAIN ? RPCNET_OK : rv;
        }
    }
    return p->stays_open ? RPCNET_OK : rpcnet_call_half_close(p->call);
}

static void on_writable(rpcnet_call *call, void *user) {
    (void)call;
    (void)send_messages(user); /* what goes wrong ends the call, and on_status tells */
}

static int start_call(probe *p) {
    static const rpcnet_call_callbacks callbacks = {
        .on_message = on_message, .on_status = on_status, .on_writable = on_writable};
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.metadata = p->metadata;
    options.deadline_ns = rpcnet_now(rpcnet_loop_env(p->loop)) + TIMEOUT_S * SECOND;
    int rv = rpcnet_call_new(&p->call, p->channel, p->path, &options, &callbacks, p);
    return rv == RPCNET_OK ? send_messages(p) : rv;
}

static int ask(probe *p) {
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials *credentials;
    rpcnet_credentials_options given;
    rpcnet_credentials_options_init(&given);
    given.certificate_file = p->cert;
    given.key_file = p->key;
    given.ca_file = p->ca;
    if (rpcnet_credentials_new(&credentials, &given, error) != RPCNET_OK) {
        return complain("credentials", error);
    }
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = credentials;
    options.server_name = p->name;
    options.identity = p->identity;
    options.reconnect = false;
    options.callbacks.on_state = on_state;
    options.user = p;
    int rv = rpcnet_channel_new(&p->channel, rpcnet_loop_env(p->loop), p->target, &options);
    if (rv == RPCNET_OK) {
        rv = start_call(p);
        if (rv == RPCNET_OK) {
            rpcnet_loop_run(p->loop);
            printf("code=%s loss=%s text=%s\n", rpcnet_grpc_code_name(p->code), loss_name(p->loss),
                   p->text);
        }
        rpcnet_call_del(p->call);
        rpcnet_channel_del(p->channel);
    }
    rpcnet_credentials_del(credentials);
    return rv == RPCNET_OK ? EXIT_SUCCESS : complain("call", rpcnet_strerror(rv));
}

int main(int argc, char *argv[]) {
    probe p = {.target = NULL};
    if (rpcnet_metadata_new(&p.metadata) != RPCNET_OK) {
        return complain("metadata", "out of memory");
    }
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || take_option(&p, argv[i], argv[i + 1]) != RPCNET_OK) {
            rpcnet_metadata_del(p.metadata);
            return complain("option", argv[i]);
        }
    }
    int code = EXIT_FAILURE;
    if (p.target == NULL || p.ca == NULL || p.path == NULL) {
        code = complain("needed", "--target, --ca, --path");
    } else if (rpcnet_loop_new(&p.loop, "off") == RPCNET_OK) {
        code = ask(&p);
        rpcnet_loop_del(p.loop);
    }
    rpcnet_metadata_del(p.metadata);
    return code;
}
