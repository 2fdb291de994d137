/* message: protobuf-c messages to bytes and onto calls. Reading needs no help: the generated
 * ..__unpack functions do it. */
#ifndef APPS_COMMON_MESSAGE_H
#define APPS_COMMON_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "base/buffer.h"
#include "rpcnet/rpcnet.h"

/* Replaces the buffer's content by the packed message. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY. */
int rn_message_pack(rn_buffer *out, const ProtobufCMessage *message);
/* Packs and sends. As rn_message_pack and rpcnet_call_send. */
int rn_message_send(rpcnet_call *call, const ProtobufCMessage *message);

#endif
