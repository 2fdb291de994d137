/* call_tx: what a call sends. Bytes go into the stream's ring at once; the rest of one message, and
 * the end behind it, may wait in the call. */
#include <assert.h>

#include "grpc/call_internal.h"
#include "rpcnet/error.h"

bool rn_call_is_idle(const rn_call *call) {
    return rn_call_kept(call) == 0 && (!call->end_wanted || call->end_sent);
}

static int check_sendable(const rn_call *call) {
    if (call->over && !call->end_wanted) {
        return RPCNET_ERR_CLOSED;
    }
    if (call->end_wanted) {
        return RPCNET_ERR_STATE;
    }
    return call->stream == NULL || rn_h3_stream_is_sent(call->stream) ? RPCNET_ERR_CLOSED
                                                                      : RPCNET_OK;
}

bool rn_call_is_stopped(const rn_call *call) {
    return check_sendable(call) == RPCNET_ERR_CLOSED;
}

/* ---- messages ---- */

static void add_initial(rn_wire *wire) {
    rn_wire_add(wire, ":status", rn_bytes_text("200"));
    rn_wire_add(wire, "content-type", rn_bytes_text("application/grpc"));
}

static int send_initial(rn_call *call, const rn_metadata *metadata) {
    rn_wire wire;
    rn_wire_init(&wire);
    add_initial(&wire);
    int rv = rn_wire_add_metadata(&wire, metadata);
    if (rv == RPCNET_OK) {
        rv = rn_h3_respond(call->stream, wire.fields, wire.count, false);
    }
    rn_wire_fini(&wire);
    call->headers_sent = rv == RPCNET_OK;
    call->want_writable |= rv == RPCNET_ERR_AGAIN;
    return rv;
}

int rn_call_send_headers(rn_call *call, const rn_metadata *metadata) {
    assert(call->server);
    int rv = check_sendable(call);
    if (rv == RPCNET_OK && call->headers_sent) {
        rv = RPCNET_ERR_STATE;
    }
    return rv != RPCNET_OK ? rv : send_initial(call, metadata);
}

size_t rn_call_room(const rn_call *call) {
    if (check_sendable(call) != RPCNET_OK || rn_call_kept(call) > 0) {
        return 0;
    }
    size_t room;
    if (call->server && !call->headers_sent) {
        rn_wire wire;
        rn_wire_init(&wire);
        add_initial(&wire);
        room = rn_h3_room_behind(call->stream, wire.fields, wire.count);
        rn_wire_fini(&wire);
    } else {
        room = rn_h3_room(call->stream);
    }
    return room > RN_FRAME_PREFIX_LEN ? room - RN_FRAME_PREFIX_LEN : 0;
}

static int keep_rest(rn_call *call, const rn_bytes *pieces, size_t count, size_t taken) {
    int rv = RPCNET_OK;
    for (size_t i = 0; i < count && rv == RPCNET_OK; i++) {
        size_t skip = taken < pieces[i].len ? taken : pieces[i].len;
        taken -= skip;
        if (pieces[i].len > skip) {
            rv = rn_buffer_append(&call->kept, pieces[i].data + skip, pieces[i].len - skip);
        }
    }
    call->want_writable = true;
    return rv;
}

/* May a message of `len` bytes be sent now? Behind the initial metadata, which goes with it. */
static int begin_message(rn_call *call, size_t len) {
    int rv = check_sendable(call);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (len > call->send_max) {
        return RPCNET_ERR_LIMIT;
    }
    if (rn_call_kept(call) > 0) {
        call->want_writable = true;
        return RPCNET_ERR_AGAIN;
    }
    return call->server && !call->headers_sent ? send_initial(call, NULL) : RPCNET_OK;
}

