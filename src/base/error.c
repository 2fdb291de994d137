/* error: the text of each library result. */
#include "rpcnet/error.h"

const char *rpcnet_strerror(int result) {
    switch (result) {
    case RPCNET_OK:
        return "success";
    case RPCNET_ERR_MEMORY:
        return "out of memory";
    case RPCNET_ERR_ARGUMENT:
        return "invalid argument";
    case RPCNET_ERR_STATE:
        return "not allowed in the present state";
    case RPCNET_ERR_LIMIT:
        return "a limit is reached";
    case RPCNET_ERR_AGAIN:
        return "no room now, try again later";
    case RPCNET_ERR_PARSE:
        return "malformed bytes";
    case RPCNET_ERR_NOT_FOUND:
        return "not found";
    case RPCNET_ERR_EXISTS:
        return "already exists";
    case RPCNET_ERR_ADDRESS:
        return "the address is malformed or its host name does not resolve";
    case RPCNET_ERR_ADDRESS_IN_USE:
        return "the address is in use";
    case RPCNET_ERR_PERMISSION:
        return "the operating system refuses permission";
    case RPCNET_ERR_IO:
        return "an operating system call failed";
    case RPCNET_ERR_TLS:
        return "the certificate, key or TLS handshake is not acceptable";
    case RPCNET_ERR_PROTOCOL:
        return "the peer broke the protocol";
    case RPCNET_ERR_CLOSED:
        return "closed";
    case RPCNET_ERR_TIMEOUT:
        return "timed out";
    case RPCNET_ERR_DESCRIPTORS:
        return "too many open files; raise the limit of descriptors (ulimit -n)";
    default:
        return "unknown error";
    }
}
