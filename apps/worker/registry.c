/* registry: see the header. The channel connects again by itself; what is done here is to register
 * on each new connection, and after a back-off when a director is there but does not want us. A
 * registration proves nothing until it has lasted: a director that cannot reach us takes it back at
 * once, again and again. */
#include "worker/registry.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "common/cluster.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "worker/worker.h"

enum {
    REPORT_INTERVAL_MS = 1000,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 2000,
    STABLE_MS = 5000,     /* a registration that has lasted so long was a good one */
    LABEL_RETRY_MS = 3000 /* until then the director knows whether the label's old worker lives */
};

enum { COMPLAINT_UNREACHABLE = 1, COMPLAINT_FAILED = 2, COMPLAINT_LOST = 4 };

static void set_timer(rn_registry *registry, uint64_t delay_ns) {
    rn_env *env = registry->worker->program.env;
    env->ops->timer_set(registry->timer,
                        delay_ns == RN_NEVER ? RN_NEVER : rn_env_now(env) + delay_ns);
}

static void back_off(rn_registry *registry) {
    set_timer(registry, registry->backoff_ns);
    registry->backoff_ns *= 2;
    if (registry->backoff_ns > BACKOFF_MAX_MS * RN_MILLISECOND) {
        registry->backoff_ns = BACKOFF_MAX_MS * RN_MILLISECOND;
    }
}

/* The first complaint of its kind since all was well is a warning, those that follow are detail. */
static enum rn_log_level complaint(rn_registry *registry, unsigned kind) {
    enum rn_log_level level = (registry->complaints & kind) != 0 ? RN_LOG_DEBUG : RN_LOG_WARN;
    registry->complaints |= kind;
    return level;
}

static void all_is_well(rn_registry *registry) {
    registry->backoff_ns = BACKOFF_MIN_MS * RN_MILLISECOND;
    registry->complaints = 0;
}

static void send_report(rn_registry *registry) {
    const rn_worker *worker = registry->worker;
    uint64_t age = rn_env_now(worker->program.env) - registry->registered_ns;
    if (age >= STABLE_MS * RN_MILLISECOND) {
        all_is_well(registry);
    }
    ConnectionSwap__WorkerReport report = CONNECTION_SWAP__WORKER_REPORT__INIT;
    report.registration = registry->registration;
    report.streams = (uint32_t)worker->streams;
    report.streams_max = (uint32_t)worker->config.streams_max;
    report.draining = worker->draining;
    report.recovering = worker->outage.state == RN_OUTAGE_RECOVERING;
    /* A report that finds no room is replaced by the next one. */
    int result = rn_message_send(registry->report, &report.base);
    RN_TRACE(worker->program.log, worker->program.target, "worker=%s streams=%zu result=%d report",
             worker->config.label, worker->streams, result);
    set_timer(registry, REPORT_INTERVAL_MS * RN_MILLISECOND);
}

static void on_changed(void *user) {
    rn_registry *registry = user;
    if (registry->report != NULL) {
        send_report(registry);
    }
}

void rn_registry_changed(rn_registry *registry) {
    if (registry->channel != NULL) {
        rn_env_defer(registry->worker->program.env, &registry->changed);
    }
}

/* Either call has ended: try again if the connection lives, else the channel tells when. */
static void lost(rn_registry *registry, rpcnet_call **call) {
    rpcnet_call_del(*call);
    *call = NULL;
    set_timer(registry, RN_NEVER);
    if (!registry->closing && rpcnet_channel_get_state(registry->channel) == RPCNET_CHANNEL_READY) {
        back_off(registry);
    }
}

static void on_command(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    rn_registry *registry = user;
    const rn_worker *worker = registry->worker;
    ConnectionSwap__DirectorCommand *command =
        connection_swap__director_command__unpack(NULL, len, data);
    if (command != NULL &&
        command->command_case == CONNECTION_SWAP__DIRECTOR_COMMAND__COMMAND_GOODBYE) {
        RN_INFO(worker->program.log, worker->program.target,
                "worker=%s reason=%s director shuts down", worker->config.label,
                RN_TEXT_QUOTE(rn_bytes_text(command->goodbye->reason)));
    }
    connection_swap__director_command__free_unpacked(command, NULL);
}

static void on_report_status(rpcnet_call *call, int code, const char *message,
                             const rpcnet_metadata *trailers, void *user) {
    (void)call;
    (void)trailers;
    rn_registry *registry = user;
    const rn_worker *worker = registry->worker;
    if (!registry->closing) {
        enum rn_log_level level = complaint(registry, COMPLAINT_LOST);
        RN_LOG(worker->program.log, level, worker->program.target,
               "worker=%s director=%s code=%s err=%s registration lost; registering again",
               worker->config.label, worker->config.director_mgmt_addr, rpcnet_grpc_code_name(code),
               RN_TEXT_QUOTE(rn_bytes_text(message)));
    }
    lost(registry, &registry->report);
}