int rn_call_send(rn_call *call, const rn_bytes *pieces, size_t count) {
    uint8_t prefix[RN_FRAME_PREFIX_LEN];
    rn_bytes framed[RN_CALL_PIECES_MAX + 1];
    size_t len = 0;
    assert(count <= RN_CALL_PIECES_MAX);
    for (size_t i = 0; i < count; i++) {
        framed[i + 1] = pieces[i];
        len += pieces[i].len;
    }
    int rv = begin_message(call, len);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rn_frame_prefix(prefix, (uint32_t)len);
    framed[0] = rn_bytes_of(prefix, sizeof prefix);
    size_t total = len + sizeof prefix;
    size_t room = rn_h3_room(call->stream);
    if (total > room) {
        /* Before anything is sent: a message must not stay half. */
        rv = rn_buffer_reserve(&call->kept, room < RN_H3_SEND_PART_MIN ? total : total - room);
        if (rv != RPCNET_OK) {
            return rv;
        }
    }
    size_t taken = 0;
    rv = rn_h3_send(call->stream, framed, count + 1, false, &taken);
    if (rv != RPCNET_OK && rv != RPCNET_ERR_AGAIN) {
        return rv;
    }
    return taken < total ? keep_rest(call, framed, count + 1, taken) : RPCNET_OK;
}

/* RPCNET_ERR_AGAIN: not all of it. */
static int send_source(rn_call *call) {
    uint8_t prefix[RN_FRAME_PREFIX_LEN];
    rpcnet_piece read[RPCNET_SOURCE_PIECES_MAX];
    rn_bytes pieces[RPCNET_SOURCE_PIECES_MAX + 1];
    size_t count = 0;
    size_t taken = 0;
    const rpcnet_source *source = &call->source;
    size_t sent = source->len + sizeof prefix - call->source_left;
    if (sent < sizeof prefix) {
        rn_frame_prefix(prefix, (uint32_t)source->len);
        pieces[count++] = rn_bytes_of(prefix + sent, sizeof prefix - sent);
    }
    if (source->len > 0) {
        size_t offset = sent < sizeof prefix ? 0 : sent - sizeof prefix;
        size_t parts = source->read(source->user, offset, read);
        assert(parts <= RPCNET_SOURCE_PIECES_MAX);
        for (size_t i = 0; i < parts; i++) {
            pieces[count++] = rn_bytes_of(read[i].data, read[i].len);
        }
    }
    int rv = rn_h3_send(call->stream, pieces, count, false, &taken);
    assert(taken <= call->source_left);
    call->source_left -= taken;
    return rv == RPCNET_OK && call->source_left > 0 ? RPCNET_ERR_AGAIN : rv;
}

int rn_call_send_source(rn_call *call, const rpcnet_source *source) {
    int rv = begin_message(call, source->len);
    if (rv != RPCNET_OK) {
        return rv;
    }
    call->source = *source;
    call->source_left = source->len + RN_FRAME_PREFIX_LEN;
    rv = send_source(call);
    if (rv == RPCNET_ERR_AGAIN) {
        call->want_writable = true;
        rv = RPCNET_OK;
    } else if (rv != RPCNET_OK) {
        call->source_left = 0; /* nothing of it was taken */
    }
    return rv;
}

/* ---- the end ---- */

/* A client's end. It needs no room, but memory. */
static int send_fin(rn_call *call) {
    size_t taken = 0;
    int rv = rn_h3_send(call->stream, NULL, 0, true, &taken);
    call->end_sent = rv == RPCNET_OK;
    return rv;
}

int rn_call_half_close(rn_call *call) {
    assert(!call->server);
    int rv = check_sendable(call);
    if (rv != RPCNET_OK) {
        return rv;
    }
    if (rn_call_kept(call) == 0) {
        rv = send_fin(call);
    }
    call->end_wanted = rv == RPCNET_OK;
    return rv;
}

