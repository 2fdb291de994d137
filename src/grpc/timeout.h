/* timeout: the value of grpc-timeout, one to eight digits and a unit (H M S m u n). */
#ifndef RN_GRPC_TIMEOUT_H
#define RN_GRPC_TIMEOUT_H

#include "base/bytes.h"

enum { RN_TIMEOUT_DIGITS_MAX = 8, RN_TIMEOUT_TEXT_MAX = RN_TIMEOUT_DIGITS_MAX + 1 };

/* Nanoseconds; UINT64_MAX when it is more than 64 bits hold. RPCNET_ERR_PARSE. */
int rn_timeout_parse(rn_bytes text, uint64_t *timeout_ns);
/* In the finest unit that eight digits allow, rounded up. Returns the length; not terminated. */
size_t rn_timeout_format(char out[RN_TIMEOUT_TEXT_MAX], uint64_t timeout_ns);

#endif
