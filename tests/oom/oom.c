/* oom: see the header. */
/* What the other files of a test call by the linker's names is defined here by its own. */
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef strdup
#undef strndup

#include "oom/oom.h"

#include <execinfo.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rpcnet/error.h"

enum { RANGES_MAX = 16, NAME_MAX_BYTES = 64, BURST_LONG = 40, BURSTS = 3, FRAMES_MAX = 24 };

static struct {
    enum rn_oom_kind kind;
    uint64_t first; /* the n-th; 0: none fails */
    uint64_t burst;
    uint64_t seen;
    uint64_t failures;
    bool counting;
    bool inside; /* of the allocator itself */
    bool trace;
    bool running;
    int64_t ours; /* blocks of the product's code that are not freed */
    const char *name;
    uintptr_t low[RANGES_MAX]; /* code of the libraries */
    uintptr_t high[RANGES_MAX];
    size_t ranges;
} oom;

/* ---- which ones fail ---- */

static void show_place(void) {
    void *frames[FRAMES_MAX];
    oom.inside = true;
    int count = backtrace(frames, FRAMES_MAX);
    fprintf(stderr, "oom: allocation %llu fails\n", (unsigned long long)oom.seen);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    oom.inside = false;
}

static bool fails(enum rn_oom_kind kind) {
    if (!oom.counting || oom.kind != kind || oom.inside) {
        return false;
    }
    oom.seen++;
    if (oom.first == 0 || oom.seen < oom.first || oom.seen - oom.first >= oom.burst) {
        return false;
    }
    oom.failures++;
    if (oom.trace) {
        show_place();
    }
    return true;
}

/* ---- the product's code ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

static void *counted(void *memory) {
    oom.ours += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size) {
    return fails(RN_OOM_OURS) ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails(RN_OOM_OURS) ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size) {
    if (fails(RN_OOM_OURS)) {
        return NULL;
    }
    void *moved = __real_realloc(memory, size);
    return memory == NULL ? counted(moved) : moved;
}

void __wrap_free(void *memory) {
    oom.ours -= memory != NULL;
    __real_free(memory);
}

char *__wrap_strdup(const char *text) {
    return fails(RN_OOM_OURS) ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t len) {
    return fails(RN_OOM_OURS) ? NULL : counted(__real_strndup(text, len));
}

/* ---- libraries ---- */

#if defined(RN_SANITIZED)
/* The sanitizer's allocator has names of its own. */
void *__interceptor_malloc(size_t size);
void *__interceptor_calloc(size_t count, size_t size);
void *__interceptor_realloc(void *memory, size_t size);
void __interceptor_free(void *memory);
#define NEXT(function) __interceptor_##function
#else
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);
#define NEXT(function) __libc_##function
#endif

static bool library_fails(const void *caller) {
    if (!oom.counting || oom.kind != RN_OOM_LIBRARIES) {
        return false;
    }
    for (size_t i = 0; i < oom.ranges; i++) {
        if ((uintptr_t)caller >= oom.low[i] && (uintptr_t)caller < oom.high[i]) {
            return fails(RN_OOM_LIBRARIES);
        }
    }
    return false;
}

void *malloc(size_t size) {
    return library_fails(__builtin_return_address(0)) ? NULL : NEXT(malloc)(size);
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the header has reserved names
 */
void *calloc(size_t count, size_t size) {
    return library_fails(__builtin_return_address(0)) ? NULL : NEXT(calloc)(count, size);
}

void *realloc(void *memory, size_t size) {
    return library_fails(__builtin_return_address(0)) ? NULL : NEXT(realloc)(memory, size);
}

void free(void *memory) {
    NEXT(free)(memory);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static int note_library(struct dl_phdr_info *info, size_t size, void *user) {
    const char *names = user;
    (void)size;
    while (*names != '\0') {
        size_t len = strcspn(names, ",");
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof name, "%.*s", (int)len, names);
        for (int i = 0; i < info->dlpi_phnum && strstr(info->dlpi_name, name) != NULL; i++) {
            const ElfW(Phdr) *header = &info->dlpi_phdr[i];
            if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
                assert_true(oom.ranges < RANGES_MAX);
                oom.low[oom.ranges] = info->dlpi_addr + header->p_vaddr;
                oom.high[oom.ranges] = oom.low[oom.ranges] + header->p_memsz;
                oom.ranges++;
            }
        }
        names += len;
        names += *names == ',';
    }
    return 0;
}

/* ---- the driver ---- */

static const rn_env_ops *driver_ops;

/* The driver has failed or not as a whole; what it needs itself does not count. */
static bool driver_fails(void) {
    bool now = fails(RN_OOM_OURS);
    oom.inside = true;
    return now;
}

static int driver_done(int result) {
    oom.inside = false;
    return result;
}

static int env_udp_open(rn_env *env, const rn_udp_options *options, const rn_udp_handler *handler,
                        void *user, rn_udp **out) {
    return driver_done(driver_fails() ? RPCNET_ERR_MEMORY
                                      : driver_ops->udp_open(env, options, handler, user, out));
}

