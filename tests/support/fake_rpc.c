/* fake_rpc: see the header. The world is one static object, because rpcnet.h's functions have no
 * argument through which a test could hand one in. */
#include "support/fake_rpc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- env ---- */

struct rn_timer {
    rn_list link;
    fake_env *fake;
    rn_timer_fn *fn;
    void *user;
    uint64_t deadline;
};

static fake_env *fake_of(rn_env *env) {
    return RN_CONTAINER_OF(env, fake_env, env);
}

static uint64_t env_now(rn_env *env) {
    return fake_of(env)->now;
}

static uint64_t env_wall(rn_env *env) {
    return fake_of(env)->now;
}

static void env_random(rn_env *env, void *out, size_t len) {
    (void)env;
    memset(out, 0x5A, len);
}

static int env_timer_new(rn_env *env, rn_timer_fn *fn, void *user, rn_timer **out) {
    rn_timer *timer = calloc(1, sizeof *timer);
    assert(timer != NULL);
    *timer = (rn_timer){.fake = fake_of(env), .fn = fn, .user = user, .deadline = RN_NEVER};
    rn_list_append(&timer->fake->timers, &timer->link);
    *out = timer;
    return RPCNET_OK;
}

static void env_timer_set(rn_timer *timer, uint64_t deadline) {
    timer->deadline = deadline;
}

static void env_timer_del(rn_timer *timer) {
    if (timer != NULL) {
        rn_list_remove(&timer->link);
        free(timer);
    }
}

static void env_defer(rn_env *env, rn_deferred *deferred) {
    if (!rn_list_linked(&deferred->link)) {
        rn_list_append(&fake_of(env)->deferred, &deferred->link);
    }
}

void fake_env_init(fake_env *fake, rn_log *log) {
    static const rn_env_ops ops = {.now = env_now,
                                   .wall = env_wall,
                                   .random = env_random,
                                   .timer_new = env_timer_new,
                                   .timer_set = env_timer_set,
                                   .timer_del = env_timer_del,
                                   .defer = env_defer};
    *fake = (fake_env){.env = {.ops = &ops, .log = log}, .now = RN_SECOND};
    rn_list_init(&fake->timers);
    rn_list_init(&fake->deferred);
}

size_t fake_env_timers(const fake_env *fake) {
    size_t count = 0;
    for (const rn_list *link = fake->timers.next; link != &fake->timers; link = link->next) {
        count++;
    }
    return count;
}

static void run_deferred(fake_env *fake) {
    while (!rn_list_empty(&fake->deferred)) {
        rn_deferred *deferred = RN_CONTAINER_OF(fake->deferred.next, rn_deferred, link);
        rn_list_remove(&deferred->link);
        deferred->run(deferred->user);
    }
}

static rn_timer *first_timer(fake_env *fake) {
    rn_timer *first = NULL;
    for (rn_list *link = fake->timers.next; link != &fake->timers; link = link->next) {
        rn_timer *timer = RN_CONTAINER_OF(link, rn_timer, link);
        if (timer->deadline != RN_NEVER && (first == NULL || timer->deadline < first->deadline)) {
            first = timer;
        }
    }
    return first;
}

void fake_env_advance(fake_env *fake, uint64_t ns) {
    uint64_t end = fake->now + ns;
    run_deferred(fake);
    rn_timer *timer;
    while ((timer = first_timer(fake)) != NULL && timer->deadline <= end) {
        fake->now = timer->deadline > fake->now ? timer->deadline : fake->now;
        timer->deadline = RN_NEVER;
        timer->fn(timer->user);
        run_deferred(fake);
    }
    fake->now = end;
}

/* ---- calls ---- */

static rpcnet_call *new_call(void) {
    rpcnet_call *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->room = SIZE_MAX;
    call->source_room = SIZE_MAX;
    call->deadline = RPCNET_NO_DEADLINE;
    call->path = "/a.B/C";
    rpcnet_call_options_init(&call->options);
    call->peer =
        (rpcnet_peer){.connection = 1, .call = 1, .address = "127.0.0.1:9", .identity = ""};
    rn_buffer_init(&call->bytes, 64 << 20);
    return call;
}

rpcnet_call *fake_call_new(const char *identity) {
    rpcnet_call *call = new_call();
    call->peer.identity = identity;
    return call;
}

