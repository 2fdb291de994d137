/* cluster: what programs inside a cluster allow each other, and those who knock and show no
 * certificate.
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
    RN_CLUSTER_HANDSHAKE_TIMEOUT_S = 3,
    /* Registrations, reports, answers to health checks and probes: all that is said beside streams.
     * A registration with the longest names has 600 bytes. */
    RN_CLUSTER_MESSAGE_MAX = 2048
};

/* Sets those of handshakes. */
void rn_cluster_limits(rpcnet_limits *limits);
/* Of a call that is no stream: the defaults, but for RN_CLUSTER_MESSAGE_MAX. */
void rn_cluster_call_options(rpcnet_call_options *options);

#endif