static int env_timer_new(rn_env *env, rn_timer_fn *fn, void *user, rn_timer **out) {
    return driver_done(driver_fails() ? RPCNET_ERR_MEMORY
                                      : driver_ops->timer_new(env, fn, user, out));
}

static int env_resolve(rn_env *env, const char *host, uint16_t port, rn_resolve_fn *fn, void *user,
                       rn_resolve **out) {
    return driver_done(driver_fails() ? RPCNET_ERR_MEMORY
                                      : driver_ops->resolve(env, host, port, fn, user, out));
}

void rn_oom_env(rn_env *env) {
    static rn_env_ops ops;
    if (env->ops != &ops) {
        assert_true(driver_ops == NULL || driver_ops == env->ops);
        driver_ops = env->ops;
        ops = *env->ops;
        ops.udp_open = env_udp_open;
        ops.timer_new = env_timer_new;
        ops.resolve = env_resolve;
        env->ops = &ops;
    }
}

/* ---- runs ---- */

void rn_oom_begin(void) {
    oom.counting = true;
}

void rn_oom_end(void) {
    oom.counting = false;
}

bool rn_oom_pause(void) {
    bool counting = oom.counting;
    oom.counting = false;
    return counting;
}

void rn_oom_resume(bool counting) {
    oom.counting = counting;
}

uint64_t rn_oom_failures(void) {
    return oom.failures;
}

uint64_t rn_oom_burst(void) {
    return oom.burst;
}

static void say_where(void) {
    char line[256];
    oom.counting = false;
    /* NOLINTNEXTLINE(bugprone-signal-handler): the program ends here, and needs words for it */
    int len = snprintf(line, sizeof line, "oom: %s, run with allocation %llu failing, burst %llu\n",
                       oom.name, (unsigned long long)oom.first, (unsigned long long)oom.burst);
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0) {
        return;
    }
}

int rn_oom_teardown(void **state) {
    (void)state;
    if (oom.running) {
        say_where();
    }
    oom.running = false;
    return 0;
}

static void on_signal(int number) {
    say_where();
    signal(number, SIG_DFL);
    raise(number);
}

#if defined(RN_SANITIZED)
int __lsan_do_recoverable_leak_check(void);
void __asan_on_error(void);
void __asan_on_error(void) {
    say_where();
}
static bool leaks(void) {
    return __lsan_do_recoverable_leak_check() != 0;
}
#else
static bool leaks(void) {
    return false;
}
#endif

static void run_once(const rn_oom_case *scenario, uint64_t first, uint64_t burst) {
    oom.first = first;
    oom.burst = burst;
    oom.seen = 0;
    oom.failures = 0;
    int64_t before = oom.ours;
    oom.running = true;
    scenario->run(scenario->user);
    oom.running = false;
    oom.counting = false;
    if (oom.ours != before) {
        say_where();
        fail_msg("%lld blocks are left", (long long)(oom.ours - before));
    }
}

static void check_leaks(void) {
    if (leaks()) {
        say_where();
        fail_msg("leaks up to this run");
    }
}

void rn_oom_each(const rn_oom_case *scenario) {
    const char *only = getenv("RN_OOM_ONLY");
    bool all = getenv("RPCNET_TEST_ALL") != NULL;
    oom.kind = scenario->kind;
    oom.name = scenario->name;
    oom.trace = getenv("RN_OOM_TRACE") != NULL;
    oom.ranges = 0;
    if (scenario->kind == RN_OOM_LIBRARIES) {
        dl_iterate_phdr(note_library, (void *)scenario->libraries);
        assert_true(oom.ranges > 0);
    }
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    signal(SIGALRM, on_signal);
    run_once(scenario, 0, 1);
    uint64_t total = oom.seen;
    assert_true(total > 0);
    uint64_t step = all || total <= scenario->runs_max ? 1 : total / scenario->runs_max + 1;
    bool thorough = all || total <= scenario->runs_max;
    unsigned runs = 0;
    unsigned places = 0;
    /* The first place that is beyond all allocations comes through. There may be more of them after
     * a failure than without one, so they are not counted but tried. */
    for (uint64_t n = only != NULL ? strtoull(only, NULL, 0) : 1;; n += step) {
        static const uint64_t bursts[BURSTS] = {1, BURST_LONG, UINT64_MAX};
        run_once(scenario, n, 1);
        if (oom.failures == 0) {
            break;
        }
        for (size_t i = 1; i < BURSTS; i++) {
            if (thorough || places % BURSTS == i) {
                run_once(scenario, n, bursts[i]);
                runs++;
            }
        }
        places++;
        runs++;
        if (only != NULL) {
            break;
        }
        if (places % 64 == 0) {
            check_leaks();
        }
    }
    check_leaks();
    fprintf(stderr, "oom: %s: %llu allocations, failures put in at %u of them, %u runs\n",
            scenario->name, (unsigned long long)total, places, runs);
}
