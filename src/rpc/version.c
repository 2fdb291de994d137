/* version: of the library as it was built. */
#include "rpcnet/rpcnet.h"

const char *rpcnet_version(void) {
    return RPCNET_VERSION;
}
