/* rpcnet/rpcnet.h: streaming RPC over QUIC: gRPC on HTTP/3, clients and servers.
 *
 * NOT FROZEN: names and layouts may change until version 1.0.
 *
 * Threads. An environment (rpcnet_env) is a loop and belongs to one thread. Everything made from it
 * belongs to that thread too; no function here may be called from another one. Several threads each
 * have a loop of their own.
 *
 * Callbacks run inside the loop, never inside the function that caused them unless it says so.
 * Every function may be called from every callback. Pointers handed to a callback are borrowed for
 * its duration. Options structs and limits begin with struct_size, set by their _init function, so
 * that they can grow at their end; callbacks structs, which have none, do not. What their pointers
 * lead to is borrowed until the function returns that takes them, unless it says otherwise.
 *
 * Bytes handed to a function are copied before it returns. Messages are bytes; protobuf-c or any
 * other codec makes them. */
#ifndef RPCNET_RPCNET_H
#define RPCNET_RPCNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpcnet/error.h"
#include "rpcnet/source.h"
#include "rpcnet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A loop with its clock, its sockets and its log: rpcnet_loop (rpcnet/loop.h) gives one. */
typedef struct rn_env rpcnet_env;

typedef struct rpcnet_credentials rpcnet_credentials;
typedef struct rpcnet_channel rpcnet_channel;
typedef struct rpcnet_server rpcnet_server;
typedef struct rpcnet_call rpcnet_call;
typedef struct rn_metadata rpcnet_metadata;
typedef struct rn_budget rpcnet_memory;

enum {
    RPCNET_SECRET_LEN = 32, /* bytes of a cluster secret */
    RPCNET_ADDRESS_TEXT_MAX = 80,
    RPCNET_ERROR_TEXT_MAX = 640
};

#define RPCNET_NO_DEADLINE UINT64_MAX
#define RPCNET_URGENCY_DEFAULT UINT32_MAX

/* ---- credentials ---- */

typedef struct rpcnet_credentials_options {
    size_t struct_size;
    const char *certificate_file; /* PEM; NULL for a client that shows none */
    const char *key_file;
    const char *ca_file;             /* PEM; whom to trust */
    bool require_client_certificate; /* servers: nobody without a certificate of that CA */
} rpcnet_credentials_options;

void rpcnet_credentials_options_init(rpcnet_credentials_options *options);
/* Reads and checks the files. On failure `error` (RPCNET_ERROR_TEXT_MAX bytes) says what is wrong
 * with which file. RPCNET_ERR_TLS, RPCNET_ERR_ARGUMENT, RPCNET_ERR_MEMORY. Channels and servers
 * keep what they need: it may be deleted while they live. */
int rpcnet_credentials_new(rpcnet_credentials **out, const rpcnet_credentials_options *options,
                           char *error);
void rpcnet_credentials_del(rpcnet_credentials *credentials);
/* The role URI in our own certificate ("rpcnet://role/worker/worker-a"); "" for none. */
const char *rpcnet_credentials_identity(const rpcnet_credentials *credentials);
/* When our certificate expires, seconds since 1970; 0 without one. */
int64_t rpcnet_credentials_expiry(const rpcnet_credentials *credentials);

/* ---- metadata ---- */

int rpcnet_metadata_new(rpcnet_metadata **out);
void rpcnet_metadata_del(rpcnet_metadata *metadata);
/* Names are lower case; values of names that end in "-bin" are any bytes, others printable ASCII.
 * RPCNET_ERR_ARGUMENT, RPCNET_ERR_LIMIT (96 fields, 12 KiB), RPCNET_ERR_MEMORY. */
int rpcnet_metadata_add(rpcnet_metadata *metadata, const char *name, const void *value, size_t len);
size_t rpcnet_metadata_count(const rpcnet_metadata *metadata);
/* index < count; name and value are not NUL-terminated. */
void rpcnet_metadata_at(const rpcnet_metadata *metadata, size_t index, const char **name,
                        size_t *name_len, const void **value, size_t *value_len);
/* The first value of that name; false: none. */
bool rpcnet_metadata_find(const rpcnet_metadata *metadata, const char *name, const void **value,
                          size_t *len);

/* ---- calls ----
 *
 * A call is one request of any kind: both sides send messages, the client half-closes, the server
 * finishes with a status. Unary and streaming calls differ only in how many messages come.
 *
 * A call belongs to whoever started it (client) or to the method's handler (server) until
 * rpcnet_call_del, which may be called at any time, in callbacks too. */

