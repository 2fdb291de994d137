/* metadata: the custom fields of a call, request or response, as the application sees them.
 *
 * A bounded list that owns its bytes and keeps order and repetitions. Values of names that end in
 * "-bin" are raw bytes here and base64 on the wire; others are printable ASCII. Pseudo-headers,
 * "grpc-" names (but for grpc-status-details-bin, which carries an application's rich errors) and
 * the fields that the protocol itself uses cannot be metadata. */
#ifndef RN_GRPC_METADATA_H
#define RN_GRPC_METADATA_H

#include "base/buffer.h"

enum {
    RN_METADATA_FIELDS_MAX = 96,  /* leaves room for the protocol's own in RN_H3_FIELDS_MAX */
    RN_METADATA_BYTES_MAX = 12288 /* names and values together */
};

typedef struct rn_metadata_entry rn_metadata_entry;

typedef struct rn_metadata {
    rn_buffer bytes;
    rn_metadata_entry *entries; /* positions in `bytes` */
    size_t count;
    size_t capacity;
} rn_metadata;

typedef struct rn_metadata_field {
    rn_bytes name;
    rn_bytes value;
} rn_metadata_field;

void rn_metadata_init(rn_metadata *metadata); /* takes no memory */
/* The same; its names and values are counted in `budget`, which outlives it and may be NULL. */
void rn_metadata_init_counted(rn_metadata *metadata, rn_budget *budget);
void rn_metadata_fini(rn_metadata *metadata);
void rn_metadata_clear(rn_metadata *metadata);

/* RPCNET_ERR_ARGUMENT: the name is malformed (lower case, digits, "-", "_", ".") or reserved, or
 * the value is not allowed; RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY. */
int rn_metadata_add(rn_metadata *metadata, rn_bytes name, rn_bytes value);
/* Appends all of `from`. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY; nothing is appended then. */
int rn_metadata_copy(rn_metadata *metadata, const rn_metadata *from);

/* A field as it came: what cannot be metadata is skipped with RPCNET_OK, "-bin" values are split at
 * commas and decoded, with and without padding. RPCNET_ERR_PARSE: such a value is no base64;
 * RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY. */
int rn_metadata_add_wire(rn_metadata *metadata, rn_bytes name, rn_bytes value);

static inline size_t rn_metadata_count(const rn_metadata *metadata) {
    return metadata->count;
}
/* Borrowed until the list changes; index < count. */
rn_metadata_field rn_metadata_at(const rn_metadata *metadata, size_t index);
/* The first value of that name; false: there is none. */
bool rn_metadata_find(const rn_metadata *metadata, const char *name, rn_bytes *value);

bool rn_metadata_is_reserved(rn_bytes name);
bool rn_metadata_is_binary(rn_bytes name); /* ends in "-bin" */
bool rn_metadata_name_valid(rn_bytes name);
/* Of a name without "-bin": printable ASCII that neither begins nor ends with a space. */
bool rn_metadata_value_valid(rn_bytes value);

#endif
