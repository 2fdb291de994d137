/* metadata: see metadata.h. All names and values lie in one buffer; entries are positions in it,
 * because the buffer moves when it grows. */
#include "grpc/metadata.h"

#include <assert.h>
#include <stdlib.h>

#include "grpc/base64.h"
#include "rpcnet/error.h"

struct rn_metadata_entry {
    uint32_t start; /* of the name; the value follows it */
    uint32_t name_len;
    uint32_t value_len;
};

void rn_metadata_init(rn_metadata *metadata) {
    rn_metadata_init_counted(metadata, NULL);
}

void rn_metadata_init_counted(rn_metadata *metadata, rn_budget *budget) {
    memset(metadata, 0, sizeof *metadata);
    rn_buffer_init_counted(&metadata->bytes, RN_METADATA_BYTES_MAX, budget);
}

void rn_metadata_fini(rn_metadata *metadata) {
    rn_buffer_fini(&metadata->bytes);
    free(metadata->entries);
    metadata->entries = NULL;
    metadata->count = metadata->capacity = 0;
}

void rn_metadata_clear(rn_metadata *metadata) {
    rn_buffer_clear(&metadata->bytes);
    metadata->count = 0;
}

bool rn_metadata_is_reserved(rn_bytes name) {
    static const char *const names[] = {
        "te",         "content-type", "content-length",    "user-agent",       "host",
        "connection", "keep-alive",   "transfer-encoding", "proxy-connection", "upgrade"};
    if (name.len > 0 && name.data[0] == ':') {
        return true;
    }
    if (name.len >= 5 && memcmp(name.data, "grpc-", 5) == 0) {
        return !rn_bytes_is(name, "grpc-status-details-bin");
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (rn_bytes_is(name, names[i])) {
            return true;
        }
    }
    return false;
}

bool rn_metadata_is_binary(rn_bytes name) {
    return name.len > 4 && memcmp(name.data + name.len - 4, "-bin", 4) == 0;
}

bool rn_metadata_name_valid(rn_bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '_' && c != '.') {
            return false;
        }
    }
    return name.len > 0;
}

bool rn_metadata_value_valid(rn_bytes value) {
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < 0x20 || value.data[i] > 0x7e) {
            return false;
        }
    }
    return value.len == 0 || (value.data[0] != ' ' && value.data[value.len - 1] != ' ');
}

static int reserve_entry(rn_metadata *metadata) {
    if (metadata->count == RN_METADATA_FIELDS_MAX) {
        return RPCNET_ERR_LIMIT;
    }
    if (metadata->count < metadata->capacity) {
        return RPCNET_OK;
    }
    size_t capacity = metadata->capacity == 0 ? 8 : metadata->capacity * 2;
    rn_metadata_entry *entries = realloc(metadata->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    metadata->entries = entries;
    metadata->capacity = capacity;
    return RPCNET_OK;
}

/* `base64`: the value is decoded on its way. */
static int append(rn_metadata *metadata, rn_bytes name, rn_bytes value, bool base64) {
    size_t start = metadata->bytes.len;
    int rv = reserve_entry(metadata);
    if (rv == RPCNET_OK) {
        rv = rn_buffer_append(&metadata->bytes, name.data, name.len);
    }
    if (rv == RPCNET_OK) {
        rv = base64 ? rn_base64_decode(&metadata->bytes, value)
                    : rn_buffer_append(&metadata->bytes, value.data, value.len);
    }
    if (rv != RPCNET_OK) {
        metadata->bytes.len = start;
        return rv;
    }
    metadata->entries[metadata->count++] = (rn_metadata_entry){
        .start = (uint32_t)start,
        .name_len = (uint32_t)name.len,
        .value_len = (uint32_t)(metadata->bytes.len - start - name.len),
    };
    return RPCNET_OK;
}

int rn_metadata_add(rn_metadata *metadata, rn_bytes name, rn_bytes value) {
    if (!rn_metadata_name_valid(name) || rn_metadata_is_reserved(name)) {
        return RPCNET_ERR_ARGUMENT;
    }
    if (!rn_metadata_is_binary(name) && !rn_metadata_value_valid(value)) {
        return RPCNET_ERR_ARGUMENT;
    }
    return append(metadata, name, value, false);
}

int rn_metadata_copy(rn_metadata *metadata, const rn_metadata *from) {
    size_t len = metadata->bytes.len;
    size_t count = metadata->count;
    for (size_t i = 0; i < from->count; i++) {
        rn_metadata_field field = rn_metadata_at(from, i);
        int rv = append(metadata, field.name, field.value, false);
        if (rv != RPCNET_OK) {
            metadata->bytes.len = len;
            metadata->count = count;
            return rv;
        }
    }
    return RPCNET_OK;
}

static rn_bytes trim(rn_bytes text) {
    while (text.len > 0 && text.data[0] == ' ') {
        text = rn_bytes_of(text.data + 1, text.len - 1);
    }
    while (text.len > 0 && text.data[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

/* A list of base64 texts, joined by commas. */
static int add_binary(rn_metadata *metadata, rn_bytes name, rn_bytes value) {
    for (;;) {
        const uint8_t *comma = value.len > 0 ? memchr(value.data, ',', value.len) : NULL;
        size_t len = comma != NULL ? (size_t)(comma - value.data) : value.len;
        int rv = append(metadata, name, trim(rn_bytes_of(value.data, len)), true);
        if (rv != RPCNET_OK || comma == NULL) {
            return rv;
        }
        value = rn_bytes_of(comma + 1, value.len - len - 1);
    }
}

int rn_metadata_add_wire(rn_metadata *metadata, rn_bytes name, rn_bytes value) {
    if (!rn_metadata_name_valid(name) || rn_metadata_is_reserved(name)) {
        return RPCNET_OK;
    }
    if (rn_metadata_is_binary(name)) {
        return add_binary(metadata, name, value);
    }
    value = trim(value);
    return rn_metadata_value_valid(value) ? append(metadata, name, value, false) : RPCNET_OK;
}

rn_metadata_field rn_metadata_at(const rn_metadata *metadata, size_t index) {
    assert(index < metadata->count);
    const rn_metadata_entry *entry = &metadata->entries[index];
    const uint8_t *name = metadata->bytes.data + entry->start;
    return (rn_metadata_field){
        .name = rn_bytes_of(name, entry->name_len),
        .value = rn_bytes_of(name + entry->name_len, entry->value_len),
    };
}

bool rn_metadata_find(const rn_metadata *metadata, const char *name, rn_bytes *value) {
    for (size_t i = 0; i < metadata->count; i++) {
        rn_metadata_field field = rn_metadata_at(metadata, i);
        if (rn_bytes_is(field.name, name)) {
            *value = field.value;
            return true;
        }
    }
    return false;
}
