/* call: the life of a call, and what both sides do with it. The work is done by the call of
 * src/grpc below; here are its deadline, its user, and the time when there is no stream for it. */
#include <assert.h>
#include <stdlib.h>

#include "rpc/internal.h"

enum { HEAD_MAX = 64 };

uint64_t rpcnet_now(rpcnet_env *env) {
    return rn_env_now(env);
}

/* ---- life ---- */

rpcnet_call *rn_rpc_call_alloc(rn_env *env, bool server, rn_bytes path) {
    rpcnet_call *call = calloc(1, sizeof *call + path.len + 1);
    if (call == NULL) {
        return NULL;
    }
    call->env = env;
    call->server = server;
    call->deadline = RPCNET_NO_DEADLINE;
    call->options = (rn_call_options){.receive_max = RN_CALL_MESSAGE_DEFAULT,
                                      .send_max = RN_CALL_MESSAGE_DEFAULT};
    call->urgency = RPCNET_URGENCY_DEFAULT;
    rn_list_init(&call->link);
    rn_metadata_init(&call->metadata);
    rn_deferred_init(&call->later, NULL, call);
    memcpy(call->path, path.data, path.len);
    return call;
}

static void release(rpcnet_call *call) {
    rn_metadata_fini(&call->metadata);
    rn_buffer_fini(&call->kept);
    free(call);
}

void rn_rpc_call_enter(rpcnet_call *call) {
    call->depth++;
}

void rn_rpc_call_leave(rpcnet_call *call) {
    assert(call->depth > 0);
    if (--call->depth == 0 && call->deleted) {
        release(call);
    }
}

void rpcnet_call_del(rpcnet_call *call) {
    if (call == NULL || call->deleted) {
        return;
    }
    call->deleted = true;
    call->callbacks = NULL;
    rn_rpc_call_disarm(call);
    rn_deferred_cancel(&call->later);
    if (call->channel != NULL) {
        rn_channel_remove_call(call->channel, call);
    }
    rn_list_remove(&call->link);
    rn_rpc_call_server_over(call);
    rn_call_del(call->inner);
    call->inner = NULL;
    if (call->depth == 0) {
        release(call);
    }
}

/* ---- deadline ---- */

static void on_deadline(void *user) {
    rpcnet_call *call = user;
    rn_rpc_call_enter(call);
    if (call->inner != NULL) {
        rn_call_expire(call->inner);
    } else if (!call->server) {
        rn_rpc_call_fail(call, RPCNET_GRPC_DEADLINE_EXCEEDED,
                         "the deadline has passed while the call waited for a connection");
    }
    rn_rpc_call_leave(call);
}

int rn_rpc_call_arm(rpcnet_call *call) {
    if (call->deadline == RPCNET_NO_DEADLINE) {
        return RPCNET_OK;
    }
    int rv = rn_env_timer_new(call->env, on_deadline, call, &call->timer);
    if (rv == RPCNET_OK) {
        call->env->ops->timer_set(call->timer, call->deadline);
    }
    return rv;
}

void rn_rpc_call_disarm(rpcnet_call *call) {
    call->env->ops->timer_del(call->timer);
    call->timer = NULL;
}

/* ---- who and how ---- */

void rpcnet_call_set_callbacks(rpcnet_call *call, const rpcnet_call_callbacks *callbacks,
                               void *user) {
    call->callbacks = callbacks;
    call->user = user;
}

void rn_rpc_call_apply_urgency(rpcnet_call *call) {
    rn_h3_stream *stream = call->inner != NULL ? rn_call_stream(call->inner) : NULL;
    if (stream != NULL && call->urgency != RPCNET_URGENCY_DEFAULT) {
        rn_h3_stream_set_urgency(stream, call->urgency);
    }
}

