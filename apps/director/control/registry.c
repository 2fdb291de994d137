/* registry: connection_swap.DirectorRegistry: workers announce themselves and keep a Report stream
 * open; while it lives they are in the pool. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "common/certs.h"
#include "common/cluster.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "director/control/control.h"
#include "rpcnet/error.h"

static const char target[] = "connection_swap::director";

/* The label in the caller's certificate; NULL when it is no worker. */
static const char *caller_label(const rpcnet_call *call) {
    rpcnet_peer peer;
    rpcnet_call_peer(call, &peer);
    size_t prefix = strlen(RN_ROLE_WORKER);
    return strncmp(peer.identity, RN_ROLE_WORKER, prefix) == 0 ? peer.identity + prefix : NULL;
}

static void refuse(rpcnet_call *call, int code, const char *message) {
    rpcnet_call_finish(call, code, message, NULL);
    rpcnet_call_del(call);
}

/* Before the first message: whoever is no worker has none to send. False: the call has ended. */
static bool admit(rpcnet_call *call) {
    rpcnet_call_options options;
    if (caller_label(call) == NULL) {
        refuse(call, RPCNET_GRPC_PERMISSION_DENIED, "the certificate is not of a worker");
        return false;
    }
    rn_cluster_call_options(&options);
    rpcnet_call_set_options(call, &options);
    return true;
}

/* ---- Register ---- */

/* "host:port" as the worker says it; a wildcard host stands for where it calls from. */
static bool complete_address(const rpcnet_call *call, const char *given,
                             char out[RN_POOL_ADDRESS_MAX]) {
    char host[RN_HOST_MAX + 1];
    uint16_t port;
    rpcnet_peer peer;
    rn_address from;
    if (rn_address_split(given, host, &port) != RPCNET_OK || port == 0) {
        return false;
    }
    if (strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0) {
        snprintf(out, RN_POOL_ADDRESS_MAX, "%s", given);
        return true;
    }
    rpcnet_call_peer(call, &peer);
    if (rn_address_parse(&from, peer.address) != RPCNET_OK) {
        return false;
    }
    char text[RN_ADDRESS_TEXT_MAX];
    rn_address_set_port(&from, port);
    snprintf(out, RN_POOL_ADDRESS_MAX, "%s", rn_address_format(&from, text));
    return true;
}

static void answer_registration(rn_control *control, rpcnet_call *call,
                                const rn_pool_entry *entry) {
    ConnectionSwap__RegisterResponse response = CONNECTION_SWAP__REGISTER_RESPONSE__INIT;
    response.director_epoch = control->epoch;
    response.registration = entry->row.id;
    RN_INFO(control->env->log, target,
            "worker.addr=%s worker.label=%s mgmt.addr=%s registration=%llu worker registered",
            entry->row.user_addr, entry->row.label, entry->mgmt_addr,
            (unsigned long long)entry->row.id);
    if (rn_message_send(call, &response.base) != RPCNET_OK) {
        refuse(call, RPCNET_GRPC_INTERNAL, "out of memory");
        return;
    }
    refuse(call, RPCNET_GRPC_OK, NULL);
}

