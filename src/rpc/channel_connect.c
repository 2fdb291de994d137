/* channel_connect: a channel's connections: made, lost, retired, made again.
 *
 *   CONNECTING ──► READY ──► WAITING ──► CONNECTING ...      lost, or the server says goodbye
 *        └──────────────────────┘                            the attempt failed
 *                      └───► IDLE ─────► CONNECTING ...      goodbye, and then a call
 *
 * Each attempt has a socket of its own, connected to the server, so that the kernel tells when
 * nobody listens there. When the server says goodbye (GOAWAY) its connection is retired: the calls
 * on it go on, new ones wait for the next connection. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "rpc/internal.h"

#define SWEEP_INTERVAL (100 * RN_MILLISECOND)

static const char alpn[] = "h3";
static const char log_target[] = "rpcnet::channel";
static const char goodbye[] = "the server takes no more calls";

/* ---- back-off ---- */

/* Doubled for each failure in a row, and spread by a quarter both ways, so that many clients of one
 * server do not come back together. */
static uint64_t next_delay(rpcnet_channel *channel) {
    uint64_t delay = channel->backoff_min_ns;
    uint64_t dice;
    for (unsigned i = 1; i < channel->failures && delay < channel->backoff_max_ns; i++) {
        delay *= 2;
    }
    delay = delay < channel->backoff_max_ns ? delay : channel->backoff_max_ns;
    rn_env_random(channel->env, &dice, sizeof dice);
    return delay - delay / 4 + dice % (delay / 2 + 1);
}

/* There is no connection any more, or not this time. */
static void lost(rpcnet_channel *channel, bool established, enum rpcnet_loss loss,
                 const char *text) {
    rn_channel_enter(channel);
    RN_DEBUG(channel->env->log, log_target, "target=%s failures=%u err=%s connection lost",
             channel->target, channel->failures, RN_TEXT_QUOTE(rn_bytes_text(text)));
    channel->failures++;
    if (!channel->deleted && channel->reconnect) {
        channel->env->ops->timer_set(channel->timer,
                                     rn_env_now(channel->env) + next_delay(channel));
        rn_channel_set_state(channel, RPCNET_CHANNEL_WAITING, loss, text);
    } else {
        rn_channel_set_state(channel, RPCNET_CHANNEL_CLOSED, loss, text);
    }
    if (!channel->deleted && (!established || !channel->reconnect)) {
        char why[RN_RPC_TEXT_MAX + 32];
        (void)snprintf(why, sizeof why, "no connection to %s: %s", channel->target, text);
        rn_channel_fail_calls(channel, why);
    }
    rn_channel_leave(channel);
}

/* ---- links ---- */

static void link_gone(void *user) {
    free(user);
}

/* The link is no more the channel's business. */
static void detach(rn_channel_link *link) {
    rpcnet_channel *channel = link->channel;
    if (channel->link == link) {
        channel->link = NULL;
    } else {
        rn_list_remove(&link->link);
        channel->retired_count--;
    }
    link->channel = NULL;
}

void rn_channel_drop_link(rn_channel_link *link) {
    detach(link);
    rn_rpc_calls_fail(&link->port.calls, RPCNET_GRPC_UNAVAILABLE, "the channel was deleted");
    rn_h3_session_close(link->session, RN_H3_NO_ERROR, "");
    rn_rpc_port_end(&link->port);
}

static void retire(rn_channel_link *link) {
    rpcnet_channel *channel = link->channel;
    if (channel->retired_count == RN_RPC_RETIRED_MAX) {
        rn_channel_link *oldest = RN_CONTAINER_OF(channel->retired.next, rn_channel_link, link);
        rn_h3_session_close(oldest->session, RN_H3_NO_ERROR, "too many connections to one server");
    }
    channel->link = NULL;
    rn_list_append(&channel->retired, &link->link);
    channel->retired_count++;
    channel->env->ops->timer_set(channel->sweep, rn_env_now(channel->env) + SWEEP_INTERVAL);
}

