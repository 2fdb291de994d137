/* station: see the header. */
#include "fuzz/station.h"

#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "rpcnet/error.h"

#define HONEST_METHOD "/t/Honest"

/* ---- Serve ---- */

void station_send_bytes(rpcnet_call *call, rn_bytes bytes) {
    if (call != NULL) {
        (void)rpcnet_call_send(call, bytes.data, bytes.len);
    }
}

void station_send(station_call *call, const rn_worker_frame *frame) {
    rn_buffer bytes;
    rn_buffer_init(&bytes, 1 << 20);
    assert(rn_worker_frame_append(&bytes, frame) == RPCNET_OK);
    station_send_bytes(call->call, rn_buffer_bytes(&bytes));
    rn_buffer_fini(&bytes);
}

/* Message n answers the client's message n. */
static void say_owed(station_call *call) {
    while (call->assigned && call->next <= call->requests) {
        uint8_t text = (uint8_t)call->next;
        rn_worker_frame frame = {.kind = RN_WORKER_MESSAGE,
                                 .message = {call->next, rn_bytes_of(&text, 1)}};
        station_send(call, &frame);
        call->next++;
    }
}

static void take_assignment(station_call *call, const rn_assignment *assignment) {
    rn_worker_frame connected = {.kind = RN_WORKER_EVENT, .event = rn_bytes_text("connected")};
    call->assigned = true;
    call->next = assignment->next_sequence;
    call->requests = assignment->client_messages.count;
    call->honest = rn_bytes_is(assignment->method, HONEST_METHOD);
    call->station->honest_assigned += call->honest;
    if (call->station->honest) {
        station_send(call, &connected);
    }
}

static void on_frame(rpcnet_call *rpc, const void *data, size_t len, void *user) {
    station_call *call = user;
    rn_director_frame frame;
    (void)rpc;
    assert(rn_director_frame_parse(&frame, rn_bytes_of(data, len)) == RPCNET_OK);
    if (frame.kind == RN_DIRECTOR_PROBE && !call->station->mute) {
        rn_worker_frame reply = {.kind = RN_WORKER_PROBE_REPLY, .probe_reply = frame.probe};
        station_send(call, &reply);
    } else if (frame.kind == RN_DIRECTOR_ASSIGNMENT) {
        take_assignment(call, &frame.assignment);
    } else if (frame.kind == RN_DIRECTOR_CLIENT_MESSAGE) {
        call->requests = frame.client_message.sequence;
    }
    if (call->station->honest) {
        say_owed(call);
    }
}

static void on_closed(rpcnet_call *rpc, void *user) {
    station_call *call = user;
    call->call = NULL;
    rpcnet_call_del(rpc);
}

static void serve(rpcnet_server *server, rpcnet_call *rpc, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_frame, .on_closed = on_closed};
    station *s = user;
    size_t i = 0;
    (void)server;
    while (i < STATION_CALLS_MAX && s->calls[i].call != NULL) {
        i++;
    }
    if (i == STATION_CALLS_MAX) {
        (void)rpcnet_call_finish(rpc, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too many", NULL);
        rpcnet_call_del(rpc);
        return;
    }
    s->calls[i] = (station_call){.station = s, .call = rpc};
    rpcnet_call_set_callbacks(rpc, &callbacks, &s->calls[i]);
}

/* ---- the registry ---- */

static void end_call(rpcnet_call **call) {
    rpcnet_call_del(*call);
    *call = NULL;
}

static void on_report_status(rpcnet_call *rpc, int code, const char *message,
                             const rpcnet_metadata *trailers, void *user) {
    station *s = user;
    (void)rpc;
    (void)code;
    (void)message;
    (void)trailers;
    end_call(&s->report);
}

void station_report(station *s, bool draining, bool recovering) {
    ConnectionSwap__WorkerReport report = CONNECTION_SWAP__WORKER_REPORT__INIT;
    report.registration = s->registration;
    report.draining = draining;
    report.recovering = recovering;
    if (s->report != NULL) {
        (void)rn_message_send(s->report, &report.base);
    }
}

