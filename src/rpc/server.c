/* server: its life, its methods, and what it tells about itself. */
#include <assert.h>
#include <stdlib.h>

#include "rpc/internal.h"

static const char alpn[] = "h3";

static void release(rpcnet_server *server) {
    size_t cursor = 0;
    void *method;
    rn_bytes key;
    if (server->methods != NULL) {
        while (rn_map_next(server->methods, &cursor, &key, &method)) {
            free(method);
        }
    }
    rn_map_del(server->methods);
    rn_census_del(server->census);
    server->env->ops->timer_del(server->drain_timer);
    free(server);
}

static void port_gone(void *user) {
    release(user);
}

/* Also keeps what the endpoint below knows nothing of. */
static int take_limits(rpcnet_server *server, const rpcnet_limits *given, rn_quic_limits *out) {
    rpcnet_limits limits;
    uint64_t seed;
    int rv = rn_rpc_take_limits(&limits, true, given);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rn_rpc_quic_limits(out, true, &limits);
    server->budget = limits.memory;
    server->streams_max = limits.streams_max;
    server->headers_max = limits.headers_max;
    if (limits.calls_per_address > 0) {
        rn_env_random(server->env, &seed, sizeof seed);
        rv = rn_census_new(&server->census, limits.calls_per_address, limits.connections_max, seed);
    }
    return rv;
}

static int open_port(rpcnet_server *server, const rn_address *address,
                     const rpcnet_server_options *options) {
    rn_port_config config = {.udp = {.bind = *address},
                             .endpoint = {.env = server->env,
                                          .tls = rn_credentials_tls(options->credentials),
                                          .alpn = alpn,
                                          .accept = true,
                                          .accepted = rn_server_accepted,
                                          .user = server}};
    int rv = take_limits(server, options->limits, &config.endpoint.limits);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (options->secret != NULL) {
        memcpy(config.endpoint.secret, options->secret, sizeof config.endpoint.secret);
    } else {
        rn_env_random(server->env, config.endpoint.secret, sizeof config.endpoint.secret);
    }
    if (options->previous_secret != NULL) {
        config.endpoint.has_previous_secret = true;
        memcpy(config.endpoint.previous_secret, options->previous_secret,
               sizeof config.endpoint.previous_secret);
    }
    rv = rn_port_new(&server->port.port, &config);
    explicit_bzero(config.endpoint.secret, sizeof config.endpoint.secret);
    explicit_bzero(config.endpoint.previous_secret, sizeof config.endpoint.previous_secret);
    if (rv == RPCNET_OK) {
        (void)rn_address_format(rn_port_address(server->port.port), server->address);
    }
    return rv;
}

static int open_server(rpcnet_server *server, const rn_address *address,
                       const rpcnet_server_options *options) {
    uint64_t seed;
    rn_env_random(server->env, &seed, sizeof seed);
    int rv = rn_map_new(&server->methods, RN_RPC_METHODS_MAX, seed);
    if (rv == RPCNET_OK) {
        rv = rn_env_timer_new(server->env, rn_server_on_drain_timer, server, &server->drain_timer);
    }
    return rv == RPCNET_OK ? open_port(server, address, options) : rv;
}

int rpcnet_server_new(rpcnet_server **out, rpcnet_env *env, const char *address,
                      const rpcnet_server_options *options) {
    rpcnet_server_options given;
    rn_address bind;
    rpcnet_server_options_init(&given);
    int rv = rn_rpc_take_options(&given, sizeof given, options);
    if (rv == RPCNET_OK &&
        (given.credentials == NULL || !rn_credentials_have_certificate(given.credentials))) {
        rv = RPCNET_ERR_ARGUMENT;
    }
    if (rv == RPCNET_OK) {
        rv = rn_address_parse(&bind, address);
    }
    if (rv != RPCNET_OK) {
        return rv;
    }
    rpcnet_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    server->env = env;
    server->callbacks = given.callbacks;
    server->authorize = given.authorize;
    server->user = given.user;
    rn_list_init(&server->conns);
    rn_rpc_port_init(&server->port, env, port_gone, server);
    rv = open_server(server, &bind, &given);
    if (rv != RPCNET_OK) {
        release(server);
        return rv;
    }
    *out = server;
    return RPCNET_OK;
}