void rn_channel_on_sweep(void *user) {
    rpcnet_channel *channel = user;
    rn_list *at;
    rn_list *after;
    RN_LIST_FOREACH(at, after, &channel->retired) {
        rn_channel_link *link = RN_CONTAINER_OF(at, rn_channel_link, link);
        if (rn_h3_session_streams(link->session) == 0) {
            rn_h3_session_close(link->session, RN_H3_NO_ERROR, "");
        }
    }
    if (!rn_list_empty(&channel->retired)) {
        channel->env->ops->timer_set(channel->sweep, rn_env_now(channel->env) + SWEEP_INTERVAL);
    }
}

static int open_link(rpcnet_channel *channel, const rn_address *remote);

/* RPCNET_ERR_NOT_FOUND: all have been tried. */
static int try_next_address(rpcnet_channel *channel) {
    int rv = RPCNET_ERR_NOT_FOUND;
    while (rv != RPCNET_OK && !channel->deleted &&
           channel->addresses_tried < channel->addresses_count) {
        rv = open_link(channel, &channel->addresses[channel->addresses_tried++]);
    }
    return rv;
}

/* ---- what the session tells ---- */

static void on_established(rn_h3_session *session, void *user) {
    rn_channel_link *link = user;
    rpcnet_channel *channel = link->channel;
    (void)session;
    if (channel == NULL) {
        return;
    }
    rn_rpc_port_enter(&link->port);
    rn_channel_enter(channel);
    link->established = true;
    link->established_at = rn_env_now(channel->env);
    channel->stats.handshakes_completed++;
    rn_channel_set_state(channel, RPCNET_CHANNEL_READY, RPCNET_LOSS_NONE, "");
    rn_channel_start_calls(channel);
    rn_channel_leave(channel);
    rn_rpc_port_leave(&link->port);
}

static void on_streams_available(rn_h3_session *session, void *user) {
    rn_channel_link *link = user;
    (void)session;
    if (link->channel != NULL && link->channel->link == link) {
        rn_rpc_port_enter(&link->port);
        rn_channel_start_calls(link->channel);
        rn_rpc_port_leave(&link->port);
    }
}

/* A connection that held for a while has made good for the failures before it. */
static void forgive_failures(const rn_channel_link *link) {
    rpcnet_channel *channel = link->channel;
    if (link->established &&
        rn_env_now(channel->env) - link->established_at >= channel->backoff_max_ns) {
        channel->failures = 0;
    }
}

static void on_goaway(rn_h3_session *session, void *user) {
    rn_channel_link *link = user;
    rpcnet_channel *channel = link->channel;
    (void)session;
    if (channel == NULL || channel->link != link || !channel->reconnect) {
        return;
    }
    rn_rpc_port_enter(&link->port);
    forgive_failures(link);
    retire(link);
    if (channel->reconnect_when_drained || !rn_list_empty(&channel->waiting)) {
        lost(channel, true, RPCNET_LOSS_PEER, goodbye);
    } else {
        rn_channel_set_state(channel, RPCNET_CHANNEL_IDLE, RPCNET_LOSS_PEER, goodbye);
    }
    rn_rpc_port_leave(&link->port);
}

static void on_address_token(rn_h3_session *session, const uint8_t *token, size_t len, void *user) {
    rn_channel_link *link = user;
    rpcnet_channel *channel = link->channel;
    (void)session;
    if (channel != NULL && len <= sizeof channel->token) {
        memcpy(channel->token, token, len);
        channel->token_len = len;
    }
}

static void on_unreachable(rn_h3_session *session, void *user) {
    rn_channel_link *link = user;
    if (link->channel != NULL && link->channel->unreachable_is_fatal) {
        link->loss = RPCNET_LOSS_UNREACHABLE;
        rn_h3_session_close(session, RN_H3_NO_ERROR, "nobody listens at the server's port");
    }
}

static void on_closed(rn_h3_session *session, const rn_close *close, void *user) {
    rn_channel_link *link = user;
    rpcnet_channel *channel = link->channel;
    char text[RN_RPC_TEXT_MAX];
    (void)session;
    rn_rpc_port_enter(&link->port);
    link->session = NULL;
    if (channel != NULL) {
        bool current = channel->link == link;
        enum rpcnet_loss loss =
            link->loss != RPCNET_LOSS_NONE ? link->loss : rn_rpc_classify(close);
        if (current) {
            forgive_failures(link);
        }
        detach(link);
        rn_rpc_port_end(&link->port);
        bool again = current && !link->established && loss != RPCNET_LOSS_REFUSED &&
                     try_next_address(channel) == RPCNET_OK;
        if (current && !again) {
            lost(channel, link->established, loss, rn_rpc_describe(close, text));
        }
    }
    rn_rpc_port_leave(&link->port);
}

