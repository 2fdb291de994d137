/* relay_up: what a relay sends to its worker: the Assignment, the client's messages behind it, and
 * small frames in between. Messages are read from where the stream keeps them, as there is room; so
 * nothing of a client lies in memory twice. */
#include "director/data/relay_internal.h"
#include "rpcnet/error.h"

_Static_assert((int)RN_ASSIGNMENT_PIECES_MAX <= (int)RPCNET_SOURCE_PIECES_MAX,
               "a source gives all pieces of an Assignment");

void rn_relay_up_init(rn_relay *relay) {
    relay->up = (rn_uplink){.reading = RN_UPLINK_IDLE};
    rn_assignment_init(&relay->up.assignment, &relay->data->budget);
}

void rn_relay_up_reset(rn_relay *relay) {
    rn_assignment_end(&relay->up.assignment);
    rn_relay_up_init(relay);
}

/* ---- what the worker's call reads ---- */

static size_t read_assignment(void *user, size_t offset,
                              rpcnet_piece out[RPCNET_SOURCE_PIECES_MAX]) {
    const rn_relay *relay = user;
    rn_bytes pieces[RN_ASSIGNMENT_PIECES_MAX];
    size_t count = rn_assignment_read(&relay->up.assignment, &relay->swap, offset, pieces);
    for (size_t i = 0; i < count; i++) {
        out[i] = (rpcnet_piece){.data = pieces[i].data, .len = pieces[i].len};
    }
    return count;
}

static size_t read_message(void *user, size_t offset, rpcnet_piece out[RPCNET_SOURCE_PIECES_MAX]) {
    const rn_relay *relay = user;
    const rn_uplink *up = &relay->up;
    rn_bytes payload = {0};
    size_t count = 0;
    (void)rn_requests_next(&relay->swap.requests, &payload);
    if (offset < up->prefix_len) {
        out[count++] = (rpcnet_piece){.data = up->prefix + offset, .len = up->prefix_len - offset};
        offset = 0;
    } else {
        offset -= up->prefix_len;
    }
    if (payload.len > offset) {
        out[count++] = (rpcnet_piece){.data = payload.data + offset, .len = payload.len - offset};
    }
    return count;
}

void rn_relay_note_closed(rn_relay *relay) {
    relay->up.closed_ns = rn_env_now(relay->data->env);
    relay->up.closed_received = rpcnet_call_received(relay->worker);
}

/* Nothing can be sent to the worker any more. It has ended the stream, perhaps, and its last frames
 * are still on the way; or the call is over, which on_status tells. */
static void close_up(rn_relay *relay) {
    rn_uplink *up = &relay->up;
    up->reading = RN_UPLINK_IDLE;
    rn_assignment_end(&up->assignment);
    rn_requests_drop_waiting(&relay->swap.requests);
    if (!up->closed) {
        up->closed = true;
        rn_relay_note_closed(relay);
    }
}

/* All of it was read. */
static void note_read(rn_relay *relay) {
    rn_uplink *up = &relay->up;
    rn_requests *requests = &relay->swap.requests;
    if (up->reading == RN_UPLINK_ASSIGNMENT) {
        rn_requests_note_assigned(requests, up->assignment.messages, up->assignment.messages_len);
        rn_assignment_end(&up->assignment);
        up->assigned = true;
    } else if (up->reading == RN_UPLINK_MESSAGE) {
        rn_requests_note_sent(requests);
    }
    up->reading = RN_UPLINK_IDLE;
}

static int send_from(rn_relay *relay, enum rn_uplink_reading what, const rpcnet_source *source) {
    relay->up.reading = what;
    int result = rpcnet_call_send_source(relay->worker, source);
    if (result != RPCNET_OK) {
        relay->up.reading = RN_UPLINK_IDLE;
    } else if (!rpcnet_call_is_sending(relay->worker)) {
        note_read(relay);
    }
    return result;
}

/* ---- one after the other ---- */

