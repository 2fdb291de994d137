/* h3_client: a server made of the input against the library's client, after a real handshake in the
 * simulated network. Two calls run; each ends exactly once, and OK only if the server said so. */
#include "fuzz/arena.h"
#include "rpcnet/error.h"

enum { CALLS = 2 };

typedef struct ear {
    rpcnet_call *call;
    unsigned headers;
    unsigned messages;
    unsigned statuses;
    unsigned closes;
} ear;

typedef struct scene {
    arena arena;
    rpcnet_channel *channel;
    ear ears[CALLS];
} scene;

static void on_headers(rpcnet_call *call, const rpcnet_metadata *metadata, void *user) {
    ear *e = user;
    (void)call;
    (void)metadata;
    assert(e->headers++ == 0 && e->statuses == 0);
}

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    ear *e = user;
    (void)data;
    assert(e->headers == 1 && e->statuses == 0);
    if (++e->messages < 8) {
        (void)rpcnet_call_send(call, "pong", len < 4 ? len : 4);
    } else {
        (void)rpcnet_call_half_close(call);
    }
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    ear *e = user;
    (void)call;
    (void)trailers;
    assert(e->statuses++ == 0 && e->closes == 0);
    assert(code >= 0 && code <= RPCNET_GRPC_UNAUTHENTICATED && strlen(message) <= 1024);
}

static void on_closed(rpcnet_call *call, void *user) {
    ear *e = user;
    (void)call;
    assert(e->closes++ == 0 && e->statuses == 1);
}

static void start(scene *s) {
    static const rpcnet_call_callbacks callbacks = {.on_headers = on_headers,
                                                    .on_message = on_message,
                                                    .on_status = on_status,
                                                    .on_closed = on_closed};
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = arena_credentials(NULL);
    options.identity = ARENA_IDENTITY;
    assert(rpcnet_channel_new(&s->channel, rn_sim_host_new(s->arena.sim, ARENA_CLIENT_HOST),
                              ARENA_PEER_HOST ":61000", &options) == RPCNET_OK);
    for (size_t i = 0; i < CALLS; i++) {
        ear *e = &s->ears[i];
        assert(rpcnet_call_new(&e->call, s->channel, "/t/Echo", NULL, &callbacks, e) == RPCNET_OK);
        assert(rpcnet_call_send(e->call, "hello", 5) == RPCNET_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    scene *s = calloc(1, sizeof *s);
    assert(s != NULL);
    arena_init(&s->arena);
    arena_peer_listen(&s->arena, "h3", "director");
    start(s);
    assert(arena_establish(&s->arena));
    rn_sim_run_for(s->arena.sim, 20 * RN_MILLISECOND);
    arena_play(&s->arena, &input);
    rpcnet_channel_del(s->channel); /* calls that are open end inside */
    for (size_t i = 0; i < CALLS; i++) {
        assert(s->ears[i].statuses == 1);
        rpcnet_call_del(s->ears[i].call);
    }
    rn_sim_run_for(s->arena.sim, 20 * RN_MILLISECOND);
    arena_fini(&s->arena);
    free(s);
    return 0;
}
