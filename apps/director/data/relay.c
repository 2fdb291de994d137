/* relay: one client stream from its call to its end. What the client does is in relay_client.c,
 * what the worker does in relay_worker.c; what follows from it is decided by swap/stream.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "director/data/data.h"
#include "director/data/relay_internal.h"
#include "rpcnet/error.h"
#include "swap/frames.h"

/* Where the result of rn_relay_handle does not matter: nothing of the relay is touched after it. */
#define HANDLE(relay, action) ((void)rn_relay_handle((relay), (action)))

static void open_stream(void *user) {
    rn_relay *relay = user;
    rn_log_opened(relay);
    relay->announced = true;
    uint64_t deadline = rpcnet_call_deadline(relay->client);
    HANDLE(relay, rn_swap_stream_open(&relay->swap, rn_env_now(relay->data->env),
                                      deadline == RPCNET_NO_DEADLINE ? RN_NEVER : deadline));
}

/* A worker says with its first frame that it has taken the stream, and owes it soon: once it has
 * something of the request to judge by. Until then it is the client that is slow. */
static uint64_t assign_deadline(const rn_relay *relay) {
    return relay->swap.state == RN_SWAP_ASSIGNING && relay->asked_ns != RN_NEVER
               ? relay->asked_ns + relay->data->options.assign_timeout_ns
               : RN_NEVER;
}

/* A worker that reads no more gets no credit, and owes the end of the stream. */
static uint64_t end_deadline(const rn_relay *relay) {
    return relay->up.closed ? relay->up.closed_ns + relay->data->options.assign_timeout_ns
                            : RN_NEVER;
}

/* Its last words may be many, and the path slow: they are behind what told that it reads no more.
 */
static bool is_end_overdue(rn_relay *relay, uint64_t now) {
    if (now < end_deadline(relay)) {
        return false;
    }
    if (rpcnet_call_received(relay->worker) == relay->up.closed_received) {
        return true;
    }
    rn_relay_note_closed(relay);
    return false;
}

/* Streams of a worker that is given time are given as much: it is not one of them that stands
 * still, it is all. */
static uint64_t stall_deadline(const rn_relay *relay) {
    uint64_t deadline = rn_pace_deadline(&relay->pace);
    if (deadline == RN_NEVER || relay->at == NULL) {
        return RN_NEVER;
    }
    uint64_t more = rn_detector_patience(&relay->at->detector) - 1;
    return deadline + more * relay->data->options.stall_min_ns;
}

static void on_timer(void *user) {
    rn_relay *relay = user;
    uint64_t now = rn_env_now(relay->data->env);
    relay->timer_deadline = RN_NEVER;
    bool stalled = rn_swap_stream_live(&relay->swap) && now >= stall_deadline(relay);
    if (stalled || now >= assign_deadline(relay) || is_end_overdue(relay, now)) {
        rn_relay_lost(relay, RN_SWAP_STALLED);
        return;
    }
    HANDLE(relay, rn_swap_stream_tick(&relay->swap, now));
}

void rn_relay_schedule(rn_relay *relay) {
    uint64_t deadline = rn_swap_stream_next_deadline(&relay->swap);
    if (rn_swap_stream_live(&relay->swap)) {
        uint64_t pace = stall_deadline(relay);
        deadline = pace < deadline ? pace : deadline;
        uint64_t first = assign_deadline(relay);
        deadline = first < deadline ? first : deadline;
        uint64_t last = end_deadline(relay);
        deadline = last < deadline ? last : deadline;
    }
    if (deadline != relay->timer_deadline) {
        relay->timer_deadline = deadline;
        relay->data->env->ops->timer_set(relay->timer, deadline);
    }
}

/* The request's metadata in the form that Assignments carry. What a client is known by is between
 * it and the director: a worker could use it to be the client. */
static int keep_metadata(rn_relay *relay) {
    const rpcnet_metadata *metadata = rpcnet_call_metadata(relay->client);
    size_t count = metadata != NULL ? rpcnet_metadata_count(metadata) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        size_t name_len;
        const void *value;
        size_t value_len;
        rpcnet_metadata_at(metadata, i, &name, &name_len, &value, &value_len);
        if (rn_bytes_equal(rn_bytes_of(name, name_len), rn_bytes_text("authorization"))) {
            continue;
        }
        int result = rn_metadata_append(&relay->metadata, RN_ASSIGNMENT_METADATA,
                                        rn_bytes_of(name, name_len), rn_bytes_of(value, value_len));
        if (result != RPCNET_OK) {
            return result;
        }
        relay->metadata_count++;
    }
    return RPCNET_OK;
}

static rn_relay *relay_new(rn_data *data, rpcnet_call *call) {
    rn_relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL) {
        return NULL;
    }
    rpcnet_peer peer;
    rpcnet_call_peer(call, &peer);
    relay->data = data;
    relay->client = call;
    relay->stream_id = peer.call;
    relay->timer_deadline = RN_NEVER;
    relay->lost_ns = RN_NEVER;
    snprintf(relay->connection_id, sizeof relay->connection_id, "conn-%llu",
             (unsigned long long)peer.connection);
    rn_list_init(&relay->link_entry);
    rn_budget_move(&data->budget, 0, sizeof *relay);
    rn_buffer_init_counted(&relay->metadata, RN_RELAY_METADATA_MAX, &data->budget);
    rn_outbox_init(&relay->down, data->options.queue_max, &data->budget);
    rn_relay_up_init(relay);
    rn_deferred_init(&relay->open, open_stream, relay);
    rn_deferred_init(&relay->call_lost, rn_relay_call_lost, relay);
    rn_swap_stream_init(&relay->swap, &data->options.swap, &data->counters, &data->budget,
                        data->options.epoch);
    rn_list_append(&data->relays, &relay->link);
    data->relays_count++;
    if (keep_metadata(relay) != RPCNET_OK ||
        rn_env_timer_new(data->env, on_timer, relay, &relay->timer) != RPCNET_OK) {
        relay->client = NULL; /* the caller's to end */
        rn_relay_del(relay);
        return NULL;
    }
    return relay;
}

void rn_relay_del(rn_relay *relay) {
    rn_data *data = relay->data;
    rn_relay_drop_worker(relay);
    rpcnet_call_del(relay->client);
    rn_deferred_cancel(&relay->open);
    rn_deferred_cancel(&relay->call_lost);
    data->env->ops->timer_del(relay->timer);
    rn_swap_stream_fini(&relay->swap);
    rn_buffer_fini(&relay->metadata);
    rn_outbox_fini(&relay->down);
    rpcnet_metadata_del(relay->trailers);
    free(relay->message);
    rn_list_remove(&relay->link);
    data->relays_count--;
    rn_budget_move(&data->budget, sizeof *relay, 0);
    free(relay);
}

void rn_data_serve(rpcnet_server *server, rpcnet_call *call, void *user) {
    rn_data *data = user;
    data->server = server;
    rn_relay *relay = NULL;
    const char *why = "out of memory";
    if (rn_budget_over(&data->budget)) {
        why = "the memory for streams is used up (CONNECTION_SWAP_MEMORY_MAX)";
        data->hit.streams_refused++;
    } else {
        relay = relay_new(data, call);
    }
    if (relay == NULL) {
        rpcnet_call_finish(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, why, NULL);
        rpcnet_call_del(call);
        return;
    }
    rn_relay_listen(relay);
    rn_env_defer(data->env, &relay->open);
}

void rn_relay_retry(rn_relay *relay) {
    if (relay->swap.state == RN_SWAP_WAITING) {
        (void)rn_relay_choose(relay);
    }
}
