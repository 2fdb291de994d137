/* channel: its life, its waiting calls, and what it tells about itself. Connections come and go in
 * channel_connect.c. */
#include <assert.h>
#include <stdlib.h>

#include "rpc/internal.h"

/* ---- life ---- */

static void release(rpcnet_channel *channel) {
    rn_tls_context_del(channel->tls);
    explicit_bzero(channel->secret, sizeof channel->secret);
    free(channel->target);
    free(channel->server_name);
    free(channel->identity);
    free(channel);
}

void rn_channel_enter(rpcnet_channel *channel) {
    channel->depth++;
}

void rn_channel_leave(rpcnet_channel *channel) {
    assert(channel->depth > 0);
    if (--channel->depth == 0 && channel->deleted) {
        release(channel);
    }
}

static bool copy_text(char **out, const char *text) {
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL;
}

static int take_names(rpcnet_channel *channel, const rpcnet_channel_options *options) {
    const char *name = options->server_name;
    if (options->identity == NULL && name == NULL) {
        name = channel->host;
    }
    bool taken = copy_text(&channel->identity, options->identity) &&
                 copy_text(&channel->server_name, options->identity == NULL ? name : NULL);
    return taken ? RPCNET_OK : RPCNET_ERR_MEMORY;
}

static int take_settings(rpcnet_channel *channel, const rpcnet_channel_options *options) {
    if (options->credentials == NULL || options->backoff_min_ns == 0 ||
        options->backoff_max_ns < options->backoff_min_ns) {
        return RPCNET_ERR_ARGUMENT;
    }
    channel->tls = rn_tls_context_hold(rn_credentials_tls(options->credentials));
    channel->reconnect = options->reconnect;
    channel->reconnect_when_drained = options->reconnect_when_drained;
    channel->unreachable_is_fatal = options->unreachable_is_fatal;
    channel->backoff_min_ns = options->backoff_min_ns;
    channel->backoff_max_ns = options->backoff_max_ns;
    channel->calls_waiting_max = options->calls_waiting_max;
    channel->callbacks = options->callbacks;
    channel->user = options->user;
    if (options->secret != NULL) {
        memcpy(channel->secret, options->secret, sizeof channel->secret);
    } else {
        rn_env_random(channel->env, channel->secret, sizeof channel->secret);
    }
    rpcnet_limits limits;
    int rv = rn_rpc_take_limits(&limits, false, options->limits);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rn_rpc_quic_limits(&channel->limits, false, &limits);
    return take_names(channel, options);
}

static int make_timers(rpcnet_channel *channel) {
    int rv = rn_env_timer_new(channel->env, rn_channel_on_timer, channel, &channel->timer);
    if (rv == RPCNET_OK) {
        rv = rn_env_timer_new(channel->env, rn_channel_on_sweep, channel, &channel->sweep);
    }
    return rv;
}

int rpcnet_channel_new(rpcnet_channel **out, rpcnet_env *env, const char *target,
                       const rpcnet_channel_options *options) {
    rpcnet_channel_options given;
    rpcnet_channel_options_init(&given);
    int rv = rn_rpc_take_options(&given, sizeof given, options);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rpcnet_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    channel->env = env;
    rn_list_init(&channel->retired);
    rn_list_init(&channel->waiting);
    rn_list_init(&channel->failing);
    rv = rn_address_split(target, channel->host, &channel->port);
    if (rv == RPCNET_OK && channel->port == 0) {
        rv = RPCNET_ERR_ADDRESS;
    }
    if (rv == RPCNET_OK) {
        rv = copy_text(&channel->target, target) ? take_settings(channel, &given)
                                                 : RPCNET_ERR_MEMORY;
    }
    if (rv == RPCNET_OK) {
        rv = make_timers(channel);
    }
    if (rv == RPCNET_OK) {
        rv = rn_channel_connect(channel);
    }
    if (rv != RPCNET_OK) {
        rpcnet_channel_del(channel);
        return rv;
    }
    *out = channel;
    return RPCNET_OK;
}

