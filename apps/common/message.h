/* message: protobuf-c messages to bytes and onto calls. The generated ..__unpack functions read;
 * whether they failed for lack of memory is told here. */
#ifndef APPS_COMMON_MESSAGE_H
#define APPS_COMMON_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "base/buffer.h"
#include "rpcnet/rpcnet.h"

/* Replaces the buffer's content by the packed message. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY. */
int rn_message_pack(rn_buffer *out, const ProtobufCMessage *message);
/* Packs and sends. As rn_message_pack and rpcnet_call_send. */
int rn_message_send(rpcnet_call *call, const ProtobufCMessage *message);

/* An allocator for ..__unpack and ..__free_unpacked that remembers whether there was no memory. Not
 * to be moved. */
typedef struct rn_message_memory {
    ProtobufCAllocator allocator;
    bool failed;
} rn_message_memory;

void rn_message_memory_init(rn_message_memory *memory);
/* Why ..__unpack gave NULL: RPCNET_ERR_MEMORY or RPCNET_ERR_PARSE. */
int rn_message_error(const rn_message_memory *memory);

#endif
