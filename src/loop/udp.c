/* UDP sockets: opening, closing and what libuv reports. Raw descriptors watched by uv_poll, because
 * libuv's own uv_udp knows neither segmentation offload nor ECN nor destination addresses. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/headroom.h"
#include "loop/internal.h"
#include "rpcnet/error.h"

static int result_of_errno(int error) {
    if (rn_loop_is_out_of_descriptors(error)) {
        return RPCNET_ERR_DESCRIPTORS;
    }
    switch (error) {
    case EADDRINUSE:
        return RPCNET_ERR_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
        return RPCNET_ERR_PERMISSION;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EINVAL:
    case ENODEV:
        return RPCNET_ERR_ADDRESS;
    case ENOMEM:
    case ENOBUFS:
        return RPCNET_ERR_MEMORY;
    default:
        return RPCNET_ERR_IO;
    }
}

static bool is_wildcard(const rn_address *address) {
    if (address->sa.sa_family == AF_INET) {
        return address->in.sin_addr.s_addr == htonl(INADDR_ANY);
    }
    return IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

static void hear(rn_loop_deferred *deferred) {
    rn_udp_receive(RN_CONTAINER_OF(deferred, rn_udp, hear));
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    rn_udp *udp = handle->data;
    rn_loop_begin_callback(udp->loop);
    if (status < 0) {
        /* An error is queued at the socket. libuv has stopped watching; the receive below takes the
         * error off the socket. */
        rn_udp_watch(udp);
        events = UV_READABLE;
    }
    if ((events & UV_WRITABLE) != 0) {
        rn_udp_send_pending(udp);
    }
    if ((events & UV_READABLE) != 0 && !udp->closed) {
        rn_udp_receive(udp);
    }
}

void rn_udp_watch(rn_udp *udp) {
    if (!udp->closed) {
        uv_poll_start(&udp->poll, UV_READABLE | (udp->blocked ? UV_WRITABLE : 0), on_poll);
    }
}

/* Binds and connects as `options` say; udp->fd is the socket or -1. */
static int open_descriptor(rn_udp *udp, const rn_udp_options *options) {
    const rn_address *bind_to = &options->bind;
    const rn_address *peer = &options->connect;
    int family = bind_to->len > 0 ? bind_to->sa.sa_family : peer->sa.sa_family;
    udp->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (udp->fd < 0) {
        return result_of_errno(errno);
    }
    rn_udp_set_options(udp, family);
    if (bind_to->len > 0 && bind(udp->fd, &bind_to->sa, bind_to->len) != 0) {
        return result_of_errno(errno);
    }
    if (peer->len > 0) {
        if (connect(udp->fd, &peer->sa, peer->len) != 0) {
            return result_of_errno(errno);
        }
        udp->connected = true;
    }
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    if (getsockname(udp->fd, (struct sockaddr *)&name, &len) != 0) {
        return result_of_errno(errno);
    }
    int result = rn_address_from_sockaddr(&udp->address, (struct sockaddr *)&name, len);
    udp->wildcard = result == RPCNET_OK && is_wildcard(&udp->address);
    return result;
}

int rn_udp_open(rn_env *env, const rn_udp_options *options, const rn_udp_handler *handler,
                void *user, rn_udp **out) {
    assert(handler->receive != NULL);
    *out = NULL;
    const rn_address *bind_to = &options->bind;
    const rn_address *peer = &options->connect;
    if ((bind_to->len == 0 && peer->len == 0) ||
        (bind_to->len > 0 && peer->len > 0 && bind_to->sa.sa_family != peer->sa.sa_family)) {
        return RPCNET_ERR_ADDRESS;
    }
    rn_loop *loop = rn_loop_of(env);
    if (loop->batch == NULL && rn_udp_batch_new(&loop->batch) != RPCNET_OK) {
        return RPCNET_ERR_MEMORY;
    }
    rn_udp *udp = rn_headroom(RN_LOOP_HEADROOM_BYTES) ? calloc(1, sizeof *udp) : NULL;
    if (udp == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    udp->loop = loop;
    udp->handler = *handler;
    udp->user = user;
    udp->hear.fn = hear;
    rn_list_init(&udp->hear.link);
    int result = open_descriptor(udp, options);
    if (result == RPCNET_OK && uv_poll_init(&loop->uv, &udp->poll, udp->fd) != 0) {
        result = RPCNET_ERR_IO;
    }
    if (result != RPCNET_OK) {
        if (udp->fd >= 0) {
            close(udp->fd);
        }
        free(udp);
        /* The first one is its caller's to complain of, as is one to listen with. */
        if (result == RPCNET_ERR_DESCRIPTORS && peer->len > 0 && !rn_list_empty(&loop->sockets)) {
            rn_loop_note_descriptors(loop, "a socket");
        }
        return result;
    }
    udp->poll.data = udp;
    rn_list_append(&loop->sockets, &udp->link);
    rn_udp_watch(udp);
    *out = udp;
    return RPCNET_OK;
}

const rn_address *rn_udp_address(const rn_udp *udp) {
    return &udp->address;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void rn_udp_close(rn_udp *udp) {
    assert(!udp->closed);
    udp->closed = true;
    rn_list_remove(&udp->link);
    rn_list_remove(&udp->hear.link);
    free((void *)udp->pending.data);
    udp->pending.data = NULL;
    uv_close((uv_handle_t *)&udp->poll, on_closed);
    close(udp->fd);
}
