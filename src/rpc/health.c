/* health: grpc.health.v1 on a server.
 *
 * A watch hears the present status and each change. What changes while its stream has no room is
 * told when there is room again: the latest status, not all of them. A watch ends when the server
 * drains, because it would never end by itself. */
#include <stdlib.h>

#include "grpc/health/v1/health.pb-c.h"
#include "rpc/internal.h"

enum {
    SERVICE_UNKNOWN = 3, /* in a watch: the service may yet come */
    NEVER_TOLD = -1,
    REQUEST_MAX = 1024,    /* bytes of a request */
    RESPONSE_STATUS = 0x08 /* field 1, varint */
};

static const char check_path[] = "/grpc.health.v1.Health/Check";
static const char watch_path[] = "/grpc.health.v1.Health/Watch";

static const char no_memory[] = "out of memory for the status";
static const char shutting_down[] = "the server is shutting down";

typedef struct health_service {
    char name[RN_RPC_HEALTH_NAME_MAX + 1];
    enum rpcnet_serving status;
} health_service;

struct rpcnet_health {
    rpcnet_server *server;
    rn_list watches;
    size_t watch_count;
    size_t service_count;
    health_service services[RN_RPC_HEALTH_SERVICES_MAX];
};

typedef struct watch {
    rn_list link; /* rpcnet_health.watches */
    rpcnet_health *health;
    rpcnet_call *call;
    int told; /* the last status that was sent */
    char name[RN_RPC_HEALTH_NAME_MAX + 1];
} watch;

static health_service *find(rpcnet_health *health, const char *name) {
    for (size_t i = 0; i < health->service_count; i++) {
        if (strcmp(health->services[i].name, name) == 0) {
            return &health->services[i];
        }
    }
    return NULL;
}

static int send_status(rpcnet_call *call, int status) {
    uint8_t message[] = {RESPONSE_STATUS, (uint8_t)status};
    return rpcnet_call_send(call, message, status == 0 ? 0 : sizeof message);
}

static void end_call(rpcnet_call *call, int code, const char *text) {
    (void)rpcnet_call_finish(call, code, text, NULL);
    rpcnet_call_del(call);
}

/* The service that is asked for; false: the call has been ended. */
static bool read_request(rpcnet_call *call, const void *data, size_t len,
                         char name[RN_RPC_HEALTH_NAME_MAX + 1]) {
    Grpc__Health__V1__HealthCheckRequest *request =
        grpc__health__v1__health_check_request__unpack(NULL, len, data);
    if (request == NULL) {
        end_call(call, RPCNET_GRPC_INTERNAL, "the request is malformed");
        return false;
    }
    size_t name_len = strlen(request->service);
    bool fits = name_len <= RN_RPC_HEALTH_NAME_MAX;
    if (fits) {
        memcpy(name, request->service, name_len + 1);
    }
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    if (!fits) {
        end_call(call, RPCNET_GRPC_NOT_FOUND, "no service has so long a name");
    }
    return fits;
}

static void on_early_end(rpcnet_call *call, void *user) {
    (void)user;
    end_call(call, RPCNET_GRPC_INVALID_ARGUMENT, "there was no request");
}

static void on_early_cancel(rpcnet_call *call, int code, void *user) {
    (void)code;
    (void)user;
    rpcnet_call_del(call);
}

/* ---- Check ---- */

static void on_check(rpcnet_call *call, const void *data, size_t len, void *user) {
    rpcnet_health *health = user;
    char name[RN_RPC_HEALTH_NAME_MAX + 1];
    if (!read_request(call, data, len, name)) {
        return;
    }
    const health_service *found = find(health, name);
    if (found == NULL) {
        end_call(call, RPCNET_GRPC_NOT_FOUND, "no such service");
        return;
    }
    if (send_status(call, (int)found->status) != RPCNET_OK) {
        end_call(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, no_memory);
        return;
    }
    end_call(call, RPCNET_GRPC_OK, NULL);
}

static void take_check(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {
        .on_message = on_check, .on_half_close = on_early_end, .on_cancelled = on_early_cancel};
    rpcnet_call_options options;
    (void)server;
    rpcnet_call_options_init(&options);
    options.receive_max = REQUEST_MAX;
    rpcnet_call_set_options(call, &options);
    rpcnet_call_set_callbacks(call, &callbacks, user);
}

/* ---- Watch ---- */

static void watch_del(watch *at) {
    rn_list_remove(&at->link);
    at->health->watch_count--;
    free(at);
}

static void watch_end(watch *at, int code, const char *text) {
    rpcnet_call *call = at->call;
    watch_del(at);
    end_call(call, code, text);
}

