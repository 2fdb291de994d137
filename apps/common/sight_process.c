/* sight_process: what the system knows of this process, under the names that Prometheus' own
 * libraries use. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/sight.h"

int rn_sight_process_add(rn_sight_process *process, rn_metrics *metrics, rn_env *env) {
    const struct {
        rn_metric_spec spec;
        uint64_t **value;
    } table[] = {
        {{.kind = RN_METRIC_GAUGE,
          .name = "process_resident_memory_bytes",
          .help = "Resident memory size in bytes."},
         &process->resident_bytes},
        {{.kind = RN_METRIC_GAUGE,
          .name = "process_virtual_memory_bytes",
          .help = "Virtual memory size in bytes."},
         &process->virtual_bytes},
        {{.kind = RN_METRIC_GAUGE,
          .name = "process_open_fds",
          .help = "Number of open file descriptors."},
         &process->open_fds},
        {{.kind = RN_METRIC_GAUGE,
          .name = "process_max_fds",
          .help = "Maximum number of open file descriptors."},
         &process->max_fds},
        {{.kind = RN_METRIC_COUNTER,
          .name = "process_cpu_seconds_total",
          .help = "Total user and system CPU time spent in seconds.",
          .decimals = RN_METRIC_NANOSECONDS},
         &process->cpu_ns},
        {{.kind = RN_METRIC_COUNTER,
          .name = "rpcnet_log_lines_lost_total",
          .help = "Log lines that could not be written to standard error."},
         &process->log_lines_lost},
        {{.kind = RN_METRIC_COUNTER,
          .name = "rpcnet_descriptors_out_total",
          .help = "Times that something could not be opened because descriptors were out."},
         &process->descriptors_out},
        {{.kind = RN_METRIC_COUNTER,
          .name = "rpcnet_qlogs_incomplete_total",
          .help = "Connections without a qlog, or whose qlog ended early."},
         &process->qlogs_incomplete},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int result = rn_metrics_add(metrics, &table[i].spec, table[i].value);
        if (result != RPCNET_OK) {
            return result;
        }
    }
    uint64_t *start;
    int result =
        rn_metrics_add(metrics,
                       &(rn_metric_spec){.kind = RN_METRIC_GAUGE,
                                         .name = "process_start_time_seconds",
                                         .help = "Start time of the process since 1970-01-01 UTC.",
                                         .decimals = RN_METRIC_NANOSECONDS},
                       &start);
    if (result != RPCNET_OK) {
        return result;
    }
    *start = env->ops->wall(env);
    uint64_t *info;
    result = rn_metrics_add(metrics,
                            &(rn_metric_spec){.kind = RN_METRIC_GAUGE,
                                              .name = "rpcnet_build_info",
                                              .help = "Always 1; the label tells the version.",
                                              .label = "version",
                                              .label_value = RPCNET_VERSION},
                            &info);
    if (result == RPCNET_OK) {
        *info = 1;
    }
    return result;
}

static void sample_memory(const rn_sight_process *process) {
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t pages;
    uint64_t resident;
    if (file == NULL) {
        return;
    }
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &pages, &resident) == 2) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        *process->virtual_bytes = pages * page;
        *process->resident_bytes = resident * page;
    }
    fclose(file);
}

static void sample_descriptors(const rn_sight_process *process) {
    struct rlimit limit;
    DIR *directory = opendir("/proc/self/fd");
    if (directory != NULL) {
        uint64_t count = 0;
        const struct dirent *entry;
        while ((entry = readdir(directory)) != NULL) {
            count += entry->d_name[0] != '.';
        }
        closedir(directory);
        *process->open_fds = count - 1; /* without the one that read the folder */
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        *process->max_fds = limit.rlim_cur;
    }
}

static uint64_t nanoseconds(const struct timeval *time) {
    return (uint64_t)time->tv_sec * RN_SECOND + (uint64_t)time->tv_usec * RN_MICROSECOND;
}

void rn_sight_process_sample(const rn_sight_process *process, const rn_sight *sight) {
    const rn_program *program = rn_sight_program(sight);
    struct rusage usage;
    *process->log_lines_lost = rn_log_lines_lost(program->log);
    *process->descriptors_out = rn_loop_descriptors_out(program->loop);
    *process->qlogs_incomplete = rn_qlog_incomplete(program->qlog);
    sample_memory(process);
    sample_descriptors(process);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        *process->cpu_ns = nanoseconds(&usage.ru_utime) + nanoseconds(&usage.ru_stime);
    }
}