void fake_call_free(rpcnet_call *call) {
    rn_buffer_fini(&call->bytes);
    free(call);
}

rn_bytes fake_call_message(const rpcnet_call *call, size_t index) {
    assert(index < call->sent);
    size_t start = index == 0 ? 0 : call->ends[index - 1];
    return rn_bytes_of(call->bytes.data + start, call->ends[index] - start);
}

void fake_call_give_room(rpcnet_call *call, size_t room) {
    call->room = room;
    call->callbacks->on_writable(call, call->user);
}

uint64_t rpcnet_now(rpcnet_env *env) {
    return env->ops->now(env);
}

void rpcnet_call_options_init(rpcnet_call_options *options) {
    *options =
        (rpcnet_call_options){.struct_size = sizeof *options, .deadline_ns = RPCNET_NO_DEADLINE};
}

int rpcnet_call_new(rpcnet_call **out, rpcnet_channel *channel, const char *path,
                    const rpcnet_call_options *options, const rpcnet_call_callbacks *callbacks,
                    void *user) {
    assert(channel->call_count < FAKE_CALLS_MAX);
    rpcnet_call *call = new_call();
    if (options != NULL) {
        call->options = *options;
    }
    call->source_room = fake_world_get()->reads_slowly ? 0 : SIZE_MAX;
    call->path = path;
    call->callbacks = callbacks;
    call->user = user;
    channel->calls[channel->call_count++] = call;
    *out = call;
    return RPCNET_OK;
}

void rpcnet_call_del(rpcnet_call *call) {
    if (call != NULL) {
        assert(!call->deleted);
        call->deleted = true;
    }
}

void rpcnet_call_set_callbacks(rpcnet_call *call, const rpcnet_call_callbacks *callbacks,
                               void *user) {
    call->callbacks = callbacks;
    call->user = user;
}

void rpcnet_call_set_options(rpcnet_call *call, const rpcnet_call_options *options) {
    assert(options->struct_size == sizeof *options);
    call->options = *options;
}

int rpcnet_call_send2(rpcnet_call *call, const void *head, size_t head_len, const void *data,
                      size_t len) {
    assert(!call->deleted && !call->finished && !call->half_closed);
    if (call->send_error != RPCNET_OK) {
        return call->send_error;
    }
    if (call->options.send_max > 0 && head_len + len > call->options.send_max) {
        return RPCNET_ERR_LIMIT;
    }
    if (call->room == 0 || call->sending) {
        return RPCNET_ERR_AGAIN;
    }
    call->room -= call->room == SIZE_MAX ? 0 : 1;
    assert(call->sent < FAKE_MESSAGES_MAX);
    if (head_len > 0) {
        rn_buffer_append(&call->bytes, head, head_len);
    }
    if (len > 0) {
        rn_buffer_append(&call->bytes, data, len);
    }
    call->ends[call->sent++] = call->bytes.len;
    return RPCNET_OK;
}

int rpcnet_call_send(rpcnet_call *call, const void *data, size_t len) {
    return rpcnet_call_send2(call, NULL, 0, data, len);
}

/* Reads as much as it may; a whole message counts as sent. */
static void read_source(rpcnet_call *call) {
    rpcnet_piece pieces[RPCNET_SOURCE_PIECES_MAX];
    while (call->source_read < call->source.len && call->source_room > 0) {
        size_t count = call->source.read(call->source.user, call->source_read, pieces);
        size_t whole = 0;
        assert(count > 0 && count <= RPCNET_SOURCE_PIECES_MAX);
        for (size_t i = 0; i < count; i++) {
            size_t len = pieces[i].len < call->source_room ? pieces[i].len : call->source_room;
            call->source_room -= call->source_room == SIZE_MAX ? 0 : len;
            rn_buffer_append(&call->bytes, pieces[i].data, len);
            call->source_read += len;
            whole += pieces[i].len;
        }
        assert(call->source_read <= call->source.len && whole > 0);
    }
    if (call->source_read == call->source.len) {
        call->sending = false;
        call->ends[call->sent++] = call->bytes.len;
    }
}

