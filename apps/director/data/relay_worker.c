/* relay_worker: the worker's side of a relay: attempts, their frames, and what follows. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "director/data/relay_internal.h"
#include "rpcnet/error.h"
#include "swap/frames.h"

/* ---- up: to the worker ---- */

void rn_relay_pass_credit(rn_relay *relay) {
    uint64_t window = relay->data->options.swap.credit_window;
    uint64_t room = rn_outbox_empty(&relay->down) ? window : 0;
    if (relay->worker != NULL && rn_swap_stream_grant(&relay->swap, room, &relay->up.credit)) {
        rn_relay_send_up(relay);
    }
    rn_pace_credit(&relay->pace, rn_swap_stream_has_credit(&relay->swap),
                   rn_env_now(relay->data->env));
}

static void acknowledge(rn_relay *relay) {
    if (relay->worker != NULL && rn_swap_stream_take_ack(&relay->swap, &relay->up.ack)) {
        rn_relay_send_up(relay);
    }
}

/* ---- attempts ---- */

void rn_relay_drop_worker(rn_relay *relay) {
    rpcnet_call *call = relay->worker;
    rn_deferred_cancel(&relay->call_lost);
    if (relay->at != NULL) {
        rn_link_detach(relay->at, relay);
        relay->at = NULL;
    }
    relay->worker = NULL;
    rpcnet_call_del(call);
    /* What waited for that worker is in the next Assignment. */
    rn_relay_up_reset(relay);
    rn_relay_let_client_go_on(relay);
}

/* Before it has read all of the Assignment it may refuse the stream or fail; but not serve it. */
static bool serves(const rn_worker_frame *frame) {
    return frame->kind != RN_WORKER_NONE && frame->kind != RN_WORKER_REFUSED &&
           frame->kind != RN_WORKER_FAILURE;
}

/* What the state machine cannot see; NULL: nothing. */
static const char *parse_frame(const rn_relay *relay, rn_worker_frame *frame, rn_bytes bytes) {
    if (rn_worker_frame_parse(frame, bytes) != RPCNET_OK) {
        return "it sent bytes that are no frame";
    }
    if (frame->kind == RN_WORKER_MESSAGE && frame->message.payload.len > RN_RELAY_MESSAGE_MAX) {
        return "it sent a message of more than 4 MiB";
    }
    if (serves(frame) && !relay->up.assigned) {
        return "it served the stream before it had its assignment";
    }
    return NULL;
}

static void on_frame(rpcnet_call *call, const void *bytes, size_t len, void *user) {
    rn_relay *relay = user;
    uint64_t now = rn_env_now(relay->data->env);
    rn_worker_frame frame;
    (void)call;
    const char *fault = parse_frame(relay, &frame, rn_bytes_of(bytes, len));
    if (fault == NULL) {
        rn_link_heard(relay->at, relay);
        (void)rn_relay_handle(relay, rn_swap_stream_frame(&relay->swap, now, relay->pair, &frame));
    } else {
        (void)rn_relay_handle(relay, rn_swap_stream_fault(&relay->swap, now, relay->pair, fault));
    }
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    rn_relay *relay = user;
    (void)call;
    (void)trailers;
    /* No fault of the worker's: there was no memory for its message. */
    relay->call_code = rpcnet_call_is_starved(call) ? RPCNET_GRPC_UNAVAILABLE : code;
    RN_DEBUG(relay->data->env->log, "connection_swap::director",
             "stream.id=%llu connection.id=%s code=%s err=%s worker call ended",
             (unsigned long long)relay->stream_id, relay->connection_id,
             rpcnet_grpc_code_name(code), RN_TEXT_QUOTE(rn_bytes_text(message)));
    rn_env_defer(relay->data->env, &relay->call_lost);
}

/* A call may end because its connection did, or is about to (GOAWAY): no fault of the stream. With
 * any other status the worker has ended it without Done, which it must not. */
void rn_relay_call_lost(void *user) {
    rn_relay *relay = user;
    if (relay->worker == NULL) {
        return;
    }
    if (relay->at->lost || relay->call_code == RPCNET_GRPC_UNAVAILABLE) {
        rn_relay_lost(relay, RN_SWAP_LOST);
        return;
    }
    char how[RN_SWAP_SENTENCE_SIZE];
    snprintf(how, sizeof how, "it ended its call without Done (%s)",
             rpcnet_grpc_code_name(relay->call_code));
    (void)rn_relay_handle(
        relay, rn_swap_stream_fault(&relay->swap, rn_env_now(relay->data->env), relay->pair, how));
}

