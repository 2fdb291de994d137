/* public: the loop as the public library shows it, with a log of its own. */
#include <stdlib.h>

#include "loop/loop.h"
#include "rpcnet/loop.h"

static const char default_filter[] = "warn";

struct rpcnet_loop {
    rn_loop_stderr err;
    rn_log *log;
    rn_loop *loop;
};

int rpcnet_loop_new(rpcnet_loop **out, const char *log_filter) {
    rpcnet_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    rn_log_sink sink = rn_loop_stderr_sink(&loop->err);
    int rv = rn_log_new(&loop->log, log_filter != NULL ? log_filter : default_filter, &sink, NULL);
    if (rv == RPCNET_OK) {
        rn_loop_options options = {.log = loop->log};
        rv = rn_loop_new(&loop->loop, &options);
    }
    if (rv != RPCNET_OK) {
        rpcnet_loop_del(loop);
        return rv;
    }
    *out = loop;
    return RPCNET_OK;
}

void rpcnet_loop_del(rpcnet_loop *loop) {
    if (loop != NULL) {
        rn_loop_del(loop->loop);
        rn_log_del(loop->log);
        rn_loop_stderr_fini(&loop->err);
        free(loop);
    }
}

rpcnet_env *rpcnet_loop_env(rpcnet_loop *loop) {
    return rn_loop_env(loop->loop);
}

void rpcnet_loop_run(rpcnet_loop *loop) {
    rn_loop_run(loop->loop);
}

void rpcnet_loop_stop(rpcnet_loop *loop) {
    rn_loop_stop(loop->loop);
}