int rpcnet_call_send_source(rpcnet_call *call, const rpcnet_source *source) {
    assert(!call->deleted && !call->finished && !call->half_closed);
    if (call->send_error != RPCNET_OK) {
        return call->send_error;
    }
    if (call->options.send_max > 0 && source->len > call->options.send_max) {
        return RPCNET_ERR_LIMIT;
    }
    if (call->room == 0 || call->sending) {
        return RPCNET_ERR_AGAIN;
    }
    call->room -= call->room == SIZE_MAX ? 0 : 1;
    assert(call->sent < FAKE_MESSAGES_MAX);
    call->source = *source;
    call->source_read = 0;
    call->sending = true;
    read_source(call);
    return RPCNET_OK;
}

bool rpcnet_call_is_sending(const rpcnet_call *call) {
    return call->sending;
}

uint64_t rpcnet_call_received(const rpcnet_call *call) {
    return call->received;
}

bool rpcnet_call_is_stopped(const rpcnet_call *call) {
    return call->send_error == RPCNET_ERR_CLOSED;
}

void fake_call_stop(rpcnet_call *call) {
    bool waits = call->sending || call->room == 0;
    call->sending = false;
    call->send_error = RPCNET_ERR_CLOSED;
    if (waits) {
        call->callbacks->on_writable(call, call->user);
    }
}

void fake_call_read_on(rpcnet_call *call, size_t len) {
    assert(call->sending && !call->deleted);
    call->source_room = len;
    read_source(call);
    if (!call->sending) {
        call->callbacks->on_writable(call, call->user);
    }
}

int rpcnet_call_half_close(rpcnet_call *call) {
    assert(!call->deleted);
    call->half_closed = true;
    return RPCNET_OK;
}

int rpcnet_call_finish(rpcnet_call *call, int code, const char *message,
                       const rpcnet_metadata *trailers) {
    (void)trailers;
    assert(!call->deleted && !call->finished);
    call->finished = true;
    call->code = code;
    snprintf(call->message, sizeof call->message, "%s", message != NULL ? message : "");
    return RPCNET_OK;
}

void rpcnet_call_cancel(rpcnet_call *call) {
    assert(!call->deleted);
    call->cancelled = true;
    call->callbacks->on_status(call, RPCNET_GRPC_CANCELLED, "cancelled", NULL, call->user);
}

void rpcnet_call_hold(rpcnet_call *call, bool hold) {
    assert(!call->deleted);
    call->held = hold;
}

void rpcnet_call_abort(rpcnet_call *call, int code, const char *message) {
    call->aborted = true;
    (void)rpcnet_call_finish(call, code, message, NULL);
}

bool rpcnet_call_is_starved(const rpcnet_call *call) {
    return call->starved;
}

uint64_t rpcnet_call_deadline(const rpcnet_call *call) {
    return call->deadline;
}

size_t rpcnet_call_memory(const rpcnet_call *call) {
    return call->bytes.capacity;
}

const rpcnet_metadata *rpcnet_call_metadata(const rpcnet_call *call) {
    (void)call;
    return NULL;
}

const char *rpcnet_call_path(const rpcnet_call *call) {
    return call->path;
}

void rpcnet_call_peer(const rpcnet_call *call, rpcnet_peer *out) {
    *out = call->peer;
}

/* ---- what calls come from ---- */

static fake_world world;

fake_world *fake_world_get(void) {
    return &world;
}

void fake_world_reset(void) {
    for (size_t i = 0; i < world.channel.call_count; i++) {
        fake_call_free(world.channel.calls[i]);
    }
    memset(&world, 0, sizeof world);
}

void rpcnet_credentials_options_init(rpcnet_credentials_options *options) {
    *options = (rpcnet_credentials_options){.struct_size = sizeof *options};
}

int rpcnet_credentials_new(rpcnet_credentials **out, const rpcnet_credentials_options *options,
                           char *error) { /* NOLINT(readability-non-const-parameter) */
    assert(options->ca_file != NULL && error != NULL);
    *out = &world.credentials;
    return RPCNET_OK;
}

void rpcnet_credentials_del(rpcnet_credentials *credentials) {
    (void)credentials;
}

const char *rpcnet_credentials_identity(const rpcnet_credentials *credentials) {
    return credentials->identity;
}

int64_t rpcnet_credentials_expiry(const rpcnet_credentials *credentials) {
    return credentials->expiry;
}

void rpcnet_channel_set_credentials(rpcnet_channel *channel,
                                    const rpcnet_credentials *credentials) {
    channel->options.credentials = credentials;
}

int rpcnet_server_set_credentials(rpcnet_server *server, const rpcnet_credentials *credentials) {
    server->options.credentials = credentials;
    return RPCNET_OK;
}

