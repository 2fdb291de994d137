/* trial: see the header. */
#include "sim/world/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/internal.h"

enum {
    REAL_SECONDS_MAX = 300, /* of one trial; sanitizers are slow */
    SHRINK_TRIALS_MAX = 300
};

/* Bytes that a world has left behind. Allocators of sanitizers tell 0; their own check says more.
 */
static void check_memory(size_t before, rn_world_result *result) {
    size_t after = mallinfo2().uordblks;
    if (after > before && result->verdict.violations == 0) {
        snprintf(result->verdict.rule, sizeof result->verdict.rule, "leak");
        snprintf(result->verdict.text, sizeof result->verdict.text,
                 "%zu bytes of memory were not given back", after - before);
        result->verdict.violations = 1;
    }
}

static void run_child(const rn_trial *trial, const rn_world_options *options, int fd) {
    int err = open(trial->log_path != NULL ? trial->log_path : "/dev/null",
                   O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (err < 0 || dup2(err, STDERR_FILENO) < 0) {
        _exit(2);
    }
    close(err);
    alarm(REAL_SECONDS_MAX);
    rn_world_result result;
    size_t before = mallinfo2().uordblks;
    rn_world_run(&trial->plan, options, &result);
    check_memory(before, &result);
    if (write(fd, &result, sizeof result) != (ssize_t)sizeof result) {
        _exit(2);
    }
    exit(0); /* a leak checker may have its say */
}

void rn_trial_start(rn_trial *trial, const rn_plan *plan, const rn_world_options *options,
                    const char *log_path) {
    int ends[2];
    if (plan != &trial->plan) {
        trial->plan = *plan;
    }
    trial->log_path = log_path;
    fflush(NULL);
    rn_sim_require(pipe(ends) == 0, "a pipe");
    trial->pid = fork();
    rn_sim_require(trial->pid >= 0, "a process");
    if (trial->pid == 0) {
        close(ends[0]);
        run_child(trial, options, ends[1]);
    }
    close(ends[1]);
    trial->result_fd = ends[0];
}

static void crashed(rn_world_result *result, int status) {
    rn_verdict *verdict = &result->verdict;
    verdict->violations++;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        snprintf(verdict->rule, sizeof verdict->rule, "stuck");
        snprintf(verdict->text, sizeof verdict->text, "it did not end within %d real seconds",
                 REAL_SECONDS_MAX);
        return;
    }
    snprintf(verdict->rule, sizeof verdict->rule, "crash");
    snprintf(verdict->text, sizeof verdict->text, "the process ended with %s %d",
             WIFSIGNALED(status) ? "signal" : "exit code",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void rn_trial_finish(rn_trial *trial, rn_world_result *result) {
    int status = 0;
    size_t got = 0;
    memset(result, 0, sizeof *result);
    while (got < sizeof *result) {
        ssize_t len = read(trial->result_fd, (char *)result + got, sizeof *result - got);
        if (len == 0 || (len < 0 && errno != EINTR)) {
            break;
        }
        got += len > 0 ? (size_t)len : 0;
    }
    close(trial->result_fd);
    while (waitpid(trial->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (got < sizeof *result) {
        memset(result, 0, sizeof *result);
        crashed(result, status);
    } else if (status != 0 && result->verdict.violations == 0) {
        crashed(result, status);
    }
}

void rn_trial_warm_up(const rn_world_options *options) {
    rn_plan plan;
    rn_world_result result;
    rn_plan_make(&plan, 1);
    rn_world_options quietly = *options;
    quietly.qlog_dir = NULL;
    tzset(); /* for the names of such files */
    plan.fault_count = 0;
    plan.stream_count = plan.stream_count < 4 ? plan.stream_count : 4;
    rn_world_run(&plan, &quietly, &result);
}

static bool still_breaks(const rn_plan *plan, const rn_world_options *options, const char *rule) {
    rn_trial trial;
    rn_world_result result;
    rn_trial_start(&trial, plan, options, NULL);
    rn_trial_finish(&trial, &result);
    return result.verdict.violations > 0 && strcmp(result.verdict.rule, rule) == 0;
}

static void without(rn_plan *plan, size_t first, size_t count) {
    memmove(&plan->faults[first], &plan->faults[first + count],
            (plan->fault_count - first - count) * sizeof plan->faults[0]);
    plan->fault_count -= count;
}

unsigned rn_trial_shrink(rn_plan *plan, const rn_world_options *options, const char *rule) {
    unsigned trials = 0;
    size_t chunk = plan->fault_count;
    while (chunk > 0 && trials < SHRINK_TRIALS_MAX) {
        bool struck = false;
        for (size_t first = 0; first < plan->fault_count && trials < SHRINK_TRIALS_MAX;) {
            rn_plan fewer = *plan;
            size_t left = plan->fault_count - first;
            without(&fewer, first, chunk < left ? chunk : left);
            trials++;
            if (still_breaks(&fewer, options, rule)) {
                *plan = fewer;
                struck = true;
            } else {
                first += chunk;
            }
        }
        chunk = struck && chunk <= plan->fault_count ? chunk : chunk / 2;
    }
    return trials;
}