/* May end it. */
static void watch_tell(watch *at) {
    const health_service *found = find(at->health, at->name);
    int status = found != NULL ? (int)found->status : SERVICE_UNKNOWN;
    if (status == at->told) {
        return;
    }
    int rv = send_status(at->call, status);
    if (rv == RPCNET_OK) {
        at->told = status;
    } else if (rv != RPCNET_ERR_AGAIN) {
        watch_end(at, RPCNET_GRPC_RESOURCE_EXHAUSTED, no_memory);
    }
}

static void on_watch_writable(rpcnet_call *call, void *user) {
    (void)call;
    watch_tell(user);
}

static void on_watch_cancelled(rpcnet_call *call, int code, void *user) {
    (void)code;
    watch_del(user);
    rpcnet_call_del(call);
}

static void on_watch(rpcnet_call *call, const void *data, size_t len, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_writable = on_watch_writable,
                                                    .on_cancelled = on_watch_cancelled};
    rpcnet_health *health = user;
    char name[RN_RPC_HEALTH_NAME_MAX + 1];
    if (health->server->draining) { /* the others have been ended, and this one would stay */
        end_call(call, RPCNET_GRPC_UNAVAILABLE, shutting_down);
        return;
    }
    if (!read_request(call, data, len, name)) {
        return;
    }
    watch *at = health->watch_count < RN_RPC_HEALTH_WATCHERS_MAX ? calloc(1, sizeof *at) : NULL;
    if (at == NULL) {
        end_call(call, RPCNET_GRPC_RESOURCE_EXHAUSTED, "too many watches");
        return;
    }
    at->health = health;
    at->call = call;
    at->told = NEVER_TOLD;
    memcpy(at->name, name, sizeof at->name);
    rn_list_append(&health->watches, &at->link);
    health->watch_count++;
    rpcnet_call_set_callbacks(call, &callbacks, at);
    watch_tell(at);
}

static void take_watch(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {
        .on_message = on_watch, .on_half_close = on_early_end, .on_cancelled = on_early_cancel};
    rpcnet_call_options options;
    if (server->draining) {
        end_call(call, RPCNET_GRPC_UNAVAILABLE, shutting_down);
        return;
    }
    rpcnet_call_options_init(&options);
    options.receive_max = REQUEST_MAX;
    rpcnet_call_set_options(call, &options);
    rpcnet_call_set_callbacks(call, &callbacks, user);
}

static void on_drain(void *user) {
    rpcnet_health *health = user;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &health->watches) {
        watch_end(RN_CONTAINER_OF(link, watch, link), RPCNET_GRPC_UNAVAILABLE, shutting_down);
    }
}

/* ---- for the server's owner ---- */

/* Both or none. */
static int add_methods(rpcnet_health *health) {
    rpcnet_server *server = health->server;
    int rv = rpcnet_server_add_method(server, check_path, take_check, health);
    if (rv != RPCNET_OK) {
        return rv;
    }
    rv = rpcnet_server_add_method(server, watch_path, take_watch, health);
    if (rv != RPCNET_OK) {
        rn_server_remove_method(server, check_path);
    }
    return rv;
}

int rpcnet_health_new(rpcnet_health **out, rpcnet_server *server) {
    rpcnet_health *health = calloc(1, sizeof *health);
    if (health == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    health->server = server;
    rn_list_init(&health->watches);
    int rv = rpcnet_health_set(health, "", RPCNET_SERVING);
    if (rv == RPCNET_OK) {
        rv = add_methods(health);
    }
    if (rv != RPCNET_OK) {
        free(health);
        return rv;
    }
    server->on_drain = on_drain;
    server->on_drain_user = health;
    *out = health;
    return RPCNET_OK;
}

void rpcnet_health_del(rpcnet_health *health) {
    if (health == NULL) {
        return;
    }
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &health->watches) {
        watch *at = RN_CONTAINER_OF(link, watch, link);
        rpcnet_call_del(at->call);
        watch_del(at);
    }
    free(health);
}

int rpcnet_health_set(rpcnet_health *health, const char *service, enum rpcnet_serving status) {
    size_t len = strnlen(service, RN_RPC_HEALTH_NAME_MAX + 1);
    if (len > RN_RPC_HEALTH_NAME_MAX || (unsigned)status > RPCNET_NOT_SERVING) {
        return RPCNET_ERR_ARGUMENT;
    }
    health_service *found = find(health, service);
    if (found == NULL) {
        if (health->service_count == RN_RPC_HEALTH_SERVICES_MAX) {
            return RPCNET_ERR_LIMIT;
        }
        found = &health->services[health->service_count++];
        memcpy(found->name, service, len + 1);
    }
    found->status = status;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &health->watches) {
        watch *at = RN_CONTAINER_OF(link, watch, link);
        if (strcmp(at->name, service) == 0) {
            watch_tell(at);
        }
    }
    return RPCNET_OK;
}