void rpcnet_channel_del(rpcnet_channel *channel) {
    if (channel == NULL || channel->deleted) {
        return;
    }
    rn_channel_enter(channel);
    channel->deleted = true;
    channel->state = RPCNET_CHANNEL_CLOSED;
    channel->callbacks = (rpcnet_channel_callbacks){.on_state = NULL};
    channel->env->ops->resolve_cancel(channel->resolve);
    channel->env->ops->timer_del(channel->timer);
    channel->env->ops->timer_del(channel->sweep);
    rn_channel_fail_calls(channel, "the channel was deleted");
    if (channel->link != NULL) {
        rn_channel_drop_link(channel->link);
    }
    while (!rn_list_empty(&channel->retired)) {
        rn_channel_drop_link(RN_CONTAINER_OF(channel->retired.next, rn_channel_link, link));
    }
    rn_channel_leave(channel);
}

/* ---- waiting calls ---- */

void rn_channel_remove_call(rpcnet_channel *channel, rpcnet_call *call) {
    assert(channel->waiting_count > 0);
    rn_list_remove(&call->link);
    channel->waiting_count--;
    call->channel = NULL;
}

void rn_channel_start_calls(rpcnet_channel *channel) {
    rn_channel_enter(channel);
    while (!channel->deleted && !rn_list_empty(&channel->waiting)) {
        rn_channel_link *link = channel->link;
        if (link == NULL || !rn_h3_session_is_usable(link->session) ||
            rn_conn_streams_left(rn_h3_session_conn(link->session)) == 0) {
            break;
        }
        rpcnet_call *call = RN_CONTAINER_OF(channel->waiting.next, rpcnet_call, link);
        rn_rpc_call_start(call, &link->port, link->session, channel->target);
    }
    rn_channel_leave(channel);
}

/* Their users may begin new calls meanwhile, which wait for the next attempt: hence two lists. */
void rn_channel_fail_calls(rpcnet_channel *channel, const char *text) {
    rn_channel_enter(channel);
    while (!rn_list_empty(&channel->waiting)) {
        rpcnet_call *call = RN_CONTAINER_OF(channel->waiting.next, rpcnet_call, link);
        rn_channel_remove_call(channel, call);
        rn_list_append(&channel->failing, &call->link);
    }
    rn_rpc_calls_fail(&channel->failing, RPCNET_GRPC_UNAVAILABLE, text);
    rn_channel_leave(channel);
}

/* ---- what it tells ---- */

void rn_channel_set_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                          enum rpcnet_loss loss, const char *text) {
    if (channel->deleted) {
        return;
    }
    channel->state = state;
    if (channel->callbacks.on_state != NULL) {
        rn_channel_enter(channel);
        channel->callbacks.on_state(channel, state, loss, text, channel->user);
        rn_channel_leave(channel);
    }
}

void rpcnet_channel_set_credentials(rpcnet_channel *channel,
                                    const rpcnet_credentials *credentials) {
    rn_tls_context *old = channel->tls;
    channel->tls = rn_tls_context_hold(rn_credentials_tls(credentials));
    rn_tls_context_del(old);
}

enum rpcnet_channel_state rpcnet_channel_get_state(const rpcnet_channel *channel) {
    return channel->state;
}

uint64_t rpcnet_channel_rtt(const rpcnet_channel *channel) {
    const rn_channel_link *link = channel->link;
    return link != NULL ? rn_conn_rtt(rn_h3_session_conn(link->session)) : 0;
}

const char *rpcnet_channel_local_address(const rpcnet_channel *channel) {
    return channel->link != NULL ? channel->local_text : "";
}

void rpcnet_channel_get_stats(const rpcnet_channel *channel, rpcnet_channel_stats *out) {
    *out = channel->stats;
}