static void register_worker(rn_control *control, rpcnet_call *call,
                            const ConnectionSwap__RegisterRequest *request) {
    const char *label = caller_label(call);
    char user_addr[RN_POOL_ADDRESS_MAX];
    char mgmt_addr[RN_POOL_ADDRESS_MAX];
    rn_pool_entry *entry;
    if (label == NULL || strcmp(label, request->label) != 0 || !rn_label_is_valid(label)) {
        refuse(call, RPCNET_GRPC_PERMISSION_DENIED,
               "the certificate is not of a worker with this label");
        return;
    }
    if (!complete_address(call, request->user_addr, user_addr) ||
        !complete_address(call, request->mgmt_addr, mgmt_addr)) {
        refuse(call, RPCNET_GRPC_INVALID_ARGUMENT, "an address is not host:port");
        return;
    }
    switch (
        rn_pool_add(&control->pool, label, user_addr, mgmt_addr, request->incarnation, &entry)) {
    case RPCNET_OK:
        answer_registration(control, call, entry);
        break;
    case RPCNET_ERR_EXISTS:
        RN_WARN(control->env->log, target,
                "worker.addr=%s worker.label=%s label is taken by a live worker", user_addr, label);
        /* It may have died a moment ago: the claimant comes again, and then we know. */
        rn_check_now(rn_pool_find_label(&control->pool, label));
        refuse(call, RPCNET_GRPC_ALREADY_EXISTS, "a live worker at another address has this label");
        break;
    case RPCNET_ERR_LIMIT:
        refuse(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "the pool is full");
        break;
    default:
        refuse(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        break;
    }
}

static void register_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    rn_message_memory memory;
    rn_message_memory_init(&memory);
    ConnectionSwap__RegisterRequest *request =
        connection_swap__register_request__unpack(&memory.allocator, len, data);
    if (request == NULL && memory.failed) {
        refuse(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    if (request == NULL) {
        refuse(call, RPCNET_GRPC_INVALID_ARGUMENT, "the request is malformed");
        return;
    }
    register_worker(user, call, request);
    connection_swap__register_request__free_unpacked(request, &memory.allocator);
}

static void end_without_message(rpcnet_call *call, void *user) {
    (void)user;
    refuse(call, RPCNET_GRPC_INVALID_ARGUMENT, "a message is missing");
}

static void drop_call(rpcnet_call *call, int code, void *user) {
    (void)code;
    (void)user;
    rpcnet_call_del(call);
}

static void serve_register(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_message = register_message,
                                                    .on_half_close = end_without_message,
                                                    .on_cancelled = drop_call};
    (void)server;
    if (admit(call)) {
        rpcnet_call_set_callbacks(call, &callbacks, user);
    }
}

/* ---- Report ---- */

typedef struct report {
    rn_control *control;
    rpcnet_call *call;
    rn_pool_entry *entry; /* NULL until the first message, and when the worker was removed */
} report;

static void report_free(report *r) {
    rpcnet_call_del(r->call);
    free(r);
}

/* The stream is over: the worker leaves the pool. */
static void report_ended(report *r) {
    rn_pool_entry *entry = r->entry;
    rn_control *control = r->control;
    r->entry = NULL;
    if (entry != NULL) {
        entry->report = NULL;
        RN_INFO(control->env->log, target, "worker.addr=%s worker.label=%s worker left",
                entry->row.user_addr, entry->row.label);
        rn_pool_remove(&control->pool, entry);
    }
    report_free(r);
}

static bool bind_report(report *r, uint64_t registration) {
    const char *label = caller_label(r->call);
    rn_pool_entry *entry = rn_pool_find(&r->control->pool, registration);
    if (entry == NULL || entry->report != NULL || label == NULL ||
        strcmp(label, entry->row.label) != 0) {
        return false;
    }
    r->entry = entry;
    entry->report = r;
    entry->reporting = true;
    rn_check_start(r->control, entry);
    return true;
}

static void report_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    report *r = user;
    rn_message_memory memory;
    rn_message_memory_init(&memory);
    ConnectionSwap__WorkerReport *message =
        connection_swap__worker_report__unpack(&memory.allocator, len, data);
    if (message == NULL) {
        rpcnet_call_finish(
            call, memory.failed ? RPCNET_GRPC_RESOURCE_EXHAUSTED : RPCNET_GRPC_INVALID_ARGUMENT,
            memory.failed ? "out of memory" : "the report is malformed", NULL);
        report_ended(r);
        return;
    }
    bool first = r->entry == NULL;
    if (first && !bind_report(r, message->registration)) {
        connection_swap__worker_report__free_unpacked(message, &memory.allocator);
        rpcnet_call_finish(call, RPCNET_GRPC_FAILED_PRECONDITION, "register first", NULL);
        report_ended(r);
        return;
    }
    rn_pool_entry *entry = r->entry;
    bool changed = first || entry->draining != (message->draining != 0) ||
                   entry->recovering != (message->recovering != 0);
    entry->streams = message->streams;
    entry->draining = message->draining != 0;
    entry->recovering = message->recovering != 0;
    connection_swap__worker_report__free_unpacked(message, &memory.allocator);
    if (changed) {
        RN_INFO(r->control->env->log, target,
                "worker.addr=%s worker.label=%s draining=%s recovering=%s worker reports",
                entry->row.user_addr, entry->row.label, entry->draining ? "true" : "false",
                entry->recovering ? "true" : "false");
        rn_pool_publish(&r->control->pool);
    }
}

static void report_half_close(rpcnet_call *call, void *user) {
    rpcnet_call_finish(call, RPCNET_GRPC_OK, NULL, NULL);
    report_ended(user);
}

static void report_cancelled(rpcnet_call *call, int code, void *user) {
    (void)call;
    (void)code;
    report_ended(user);
}

static void serve_report(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_message = report_message,
                                                    .on_half_close = report_half_close,
                                                    .on_cancelled = report_cancelled};
    (void)server;
    if (!admit(call)) {
        return;
    }
    report *r = calloc(1, sizeof *r);
    if (r == NULL) {
        refuse(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    r->control = user;
    r->call = call;
    rpcnet_call_set_callbacks(call, &callbacks, r);
}

void rn_registry_forget(rn_pool_entry *entry) {
    report *r = entry->report;
    if (r != NULL) {
        entry->report = NULL;
        char why[2 * RN_POOL_ADDRESS_MAX + 64] = "register again";
        if (entry->dead) {
            snprintf(why, sizeof why, "the director finds nobody at %s or %s", entry->row.user_addr,
                     entry->mgmt_addr);
        }
        rpcnet_call_finish(r->call, RPCNET_GRPC_ABORTED, why, NULL);
        report_free(r);
    }
}

void rn_registry_goodbye(rn_pool_entry *entry) {
    const report *r = entry->report;
    if (r != NULL) {
        ConnectionSwap__Goodbye goodbye = CONNECTION_SWAP__GOODBYE__INIT;
        ConnectionSwap__DirectorCommand command = CONNECTION_SWAP__DIRECTOR_COMMAND__INIT;
        goodbye.reason = "the director shuts down";
        command.command_case = CONNECTION_SWAP__DIRECTOR_COMMAND__COMMAND_GOODBYE;
        command.goodbye = &goodbye;
        (void)rn_message_send(r->call, &command.base); /* it learns it from the connection, too */
    }
}

int rn_registry_serve(rn_control *control) {
    int result = rpcnet_server_add_method(
        control->server, "/connection_swap.DirectorRegistry/Register", serve_register, control);
    if (result == RPCNET_OK) {
        result = rpcnet_server_add_method(
            control->server, "/connection_swap.DirectorRegistry/Report", serve_report, control);
    }
    return result;
}
