/* loss: what the end of a connection means to those who used it. */
#include <inttypes.h>
#include <stdio.h>

#include "rpc/internal.h"

enum {
    TLS_ALERT_FIRST = 0x100, /* CRYPTO_ERROR (RFC 9001, section 4.8) */
    TLS_ALERT_LAST = 0x1ff,
    CONNECTION_REFUSED = 0x2 /* RFC 9000, section 20.1 */
};

static bool is_tls_alert(const rn_close *close) {
    return !close->application && close->code >= TLS_ALERT_FIRST && close->code <= TLS_ALERT_LAST;
}

enum rpcnet_loss rn_rpc_classify(const rn_close *close) {
    switch (close->cause) {
    case RN_CLOSE_PEER:
        return is_tls_alert(close) ? RPCNET_LOSS_REFUSED : RPCNET_LOSS_PEER;
    case RN_CLOSE_IDLE:
    case RN_CLOSE_HANDSHAKE_TIMEOUT:
        return RPCNET_LOSS_TIMEOUT;
    case RN_CLOSE_HANDSHAKE_FAILED:
        return is_tls_alert(close) ? RPCNET_LOSS_REFUSED : RPCNET_LOSS_PROTOCOL;
    case RN_CLOSE_RESET:
        return RPCNET_LOSS_RESET;
    case RN_CLOSE_PROTOCOL:
        return RPCNET_LOSS_PROTOCOL;
    default:
        return RPCNET_LOSS_LOCAL;
    }
}

/* A refusal comes before there is a connection that could say why. */
static const char *reason_of(const rn_close *close) {
    if (close->text[0] != '\0') {
        return close->text;
    }
    return !close->application && close->code == CONNECTION_REFUSED
               ? "it takes no more connections now"
               : "no reason given";
}

const char *rn_rpc_describe(const rn_close *close, char out[RN_RPC_TEXT_MAX]) {
    const char *text = close->text;
    if (close->cause == RN_CLOSE_PEER && is_tls_alert(close)) {
        (void)snprintf(out, RN_RPC_TEXT_MAX, "refused by the peer: TLS alert %u%s%s",
                       (unsigned)(close->code - TLS_ALERT_FIRST), text[0] != '\0' ? ": " : "",
                       text);
    } else if (close->cause == RN_CLOSE_PEER) {
        (void)snprintf(out, RN_RPC_TEXT_MAX, "closed by the peer: %s (code 0x%" PRIx64 ")",
                       reason_of(close), close->code);
    } else {
        (void)snprintf(out, RN_RPC_TEXT_MAX, "%s", text[0] != '\0' ? text : "closed");
    }
    return out;
}
