/* map: open addressing with linear probing. A removal shifts the entries behind it back, so there
 * are no tombstones and a long-lived table does not wear out. The hash is SipHash-1-3. */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"

enum {
    CAPACITY_FIRST = 8,
    KEY_INLINE_MAX = 24 /* connection ids (20 bytes) and numbers need no allocation */
};

typedef struct entry {
    uint64_t hash;
    void *value; /* NULL: a free place */
    size_t key_len;
    union {
        uint8_t bytes[KEY_INLINE_MAX];
        uint8_t *heap;
    } key;
} entry;

struct rn_map {
    entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t len;
    size_t limit;
    uint64_t key[2]; /* of the hash */
};

static uint64_t rotate(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash_of(const rn_map *map, rn_bytes key) {
    uint64_t v[4] = {
        map->key[0] ^ UINT64_C(0x736f6d6570736575), map->key[1] ^ UINT64_C(0x646f72616e646f6d),
        map->key[0] ^ UINT64_C(0x6c7967656e657261), map->key[1] ^ UINT64_C(0x7465646279746573)};
    size_t at = 0;
    for (; key.len - at >= 8; at += 8) {
        uint64_t word = 0;
        for (unsigned i = 0; i < 8; i++) {
            word |= (uint64_t)key.data[at + i] << (8 * i);
        }
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)key.len << 56;
    for (unsigned i = 0; at + i < key.len; i++) {
        last |= (uint64_t)key.data[at + i] << (8 * i);
    }
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Spreads the one seed word over both words of the hash's key. */
static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

int rn_map_new(rn_map **out, size_t limit, uint64_t seed) {
    rn_map *map = calloc(1, sizeof *map);
    *out = map;
    if (map == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    map->limit = limit;
    map->key[0] = mix(seed + UINT64_C(0x9e3779b97f4a7c15));
    map->key[1] = mix(seed + UINT64_C(0x3c6ef372fe94f82a));
    return RPCNET_OK;
}

static rn_bytes key_of(const entry *e) {
    return rn_bytes_of(e->key_len <= KEY_INLINE_MAX ? e->key.bytes : e->key.heap, e->key_len);
}

static void free_key(entry *e) {
    if (e->key_len > KEY_INLINE_MAX) {
        free(e->key.heap);
    }
}

void rn_map_del(rn_map *map) {
    if (map == NULL) {
        return;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].value != NULL) {
            free_key(&map->entries[i]);
        }
    }
    free(map->entries);
    free(map);
}

static entry *find(const rn_map *map, rn_bytes key, uint64_t hash) {
    if (map->capacity == 0) {
        return NULL;
    }
    size_t mask = map->capacity - 1;
    for (size_t i = (size_t)hash & mask; map->entries[i].value != NULL; i = (i + 1) & mask) {
        entry *e = &map->entries[i];
        if (e->hash == hash && rn_bytes_equal(key_of(e), key)) {
            return e;
        }
    }
    return NULL;
}

void *rn_map_get(const rn_map *map, rn_bytes key) {
    if (map->len == 0 || key.len > RN_MAP_KEY_MAX) {
        return NULL;
    }
    entry *e = find(map, key, hash_of(map, key));
    return e != NULL ? e->value : NULL;
}

static entry *free_place(entry *entries, size_t capacity, uint64_t hash) {
    size_t i = (size_t)hash & (capacity - 1);
    while (entries[i].value != NULL) {
        i = (i + 1) & (capacity - 1);
    }
    return &entries[i];
}

static int grow(rn_map *map) {
    size_t capacity = map->capacity == 0 ? CAPACITY_FIRST : map->capacity * 2;
    entry *entries = calloc(capacity, sizeof *entries);
    if (entries == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].value != NULL) {
            *free_place(entries, capacity, map->entries[i].hash) = map->entries[i];
        }
    }
    free(map->entries);
    map->entries = entries;
    map->capacity = capacity;
    return RPCNET_OK;
}

int rn_map_put(rn_map *map, rn_bytes key, void *value) {
    assert(value != NULL);
    if (key.len > RN_MAP_KEY_MAX) {
        return RPCNET_ERR_ARGUMENT;
    }
    uint64_t hash = hash_of(map, key);
    if (find(map, key, hash) != NULL) {
        return RPCNET_ERR_EXISTS;
    }
    if (map->len >= map->limit) {
        return RPCNET_ERR_LIMIT;
    }
    /* At most three quarters full, so that there always is a free place to end a search. */
    if (map->len >= map->capacity - map->capacity / 4) {
        int result = grow(map);
        if (result != RPCNET_OK) {
            return result;
        }
    }
    entry added = {.hash = hash, .value = value, .key_len = key.len};
    if (key.len > KEY_INLINE_MAX) {
        added.key.heap = malloc(key.len);
        if (added.key.heap == NULL) {
            return RPCNET_ERR_MEMORY;
        }
        memcpy(added.key.heap, key.data, key.len);
    } else if (key.len > 0) {
        memcpy(added.key.bytes, key.data, key.len);
    }
    *free_place(map->entries, map->capacity, hash) = added;
    map->len++;
    return RPCNET_OK;
}

void *rn_map_remove(rn_map *map, rn_bytes key) {
    if (map->len == 0 || key.len > RN_MAP_KEY_MAX) {
        return NULL;
    }
    entry *e = find(map, key, hash_of(map, key));
    if (e == NULL) {
        return NULL;
    }
    void *value = e->value;
    free_key(e);
    size_t mask = map->capacity - 1;
    size_t hole = (size_t)(e - map->entries);
    for (size_t i = (hole + 1) & mask; map->entries[i].value != NULL; i = (i + 1) & mask) {
        /* An entry may fill the hole only if its search would have passed there. */
        size_t home = (size_t)map->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole].value = NULL;
    map->len--;
    return value;
}

size_t rn_map_len(const rn_map *map) {
    return map->len;
}

bool rn_map_next(const rn_map *map, size_t *cursor, rn_bytes *key, void **value) {
    for (; *cursor < map->capacity; ++*cursor) {
        const entry *e = &map->entries[*cursor];
        if (e->value != NULL) {
            *key = key_of(e);
            *value = e->value;
            ++*cursor;
            return true;
        }
    }
    return false;
}
