/* The smallest program that uses an installed RpcNet. */
#include <rpcnet/error.h>
#include <stdio.h>

int main(void) {
    return puts(rpcnet_strerror(RPCNET_ERR_TIMEOUT)) < 0;
}
