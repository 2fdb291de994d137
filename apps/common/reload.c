/* reload: see the header. */
#include "common/reload.h"

#include <string.h>

#define DAY_S INT64_C(86400)

void rn_reload_watch(rn_reload *reload, rn_program *program, const char *name,
                     const rpcnet_credentials *credentials) {
    size_t i = 0;
    reload->program = program;
    while (i < reload->count && strcmp(reload->watched[i].name, name) != 0) {
        i++;
    }
    if (i == RN_RELOAD_WATCHED_MAX) {
        return;
    }
    reload->watched[i].name = name;
    reload->watched[i].expiry = rpcnet_credentials_expiry(credentials);
    reload->count += i == reload->count;
}

/* Complains of each certificate that ends soon. */
static void look(rn_reload *reload) {
    const rn_program *program = reload->program;
    rn_env *env = program->env;
    int64_t now = (int64_t)(rn_env_wall(env) / RN_SECOND);
    for (size_t i = 0; i < reload->count; i++) {
        int64_t left = reload->watched[i].expiry - now;
        if (reload->watched[i].expiry == 0 || left >= RN_RELOAD_WARN_DAYS * DAY_S) {
            continue;
        }
        if (left <= 0) {
            RN_WARN(program->log, program->target,
                    "certificate=%s the certificate has expired; renew it and send SIGHUP",
                    reload->watched[i].name);
        } else {
            RN_WARN(program->log, program->target,
                    "certificate=%s days=%lld the certificate expires soon; renew it and send "
                    "SIGHUP",
                    reload->watched[i].name, (long long)(left / DAY_S));
        }
    }
    env->ops->timer_set(reload->timer, rn_env_now(env) + (uint64_t)DAY_S * RN_SECOND);
}

static void on_timer(void *user) {
    look(user);
}

static void on_hangup(void *user) {
    rn_reload *reload = user;
    const rn_program *program = reload->program;
    if (reload->load(reload->user) == RPCNET_OK) {
        RN_INFO(program->log, program->target, "certificates and tokens were read anew");
        look(reload);
    }
}

int rn_reload_start(rn_reload *reload, rn_program *program, int (*load)(void *user), void *user) {
    reload->program = program;
    reload->load = load;
    reload->user = user;
    if (rn_env_timer_new(program->env, on_timer, reload, &reload->timer) != RPCNET_OK) {
        return rn_program_fail(program, "out of memory");
    }
    look(reload);
    rn_program_on_reload(program, on_hangup, reload);
    return RPCNET_OK;
}

void rn_reload_stop(rn_reload *reload) {
    if (reload->program != NULL) {
        rn_program_on_reload(reload->program, NULL, NULL);
        reload->program->env->ops->timer_del(reload->timer);
        reload->timer = NULL;
    }
}
