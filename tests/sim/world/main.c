/* run: many worlds, one for each seed, several at a time; see --help. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rpcnet/status.h"
#include "sim/world/trial.h"

enum { JOBS_MAX = 64, LIST_MAX = 1024, LINE_SIZE = 256, PATH_SIZE = 4096, NEVER = -1 };

typedef struct run {
    uint64_t seeds; /* 0: as many as time allows */
    uint64_t from;
    const char *list_path; /* NULL: they count up from `from` */
    uint64_t list[LIST_MAX];
    double minutes; /* 0: no limit */
    unsigned jobs;
    const char *name; /* of the program */
    const char *certs;
    const char *out;  /* folder for what is written on a violation */
    bool plan;        /* show plans, run nothing */
    bool digest;      /* a line for each seed */
    bool keep_faults; /* do not shrink */
    bool first_only;  /* end with the first violation */
    rn_world_options options;
    double started;
    double told;
    uint64_t done;
    uint64_t violations;
    rn_world_result sum;
    rn_trial trials[JOBS_MAX];
    bool busy[JOBS_MAX];
} run;

static const char help[] =
    "Usage: run [--seeds N] [--from S] [--list FILE] [--minutes M] [--jobs J] [--out DIR]\n"
    "           [--certs DIR] [--plan] [--digest] [--no-shrink] [--until-violation]\n"
    "           [--qlog DIR]\n"
    "\n"
    "Runs the director, workers and clients in simulated worlds, one for each seed, and breaks\n"
    "what can break. A violation of what is promised is told with its seed and the fewest faults\n"
    "that lead to it, the world's events go to DIR/seed-<seed>.log, and what its connections\n"
    "did to DIR/seed-<seed>/*.sqlog.\n"
    "\n"
    "  --seeds N    how many seeds (default: 100; with --minutes: as many as fit)\n"
    "  --from S     the first seed (default: 1)\n"
    "  --list FILE  the seeds in FILE instead: one a line, and '#' begins a comment\n"
    "  --minutes M  begin no new seed after so many minutes\n"
    "  --jobs J     worlds at the same time (default: one for each processor)\n"
    "  --out DIR    where the logs of violations go (default: sim-out)\n"
    "  --certs DIR  the certificates (default: those made for the tests)\n"
    "  --plan       show what each seed will do, and run nothing\n"
    "  --digest     a line for each seed with the digest of its events and bytes\n"
    "  --no-shrink  tell violations with all their faults\n"
    "  --until-violation\n"
    "               end with the first one\n"
    "  --qlog DIR   record the connections of each seed in DIR/seed-<seed>, in the format qlog\n"
    "\n"
    "The exit status is 0 when every promise was kept, 1 when one was broken, 2 for wrong usage.\n";

static double clock_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double elapsed(const run *r) {
    return clock_s() - r->started;
}

static void add_up(run *r, const rn_world_result *result) {
    rn_world_result *sum = &r->sum;
    r->done++;
    sum->virtual_ns += result->virtual_ns;
    sum->streams += result->streams;
    sum->tokens += result->tokens;
    sum->swaps += result->swaps;
    sum->datagrams += result->datagrams;
    for (size_t i = 0; i < RN_FAULT_KINDS; i++) {
        sum->faults[i] += result->faults[i];
    }
    for (size_t i = 0; i < RN_WORLD_ENDS; i++) {
        sum->ends[i] += result->ends[i];
    }
}

static uint64_t faults_total(const run *r) {
    uint64_t total = 0;
    for (size_t i = 0; i < RN_FAULT_KINDS; i++) {
        total += r->sum.faults[i];
    }
    return total;
}

static void tell_progress(run *r) {
    enum { EVERY_S = 5 };
    if (clock_s() - r->told < EVERY_S) {
        return;
    }
    r->told = clock_s();
    printf("%6.0f s  %" PRIu64 " seeds, %.1f simulated hours, %" PRIu64 " swaps, %" PRIu64
           " faults, %" PRIu64 " violations\n",
           elapsed(r), r->done, (double)r->sum.virtual_ns / 3600e9, r->sum.swaps, faults_total(r),
           r->violations);
    fflush(stdout);
}

