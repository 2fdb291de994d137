/* packets: see the header. */
#include "sim/world/packets.h"

#include <inttypes.h>

#include "rpcnet/error.h"
#include "sim/internal.h"

enum { KEYS_MAX = 1 << 20 };

/* ngtcp2 counts packet numbers up, so one that is no greater than the last was used before or was
 * passed over. */
static void on_seal(uint64_t key, uint64_t packet_number, void *user) {
    rn_packets *packets = user;
    uintptr_t next = (uintptr_t)rn_map_remove(packets->numbers, rn_map_number(&key));
    if (packet_number < next) {
        rn_violate(packets->verdict, "packet-number",
                   "packet number %" PRIu64 " under a key that had sealed %" PRIu64 " before",
                   packet_number, (uint64_t)next - 1);
    }
    next = (uintptr_t)packet_number + 1;
    rn_sim_require(rn_map_put(packets->numbers, rn_map_number(&key), (void *)next) == RPCNET_OK,
                   "too many keys");
    packets->sealed++;
    packets->uncommitted++;
}

static void on_commit(rn_env *env, void *connection, unsigned dirty, void *user) {
    rn_packets *packets = user;
    (void)env;
    (void)connection;
    (void)dirty;
    packets->uncommitted = 0;
}

/* One process runs at a time, and it commits and sends a flight before it builds the next. */
static void on_datagram(const rn_sim_seen *seen, void *user) {
    rn_packets *packets = user;
    if (seen->fate == RN_SIM_SENT && packets->uncommitted > 0) {
        rn_violate(packets->verdict, "commit",
                   "a datagram of %zu bytes left before its %" PRIu64 " packets were committed",
                   seen->data.len, packets->uncommitted);
    }
}

void rn_packets_init(rn_packets *packets, rn_sim *sim, rn_verdict *verdict) {
    *packets = (rn_packets){.sim = sim, .verdict = verdict};
    rn_sim_require(rn_map_new(&packets->numbers, KEYS_MAX, 0) == RPCNET_OK, "a map");
    rn_sim_set_commit(sim, on_commit, packets);
    rn_sim_set_tap(sim, on_datagram, packets);
    rn_packets_watch(on_seal, packets);
}

void rn_packets_fini(rn_packets *packets) {
    rn_packets_watch(NULL, NULL);
    rn_sim_set_tap(packets->sim, NULL, NULL);
    rn_sim_set_commit(packets->sim, NULL, NULL);
    rn_map_del(packets->numbers);
}