static void open_report(rn_registry *registry) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_command,
                                                    .on_status = on_report_status};
    rpcnet_call_options options;
    rn_cluster_call_options(&options);
    int result =
        rpcnet_call_new(&registry->report, registry->channel,
                        "/connection_swap.DirectorRegistry/Report", &options, &callbacks, registry);
    if (result == RPCNET_OK) {
        send_report(registry);
    } else {
        registry->report = NULL;
        back_off(registry);
    }
}

static void on_registered(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    rn_registry *registry = user;
    ConnectionSwap__RegisterResponse *response =
        connection_swap__register_response__unpack(NULL, len, data);
    if (response == NULL) {
        return;
    }
    registry->answered = true;
    registry->registration = response->registration;
    registry->director_epoch = response->director_epoch;
    connection_swap__register_response__free_unpacked(response, NULL);
}

static void registered(rn_registry *registry) {
    rn_worker *worker = registry->worker;
    rpcnet_call_del(registry->registering);
    registry->registering = NULL;
    registry->registered_ns = rn_env_now(worker->program.env);
    registry->taken_ns = RN_NEVER;
    worker->counters.registrations++;
    RN_INFO(worker->program.log, worker->program.target,
            "worker=%s director=%s user.addr=%s mgmt.addr=%s registration=%" PRIu64
            " registered with director",
            worker->config.label, worker->config.director_mgmt_addr, registry->user_addr.text,
            registry->mgmt_addr.text, registry->registration);
    rn_worker_drop_orphans(worker, registry->director_epoch);
    open_report(registry);
}

/* The label's worker may be the one that we are the next life of, and the director is finding that
 * out. True while it is worth to try again; else the program has failed. */
static bool label_is_taken(rn_registry *registry, const char *message) {
    rn_worker *worker = registry->worker;
    uint64_t now = rn_env_now(worker->program.env);
    if (registry->taken_ns == RN_NEVER) {
        registry->taken_ns = now;
        registry->backoff_ns = BACKOFF_MIN_MS * RN_MILLISECOND;
        RN_WARN(worker->program.log, worker->program.target,
                "worker=%s director=%s err=%s the label is taken; trying again for %d s",
                worker->config.label, worker->config.director_mgmt_addr,
                RN_TEXT_QUOTE(rn_bytes_text(message)), LABEL_RETRY_MS / 1000);
    }
    if (now - registry->taken_ns < LABEL_RETRY_MS * RN_MILLISECOND) {
        return true;
    }
    rn_program_fail_setting(&worker->program, "label",
                            "the director at %s does not take another %s: %s; give each worker a "
                            "label of its own",
                            worker->config.director_mgmt_addr, worker->config.label, message);
    return false;
}

static void on_register_status(rpcnet_call *call, int code, const char *message,
                               const rpcnet_metadata *trailers, void *user) {
    (void)call;
    (void)trailers;
    rn_registry *registry = user;
    const rn_worker *worker = registry->worker;
    if (code == RPCNET_GRPC_OK && registry->answered) {
        registered(registry);
        return;
    }
    if (code == RPCNET_GRPC_ALREADY_EXISTS) {
        registry->closing = registry->closing || !label_is_taken(registry, message);
    } else if (!registry->closing) {
        enum rn_log_level level = complaint(registry, COMPLAINT_FAILED);
        RN_LOG(worker->program.log, level, worker->program.target,
               "worker=%s director=%s code=%s err=%s registration failed; trying again",
               worker->config.label, worker->config.director_mgmt_addr, rpcnet_grpc_code_name(code),
               RN_TEXT_QUOTE(rn_bytes_text(message)));
    }
    lost(registry, &registry->registering);
}

static void begin(rn_registry *registry) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_registered,
                                                    .on_status = on_register_status};
    rn_worker *worker = registry->worker;
    char label[RN_LABEL_MAX + 1];
    if (registry->registering != NULL || registry->report != NULL || registry->closing) {
        return;
    }
    snprintf(label, sizeof label, "%s", worker->config.label);
    ConnectionSwap__RegisterRequest request = CONNECTION_SWAP__REGISTER_REQUEST__INIT;
    request.label = label;
    request.user_addr = registry->user_addr.text;
    request.mgmt_addr = registry->mgmt_addr.text;
    request.incarnation = registry->incarnation;
    registry->answered = false;
    rpcnet_call *call = NULL;
    rpcnet_call_options options;
    rn_cluster_call_options(&options);
    int result =
        rpcnet_call_new(&call, registry->channel, "/connection_swap.DirectorRegistry/Register",
                        &options, &callbacks, registry);
    if (result == RPCNET_OK) {
        result = rn_message_send(call, &request.base);
    }
    if (result == RPCNET_OK) {
        result = rpcnet_call_half_close(call);
    }
    if (result != RPCNET_OK) {
        rpcnet_call_del(call);
        back_off(registry);
        return;
    }
    registry->registering = call;
}

