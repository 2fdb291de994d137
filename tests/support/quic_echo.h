/* quic_echo: a server that sends back what it gets, and a client that checks it, on any driver of
 * rn_env. The tests of the QUIC layer run it on the simulated network and on real sockets. */
#ifndef RN_TESTS_QUIC_ECHO_H
#define RN_TESTS_QUIC_ECHO_H

#include "quic/port.h"

enum { RN_ECHO_STREAMS_MAX = 64, RN_ECHO_ROUNDS_UNLIMITED = 0 };

typedef struct rn_echo_server {
    rn_port *port;
    rn_tls_context *tls;
    rn_list held;  /* bytes that wait for room */
    rn_conn *conn; /* the last one accepted; NULL once it is closed */
    size_t accepted;
    size_t established;
    size_t closed;
    rn_close close; /* of the last one that closed */
    char identity[RN_TLS_IDENTITY_MAX];
} rn_echo_server;

typedef struct rn_echo_server_options {
    const char *certificate; /* "server", "director", ...: a name in the folder of certificates */
    bool require_client;
    uint8_t secret_byte;
    uint8_t previous_secret_byte; /* 0: no previous secret */
    rn_quic_limits limits;
    rn_address bind;
} rn_echo_server_options;

typedef struct rn_echo_stream {
    struct rn_echo_client *client;
    rn_stream *stream;
    uint64_t sent;
    uint64_t echoed;
    bool ended; /* FIN came back behind the last byte */
    bool closed;
} rn_echo_stream;

typedef struct rn_echo_client {
    rn_port *port;
    rn_tls_context *tls;
    rn_conn *conn;  /* NULL once closed */
    uint64_t bytes; /* for each stream */
    size_t streams_wanted;
    rn_echo_stream streams[RN_ECHO_STREAMS_MAX];
    size_t streams_open;
    size_t streams_done;
    size_t streams_failed; /* closed without the whole echo */
    bool established;
    bool wrong; /* a byte came back that was not sent, or too many */
    bool done;  /* all streams came back whole */
    bool closed;
    size_t unreachable;
    rn_close close;
    uint8_t token[256];
    size_t token_len;
    void (*on_change)(void *user); /* done, closed, established: may be NULL */
    void *user;
} rn_echo_client;

typedef struct rn_echo_client_options {
    const char *certificate; /* NULL: none */
    const char *ca;          /* NULL: the cluster's */
    rn_tls_expect expect;
    rn_address server;
    size_t streams;
    uint64_t bytes;
    const uint8_t *token;
    size_t token_len;
    rn_quic_limits limits;
} rn_echo_client_options;

/* `certs`: folder that scripts/make-certs.sh has filled. */
int rn_echo_server_start(rn_echo_server *server, rn_env *env, const char *certs,
                         const rn_echo_server_options *options);
void rn_echo_server_stop(rn_echo_server *server);
int rn_echo_client_start(rn_echo_client *client, rn_env *env, const char *certs,
                         const rn_echo_client_options *options);
void rn_echo_client_stop(rn_echo_client *client);

#endif