typedef struct rpcnet_call_callbacks {
    /* Client: the server's initial metadata; not at all when it replies with a status alone. */
    void (*on_headers)(rpcnet_call *call, const rpcnet_metadata *metadata, void *user);
    /* A whole message. */
    void (*on_message)(rpcnet_call *call, const void *data, size_t len, void *user);
    /* Server: the client has sent its last message. */
    void (*on_half_close)(rpcnet_call *call, void *user);
    /* Client: the result, exactly once, the last callback but for on_closed. `message` is
     * NUL-terminated, cut to 1024 bytes and may hold bytes of the peer. Code OK only comes from the
     * server itself: a call that was cut never looks finished. */
    void (*on_status)(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user);
    /* Server: the call is over before we finished it; nothing more can be sent. `code` says why:
     * CANCELLED (by the client), UNAVAILABLE (its connection was lost or closed, by us too),
     * DEADLINE_EXCEEDED; or what the client is told of its request: RESOURCE_EXHAUSTED (a message
     * over the limit, or memory used up), UNIMPLEMENTED (a compressed message), INTERNAL (a
     * malformed message, or one that its end has cut). At most once. */
    void (*on_cancelled)(rpcnet_call *call, int code, void *user);
    /* rpcnet_call_send takes messages again, after RPCNET_ERR_AGAIN or after it had to keep a
     * part of one. Client: or the server wants no more of them (rpcnet_call_is_stopped); the last
     * ones may not have reached it. */
    void (*on_writable)(rpcnet_call *call, void *user);
    /* The stream is gone; only rpcnet_call_del is of use now. */
    void (*on_closed)(rpcnet_call *call, void *user);
} rpcnet_call_callbacks;

typedef struct rpcnet_call_options {
    size_t struct_size;
    const rpcnet_metadata *metadata; /* client: of the request; NULL: none */
    uint64_t deadline_ns;            /* client: absolute, rpcnet_now's clock; RPCNET_NO_DEADLINE */
    size_t receive_max;              /* bytes of one message; default 4 MiB */
    size_t send_max;
    /* Of what we send: 0 first ... 7 last (RFC 9218). RPCNET_URGENCY_DEFAULT: what it is now; that
     * is 3 at first, or on a server what the client asks for. */
    unsigned urgency;
} rpcnet_call_options;

void rpcnet_call_options_init(rpcnet_call_options *options);

/* The loop's time: nanoseconds of a clock that never goes back. */
uint64_t rpcnet_now(rpcnet_env *env);

/* Client: starts a call to `path` ("/package.Service/Method"). While the channel has no connection,
 * calls wait for it (up to its calls_waiting_max): for the present attempt, or, between two, for
 * the next one; on_status UNAVAILABLE tells when that fails. They also wait, in order, when the
 * server allows no more streams now. A call that waits keeps one message; on_writable follows.
 * RPCNET_ERR_ARGUMENT, RPCNET_ERR_LIMIT (too many waiting calls; more metadata than the server
 * takes), RPCNET_ERR_CLOSED (the channel is CLOSED, or will be: its server takes no more calls and
 * it does not reconnect), RPCNET_ERR_MEMORY. A deadline that has passed is told by on_status.
 * `options` may be NULL. `callbacks` must outlive the call. */
int rpcnet_call_new(rpcnet_call **out, rpcnet_channel *channel, const char *path,
                    const rpcnet_call_options *options, const rpcnet_call_callbacks *callbacks,
                    void *user);
/* Frees the call; no callback any more. A client's call that is not over is cancelled; so is a
 * server's that was not finished. What a finished one has still to send goes on by itself. NULL is
 * fine. */
void rpcnet_call_del(rpcnet_call *call);

void rpcnet_call_set_callbacks(rpcnet_call *call, const rpcnet_call_callbacks *callbacks,
                               void *user);
/* Server: changes receive_max, send_max and urgency for what is still to come. */
void rpcnet_call_set_options(rpcnet_call *call, const rpcnet_call_options *options);
void *rpcnet_call_user(const rpcnet_call *call);

/* Sends one message (a server's first one sends the initial metadata too). RPCNET_ERR_AGAIN: the
 * send ring is full and a message is waiting already, see on_writable; RPCNET_ERR_LIMIT: over
 * send_max; RPCNET_ERR_STATE: after half-close or finish; RPCNET_ERR_CLOSED; RPCNET_ERR_MEMORY. */
