/* outbox: see the header. */
#include "common/outbox.h"

#include "rpcnet/error.h"

void rn_outbox_init(rn_outbox *outbox, size_t limit, rn_budget *budget) {
    rn_buffer_init_counted(&outbox->bytes, limit, budget);
}

void rn_outbox_fini(rn_outbox *outbox) {
    rn_buffer_fini(&outbox->bytes);
}

void rn_outbox_clear(rn_outbox *outbox) {
    rn_buffer_clear(&outbox->bytes);
}

static int keep(rn_outbox *outbox, rn_bytes head, rn_bytes data) {
    uint32_t len = (uint32_t)(head.len + data.len);
    int result = rn_buffer_reserve(&outbox->bytes, sizeof len + len);
    if (result == RPCNET_OK) {
        (void)rn_buffer_append(&outbox->bytes, &len, sizeof len);
        (void)rn_buffer_append(&outbox->bytes, head.data, head.len);
        (void)rn_buffer_append(&outbox->bytes, data.data, data.len);
    }
    return result;
}

int rn_outbox_send(rn_outbox *outbox, rpcnet_call *call, rn_bytes head, rn_bytes data) {
    int result = RPCNET_ERR_AGAIN;
    if (rn_outbox_empty(outbox)) {
        result = rpcnet_call_send2(call, head.data, head.len, data.data, data.len);
    }
    return result == RPCNET_ERR_AGAIN ? keep(outbox, head, data) : result;
}

int rn_outbox_flush(rn_outbox *outbox, rpcnet_call *call) {
    size_t sent = 0;
    int result = RPCNET_OK;
    while (result == RPCNET_OK && sent < outbox->bytes.len) {
        uint32_t len;
        memcpy(&len, outbox->bytes.data + sent, sizeof len);
        result = rpcnet_call_send(call, outbox->bytes.data + sent + sizeof len, len);
        if (result == RPCNET_OK) {
            sent += sizeof len + len;
        }
    }
    rn_buffer_drop_front(&outbox->bytes, sent);
    return result == RPCNET_ERR_AGAIN ? RPCNET_OK : result;
}