static void report(run *r, const rn_plan *plan, const rn_world_result *result) {
    char path[PATH_SIZE];
    rn_plan smaller = *plan;
    rn_world_options options = r->options;
    rn_trial trial;
    rn_world_result again;
    r->violations++;
    options.qlog_dir = NULL;
    printf("\nVIOLATION seed=%" PRIu64 " rule=%s after %.6f s: %s\n", plan->seed,
           result->verdict.rule, (double)result->verdict.at_ns / (double)RN_SECOND,
           result->verdict.text);
    fflush(stdout);
    if (!r->keep_faults) {
        unsigned trials = rn_trial_shrink(&smaller, &options, result->verdict.rule);
        printf("%zu of %zu faults are enough (%u trials)\n", smaller.fault_count, plan->fault_count,
               trials);
    }
    rn_plan_print(&smaller, false, stdout);
    (void)mkdir(r->out, 0755);
    snprintf(path, sizeof path, "%s/seed-%" PRIu64 ".log", r->out, plan->seed);
    setenv("RN_SIM_TRACE", "1", 1);
    setenv("RN_SIM_LOG", "debug", 1);
    options.qlog_dir = r->out;
    rn_trial_start(&trial, &smaller, &options, path);
    rn_trial_finish(&trial, &again);
    unsetenv("RN_SIM_TRACE");
    unsetenv("RN_SIM_LOG");
    printf("with these: rule=%s: %s\nevents: %s, and packets in seed-%" PRIu64
           "/\nagain:  %s --from %" PRIu64 " --seeds 1\n\n",
           again.verdict.rule, again.verdict.text, path, plan->seed, r->name, plan->seed);
    fflush(stdout);
}

static void finish(run *r, size_t slot) {
    rn_world_result result;
    rn_trial *trial = &r->trials[slot];
    rn_trial_finish(trial, &result);
    r->busy[slot] = false;
    add_up(r, &result);
    if (r->digest) {
        printf("seed=%" PRIu64 " digest=%016" PRIx64 " tokens=%" PRIu64 " swaps=%" PRIu64 "\n",
               trial->plan.seed, result.digest, result.tokens, result.swaps);
    }
    if (result.verdict.violations > 0 && !(r->first_only && r->violations > 0)) {
        report(r, &trial->plan, &result);
    }
    tell_progress(r);
}

static uint64_t seed_at(const run *r, uint64_t index) {
    return r->list_path != NULL ? r->list[index] : r->from + index;
}

static bool may_begin(const run *r, uint64_t begun) {
    return !(r->first_only && r->violations > 0) && (r->seeds == 0 || begun < r->seeds) &&
           (r->minutes <= 0 || elapsed(r) < 60 * r->minutes);
}

/* Slots are waited for in turn: seeds are reported in order, whatever their length. */
static void run_all(run *r) {
    uint64_t begun = 0;
    size_t slot = 0;
    for (; may_begin(r, begun); begun++) {
        rn_plan plan;
        if (r->busy[slot]) {
            finish(r, slot);
        }
        rn_plan_make(&plan, seed_at(r, begun));
        rn_trial_start(&r->trials[slot], &plan, &r->options, NULL);
        r->busy[slot] = true;
        slot = (slot + 1) % r->jobs;
    }
    for (unsigned i = 0; i < r->jobs; i++, slot = (slot + 1) % r->jobs) {
        if (r->busy[slot]) {
            finish(r, slot);
        }
    }
}

static void show_plans(const run *r) {
    for (uint64_t i = 0; i < r->seeds; i++) {
        rn_plan plan;
        rn_plan_make(&plan, seed_at(r, i));
        rn_plan_print(&plan, true, stdout);
    }
}

static void sum_up(const run *r) {
    double real = elapsed(r);
    const rn_world_result *sum = &r->sum;
    printf("\n%" PRIu64 " seeds from %" PRIu64
           " in %.1f s: %.2f simulated hours (%.0f times as fast)\n",
           r->done, seed_at(r, 0), real, (double)sum->virtual_ns / 3600e9,
           (double)sum->virtual_ns / 1e9 / real);
    printf("%" PRIu64 " tokens (%.0f a real second), %" PRIu64 " datagrams, %" PRIu64 " swaps\n",
           sum->tokens, (double)sum->tokens / real, sum->datagrams, sum->swaps);
    printf("%" PRIu64 " streams:", sum->streams);
    for (int i = 0; i < RN_WORLD_ENDS; i++) {
        if (sum->ends[i] > 0) {
            printf(" %s %" PRIu64,
                   i < RN_WORLD_ENDS - 1 ? rpcnet_grpc_code_name(i) : "client-killed",
                   sum->ends[i]);
        }
    }
    printf("\n%" PRIu64 " faults:", faults_total(r));
    for (size_t i = 0; i < RN_FAULT_KINDS; i++) {
        printf(" %s %" PRIu64, rn_fault_name((enum rn_fault_kind)i), sum->faults[i]);
    }
    printf("\n%" PRIu64 " violations\n", r->violations);
}

