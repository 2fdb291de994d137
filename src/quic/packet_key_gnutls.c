/* packet_key_gnutls: 1-RTT keys from traffic secrets, with GnuTLS' primitives (RFC 9001). */
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "quic/tls.h"
#include "rpcnet/error.h"

struct rn_packet_key {
    gnutls_aead_cipher_hd_t cipher;
};

typedef struct suite_info {
    uint16_t id;
    gnutls_cipher_algorithm_t aead;
    gnutls_cipher_algorithm_t header;
    gnutls_mac_algorithm_t mac;
    size_t key_len;
    size_t secret_len;
} suite_info;

/* TLS 1.3 suites of RFC 8446, appendix B.4. Header protection with AES is one ECB block, which is
 * CBC under a zero IV. */
static const suite_info *find_suite(uint16_t suite) {
    static const suite_info suites[] = {
        {0x1301, GNUTLS_CIPHER_AES_128_GCM, GNUTLS_CIPHER_AES_128_CBC, GNUTLS_MAC_SHA256, 16, 32},
        {0x1302, GNUTLS_CIPHER_AES_256_GCM, GNUTLS_CIPHER_AES_256_CBC, GNUTLS_MAC_SHA384, 32, 48},
        {0x1303, GNUTLS_CIPHER_CHACHA20_POLY1305, GNUTLS_CIPHER_CHACHA20_32, GNUTLS_MAC_SHA256, 32,
         32}};
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (suites[i].id == suite) {
            return &suites[i];
        }
    }
    return NULL;
}

size_t rn_tls_suite_secret_len(uint16_t suite) {
    const suite_info *found = find_suite(suite);
    return found != NULL ? found->secret_len : 0;
}

size_t rn_tls_suite_key_len(uint16_t suite) {
    const suite_info *found = find_suite(suite);
    return found != NULL ? found->key_len : 0;
}

int rn_tls_expand_label(uint16_t suite, const uint8_t *secret, const char *label, uint8_t *out,
                        size_t len) {
    enum { LABEL_MAX = 32 };
    static const char prefix[] = "tls13 ";
    const suite_info *found = find_suite(suite);
    size_t label_len = strlen(label);
    if (found == NULL || label_len > LABEL_MAX || len > 255) {
        return RPCNET_ERR_ARGUMENT;
    }
    uint8_t info[4 + sizeof prefix + LABEL_MAX];
    uint8_t *p = info;
    *p++ = 0;
    *p++ = (uint8_t)len;
    *p++ = (uint8_t)(sizeof prefix - 1 + label_len);
    memcpy(p, prefix, sizeof prefix - 1);
    p += sizeof prefix - 1;
    memcpy(p, label, label_len);
    p += label_len;
    *p++ = 0;
    uint8_t key_bytes[RN_TLS_SECRET_MAX];
    memcpy(key_bytes, secret, found->secret_len);
    gnutls_datum_t key = {.data = key_bytes, .size = (unsigned)found->secret_len};
    gnutls_datum_t info_datum = {.data = info, .size = (unsigned)(p - info)};
    int result = gnutls_hkdf_expand(found->mac, &key, &info_datum, out, len);
    explicit_bzero(key_bytes, sizeof key_bytes);
    return result == 0 ? RPCNET_OK : RPCNET_ERR_TLS;
}

int rn_packet_key_new(rn_packet_key **out, uint16_t suite, const uint8_t *secret,
                      uint8_t iv[RN_PACKET_IV_LEN]) {
    const suite_info *found = find_suite(suite);
    if (found == NULL) {
        return RPCNET_ERR_ARGUMENT;
    }
    rn_packet_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    uint8_t bytes[32];
    int result = rn_tls_expand_label(suite, secret, "quic key", bytes, found->key_len);
    if (result == RPCNET_OK) {
        result = rn_tls_expand_label(suite, secret, "quic iv", iv, RN_PACKET_IV_LEN);
    }
    if (result == RPCNET_OK) {
        gnutls_datum_t datum = {.data = bytes, .size = (unsigned)found->key_len};
        result = gnutls_aead_cipher_init(&key->cipher, found->aead, &datum) == 0 ? RPCNET_OK
                                                                                 : RPCNET_ERR_TLS;
    }
    explicit_bzero(bytes, sizeof bytes);
    if (result != RPCNET_OK) {
        free(key);
        return result;
    }
    *out = key;
    return RPCNET_OK;
}

void rn_packet_key_del(rn_packet_key *key) {
    if (key != NULL) {
        gnutls_aead_cipher_deinit(key->cipher);
        free(key);
    }
}

int rn_packet_key_seal(rn_packet_key *key, uint8_t *out, const uint8_t *plain, size_t len,
                       const uint8_t *nonce, const uint8_t *ad, size_t ad_len) {
    size_t out_len = len + RN_PACKET_TAG_LEN;
    return gnutls_aead_cipher_encrypt(key->cipher, nonce, RN_PACKET_IV_LEN, ad, ad_len,
                                      RN_PACKET_TAG_LEN, plain, len, out, &out_len) == 0
               ? RPCNET_OK
               : RPCNET_ERR_TLS;
}

int rn_packet_key_open(rn_packet_key *key, uint8_t *out, const uint8_t *sealed, size_t len,
                       const uint8_t *nonce, const uint8_t *ad, size_t ad_len) {
    if (len < RN_PACKET_TAG_LEN) {
        return RPCNET_ERR_PROTOCOL;
    }
    size_t out_len = len - RN_PACKET_TAG_LEN;
    return gnutls_aead_cipher_decrypt(key->cipher, nonce, RN_PACKET_IV_LEN, ad, ad_len,
                                      RN_PACKET_TAG_LEN, sealed, len, out, &out_len) == 0
               ? RPCNET_OK
               : RPCNET_ERR_PROTOCOL;
}

int rn_header_key_new(ngtcp2_crypto_cipher_ctx *out, uint16_t suite, const uint8_t *key) {
    const suite_info *found = find_suite(suite);
    if (found == NULL) {
        return RPCNET_ERR_ARGUMENT;
    }
    uint8_t key_bytes[32];
    uint8_t iv_bytes[16] = {0};
    memcpy(key_bytes, key, found->key_len);
    gnutls_datum_t key_datum = {.data = key_bytes, .size = (unsigned)found->key_len};
    gnutls_datum_t iv = {.data = iv_bytes, .size = sizeof iv_bytes};
    gnutls_cipher_hd_t cipher;
    int result = gnutls_cipher_init(&cipher, found->header, &key_datum, &iv);
    explicit_bzero(key_bytes, sizeof key_bytes);
    if (result != 0) {
        return RPCNET_ERR_TLS;
    }
    out->native_handle = cipher;
    return RPCNET_OK;
}

void rn_header_key_del(ngtcp2_crypto_cipher_ctx *key) {
    if (key->native_handle != NULL) {
        gnutls_cipher_deinit(key->native_handle);
        key->native_handle = NULL;
    }
}

int rn_header_key_mask(uint8_t *out, const ngtcp2_crypto_cipher *cipher,
                       const ngtcp2_crypto_cipher_ctx *key, const uint8_t *sample) {
    return ngtcp2_crypto_hp_mask(out, cipher, key, sample) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}
