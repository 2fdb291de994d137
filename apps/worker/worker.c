/* worker: opening, the simulated failure, and the orderly end: streams are handed back first, the
 * probe channels stay until they are gone, so that the director does not take the end for a death.
 */
#include "worker/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/units.h"
#include "common/cluster.h"

static const char service[] = "connection_swap.Inference";

static void finish_drain(rn_worker *worker);

static void update_health(rn_worker *worker) {
    bool serving = !worker->draining && worker->outage.state != RN_OUTAGE_RECOVERING;
    if (worker->health != NULL) {
        rpcnet_health_set(worker->health, service, serving ? RPCNET_SERVING : RPCNET_NOT_SERVING);
    }
}

static void arm_outage(rn_worker *worker) {
    worker->program.env->ops->timer_set(worker->outage_timer, worker->outage.deadline_ns);
}

void rn_worker_stream_begins(rn_worker *worker) {
    worker->streams++;
    rn_outage_stream(&worker->outage, rn_env_now(worker->program.env));
    arm_outage(worker);
    rn_registry_changed(&worker->registry);
}

void rn_worker_stream_ended(rn_worker *worker) {
    worker->streams--;
    if (worker->streams == 0) {
        rn_outage_no_stream(&worker->outage);
        arm_outage(worker);
    }
    rn_registry_changed(&worker->registry);
}

void rn_worker_task_gone(rn_worker *worker) {
    if (worker->draining) {
        finish_drain(worker);
    }
}

void rn_worker_drop_orphans(rn_worker *worker, uint64_t director_epoch) {
    rn_list *link;
    rn_list *next;
    RN_LIST_FOREACH(link, next, &worker->tasks) {
        rn_task *task = RN_CONTAINER_OF(link, rn_task, link);
        if (task->kind == RN_TASK_STREAM && task->serving.epoch != director_epoch) {
            RN_INFO(worker->program.log, worker->program.target,
                    "worker=%s stream.id=%" PRIu64
                    " connection.id=%s its director is gone; stream dropped",
                    worker->config.label, task->stream_id, task->connection_id);
            rn_task_del(task);
        }
    }
}

static void fail_all(rn_worker *worker) {
    char after[RN_UNITS_TEXT_MAX];
    char message[RN_SWAP_SENTENCE_SIZE];
    rn_list *link;
    rn_list *next;
    rn_duration_format(worker->config.fail_after_ns, after);
    snprintf(message, sizeof message, "%s simulated failure", worker->config.label);
    RN_LIST_FOREACH(link, next, &worker->tasks) {
        rn_task *task = RN_CONTAINER_OF(link, rn_task, link);
        if (task->running) {
            RN_WARN(worker->program.log, worker->program.target,
                    "worker=%s stream.id=%" PRIu64 " connection.id=%s simulating failure after %s",
                    worker->config.label, task->stream_id, task->connection_id, after);
        }
        rn_task_give_back(task, message, false);
    }
}

static void on_outage(void *user) {
    rn_worker *worker = user;
    enum rn_outage_event event =
        rn_outage_advance(&worker->outage, rn_env_now(worker->program.env));
    if (event == RN_OUTAGE_FAIL) {
        worker->counters.outages++;
        fail_all(worker);
    } else if (event == RN_OUTAGE_RECOVER && !worker->draining) {
        RN_INFO(worker->program.log, worker->program.target,
                "worker=%s recovered; taking streams again", worker->config.label);
    }
    arm_outage(worker);
    update_health(worker);
    rn_registry_changed(&worker->registry);
}

/* ---- the end ---- */

static void on_drained(rpcnet_server *server, void *user) {
    rn_worker *worker = user;
    (void)server;
    if (--worker->servers_draining == 0) {
        RN_INFO(worker->program.log, worker->program.target, "worker=%s drained",
                worker->config.label);
        rn_program_exit(&worker->program, RN_EXIT_OK);
    }
}

/* Is a stream still on its way out? */
static bool stream_is_open(const rn_worker *worker) {
    const rn_list *link;
    for (link = worker->tasks.next; link != &worker->tasks; link = link->next) {
        const rn_task *task = RN_CONTAINER_OF(link, const rn_task, link);
        if (task->kind != RN_TASK_PROBE) {
            return true;
        }
    }
    return false;
}

