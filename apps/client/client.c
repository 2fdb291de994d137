/* client: connects and starts the streams. */
#include "client/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/units.h"
#include "common/certs.h"
#include "base/file.h"
#include "common/tokens.h"

enum { TEXT_PATH_MAX = PATH_MAX };

static void start(rn_client *client) {
    client->started = true;
    client->program.env->ops->timer_set(client->timer, RN_NEVER);
    client->open = client->config.streams;
    for (uint64_t i = 0; i < client->config.streams && !client->finishing; i++) {
        rn_client_stream_start(&client->streams[i]);
    }
}

/* What another attempt would not change. */
static void give_up_if_hopeless(rn_client *client, enum rpcnet_loss loss, const char *text) {
    const char *target = client->config.target;
    if (loss == RPCNET_LOSS_REFUSED) {
        rn_program_fail_setting(&client->program, "target",
                                "%s: %s; is it a director's USER address, and is its "
                                "certificate of the authority that --ca names?",
                                target, text);
    } else if (loss == RPCNET_LOSS_LOCAL &&
               strcmp(text, rpcnet_strerror(RPCNET_ERR_PERMISSION)) == 0) {
        rn_program_fail_setting(
            &client->program, "target",
            "cannot connect to %s: Operation not permitted (os error 1); a local security policy "
            "blocks the QUIC socket: run outside of restricted environments or adjust permissions",
            target);
    } else if (loss == RPCNET_LOSS_LOCAL &&
               strcmp(text, rpcnet_strerror(RPCNET_ERR_DESCRIPTORS)) == 0) {
        rn_program_fail_setting(&client->program, "target", "cannot connect to %s: %s", target,
                                text);
    }
}

static void on_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                     enum rpcnet_loss loss, const char *text, void *user) {
    (void)channel;
    rn_client *client = user;
    rn_program *program = &client->program;
    if (state == RPCNET_CHANNEL_READY && !client->started) {
        start(client);
    } else if (state == RPCNET_CHANNEL_IDLE && !client->finishing) {
        RN_INFO(program->log, program->target, "err=%s director drains; streams go on",
                RN_TEXT_QUOTE(rn_bytes_text(text)));
    } else if (state == RPCNET_CHANNEL_WAITING && client->started && !client->finishing) {
        RN_ERROR(program->log, program->target, "err=%s connection to director lost",
                 RN_TEXT_QUOTE(rn_bytes_text(text)));
    } else if (state == RPCNET_CHANNEL_WAITING && !client->started) {
        snprintf(client->trouble, sizeof client->trouble, "%s", text);
        RN_DEBUG(program->log, program->target, "target=%s err=%s cannot connect; trying again",
                 client->config.target, RN_TEXT_QUOTE(rn_bytes_text(text)));
        give_up_if_hopeless(client, loss, text);
    }
}

/* Nobody answered in time, or the end goes on. */
static void on_timer(void *user) {
    rn_client *client = user;
    rn_program *program = &client->program;
    if (client->finishing) {
        rn_client_end_step(client);
        return;
    }
    char timeout[RN_UNITS_TEXT_MAX];
    rn_duration_format(client->config.connect_timeout_ns, timeout);
    rn_program_fail_setting(
        program, "target", "cannot reach a director at %s within %s%s%s; is it running?",
        client->config.target, timeout, client->trouble[0] != '\0' ? ": " : "", client->trouble);
}

/* The file for the text of stream `number`: as named, or with .2, .3 ... behind it. */
static int open_text(rn_client *client, rn_client_stream *stream) {
    char path[TEXT_PATH_MAX];
    const char *name = client->config.output_text;
    if (name == NULL) {
        return RPCNET_OK;
    }
    int len = stream->number == 1
                  ? snprintf(path, sizeof path, "%s", name)
                  : snprintf(path, sizeof path, "%s.%" PRIu64, name, stream->number);
    errno = ENAMETOOLONG;
    stream->text = len > 0 && (size_t)len < sizeof path ? fopen(path, "we") : NULL;
    if (stream->text == NULL) {
        return rn_program_fail_setting(&client->program, "output-text", "cannot write %s: %s", name,
                                       rn_file_error(errno));
    }
    return RPCNET_OK;
}

static int make_streams(rn_client *client) {
    uint64_t count = client->config.streams;
    client->streams = calloc(count, sizeof *client->streams);
    if (client->streams == NULL) {
        return rn_program_fail(&client->program, "no memory for %" PRIu64 " streams", count);
    }
    int result = RPCNET_OK;
    for (uint64_t i = 0; i < count && result == RPCNET_OK; i++) {
        rn_client_stream *stream = &client->streams[i];
        stream->client = client;
        stream->number = i + 1;
        rn_sequence_init(&stream->sequence);
        result = open_text(client, stream);
    }
    return result;
}

