/* cluster: what servers inside a cluster allow those who knock and show no certificate.
 *
 * Everybody whose packets reach such a port can begin handshakes; only members can finish them.
 * They are in one network and need milliseconds. */
#ifndef APPS_COMMON_CLUSTER_H
#define APPS_COMMON_CLUSTER_H

#include "rpcnet/rpcnet.h"

enum {
    RN_CLUSTER_HANDSHAKES_MAX = 512,
    /* Half a full pool of workers behind one address may register in the same moment; the others
     * try again. */
    RN_CLUSTER_HANDSHAKES_PER_ADDRESS = 128,
    RN_CLUSTER_HANDSHAKE_TIMEOUT_S = 3
};

/* Sets these three. */
void rn_cluster_limits(rpcnet_limits *limits);

#endif
