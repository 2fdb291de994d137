/* h3_server: a client made of the input against the library's server, after a real handshake in the
 * simulated network. Beside it an honest client has a stream on a connection of its own, and
 * nothing happens to it. */
#include "fuzz/arena.h"
#include "rpcnet/error.h"

enum { SERVED_MAX = 48, MESSAGES = 3 };

typedef struct scene {
    arena arena;
    rpcnet_server *server;
    rpcnet_call *served[SERVED_MAX];
    rpcnet_channel *channel;
    rpcnet_call *honest;
    unsigned echoed;
} scene;

/* ---- the server: each message comes back ---- */

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)user;
    (void)rpcnet_call_send(call, data, len); /* what has no room is dropped */
}

static void on_half_close(rpcnet_call *call, void *user) {
    (void)user;
    (void)rpcnet_call_finish(call, RPCNET_GRPC_OK, "done", NULL);
}

static void on_closed(rpcnet_call *call, void *user) {
    rpcnet_call **slot = user;
    assert(*slot == call);
    *slot = NULL;
    rpcnet_call_del(call);
}

static void serve(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {
        .on_message = on_message, .on_half_close = on_half_close, .on_closed = on_closed};
    scene *s = user;
    size_t i = 0;
    (void)server;
    while (i < SERVED_MAX && s->served[i] != NULL) {
        i++;
    }
    if (i == SERVED_MAX) {
        (void)rpcnet_call_finish(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too many", NULL);
        rpcnet_call_del(call);
        return;
    }
    s->served[i] = call;
    rpcnet_call_set_callbacks(call, &callbacks, &s->served[i]);
}

static void start_server(scene *s) {
    rpcnet_server_options options;
    uint8_t secret[RPCNET_SECRET_LEN] = {1};
    rpcnet_server_options_init(&options);
    options.credentials = arena_credentials("director");
    options.secret = secret;
    assert(rpcnet_server_new(&s->server, rn_sim_host_new(s->arena.sim, ARENA_SERVER_HOST),
                             ARENA_SERVER, &options) == RPCNET_OK);
    rpcnet_server_set_fallback(s->server, serve, s);
}

/* ---- the honest client ---- */

static void on_echo(rpcnet_call *call, const void *data, size_t len, void *user) {
    scene *s = user;
    (void)call;
    assert(len == 1 && *(const uint8_t *)data == s->echoed);
    s->echoed++;
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    (void)call;
    (void)code;
    (void)message;
    (void)trailers;
    (void)user;
    abort(); /* nobody ends this call */
}

static void start_honest(scene *s) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_echo, .on_status = on_status};
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = arena_credentials(NULL);
    options.identity = ARENA_IDENTITY;
    assert(rpcnet_channel_new(&s->channel, rn_sim_host_new(s->arena.sim, ARENA_CLIENT_HOST),
                              ARENA_SERVER, &options) == RPCNET_OK);
    assert(rpcnet_call_new(&s->honest, s->channel, "/t/Echo", NULL, &callbacks, s) == RPCNET_OK);
}

static void check_honest(scene *s, unsigned number) {
    uint8_t message = (uint8_t)number;
    rpcnet_channel_stats stats;
    assert(rpcnet_call_send(s->honest, &message, 1) == RPCNET_OK);
    rn_sim_run_for(s->arena.sim, 50 * RN_MILLISECOND);
    rpcnet_channel_get_stats(s->channel, &stats);
    assert(s->echoed == number + 1 && stats.connections_opened == 1);
}

/* ---- */

static void end(scene *s) {
    static const rpcnet_call_callbacks none = {0};
    rpcnet_call_set_callbacks(s->honest, &none, NULL);
    rpcnet_call_del(s->honest);
    rpcnet_channel_del(s->channel);
    for (size_t i = 0; i < SERVED_MAX; i++) {
        rpcnet_call_del(s->served[i]);
    }
    rpcnet_server_del(s->server);
    rn_sim_run_for(s->arena.sim, 20 * RN_MILLISECOND); /* what was put off */
    arena_fini(&s->arena);
    free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    scene *s = calloc(1, sizeof *s);
    assert(s != NULL);
    arena_init(&s->arena);
    start_server(s);
    start_honest(s);
    check_honest(s, 0);
    arena_peer_connect(&s->arena, "h3");
    assert(arena_establish(&s->arena));
    arena_play(&s->arena, &input);
    check_honest(s, 1);
    end(s);
    return 0;
}
