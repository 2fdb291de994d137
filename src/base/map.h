/* map: a hash map from short byte keys (connection ids, labels, names) or numbers to pointers.
 *
 * Keys are copied, values are borrowed. The hash is seeded, so a peer that chooses keys cannot make
 * them collide. */
#ifndef RN_BASE_MAP_H
#define RN_BASE_MAP_H

#include "base/bytes.h"

enum { RN_MAP_KEY_MAX = 256 };

typedef struct rn_map rn_map;

/* `limit`: how many entries at the most. RPCNET_ERR_MEMORY. */
int rn_map_new(rn_map **out, size_t limit, uint64_t seed);
void rn_map_del(rn_map *map);

void *rn_map_get(const rn_map *map, rn_bytes key); /* NULL: not there */
/* `value` is not NULL. RPCNET_ERR_EXISTS, RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY, RPCNET_ERR_ARGUMENT
 * (key too long). */
int rn_map_put(rn_map *map, rn_bytes key, void *value);
void *rn_map_remove(rn_map *map, rn_bytes key); /* the value that was there, or NULL */
size_t rn_map_len(const rn_map *map);

/* Visits all entries in no order. The map must not change meanwhile. Start with *cursor = 0;
 * false: no more. */
bool rn_map_next(const rn_map *map, size_t *cursor, rn_bytes *key, void **value);

static inline rn_bytes rn_map_number(const uint64_t *number) {
    return rn_bytes_of(number, sizeof *number);
}

#endif
