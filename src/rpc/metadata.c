/* metadata: the public face of grpc/metadata.h. */
#include <stdlib.h>

#include "grpc/metadata.h"
#include "rpcnet/rpcnet.h"

int rpcnet_metadata_new(rpcnet_metadata **out) {
    rn_metadata *metadata = malloc(sizeof *metadata);
    if (metadata == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    rn_metadata_init(metadata);
    *out = metadata;
    return RPCNET_OK;
}

void rpcnet_metadata_del(rpcnet_metadata *metadata) {
    if (metadata != NULL) {
        rn_metadata_fini(metadata);
        free(metadata);
    }
}

int rpcnet_metadata_add(rpcnet_metadata *metadata, const char *name, const void *value,
                        size_t len) {
    return rn_metadata_add(metadata, rn_bytes_text(name), rn_bytes_of(value, len));
}

size_t rpcnet_metadata_count(const rpcnet_metadata *metadata) {
    return rn_metadata_count(metadata);
}

void rpcnet_metadata_at(const rpcnet_metadata *metadata, size_t index, const char **name,
                        size_t *name_len, const void **value, size_t *value_len) {
    rn_metadata_field field = rn_metadata_at(metadata, index);
    *name = (const char *)field.name.data;
    *name_len = field.name.len;
    *value = field.value.data;
    *value_len = field.value.len;
}

bool rpcnet_metadata_find(const rpcnet_metadata *metadata, const char *name, const void **value,
                          size_t *len) {
    rn_bytes found;
    if (!rn_metadata_find(metadata, name, &found)) {
        return false;
    }
    *value = found.data;
    *len = found.len;
    return true;
}
