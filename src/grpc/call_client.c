/* call_client: how a client's call begins and how it ends. Every end goes through deliver(), so
 * there is exactly one status; OK comes from nowhere but the server's own trailers. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "grpc/call_internal.h"
#include "rpcnet/error.h"

enum { TEXT_MAX = 320 };

/* ---- begin ---- */

static int build_request(rn_wire *wire, const rn_call_start *start, uint64_t now) {
    rn_wire_add(wire, ":method", rn_bytes_text("POST"));
    rn_wire_add(wire, ":scheme", rn_bytes_text("https"));
    rn_wire_add(wire, ":authority", start->authority);
    rn_wire_add(wire, ":path", start->path);
    rn_wire_add(wire, "te", rn_bytes_text("trailers"));
    rn_wire_add(wire, "content-type", rn_bytes_text("application/grpc"));
    rn_wire_add(wire, "user-agent", rn_bytes_text("rpcnet-c/" RPCNET_VERSION));
    if (start->deadline != RN_NEVER) {
        rn_wire_add_timeout(wire, start->deadline - now);
    }
    return rn_wire_add_metadata(wire, start->metadata);
}

static bool is_name_valid(rn_bytes name, size_t max) {
    return name.len > 0 && name.len <= max && rn_metadata_value_valid(name) &&
           memchr(name.data, ' ', name.len) == NULL;
}

