/* internal: what the files of src/rpc share.
 *
 * Who owns what. A channel has one connection at a time (rn_channel_link: a socket of its own, an
 * endpoint, a session) and perhaps older ones that the server has asked to leave; a server has one
 * socket with many connections (rn_server_conn). Both ends hold their socket through rn_rpc_port,
 * which knows whether one of its callbacks is running and puts its own end off until none is. */
#ifndef RN_RPC_INTERNAL_H
#define RN_RPC_INTERNAL_H

#include "base/census.h"
#include "base/env.h"
#include "base/list.h"
#include "base/map.h"
#include "grpc/call.h"
#include "quic/port.h"
#include "rpcnet/rpcnet.h"

enum {
    RN_RPC_METHODS_MAX = 256,
    RN_RPC_TEXT_MAX = 320,  /* explanations for people */
    RN_RPC_TOKEN_MAX = 512, /* an address token that is kept */
    RN_RPC_RETIRED_MAX = 4, /* connections of a channel that wait for their last calls */
    RN_RPC_HEALTH_SERVICES_MAX = 64,
    RN_RPC_HEALTH_NAME_MAX = 255, /* bytes of a service's name */
    RN_RPC_HEALTH_WATCHERS_MAX = 4096
};

/* ---- options.c ---- */

/* Copies the caller's struct, whose first member is its struct_size, over the defaults in `out`.
 * RPCNET_ERR_ARGUMENT: its size is none that this library knows. */
int rn_rpc_take_options(void *out, size_t size, const void *in);
bool rn_rpc_is_urgency(unsigned urgency); /* 0 to 7, or RPCNET_URGENCY_DEFAULT */
/* The same for limits; `in` may be NULL. RPCNET_ERR_ARGUMENT also: one is outside what the protocol
 * or common sense allows. */
int rn_rpc_take_limits(rpcnet_limits *out, bool server, const rpcnet_limits *in);
/* Those of them that the endpoint below keeps. */
void rn_rpc_quic_limits(rn_quic_limits *out, bool server, const rpcnet_limits *limits);

/* ---- credentials.c ---- */
rn_tls_context *rn_credentials_tls(const rpcnet_credentials *credentials);
bool rn_credentials_have_certificate(const rpcnet_credentials *credentials);

/* ---- loss.c ---- */
enum rpcnet_loss rn_rpc_classify(const rn_close *close);
const char *rn_rpc_describe(const rn_close *close, char out[RN_RPC_TEXT_MAX]);

/* ---- port.c ---- */

typedef struct rn_rpc_port {
    rn_env *env;
    rn_port *port;  /* NULL: could not be opened */
    rn_list calls;  /* rpcnet_call.link: those with a stream on this port */
    unsigned depth; /* callbacks of the port's connections that are running */
    bool ending;
    rn_deferred end;
    void (*gone)(void *user);
    void *user;
} rn_rpc_port;

/* `gone` is the last that is heard of the port; it frees the owner. */
void rn_rpc_port_init(rn_rpc_port *port, rn_env *env, void (*gone)(void *user), void *user);
void rn_rpc_port_enter(rn_rpc_port *port);
void rn_rpc_port_leave(rn_rpc_port *port);
/* Sends what the connections have still to say (their CONNECTION_CLOSE) and closes the socket: at
 * once, or at the end of the turn when a callback of the port is running. */
void rn_rpc_port_end(rn_rpc_port *port);

/* ---- call.c, call_client.c, call_server.c, call_handler.c ---- */

typedef struct rn_server_conn rn_server_conn;