static const rn_h3_handler session_handler = {
    .established = on_established,
    .streams_available = on_streams_available,
    .goaway = on_goaway,
    .address_token = on_address_token,
    .unreachable = on_unreachable,
    .closed = on_closed,
};

/* ---- an attempt ---- */

static int open_port(rn_channel_link *link, const rn_address *remote) {
    const rpcnet_channel *channel = link->channel;
    rn_port_config config = {
        .udp = {.connect = *remote},
        .endpoint = {
            .env = channel->env, .tls = channel->tls, .alpn = alpn, .limits = channel->limits}};
    memcpy(config.endpoint.secret, channel->secret, sizeof config.endpoint.secret);
    int rv = rn_port_new(&link->port.port, &config);
    explicit_bzero(config.endpoint.secret, sizeof config.endpoint.secret);
    return rv;
}

static int open_session(rn_channel_link *link, const rn_address *remote) {
    const rpcnet_channel *channel = link->channel;
    rn_connect_options options = {
        .local = *rn_port_address(link->port.port),
        .remote = *remote,
        .expect = {.server_name = channel->server_name, .identity = channel->identity},
        .token = channel->token_len > 0 ? channel->token : NULL,
        .token_len = channel->token_len};
    rn_conn *conn;
    int rv = rn_endpoint_connect(rn_port_endpoint(link->port.port), &options, &conn);
    return rv == RPCNET_OK ? rn_h3_session_new(&link->session, conn, NULL, &session_handler, link)
                           : rv;
}

static int open_link(rpcnet_channel *channel, const rn_address *remote) {
    rn_channel_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    rn_rpc_port_init(&link->port, channel->env, link_gone, link);
    rn_list_init(&link->link);
    link->channel = channel;
    channel->link = link;
    int rv = open_port(link, remote);
    if (rv == RPCNET_OK) {
        rv = open_session(link, remote);
    }
    if (rv != RPCNET_OK) {
        detach(link);
        rn_rpc_port_end(&link->port);
        return rv;
    }
    channel->stats.connections_opened++;
    (void)rn_address_format(rn_port_address(link->port.port), channel->local_text);
    return RPCNET_OK;
}

static void on_resolved(int result, const rn_address *addresses, size_t count, void *user) {
    rpcnet_channel *channel = user;
    channel->resolve = NULL;
    if (result != RPCNET_OK) {
        lost(channel, false, RPCNET_LOSS_RESOLVE, "the host's name has no address");
        return;
    }
    memcpy(channel->addresses, addresses, count * sizeof addresses[0]);
    channel->addresses_count = count;
    channel->addresses_tried = 0;
    int rv = try_next_address(channel);
    if (rv != RPCNET_OK) {
        lost(channel, false, RPCNET_LOSS_LOCAL, rpcnet_strerror(rv));
    }
}

int rn_channel_connect(rpcnet_channel *channel) {
    return channel->env->ops->resolve(channel->env, channel->host, channel->port, on_resolved,
                                      channel, &channel->resolve);
}

void rn_channel_want(rpcnet_channel *channel) {
    if (channel->state == RPCNET_CHANNEL_IDLE) {
        /* In the next turn: callbacks never come inside the function that causes them. */
        channel->state = RPCNET_CHANNEL_CONNECTING;
        channel->env->ops->timer_set(channel->timer, rn_env_now(channel->env));
    }
}

void rn_channel_on_timer(void *user) {
    rpcnet_channel *channel = user;
    rn_channel_enter(channel);
    rn_channel_set_state(channel, RPCNET_CHANNEL_CONNECTING, RPCNET_LOSS_NONE, "");
    if (!channel->deleted) {
        int rv = rn_channel_connect(channel);
        if (rv != RPCNET_OK) {
            lost(channel, false, rv == RPCNET_ERR_MEMORY ? RPCNET_LOSS_LOCAL : RPCNET_LOSS_RESOLVE,
                 rpcnet_strerror(rv));
        }
    }
    rn_channel_leave(channel);
}
