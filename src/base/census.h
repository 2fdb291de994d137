/* census: how many of something each address has at once (connections, calls), and no more than it
 * may.
 *
 * An address is counted without its port. IPv6 addresses are counted by their first 64 bits: a
 * single machine has as many of the rest as it likes. Takes memory only for addresses that have
 * something. */
#ifndef RN_BASE_CENSUS_H
#define RN_BASE_CENSUS_H

#include "base/address.h"

typedef struct rn_census rn_census;
typedef struct rn_census_place rn_census_place; /* of one address */

/* `each`: what an address may have; `addresses`: how many of them there can be at once (as many as
 * there can be things). RPCNET_ERR_MEMORY. */
int rn_census_new(rn_census **out, size_t each, size_t addresses, uint64_t seed);
void rn_census_del(rn_census *census); /* also with places that were not left; NULL is fine */

/* One more. RPCNET_ERR_LIMIT: the address has as many as it may; RPCNET_ERR_MEMORY. */
int rn_census_enter(rn_census *census, const rn_address *address, rn_census_place **out);
/* One less. NULL is fine. */
void rn_census_leave(rn_census *census, rn_census_place *place);

size_t rn_census_count(const rn_census *census, const rn_address *address);
size_t rn_census_each(const rn_census *census);

#endif
