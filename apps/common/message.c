/* message: protobuf-c's packing and reading with results instead of assumptions. */
#include "common/message.h"

#include <stdlib.h>

enum { SMALL_MAX = 512 }; /* bytes packed without an allocation */

int rn_message_pack(rn_buffer *out, const ProtobufCMessage *message) {
    size_t len = protobuf_c_message_get_packed_size(message);
    rn_buffer_clear(out);
    int result = rn_buffer_reserve(out, len);
    if (result == RPCNET_OK && len > 0) {
        out->len = protobuf_c_message_pack(message, out->data);
    }
    return result;
}

int rn_message_send(rpcnet_call *call, const ProtobufCMessage *message) {
    size_t len = protobuf_c_message_get_packed_size(message);
    if (len <= SMALL_MAX) {
        uint8_t small[SMALL_MAX];
        protobuf_c_message_pack(message, small);
        return rpcnet_call_send(call, small, len);
    }
    uint8_t *large = malloc(len);
    if (large == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    protobuf_c_message_pack(message, large);
    int result = rpcnet_call_send(call, large, len);
    free(large);
    return result;
}

static void *take(void *user, size_t size) {
    rn_message_memory *memory = user;
    void *block = malloc(size);
    memory->failed |= block == NULL;
    return block;
}

static void give_back(void *user, void *block) {
    (void)user;
    free(block);
}

void rn_message_memory_init(rn_message_memory *memory) {
    *memory = (rn_message_memory){
        .allocator = {.alloc = take, .free = give_back, .allocator_data = memory}};
}

int rn_message_error(const rn_message_memory *memory) {
    return memory->failed ? RPCNET_ERR_MEMORY : RPCNET_ERR_PARSE;
}
