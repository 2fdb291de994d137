/* sight: libmicrohttpd inside our loop. It has no thread of its own: its epoll descriptor is
 * watched by the loop, and a timer of the env runs it when a connection has been silent for too
 * long. It knows no limit for a request that comes byte by byte: that one is ours. */
#include "common/sight.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { BACKLOG = 128 };

/* When descriptors or memory are out: how long nobody is listened to. */
#define PAUSE_NS (200 * RN_MILLISECOND)

typedef struct page {
    const char *path;
    const char *type;
    rn_sight_page_fn *fill;
    void *user;
} page;

/* A connection of the library's. */
typedef struct visit {
    int fd; /* the library's; -1: a free place */
    uint64_t deadline;
} visit;

struct rn_sight {
    rn_program *program;
    struct MHD_Daemon *daemon;
    rn_loop_watch *watch; /* NULL: paused */
    rn_timer *timer;
    int listener; /* the library's */
    char address[RN_ADDRESS_TEXT_MAX];
    page pages[RN_SIGHT_PAGES_MAX];
    size_t pages_count;
    visit visits[RN_SIGHT_CONNECTIONS_MAX];
};

/* ---- the answers ---- */

/* Takes the page's memory. */
static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, rn_buffer *body,
                               const char *type) {
    static const char *const fixed[][2] = {{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
                                           {"X-Content-Type-Options", "nosniff"},
                                           {MHD_HTTP_HEADER_CONNECTION, "close"}};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        rn_buffer_fini(body);
        return MHD_NO;
    }
    rn_buffer_init(body, 0);
    enum MHD_Result result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0] && result == MHD_YES; i++) {
        result = MHD_add_response_header(response, fixed[i][0], fixed[i][1]);
    }
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED && result == MHD_YES) {
        result = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    if (result == MHD_YES) {
        result = MHD_queue_response(connection, status, response);
    }
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_with_text(struct MHD_Connection *connection, unsigned status,
                                         const char *text) {
    rn_buffer body;
    rn_buffer_init(&body, strlen(text));
    if (rn_buffer_append(&body, text, strlen(text)) != RPCNET_OK) {
        rn_buffer_clear(&body);
    }
    return respond(connection, status, &body, RN_SIGHT_TEXT_TYPE);
}

static enum MHD_Result respond_with_page(const rn_sight *sight, struct MHD_Connection *connection,
                                         const page *found) {
    rn_buffer body;
    rn_buffer_init(&body, RN_SIGHT_PAGE_MAX);
    int status = found->fill(&body, found->user);
    if (status < 0) {
        RN_WARN(sight->program->log, sight->program->target, "path=%s err=%s page cannot be made",
                found->path, RN_TEXT_QUOTE(rn_bytes_text(rpcnet_strerror(status))));
        rn_buffer_clear(&body);
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    return respond(connection, (unsigned)status, &body, found->type);
}

/* The parameters' types are the library's. NOLINTBEGIN(readability-non-const-parameter) */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **request) {
    const rn_sight *sight = user;
    (void)version;
    (void)upload;
    (void)upload_len;
    (void)request;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return respond_with_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    for (size_t i = 0; i < sight->pages_count; i++) {
        if (strcmp(url, sight->pages[i].path) == 0) {
            return respond_with_page(sight, connection, &sight->pages[i]);
        }
    }
    return respond_with_text(connection, MHD_HTTP_NOT_FOUND, "no such page\n");
}
/* NOLINTEND(readability-non-const-parameter) */

/* ---- the time of a request ---- */

static void on_connection(void *user, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    rn_sight *sight = user;
    visit *found = *context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (found != NULL) {
            *found = (visit){.fd = -1, .deadline = RN_NEVER};
        }
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    size_t i = 0;
    while (i < RN_SIGHT_CONNECTIONS_MAX && sight->visits[i].fd >= 0) {
        i++;
    }
    if (info == NULL || i == RN_SIGHT_CONNECTIONS_MAX) {
        return; /* it has the limit of silence still */
    }
    sight->visits[i].fd = info->connect_fd;
    sight->visits[i].deadline =
        rn_env_now(sight->program->env) + RN_SIGHT_REQUEST_SECONDS * RN_SECOND;
    *context = &sight->visits[i];
}

/* The library sees the end of the connection when it is run next, and closes it. */
static void end_late_requests(rn_sight *sight) {
    uint64_t now = rn_env_now(sight->program->env);
    for (size_t i = 0; i < RN_SIGHT_CONNECTIONS_MAX; i++) {
        if (sight->visits[i].deadline <= now) {
            (void)shutdown(sight->visits[i].fd, SHUT_RDWR);
            sight->visits[i].deadline = RN_NEVER;
        }
    }
}

static int error_of(int number) {
    switch (number) {
    case EADDRINUSE:
        return RPCNET_ERR_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
        return RPCNET_ERR_PERMISSION;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return RPCNET_ERR_ADDRESS;
    case EMFILE:
    case ENFILE:
        return RPCNET_ERR_DESCRIPTORS;
    default:
        return RPCNET_ERR_IO;
    }
}

/* ---- the library in the loop ---- */

static void arm(const rn_sight *sight) {
    rn_env *env = sight->program->env;
    MHD_UNSIGNED_LONG_LONG wait_ms;
    uint64_t deadline = RN_NEVER;
    if (MHD_get_timeout(sight->daemon, &wait_ms) == MHD_YES) {
        deadline = rn_env_now(env) + (uint64_t)wait_ms * RN_MILLISECOND;
    }
    for (size_t i = 0; i < RN_SIGHT_CONNECTIONS_MAX; i++) {
        deadline = sight->visits[i].deadline < deadline ? sight->visits[i].deadline : deadline;
    }
    env->ops->timer_set(sight->timer, deadline);
}

static unsigned connections(const rn_sight *sight) {
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(sight->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info != NULL ? info->num_connections : 0;
}

/* Without a descriptor nothing can be accepted, and a connection that waits would wake us in every
 * turn. */
static bool can_accept(const rn_sight *sight) {
    int spare = dup(sight->listener);
    if (spare >= 0) {
        close(spare);
    }
    return spare >= 0;
}

static void pause_listening(rn_sight *sight) {
    rn_env *env = sight->program->env;
    rn_loop_watch_del(sight->watch);
    sight->watch = NULL;
    env->ops->timer_set(sight->timer, rn_env_now(env) + PAUSE_NS);
}

static void run(void *user);

static int watch(rn_sight *sight) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(sight->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info == NULL
               ? RPCNET_ERR_IO
               : rn_loop_watch_new(&sight->watch, sight->program->loop, info->epoll_fd, run, sight);
}

static void run(void *user) {
    rn_sight *sight = user;
    bool descriptors = can_accept(sight);
    if (!descriptors) {
        rn_loop_note_descriptors(sight->program->loop, "a connection to the metrics");
    }
    if (!descriptors || (sight->watch == NULL && watch(sight) != RPCNET_OK)) {
        pause_listening(sight);
        return;
    }
    end_late_requests(sight);
    bool was_full = connections(sight) >= RN_SIGHT_CONNECTIONS_MAX;
    (void)MHD_run(sight->daemon);
    /* A full server does not wait for connections; it begins to again only when it is run. */
    if (was_full && connections(sight) < RN_SIGHT_CONNECTIONS_MAX) {
        (void)MHD_run(sight->daemon);
    }
    arm(sight);
}

static int start_library(rn_sight *sight, int fd) {
    errno = 0;
    sight->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, sight, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)RN_SIGHT_CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)RN_SIGHT_CONNECTIONS_OF_ONE_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)RN_SIGHT_TIMEOUT_SECONDS,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, sight, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)RN_SIGHT_REQUEST_MAX, MHD_OPTION_END);
    if (sight->daemon == NULL) {
        /* Whether the socket is still open depends on where it failed. */
        int result = error_of(errno);
        return result == RPCNET_ERR_IO ? RPCNET_ERR_MEMORY : result;
    }
    sight->listener = fd;
    int result = rn_env_timer_new(sight->program->env, run, sight, &sight->timer);
    return result == RPCNET_OK ? watch(sight) : result;
}