/* Trailers, or the trailers-only reply. */
static int send_status(rn_call *call, const rn_status *status, const rn_metadata *metadata) {
    rn_wire wire;
    int rv = RPCNET_OK;
    rn_wire_init(&wire);
    if (!call->headers_sent) {
        add_initial(&wire);
    }
    rn_wire_add_status(&wire, status);
    if (status->code == RPCNET_GRPC_UNIMPLEMENTED) {
        rn_wire_add(&wire, "grpc-accept-encoding", rn_bytes_text("identity"));
    }
    rv = rn_wire_add_metadata(&wire, metadata);
    if (rv == RPCNET_OK) {
        rv = call->headers_sent ? rn_h3_trailers(call->stream, wire.fields, wire.count)
                                : rn_h3_respond(call->stream, wire.fields, wire.count, true);
    }
    rn_wire_fini(&wire);
    return rv;
}

/* RPCNET_ERR_AGAIN: later. Everything else ends our direction, one way or another. */
static int send_end(rn_call *call, const rn_status *status, const rn_metadata *metadata) {
    int rv = send_status(call, status, metadata);
    if (rv == RPCNET_ERR_LIMIT) {
        rn_status alone = {.code = status->code};
        rv = send_status(call, &alone, NULL);
    }
    if (rv == RPCNET_ERR_AGAIN) {
        return rv;
    }
    call->end_sent = true;
    if (rv == RPCNET_OK) {
        /* The client need not send what nobody reads (RFC 9114, section 4.1). */
        rn_h3_stop_receiving(call->stream, RN_H3_NO_ERROR);
    } else {
        rn_h3_reset(call->stream, RN_H3_INTERNAL_ERROR);
    }
    return rv;
}

int rn_call_finish(rn_call *call, const rn_status *status, const rn_metadata *trailers) {
    assert(call->server);
    int rv = check_sendable(call);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rv = rn_call_kept(call) > 0 ? RPCNET_ERR_AGAIN : send_end(call, status, trailers);
    if (rv == RPCNET_ERR_AGAIN) {
        rv = rn_call_result_set(&call->result, status, trailers);
        if (rv != RPCNET_OK) {
            return rv;
        }
    }
    call->end_wanted = call->over = true;
    rn_call_give_back(call);
    return rv;
}

/* RPCNET_ERR_AGAIN: not all of it. */
static int send_kept(rn_call *call) {
    if (call->source_left > 0) {
        return send_source(call);
    }
    rn_bytes rest = rn_bytes_of(call->kept.data + call->kept_sent, rn_call_kept(call));
    size_t taken = 0;
    int rv = rn_h3_send(call->stream, &rest, 1, false, &taken);
    call->kept_sent += taken;
    if (rv != RPCNET_OK || rn_call_kept(call) > 0) {
        return rv != RPCNET_OK ? rv : RPCNET_ERR_AGAIN;
    }
    rn_buffer_fini(&call->kept); /* its limit stays */
    call->kept_sent = 0;
    return RPCNET_OK;
}

static int send_waiting(rn_call *call) {
    int rv = rn_call_kept(call) > 0 ? send_kept(call) : RPCNET_OK;
    if (rv != RPCNET_OK || !call->end_wanted || call->end_sent) {
        return rv;
    }
    if (!call->server) {
        return send_fin(call);
    }
    rn_status status = {.code = call->result.code,
                        .message = rn_buffer_bytes(&call->result.message)};
    (void)send_end(call, &status, &call->result.metadata);
    return RPCNET_OK;
}

/* Nobody would call again when there is memory, and a message must not stay half for ever. */
static void give_up(rn_call *call) {
    call->starved = true;
    if (!call->over && !call->server) {
        rn_call_client_fail(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory for a message");
    } else if (!call->over) {
        rn_call_server_cancel(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, NULL);
    } else {
        rn_call_drop_unsent(call);
        rn_h3_reset(call->stream, RN_H3_EXCESSIVE_LOAD);
    }
}

void rn_call_flush(rn_call *call) {
    if (call->stream == NULL || rn_h3_stream_is_sent(call->stream)) {
        return;
    }
    if (send_waiting(call) == RPCNET_ERR_MEMORY) {
        give_up(call);
    }
}
