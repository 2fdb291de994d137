/* Host names: getaddrinfo in libuv's thread pool; addresses in figures are answered by the loop
 * itself, in its next turn. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "loop/internal.h"
#include "rpcnet/error.h"

struct rn_resolve {
    rn_loop *loop;
    rn_list link; /* in rn_loop.resolves */
    rn_loop_deferred numeric;
    uv_getaddrinfo_t request;
    uint16_t port;
    rn_address addresses[RN_RESOLVE_MAX];
    size_t count;
    rn_resolve_fn *fn; /* NULL: cancelled */
    void *user;
    bool waiting; /* libuv holds the request, or the deferred list does */
};

static void finish(rn_resolve *resolve, int result) {
    resolve->waiting = false;
    if (resolve->fn != NULL) {
        resolve->fn(result, resolve->addresses, resolve->count, resolve->user);
    }
    rn_list_remove(&resolve->link);
    free(resolve);
}

static void on_numeric(rn_loop_deferred *deferred) {
    finish(RN_CONTAINER_OF(deferred, rn_resolve, numeric), RPCNET_OK);
}

static void on_addresses(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses) {
    rn_resolve *resolve = request->data;
    rn_loop_begin_callback(resolve->loop);
    const struct addrinfo *at = status == 0 ? addresses : NULL;
    for (; at != NULL && resolve->count < RN_RESOLVE_MAX; at = at->ai_next) {
        rn_address *address = &resolve->addresses[resolve->count];
        if (rn_address_from_sockaddr(address, at->ai_addr, at->ai_addrlen) == RPCNET_OK) {
            rn_address_set_port(address, resolve->port);
            resolve->count++;
        }
    }
    uv_freeaddrinfo(addresses);
    finish(resolve, resolve->count > 0 ? RPCNET_OK : RPCNET_ERR_ADDRESS);
}

static bool parse_numeric(rn_address *out, const char *host, uint16_t port) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        return rn_address_from_sockaddr(out, (struct sockaddr *)&in, sizeof in) == RPCNET_OK;
    }
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
        return rn_address_from_sockaddr(out, (struct sockaddr *)&in6, sizeof in6) == RPCNET_OK;
    }
    return false;
}

int rn_loop_resolve(rn_env *env, const char *host, uint16_t port, rn_resolve_fn *fn, void *user,
                    rn_resolve **out) {
    *out = NULL;
    if (host[0] == '\0' || strlen(host) > RN_HOST_MAX) {
        return RPCNET_ERR_ADDRESS;
    }
    rn_loop *loop = rn_loop_of(env);
    rn_resolve *resolve = calloc(1, sizeof *resolve);
    if (resolve == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    resolve->loop = loop;
    resolve->port = port;
    resolve->fn = fn;
    resolve->user = user;
    resolve->numeric.fn = on_numeric;
    rn_list_init(&resolve->numeric.link);
    resolve->request.data = resolve;
    if (parse_numeric(&resolve->addresses[0], host, port)) {
        resolve->count = 1;
        rn_loop_defer(loop, &resolve->numeric);
    } else {
        struct addrinfo hints = {
            .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
        int result = uv_getaddrinfo(&loop->uv, &resolve->request, on_addresses, host, NULL, &hints);
        if (result != 0) {
            free(resolve);
            return result == UV_ENOMEM ? RPCNET_ERR_MEMORY : RPCNET_ERR_ADDRESS;
        }
    }
    resolve->waiting = true;
    rn_list_append(&loop->resolves, &resolve->link);
    *out = resolve;
    return RPCNET_OK;
}

void rn_loop_resolve_cancel(rn_resolve *resolve) {
    /* Not waiting: called by its own callback, and freed as soon as that returns. */
    if (resolve == NULL || !resolve->waiting) {
        return;
    }
    resolve->fn = NULL;
    if (rn_list_linked(&resolve->numeric.link)) {
        rn_list_remove(&resolve->numeric.link);
        finish(resolve, RPCNET_ERR_ADDRESS);
        return;
    }
    /* The callback comes in any case and frees it, at once or when the resolver is done. */
    uv_cancel((uv_req_t *)&resolve->request);
}

void rn_loop_resolves_close(rn_loop *loop) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &loop->resolves) {
        rn_loop_resolve_cancel(RN_CONTAINER_OF(link, rn_resolve, link));
    }
}