static int connect_to(rn_client *client, const rpcnet_channel_callbacks *callbacks) {
    rn_program *program = &client->program;
    const rn_client_config *config = &client->config;
    rpcnet_limits limits;
    rpcnet_limits_init(&limits);
    limits.connection_window_bytes = RN_CLIENT_WINDOW_BYTES;
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.limits = &limits;
    options.reconnect_when_drained = false; /* every stream has been opened */
    options.credentials = client->credentials;
    options.server_name = config->server_name;
    options.identity = config->server_identity;
    options.callbacks = *callbacks;
    options.user = client;
    int result = rpcnet_channel_new(&client->channel, program->env, config->target, &options);
    if (result != RPCNET_OK) {
        client->channel = NULL;
        return rn_program_fail_setting(program, "target", "cannot connect to %s: %s",
                                       config->target, rpcnet_strerror(result));
    }
    return RPCNET_OK;
}

static int take_token(rn_client *client) {
    static const char scheme[] = "Bearer ";
    char value[sizeof scheme + RN_TOKEN_MAX];
    char error[RN_TOKENS_ERROR_MAX];
    const char *file = client->config.token_file;
    if (file == NULL) {
        return RPCNET_OK;
    }
    memcpy(value, scheme, sizeof scheme);
    int result = rn_token_read(file, value + sizeof scheme - 1, error);
    if (result != RPCNET_OK) {
        return rn_program_fail_setting(&client->program, "token-file", "cannot use %s: %s", file,
                                       error);
    }
    result = rpcnet_metadata_new(&client->metadata);
    if (result == RPCNET_OK) {
        result = rpcnet_metadata_add(client->metadata, "authorization", value, strlen(value));
    }
    explicit_bzero(value, sizeof value);
    return result == RPCNET_OK ? result
                               : rn_program_fail(&client->program, "%s", rpcnet_strerror(result));
}

static void on_stop(void *user) {
    rn_client_interrupt(user);
}

int rn_client_open(rn_client *client) {
    rn_program *program = &client->program;
    const rn_client_config *config = &client->config;
    uint32_t random;
    int result = rn_client_outputs_open(client);
    if (result != RPCNET_OK) {
        return result;
    }
    rn_env_random(program->env, &random, sizeof random);
    snprintf(client->prompt, sizeof client->prompt, "prompt-%08" PRIx32, random);
    rn_certs certs;
    rn_certs_find(&certs, program);
    const rn_certs_pair pair = {.cert = config->common.cert,
                                .key = config->common.key,
                                .cert_option = "cert",
                                .key_option = "key"};
    result = rn_certs_credentials(&certs, program, &pair, &client->credentials);
    if (result == RPCNET_OK) {
        result = take_token(client);
    }
    if (result == RPCNET_OK) {
        result = make_streams(client);
    }
    if (result != RPCNET_OK) {
        return result;
    }
    result = rn_env_timer_new(program->env, on_timer, client, &client->timer);
    if (result != RPCNET_OK) {
        return rn_program_fail(program, "%s", rpcnet_strerror(result));
    }
    const rpcnet_channel_callbacks callbacks = {.on_state = on_state};
    result = connect_to(client, &callbacks);
    if (result == RPCNET_OK) {
        program->env->ops->timer_set(client->timer,
                                     rn_env_now(program->env) + config->connect_timeout_ns);
        rn_program_on_stop(program, on_stop, client);
    }
    return result;
}

void rn_client_text_failed(rn_client *client) {
    int error = errno;
    if (!client->text_failed) {
        client->text_failed = true;
        rn_program_fail_setting(&client->program, "output-text", "cannot write %s: %s",
                                client->config.output_text, rn_file_error(error));
    }
}

void rn_client_close(rn_client *client) {
    client->finishing = true;
    for (uint64_t i = 0; client->streams != NULL && i < client->config.streams; i++) {
        rpcnet_call_del(client->streams[i].call);
        if (client->streams[i].text != NULL && fclose(client->streams[i].text) != 0) {
            rn_client_text_failed(client);
        }
    }
    if (client->channel != NULL) {
        rpcnet_channel_del(client->channel);
    }
    client->program.env->ops->timer_del(client->timer);
    rpcnet_credentials_del(client->credentials);
    rpcnet_metadata_del(client->metadata);
    rn_client_outputs_close(client);
    free(client->streams);
}