void rpcnet_server_del(rpcnet_server *server) {
    if (server == NULL || server->deleted) {
        return;
    }
    server->deleted = true;
    server->callbacks = (rpcnet_server_callbacks){.on_connection = NULL};
    rn_endpoint_stop_accepting(rn_port_endpoint(server->port.port));
    server->env->ops->timer_set(server->drain_timer, RN_NEVER);
    rn_rpc_port_enter(&server->port);
    while (!rn_list_empty(&server->port.calls)) {
        rpcnet_call *call = RN_CONTAINER_OF(server->port.calls.next, rpcnet_call, link);
        rn_list_remove(&call->link);
        rn_rpc_call_cut(call);
    }
    rn_rpc_port_leave(&server->port);
    rn_list *at;
    rn_list *after;
    RN_LIST_FOREACH(at, after, &server->conns) {
        rn_server_conn *conn = RN_CONTAINER_OF(at, rn_server_conn, link);
        rn_h3_session_close(conn->session, RN_H3_NO_ERROR, "the server is gone");
    }
    rn_rpc_port_end(&server->port);
}

const char *rpcnet_server_address(const rpcnet_server *server) {
    return server->address;
}

int rpcnet_server_set_credentials(rpcnet_server *server, const rpcnet_credentials *credentials) {
    if (!rn_credentials_have_certificate(credentials)) {
        return RPCNET_ERR_ARGUMENT;
    }
    if (!server->deleted) {
        rn_endpoint_set_tls(rn_port_endpoint(server->port.port), rn_credentials_tls(credentials));
    }
    return RPCNET_OK;
}

/* ---- methods ---- */

int rpcnet_server_add_method(rpcnet_server *server, const char *path, rpcnet_method_fn *fn,
                             void *user) {
    if (path[0] != '/' || fn == NULL) {
        return RPCNET_ERR_ARGUMENT;
    }
    rn_method *method = malloc(sizeof *method);
    if (method == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    *method = (rn_method){.fn = fn, .user = user};
    int rv = rn_map_put(server->methods, rn_bytes_text(path), method);
    if (rv != RPCNET_OK) {
        free(method);
    }
    return rv;
}

void rn_server_remove_method(rpcnet_server *server, const char *path) {
    free(rn_map_remove(server->methods, rn_bytes_text(path)));
}

void rpcnet_server_set_fallback(rpcnet_server *server, rpcnet_method_fn *fn, void *user) {
    server->fallback = (rn_method){.fn = fn, .user = user};
}

const rn_method *rn_server_find_method(const rpcnet_server *server, rn_bytes path) {
    const rn_method *method = path.len <= RN_MAP_KEY_MAX ? rn_map_get(server->methods, path) : NULL;
    if (method != NULL) {
        return method;
    }
    return server->fallback.fn != NULL ? &server->fallback : NULL;
}

/* ---- what it tells ---- */

void rpcnet_server_get_stats(const rpcnet_server *server, rpcnet_server_stats *out) {
    const rn_endpoint_stats *stats = rn_endpoint_get_stats(rn_port_endpoint(server->port.port));
    size_t open = 0;
    for (const rn_list *at = server->conns.next; at != &server->conns; at = at->next) {
        open += RN_CONTAINER_OF(at, rn_server_conn, link)->announced;
    }
    *out = (rpcnet_server_stats){.connections_accepted = stats->connections_accepted,
                                 .handshakes_completed = stats->handshakes_completed,
                                 .handshakes_failed = stats->handshakes_failed,
                                 .connections_refused = stats->connections_refused,
                                 .retries_sent = stats->retries_sent,
                                 .datagrams_dropped = stats->datagrams_dropped,
                                 .calls = server->calls,
                                 .connections_open = open,
                                 .calls_open = server->calls_open,
                                 .connections_refused_of_address =
                                     stats->connections_refused_of_address,
                                 .calls_refused_of_address = server->calls_refused,
                                 .headers_refused = server->headers_refused,
                                 .messages_refused = server->messages_refused,
                                 .resets_withheld = stats->stateless_resets_withheld,
                                 .handshakes_evicted = stats->handshakes_evicted};
}