static int send_message(rn_relay *relay) {
    rn_uplink *up = &relay->up;
    const rn_requests *requests = &relay->swap.requests;
    rn_bytes payload;
    if (!rn_requests_next(requests, &payload)) {
        return RPCNET_ERR_AGAIN;
    }
    up->prefix_len = rn_frame_client_message_prefix(up->prefix, requests->sent + 1, payload.len);
    return send_from(
        relay, RN_UPLINK_MESSAGE,
        &(rpcnet_source){.len = up->prefix_len + payload.len, .read = read_message, .user = relay});
}

/* RPCNET_ERR_AGAIN: nothing more can be sent now, or nothing is left. */
static int send_next(rn_relay *relay) {
    rn_uplink *up = &relay->up;
    uint8_t frame[RN_FRAME_PREFIX_MAX];
    int result = RPCNET_ERR_AGAIN;
    if (rpcnet_call_is_stopped(relay->worker)) {
        return RPCNET_ERR_CLOSED;
    }
    if (rpcnet_call_is_sending(relay->worker)) {
        return RPCNET_ERR_AGAIN; /* on_writable follows */
    }
    note_read(relay);
    if (up->ack > 0) {
        result = rpcnet_call_send(relay->worker, frame, rn_frame_ack(frame, up->ack));
        up->ack = result == RPCNET_OK ? 0 : up->ack;
    } else if (up->credit > 0) {
        result = rpcnet_call_send(relay->worker, frame, rn_frame_credit(frame, up->credit));
        up->credit = result == RPCNET_OK ? 0 : up->credit;
    } else if (rn_requests_waiting(&relay->swap.requests)) {
        result = send_message(relay);
    } else if (up->half_close) {
        result = rpcnet_call_send(relay->worker, frame, rn_frame_half_close(frame));
        up->half_close = result != RPCNET_OK;
    }
    return result;
}

void rn_relay_send_up(rn_relay *relay) {
    int result = RPCNET_OK;
    while (result == RPCNET_OK && relay->worker != NULL && !relay->up.closed) {
        result = send_next(relay);
    }
    if (relay->up.closed || result == RPCNET_ERR_CLOSED) {
        close_up(relay);
    } else if (result != RPCNET_OK && result != RPCNET_ERR_AGAIN) {
        /* Memory is short: this attempt cannot go on. */
        relay->call_code = RPCNET_GRPC_UNAVAILABLE;
        rn_env_defer(relay->data->env, &relay->call_lost);
    }
    if (!rn_relay_up_waits(relay)) {
        rn_relay_let_client_go_on(relay);
    }
}

int rn_relay_send_assignment(rn_relay *relay, const rn_assignment_call *call) {
    rn_assignment_reader *assignment = &relay->up.assignment;
    int result = rn_assignment_begin(assignment, &relay->swap, call, rn_env_now(relay->data->env));
    if (result != RPCNET_OK) {
        return result;
    }
    return send_from(relay, RN_UPLINK_ASSIGNMENT,
                     &(rpcnet_source){.len = rn_assignment_size(assignment),
                                      .read = read_assignment,
                                      .user = relay});
}

/* ---- what waits ---- */

bool rn_relay_up_waits(const rn_relay *relay) {
    return relay->worker != NULL && !relay->up.closed &&
           (rn_requests_waiting(&relay->swap.requests) || relay->up.half_close);
}

void rn_relay_memory(const rn_relay *relay, size_t *spare, size_t *needed) {
    size_t journal = rn_journal_memory(&relay->swap.journal);
    size_t requests = rn_requests_memory(&relay->swap.requests);
    bool needs_journal =
        relay->up.reading == RN_UPLINK_ASSIGNMENT && rpcnet_call_is_sending(relay->worker);
    bool needs_requests =
        needs_journal || rn_relay_up_waits(relay) || !rn_requests_replayable(&relay->swap.requests);
    *spare = (needs_journal ? 0 : journal) + (needs_requests ? 0 : requests);
    *needed = sizeof *relay + relay->metadata.capacity + rn_outbox_memory(&relay->down) +
              relay->up.assignment.head.capacity + journal + requests - *spare;
}