/* For how long the datagrams that bring the stream may find the port closed. Asked for while there
 * is a connection: one that was lost has no round trips any more. */
static uint64_t absence(const rn_link *link) {
    enum { ROUND_TRIPS = 2 };
    return ROUND_TRIPS * rpcnet_channel_rtt(link->channel) + 2 * RN_MILLISECOND;
}

/* The port was found closed by those very datagrams: it was dead before. */
static bool was_absent(const rn_relay *relay, uint64_t now) {
    return relay->swap.state == RN_SWAP_ASSIGNING && now - relay->assigned_ns <= relay->absence_ns;
}

void rn_relay_lost(rn_relay *relay, enum rn_swap_reason reason) {
    uint64_t now = rn_env_now(relay->data->env);
    if (reason == RN_SWAP_KILLED && was_absent(relay, now)) {
        (void)rn_relay_handle(relay, rn_swap_stream_absent(&relay->swap, now, relay->pair));
        return;
    }
    (void)rn_relay_handle(
        relay, rn_swap_stream_lost(&relay->swap, now, relay->pair, reason, rn_bytes_of(NULL, 0)));
}

static void on_writable(rpcnet_call *call, void *user) {
    (void)call;
    rn_relay_send_up(user);
    rn_relay_schedule(user);
}

/* An Assignment, or a message of the client. */
static size_t frame_to_worker_max(const rn_data *data) {
    const rn_swap_config *swap = &data->options.swap;
    size_t message = data->options.message_max + RN_FRAME_PREFIX_MAX;
    size_t assignment =
        swap->journal_limit + swap->checkpoint_limit + swap->requests_limit + RN_ASSIGNMENT_SLACK;
    return message > assignment ? message : assignment;
}

static int start_call(rn_relay *relay, rn_link *link) {
    static const rpcnet_call_callbacks callbacks = {
        .on_message = on_frame, .on_status = on_status, .on_writable = on_writable};
    rn_data *data = relay->data;
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.receive_max = RN_RELAY_MESSAGE_MAX + RN_FRAME_PREFIX_MAX;
    options.send_max = frame_to_worker_max(data);
    int result = rpcnet_call_new(&relay->worker, link->channel, "/rpcnet.v1.Worker/Serve", &options,
                                 &callbacks, relay);
    if (result != RPCNET_OK) {
        data->hit.waiting_refused += result == RPCNET_ERR_LIMIT;
        relay->worker = NULL;
        return result;
    }
    rn_assignment_call call = {.connection_id = rn_bytes_text(relay->connection_id),
                               .stream_id = relay->stream_id,
                               .method = rn_bytes_text(rpcnet_call_path(relay->client)),
                               .metadata =
                                   rn_metadata_list(rn_buffer_bytes(&relay->metadata),
                                                    RN_ASSIGNMENT_METADATA, relay->metadata_count)};
    return rn_relay_send_assignment(relay, &call);
}

/* Starts an attempt; returns what follows from it. */
static rn_swap_action assign(rn_relay *relay, rn_link *link) {
    uint64_t now = rn_env_now(relay->data->env);
    uint64_t window = relay->data->options.swap.credit_window;
    uint64_t credit = rn_outbox_empty(&relay->down) ? window : 0;
    rn_swap_stream_assign(&relay->swap, link->worker.id, rn_bytes_text(link->worker.label), credit);
    relay->pair = relay->swap.pair;
    relay->assigned_ns = now;
    relay->absence_ns = absence(link);
    relay->asked_ns =
        relay->swap.requests.count > 0 || relay->swap.requests.half_closed ? now : RN_NEVER;
    rn_log_assigning(relay, link);
    int result = start_call(relay, link);
    rn_relay_hold_client(relay);
    relay->at = link;
    rn_link_attach(link, relay);
    if (relay->moved && relay->asked_ns != RN_NEVER) {
        rn_link_await(link, relay);
    }
    rn_pace_init(&relay->pace, relay->data->options.stall_min_ns, credit > 0, now);
    rn_pace_client(&relay->pace, !relay->swap.requests.half_closed, now);
    if (result != RPCNET_OK) {
        return rn_swap_stream_lost(&relay->swap, now, relay->pair, RN_SWAP_LOST,
                                   rn_bytes_text(rpcnet_strerror(result)));
    }
    return (rn_swap_action){.kind = RN_SWAP_NOTHING};
}

