/* outbox: messages that a call did not take yet, in order. */
#ifndef APPS_WORKER_OUTBOX_H
#define APPS_WORKER_OUTBOX_H

#include "base/buffer.h"
#include "rpcnet/rpcnet.h"

enum { RN_OUTBOX_LIMIT = 64 * 1024 }; /* bytes; whoever fills it waits while it is not empty */

typedef struct rn_outbox {
    rn_buffer bytes; /* of each message its length, as a uint32_t, and itself */
} rn_outbox;

void rn_outbox_init(rn_outbox *outbox);
void rn_outbox_fini(rn_outbox *outbox);
bool rn_outbox_empty(const rn_outbox *outbox);

/* Sends head and data as one message, or keeps it until the call takes messages again.
 * RPCNET_ERR_LIMIT, and what else rpcnet_call_send returns but RPCNET_ERR_AGAIN. */
int rn_outbox_send(rn_outbox *outbox, rpcnet_call *call, const void *head, size_t head_len,
                   rn_bytes data);
/* The call is writable: sends what it takes. RPCNET_OK also when something is left. */
int rn_outbox_flush(rn_outbox *outbox, rpcnet_call *call);

#endif
