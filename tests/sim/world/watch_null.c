/* watch_null: the scripted TLS tells what it seals. */
#include "sim/tls_null/watch.h"
#include "sim/world/packets.h"

void rn_packets_watch(rn_packets_seal_fn *fn, void *user) {
    rn_null_watch(fn, user);
}
