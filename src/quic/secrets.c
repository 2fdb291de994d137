/* secrets: derivation by HMAC-SHA256 from the configured secret. */
#include "quic/secrets.h"

#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "rpcnet/error.h"

enum { PREFIX_LEN = 8, CHECK_LEN = RN_CONNECTION_ID_LEN - PREFIX_LEN };

static int derive(const uint8_t *secret, const char *label, uint8_t out[RN_SECRET_KEY_LEN]) {
    return gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, RN_SECRET_KEY_LEN, label, strlen(label),
                            out) == 0
               ? RPCNET_OK
               : RPCNET_ERR_TLS;
}

int rn_secrets_init(rn_secrets *secrets, const uint8_t *secret) {
    if (derive(secret, "rpcnet connection id", secrets->connection_id_key) != RPCNET_OK ||
        derive(secret, "rpcnet stateless reset", secrets->reset_key) != RPCNET_OK ||
        derive(secret, "rpcnet address token", secrets->token_key) != RPCNET_OK) {
        rn_secrets_fini(secrets);
        return RPCNET_ERR_TLS;
    }
    return RPCNET_OK;
}

void rn_secrets_fini(rn_secrets *secrets) {
    explicit_bzero(secrets, sizeof *secrets);
}

static int check_bytes(const rn_secrets *secrets, const uint8_t *prefix, uint8_t out[CHECK_LEN]) {
    uint8_t mac[32];
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, secrets->connection_id_key, RN_SECRET_KEY_LEN, prefix,
                         PREFIX_LEN, mac) != 0) {
        return RPCNET_ERR_TLS;
    }
    memcpy(out, mac, CHECK_LEN);
    return RPCNET_OK;
}

int rn_secrets_new_connection_id(const rn_secrets *secrets, rn_env *env, uint8_t process,
                                 ngtcp2_cid *out) {
    uint8_t id[RN_CONNECTION_ID_LEN];
    id[0] = process;
    rn_env_random(env, id + 1, PREFIX_LEN - 1);
    int result = check_bytes(secrets, id, id + PREFIX_LEN);
    ngtcp2_cid_init(out, id, sizeof id);
    return result;
}

bool rn_secrets_owns_connection_id(const rn_secrets *secrets, const uint8_t *id, size_t len) {
    uint8_t expected[CHECK_LEN];
    return len >= RN_CONNECTION_ID_LEN && check_bytes(secrets, id, expected) == RPCNET_OK &&
           gnutls_memcmp(expected, id + PREFIX_LEN, CHECK_LEN) == 0;
}

int rn_secrets_reset_token(const rn_secrets *secrets, const ngtcp2_cid *id,
                           uint8_t out[NGTCP2_STATELESS_RESET_TOKENLEN]) {
    return ngtcp2_crypto_generate_stateless_reset_token(out, secrets->reset_key, RN_SECRET_KEY_LEN,
                                                        id) == 0
               ? RPCNET_OK
               : RPCNET_ERR_TLS;
}
