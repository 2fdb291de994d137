/* check: asks a worker's MGMT port for its health (grpc.health.v1) in a steady rhythm. A worker
 * that does not answer three times, or says that it does not serve, is suspect; one whose port is
 * closed is dead. */
#include <stdio.h>
#include <stdlib.h>

#include "common/cluster.h"
#include "director/control/control.h"
#include "grpc/health/v1/health.pb-c.h"
#include "rpcnet/error.h"

enum { FAILURES_MAX = 3 };

static const char target[] = "connection_swap::director";

typedef struct check {
    rn_control *control;
    rn_pool_entry *entry;
    rpcnet_channel *channel;
    rpcnet_call *call; /* the question that is open */
    rn_timer *timer;
    bool serving; /* the answer to it */
    unsigned failures;
} check;

static void judge(check *c, bool unhealthy) {
    if (c->entry->unhealthy != unhealthy) {
        c->entry->unhealthy = unhealthy;
        RN_WARN(c->control->env->log, target, "worker.addr=%s worker.label=%s %s",
                c->entry->row.user_addr, c->entry->row.label,
                unhealthy ? "worker is not healthy" : "worker is healthy again");
        rn_pool_publish(&c->control->pool);
    }
}

static void answered(rpcnet_call *call, const void *data, size_t len, void *user) {
    check *c = user;
    (void)call;
    Grpc__Health__V1__HealthCheckResponse *response =
        grpc__health__v1__health_check_response__unpack(NULL, len, data);
    if (response != NULL) {
        c->serving =
            response->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
        grpc__health__v1__health_check_response__free_unpacked(response, NULL);
    }
}

static void finished(rpcnet_call *call, int code, const char *message,
                     const rpcnet_metadata *trailers, void *user) {
    check *c = user;
    (void)message;
    (void)trailers;
    c->call = NULL;
    rpcnet_call_del(call);
    if (code == RPCNET_GRPC_OK) {
        c->failures = 0;
        judge(c, !c->serving);
    } else if (++c->failures >= FAILURES_MAX) {
        judge(c, true);
    }
}

static void ask(check *c) {
    static const rpcnet_call_callbacks callbacks = {.on_message = answered, .on_status = finished};
    rpcnet_call_options options;
    rn_cluster_call_options(&options);
    options.deadline_ns = rn_env_now(c->control->env) + 2 * c->control->health_interval_ns;
    c->serving = false;
    if (rpcnet_call_new(&c->call, c->channel, "/grpc.health.v1.Health/Check", &options, &callbacks,
                        c) != RPCNET_OK) {
        c->call = NULL;
        return;
    }
    /* An empty HealthCheckRequest asks for the server as a whole. */
    (void)rpcnet_call_send(c->call, NULL, 0);
    (void)rpcnet_call_half_close(c->call);
}

static void tick(void *user) {
    check *c = user;
    rn_env *env = c->control->env;
    env->ops->timer_set(c->timer, rn_env_now(env) + c->control->health_interval_ns);
    if (c->call == NULL) {
        ask(c);
    }
}

static void channel_changed(rpcnet_channel *channel, enum rpcnet_channel_state state,
                            enum rpcnet_loss loss, const char *text, void *user) {
    check *c = user;
    (void)channel;
    (void)state;
    (void)text;
    if (loss == RPCNET_LOSS_UNREACHABLE || loss == RPCNET_LOSS_RESET) {
        rn_pool_observe(&c->control->pool, c->entry->row.id, RN_POOL_SEEN_DEAD);
    }
}

void rn_check_start(rn_control *control, rn_pool_entry *entry) {
    check *c = calloc(1, sizeof *c);
    char identity[RN_ROLE_MAX];
    if (c == NULL) {
        return;
    }
    c->control = control;
    c->entry = entry;
    entry->check = c;
    snprintf(identity, sizeof identity, "%s%s", RN_ROLE_WORKER, entry->row.label);
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = control->credentials;
    options.identity = identity;
    options.secret = control->secret;
    options.callbacks.on_state = channel_changed;
    options.user = c;
    if (rn_env_timer_new(control->env, tick, c, &c->timer) != RPCNET_OK ||
        rpcnet_channel_new(&c->channel, control->env, entry->mgmt_addr, &options) != RPCNET_OK) {
        RN_WARN(control->env->log, target, "worker.label=%s its health cannot be checked",
                entry->row.label);
        rn_check_stop(entry);
        return;
    }
    tick(c);
}

void rn_check_now(rn_pool_entry *entry) {
    check *c = entry->check;
    if (c != NULL && c->call == NULL) {
        ask(c);
    }
}

void rn_check_stop(rn_pool_entry *entry) {
    check *c = entry->check;
    if (c == NULL) {
        return;
    }
    entry->check = NULL;
    rpcnet_call_del(c->call);
    if (c->channel != NULL) {
        rpcnet_channel_del(c->channel);
    }
    c->control->env->ops->timer_del(c->timer);
    free(c);
}

void rn_check_set_credentials(rn_pool_entry *entry, const rpcnet_credentials *credentials) {
    const check *c = entry->check;
    if (c != NULL && c->channel != NULL) {
        rpcnet_channel_set_credentials(c->channel, credentials);
    }
}
