/* trial: a plan run in a process of its own, so that a crash is a verdict like any other. */
#ifndef RN_TESTS_SIM_WORLD_TRIAL_H
#define RN_TESTS_SIM_WORLD_TRIAL_H

#include <sys/types.h>

#include "sim/world/world.h"

typedef struct rn_trial {
    rn_plan plan;
    pid_t pid;
    int result_fd;
    const char *log_path; /* NULL: its standard error is dropped */
} rn_trial;

/* Starts it. `log_path`: where its events and log lines go. Ends the program when that fails. */
void rn_trial_start(rn_trial *trial, const rn_plan *plan, const rn_world_options *options,
                    const char *log_path);
/* Waits for its end. A process that crashes, hangs or leaks is a violation, too. */
void rn_trial_finish(rn_trial *trial, rn_world_result *result);

/* What the first trial would have to make, and later ones would find (caches of libraries), is made
 * now, so that all are alike. */
void rn_trial_warm_up(const rn_world_options *options);

/* Runs the plan again and again with fewer faults, as long as it breaks the same rule. Returns how
 * many trials that took; `plan` is the smallest that was found. */
unsigned rn_trial_shrink(rn_plan *plan, const rn_world_options *options, const char *rule);

#endif
