/* stateless_gnutls: packets and tokens that need no connection, by ngtcp2's helpers. They draw the
 * salt of a token from GnuTLS. */
#include <assert.h>

#include "quic/secrets.h"
#include "quic/tls.h"
#include "rpcnet/error.h"

static_assert((int)RN_TLS_TOKEN_MAX >= (int)NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2, "Retry tokens fit");
static_assert((int)RN_TLS_TOKEN_MAX >= (int)NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN, "tokens fit");

enum rn_tls_token_kind rn_tls_token_kind_of(rn_bytes token) {
    if (token.len == 0) {
        return RN_TLS_TOKEN_UNKNOWN;
    }
    switch (token.data[0]) {
    case NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2:
        return RN_TLS_TOKEN_RETRY;
    case NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR:
        return RN_TLS_TOKEN_REGULAR;
    default:
        return RN_TLS_TOKEN_UNKNOWN;
    }
}

ngtcp2_ssize rn_tls_retry_token_write(uint8_t out[RN_TLS_TOKEN_MAX],
                                      const rn_tls_token_scope *scope, const ngtcp2_cid *id,
                                      const ngtcp2_cid *original_id) {
    ngtcp2_ssize len = ngtcp2_crypto_generate_retry_token2(
        out, scope->key, RN_SECRET_KEY_LEN, NGTCP2_PROTO_VER_V1, &scope->remote->sa,
        scope->remote->len, id, original_id, scope->wall_ns);
    return len >= 0 ? len : NGTCP2_ERR_INTERNAL;
}

int rn_tls_retry_token_read(ngtcp2_cid *original_id, rn_bytes token,
                            const rn_tls_token_scope *scope, const ngtcp2_cid *id,
                            uint64_t life_ns) {
    return ngtcp2_crypto_verify_retry_token2(original_id, token.data, token.len, scope->key,
                                             RN_SECRET_KEY_LEN, NGTCP2_PROTO_VER_V1,
                                             &scope->remote->sa, scope->remote->len, id, life_ns,
                                             scope->wall_ns) == 0
               ? RPCNET_OK
               : RPCNET_ERR_PROTOCOL;
}

ngtcp2_ssize rn_tls_regular_token_write(uint8_t out[RN_TLS_TOKEN_MAX],
                                        const rn_tls_token_scope *scope) {
    ngtcp2_ssize len = ngtcp2_crypto_generate_regular_token(
        out, scope->key, RN_SECRET_KEY_LEN, &scope->remote->sa, scope->remote->len, scope->wall_ns);
    return len >= 0 ? len : NGTCP2_ERR_INTERNAL;
}

int rn_tls_regular_token_check(rn_bytes token, const rn_tls_token_scope *scope, uint64_t life_ns) {
    return ngtcp2_crypto_verify_regular_token(token.data, token.len, scope->key, RN_SECRET_KEY_LEN,
                                              &scope->remote->sa, scope->remote->len, life_ns,
                                              scope->wall_ns) == 0
               ? RPCNET_OK
               : RPCNET_ERR_PROTOCOL;
}

ngtcp2_ssize rn_tls_retry_write(uint8_t *out, size_t size, const ngtcp2_pkt_hd *header,
                                const ngtcp2_cid *id, rn_bytes token) {
    return ngtcp2_crypto_write_retry(out, size, NGTCP2_PROTO_VER_V1, &header->scid, id,
                                     &header->dcid, token.data, token.len);
}

ngtcp2_ssize rn_tls_close_write(uint8_t *out, size_t size, const ngtcp2_pkt_hd *header,
                                uint64_t code) {
    return ngtcp2_crypto_write_connection_close(out, size, NGTCP2_PROTO_VER_V1, &header->scid,
                                                &header->dcid, code, NULL, 0);
}
