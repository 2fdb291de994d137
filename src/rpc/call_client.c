/* call_client: how a client's call begins: at once, or after waiting for a connection or for a
 * stream of it; and how it ends when there is nobody below to say so. */
#include <assert.h>
#include <stdio.h>

#include "rpc/internal.h"

/* ---- end ---- */

void rn_rpc_call_tell_status(rpcnet_call *call, int code, rn_bytes message,
                             const rn_metadata *trailers) {
    char text[RN_STATUS_MESSAGE_MAX + 1];
    size_t len = rn_status_cut(message);
    assert(!call->over);
    call->over = true;
    rn_rpc_call_disarm(call);
    if (call->callbacks == NULL || call->callbacks->on_status == NULL) {
        return;
    }
    if (len > 0) {
        memcpy(text, message.data, len);
    }
    text[len] = '\0';
    call->callbacks->on_status(call, code, text, trailers, call->user);
}

static void tell_failure(rpcnet_call *call) {
    rn_metadata none;
    rn_metadata_init(&none);
    rn_rpc_call_tell_status(call, call->failure_code, rn_bytes_text(call->failure_text), &none);
}

/* What had no stream and is over. */
static void tell_later(void *user) {
    rpcnet_call *call = user;
    rn_rpc_call_enter(call);
    if (!call->over) {
        tell_failure(call);
    }
    if (!call->closed) {
        call->closed = true;
        if (call->callbacks != NULL && call->callbacks->on_closed != NULL) {
            call->callbacks->on_closed(call, call->user);
        }
    }
    rn_rpc_call_leave(call);
}

static void note_failure(rpcnet_call *call, int code, const char *text) {
    call->failed = true;
    call->failure_code = code;
    (void)snprintf(call->failure_text, sizeof call->failure_text, "%s", text);
    if (call->inner == NULL) {
        call->later.run = tell_later;
        rn_env_defer(call->env, &call->later);
    }
}

static void leave_list(rpcnet_call *call) {
    if (call->channel != NULL) {
        rn_channel_remove_call(call->channel, call);
        call->channel = NULL;
    }
    rn_list_remove(&call->link);
}

void rn_rpc_call_fail(rpcnet_call *call, int code, const char *text) {
    if (call->over || call->failed) {
        return;
    }
    rn_rpc_call_enter(call);
    if (call->inner == NULL) {
        leave_list(call);
    }
    note_failure(call, code, text);
    if (call->inner != NULL) {
        rn_call_cancel(call->inner);
    } else {
        tell_failure(call);
    }
    rn_rpc_call_leave(call);
}

void rn_rpc_calls_fail(rn_list *calls, int code, const char *text) {
    while (!rn_list_empty(calls)) {
        rpcnet_call *call = RN_CONTAINER_OF(calls->next, rpcnet_call, link);
        rn_list_remove(&call->link);
        rn_rpc_call_fail(call, code, text);
    }
}

/* ---- begin ---- */

static int begin(rpcnet_call *call, rn_rpc_port *port, rn_h3_session *session,
                 const char *authority, const rn_metadata *metadata) {
    rn_call_start start = {.path = rn_bytes_text(call->path),
                           .authority = rn_bytes_text(authority),
                           .metadata = metadata,
                           .deadline = call->deadline,
                           .options = &call->options};
    int rv = rn_call_new(&call->inner, session, &start, &rn_rpc_call_handler, call);
    if (rv == RPCNET_OK) {
        call->port = port;
        rn_list_append(&port->calls, &call->link);
        rn_rpc_call_apply_urgency(call);
        rn_call_hold(call->inner, call->hold);
    }
    return rv;
}

static int failure_of(int result) {
    switch (result) {
    case RPCNET_ERR_TIMEOUT:
        return RPCNET_GRPC_DEADLINE_EXCEEDED;
    case RPCNET_ERR_MEMORY:
    case RPCNET_ERR_LIMIT:
        return RPCNET_GRPC_RESOURCE_EXHAUSTED;
    default:
        return RPCNET_GRPC_UNAVAILABLE;
    }
}

/* Sends what was kept while the call waited. */
static int send_kept(rpcnet_call *call) {
    int rv = RPCNET_OK;
    if (call->has_kept && call->source.read != NULL) {
        rv = rn_call_send_source(call->inner, &call->source);
    } else if (call->has_kept) {
        rn_bytes piece = rn_buffer_bytes(&call->kept);
        rv = rn_call_send(call->inner, &piece, 1);
        rn_buffer_fini(&call->kept);
    }
    call->has_kept = false;
    if (rv == RPCNET_OK && call->half_closed) {
        rv = rn_call_half_close(call->inner);
    }
    return rv;
}

void rn_rpc_call_start(rpcnet_call *call, rn_rpc_port *port, rn_h3_session *session,
                       const char *authority) {
    rn_rpc_call_enter(call);
    leave_list(call);
    int rv = begin(call, port, session, authority, &call->metadata);
    if (rv == RPCNET_OK) {
        rv = send_kept(call);
    }
    if (rv != RPCNET_OK) {
        call->starved = rv == RPCNET_ERR_MEMORY;
        rn_rpc_call_fail(call, failure_of(rv), rpcnet_strerror(rv));
    } else if (call->want_writable && !call->half_closed && rn_call_kept(call->inner) == 0 &&
               call->callbacks != NULL && call->callbacks->on_writable != NULL) {
        call->callbacks->on_writable(call, call->user);
    }
    rn_rpc_call_leave(call);
}

