/* director: how it comes up, takes new papers, and ends. */
#include "director/director.h"

#include <unistd.h>

/* What files say about who is who; read at the start and anew at SIGHUP. */
typedef struct papers {
    rpcnet_credentials *identity;
    rpcnet_credentials *public;
    rn_tokens *tokens; /* NULL: not asked for */
} papers;

static int load_tokens(rn_director *d, rn_tokens **out) {
    char error[RN_TOKENS_ERROR_MAX];
    const char *file = d->config.client_tokens;
    if (file == NULL || rn_tokens_load(out, file, error) == RPCNET_OK) {
        return RPCNET_OK;
    }
    return rn_program_fail_setting(&d->program, "client-tokens", "cannot use %s: %s", file, error);
}

static void judge_client_ca(const rn_director *d, const rn_certs *certs) {
    const char *file = d->config.client_ca;
    if (file != NULL && rn_certs_is_cluster_ca(certs, &d->program, file)) {
        RN_WARN(d->program.log, d->program.target,
                "client-ca is an authority of the cluster: its workers may call as clients; make "
                "one for clients alone");
    }
}

static int load_papers(rn_director *d, const rn_certs *certs, papers *out) {
    rn_certs_pair identity = {.cert = d->config.common.cert,
                              .key = d->config.common.key,
                              .cert_option = "cert",
                              .key_option = "key",
                              .name = "director",
                              .role = RN_ROLE_DIRECTOR,
                              .require_client_certificate = true};
    rn_certs_pair public = {.cert = d->config.user_cert,
                            .key = d->config.user_key,
                            .cert_option = "user-cert",
                            .key_option = "user-key",
                            .ca = d->config.client_ca,
                            .ca_option = "client-ca",
                            .name = "server",
                            .require_client_certificate = d->config.client_ca != NULL};
    *out = (papers){.tokens = NULL};
    int result = rn_certs_credentials(certs, &d->program, &identity, &out->identity);
    if (result == RPCNET_OK) {
        result = rn_certs_credentials(certs, &d->program, &public, &out->public);
    }
    if (result == RPCNET_OK) {
        result = load_tokens(d, &out->tokens);
    }
    if (result == RPCNET_OK) {
        judge_client_ca(d, certs);
    } else {
        rpcnet_credentials_del(out->identity);
        rpcnet_credentials_del(out->public);
    }
    return result;
}

static void take_papers(rn_director *d, const papers *given) {
    rpcnet_credentials_del(d->identity);
    rpcnet_credentials_del(d->public);
    d->identity = given->identity;
    d->public = given->public;
    rn_access_set_tokens(&d->access, given->tokens);
    rn_reload_watch(&d->reload, &d->program, "cert", d->identity);
    rn_reload_watch(&d->reload, &d->program, "user-cert", d->public);
}

static int load_files(rn_director *d) {
    rn_certs certs;
    papers first;
    rn_certs_find(&certs, &d->program);
    int result = load_papers(d, &certs, &first);
    if (result == RPCNET_OK) {
        take_papers(d, &first);
        result = rn_certs_secret(&certs, &d->program, &d->secret);
    }
    return result;
}

static int reload(void *user) {
    rn_director *d = user;
    rn_certs certs;
    papers renewed;
    rn_certs_find(&certs, &d->program);
    int result = load_papers(d, &certs, &renewed);
    if (result == RPCNET_OK) {
        take_papers(d, &renewed);
        (void)rpcnet_server_set_credentials(d->user, d->public); /* it has a certificate */
        rn_control_set_credentials(&d->control, d->identity);
        rn_data_set_credentials(&d->data, d->identity);
    }
    return result;
}

static void observe(void *user, uint64_t worker, enum rn_pool_sight sight) {
    rn_director *d = user;
    rn_pool_observe(&d->control.pool, worker, sight);
}

static void pool_changed(void *user) {
    rn_director *d = user;
    rn_data_pool_changed(&d->data);
}

static int start_control(rn_director *d, uint64_t epoch) {
    char address[RN_ADDRESS_TEXT_MAX];
    int result = rn_program_resolve(&d->program, "mgmt-addr", d->config.mgmt_addr, address);
    if (result != RPCNET_OK) {
        return result;
    }
    rn_control_options options = {.env = d->program.env,
                                  .address = address,
                                  .credentials = d->identity,
                                  .secret = d->secret.current,
                                  .previous_secret = rn_secret_previous(&d->secret),
                                  .epoch = epoch,
                                  .health_interval_ns = d->config.health_interval_ns,
                                  .preferred_label = d->config.preferred_worker,
                                  .workers_max = d->config.workers_max};
    result = rn_control_start(&d->control, &options);
    if (result != RPCNET_OK) {
        return rn_program_bind_failed(&d->program, "mgmt-addr", d->config.mgmt_addr, result);
    }
    d->control.pool.changed = pool_changed;
    d->control.pool.user = d;
    return RPCNET_OK;
}

