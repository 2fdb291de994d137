/* base64: the standard alphabet (RFC 4648, section 4), as the values of "-bin" metadata use it. */
#ifndef RN_GRPC_BASE64_H
#define RN_GRPC_BASE64_H

#include "base/buffer.h"

static inline size_t rn_base64_encoded_len(size_t len) { /* without padding */
    return len / 3 * 4 + (len % 3 * 4 + 2) / 3;
}

/* Appends without padding, which gRPC asks for. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY. */
int rn_base64_encode(rn_buffer *out, rn_bytes bytes);
/* Takes text with padding and without; unused bits must be zero. RPCNET_ERR_PARSE (nothing is
 * appended then), RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY. */
int rn_base64_decode(rn_buffer *out, rn_bytes text);

#endif