static void finish_drain(rn_worker *worker) {
    if (worker->servers_draining > 0 || worker->program.exited || stream_is_open(worker)) {
        return;
    }
    rn_env *env = worker->program.env;
    uint64_t deadline = rn_env_now(env) + RN_SECOND;
    rn_list *link;
    rn_list *next;
    worker->servers_draining = 2;
    RN_LIST_FOREACH(link, next, &worker->tasks) {
        rn_task_end(RN_CONTAINER_OF(link, rn_task, link), RPCNET_GRPC_UNAVAILABLE, "draining");
    }
    rpcnet_server_drain(worker->user, deadline);
    rpcnet_server_drain(worker->mgmt, deadline);
}

static void on_drain_timeout(void *user) {
    rn_worker *worker = user;
    RN_WARN(worker->program.log, worker->program.target,
            "worker=%s streams were not taken away in time; ending", worker->config.label);
    rn_program_exit(&worker->program, RN_EXIT_OK);
}

static void on_stop(void *user) {
    rn_worker *worker = user;
    rn_env *env = worker->program.env;
    char message[RN_SWAP_SENTENCE_SIZE];
    rn_list *link;
    rn_list *next;
    RN_INFO(worker->program.log, worker->program.target,
            "worker=%s streams=%zu draining; handing streams back", worker->config.label,
            worker->streams);
    worker->draining = true;
    update_health(worker);
    rn_registry_changed(&worker->registry);
    env->ops->timer_set(worker->drain_timer, rn_env_now(env) + worker->config.drain_timeout_ns);
    snprintf(message, sizeof message, "%s is draining", worker->config.label);
    RN_LIST_FOREACH(link, next, &worker->tasks) {
        rn_task_give_back(RN_CONTAINER_OF(link, rn_task, link), message, true);
    }
    finish_drain(worker);
}

/* ---- the start ---- */

/* The MGMT port is for directors and their operators; another worker has no business here. */
static bool may_manage(rpcnet_server *server, const char *identity, void *user) {
    const rn_worker *worker = user;
    (void)server;
    return strcmp(identity, RN_ROLE_DIRECTOR) == 0 || strcmp(identity, RN_ROLE_CLIENT) == 0 ||
           strcmp(identity, rpcnet_credentials_identity(worker->credentials)) == 0;
}

static int listen_at(rn_worker *worker, const char *setting, const char *address,
                     const rn_secret *secret, uint64_t streams_max, rpcnet_server **out) {
    char numeric[RN_ADDRESS_TEXT_MAX];
    int result = rn_program_resolve(&worker->program, setting, address, numeric);
    if (result != RPCNET_OK) {
        return result;
    }
    rpcnet_server_options options;
    rpcnet_limits limits;
    rpcnet_server_options_init(&options);
    rpcnet_limits_init(&limits);
    options.limits = &limits;
    options.credentials = worker->credentials;
    options.secret = secret->current;
    options.previous_secret = rn_secret_previous(secret);
    rn_cluster_limits(&limits);
    if (streams_max > 0) {
        limits.streams_max = streams_max;
    }
    options.callbacks.on_drained = on_drained;
    options.authorize = out == &worker->mgmt ? may_manage : NULL; /* USER: each call for itself */
    options.user = worker;
    result = rpcnet_server_new(out, worker->program.env, numeric, &options);
    if (result != RPCNET_OK) {
        *out = NULL;
        return rn_program_bind_failed(&worker->program, setting, address, result);
    }
    return RPCNET_OK;
}

static int open_servers(rn_worker *worker, const rn_secret *secret) {
    enum { BESIDE_STREAMS = 64, WITHOUT_LIMIT = 65536 }; /* probes, and calls that are refused */
    const rn_worker_config *config = &worker->config;
    uint64_t calls = config->streams_max > 0 ? config->streams_max + BESIDE_STREAMS : WITHOUT_LIMIT;
    int result = listen_at(worker, "user-addr", config->user_addr, secret, calls, &worker->user);
    if (result == RPCNET_OK) {
        result = listen_at(worker, "mgmt-addr", config->mgmt_addr, secret, 0, &worker->mgmt);
    }
    if (result != RPCNET_OK) {
        return result;
    }
    result =
        rpcnet_server_add_method(worker->user, "/rpcnet.v1.Worker/Serve", rn_task_serve, worker);
    if (result == RPCNET_OK) {
        result = rpcnet_server_add_method(worker->user, "/connection_swap.Inference/Generate",
                                          rn_task_generate, worker);
    }
    if (result == RPCNET_OK) {
        result = rpcnet_health_new(&worker->health, worker->mgmt);
    }
    if (result != RPCNET_OK) {
        return rn_program_fail(&worker->program, "cannot serve: %s", rpcnet_strerror(result));
    }
    RN_INFO(worker->program.log, worker->program.target,
            "pid=%ld worker=%s user.addr=%s mgmt.addr=%s listening", (long)getpid(), config->label,
            rpcnet_server_address(worker->user), rpcnet_server_address(worker->mgmt));
    return RPCNET_OK;
}