/* ---- the socket ---- */

static bool is_loopback(const rn_address *address) {
    if (address->sa.sa_family == AF_INET) {
        return ntohl(address->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

static int listen_at(const rn_address *address, int *out, rn_address *bound) {
    const int yes = 1;
    struct sockaddr_storage own;
    socklen_t own_len = sizeof own;
    int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return error_of(errno);
    }
    /* Connections of a process before us that are in TIME_WAIT must not keep us out. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    int result = RPCNET_OK;
    if (bind(fd, &address->sa, address->len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &own_len) != 0) {
        result = error_of(errno);
    } else {
        result = rn_address_from_sockaddr(bound, (struct sockaddr *)&own, own_len);
    }
    if (result != RPCNET_OK) {
        close(fd);
        return result;
    }
    *out = fd;
    return RPCNET_OK;
}

int rn_sight_new(rn_sight **out, rn_program *program, const char *name, const char *address) {
    char numeric[RN_ADDRESS_TEXT_MAX];
    rn_address wanted;
    rn_address bound;
    int fd = -1;
    *out = NULL;
    int result = rn_program_resolve(program, name, address, numeric);
    if (result == RPCNET_OK) {
        result = rn_address_parse(&wanted, numeric);
    }
    if (result != RPCNET_OK) {
        return result;
    }
    if (!is_loopback(&wanted)) {
        return rn_program_fail_usage(program, name,
                                     "%s is no loopback address; anyone who reaches this port may "
                                     "read it, so use 127.0.0.1 or [::1]",
                                     address);
    }
    rn_sight *sight = calloc(1, sizeof *sight);
    if (sight == NULL) {
        return rn_program_fail(program, "%s", rpcnet_strerror(RPCNET_ERR_MEMORY));
    }
    sight->program = program;
    for (size_t i = 0; i < RN_SIGHT_CONNECTIONS_MAX; i++) {
        sight->visits[i] = (visit){.fd = -1, .deadline = RN_NEVER};
    }
    result = listen_at(&wanted, &fd, &bound);
    if (result == RPCNET_OK) {
        rn_address_format(&bound, sight->address);
        result = start_library(sight, fd);
    }
    if (result != RPCNET_OK) {
        rn_sight_del(sight);
        return rn_program_bind_failed(program, name, address, result);
    }
    arm(sight);
    RN_INFO(program->log, program->target, "metrics.addr=%s listening", sight->address);
    *out = sight;
    return RPCNET_OK;
}

void rn_sight_del(rn_sight *sight) {
    if (sight == NULL) {
        return;
    }
    rn_loop_watch_del(sight->watch);
    sight->program->env->ops->timer_del(sight->timer);
    if (sight->daemon != NULL) {
        MHD_stop_daemon(sight->daemon); /* closes the socket, too */
    }
    free(sight);
}

int rn_sight_add(rn_sight *sight, const char *path, const char *type, rn_sight_page_fn *fill,
                 void *user) {
    if (sight->pages_count == RN_SIGHT_PAGES_MAX) {
        return RPCNET_ERR_LIMIT;
    }
    sight->pages[sight->pages_count++] =
        (page){.path = path, .type = type, .fill = fill, .user = user};
    return RPCNET_OK;
}

const rn_program *rn_sight_program(const rn_sight *sight) {
    return sight->program;
}

const char *rn_sight_address(const rn_sight *sight) {
    return sight->address;
}
