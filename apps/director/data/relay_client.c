/* relay_client: the client's side of a relay: its messages go up, the worker's come down. */
#include <stdlib.h>
#include <string.h>

#include "director/data/relay_internal.h"
#include "grpc/status.h"
#include "rpcnet/error.h"

enum { DEADLINE_SLACK_MS = 50 };

/* ---- down: to the client ---- */

int rn_relay_deliver(rn_relay *relay, rn_bytes payload) {
    bool kept = !rn_outbox_empty(&relay->down);
    int result = rn_outbox_send(&relay->down, relay->client, rn_bytes_of(NULL, 0), payload);
    relay->data->hit.rings_full += !kept && !rn_outbox_empty(&relay->down);
    /* A client that has gone is told by on_cancelled; its messages need no place any more. */
    return result == RPCNET_ERR_CLOSED ? RPCNET_OK : result;
}

/* False: the relay is gone. What could not be sent must not be missing in the middle. */
static bool drain_down(rn_relay *relay) {
    int result = rn_outbox_flush(&relay->down, relay->client);
    if (result == RPCNET_ERR_CLOSED) {
        rn_outbox_clear(&relay->down);
    } else if (result != RPCNET_OK) {
        rn_relay_abort(relay, RN_RELAY_NO_MEMORY);
        return false;
    }
    return true;
}

static void finish_now(rn_relay *relay) {
    /* CLOSED: the client has gone, and nobody has to be told. */
    (void)rpcnet_call_finish(relay->client, (int)relay->code, relay->message, relay->trailers);
    rn_relay_del(relay);
}

static void keep_trailers(rn_relay *relay, const rn_swap_action *action) {
    rn_repeated walk = action->trailers;
    rn_bytes key;
    rn_bytes value;
    if (walk.count == 0 || rpcnet_metadata_new(&relay->trailers) != RPCNET_OK) {
        return;
    }
    while (rn_metadata_next(&walk, &key, &value)) {
        char name[256];
        if (key.len > 0 && key.len < sizeof name && memchr(key.data, '\0', key.len) == NULL) {
            memcpy(name, key.data, key.len);
            name[key.len] = '\0';
            /* What is no metadata is left out. */
            (void)rpcnet_metadata_add(relay->trailers, name, value.data, value.len);
        }
    }
}

bool rn_relay_finish(rn_relay *relay, const rn_swap_action *action) {
    relay->code = action->code;
    if (action->message.len > 0) {
        /* A byte more than is sent, so that it is cut where a character ends. Without memory the
         * code has to speak for itself. */
        enum { KEPT_MAX = RN_STATUS_MESSAGE_MAX + 1 };
        size_t len = action->message.len < KEPT_MAX ? action->message.len : KEPT_MAX;
        relay->message = strndup((const char *)action->message.data, len);
    }
    keep_trailers(relay, action);
    rn_relay_drop_worker(relay);
    if (!rn_outbox_empty(&relay->down)) {
        relay->finishing = true;
        rn_relay_schedule(relay);
        return true;
    }
    finish_now(relay);
    return false;
}

void rn_relay_abort(rn_relay *relay, const char *text) {
    rn_swap_action action = rn_swap_stream_exhaust(&relay->swap, text);
    if (action.kind == RN_SWAP_END) {
        rn_log_ended(relay, &action);
    }
    rn_relay_drop_worker(relay);
    rpcnet_call_abort(relay->client, RPCNET_GRPC_RESOURCE_EXHAUSTED, text);
    rn_relay_del(relay);
}

/* ---- what the client does ---- */

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    rn_relay *relay = user;
    rn_bytes payload = rn_bytes_of(data, len);
    (void)call;
    if (relay->finishing) {
        return;
    }
    if (relay->swap.requests.count == 0) {
        rn_log_peek(relay, payload);
    }
    if (!rn_relay_handle(relay, rn_swap_stream_client_message(&relay->swap, payload))) {
        return;
    }
    rn_relay_hold_client(relay);
}

void rn_relay_hold_client(rn_relay *relay) {
    if (!relay->held && rn_relay_up_waits(relay)) {
        relay->held = true;
        rpcnet_call_hold(relay->client, true);
    }
}

void rn_relay_let_client_go_on(rn_relay *relay) {
    if (relay->held) {
        relay->held = false;
        rpcnet_call_hold(relay->client, false);
    }
}

static void on_half_close(rpcnet_call *call, void *user) {
    rn_relay *relay = user;
    (void)call;
    if (!relay->finishing) {
        (void)rn_relay_handle(relay, rn_swap_stream_half_close(&relay->swap));
    }
}

/* A client whose deadline has passed resets its call, which may come a little before our own timer
 * goes off: the way there and the way back take different times. */
static bool deadline_has_passed(const rn_relay *relay, int code) {
    return code == RPCNET_GRPC_DEADLINE_EXCEEDED ||
           rn_env_now(relay->data->env) + DEADLINE_SLACK_MS * RN_MILLISECOND >=
               rpcnet_call_deadline(relay->client);
}

static rn_swap_action end_of(rn_relay *relay, int code) {
    rn_swap_stream *swap = &relay->swap;
    switch (code) {
    case RPCNET_GRPC_RESOURCE_EXHAUSTED:
        return rn_swap_stream_exhaust(swap, rpcnet_call_is_starved(relay->client)
                                                ? "memory was used up for a message of the call"
                                                : "a message of the client is over the limit");
    case RPCNET_GRPC_UNIMPLEMENTED:
        return rn_swap_stream_fail(swap, RN_SWAP_CODE_UNIMPLEMENTED,
                                   "a message of the client is compressed");
    case RPCNET_GRPC_INTERNAL:
        return rn_swap_stream_fail(swap, RN_SWAP_CODE_INTERNAL,
                                   "a message of the client is malformed or cut");
    default:
        break;
    }
    if (deadline_has_passed(relay, code)) {
        return rn_swap_stream_expire(swap);
    }
    if (code != RPCNET_GRPC_UNAVAILABLE) {
        return rn_swap_stream_cancel(swap);
    }
    return rn_env_now(relay->data->env) >= relay->data->cut_ns
               ? rn_swap_stream_fail(swap, RN_SWAP_CODE_UNAVAILABLE,
                                     "the director ends, and its drain timeout is over")
               : rn_swap_stream_client_lost(swap);
}

static void on_cancelled(rpcnet_call *call, int code, void *user) {
    rn_relay *relay = user;
    (void)call;
    rn_outbox_clear(&relay->down);
    if (relay->finishing || rn_relay_handle(relay, end_of(relay, code))) {
        rn_relay_del(relay);
    }
}

static void on_writable(rpcnet_call *call, void *user) {
    rn_relay *relay = user;
    (void)call;
    if (!drain_down(relay) || !rn_outbox_empty(&relay->down)) {
        return;
    }
    if (relay->finishing) {
        finish_now(relay);
        return;
    }
    rn_relay_pass_credit(relay);
    rn_relay_schedule(relay);
}

void rn_relay_listen(rn_relay *relay) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_message,
                                                    .on_half_close = on_half_close,
                                                    .on_cancelled = on_cancelled,
                                                    .on_writable = on_writable};
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.receive_max = relay->data->options.message_max;
    options.send_max = RN_RELAY_MESSAGE_MAX;
    rpcnet_call_set_options(relay->client, &options);
    rpcnet_call_set_callbacks(relay->client, &callbacks, relay);
}