static int load_credentials(rn_worker *worker, const rn_certs *certs, rpcnet_credentials **out) {
    char role[RN_ROLE_MAX];
    snprintf(role, sizeof role, "%s%s", RN_ROLE_WORKER, worker->config.label);
    const rn_certs_pair pair = {
        .cert = worker->config.common.cert,
        .key = worker->config.common.key,
        .cert_option = "cert",
        .key_option = "key",
        .name = worker->config.label,
        .role = role,
        .require_client_certificate = true,
    };
    return rn_certs_credentials(certs, &worker->program, &pair, out);
}

static int open_credentials(rn_worker *worker, rn_secret *secret) {
    rn_certs certs;
    rn_certs_find(&certs, &worker->program);
    int result = load_credentials(worker, &certs, &worker->credentials);
    return result == RPCNET_OK ? rn_certs_secret(&certs, &worker->program, secret) : result;
}

static int reload(void *user) {
    rn_worker *worker = user;
    rpcnet_credentials *renewed;
    rn_certs certs;
    rn_certs_find(&certs, &worker->program);
    int result = load_credentials(worker, &certs, &renewed);
    if (result != RPCNET_OK) {
        return result;
    }
    rpcnet_credentials_del(worker->credentials);
    worker->credentials = renewed;
    rpcnet_server_set_credentials(worker->user, renewed);
    rpcnet_server_set_credentials(worker->mgmt, renewed);
    rn_registry_renew(&worker->registry);
    rn_reload_watch(&worker->reload, &worker->program, "cert", renewed);
    return RPCNET_OK;
}

int rn_worker_open(rn_worker *worker) {
    rn_program *program = &worker->program;
    rn_secret secret = {.changed = false};
    rn_list_init(&worker->tasks);
    rn_outage_init(&worker->outage, worker->config.fail_after_ns, worker->config.recover_after_ns);
    int result = rn_model_new(&worker->model);
    if (result == RPCNET_OK) {
        result = rn_env_timer_new(program->env, on_outage, worker, &worker->outage_timer);
    }
    if (result == RPCNET_OK) {
        result = rn_env_timer_new(program->env, on_drain_timeout, worker, &worker->drain_timer);
    }
    if (result != RPCNET_OK) {
        return rn_program_fail(program, "%s", rpcnet_strerror(result));
    }
    result = open_credentials(worker, &secret);
    if (result == RPCNET_OK) {
        result = open_servers(worker, &secret);
    }
    rn_secret_wipe(&secret);
    if (result == RPCNET_OK) {
        result = rn_worker_sight_open(&worker->sight, worker);
    }
    if (result == RPCNET_OK) {
        update_health(worker);
        result = rn_registry_open(&worker->registry, worker);
    }
    if (result == RPCNET_OK) {
        rn_reload_watch(&worker->reload, program, "cert", worker->credentials);
        result = rn_reload_start(&worker->reload, program, reload, worker);
    }
    if (result == RPCNET_OK) {
        rn_program_on_stop(program, on_stop, worker);
    }
    return result;
}

void rn_worker_close(rn_worker *worker) {
    rn_list *link;
    rn_list *next;
    rn_worker_sight_close(worker->sight);
    rn_reload_stop(&worker->reload);
    rn_registry_close(&worker->registry);
    worker->draining = false; /* nothing is to be finished any more */
    RN_LIST_FOREACH(link, next, &worker->tasks) {
        rn_task_del(RN_CONTAINER_OF(link, rn_task, link));
    }
    if (worker->user != NULL) {
        rpcnet_server_del(worker->user);
    }
    if (worker->mgmt != NULL) {
        rpcnet_server_del(worker->mgmt);
    }
    rpcnet_health_del(worker->health);
    rpcnet_credentials_del(worker->credentials);
    worker->program.env->ops->timer_del(worker->outage_timer);
    worker->program.env->ops->timer_del(worker->drain_timer);
    rn_model_del(worker->model);
}