static rn_swap_action choose(rn_relay *relay) {
    rn_link *link = rn_route(relay->data, &relay->swap);
    return link != NULL ? assign(relay, link)
                        : rn_swap_stream_nobody(&relay->swap, rn_env_now(relay->data->env));
}

bool rn_relay_choose(rn_relay *relay) {
    return rn_relay_handle(relay, choose(relay));
}

/* ---- what follows from an input ---- */

static void note_changes(rn_relay *relay, const rn_swap_action *action) {
    rn_data *data = relay->data;
    const rn_data_watch *watch = &data->options.watch;
    if (action->accepted) {
        if (relay->moved) {
            data->swaps++;
            if (watch->moved != NULL) {
                watch->moved(watch->user, relay);
            }
        }
        rn_log_flows(relay, relay->at);
        relay->moved = true;
    }
    if (action->lost != RN_SWAP_NONE || action->refused) {
        rn_log_lost(relay, relay->at, action);
    }
    if (action->lost != RN_SWAP_NONE && relay->moved && relay->lost_ns == RN_NEVER) {
        relay->lost_ns = rn_env_now(data->env);
    }
}

static void note_message(rn_relay *relay, uint64_t now) {
    const rn_data_watch *watch = &relay->data->options.watch;
    if (relay->lost_ns != RN_NEVER && watch->resumed != NULL) {
        watch->resumed(watch->user, relay, now - relay->lost_ns);
    }
    relay->lost_ns = RN_NEVER;
}

/* False: there is neither room for the message nor memory to keep it, and *action is what follows.
 */
static bool relay_message(rn_relay *relay, rn_swap_action *action) {
    uint64_t now = rn_env_now(relay->data->env);
    int result = rn_relay_deliver(relay, action->payload);
    if (result != RPCNET_OK) {
        relay->data->hit.queue_overflows += result == RPCNET_ERR_LIMIT;
        *action = rn_swap_stream_exhaust(&relay->swap, RN_RELAY_NO_MEMORY);
        return false;
    }
    if (action->kind == RN_SWAP_RELAY) {
        rn_pace_message(&relay->pace, now);
        note_message(relay, now);
        acknowledge(relay);
    }
    return true;
}

/* What used credit, or room for events, makes the worker wait unless it gets more. */
static bool uses_room(const rn_swap_action *action) {
    return action->kind == RN_SWAP_RELAY || action->kind == RN_SWAP_RELAY_EVENT ||
           action->kind == RN_SWAP_DUPLICATE;
}

static void forward(rn_relay *relay, const rn_swap_action *action) {
    uint64_t now = rn_env_now(relay->data->env);
    bool ends = action->kind == RN_SWAP_FORWARD_HALF_CLOSE;
    if (action->kind != RN_SWAP_FORWARD && !ends) {
        return;
    }
    if (relay->asked_ns == RN_NEVER) {
        relay->asked_ns = now;
    }
    rn_pace_client(&relay->pace, !ends, now);
    relay->up.half_close |= ends;
    rn_relay_send_up(relay);
}

bool rn_relay_handle(rn_relay *relay, rn_swap_action action) {
    for (;;) {
        note_changes(relay, &action);
        if (action.kind == RN_SWAP_END) {
            rn_log_ended(relay, &action);
            return rn_relay_finish(relay, &action);
        }
        if (action.close_worker) {
            rn_relay_drop_worker(relay);
        }
        bool message = action.kind == RN_SWAP_RELAY || action.kind == RN_SWAP_RELAY_EVENT;
        if (action.kind == RN_SWAP_CHOOSE) {
            action = choose(relay);
        } else if (!message || relay_message(relay, &action)) {
            break;
        }
    }
    if (uses_room(&action)) {
        rn_relay_pass_credit(relay);
    }
    forward(relay, &action);
    rn_relay_schedule(relay);
    return true;
}
