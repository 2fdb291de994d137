/* call: its life, and what both sides share. */
#include "grpc/call.h"

#include <assert.h>
#include <stdlib.h>

#include "grpc/call_internal.h"
#include "rpcnet/error.h"

static void apply_options(rn_call *call, const rn_call_options *options, size_t *receive_max) {
    *receive_max = RN_CALL_MESSAGE_DEFAULT;
    call->send_max = RN_CALL_MESSAGE_DEFAULT;
    if (options == NULL) {
        return;
    }
    *receive_max = options->receive_max != 0 ? options->receive_max : *receive_max;
    call->send_max = options->send_max != 0 ? options->send_max : call->send_max;
    call->send_max = call->send_max < UINT32_MAX ? call->send_max : UINT32_MAX;
}

rn_call *rn_call_alloc(bool server, rn_bytes path, const rn_call_options *options,
                       rn_budget *budget) {
    size_t receive_max = 0;
    rn_call *call = calloc(1, sizeof *call + path.len);
    if (call == NULL) {
        return NULL;
    }
    call->server = server;
    call->deadline = RN_NEVER;
    call->path_len = path.len;
    if (path.len > 0) {
        memcpy(call->path, path.data, path.len);
    }
    apply_options(call, options, &receive_max);
    rn_metadata_init(&call->metadata);
    rn_deframer_init(&call->deframer, receive_max, budget);
    rn_buffer_init_counted(&call->kept, call->send_max + RN_FRAME_PREFIX_LEN, budget);
    rn_buffer_init(&call->result.message, RN_STATUS_MESSAGE_MAX);
    rn_metadata_init(&call->result.metadata);
    return call;
}

static void release(rn_call *call) {
    rn_metadata_fini(&call->metadata);
    rn_deframer_fini(&call->deframer);
    rn_buffer_fini(&call->kept);
    rn_buffer_fini(&call->result.message);
    rn_metadata_fini(&call->result.metadata);
    free(call);
}

void rn_call_enter(rn_call *call) {
    call->depth++;
}

void rn_call_leave(rn_call *call) {
    assert(call->depth > 0);
    if (--call->depth > 0) {
        return;
    }
    if (call->over) {
        rn_deframer_fini(&call->deframer); /* nobody waits for the rest of a message */
    }
    if (!call->deleted) {
        return;
    }
    if (call->draining) {
        if (call->stream != NULL && !rn_call_is_idle(call)) {
            return;
        }
        if (call->stream != NULL) {
            rn_h3_stream_set_handler(call->stream, NULL, NULL);
        }
    }
    release(call);
}

int rn_call_result_set(rn_call_result *result, const rn_status *status,
                       const rn_metadata *metadata) {
    rn_buffer_clear(&result->message);
    rn_metadata_clear(&result->metadata);
    result->code = status->code;
    int rv =
        rn_buffer_append(&result->message, status->message.data, rn_status_cut(status->message));
    if (rv == RPCNET_OK && metadata != NULL) {
        rv = rn_metadata_copy(&result->metadata, metadata);
    }
    result->set = rv == RPCNET_OK;
    return rv;
}

void rn_call_give_back(rn_call *call) {
    if (call->stream != NULL) {
        rn_h3_consume(call->stream, call->held);
    }
    call->held = 0;
}

void rn_call_drop_unsent(rn_call *call) {
    rn_buffer_fini(&call->kept); /* its limit stays */
    call->kept_sent = 0;
    call->source_left = 0;
    call->end_sent = true;
}

void rn_call_del(rn_call *call) {
    if (call == NULL || call->deleted) {
        return;
    }
    rn_call_enter(call);
    call->deleted = true;
    call->handler = NULL;
    rn_call_give_back(call);
    if (call->stream != NULL) {
        bool finished = call->server && call->end_wanted;
        bool cut = finished && call->source_left > 0; /* the message's owner goes, too */
        call->draining = finished && !cut && !rn_call_is_idle(call);
        if (!call->draining) {
            if (call->over && !cut) {
                rn_h3_stream_set_handler(call->stream, NULL, NULL);
            } else {
                rn_h3_forget(call->stream, RN_H3_REQUEST_CANCELLED);
            }
            call->stream = NULL;
        }
    }
    call->over = true;
    rn_call_leave(call);
}

void rn_call_cancel(rn_call *call) {
    if (call->over || call->deleted) {
        return;
    }
    if (call->server) {
        call->over = true;
        rn_call_give_back(call);
        if (call->stream != NULL) {
            rn_h3_reset(call->stream, RN_H3_REQUEST_CANCELLED);
        }
        return;
    }
    rn_call_client_fail(call, RPCNET_GRPC_CANCELLED, "cancelled by the caller");
}

void rn_call_expire(rn_call *call) {
    if (call->over || call->deleted) {
        return;
    }
    if (call->server) {
        rn_call_server_cancel(call, RPCNET_GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
    } else {
        rn_call_client_fail(call, RPCNET_GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
    }
}

void rn_call_set_handler(rn_call *call, const rn_call_handler *handler, void *user) {
    call->handler = handler;
    call->user = user;
}

void rn_call_set_options(rn_call *call, const rn_call_options *options) {
    size_t receive_max = 0;
    apply_options(call, options, &receive_max);
    rn_deframer_set_limit(&call->deframer, receive_max);
    call->kept.limit = call->send_max + RN_FRAME_PREFIX_LEN;
}

rn_bytes rn_call_path(const rn_call *call) {
    return rn_bytes_of(call->path, call->path_len);
}

const rn_metadata *rn_call_metadata(const rn_call *call) {
    return &call->metadata;
}

uint64_t rn_call_deadline(const rn_call *call) {
    return call->deadline;
}

rn_h3_stream *rn_call_stream(const rn_call *call) {
    return call->stream;
}

uint64_t rn_call_received(const rn_call *call) {
    return call->received;
}

bool rn_call_is_starved(const rn_call *call) {
    return call->starved;
}

size_t rn_call_memory(const rn_call *call) {
    size_t stream = call->stream != NULL ? rn_h3_stream_memory(call->stream) : 0;
    return stream + rn_deframer_memory(&call->deframer) + call->kept.capacity +
           call->metadata.bytes.capacity;
}

size_t rn_call_forsaken_memory(const rn_h3_stream *stream) {
    const rn_call *call = rn_h3_stream_user(stream, &rn_call_stream_handler);
    if (call == NULL) {
        return rn_h3_stream_memory(stream);
    }
    return call->deleted ? rn_call_memory(call) : 0;
}

void rn_call_forsaken_drop(rn_h3_stream *stream) {
    rn_call *call = rn_h3_stream_user(stream, &rn_call_stream_handler);
    if (call == NULL) {
        rn_h3_drop(stream, RN_H3_EXCESSIVE_LOAD);
        return;
    }
    assert(call->deleted);
    rn_call_enter(call);
    rn_call_drop_unsent(call);
    rn_h3_drop(stream, RN_H3_EXCESSIVE_LOAD);
    rn_call_leave(call);
}

size_t rn_call_kept(const rn_call *call) {
    return call->kept.len - call->kept_sent + call->source_left;
}