static void on_timer(void *user) {
    rn_registry *registry = user;
    if (registry->report != NULL) {
        send_report(registry);
    } else {
        begin(registry);
    }
}

static const char *hint(enum rpcnet_loss loss) {
    switch (loss) {
    case RPCNET_LOSS_UNREACHABLE:
    case RPCNET_LOSS_TIMEOUT:
        return "; is the director running?";
    case RPCNET_LOSS_REFUSED:
        return "; is this a director's MGMT address, and are the certificates of one authority?";
    default:
        return "";
    }
}

static void on_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                     enum rpcnet_loss loss, const char *text, void *user) {
    (void)channel;
    rn_registry *registry = user;
    const rn_worker *worker = registry->worker;
    if (state == RPCNET_CHANNEL_READY) {
        begin(registry);
    } else if (state == RPCNET_CHANNEL_WAITING && !registry->closing) {
        set_timer(registry, RN_NEVER);
        registry->taken_ns = RN_NEVER;
        enum rn_log_level level = complaint(registry, COMPLAINT_UNREACHABLE);
        RN_LOG(worker->program.log, level, worker->program.target,
               "worker=%s director=%s err=%s cannot reach director; trying again%s",
               worker->config.label, worker->config.director_mgmt_addr,
               RN_TEXT_QUOTE(rn_bytes_text(text)), hint(loss));
    }
}

int rn_registry_open(rn_registry *registry, rn_worker *worker) {
    rn_program *program = &worker->program;
    registry->worker = worker;
    registry->taken_ns = RN_NEVER;
    all_is_well(registry);
    rn_deferred_init(&registry->changed, on_changed, registry);
    rn_env_random(program->env, &registry->incarnation, sizeof registry->incarnation);
    const rn_worker_config *config = &worker->config;
    const char *mgmt_setting = config->advertise_mgmt_addr;
    char host[RN_HOST_MAX + 3];
    if (mgmt_setting == NULL && config->advertise_addr != NULL) {
        char bare[RN_HOST_MAX + 1];
        uint16_t port;
        mgmt_setting = config->advertise_addr;
        if (rn_address_split(config->advertise_addr, bare, &port) == RPCNET_OK) {
            bool brackets = strchr(bare, ':') != NULL;
            snprintf(host, sizeof host, "%s%s%s", brackets ? "[" : "", bare, brackets ? "]" : "");
            mgmt_setting = host;
        }
    }
    int result = rn_worker_advertised(config->advertise_addr, rpcnet_server_address(worker->user),
                                      &registry->user_addr);
    if (result == RPCNET_OK) {
        result = rn_worker_advertised(mgmt_setting, rpcnet_server_address(worker->mgmt),
                                      &registry->mgmt_addr);
    }
    if (result == RPCNET_OK) {
        result = rn_env_timer_new(program->env, on_timer, registry, &registry->timer);
    }
    if (result != RPCNET_OK) {
        return rn_program_fail(program, "cannot register: %s", rpcnet_strerror(result));
    }
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = worker->credentials;
    options.identity = RN_ROLE_DIRECTOR;
    options.callbacks.on_state = on_state;
    options.user = registry;
    result =
        rpcnet_channel_new(&registry->channel, program->env, config->director_mgmt_addr, &options);
    if (result != RPCNET_OK) {
        registry->channel = NULL;
        return rn_program_fail_setting(program, "director-mgmt-addr", "cannot connect to %s: %s",
                                       config->director_mgmt_addr, rpcnet_strerror(result));
    }
    return RPCNET_OK;
}

void rn_registry_renew(rn_registry *registry) {
    if (registry->channel != NULL) {
        rpcnet_channel_set_credentials(registry->channel, registry->worker->credentials);
    }
}

void rn_registry_close(rn_registry *registry) {
    if (registry->worker == NULL) {
        return;
    }
    registry->closing = true;
    rn_deferred_cancel(&registry->changed);
    rpcnet_call_del(registry->registering);
    rpcnet_call_del(registry->report);
    registry->registering = NULL;
    registry->report = NULL;
    if (registry->channel != NULL) {
        rpcnet_channel_del(registry->channel);
        registry->channel = NULL;
    }
    registry->worker->program.env->ops->timer_del(registry->timer);
    registry->timer = NULL;
}
