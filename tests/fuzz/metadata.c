/* metadata: header fields as a peer sends them, one "name: value" a line, and what an application
 * adds. All that is in a list afterwards can be sent, and comes back the same. */
#include "grpc/metadata.h"

#include "fuzz/fuzz.h"
#include "grpc/base64.h"
#include "rpcnet/error.h"

/* Encoded for the wire and read again: equal, field for field. */
static void check_round_trip(const rn_metadata *metadata) {
    rn_metadata again;
    rn_metadata_init(&again);
    for (size_t i = 0; i < rn_metadata_count(metadata); i++) {
        rn_metadata_field field = rn_metadata_at(metadata, i);
        rn_buffer wire;
        rn_buffer_init(&wire, (size_t)2 * RN_METADATA_BYTES_MAX);
        int rv = rn_metadata_is_binary(field.name)
                     ? rn_base64_encode(&wire, field.value)
                     : rn_buffer_append(&wire, field.value.data, field.value.len);
        assert(rv == RPCNET_OK);
        assert(rn_metadata_add_wire(&again, field.name, rn_buffer_bytes(&wire)) == RPCNET_OK);
        assert(rn_metadata_count(&again) == i + 1);
        rn_metadata_field back = rn_metadata_at(&again, i);
        assert(rn_bytes_equal(back.name, field.name) && rn_bytes_equal(back.value, field.value));
        rn_buffer_fini(&wire);
    }
    rn_metadata_fini(&again);
}

static void check_list(const rn_metadata *metadata) {
    size_t bytes = 0;
    assert(rn_metadata_count(metadata) <= RN_METADATA_FIELDS_MAX);
    for (size_t i = 0; i < rn_metadata_count(metadata); i++) {
        rn_metadata_field field = rn_metadata_at(metadata, i);
        assert(rn_metadata_name_valid(field.name) && !rn_metadata_is_reserved(field.name));
        assert(rn_metadata_is_binary(field.name) || rn_metadata_value_valid(field.value));
        bytes += field.name.len + field.value.len;
    }
    assert(bytes == metadata->bytes.len && bytes <= RN_METADATA_BYTES_MAX);
}

static void add(rn_metadata *metadata, rn_bytes name, rn_bytes value, bool wire) {
    size_t count = rn_metadata_count(metadata);
    uint8_t *name_copy = fuzz_copy(name);
    uint8_t *value_copy = fuzz_copy(value);
    name.data = name_copy;
    value.data = value_copy;
    int rv =
        wire ? rn_metadata_add_wire(metadata, name, value) : rn_metadata_add(metadata, name, value);
    assert(rv == RPCNET_OK || rv == RPCNET_ERR_LIMIT ||
           rv == (wire ? RPCNET_ERR_PARSE : RPCNET_ERR_ARGUMENT));
    if (!wire) {
        assert(rn_metadata_count(metadata) == count + (rv == RPCNET_OK ? 1 : 0));
    }
    free(name_copy);
    free(value_copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    rn_metadata metadata;
    rn_metadata copy;
    rn_metadata_init(&metadata);
    rn_metadata_init(&copy);
    while (input.len > 0) {
        rn_bytes line = fuzz_line(&input);
        bool wire = line.len == 0 || line.data[0] != '+'; /* "+name: value": of the application */
        if (!wire) {
            line = rn_bytes_of(line.data + 1, line.len - 1);
        }
        const uint8_t *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
        size_t name = colon != NULL ? (size_t)(colon - line.data) : line.len;
        size_t value = name < line.len ? name + 1 : name;
        add(&metadata, rn_bytes_of(line.data, name),
            rn_bytes_of(line.data + value, line.len - value), wire);
    }
    check_list(&metadata);
    check_round_trip(&metadata);
    assert(rn_metadata_copy(&copy, &metadata) == RPCNET_OK);
    assert(rn_metadata_count(&copy) == rn_metadata_count(&metadata));
    rn_metadata_fini(&copy);
    rn_metadata_fini(&metadata);
    return 0;
}