static bool is_path_valid(const char *path) {
    size_t len = strnlen(path, RN_CALL_PATH_MAX + 1);
    if (len < 2 || len > RN_CALL_PATH_MAX || path[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (path[i] <= ' ' || path[i] > '~') {
            return false;
        }
    }
    return true;
}

static int wait_for_stream(rpcnet_call *call, rpcnet_channel *channel,
                           const rn_metadata *metadata) {
    if (channel->waiting_count >= channel->calls_waiting_max) {
        return RPCNET_ERR_LIMIT;
    }
    int rv = metadata != NULL ? rn_metadata_copy(&call->metadata, metadata) : RPCNET_OK;
    if (rv == RPCNET_OK) {
        rn_list_append(&channel->waiting, &call->link);
        channel->waiting_count++;
        call->channel = channel;
        rn_channel_want(channel);
    }
    return rv;
}

/* May a call begin this moment, with none before it in the queue? */
static bool has_stream(const rpcnet_channel *channel) {
    const rn_channel_link *link = channel->link;
    return link != NULL && rn_h3_session_is_usable(link->session) &&
           rn_list_empty(&channel->waiting) &&
           rn_conn_streams_left(rn_h3_session_conn(link->session)) > 0;
}

/* Without `reconnect` nothing comes after this connection. */
static bool is_shut(const rpcnet_channel *channel) {
    const rn_channel_link *link = channel->link;
    bool leaving = link != NULL && link->established && !rn_h3_session_is_usable(link->session);
    return channel->deleted || channel->state == RPCNET_CHANNEL_CLOSED ||
           (leaving && !channel->reconnect);
}

static int place(rpcnet_call *call, rpcnet_channel *channel, const rn_metadata *metadata) {
    if (call->deadline <= rn_env_now(call->env)) {
        note_failure(call, RPCNET_GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
        return RPCNET_OK;
    }
    int rv = rn_rpc_call_arm(call);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (!has_stream(channel)) {
        return wait_for_stream(call, channel, metadata);
    }
    rn_channel_link *link = channel->link;
    return begin(call, &link->port, link->session, channel->target, metadata);
}

int rpcnet_call_new(rpcnet_call **out, rpcnet_channel *channel, const char *path,
                    const rpcnet_call_options *options, const rpcnet_call_callbacks *callbacks,
                    void *user) {
    rpcnet_call_options given;
    rpcnet_call_options_init(&given);
    if (!is_path_valid(path) ||
        (options != NULL && rn_rpc_take_options(&given, sizeof given, options) != RPCNET_OK) ||
        !rn_rpc_is_urgency(given.urgency)) {
        return RPCNET_ERR_ARGUMENT;
    }
    if (is_shut(channel)) {
        return RPCNET_ERR_CLOSED;
    }
    rpcnet_call *call = rn_rpc_call_alloc(channel->env, false, rn_bytes_text(path));
    if (call == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    rpcnet_call_set_callbacks(call, callbacks, user);
    call->deadline = given.deadline_ns;
    call->urgency = given.urgency;
    call->options.receive_max = given.receive_max;
    call->options.send_max = given.send_max;
    rn_buffer_init_counted(&call->kept, given.send_max, channel->limits.budget);
    int rv = place(call, channel, given.metadata);
    if (rv != RPCNET_OK) {
        rpcnet_call_del(call);
        return rv;
    }
    channel->stats.calls_started++;
    *out = call;
    return RPCNET_OK;
}

/* ---- while it waits ---- */

static int check_waiting(const rpcnet_call *call) {
    if (call->over || call->failed) {
        return RPCNET_ERR_CLOSED;
    }
    return call->half_closed ? RPCNET_ERR_STATE : RPCNET_OK;
}

/* May a message of `len` bytes be kept now? */
static int check_keeping(rpcnet_call *call, size_t len) {
    int rv = check_waiting(call);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (len > call->options.send_max) {
        return RPCNET_ERR_LIMIT;
    }
    call->want_writable = true;
    return call->has_kept ? RPCNET_ERR_AGAIN : RPCNET_OK;
}

int rn_rpc_call_keep(rpcnet_call *call, const rn_bytes *pieces, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += pieces[i].len;
    }
    int rv = check_keeping(call, len);
    if (rv == RPCNET_OK && len > 0) {
        rv = rn_buffer_reserve(&call->kept, len);
    }
    if (rv != RPCNET_OK) {
        return rv;
    }
    for (size_t i = 0; i < count; i++) {
        (void)rn_buffer_append(&call->kept, pieces[i].data, pieces[i].len);
    }
    call->has_kept = true;
    return RPCNET_OK;
}

int rn_rpc_call_keep_source(rpcnet_call *call, const rpcnet_source *source) {
    int rv = check_keeping(call, source->len);
    if (rv == RPCNET_OK) {
        call->source = *source;
        call->has_kept = true;
    }
    return rv;
}

int rpcnet_call_half_close(rpcnet_call *call) {
    if (call->server) {
        return RPCNET_ERR_STATE;
    }
    if (call->inner != NULL) {
        return rn_call_half_close(call->inner);
    }
    int rv = check_waiting(call);
    call->half_closed |= rv == RPCNET_OK;
    return rv;
}