int rpcnet_call_send(rpcnet_call *call, const void *data, size_t len);
/* The same with a message in two pieces; `head` is at most 64 bytes. */
int rpcnet_call_send2(rpcnet_call *call, const void *head, size_t head_len, const void *data,
                      size_t len);

/* Sends one message that is read from `source` (copied; its `user` is not) while
 * rpcnet_call_is_sending, and no longer than until rpcnet_call_del. It counts as the message that a
 * call keeps: on_writable follows when all of it was read, or when the peer wants no more of it
 * (rpcnet_call_is_stopped). A server's call that is deleted before is reset, even if it was
 * finished: the message would be cut. Errors as of rpcnet_call_send; in their case the
 * source is not read. */
int rpcnet_call_send_source(rpcnet_call *call, const rpcnet_source *source);
/* A message was taken and is not in the send ring yet, or not all of it. */
bool rpcnet_call_is_sending(const rpcnet_call *call);
/* The call is over, or its peer wants no more messages of it: the next one would get
 * RPCNET_ERR_CLOSED. The peer's own may still come. */
bool rpcnet_call_is_stopped(const rpcnet_call *call);

/* Bytes that have come of the peer's messages, with their prefixes, whole or not. */
uint64_t rpcnet_call_received(const rpcnet_call *call);

/* Payload bytes that one send takes now into the send ring: its room, less framing. 0 while
 * rpcnet_call_is_sending, and while a client's call waits for a stream. */
size_t rpcnet_call_room(const rpcnet_call *call);
int rpcnet_call_send_headers(rpcnet_call *call, const rpcnet_metadata *metadata);
int rpcnet_call_half_close(rpcnet_call *call);
/* Server: ends the call. `message` may be NULL. */
int rpcnet_call_finish(rpcnet_call *call, int code, const char *message,
                       const rpcnet_metadata *trailers);
/* Gives up the call. Client: on_status CANCELLED is called inside. */
void rpcnet_call_cancel(rpcnet_call *call);
/* Holds the peer back: what comes from now on keeps its flow-control window until the hold ends, so
 * that no more than a window comes meanwhile (`stream_window_bytes`). Inside on_message it begins
 * with that message's own bytes. A message larger than the window comes whole only after a hold. */
void rpcnet_call_hold(rpcnet_call *call, bool hold);

const char *rpcnet_call_path(const rpcnet_call *call);
const rpcnet_metadata *rpcnet_call_metadata(const rpcnet_call *call); /* server: the request's */
uint64_t rpcnet_call_deadline(const rpcnet_call *call);

/* Server: who calls. */
typedef struct rpcnet_peer {
    uint64_t connection;  /* n-th connection that the server has accepted, from 1 */
    uint64_t call;        /* n-th that the client has begun on it, from 1; others may come before */
    const char *address;  /* "127.0.0.1:50000", as it is now */
    const char *identity; /* role URI of its certificate; "" for none */
} rpcnet_peer;
/* The texts are borrowed until the next call of this function for the same connection, and "" when
 * the stream is gone (after on_closed); the numbers stay. */
void rpcnet_call_peer(const rpcnet_call *call, rpcnet_peer *out);

/* ---- memory ----
 *
 * An account of what calls hold: send rings, messages that are kept, messages that have not come
 * whole, bytes that came out of order, headers and metadata. Servers and channels that get it by
 * rpcnet_limits count in it; it must outlive them and the turn in which they are deleted. It
 * counts, and refuses one thing alone: while it is over its limit, a message that is still coming
 * takes no more than 4 KiB; its call ends with RESOURCE_EXHAUSTED. What else goes is the program's
 * decision: in `on_over` it takes a note (it is called wherever memory is taken while the account
 * is over), and ends calls later. */

int rpcnet_memory_new(rpcnet_memory **out, size_t limit_bytes); /* RPCNET_ERR_MEMORY */
void rpcnet_memory_del(rpcnet_memory *memory);
void rpcnet_memory_on_over(rpcnet_memory *memory, void (*on_over)(void *user), void *user);

typedef struct rpcnet_memory_stats {
    size_t used;
    size_t peak;
    size_t limit;
    size_t excess; /* what has to be given up to be within the limit; what is leaving already, as
                    * streams that were reset, is taken out */
    uint64_t refusals; /* messages that could not grow */
} rpcnet_memory_stats;
void rpcnet_memory_get_stats(const rpcnet_memory *memory, rpcnet_memory_stats *out);

