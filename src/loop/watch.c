/* Watches: descriptors of others that the loop waits for along with its own. */
#include <stdlib.h>

#include "base/headroom.h"
#include "loop/internal.h"
#include "rpcnet/error.h"

struct rn_loop_watch {
    rn_loop *loop;
    rn_list link; /* in rn_loop.watches until deleted */
    uv_poll_t poll;
    rn_loop_watch_fn *fn;
    void *user;
};

static void on_readable(uv_poll_t *handle, int status, int events) {
    rn_loop_watch *watch = handle->data;
    (void)events;
    rn_loop_begin_callback(watch->loop);
    if (status < 0) {
        /* libuv has stopped watching. Whoever reads finds out what the error is. */
        uv_poll_start(handle, UV_READABLE, on_readable);
    }
    watch->fn(watch->user);
}

int rn_loop_watch_new(rn_loop_watch **out, rn_loop *loop, int fd, rn_loop_watch_fn *fn,
                      void *user) {
    *out = NULL;
    rn_loop_watch *watch = rn_headroom(RN_LOOP_HEADROOM_BYTES) ? calloc(1, sizeof *watch) : NULL;
    if (watch == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    if (uv_poll_init(&loop->uv, &watch->poll, fd) != 0) {
        free(watch);
        return RPCNET_ERR_IO;
    }
    watch->loop = loop;
    watch->fn = fn;
    watch->user = user;
    watch->poll.data = watch;
    uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    rn_list_append(&loop->watches, &watch->link);
    *out = watch;
    return RPCNET_OK;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void rn_loop_watch_del(rn_loop_watch *watch) {
    if (watch == NULL) {
        return;
    }
    rn_list_remove(&watch->link);
    uv_close((uv_handle_t *)&watch->poll, on_closed);
}

void rn_loop_watches_close(rn_loop *loop) {
    while (!rn_list_empty(&loop->watches)) {
        rn_loop_watch_del(RN_CONTAINER_OF(loop->watches.next, rn_loop_watch, link));
    }
}