static void on_registered(rpcnet_call *rpc, const void *data, size_t len, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_status = on_report_status};
    station *s = user;
    (void)rpc;
    ConnectionSwap__RegisterResponse *response =
        connection_swap__register_response__unpack(NULL, len, data);
    assert(response != NULL);
    s->registration = response->registration;
    connection_swap__register_response__free_unpacked(response, NULL);
    end_call(&s->report);
    assert(rpcnet_call_new(&s->report, s->channel, "/connection_swap.DirectorRegistry/Report", NULL,
                           &callbacks, s) == RPCNET_OK);
    station_report(s, false, false);
}

static void on_register_status(rpcnet_call *rpc, int code, const char *message,
                               const rpcnet_metadata *trailers, void *user) {
    station *s = user;
    (void)rpc;
    (void)code;
    (void)message;
    (void)trailers;
    end_call(&s->registering);
}

void station_register_bytes(station *s, rn_bytes bytes) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_registered,
                                                    .on_status = on_register_status};
    end_call(&s->registering);
    if (rpcnet_call_new(&s->registering, s->channel, "/connection_swap.DirectorRegistry/Register",
                        NULL, &callbacks, s) == RPCNET_OK) {
        station_send_bytes(s->registering, bytes);
        (void)rpcnet_call_half_close(s->registering);
    }
}

static void register_honestly(station *s) {
    ConnectionSwap__RegisterRequest request = CONNECTION_SWAP__REGISTER_REQUEST__INIT;
    char *label = fuzz_text(rn_bytes_text(s->label));
    char *user_addr = fuzz_text(rn_bytes_text(s->user_addr));
    char *mgmt_addr = fuzz_text(rn_bytes_text(s->mgmt_addr));
    rn_buffer bytes;
    request.label = label;
    request.user_addr = user_addr;
    request.mgmt_addr = mgmt_addr;
    request.incarnation = 1;
    rn_buffer_init(&bytes, 4096);
    assert(rn_message_pack(&bytes, &request.base) == RPCNET_OK);
    station_register_bytes(s, rn_buffer_bytes(&bytes));
    rn_buffer_fini(&bytes);
    free(label);
    free(user_addr);
    free(mgmt_addr);
}

/* ---- life ---- */

static rpcnet_server *listen_at(station *s, const char *address) {
    rpcnet_server *server = NULL;
    rpcnet_server_options options;
    rpcnet_server_options_init(&options);
    options.credentials = arena_credentials(s->label);
    assert(rpcnet_server_new(&server, s->env, address, &options) == RPCNET_OK);
    return server;
}

static void listen_to_all(station *s) {
    s->mgmt = listen_at(s, s->mgmt_addr);
    assert(rpcnet_health_new(&s->health, s->mgmt) == RPCNET_OK);
    if (s->serves) {
        s->user = listen_at(s, s->user_addr);
        rpcnet_server_set_fallback(s->user, serve, s);
    }
}

static void leave_all(station *s) {
    for (size_t i = 0; i < STATION_CALLS_MAX; i++) {
        end_call(&s->calls[i].call);
    }
    rpcnet_health_del(s->health);
    if (s->user != NULL) {
        rpcnet_server_del(s->user);
        s->user = NULL;
    }
    rpcnet_server_del(s->mgmt);
}

void station_open(station *s, const char *director) {
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = arena_credentials(s->label);
    options.identity = ARENA_IDENTITY;
    listen_to_all(s);
    assert(rpcnet_channel_new(&s->channel, s->env, director, &options) == RPCNET_OK);
    register_honestly(s);
}

void station_restart(station *s) {
    leave_all(s);
    listen_to_all(s);
}

void station_close(station *s) {
    static const rpcnet_call_callbacks none = {0};
    if (s->registering != NULL) {
        rpcnet_call_set_callbacks(s->registering, &none, NULL);
    }
    if (s->report != NULL) {
        rpcnet_call_set_callbacks(s->report, &none, NULL);
    }
    end_call(&s->registering);
    end_call(&s->report);
    rpcnet_channel_del(s->channel);
    leave_all(s);
}
