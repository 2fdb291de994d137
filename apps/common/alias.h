/* alias: the older names with one port, from which the addresses of two ports are computed.
 *
 *   CONNECTION_SWAP_DIRECTOR_ADDR=h:p    director: USER h:p, MGMT h:p+1
 *   CONNECTION_SWAP_WORKER_ADDR=h:p      worker:   USER h:p, MGMT h:p+1000
 *   CONNECTION_SWAP_DIRECTOR_TARGET=h:p  worker:   the director's MGMT h:p+1
 *
 * The newer name wins where both are given, with one warning for each older name. */
#ifndef APPS_COMMON_ALIAS_H
#define APPS_COMMON_ALIAS_H

#include "base/address.h"
#include "base/settings.h"

enum {
    RN_ALIAS_TEXT_MAX = RN_HOST_MAX + 10, /* "[host]:65535" with its NUL */
    RN_ALIAS_DIRECTOR_MGMT = 1,           /* MGMT - USER port of a director */
    RN_ALIAS_WORKER_MGMT = 1000           /* and of a worker */
};

/* A computed address; belongs into the program's struct, whose members point to it. */
typedef struct rn_alias {
    char text[RN_ALIAS_TEXT_MAX];
} rn_alias;

/* "host:port" with port + delta; port 0 (any) stays 0. RPCNET_ERR_ADDRESS: malformed,
 * RPCNET_ERR_LIMIT: above 65535. */
int rn_alias_shift(const char *address, unsigned delta, rn_alias *out);

/* For rn_settings_spec.check. Settings must be called user-addr and mgmt-addr, a worker's director
 * director-mgmt-addr. Results as rn_settings_derive. */
int rn_alias_director(rn_settings *settings, rn_alias *mgmt);
int rn_alias_worker(rn_settings *settings, rn_alias *mgmt, rn_alias *director);

#endif