int rpcnet_metadata_new(rpcnet_metadata **out) {
    *out = NULL;
    return RPCNET_OK;
}

int rpcnet_metadata_add(rpcnet_metadata *metadata, const char *name, const void *value,
                        size_t len) {
    (void)metadata;
    (void)name;
    (void)value;
    (void)len;
    return RPCNET_OK;
}

size_t rpcnet_metadata_count(const rpcnet_metadata *metadata) {
    (void)metadata;
    return 0;
}

void rpcnet_metadata_at(const rpcnet_metadata *metadata, size_t index, const char **name,
                        size_t *name_len, const void **value, size_t *value_len) {
    (void)metadata;
    (void)index;
    *name = "";
    *value = "";
    *name_len = *value_len = 0;
}

void rpcnet_metadata_del(rpcnet_metadata *metadata) {
    (void)metadata;
}

void rpcnet_channel_options_init(rpcnet_channel_options *options) {
    *options = (rpcnet_channel_options){.struct_size = sizeof *options, .reconnect = true};
}

int rpcnet_channel_new(rpcnet_channel **out, rpcnet_env *env, const char *target,
                       const rpcnet_channel_options *options) {
    (void)env;
    (void)target;
    world.channel.options = *options;
    world.channel.options.limits = NULL; /* borrowed until now */
    *out = &world.channel;
    return RPCNET_OK;
}

void rpcnet_channel_del(rpcnet_channel *channel) {
    channel->state = RPCNET_CHANNEL_CLOSED;
}

uint64_t rpcnet_channel_rtt(const rpcnet_channel *channel) {
    (void)channel;
    return RN_MILLISECOND;
}

enum rpcnet_channel_state rpcnet_channel_get_state(const rpcnet_channel *channel) {
    return channel->state;
}

void rpcnet_channel_get_stats(const rpcnet_channel *channel, rpcnet_channel_stats *out) {
    *out = (rpcnet_channel_stats){
        .connections_opened = 1, .handshakes_completed = 1, .calls_started = channel->call_count};
}

void rpcnet_limits_init(rpcnet_limits *limits) {
    *limits = (rpcnet_limits){.struct_size = sizeof *limits};
}

void rpcnet_server_options_init(rpcnet_server_options *options) {
    *options = (rpcnet_server_options){.struct_size = sizeof *options};
}

int rpcnet_server_new(rpcnet_server **out, rpcnet_env *env, const char *address,
                      const rpcnet_server_options *options) {
    (void)env;
    (void)address;
    if (world.server_error != RPCNET_OK) {
        return world.server_error;
    }
    assert(world.server_count < 2);
    *out = &world.servers[world.server_count++];
    (*out)->options = *options;
    (*out)->limits = *options->limits;
    (*out)->options.limits = &(*out)->limits;
    return RPCNET_OK;
}

void rpcnet_server_del(rpcnet_server *server) {
    (void)server;
}

const char *rpcnet_server_address(const rpcnet_server *server) {
    return server == &world.servers[0] ? "127.0.0.1:62001" : "127.0.0.1:63001";
}

void rpcnet_server_get_stats(const rpcnet_server *server, rpcnet_server_stats *out) {
    (void)server;
    *out = (rpcnet_server_stats){0};
}

int rpcnet_server_add_method(rpcnet_server *server, const char *path, rpcnet_method_fn *fn,
                             void *user) {
    *(strstr(path, "/Serve") != NULL ? &server->serve : &server->generate) = fn;
    server->user = user;
    return RPCNET_OK;
}

size_t rpcnet_server_shed(rpcnet_server *server, size_t bytes_min) {
    (void)server;
    (void)bytes_min;
    return 0;
}

void rpcnet_server_drain(rpcnet_server *server, uint64_t deadline_ns) {
    (void)deadline_ns;
    server->draining = true;
}

int rpcnet_health_new(rpcnet_health **out, rpcnet_server *server) {
    *out = (rpcnet_health *)(void *)server; /* not looked into */
    return RPCNET_OK;
}

void rpcnet_health_del(rpcnet_health *health) {
    (void)health;
}

int rpcnet_health_set(rpcnet_health *health, const char *service, enum rpcnet_serving status) {
    (void)health;
    (void)service;
    world.health = status;
    return RPCNET_OK;
}