/* What the call holds now, in bytes. */
size_t rpcnet_call_memory(const rpcnet_call *call);
/* The call has ended with RESOURCE_EXHAUSTED because our memory was used up, and not for any fault
 * of the peer's. */
bool rpcnet_call_is_starved(const rpcnet_call *call);
/* Server: ends the call now, whatever of it is not sent yet. The client gets the status if next to
 * nothing waits in front of it; else a reset, which reads as RESOURCE_EXHAUSTED for that code and
 * as CANCELLED for others. on_cancelled is not called. `message` may be NULL. */
void rpcnet_call_abort(rpcnet_call *call, int code, const char *message);

/* ---- connection limits, for channels and servers; nanoseconds and bytes ---- */

typedef struct rpcnet_limits {
    size_t struct_size;
    uint64_t idle_timeout_ns;         /* 30 s */
    uint64_t keep_alive_ns;           /* 10 s; 0: none. At the latest after a third of the smaller
                                         one of the two sides' idle timeouts, if that is
                                         1 s or more */
    uint64_t handshake_timeout_ns;    /* 10 s */
    size_t send_ring_bytes;           /* of each stream: 256 KiB */
    uint64_t stream_window_bytes;     /* 256 KiB */
    uint64_t connection_window_bytes; /* 16 MiB */
    uint64_t streams_max;             /* open at once, of each connection: 128 */
    size_t connections_max;           /* servers: 20000 */
    size_t handshakes_max;            /* servers: unfinished at once: 1000; over it one that is
                                         1 s old makes room, else the newcomer is refused */
    size_t retry_above;               /* servers: address validation above n handshakes: 100 */
    /* Servers: of one address at once (an IPv6 network of 64 bits counts as one); 0: no limit. More
     * connections are refused (CONNECTION_REFUSED), more calls end with RESOURCE_EXHAUSTED. From
     * half of its connections on an address has to be validated first (Retry). */
    size_t connections_per_address; /* 0 */
    size_t calls_per_address;       /* 0 */
    size_t headers_max;             /* servers: bytes of a request's headers, each with 32 more:
                                       16 KiB, which is also the most */
    /* Channels: keep_alive_ns while calls are open, 2 s; 0: keep_alive_ns holds then, too. A NAT
     * that has forgotten a silent client leaves its server without a way to it. */
    uint64_t keep_alive_calls_ns;
    rpcnet_memory *memory; /* account of what calls hold; NULL: none */
    /* Servers: of handshakes_max, those of one address, as above; 0: no limit. From half of it on
     * its newcomers have to be validated first. */
    size_t handshakes_per_address; /* 0 */
} rpcnet_limits;

void rpcnet_limits_init(rpcnet_limits *limits);

/* ---- channels ----
 *
 * A channel has one connection at a time. When the server says goodbye (it drains) and `reconnect`
 * is on, the calls on that connection go on to their end while the channel connects anew for new
 * ones; the state is WAITING with RPCNET_LOSS_PEER then, or IDLE when `reconnect_when_drained` is
 * off and no call waits. Without `reconnect` the channel stays READY until the connection is gone,
 * but takes no new calls. */

enum rpcnet_channel_state {
    RPCNET_CHANNEL_CONNECTING, /* first attempt, or after a failure */
    RPCNET_CHANNEL_READY,
    RPCNET_CHANNEL_WAITING, /* the last attempt failed; the next one comes by itself */
    RPCNET_CHANNEL_IDLE,    /* the server said goodbye; the next call makes a new connection */
    RPCNET_CHANNEL_CLOSED   /* `reconnect` is off and it was lost; the end */
};

/* Why a connection ended or could not be made. */
enum rpcnet_loss {
    RPCNET_LOSS_NONE,
    RPCNET_LOSS_RESOLVE,     /* the host name has no address */
    RPCNET_LOSS_UNREACHABLE, /* nobody listens there: the process is dead */
    RPCNET_LOSS_TIMEOUT,     /* no answer: handshake or idle timeout */
    RPCNET_LOSS_REFUSED,     /* TLS: a certificate was refused, by us or by the peer */
    RPCNET_LOSS_PEER,        /* the peer closed it */
    RPCNET_LOSS_RESET,       /* stateless reset: the peer's process is a new one */
    RPCNET_LOSS_PROTOCOL,    /* the peer broke the protocol */
    RPCNET_LOSS_LOCAL
};

typedef struct rpcnet_channel_callbacks {
    /* `loss` and `text` (for people) tell why, when it is WAITING, IDLE or CLOSED. */
    void (*on_state)(rpcnet_channel *channel, enum rpcnet_channel_state state,
                     enum rpcnet_loss loss, const char *text, void *user);
} rpcnet_channel_callbacks;

