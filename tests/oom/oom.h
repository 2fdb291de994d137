/* oom: a failing allocator for tests.
 *
 * Allocations are counted, and those from the n-th on fail, one or several of them. Two kinds are
 * told apart:
 *
 *   RN_OOM_OURS       calls of malloc, calloc, realloc, strdup and strndup in the product's code.
 * The linker leads them here (--wrap), and lets nothing else through: tests and the simulator are
 * compiled to call them by names that never fail. RN_OOM_LIBRARIES  allocations that shared
 * libraries make, by who called: this program's malloc stands in front of the C library's.
 *
 * rn_oom_each runs a scenario again and again, with the first allocation failing, the second, and
 * so on, until a run comes through without a failure. The scenario says between which two points
 * allocations count (rn_oom_begin, rn_oom_end), and checks that what had to go on did.
 *
 * After each run nothing that the product's code allocated may be left; in a build with the address
 * sanitizer the leak detector looks, too. A run that dies says in which one it did.
 *
 *   RPCNET_TEST_ALL=1  every n, not a sample
 *   RN_OOM_ONLY=n      this one alone
 *   RN_OOM_TRACE=1     where each failure was put in
 */
#ifndef TESTS_OOM_OOM_H
#define TESTS_OOM_OOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"

enum rn_oom_kind { RN_OOM_OURS, RN_OOM_LIBRARIES };

/* Libraries whose allocations fail with RN_OOM_LIBRARIES: part of a file's name. GnuTLS is none of
 * them: libtasn1 and GMP, on which it stands, crash or end the process; nor is libuv, which ends it
 * where it cannot watch a descriptor. The product asks whether there is memory before it lets them
 * work (base/headroom.h). */
#define RN_OOM_SANS_IO "libngtcp2,libnghttp3,libprotobuf-c"

typedef struct rn_oom_case {
    const char *name;
    enum rn_oom_kind kind;
    const char *libraries; /* with RN_OOM_LIBRARIES: names, separated by commas */
    unsigned runs_max;     /* about so many are made unless RPCNET_TEST_ALL is set */
    void (*run)(void *user);
    void *user;
} rn_oom_case;

void rn_oom_each(const rn_oom_case *scenario);
/* Of every test: says in which run an assertion failed. */
int rn_oom_teardown(void **state);
#define RN_OOM_TEST(function) cmocka_unit_test_teardown(function, rn_oom_teardown)

/* From here on allocations count; up to here they do. */
void rn_oom_begin(void);
void rn_oom_end(void);
/* What a test does in between for itself: what lies between the two does not count. */
bool rn_oom_pause(void);
void rn_oom_resume(bool counting); /* what rn_oom_pause returned */
/* How many failed in this run. */
uint64_t rn_oom_failures(void);
/* So many are asked to fail, one after another. */
uint64_t rn_oom_burst(void);

/* Makes what the driver allocates for others (sockets, timers, lookups) count as ours. */
void rn_oom_env(rn_env *env);

#endif
