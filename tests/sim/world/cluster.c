/* cluster: see the header. The programs are those of apps/, on envs of the simulation. */
#include "sim/world/cluster.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"
#include "support/links_memory.h"

static char *no_environment[] = {NULL};

static void option(rn_cluster_options *options, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void option(rn_cluster_options *options, const char *format, ...) {
    va_list arguments;
    rn_sim_require(options->argc < RN_CLUSTER_OPTIONS_MAX, "too many options");
    char *text = options->text[options->argc];
    va_start(arguments, format);
    int len = vsnprintf(text, RN_CLUSTER_OPTION_SIZE, format, arguments);
    va_end(arguments);
    rn_sim_require(len >= 0 && len < RN_CLUSTER_OPTION_SIZE, "an option is too long");
    options->argv[options->argc++] = text;
    options->argv[options->argc] = NULL;
}

static void director_options(rn_cluster *cluster) {
    rn_cluster_options *options = &cluster->options;
    option(options, "director");
    option(options, "--user-addr=%s", RN_CLUSTER_USER_ADDR);
    option(options, "--mgmt-addr=%s:61001", RN_CLUSTER_DIRECTOR_HOST);
    option(options, "--certs-dir=%s", cluster->certs);
    option(options, "--park-timeout=%" PRIu64 "ms", cluster->plan->park_ns / RN_MILLISECOND);
    option(options, "--journal-max=%" PRIu64, cluster->plan->journal_max);
    option(options, "--drain-timeout=%dms", (int)(RN_CLUSTER_DRAIN_TIMEOUT / RN_MILLISECOND));
}

static void worker_options(rn_cluster *cluster, size_t index) {
    const rn_plan *plan = cluster->plan;
    rn_cluster_worker *worker = &cluster->workers[index];
    rn_cluster_options *options = &worker->options;
    snprintf(worker->label, sizeof worker->label, "worker-%c", (char)('a' + index));
    snprintf(worker->host, sizeof worker->host, "10.0.1.%u", (unsigned)(uint8_t)(index + 1));
    option(options, "worker");
    option(options, "--label=%s", worker->label);
    option(options, "--user-addr=%s:%d", worker->host, RN_CLUSTER_WORKER_USER_PORT);
    option(options, "--mgmt-addr=%s:63001", worker->host);
    option(options, "--director-mgmt-addr=%s:61001", RN_CLUSTER_DIRECTOR_HOST);
    option(options, "--certs-dir=%s", cluster->certs);
    option(options, "--token-interval=%" PRIu64 "us", plan->token_interval_ns / RN_MICROSECOND);
    option(options, "--fail-after=%" PRIu64 "ms", plan->fail_after_ns[index] / RN_MILLISECOND);
    option(options, "--recover-after=%" PRIu64 "ms", plan->recover_after_ns / RN_MILLISECOND);
    option(options, "--stall-after=%" PRIu64, plan->stall_after[index]);
    option(options, "--streams-max=%" PRIu64, plan->streams_max[index]);
}

void rn_cluster_init(rn_cluster *cluster, rn_sim *sim, const rn_plan *plan, const char *certs,
                     rn_verdict *verdict) {
    memset(cluster, 0, sizeof *cluster);
    cluster->sim = sim;
    cluster->plan = plan;
    cluster->certs = certs;
    cluster->verdict = verdict;
    director_options(cluster);
    for (size_t i = 0; i < plan->workers; i++) {
        worker_options(cluster, i);
    }
}

void rn_cluster_start_director(rn_cluster *cluster) {
    if (cluster->director != NULL) {
        return;
    }
    rn_director *director = rn_sim_alloc(sizeof *director);
    cluster->env = rn_sim_host_new(cluster->sim, RN_CLUSTER_DIRECTOR_HOST);
    rn_sim_require(rn_program_start_on(&director->program, &rn_director_program, &director->config,
                                       cluster->options.argc, cluster->options.argv, no_environment,
                                       cluster->env) &&
                       rn_director_open(director) == RPCNET_OK,
                   "the director does not start");
    /* The credit window has no setting. */
    director->data.options.swap.credit_window = cluster->plan->credit_window;
    if (cluster->plan->director_skew_ppm != 0) {
        rn_sim_clock clock = {.skew_ppm = cluster->plan->director_skew_ppm};
        rn_sim_host_set_clock(cluster->env, &clock);
    }
    cluster->director = director;
    cluster->director_term_ns = 0;
    cluster->directors++;
}

void rn_cluster_start_worker(rn_cluster *cluster, size_t index) {
    rn_cluster_worker *worker = &cluster->workers[index];
    if (worker->program != NULL) {
        return;
    }
    rn_worker *program = rn_sim_alloc(sizeof *program);
    worker->env = rn_sim_host_new(cluster->sim, worker->host);
    rn_sim_require(rn_program_start_on(&program->program, rn_worker_spec(), &program->config,
                                       worker->options.argc, worker->options.argv, no_environment,
                                       worker->env) &&
                       rn_worker_open(program) == RPCNET_OK,
                   "a worker does not start");
    worker->program = program;
    worker->hanging = false;
}

static void free_director(rn_cluster *cluster) {
    rn_director *director = cluster->director;
    rn_director_close(director);
    (void)rn_program_end(&director->program);
    free(director);
    cluster->director = NULL;
    cluster->director_hanging = false;
}

static void free_worker(rn_cluster *cluster, size_t index) {
    rn_cluster_worker *worker = &cluster->workers[index];
    cluster->outages += worker->program->counters.outages;
    rn_worker_close(worker->program);
    (void)rn_program_end(&worker->program->program);
    free(worker->program);
    worker->program = NULL;
    worker->hanging = false;
    worker->ends++;
}

void rn_cluster_kill_director(rn_cluster *cluster) {
    if (cluster->director != NULL) {
        rn_sim_host_kill(cluster->env);
        free_director(cluster);
    }
}

void rn_cluster_kill_worker(rn_cluster *cluster, size_t index) {
    if (cluster->workers[index].program != NULL) {
        cluster->deaths++;
        rn_sim_host_kill(cluster->workers[index].env);
        free_worker(cluster, index);
    }
}

void rn_cluster_hang_director(rn_cluster *cluster, bool hang) {
    if (cluster->director == NULL || cluster->director_hanging == hang) {
        return;
    }
    cluster->director_hanging = hang;
    if (hang) {
        rn_sim_host_pause(cluster->env);
    } else {
        rn_sim_host_resume(cluster->env);
        cluster->director_woke_ns = rn_sim_now(cluster->sim);
    }
}

void rn_cluster_hang_worker(rn_cluster *cluster, size_t index, bool hang) {
    rn_cluster_worker *worker = &cluster->workers[index];
    if (worker->program == NULL || worker->hanging == hang) {
        return;
    }
    worker->hanging = hang;
    if (hang) {
        rn_sim_host_pause(worker->env);
    } else {
        rn_sim_host_resume(worker->env);
    }
}

void rn_cluster_term_director(rn_cluster *cluster) {
    /* As of a worker. */
    if (cluster->director != NULL && !cluster->director_hanging &&
        !cluster->director->program.stopping) {
        cluster->director_term_ns = rn_sim_now(cluster->sim);
        rn_program_signal(&cluster->director->program, SIGTERM);
    }
}

void rn_cluster_term_worker(rn_cluster *cluster, size_t index) {
    rn_cluster_worker *worker = &cluster->workers[index];
    /* A second signal would end it at once; one that hangs hears nothing. */
    if (worker->program != NULL && !worker->hanging && !worker->program->draining) {
        cluster->deaths++;
        worker->terms++;
        rn_program_signal(&worker->program->program, SIGTERM);
        worker->program->program.stopping = true;
    }
}

static void check_exit(rn_cluster *cluster, const rn_program *program, const char *name) {
    if (program->exit_code != RN_EXIT_OK) {
        rn_violate(cluster->verdict, "exit", "%s ended with exit code %d", name,
                   program->exit_code);
    }
    if (!program->stopping) {
        rn_violate(cluster->verdict, "exit", "%s ended unasked", name);
    }
}

void rn_cluster_reap(rn_cluster *cluster) {
    if (cluster->director != NULL && cluster->director->program.exited &&
        !cluster->director_hanging) {
        check_exit(cluster, &cluster->director->program, "the director");
        free_director(cluster);
    }
    for (size_t i = 0; i < cluster->plan->workers; i++) {
        const rn_cluster_worker *worker = &cluster->workers[i];
        if (worker->program != NULL && worker->program->program.exited && !worker->hanging) {
            check_exit(cluster, &worker->program->program, worker->label);
            free_worker(cluster, i);
        }
    }
}

bool rn_cluster_is_empty(const rn_cluster *cluster) {
    const rn_director *director = cluster->director;
    return director == NULL ||
           (director->data.relays_count == 0 && director->data.budget.leaving == 0 &&
            links_excess(&director->data) == 0);
}

void rn_cluster_check_empty(rn_cluster *cluster) {
    const rn_director *director = cluster->director;
    if (director != NULL && director->data.relays_count > 0) {
        rn_violate(cluster->verdict, "leak", "%zu streams are left in the director",
                   director->data.relays_count);
    }
    if (director != NULL && links_excess(&director->data) != 0) {
        rn_violate(cluster->verdict, "leak", "%zu bytes too many are left in the director's budget",
                   links_excess(&director->data));
    }
    if (director != NULL && director->data.budget.leaving > 0) {
        rn_violate(cluster->verdict, "leak", "%zu bytes have not left the director's budget",
                   director->data.budget.leaving);
    }
    for (size_t i = 0; i < cluster->plan->workers; i++) {
        const rn_cluster_worker *worker = &cluster->workers[i];
        if (worker->program != NULL && worker->program->streams > 0) {
            rn_violate(cluster->verdict, "leak", "%zu streams are left in %s",
                       worker->program->streams, worker->label);
        }
    }
}

void rn_cluster_fini(rn_cluster *cluster) {
    rn_cluster_kill_director(cluster);
    for (size_t i = 0; i < cluster->plan->workers; i++) {
        rn_cluster_kill_worker(cluster, i);
    }
}
