/* arena: two machines of the simulated network, tls_null, and a fuzz_peer on one of them, behind a
 * real handshake of src/quic. */
#ifndef TESTS_FUZZ_ARENA_H
#define TESTS_FUZZ_ARENA_H

#include "fuzz/peer.h"
#include "quic/port.h"
#include "rpcnet/rpcnet.h"
#include "sim/net.h"

#define ARENA_SERVER_HOST "10.0.0.2"
#define ARENA_SERVER "10.0.0.2:61000"
#define ARENA_CLIENT_HOST "10.0.0.1"
#define ARENA_PEER_HOST "10.0.0.3"
#define ARENA_IDENTITY "rpcnet://role/director"

enum arena_step {
    ARENA_TIME,    /* units of 2 ms */
    ARENA_NETWORK, /* what the peer's path does from now on: loss, duplicates, reordering */
    ARENA_REBIND,  /* the peer's datagrams come from another address */
    ARENA_STEPS
};

typedef struct arena {
    rn_sim *sim;
    rn_env *env; /* of the peer */
    rn_port *port;
    fuzz_peer peer;
    unsigned rebinds;
} arena;

/* Read once for all inputs. `name`: a pair in the folder of simulated certificates; NULL: none. */
const rpcnet_credentials *arena_credentials(const char *name);
rn_tls_context *arena_tls(const char *name);

void arena_init(arena *a);
void arena_fini(arena *a); /* what lives on the envs must be gone, but for the peer */

/* The peer connects to ARENA_SERVER, or listens at port 61000 of its machine with that pair. */
void arena_peer_connect(arena *a, const char *alpn);
void arena_peer_listen(arena *a, const char *alpn, const char *name);
/* Waits for the peer's handshake. False: it failed. */
bool arena_establish(arena *a);

/* Plays the peer's and the arena's steps until the input is used up, then 200 ms more. */
void arena_play(arena *a, fuzz_input *input);

#endif
