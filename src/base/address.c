/* address: parsing, formatting and comparing socket addresses.
 *
 * inet_pton and inet_ntop only turn text into bytes and back; an interface name as an IPv6 scope
 * would need the kernel, so only a numeric scope is parsed here and names are left to the driver's
 * resolver. */
#include "base/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "rpcnet/error.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_host_char(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_';
}

/* Decimal digits only, no sign and no space, unlike strtoul. */
static bool parse_decimal(const char *text, size_t digits_max, uint32_t max, uint32_t *value) {
    size_t len = strlen(text);
    if (len == 0 || len > digits_max) {
        return false;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
        sum = sum * 10 + (uint64_t)(text[i] - '0');
    }
    if (sum > max) {
        return false;
    }
    *value = (uint32_t)sum;
    return true;
}

int rn_address_from_sockaddr(rn_address *out, const struct sockaddr *sa, socklen_t len) {
    memset(out, 0, sizeof *out);
    if (sa == NULL || len < (socklen_t)sizeof sa->sa_family) {
        return RPCNET_ERR_ADDRESS;
    }
    if (sa->sa_family == AF_INET && len >= (socklen_t)sizeof out->in) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        out->in.sin_family = AF_INET;
        out->in.sin_port = in.sin_port;
        out->in.sin_addr = in.sin_addr;
        out->len = sizeof out->in;
        return RPCNET_OK;
    }
    if (sa->sa_family == AF_INET6 && len >= (socklen_t)sizeof out->in6) {
        memcpy(&out->in6, sa, sizeof out->in6);
        out->len = sizeof out->in6;
        return RPCNET_OK;
    }
    return RPCNET_ERR_ADDRESS;
}

/* Parses an IPv6 address with an optional "%scope"; `out` may be NULL to check the form alone, in
 * which case the scope may be an interface name too. */
static bool parse_ipv6(const char *host, rn_address *out) {
    char plain[INET6_ADDRSTRLEN];
    const char *percent = strchr(host, '%');
    size_t len = percent != NULL ? (size_t)(percent - host) : strlen(host);
    if (len >= sizeof plain) {
        return false;
    }
    memcpy(plain, host, len);
    plain[len] = '\0';
    struct in6_addr in6;
    if (inet_pton(AF_INET6, plain, &in6) != 1) {
        return false;
    }
    uint32_t scope = 0;
    if (percent != NULL && !parse_decimal(percent + 1, 10, UINT32_MAX, &scope)) {
        if (out != NULL || percent[1] == '\0') {
            return false;
        }
        for (const char *c = percent + 1; *c != '\0'; c++) {
            if (!is_host_char(*c)) {
                return false;
            }
        }
    }
    if (out != NULL) {
        out->in6.sin6_family = AF_INET6;
        out->in6.sin6_addr = in6;
        out->in6.sin6_scope_id = scope;
        out->len = sizeof out->in6;
    }
    return true;
}

/* A host whose last label is a number can only be meant as an IPv4 address; to ask a resolver for
 * "1.2.3" would turn a typing error into a surprise. */
static bool looks_like_ipv4(const char *host) {
    size_t len = strlen(host);
    size_t i = len;
    while (i > 0 && is_digit(host[i - 1])) {
        i--;
    }
    return i < len && (i == 0 || host[i - 1] == '.');
}

static bool host_is_valid(const char *host) {
    for (const char *c = host; *c != '\0'; c++) {
        if (!is_host_char(*c)) {
            return false;
        }
    }
    struct in_addr in;
    return !looks_like_ipv4(host) || inet_pton(AF_INET, host, &in) == 1;
}

int rn_address_split(const char *text, char host[RN_HOST_MAX + 1], uint16_t *port) {
    const char *colon = strrchr(text, ':');
    uint32_t number;
    if (colon == NULL || !parse_decimal(colon + 1, 5, UINT16_MAX, &number)) {
        return RPCNET_ERR_ADDRESS;
    }
    const char *from = text;
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (bracketed) {
        from++;
        len -= 2;
    }
    if (len == 0 || len > RN_HOST_MAX) {
        return RPCNET_ERR_ADDRESS;
    }
    memcpy(host, from, len);
    host[len] = '\0';
    if (bracketed ? !parse_ipv6(host, NULL) : !host_is_valid(host)) {
        return RPCNET_ERR_ADDRESS;
    }
    *port = (uint16_t)number;
    return RPCNET_OK;
}

int rn_address_parse(rn_address *out, const char *text) {
    char host[RN_HOST_MAX + 1];
    uint16_t port;
    memset(out, 0, sizeof *out);
    int result = rn_address_split(text, host, &port);
    if (result != RPCNET_OK) {
        return result;
    }
    if (text[0] == '[') {
        if (!parse_ipv6(host, out)) {
            memset(out, 0, sizeof *out);
            return RPCNET_ERR_ADDRESS;
        }
    } else {
        if (inet_pton(AF_INET, host, &out->in.sin_addr) != 1) {
            memset(out, 0, sizeof *out);
            return RPCNET_ERR_ADDRESS;
        }
        out->in.sin_family = AF_INET;
        out->len = sizeof out->in;
    }
    rn_address_set_port(out, port);
    return RPCNET_OK;
}

const char *rn_address_format(const rn_address *address, char out[RN_ADDRESS_TEXT_MAX]) {
    char host[INET6_ADDRSTRLEN];
    unsigned port = rn_address_port(address);
    if (address->len == 0) {
        snprintf(out, RN_ADDRESS_TEXT_MAX, "-");
    } else if (address->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof host);
        snprintf(out, RN_ADDRESS_TEXT_MAX, "%s:%u", host, port);
    } else {
        inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof host);
        unsigned scope = address->in6.sin6_scope_id;
        if (scope != 0) {
            snprintf(out, RN_ADDRESS_TEXT_MAX, "[%s%%%u]:%u", host, scope, port);
        } else {
            snprintf(out, RN_ADDRESS_TEXT_MAX, "[%s]:%u", host, port);
        }
    }
    return out;
}

uint16_t rn_address_port(const rn_address *address) {
    if (address->len == 0) {
        return 0;
    }
    return ntohs(address->sa.sa_family == AF_INET ? address->in.sin_port : address->in6.sin6_port);
}

void rn_address_set_port(rn_address *address, uint16_t port) {
    assert(address->len != 0);
    if (address->sa.sa_family == AF_INET) {
        address->in.sin_port = htons(port);
    } else {
        address->in6.sin6_port = htons(port);
    }
}

bool rn_address_equal(const rn_address *a, const rn_address *b) {
    return rn_address_same_host(a, b) && rn_address_port(a) == rn_address_port(b);
}

bool rn_address_same_host(const rn_address *a, const rn_address *b) {
    if (a->len == 0 || b->len == 0) {
        return a->len == b->len;
    }
    if (a->sa.sa_family != b->sa.sa_family) {
        return false;
    }
    if (a->sa.sa_family == AF_INET) {
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    }
    return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0 &&
           a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}
