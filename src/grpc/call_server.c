/* call_server: how a server's call begins, and how it ends before its user ends it. */
#include <assert.h>

#include "grpc/call_internal.h"
#include "rpcnet/error.h"

/* Answers a request that never becomes a call. */
static void answer(rn_h3_stream *stream, const char *http_status, const rn_status *status) {
    rn_wire wire;
    rn_wire_init(&wire);
    rn_wire_add(&wire, ":status", rn_bytes_text(http_status));
    if (status != NULL) {
        rn_wire_add(&wire, "content-type", rn_bytes_text("application/grpc"));
        rn_wire_add_status(&wire, status);
    } else if (strcmp(http_status, "405") == 0) {
        rn_wire_add(&wire, "allow", rn_bytes_text("POST"));
    }
    int rv = rn_h3_respond(stream, wire.fields, wire.count, true);
    rn_wire_fini(&wire);
    if (rv == RPCNET_OK) {
        rn_h3_stop_receiving(stream, RN_H3_NO_ERROR);
    } else {
        rn_h3_reset(stream, RN_H3_INTERNAL_ERROR);
    }
}

static int refuse(rn_h3_stream *stream, enum rpcnet_grpc_code code, const char *text) {
    rn_status status = {.code = code, .message = rn_bytes_text(text)};
    answer(stream, "200", &status);
    return RPCNET_ERR_PROTOCOL;
}

static int check_request(rn_h3_stream *stream, const rn_wire_head *head, uint64_t *timeout_ns) {
    if (!rn_bytes_is(head->method, "POST")) {
        answer(stream, "405", NULL);
        return RPCNET_ERR_PROTOCOL;
    }
    if (!rn_wire_is_grpc(head->content_type)) {
        answer(stream, "415", NULL);
        return RPCNET_ERR_PROTOCOL;
    }
    if (head->path.len < 2 || head->path.data[0] != '/' || head->path.len > RN_CALL_PATH_MAX) {
        return refuse(stream, RPCNET_GRPC_UNIMPLEMENTED, "the path names no method");
    }
    if (head->authority.len > RN_CALL_AUTHORITY_MAX) {
        return refuse(stream, RPCNET_GRPC_INVALID_ARGUMENT, "the authority is too long");
    }
    *timeout_ns = UINT64_MAX;
    if (head->timeout.data != NULL && rn_timeout_parse(head->timeout, timeout_ns) != RPCNET_OK) {
        return refuse(stream, RPCNET_GRPC_INTERNAL, "grpc-timeout is malformed");
    }
    return RPCNET_OK;
}

static int accept_call(rn_call **out, rn_h3_stream *stream, const rn_wire_head *head,
                       rn_metadata *metadata, uint64_t timeout_ns, const rn_call_options *options) {
    rn_call *call = rn_call_alloc(true, head->path, options, metadata->bytes.budget);
    if (call == NULL) {
        rn_h3_reset(stream, RN_H3_INTERNAL_ERROR);
        return RPCNET_ERR_MEMORY;
    }
    uint64_t now = rn_conn_now(rn_h3_session_conn(rn_h3_stream_session(stream)));
    call->deadline = timeout_ns < RN_NEVER - now ? now + timeout_ns : RN_NEVER;
    call->stream = stream;
    call->metadata = *metadata; /* moved */
    rn_metadata_init(metadata);
    rn_h3_stream_set_handler(stream, &rn_call_stream_handler, call);
    *out = call;
    return RPCNET_OK;
}

int rn_call_accept(rn_call **out, rn_h3_stream *stream, const rn_h3_field *fields, size_t count,
                   const rn_call_options *options) {
    rn_wire_head head;
    rn_metadata metadata;
    uint64_t timeout_ns = 0;
    *out = NULL;
    rn_metadata_init_counted(&metadata,
                             rn_conn_budget(rn_h3_session_conn(rn_h3_stream_session(stream))));
    int rv = rn_wire_read(fields, count, &head, &metadata);
    if (rv == RPCNET_ERR_PARSE) {
        rv = refuse(stream, RPCNET_GRPC_INTERNAL, "binary metadata is malformed");
    } else if (rv == RPCNET_ERR_LIMIT) {
        (void)refuse(stream, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too much metadata");
    } else if (rv != RPCNET_OK) {
        rn_h3_reset(stream, RN_H3_EXCESSIVE_LOAD);
    } else {
        rv = check_request(stream, &head, &timeout_ns);
    }
    if (rv == RPCNET_OK) {
        rv = accept_call(out, stream, &head, &metadata, timeout_ns, options);
    }
    rn_metadata_fini(&metadata);
    return rv;
}

/* A reset that says as much of the code as it can. */
static void reset_as(rn_call *call, enum rpcnet_grpc_code code) {
    rn_h3_reset(call->stream, code == RPCNET_GRPC_RESOURCE_EXHAUSTED ? RN_H3_EXCESSIVE_LOAD
                                                                     : RN_H3_REQUEST_CANCELLED);
}

/* Answers if `text` is given and nothing waits in front, resets otherwise. */
static void end_early(rn_call *call, enum rpcnet_grpc_code code, const char *text) {
    bool answered = false;
    if (text != NULL && rn_call_kept(call) == 0) {
        rn_status status = {.code = code, .message = rn_bytes_text(text)};
        answered = rn_call_finish(call, &status, NULL) == RPCNET_OK;
    }
    call->over = true;
    rn_call_give_back(call);
    if (!answered && call->stream != NULL) {
        reset_as(call, code);
    }
}

void rn_call_abort(rn_call *call, enum rpcnet_grpc_code code, const char *text) {
    assert(call->server);
    if (call->over || call->deleted) {
        return;
    }
    rn_call_enter(call);
    bool waits = call->stream != NULL && rn_h3_stream_memory(call->stream) > RN_CALL_UNSENT_MAX;
    end_early(call, code, waits ? NULL : text);
    if (call->stream != NULL && !rn_call_is_idle(call)) {
        call->end_sent = true; /* never: the ring is too small for both */
        reset_as(call, code);
    }
    rn_call_drop_unsent(call);
    rn_call_leave(call);
}

void rn_call_server_cancel(rn_call *call, enum rpcnet_grpc_code code, const char *text) {
    assert(!call->over);
    rn_call_enter(call);
    end_early(call, code, text);
    if (call->handler != NULL && call->handler->cancelled != NULL) {
        call->handler->cancelled(call, code, call->user);
    }
    rn_call_leave(call);
}
