/* reload: SIGHUP reads certificates and tokens anew, and certificates that are about to expire are
 * complained of, at the start, after each SIGHUP and once a day. */
#ifndef APPS_COMMON_RELOAD_H
#define APPS_COMMON_RELOAD_H

#include "common/program.h"
#include "rpcnet/rpcnet.h"

enum { RN_RELOAD_WATCHED_MAX = 4, RN_RELOAD_WARN_DAYS = 14 };

typedef struct rn_reload {
    rn_program *program;
    int (*load)(void *user);
    void *user;
    rn_timer *timer; /* of the next look at the certificates */
    struct {
        const char *name;
        int64_t expiry; /* seconds since 1970 */
    } watched[RN_RELOAD_WATCHED_MAX];
    size_t count;
} rn_reload;

/* Watches a certificate's end from now on; `name` is the setting that names it ("cert"), static.
 * Called again with the same name it replaces what was known. */
void rn_reload_watch(rn_reload *reload, rn_program *program, const char *name,
                     const rpcnet_credentials *credentials);
/* Looks at what is watched and waits for SIGHUP. `load` reads all files and takes them only if all
 * are good; whatever it says by rn_program_fail becomes a line of the log. RPCNET_ERR_MEMORY, which
 * was said. */
int rn_reload_start(rn_reload *reload, rn_program *program, int (*load)(void *user), void *user);
void rn_reload_stop(rn_reload *reload); /* also of one that was not started */

#endif
