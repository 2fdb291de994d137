/* harden: the limit keeps the kernel from writing a core file; "not dumpable" holds where the
 * system pipes cores to a program, which does not ask for the limit, and shuts ptrace out. */
#include "common/harden.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int rn_harden(void) {
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return errno;
    }
    return 0;
}