static int start_data(rn_director *d, uint64_t epoch) {
    const rn_director_config *config = &d->config;
    rn_data_options options = {.env = d->program.env,
                               .credentials = d->identity,
                               .secret = d->secret.current,
                               .epoch = epoch,
                               .stall_min_ns = config->stall_min_ns,
                               .assign_timeout_ns = config->assign_timeout_ns,
                               .memory_max = config->memory_max,
                               .message_max = config->message_max,
                               .queue_max = config->queue_max,
                               .waiting_max = config->waiting_max,
                               .snapshot = &d->control.pool.snapshot,
                               .observe = observe,
                               .observe_user = d,
                               .watch = rn_director_sight_watch(d->sight)};
    rn_swap_config_default(&options.swap);
    options.swap.max_attempts = (uint32_t)config->max_attempts;
    options.swap.park_ns = config->park_timeout_ns;
    options.swap.journal_limit = config->journal_max;
    options.swap.requests_limit = config->request_max;
    options.swap.queue_limit = config->queue_max;
    options.swap.checkpoint_limit = config->checkpoint_max;
    options.swap.credit_window = config->credit_window;
    rn_detector_config_default(&options.detector);
    options.detector.interval_ns = config->probe_interval_ns;
    options.detector.bound_ns = config->hang_timeout_ns;
    options.detector.pause_ns = 4 * config->probe_interval_ns;
    return rn_data_start(&d->data, &options);
}

static void drained(rpcnet_server *server, void *user) {
    rn_director *d = user;
    (void)server;
    RN_INFO(d->program.log, d->program.target, "swaps.total=%llu director stopped",
            (unsigned long long)d->data.swaps);
    rn_program_exit(&d->program, RN_EXIT_OK);
}

static void set_limits(rpcnet_limits *limits, const rn_director_config *config) {
    rpcnet_limits_init(limits);
    limits->idle_timeout_ns = config->idle_timeout_ns;
    limits->keep_alive_ns = config->keep_alive_ns;
    limits->connections_max = config->connections_max;
    limits->streams_max = config->streams_max;
    limits->retry_above = config->retry_above;
    limits->handshakes_max = config->handshakes_max;
    limits->handshakes_per_address = config->handshakes_per_address;
    limits->connections_per_address = config->connections_per_address;
    limits->calls_per_address = config->streams_per_address;
    limits->headers_max = config->headers_max;
    limits->handshake_timeout_ns = config->handshake_timeout_ns;
    limits->send_ring_bytes = config->send_ring;
    limits->stream_window_bytes = config->stream_window;
    limits->connection_window_bytes = rn_director_connection_window(config);
}

static int start_user(rn_director *d) {
    char address[RN_ADDRESS_TEXT_MAX];
    const rn_director_config *config = &d->config;
    int result = rn_program_resolve(&d->program, "user-addr", config->user_addr, address);
    if (result != RPCNET_OK) {
        return result;
    }
    rpcnet_server_options options;
    rpcnet_limits limits;
    rpcnet_server_options_init(&options);
    options.credentials = d->public;
    options.secret = d->secret.current;
    options.previous_secret = rn_secret_previous(&d->secret);
    set_limits(&limits, config);
    limits.memory = &d->data.budget;
    options.limits = &limits;
    options.callbacks.on_drained = drained;
    options.user = d;
    result = rpcnet_server_new(&d->user, d->program.env, address, &options);
    if (result != RPCNET_OK) {
        return rn_program_bind_failed(&d->program, "user-addr", config->user_addr, result);
    }
    rpcnet_server_set_fallback(d->user, rn_access_serve, &d->access);
    return RPCNET_OK;
}

static void stop(void *user) {
    rn_director *d = user;
    uint64_t now = rn_env_now(d->program.env);
    RN_INFO(d->program.log, d->program.target, "streams=%zu draining", d->data.relays_count);
    rn_control_goodbye(&d->control);
    rn_data_drain(&d->data, now + d->config.drain_timeout_ns);
    rpcnet_server_drain(d->user, now + d->config.drain_timeout_ns);
}

static int make_sight(rn_director *d) {
    const rn_director_view view = {.control = &d->control,
                                   .data = &d->data,
                                   .user = &d->user,
                                   .access = &d->access,
                                   .stopping = &d->program.stopping};
    int result = rn_director_sight_new(&d->sight, d->program.env, d->config.metrics_addr, &view);
    return result == RPCNET_OK ? result
                               : rn_program_fail(&d->program, "%s", rpcnet_strerror(result));
}

int rn_director_open(rn_director *d) {
    /* Grows from one director process to the next, so an older one's frames can be told apart. */
    uint64_t epoch = rn_env_wall(d->program.env);
    rn_access_init(&d->access, d->program.log, rn_data_serve, &d->data);
    int result = load_files(d);
    if (result == RPCNET_OK) {
        result = make_sight(d);
    }
    if (result == RPCNET_OK) {
        result = start_control(d, epoch);
    }
    if (result == RPCNET_OK) {
        result = start_data(d, epoch);
    }
    if (result == RPCNET_OK) {
        result = start_user(d);
    }
    if (result == RPCNET_OK) {
        result = rn_director_sight_open(d->sight, &d->program, d->config.metrics_addr);
    }
    if (result == RPCNET_OK) {
        result = rn_reload_start(&d->reload, &d->program, reload, d);
    }
    if (result == RPCNET_OK) {
        RN_INFO(d->program.log, d->program.target, "pid=%ld user.addr=%s mgmt.addr=%s listening",
                (long)getpid(), rpcnet_server_address(d->user),
                rpcnet_server_address(d->control.server));
        rn_program_on_stop(&d->program, stop, d);
    }
    return result;
}

void rn_director_close(rn_director *d) {
    rn_reload_stop(&d->reload);
    rn_director_sight_del(d->sight);
    if (d->data.env != NULL) {
        rn_data_stop(&d->data);
    }
    if (d->user != NULL) {
        rpcnet_server_del(d->user);
    }
    if (d->control.env != NULL) {
        rn_control_stop(&d->control);
    }
    rpcnet_credentials_del(d->identity);
    rpcnet_credentials_del(d->public);
    rn_access_fini(&d->access);
    rn_secret_wipe(&d->secret);
}
