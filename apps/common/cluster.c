/* cluster: see the header. */
#include "common/cluster.h"

void rn_cluster_limits(rpcnet_limits *limits) {
    limits->handshakes_max = RN_CLUSTER_HANDSHAKES_MAX;
    limits->handshakes_per_address = RN_CLUSTER_HANDSHAKES_PER_ADDRESS;
    limits->handshake_timeout_ns = UINT64_C(1000000000) * RN_CLUSTER_HANDSHAKE_TIMEOUT_S;
}

void rn_cluster_call_options(rpcnet_call_options *options) {
    rpcnet_call_options_init(options);
    options->receive_max = RN_CLUSTER_MESSAGE_MAX;
}