int rn_call_new(rn_call **out, rn_h3_session *session, const rn_call_start *start,
                const rn_call_handler *handler, void *user) {
    if (!is_name_valid(start->path, RN_CALL_PATH_MAX) || start->path.data[0] != '/' ||
        !is_name_valid(start->authority, RN_CALL_AUTHORITY_MAX)) {
        return RPCNET_ERR_ARGUMENT;
    }
    uint64_t now = rn_conn_now(rn_h3_session_conn(session));
    if (start->deadline <= now) {
        return RPCNET_ERR_TIMEOUT;
    }
    rn_call *call = rn_call_alloc(false, start->path, start->options,
                                  rn_conn_budget(rn_h3_session_conn(session)));
    if (call == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    call->deadline = start->deadline;
    rn_call_set_handler(call, handler, user);
    rn_wire wire;
    rn_wire_init(&wire);
    int rv = build_request(&wire, start, now);
    if (rv == RPCNET_OK) {
        rv = rn_h3_request(session, wire.fields, wire.count, false, &rn_call_stream_handler, call,
                           &call->stream);
    }
    rn_wire_fini(&wire);
    if (rv != RPCNET_OK) {
        rn_call_del(call);
        return rv;
    }
    *out = call;
    return RPCNET_OK;
}

/* ---- end ---- */

static void deliver(rn_call *call, const rn_status *status, const rn_metadata *trailers) {
    assert(!call->over);
    rn_call_enter(call);
    call->over = true;
    rn_call_give_back(call);
    if (call->handler != NULL && call->handler->status != NULL) {
        call->handler->status(call, status, trailers, call->user);
    }
    rn_call_leave(call);
}

void rn_call_client_fail(rn_call *call, enum rpcnet_grpc_code code, const char *text) {
    rn_status status = {.code = code, .message = rn_bytes_text(text)};
    rn_metadata none;
    rn_metadata_init(&none);
    if (call->stream != NULL) {
        rn_h3_reset(call->stream, RN_H3_REQUEST_CANCELLED);
    }
    deliver(call, &status, &none);
}

/* Keeps the server's status until its stream ends cleanly. */
static void keep_status(rn_call *call, const rn_wire_head *head, const rn_metadata *metadata) {
    char text[RN_STATUS_MESSAGE_MAX];
    rn_status status = {.code = RPCNET_GRPC_UNKNOWN};
    if (!rn_status_parse_code(head->status, &status.code)) {
        rn_call_client_fail(call, RPCNET_GRPC_INTERNAL, "grpc-status is not a number");
        return;
    }
    status.message = rn_bytes_of(text, rn_status_decode_message(text, head->message));
    if (rn_call_result_set(&call->result, &status, metadata) != RPCNET_OK) {
        rn_call_client_fail(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory for the status");
    }
}

static bool read_section(rn_call *call, const rn_h3_field *fields, size_t count, rn_wire_head *head,
                         rn_metadata *metadata) {
    int rv = rn_wire_read(fields, count, head, metadata);
    if (rv == RPCNET_ERR_PARSE) {
        rn_call_client_fail(call, RPCNET_GRPC_INTERNAL, "binary metadata is malformed");
    } else if (rv != RPCNET_OK) {
        rn_call_client_fail(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too much metadata");
    }
    return rv == RPCNET_OK;
}

static void read_headers(rn_call *call, const rn_wire_head *head, const rn_metadata *metadata) {
    char text[TEXT_MAX];
    unsigned http_status = rn_wire_http_status(head->http_status);
    if (head->status.data != NULL) {
        keep_status(call, head, metadata); /* trailers-only */
    } else if (http_status != 200) {
        (void)snprintf(text, sizeof text, "the server answered with HTTP status %u", http_status);
        rn_call_client_fail(call, rn_status_of_http(http_status), text);
    } else if (!rn_wire_is_grpc(head->content_type)) {
        (void)snprintf(text, sizeof text, "the server answered with content-type '%.*s'",
                       (int)(head->content_type.len < 128 ? head->content_type.len : 128),
                       head->content_type.len > 0 ? (const char *)head->content_type.data : "");
        rn_call_client_fail(call, RPCNET_GRPC_UNKNOWN, text);
    } else if (call->handler != NULL && call->handler->headers != NULL) {
        call->handler->headers(call, metadata, call->user);
    }
}

void rn_call_client_headers(rn_call *call, const rn_h3_field *fields, size_t count) {
    rn_wire_head head;
    rn_metadata metadata;
    rn_metadata_init(&metadata);
    if (read_section(call, fields, count, &head, &metadata)) {
        read_headers(call, &head, &metadata);
    }
    rn_metadata_fini(&metadata);
}

void rn_call_client_trailers(rn_call *call, const rn_h3_field *fields, size_t count) {
    rn_wire_head head;
    rn_metadata metadata;
    rn_metadata_init(&metadata);
    if (read_section(call, fields, count, &head, &metadata)) {
        if (head.status.data == NULL) {
            rn_call_client_fail(call, RPCNET_GRPC_INTERNAL, "the trailers have no grpc-status");
        } else if (call->result.set) {
            rn_call_client_fail(call, RPCNET_GRPC_INTERNAL, "the server sent two statuses");
        } else {
            keep_status(call, &head, &metadata);
        }
    }
    rn_metadata_fini(&metadata);
}

void rn_call_client_end(rn_call *call) {
    bool midway = rn_deframer_is_midway(&call->deframer);
    if (!call->result.set) {
        rn_call_client_fail(call, RPCNET_GRPC_INTERNAL,
                            midway ? "the stream ended inside a message, without a status"
                                   : "the stream ended without a status");
        return;
    }
    if (midway && call->result.code == RPCNET_GRPC_OK) {
        rn_call_client_fail(call, RPCNET_GRPC_INTERNAL, "the stream ended inside a message");
        return;
    }
    if (!rn_h3_stream_is_sent(call->stream)) {
        rn_h3_reset(call->stream, RN_H3_NO_ERROR); /* the server has said all it has to say */
    }
    rn_status status = {.code = call->result.code,
                        .message = rn_buffer_bytes(&call->result.message)};
    deliver(call, &status, &call->result.metadata);
}

static uint64_t stream_now(const rn_h3_stream *stream) {
    return rn_conn_now(rn_h3_session_conn(rn_h3_stream_session(stream)));
}

void rn_call_client_reset(rn_call *call, uint64_t code) {
    char text[TEXT_MAX];
    if (code == RN_H3_REQUEST_CANCELLED && call->deadline <= stream_now(call->stream)) {
        /* The server's clock was first to say so. */
        rn_call_client_fail(call, RPCNET_GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
        return;
    }
    (void)snprintf(text, sizeof text, "the stream was reset with HTTP/3 code 0x%" PRIx64, code);
    rn_call_client_fail(call, rn_status_of_h3(code), text);
}

void rn_call_client_lost(rn_call *call, const rn_close *close) {
    char text[TEXT_MAX];
    if (close == NULL) {
        rn_call_client_fail(call, RPCNET_GRPC_INTERNAL, "the stream was closed without a status");
        return;
    }
    (void)snprintf(text, sizeof text, "the connection was lost: %s (code 0x%" PRIx64 ")",
                   close->text[0] != '\0' ? close->text : "closed", close->code);
    enum rpcnet_grpc_code lost = RPCNET_GRPC_UNAVAILABLE;
    if (close->application && close->code == RN_H3_EXCESSIVE_LOAD) {
        lost = RPCNET_GRPC_RESOURCE_EXHAUSTED;
    }
    rn_call_client_fail(call, lost, text);
}