void rpcnet_call_set_options(rpcnet_call *call, const rpcnet_call_options *options) {
    rpcnet_call_options given;
    rpcnet_call_options_init(&given);
    int rv = rn_rpc_take_options(&given, sizeof given, options);
    assert(rv == RPCNET_OK && rn_rpc_is_urgency(given.urgency));
    (void)rv;
    call->options = (rn_call_options){.receive_max = given.receive_max, .send_max = given.send_max};
    if (given.urgency != RPCNET_URGENCY_DEFAULT) {
        call->urgency = given.urgency;
    }
    if (call->inner != NULL) {
        rn_call_set_options(call->inner, &call->options);
        rn_rpc_call_apply_urgency(call);
    }
}

void *rpcnet_call_user(const rpcnet_call *call) {
    return call->user;
}

const char *rpcnet_call_path(const rpcnet_call *call) {
    return call->path;
}

const rpcnet_metadata *rpcnet_call_metadata(const rpcnet_call *call) {
    return call->server ? rn_call_metadata(call->inner) : &call->metadata;
}

uint64_t rpcnet_call_deadline(const rpcnet_call *call) {
    return call->deadline;
}

void rpcnet_call_peer(const rpcnet_call *call, rpcnet_peer *out) {
    *out = (rpcnet_peer){.connection = call->connection_number,
                         .call = call->call_number,
                         .address = "",
                         .identity = ""};
    rn_server_conn *conn = call->conn;
    if (conn != NULL) {
        const rn_conn *quic = rn_h3_session_conn(conn->session);
        out->address = rn_address_format(rn_conn_remote(quic), conn->address);
        out->identity = rn_conn_peer_identity(quic);
    }
}

/* ---- sending ---- */

static int send_pieces(rpcnet_call *call, const rn_bytes *pieces, size_t count) {
    if (call->inner != NULL) {
        return rn_call_send(call->inner, pieces, count);
    }
    return call->server ? RPCNET_ERR_CLOSED : rn_rpc_call_keep(call, pieces, count);
}

int rpcnet_call_send(rpcnet_call *call, const void *data, size_t len) {
    rn_bytes piece = rn_bytes_of(data, len);
    return send_pieces(call, &piece, 1);
}

int rpcnet_call_send2(rpcnet_call *call, const void *head, size_t head_len, const void *data,
                      size_t len) {
    rn_bytes pieces[] = {rn_bytes_of(head, head_len), rn_bytes_of(data, len)};
    if (head_len > HEAD_MAX) {
        return RPCNET_ERR_ARGUMENT;
    }
    return send_pieces(call, pieces, 2);
}

int rpcnet_call_send_source(rpcnet_call *call, const rpcnet_source *source) {
    if (call->inner != NULL) {
        return rn_call_send_source(call->inner, source);
    }
    return call->server ? RPCNET_ERR_CLOSED : rn_rpc_call_keep_source(call, source);
}

bool rpcnet_call_is_sending(const rpcnet_call *call) {
    return call->inner != NULL ? rn_call_kept(call->inner) > 0 : call->has_kept;
}

bool rpcnet_call_is_stopped(const rpcnet_call *call) {
    return call->inner != NULL ? rn_call_is_stopped(call->inner)
                               : call->server || call->over || call->failed;
}

uint64_t rpcnet_call_received(const rpcnet_call *call) {
    return call->inner != NULL ? rn_call_received(call->inner) : 0;
}

size_t rpcnet_call_room(const rpcnet_call *call) {
    return call->inner != NULL ? rn_call_room(call->inner) : 0;
}

int rpcnet_call_send_headers(rpcnet_call *call, const rpcnet_metadata *metadata) {
    return call->server ? rn_call_send_headers(call->inner, metadata) : RPCNET_ERR_STATE;
}

void rpcnet_call_cancel(rpcnet_call *call) {
    rn_rpc_call_enter(call);
    if (call->server) {
        rn_call_cancel(call->inner);
        rn_rpc_call_server_over(call);
    } else {
        rn_rpc_call_fail(call, RPCNET_GRPC_CANCELLED, "cancelled by the caller");
    }
    rn_rpc_call_leave(call);
}

void rpcnet_call_hold(rpcnet_call *call, bool hold) {
    call->hold = hold;
    if (call->inner != NULL) {
        rn_call_hold(call->inner, hold);
    }
}