static bool number(const char *text, uint64_t *out) {
    char *end;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

/* Reads the seeds of r->list_path; ends the program when it cannot. */
static void read_list(run *r) {
    char line[LINE_SIZE];
    size_t lines = 0;
    FILE *file = fopen(r->list_path, "re");
    if (file == NULL) {
        fprintf(stderr, "run: cannot read %s: %s\n", r->list_path, strerror(errno));
        exit(2);
    }
    r->seeds = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        lines++;
        line[strcspn(line, "#\n")] = '\0';
        char *seed = line + strspn(line, " \t");
        seed[strcspn(seed, " \t")] = '\0';
        if (*seed == '\0') {
            continue;
        }
        if (r->seeds == LIST_MAX || !number(seed, &r->list[r->seeds])) {
            fprintf(stderr, "run: %s:%zu: a seed is expected, and no more than %d\n", r->list_path,
                    lines, LIST_MAX);
            exit(2);
        }
        r->seeds++;
    }
    fclose(file);
    if (r->seeds == 0) {
        fprintf(stderr, "run: %s: no seed\n", r->list_path);
        exit(2);
    }
}

/* False: wrong usage. */
static bool take(run *r, int option, const char *value) {
    uint64_t n = 0;
    char *end;
    switch (option) {
    case 's':
        return number(value, &r->seeds);
    case 'f':
        return number(value, &r->from);
    case 'l':
        r->list_path = value;
        return true;
    case 'm':
        r->minutes = strtod(value, &end);
        r->seeds = r->seeds == UINT64_MAX ? 0 : r->seeds;
        return *end == '\0' && r->minutes > 0;
    case 'j':
        if (!number(value, &n) || n == 0 || n > JOBS_MAX) {
            return false;
        }
        r->jobs = (unsigned)n;
        return true;
    case 'o':
        r->out = value;
        return true;
    case 'c':
        r->certs = value;
        return true;
    case 'p':
        r->plan = true;
        return true;
    case 'q':
        r->options.qlog_dir = value;
        return true;
    case 'd':
        r->digest = true;
        return true;
    case 'n':
        r->keep_faults = true;
        return true;
    case 'u':
        r->first_only = true;
        return true;
    default:
        return false;
    }
}

static bool read_options(run *r, int argc, char *argv[]) {
    static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"list", required_argument, NULL, 'l'},
                                            {"minutes", required_argument, NULL, 'm'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"certs", required_argument, NULL, 'c'},
                                            {"plan", no_argument, NULL, 'p'},
                                            {"digest", no_argument, NULL, 'd'},
                                            {"no-shrink", no_argument, NULL, 'n'},
                                            {"until-violation", no_argument, NULL, 'u'},
                                            {"qlog", required_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != NEVER) {
        if (option == 'h') {
            fputs(help, stdout);
            exit(0);
        }
        if (!take(r, option, optarg)) {
            return false;
        }
    }
    return optind == argc;
}

/* The allocator's caches of single threads count as memory in use: they are turned off, so that
 * what a world leaves behind can be told to the byte. */
static void without_caches(char *argv[]) {
    static const char variable[] = "GLIBC_TUNABLES";
    if (getenv(variable) == NULL) {
        setenv(variable, "glibc.malloc.tcache_count=0", 1);
        execv("/proc/self/exe", argv);
    }
}

int main(int argc, char *argv[]) {
    static run r;
    without_caches(argv);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    r = (run){.name = argv[0],
              .seeds = UINT64_MAX,
              .from = 1,
              .jobs = processors > 0 && processors < JOBS_MAX ? (unsigned)processors : 1,
              .certs = RN_TEST_CERTS,
              .out = "sim-out"};
    if (!read_options(&r, argc, argv)) {
        fputs(help, stderr);
        return 2;
    }
    if (r.list_path != NULL) {
        read_list(&r);
    }
    r.seeds = r.seeds == UINT64_MAX ? 100 : r.seeds;
    r.options.certs = r.certs;
    r.options.log_filter = "off";
    if (r.plan) {
        show_plans(&r);
        return 0;
    }
    r.started = r.told = clock_s();
    rn_trial_warm_up(&r.options);
    run_all(&r);
    sum_up(&r);
    return r.violations > 0 ? 1 : 0;
}
