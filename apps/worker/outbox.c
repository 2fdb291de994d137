/* outbox: see the header. */
#include "worker/outbox.h"

void rn_outbox_init(rn_outbox *outbox) {
    rn_buffer_init(&outbox->bytes, RN_OUTBOX_LIMIT);
}

void rn_outbox_fini(rn_outbox *outbox) {
    rn_buffer_fini(&outbox->bytes);
}

bool rn_outbox_empty(const rn_outbox *outbox) {
    return outbox->bytes.len == 0;
}

static int keep(rn_outbox *outbox, const void *head, size_t head_len, rn_bytes data) {
    uint32_t len = (uint32_t)(head_len + data.len);
    int result = rn_buffer_reserve(&outbox->bytes, sizeof len + len);
    if (result == RPCNET_OK) {
        result = rn_buffer_append(&outbox->bytes, &len, sizeof len);
    }
    if (result == RPCNET_OK && head_len > 0) {
        result = rn_buffer_append(&outbox->bytes, head, head_len);
    }
    if (result == RPCNET_OK && data.len > 0) {
        result = rn_buffer_append(&outbox->bytes, data.data, data.len);
    }
    return result;
}

int rn_outbox_send(rn_outbox *outbox, rpcnet_call *call, const void *head, size_t head_len,
                   rn_bytes data) {
    int result = RPCNET_ERR_AGAIN;
    if (rn_outbox_empty(outbox)) {
        result = rpcnet_call_send2(call, head, head_len, data.data, data.len);
    }
    return result == RPCNET_ERR_AGAIN ? keep(outbox, head, head_len, data) : result;
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
