/* outbox: messages that a call did not take yet, in order. While it is empty a message goes
 * straight to the call, without a copy. */
#ifndef APPS_COMMON_OUTBOX_H
#define APPS_COMMON_OUTBOX_H

#include "base/buffer.h"
#include "rpcnet/rpcnet.h"

typedef struct rn_outbox {
    rn_buffer bytes; /* of each message its length, as a uint32_t, and itself */
} rn_outbox;

/* `limit`: bytes, with four for each message. `budget`: where they are counted; may be NULL. */
void rn_outbox_init(rn_outbox *outbox, size_t limit, rn_budget *budget);
void rn_outbox_fini(rn_outbox *outbox);
void rn_outbox_clear(rn_outbox *outbox); /* drops all messages, and keeps the memory */

static inline bool rn_outbox_empty(const rn_outbox *outbox) {
    return outbox->bytes.len == 0;
}

static inline size_t rn_outbox_memory(const rn_outbox *outbox) {
    return outbox->bytes.capacity;
}

/* Sends head and data as one message, or keeps it until the call takes messages again.
 * RPCNET_ERR_LIMIT, and what else rpcnet_call_send returns but RPCNET_ERR_AGAIN; the message is
 * neither sent nor kept then. */
int rn_outbox_send(rn_outbox *outbox, rpcnet_call *call, rn_bytes head, rn_bytes data);
/* The call is writable: sends what it takes. RPCNET_OK also when something is left. Any other
 * result is what the call said of the first message that is left. */
int rn_outbox_flush(rn_outbox *outbox, rpcnet_call *call);

#endif