struct rpcnet_call {
    rn_list link; /* in the list of waiting calls of a channel, or in rn_rpc_port.calls */
    rn_env *env;
    rn_call *inner;    /* NULL: not begun, or it never will */
    rn_rpc_port *port; /* of its connection; NULL: no stream, or it is gone */
    const rpcnet_call_callbacks *callbacks;
    void *user;
    unsigned depth; /* functions of this call that call its user */
    bool server;
    bool deleted;
    bool over;    /* its user knows how it ended, or has ended it */
    bool closed;  /* on_closed was called */
    bool starved; /* there was no memory to begin it; see rpcnet_call_is_starved */
    uint64_t deadline;
    rn_timer *timer; /* NULL: without a deadline */
    rn_call_options options;
    unsigned urgency; /* RPCNET_URGENCY_DEFAULT: as it is */
    bool hold;        /* rpcnet_call_hold, for a call that has no stream yet */

    /* Client: waiting for a stream. */
    rpcnet_channel *channel; /* where it waits; NULL once it does not */
    rn_metadata metadata;
    rn_buffer kept; /* the one message that is kept meanwhile, */
    bool has_kept;
    rpcnet_source source; /* or read from there, if it has a `read` */
    bool half_closed;
    bool want_writable;
    /* Client: an end that is told later, or instead of what the call below says. */
    rn_deferred later;
    bool failed;
    int failure_code;
    char failure_text[RN_RPC_TEXT_MAX];

    /* Server. */
    rn_server_conn *conn;   /* NULL: gone */
    rn_census_place *place; /* where it is counted; NULL: nowhere, or no more */
    uint64_t connection_number;
    uint64_t call_number;

    char path[]; /* NUL-terminated */
};

/* call.c */
rpcnet_call *rn_rpc_call_alloc(rn_env *env, bool server, rn_bytes path);
void rn_rpc_call_enter(rpcnet_call *call);
void rn_rpc_call_leave(rpcnet_call *call); /* may free it */
/* Its deadline counts from now on. RPCNET_ERR_MEMORY. */
int rn_rpc_call_arm(rpcnet_call *call);
void rn_rpc_call_disarm(rpcnet_call *call);
void rn_rpc_call_apply_urgency(rpcnet_call *call);

/* call_handler.c */
extern const rn_call_handler rn_rpc_call_handler;

/* call_client.c */
/* The call leaves the channel's list and begins on `session`, or fails. */
void rn_rpc_call_start(rpcnet_call *call, rn_rpc_port *port, rn_h3_session *session,
                       const char *authority);
/* Ends a client's call that is not over, inside. */
void rn_rpc_call_fail(rpcnet_call *call, int code, const char *text);
void rn_rpc_call_tell_status(rpcnet_call *call, int code, rn_bytes message,
                             const rn_metadata *trailers);
int rn_rpc_call_keep(rpcnet_call *call, const rn_bytes *pieces, size_t count);
int rn_rpc_call_keep_source(rpcnet_call *call, const rpcnet_source *source);
/* Fails all calls of a list, which may change meanwhile. */
void rn_rpc_calls_fail(rn_list *calls, int code, const char *text);

/* call_server.c */
void rn_rpc_call_accept(rn_server_conn *conn, rn_h3_stream *stream, const rn_h3_field *fields,
                        size_t count);
/* Ends a server's call because its server goes: on_cancelled UNAVAILABLE, inside. */
void rn_rpc_call_cut(rpcnet_call *call);
enum rpcnet_grpc_code rn_rpc_code(int code);     /* UNKNOWN for what is no code */
void rn_rpc_call_server_over(rpcnet_call *call); /* it counts as open no more */

/* ---- channel.c, channel_connect.c ---- */

typedef struct rn_channel_link {
    rn_rpc_port port;
    rn_list link;            /* rpcnet_channel.retired */
    rpcnet_channel *channel; /* NULL: deleted */
    rn_h3_session *session;  /* never NULL while it is the channel's and callbacks run */
    bool established;
    uint64_t established_at;
    enum rpcnet_loss loss; /* why we closed it ourselves */
} rn_channel_link;

struct rpcnet_channel {
    rn_env *env;
    rn_tls_context *tls;
    char *target;
    char host[RN_HOST_MAX + 1];
    uint16_t port;
    char *server_name; /* whom to expect: this, or the identity */
    char *identity;
    uint8_t secret[RPCNET_SECRET_LEN];
    rn_quic_limits limits;
    bool reconnect;
    bool reconnect_when_drained;
    bool unreachable_is_fatal;
    uint64_t backoff_min_ns;
    uint64_t backoff_max_ns;
    size_t calls_waiting_max;
    rpcnet_channel_callbacks callbacks;
    void *user;

