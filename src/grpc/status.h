/* status: gRPC status codes and messages, and what HTTP and HTTP/3 errors mean in them. */
#ifndef RN_GRPC_STATUS_H
#define RN_GRPC_STATUS_H

#include "base/bytes.h"
#include "rpcnet/status.h"

enum {
    RN_STATUS_MESSAGE_MAX = 1024, /* bytes of a message; longer ones are cut, both ways */
    RN_STATUS_ENCODED_MAX = 3 * RN_STATUS_MESSAGE_MAX
};

/* A status as it is handed over; the message is UTF-8 for people, and may come from the peer. */
typedef struct rn_status {
    enum rpcnet_grpc_code code;
    rn_bytes message;
} rn_status;

/* The value of grpc-status: decimal digits. A number above 16 is UNKNOWN; false: not a number. */
bool rn_status_parse_code(rn_bytes wire, enum rpcnet_grpc_code *out);

/* The length of a message that is cut to RN_STATUS_MESSAGE_MAX, in front of a UTF-8 character. */
size_t rn_status_cut(rn_bytes message);
/* grpc-message: percent-encoding of what is not printable ASCII, and of "%". What is longer than a
 * message is cut, here and in decoding. Returns the length; `out` is not terminated. */
size_t rn_status_encode_message(char out[RN_STATUS_ENCODED_MAX], rn_bytes message);
/* Never fails: an escape that is none is taken as it stands. */
size_t rn_status_decode_message(char out[RN_STATUS_MESSAGE_MAX], rn_bytes wire);

/* A response without grpc-status and with this HTTP status (gRPC's http-grpc-status-mapping). */
enum rpcnet_grpc_code rn_status_of_http(unsigned http_status);
/* A stream that was reset with this HTTP/3 code (gRFC G2). */
enum rpcnet_grpc_code rn_status_of_h3(uint64_t code);

#endif
