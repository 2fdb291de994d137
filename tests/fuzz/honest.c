/* honest: see the header. */
#include "fuzz/honest.h"

#include "rpcnet/error.h"

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
    honest *h = user;
    size_t i = 0;
    (void)server;
    while (i < HONEST_SERVED_MAX && h->served[i] != NULL) {
        i++;
    }
    if (i == HONEST_SERVED_MAX) {
        (void)rpcnet_call_finish(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too many", NULL);
        rpcnet_call_del(call);
        return;
    }
    h->served[i] = call;
    rpcnet_call_set_callbacks(call, &callbacks, &h->served[i]);
}

static void start_server(honest *h) {
    rpcnet_server_options options;
    uint8_t secret[RPCNET_SECRET_LEN] = {1};
    rpcnet_server_options_init(&options);
    options.credentials = arena_credentials("director");
    options.secret = secret;
    assert(rpcnet_server_new(&h->server, rn_sim_host_new(h->sim, ARENA_SERVER_HOST), ARENA_SERVER,
                             &options) == RPCNET_OK);
    rpcnet_server_set_fallback(h->server, serve, h);
}

/* ---- the honest client ---- */

static void on_echo(rpcnet_call *call, const void *data, size_t len, void *user) {
    honest *h = user;
    (void)call;
    assert(len == 1 && *(const uint8_t *)data == h->echoed);
    h->echoed++;
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

static void start_client(honest *h) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_echo, .on_status = on_status};
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = arena_credentials(NULL);
    options.identity = ARENA_IDENTITY;
    assert(rpcnet_channel_new(&h->channel, rn_sim_host_new(h->sim, ARENA_CLIENT_HOST), ARENA_SERVER,
                              &options) == RPCNET_OK);
    assert(rpcnet_call_new(&h->call, h->channel, "/t/Echo", NULL, &callbacks, h) == RPCNET_OK);
}

void honest_start(honest *h, rn_sim *sim) {
    *h = (honest){.sim = sim};
    start_server(h);
    start_client(h);
    honest_check(h);
}

void honest_check(honest *h) {
    uint8_t message = (uint8_t)h->echoed;
    unsigned before = h->echoed;
    rpcnet_channel_stats stats;
    assert(rpcnet_call_send(h->call, &message, 1) == RPCNET_OK);
    rn_sim_run_for(h->sim, 50 * RN_MILLISECOND);
    rpcnet_channel_get_stats(h->channel, &stats);
    assert(h->echoed == before + 1 && stats.connections_opened == 1);
}

void honest_end(honest *h) {
    static const rpcnet_call_callbacks none = {0};
    rpcnet_call_set_callbacks(h->call, &none, NULL);
    rpcnet_call_del(h->call);
    rpcnet_channel_del(h->channel);
    for (size_t i = 0; i < HONEST_SERVED_MAX; i++) {
        rpcnet_call_del(h->served[i]);
    }
    rpcnet_server_del(h->server);
    rn_sim_run_for(h->sim, 20 * RN_MILLISECOND); /* what was put off */
}
