/* packets: what has to hold for every packet that leaves a process.
 *
 * No packet number is used twice under one key (RFC 9001, section 5.3), and what a flight reveals
 * was committed before the flight left (rn_env_ops.commit). Both are seen from outside: by what the
 * scripted TLS seals, and by what the network is given. With the real TLS nothing can be seen. */
#ifndef RN_TESTS_SIM_WORLD_PACKETS_H
#define RN_TESTS_SIM_WORLD_PACKETS_H

#include "base/map.h"
#include "sim/world/verdict.h"

typedef struct rn_packets {
    rn_sim *sim;
    rn_verdict *verdict;
    rn_map *numbers; /* by key: the last packet number, plus one */
    uint64_t sealed;
    uint64_t uncommitted; /* sealed since the last commit */
} rn_packets;

void rn_packets_init(rn_packets *packets, rn_sim *sim, rn_verdict *verdict);
void rn_packets_fini(rn_packets *packets);

/* Tells `fn` of each 1-RTT packet that is sealed. One of watch_null.c and watch_tls.c is linked;
 * the latter can see nothing. */
typedef void rn_packets_seal_fn(uint64_t key, uint64_t packet_number, void *user);
void rn_packets_watch(rn_packets_seal_fn *fn, void *user);

#endif