typedef struct rpcnet_channel_options {
    size_t struct_size;
    const rpcnet_credentials *credentials; /* needed */
    /* Whom to expect: a name or IP address that the certificate bears (default: the target's host),
     * or, when `identity` is set, a role URI instead. */
    const char *server_name;
    const char *identity;
    const uint8_t *secret;       /* RPCNET_SECRET_LEN bytes from which ids derive; NULL: random */
    const rpcnet_limits *limits; /* NULL: the defaults */
    bool reconnect;              /* default true */
    bool reconnect_when_drained; /* after a goodbye at once, not just for the next call; true */
    /* An ICMP "port unreachable" ends the connection at once. Default true. Off: only silence
     * does, so that a peer may be replaced behind its address. */
    bool unreachable_is_fatal;
    uint64_t backoff_min_ns;  /* between attempts: 50 ms, doubling */
    uint64_t backoff_max_ns;  /* up to 2 s */
    size_t calls_waiting_max; /* calls that wait for READY: 1024 */
    rpcnet_channel_callbacks callbacks;
    void *user;
} rpcnet_channel_options;

void rpcnet_channel_options_init(rpcnet_channel_options *options);
/* Begins to connect to `target` ("host:port", "[::1]:port"). RPCNET_ERR_ADDRESS,
 * RPCNET_ERR_ARGUMENT, RPCNET_ERR_MEMORY. What goes wrong later, with the socket, too, is told by
 * on_state. */
int rpcnet_channel_new(rpcnet_channel **out, rpcnet_env *env, const char *target,
                       const rpcnet_channel_options *options);
/* Calls end with UNAVAILABLE inside. The server is told at once, or, in a callback of this channel
 * or its calls, at the end of the loop's turn; until then the socket stays open by itself. */
void rpcnet_channel_del(rpcnet_channel *channel);
/* For connections made from now on; the present one stays. */
void rpcnet_channel_set_credentials(rpcnet_channel *channel, const rpcnet_credentials *credentials);
enum rpcnet_channel_state rpcnet_channel_get_state(const rpcnet_channel *channel);
uint64_t rpcnet_channel_rtt(const rpcnet_channel *channel); /* nanoseconds; 0: unknown */
const char *
rpcnet_channel_local_address(const rpcnet_channel *channel); /* "" while there is none */

typedef struct rpcnet_channel_stats {
    uint64_t connections_opened;
    uint64_t handshakes_completed;
    uint64_t calls_started;
} rpcnet_channel_stats;
void rpcnet_channel_get_stats(const rpcnet_channel *channel, rpcnet_channel_stats *out);

/* ---- servers ---- */

/* A call for a method has come. Take it: set its callbacks, or finish it at once. It is the
 * handler's to delete. Messages come after the handler has returned. */
typedef void rpcnet_method_fn(rpcnet_server *server, rpcnet_call *call, void *user);

typedef struct rpcnet_server_callbacks {
    void (*on_connection)(rpcnet_server *server, uint64_t connection, const char *address,
                          const char *identity, void *user); /* its handshake is complete */
    void (*on_disconnection)(rpcnet_server *server, uint64_t connection, const char *text,
                             void *user);
    void (*on_drained)(rpcnet_server *server, void *user); /* see rpcnet_server_drain */
} rpcnet_server_callbacks;

typedef struct rpcnet_server_options {
    size_t struct_size;
    const rpcnet_credentials *credentials; /* needed, with a certificate */
    const uint8_t *secret; /* RPCNET_SECRET_LEN bytes; NULL: random, so that nothing survives us */
    const rpcnet_limits *limits; /* NULL: the defaults */
    rpcnet_server_callbacks callbacks;
    void *user;
    /* The secret before `secret`, NULL: none. Connection ids and tokens made under it are still
     * recognised, none are made. */
    const uint8_t *previous_secret;
    /* May a peer with this role ("" for none) call anything here? False: its calls end with
     * PERMISSION_DENIED, their handlers are not asked. NULL: everybody may. */
    bool (*authorize)(rpcnet_server *server, const char *identity, void *user);
} rpcnet_server_options;

void rpcnet_server_options_init(rpcnet_server_options *options);
/* Listens at `address` ("127.0.0.1:61000", "[::]:0", "localhost:61000" is resolved to one numeric
 * address by the caller). RPCNET_ERR_ADDRESS, RPCNET_ERR_ADDRESS_IN_USE, RPCNET_ERR_PERMISSION,
 * RPCNET_ERR_DESCRIPTORS, RPCNET_ERR_IO, RPCNET_ERR_ARGUMENT, RPCNET_ERR_MEMORY. */
