/* relay_client: the client's side of a relay: its messages go up, the worker's come down. */
#include <stdlib.h>
#include <string.h>

#include "director/data/relay_internal.h"
#include "rpcnet/error.h"

enum { DEADLINE_SLACK_MS = 50 };

/* ---- down: to the client ---- */

static int keep(rn_relay *relay, rn_bytes payload) {
    size_t len = payload.len;
    relay->data->hit.rings_full += relay->down.len == 0;
    int result = rn_buffer_reserve(&relay->down, sizeof len + len);
    if (result == RPCNET_OK) {
        (void)rn_buffer_append(&relay->down, &len, sizeof len);
        (void)rn_buffer_append(&relay->down, payload.data, len);
    }
    return result;
}

bool rn_relay_deliver(rn_relay *relay, rn_bytes payload) {
    int result = RPCNET_ERR_AGAIN;
    if (relay->down.len == 0) {
        result = rpcnet_call_send(relay->client, payload.data, payload.len);
    }
    if (result == RPCNET_ERR_AGAIN) {
        result = keep(relay, payload);
    }
    /* A client that has gone is told by on_cancelled; its messages need no place any more. */
    return result == RPCNET_OK || result == RPCNET_ERR_CLOSED;
}

static void drain_down(rn_relay *relay) {
    size_t done = 0;
    while (relay->down.len - done >= sizeof(size_t)) {
        size_t len;
        memcpy(&len, relay->down.data + done, sizeof len);
        if (rpcnet_call_send(relay->client, relay->down.data + done + sizeof len, len) ==
            RPCNET_ERR_AGAIN) {
            break;
        }
        done += sizeof len + len;
    }
    rn_buffer_drop_front(&relay->down, done);
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
        /* Without memory the code has to speak for itself. */
        relay->message = strndup((const char *)action->message.data, action->message.len);
    }
    keep_trailers(relay, action);
    rn_relay_drop_worker(relay);
    if (relay->down.len > 0) {
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
    if (!relay->held && relay->up.len > 0) {
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
    if (code == RPCNET_GRPC_RESOURCE_EXHAUSTED) {
        return rn_swap_stream_exhaust(&relay->swap,
                                      rpcnet_call_is_starved(relay->client)
                                          ? "memory was used up for a message of the call"
                                          : "a message of the client is over the limit");
    }
    return deadline_has_passed(relay, code) ? rn_swap_stream_expire(&relay->swap)
                                            : rn_swap_stream_cancel(&relay->swap);
}

static void on_cancelled(rpcnet_call *call, int code, void *user) {
    rn_relay *relay = user;
    (void)call;
    rn_buffer_clear(&relay->down);
    if (relay->finishing || rn_relay_handle(relay, end_of(relay, code))) {
        rn_relay_del(relay);
    }
}

static void on_writable(rpcnet_call *call, void *user) {
    rn_relay *relay = user;
    (void)call;
    drain_down(relay);
    if (relay->down.len > 0) {
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
    rpcnet_call_set_options(relay->client, &options);
    rpcnet_call_set_callbacks(relay->client, &callbacks, relay);
}
