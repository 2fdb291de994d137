/* honest: the library's server, which sends back what it gets, and a client that keeps one stream
 * on one connection to it, whatever others do to the server meanwhile. */
#ifndef TESTS_FUZZ_HONEST_H
#define TESTS_FUZZ_HONEST_H

#include "fuzz/arena.h"

enum { HONEST_SERVED_MAX = 48 };

typedef struct honest {
    rn_sim *sim;
    rpcnet_server *server;
    rpcnet_call *served[HONEST_SERVED_MAX];
    rpcnet_channel *channel;
    rpcnet_call *call;
    unsigned echoed;
} honest;

/* The server listens at ARENA_SERVER; the client has got its first message back. */
void honest_start(honest *h, rn_sim *sim);
/* The stream goes on, on the connection that it has had from the beginning. */
void honest_check(honest *h);
void honest_end(honest *h);

#endif