int rpcnet_server_new(rpcnet_server **out, rpcnet_env *env, const char *address,
                      const rpcnet_server_options *options);
/* Drops all calls (on_cancelled UNAVAILABLE, inside) and all connections; their peers are told at
 * once, or, in a callback of this server or its calls, at the end of the loop's turn. */
void rpcnet_server_del(rpcnet_server *server);
const char *rpcnet_server_address(const rpcnet_server *server); /* with the port that was bound */

/* For connections accepted from now on: certificates were renewed, say. RPCNET_ERR_ARGUMENT: it
 * has no certificate. */
int rpcnet_server_set_credentials(rpcnet_server *server, const rpcnet_credentials *credentials);

/* RPCNET_ERR_EXISTS, RPCNET_ERR_LIMIT (256 methods), RPCNET_ERR_ARGUMENT, RPCNET_ERR_MEMORY. */
int rpcnet_server_add_method(rpcnet_server *server, const char *path, rpcnet_method_fn *fn,
                             void *user);
/* For all paths without a method of their own; without it they end with UNIMPLEMENTED. */
void rpcnet_server_set_fallback(rpcnet_server *server, rpcnet_method_fn *fn, void *user);

/* Graceful end: no new connections, GOAWAY to all, calls may finish until `deadline_ns` (absolute),
 * then they are cut. on_drained is called when nothing is left, never inside. */
void rpcnet_server_drain(rpcnet_server *server, uint64_t deadline_ns);

typedef struct rpcnet_server_stats {
    uint64_t connections_accepted;
    uint64_t handshakes_completed;
    uint64_t handshakes_failed;
    uint64_t connections_refused;
    uint64_t retries_sent;
    uint64_t datagrams_dropped;
    uint64_t calls;
    size_t connections_open;
    size_t calls_open;
    /* Of connections_refused: connections_per_address, handshakes_per_address. */
    uint64_t connections_refused_of_address;
    uint64_t calls_refused_of_address; /* calls_per_address */
    uint64_t headers_refused;    /* headers_max, or more than 96 fields or 12 KiB of metadata */
    uint64_t messages_refused;   /* a message over receive_max */
    uint64_t resets_withheld;    /* stateless resets, beyond 1000 in a second */
    uint64_t handshakes_evicted; /* of handshakes_failed: made room for newcomers */
} rpcnet_server_stats;
void rpcnet_server_get_stats(const rpcnet_server *server, rpcnet_server_stats *out);

#define RPCNET_LEAVING_NS UINT64_C(5000000000)
/* Memory is over its limit: of what the server's clients make it hold beside the calls that the
 * program has, gives up the largest, if that is at least `bytes_min` and not 0. That is a call that
 * was finished and deleted while its last bytes have still to be taken by the client, or a
 * connection whose bytes came out of order, which is closed. When nothing has to be given up any
 * more (excess is 0, what is over is leaving), it is the connection with most of what should have
 * left RPCNET_LEAVING_NS ago: its peer answers to no reset. All read as RESOURCE_EXHAUSTED.
 * Returns how much it was; 0: there is none. Not inside a callback of this server. */
size_t rpcnet_server_shed(rpcnet_server *server, size_t bytes_min);

/* ---- health (grpc.health.v1): Check and Watch, on a server ---- */

typedef struct rpcnet_health rpcnet_health;

enum rpcnet_serving { RPCNET_SERVING_UNKNOWN = 0, RPCNET_SERVING = 1, RPCNET_NOT_SERVING = 2 };

/* Adds /grpc.health.v1.Health/Check and /Watch. The service "" is the server as a whole and serves
 * from the start. When the server drains, watches end with UNAVAILABLE. Delete it after the
 * server. */
int rpcnet_health_new(rpcnet_health **out, rpcnet_server *server);
void rpcnet_health_del(rpcnet_health *health);
/* RPCNET_ERR_LIMIT (64 services), RPCNET_ERR_ARGUMENT, RPCNET_ERR_MEMORY. */
int rpcnet_health_set(rpcnet_health *health, const char *service, enum rpcnet_serving status);

/* ---- version ---- */

/* "0.1.0"; static storage. */
const char *rpcnet_version(void);

#ifdef __cplusplus
}
#endif

#endif
