/* control: the MGMT port and the life of its parts. */
#include "director/control/control.h"

#include <string.h>

#include "common/cluster.h"
#include "rpcnet/error.h"

enum {
    STREAMS_MAX = 8, /* a worker needs one: it registers, then it reports */
    /* All workers may be on one machine, and the connections of their last lives not yet ended. */
    CONNECTIONS_PER_ADDRESS = 2 * RN_POOL_MAX,
    /* What a connection may hold here, for no account counts it: many times what it has to say. */
    STREAM_WINDOW = 64 * 1024,
    CONNECTION_WINDOW = 128 * 1024
};

static void entry_removed(rn_pool_entry *entry, void *user) {
    (void)user;
    rn_check_stop(entry);
    rn_registry_forget(entry);
}

int rn_control_start(rn_control *control, const rn_control_options *options) {
    memset(control, 0, sizeof *control);
    control->env = options->env;
    control->credentials = options->credentials;
    control->epoch = options->epoch;
    control->health_interval_ns = options->health_interval_ns;
    memcpy(control->secret, options->secret, sizeof control->secret);
    rn_pool_init(&control->pool, options->env, options->preferred_label, options->workers_max);
    control->pool.removed = entry_removed;

    rpcnet_server_options server;
    rpcnet_limits limits;
    rpcnet_server_options_init(&server);
    rpcnet_limits_init(&limits);
    server.limits = &limits;
    server.credentials = options->credentials;
    server.secret = options->secret;
    server.previous_secret = options->previous_secret;
    rn_cluster_limits(&limits);
    /* Handshakes that strangers do not finish leave room for all workers, and as many again. */
    limits.connections_max = (size_t)2 * RN_POOL_MAX + limits.handshakes_max;
    limits.connections_per_address = CONNECTIONS_PER_ADDRESS;
    limits.streams_max = STREAMS_MAX;
    limits.stream_window_bytes = STREAM_WINDOW;
    limits.connection_window_bytes = CONNECTION_WINDOW;
    /* A worker that has vanished is found by its links; this is for the rest. */
    limits.idle_timeout_ns = 10 * RN_SECOND;
    limits.keep_alive_ns = 3 * RN_SECOND;
    int result = rpcnet_server_new(&control->server, options->env, options->address, &server);
    if (result == RPCNET_OK) {
        result = rpcnet_health_new(&control->health, control->server);
    }
    if (result == RPCNET_OK) {
        result = rn_registry_serve(control);
    }
    if (result != RPCNET_OK) {
        rn_control_stop(control);
    }
    return result;
}

void rn_control_set_credentials(rn_control *control, rpcnet_credentials *credentials) {
    control->credentials = credentials;
    (void)rpcnet_server_set_credentials(control->server, credentials); /* it has a certificate */
    for (rn_list *link = control->pool.entries.next; link != &control->pool.entries;
         link = link->next) {
        rn_check_set_credentials(RN_CONTAINER_OF(link, rn_pool_entry, link), credentials);
    }
}

void rn_control_goodbye(rn_control *control) {
    rpcnet_health_set(control->health, "", RPCNET_NOT_SERVING);
    for (rn_list *link = control->pool.entries.next; link != &control->pool.entries;
         link = link->next) {
        rn_registry_goodbye(RN_CONTAINER_OF(link, rn_pool_entry, link));
    }
}

void rn_control_stop(rn_control *control) {
    rn_pool_fini(&control->pool);
    if (control->server != NULL) {
        rpcnet_server_del(control->server);
        control->server = NULL;
    }
    rpcnet_health_del(control->health);
    control->health = NULL;
    explicit_bzero(control->secret, sizeof control->secret);
}
