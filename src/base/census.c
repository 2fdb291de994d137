/* census: a map from addresses to their counts. */
#include "base/census.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "rpcnet/error.h"

enum { KEY_MAX = 1 + 16, IPV6_PREFIX = 8 };

struct rn_census_place {
    size_t count;
    size_t key_len;
    uint8_t key[KEY_MAX];
};

struct rn_census {
    rn_map *places;
    size_t each;
};

static rn_bytes key_of(const rn_address *address, uint8_t out[KEY_MAX]) {
    out[0] = (uint8_t)address->sa.sa_family;
    if (address->sa.sa_family == AF_INET) {
        memcpy(out + 1, &address->in.sin_addr, sizeof address->in.sin_addr);
        return rn_bytes_of(out, 1 + sizeof address->in.sin_addr);
    }
    const uint8_t *bytes = address->in6.sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr)) {
        out[0] = AF_INET;
        memcpy(out + 1, bytes + 12, 4);
        return rn_bytes_of(out, 1 + 4);
    }
    memcpy(out + 1, bytes, IPV6_PREFIX);
    return rn_bytes_of(out, 1 + IPV6_PREFIX);
}

int rn_census_new(rn_census **out, size_t each, size_t addresses, uint64_t seed) {
    rn_census *census = calloc(1, sizeof *census);
    if (census == NULL || rn_map_new(&census->places, addresses, seed) != RPCNET_OK) {
        free(census);
        return RPCNET_ERR_MEMORY;
    }
    census->each = each;
    *out = census;
    return RPCNET_OK;
}

void rn_census_del(rn_census *census) {
    size_t cursor = 0;
    rn_bytes key;
    void *place;
    if (census == NULL) {
        return;
    }
    while (rn_map_next(census->places, &cursor, &key, &place)) {
        free(place);
    }
    rn_map_del(census->places);
    free(census);
}

static int add_place(rn_census *census, rn_bytes key, rn_census_place **out) {
    rn_census_place *place = calloc(1, sizeof *place);
    if (place == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    place->key_len = key.len;
    memcpy(place->key, key.data, key.len);
    int result = rn_map_put(census->places, key, place);
    if (result != RPCNET_OK) {
        free(place);
        return result;
    }
    *out = place;
    return RPCNET_OK;
}

int rn_census_enter(rn_census *census, const rn_address *address, rn_census_place **out) {
    uint8_t bytes[KEY_MAX];
    rn_bytes key = key_of(address, bytes);
    rn_census_place *place = rn_map_get(census->places, key);
    if (census->each == 0 || (place != NULL && place->count >= census->each)) {
        return RPCNET_ERR_LIMIT;
    }
    if (place == NULL) {
        int result = add_place(census, key, &place);
        if (result != RPCNET_OK) {
            return result;
        }
    }
    place->count++;
    *out = place;
    return RPCNET_OK;
}

void rn_census_leave(rn_census *census, rn_census_place *place) {
    if (place != NULL && --place->count == 0) {
        (void)rn_map_remove(census->places, rn_bytes_of(place->key, place->key_len));
        free(place);
    }
}

size_t rn_census_count(const rn_census *census, const rn_address *address) {
    uint8_t bytes[KEY_MAX];
    const rn_census_place *place = rn_map_get(census->places, key_of(address, bytes));
    return place != NULL ? place->count : 0;
}

size_t rn_census_each(const rn_census *census) {
    return census->each;
}
