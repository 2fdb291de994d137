/* rpcnet/error.h: results of library functions.
 *
 * Functions of the library return RPCNET_OK (0) or one of these negative numbers. They are one of
 * three kinds of error that never mix: library results (here), gRPC status codes
 * (rpcnet/status.h) and QUIC or HTTP/3 wire codes (uint64_t, internal). */
#ifndef RPCNET_ERROR_H
#define RPCNET_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Results. Numbers are stable; new ones are appended. */
enum rpcnet_error {
    RPCNET_OK = 0,
    RPCNET_ERR_MEMORY = -1,          /* an allocation failed */
    RPCNET_ERR_ARGUMENT = -2,        /* an argument is outside what the function documents */
    RPCNET_ERR_STATE = -3,           /* not allowed in the object's present state */
    RPCNET_ERR_LIMIT = -4,           /* a named limit is reached */
    RPCNET_ERR_AGAIN = -5,           /* no room now; a callback tells when to try again */
    RPCNET_ERR_PARSE = -6,           /* bytes do not follow their format */
    RPCNET_ERR_NOT_FOUND = -7,       /* nothing has that name or id */
    RPCNET_ERR_EXISTS = -8,          /* that name or id is taken */
    RPCNET_ERR_ADDRESS = -9,         /* an address is malformed or its host name does not resolve */
    RPCNET_ERR_ADDRESS_IN_USE = -10, /* another socket is bound there */
    RPCNET_ERR_PERMISSION = -11,     /* the operating system refuses */
    RPCNET_ERR_IO = -12,             /* any other failure of the operating system */
    RPCNET_ERR_TLS = -13,            /* a certificate, key or handshake is not acceptable */
    RPCNET_ERR_PROTOCOL = -14,       /* the peer broke QUIC, HTTP/3 or gRPC */
    RPCNET_ERR_CLOSED = -15,         /* the connection or stream is closed */
    RPCNET_ERR_TIMEOUT = -16,        /* a deadline passed */
    RPCNET_ERR_DESCRIPTORS = -17     /* the process or the system has no file descriptor left */
};

/* Returns a short English description of `result`, never NULL; static storage; any thread. */
const char *rpcnet_strerror(int result);

#ifdef __cplusplus
}
#endif

#endif
