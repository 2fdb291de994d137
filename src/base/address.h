/* address: an IPv4 or IPv6 socket address with a port, as a value.
 *
 * Only the types of <sys/socket.h> are used here, no socket function; names are resolved by the
 * driver behind rn_env. */
#ifndef RN_BASE_ADDRESS_H
#define RN_BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct rn_address {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len; /* 0: no address */
} rn_address;

/* "[2001:db8:...%scope]:65535" with its NUL. */
enum { RN_ADDRESS_TEXT_MAX = 80, RN_HOST_MAX = 253 };

/* Copies a sockaddr of family AF_INET or AF_INET6. RPCNET_ERR_ADDRESS for anything else. */
int rn_address_from_sockaddr(rn_address *out, const struct sockaddr *sa, socklen_t len);

/* Parses "127.0.0.1:61000" or "[::1]:61000" with a port of 0..65535. RPCNET_ERR_ADDRESS when it
 * is malformed or the host is a name (see rn_address_split). An IPv6 scope is a number,
 * "[fe80::1%2]:1"; the name of an interface is for the resolver, like a host name. */
int rn_address_parse(rn_address *out, const char *text);

/* Splits "host:port" where host is a name, an IPv4 address or a bracketed IPv6 address. `host`
 * takes the host without brackets, NUL-terminated. RPCNET_ERR_ADDRESS when malformed. */
int rn_address_split(const char *text, char host[RN_HOST_MAX + 1], uint16_t *port);

/* Writes "127.0.0.1:61000" / "[::1]:61000" ("-" for no address); returns `out`. */
const char *rn_address_format(const rn_address *address, char out[RN_ADDRESS_TEXT_MAX]);

uint16_t rn_address_port(const rn_address *address);
void rn_address_set_port(rn_address *address, uint16_t port);
bool rn_address_equal(const rn_address *a, const rn_address *b);     /* host and port */
bool rn_address_same_host(const rn_address *a, const rn_address *b); /* without the port */

#endif