    enum rpcnet_channel_state state;
    unsigned failures; /* attempts in a row that came to nothing */
    rn_resolve *resolve;
    /* What the host's name has resolved to; tried one after the other before an attempt fails. */
    rn_address addresses[RN_RESOLVE_MAX];
    size_t addresses_count;
    size_t addresses_tried;
    rn_timer *timer;       /* the next attempt */
    rn_timer *sweep;       /* looks after retired links */
    rn_channel_link *link; /* NULL: none at present */
    rn_list retired;
    size_t retired_count;
    rn_list waiting; /* calls */
    size_t waiting_count;
    rn_list failing; /* calls that waited and are being told that it was in vain */
    uint8_t token[RN_RPC_TOKEN_MAX];
    size_t token_len;
    rpcnet_channel_stats stats;
    char local_text[RN_ADDRESS_TEXT_MAX];
    unsigned depth;
    bool deleted;
};

void rn_channel_enter(rpcnet_channel *channel);
void rn_channel_leave(rpcnet_channel *channel); /* may free it */
void rn_channel_set_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                          enum rpcnet_loss loss, const char *text);
/* A call waits: an IDLE channel connects. */
void rn_channel_want(rpcnet_channel *channel);
/* Begins as many waiting calls as the connection has streams for. */
void rn_channel_start_calls(rpcnet_channel *channel);
void rn_channel_fail_calls(rpcnet_channel *channel, const char *text);
/* The call waits no more. */
void rn_channel_remove_call(rpcnet_channel *channel, rpcnet_call *call);

/* channel_connect.c */
int rn_channel_connect(rpcnet_channel *channel); /* RPCNET_ERR_ADDRESS, RPCNET_ERR_MEMORY */
void rn_channel_on_timer(void *user);
void rn_channel_on_sweep(void *user);
/* Closes a connection whose channel is being deleted. */
void rn_channel_drop_link(rn_channel_link *link);

/* ---- server.c, server_conn.c, server_drain.c ---- */

typedef struct rn_method {
    rpcnet_method_fn *fn;
    void *user;
} rn_method;

struct rn_server_conn {
    rn_list link; /* rpcnet_server.conns */
    rpcnet_server *server;
    rn_h3_session *session; /* never NULL */
    uint64_t number;
    bool announced; /* on_connection was called */
    bool goaway_sent;
    bool goaway_final;
    uint64_t goaway_time;
    char address[RN_ADDRESS_TEXT_MAX];
};

struct rpcnet_server {
    rn_env *env;
    rn_rpc_port port;
    rpcnet_server_callbacks callbacks;
    bool (*authorize)(rpcnet_server *server, const char *identity, void *user);
    void *user;
    rn_map *methods;
    rn_method fallback;
    rn_list conns;
    uint64_t conns_count;
    uint64_t streams_max;
    const rn_budget *budget; /* NULL: none */
    uint64_t calls;
    size_t calls_open;
    rn_census *census; /* of calls; NULL: without limit */
    size_t headers_max;
    uint64_t calls_refused; /* by the census */
    uint64_t headers_refused;
    uint64_t messages_refused;
    bool deleted;
    bool draining;
    bool drained;
    uint64_t drain_deadline;
    rn_timer *drain_timer;
    void (*on_drain)(void *user); /* the health service ends its watches */
    void *on_drain_user;
    char address[RN_ADDRESS_TEXT_MAX];
};

void rn_server_accepted(rn_endpoint *endpoint, rn_conn *quic, void *user);
void rn_server_remove_method(rpcnet_server *server, const char *path);
const rn_method *rn_server_find_method(const rpcnet_server *server, rn_bytes path);
void rn_server_on_drain_timer(void *user);

#endif
