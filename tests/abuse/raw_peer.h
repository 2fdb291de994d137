/* raw_peer: the other end of a QUIC connection, client or server, that says what a script tells it
 * to and notes what it hears. Below the streams it behaves (it is src/quic itself), unless packets
 * are forged (abuse/forge.h). */
#ifndef TESTS_ABUSE_RAW_PEER_H
#define TESTS_ABUSE_RAW_PEER_H

#include "abuse/script.h"
#include "quic/endpoint.h"
#include "sim/net.h"

enum { RAW_STREAMS_MAX = 160, RAW_HEARD_MAX = 65536, RAW_DATAGRAM_MAX = 1500 };

typedef struct raw_stream {
    rn_stream *stream; /* NULL once it is closed */
    int64_t id;
    bool own; /* opened by this peer */
    rn_buffer heard;
    bool finished;
    bool reset;
    uint64_t reset_code;
} raw_stream;

typedef struct raw_peer {
    rn_sim *sim;
    rn_env *env;
    rn_udp *udp;
    rn_endpoint *endpoint;
    rn_timer *timer;
    rn_deferred flush;
    rn_tls_context *tls;
    rn_conn *conn; /* of a server: the last one; NULL once closed */
    rn_address remote;
    bool deaf; /* datagrams that come are thrown away, but for the last one */
    uint8_t last[RAW_DATAGRAM_MAX];
    size_t last_len;
    bool established;
    bool closed;
    rn_close close;
    raw_stream streams[RAW_STREAMS_MAX];
    size_t stream_count;
} raw_peer;

typedef struct raw_options {
    const char *certificate; /* a name in RN_TEST_CERTS; NULL: none */
    const char *alpn;
    const char *bind;    /* "10.0.0.2:61000": a server */
    const char *connect; /* the same: a client */
    rn_tls_expect expect;
} raw_options;

/* A client connects at once; wait for `established`. */
void raw_peer_start(raw_peer *peer, rn_sim *sim, rn_env *env, const raw_options *options);
void raw_peer_stop(raw_peer *peer);

/* Does what the script says, opening streams as they are named; ends early when the connection has
 * been closed. */
void raw_peer_play(raw_peer *peer, const char *script);
/* Lets time pass until the connection is established or closed. */
void raw_peer_settle(raw_peer *peer);

/* 'r', 'u' or 'b' and a number as in a script; NULL: there is none yet. */
raw_stream *raw_peer_stream(raw_peer *peer, char kind, unsigned number);

/* What HTTP/3 says on a stream: the value of a field in its header sections ("" when it is not
 * there), and the length of its DATA. Fails the test when the peer itself breaks the rules. */
const char *raw_stream_field(const raw_stream *stream, const char *name, char out[256]);
size_t raw_stream_body(const raw_stream *stream);

#endif
