/* rpcnet/status.h: gRPC status codes. */
#ifndef RPCNET_STATUS_H
#define RPCNET_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are those of the gRPC protocol. */
enum rpcnet_grpc_code {
    RPCNET_GRPC_OK = 0,
    RPCNET_GRPC_CANCELLED = 1,
    RPCNET_GRPC_UNKNOWN = 2,
    RPCNET_GRPC_INVALID_ARGUMENT = 3,
    RPCNET_GRPC_DEADLINE_EXCEEDED = 4,
    RPCNET_GRPC_NOT_FOUND = 5,
    RPCNET_GRPC_ALREADY_EXISTS = 6,
    RPCNET_GRPC_PERMISSION_DENIED = 7,
    RPCNET_GRPC_RESOURCE_EXHAUSTED = 8,
    RPCNET_GRPC_FAILED_PRECONDITION = 9,
    RPCNET_GRPC_ABORTED = 10,
    RPCNET_GRPC_OUT_OF_RANGE = 11,
    RPCNET_GRPC_UNIMPLEMENTED = 12,
    RPCNET_GRPC_INTERNAL = 13,
    RPCNET_GRPC_UNAVAILABLE = 14,
    RPCNET_GRPC_DATA_LOSS = 15,
    RPCNET_GRPC_UNAUTHENTICATED = 16
};

/* "OK", "CANCELLED", ... as the gRPC protocol spells them; "UNKNOWN" for any other number. Never
 * NULL; static storage; any thread. */
const char *rpcnet_grpc_code_name(int code);

#ifdef __cplusplus
}
#endif

#endif
