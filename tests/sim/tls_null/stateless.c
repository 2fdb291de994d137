/* tls_null/stateless: tokens of the real lengths, and packets that need no connection. A token is
 * plain text behind a checksum under its key. */
#include <string.h>

#include "quic/secrets.h"
#include "rpcnet/error.h"
#include "sim/tls_null/internal.h"
#include "sim/mix.h"

enum {
    RETRY_LEN = NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2,
    REGULAR_LEN = NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN,
    SUM_LEN = 16,
    WALL_AT = 1,
    CID_LEN_AT = WALL_AT + sizeof(uint64_t),
    CID_AT = CID_LEN_AT + 1
};

enum rn_tls_token_kind rn_tls_token_kind_of(rn_bytes token) {
    if (token.len == 0) {
        return RN_TLS_TOKEN_UNKNOWN;
    }
    return token.data[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2    ? RN_TLS_TOKEN_RETRY
           : token.data[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR ? RN_TLS_TOKEN_REGULAR
                                                                : RN_TLS_TOKEN_UNKNOWN;
}

static void add_host(rn_mix *mix, const rn_address *address) {
    if (address->sa.sa_family == AF_INET) {
        rn_mix_add(mix, &address->in.sin_addr, sizeof address->in.sin_addr);
    } else {
        rn_mix_add(mix, &address->in6.sin6_addr, sizeof address->in6.sin6_addr);
    }
}

/* A Retry token is bound to address and port and to the id, any other to the host alone. */
static void sum_of(const uint8_t *token, size_t len, const rn_tls_token_scope *scope,
                   const ngtcp2_cid *id, uint8_t out[SUM_LEN]) {
    rn_mix mix = RN_MIX_START;
    rn_mix_add(&mix, scope->key, RN_SECRET_KEY_LEN);
    add_host(&mix, scope->remote);
    if (id != NULL) {
        rn_mix_word(&mix, rn_address_port(scope->remote));
        rn_mix_add(&mix, id->data, id->datalen);
    }
    rn_mix_add(&mix, token, len - SUM_LEN);
    rn_mix_sum(&mix, out, SUM_LEN);
}

static bool is_good(rn_bytes token, size_t len, const rn_tls_token_scope *scope,
                    const ngtcp2_cid *id, uint64_t life_ns) {
    uint8_t sum[SUM_LEN];
    uint64_t wall;
    if (token.len != len) {
        return false;
    }
    sum_of(token.data, len, scope, id, sum);
    memcpy(&wall, token.data + WALL_AT, sizeof wall);
    return memcmp(sum, token.data + len - SUM_LEN, SUM_LEN) == 0 && wall + life_ns > scope->wall_ns;
}

ngtcp2_ssize rn_tls_retry_token_write(uint8_t out[RN_TLS_TOKEN_MAX],
                                      const rn_tls_token_scope *scope, const ngtcp2_cid *id,
                                      const ngtcp2_cid *original_id) {
    memset(out, 0, RETRY_LEN);
    out[0] = NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2;
    memcpy(out + WALL_AT, &scope->wall_ns, sizeof scope->wall_ns);
    out[CID_LEN_AT] = (uint8_t)original_id->datalen;
    memcpy(out + CID_AT, original_id->data, original_id->datalen);
    sum_of(out, RETRY_LEN, scope, id, out + RETRY_LEN - SUM_LEN);
    return RETRY_LEN;
}

int rn_tls_retry_token_read(ngtcp2_cid *original_id, rn_bytes token,
                            const rn_tls_token_scope *scope, const ngtcp2_cid *id,
                            uint64_t life_ns) {
    if (!is_good(token, RETRY_LEN, scope, id, life_ns) ||
        token.data[CID_LEN_AT] > NGTCP2_MAX_CIDLEN) {
        return RPCNET_ERR_PROTOCOL;
    }
    ngtcp2_cid_init(original_id, token.data + CID_AT, token.data[CID_LEN_AT]);
    return RPCNET_OK;
}

ngtcp2_ssize rn_tls_regular_token_write(uint8_t out[RN_TLS_TOKEN_MAX],
                                        const rn_tls_token_scope *scope) {
    memset(out, 0, REGULAR_LEN);
    out[0] = NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR;
    memcpy(out + WALL_AT, &scope->wall_ns, sizeof scope->wall_ns);
    sum_of(out, REGULAR_LEN, scope, NULL, out + REGULAR_LEN - SUM_LEN);
    return REGULAR_LEN;
}

int rn_tls_regular_token_check(rn_bytes token, const rn_tls_token_scope *scope, uint64_t life_ns) {
    return is_good(token, REGULAR_LEN, scope, NULL, life_ns) ? RPCNET_OK : RPCNET_ERR_PROTOCOL;
}

ngtcp2_ssize rn_tls_retry_write(uint8_t *out, size_t size, const ngtcp2_pkt_hd *header,
                                const ngtcp2_cid *id, rn_bytes token) {
    rn_null_keys keys;
    ngtcp2_crypto_ctx crypto;
    rn_null_crypto(&crypto);
    if (rn_null_keys_init(&keys, rn_bytes_text(RN_NULL_RETRY_SECRET)) != RPCNET_OK) {
        return NGTCP2_ERR_NOMEM;
    }
    ngtcp2_ssize len = ngtcp2_pkt_write_retry(out, size, NGTCP2_PROTO_VER_V1, &header->scid, id,
                                              &header->dcid, token.data, token.len,
                                              rn_tls_handshake_seal, &crypto.aead, &keys.packet);
    rn_null_keys_fini(&keys);
    return len;
}

ngtcp2_ssize rn_tls_close_write(uint8_t *out, size_t size, const ngtcp2_pkt_hd *header,
                                uint64_t code) {
    uint8_t client[RN_NULL_SECRET_LEN];
    uint8_t server[RN_NULL_SECRET_LEN];
    rn_null_keys keys;
    ngtcp2_crypto_ctx crypto;
    rn_null_crypto(&crypto);
    rn_null_initial_secrets(&header->dcid, client, server);
    if (rn_null_keys_init(&keys, rn_bytes_of(server, sizeof server)) != RPCNET_OK) {
        return NGTCP2_ERR_NOMEM;
    }
    ngtcp2_ssize len = ngtcp2_pkt_write_connection_close(
        out, size, NGTCP2_PROTO_VER_V1, &header->scid, &header->dcid, code, NULL, 0,
        rn_tls_handshake_seal, &crypto.aead, &keys.packet, keys.iv, rn_header_key_mask, &crypto.hp,
        &keys.header);
    rn_null_keys_fini(&keys);
    return len;
}
