/* tls_null/keys: packet keys, header protection, and what expands secrets. */
#include <stdlib.h>
#include <string.h>

#include "rpcnet/error.h"
#include "sim/mix.h"
#include "sim/tls_null/internal.h"
#include "sim/tls_null/watch.h"

enum { MASK_LEN = 5, SAMPLE_LEN = 16 };

/* Also what hangs in ngtcp2's contexts for Initial and Handshake packets. */
struct rn_packet_key {
    rn_mix start; /* has taken in the key */
    uint8_t iv[RN_PACKET_IV_LEN];
};

static rn_null_watch_fn *watch_fn;
static void *watch_user;

void rn_null_watch(rn_null_watch_fn *fn, void *user) {
    watch_fn = fn;
    watch_user = user;
}

void rn_null_expand(rn_bytes secret, const char *label, uint8_t *out, size_t len) {
    rn_mix mix = RN_MIX_START;
    rn_mix_add(&mix, secret.data, secret.len);
    rn_mix_add(&mix, label, strlen(label));
    rn_mix_word(&mix, len);
    rn_mix_sum(&mix, out, len);
}

size_t rn_tls_suite_secret_len(uint16_t suite) {
    return suite == RN_NULL_SUITE ? RN_NULL_SECRET_LEN : 0;
}

size_t rn_tls_suite_key_len(uint16_t suite) {
    return suite == RN_NULL_SUITE ? RN_NULL_KEY_LEN : 0;
}

int rn_tls_expand_label(uint16_t suite, const uint8_t *secret, const char *label, uint8_t *out,
                        size_t len) {
    if (suite != RN_NULL_SUITE || len > 255) {
        return RPCNET_ERR_ARGUMENT;
    }
    rn_null_expand(rn_bytes_of(secret, RN_NULL_SECRET_LEN), label, out, len);
    return RPCNET_OK;
}

/* ---- packets ---- */

static rn_packet_key *key_new(rn_bytes secret, uint8_t iv[RN_PACKET_IV_LEN]) {
    uint8_t bytes[RN_NULL_KEY_LEN];
    rn_packet_key *key = malloc(sizeof *key);
    if (key == NULL) {
        return NULL;
    }
    rn_null_expand(secret, "quic key", bytes, sizeof bytes);
    rn_null_expand(secret, "quic iv", iv, RN_PACKET_IV_LEN);
    memcpy(key->iv, iv, sizeof key->iv);
    key->start = (rn_mix)RN_MIX_START;
    rn_mix_add(&key->start, bytes, sizeof bytes);
    return key;
}

static void tag_of(const rn_packet_key *key, rn_bytes plain, rn_bytes nonce, rn_bytes ad,
                   uint8_t out[RN_PACKET_TAG_LEN]) {
    rn_mix mix = key->start;
    rn_mix_add(&mix, nonce.data, nonce.len);
    rn_mix_add(&mix, ad.data, ad.len);
    rn_mix_add(&mix, plain.data, plain.len);
    rn_mix_sum(&mix, out, RN_PACKET_TAG_LEN);
}

static void seal(const rn_packet_key *key, uint8_t *out, rn_bytes plain, rn_bytes nonce,
                 rn_bytes ad) {
    uint8_t tag[RN_PACKET_TAG_LEN];
    tag_of(key, plain, nonce, ad, tag);
    if (plain.len > 0) {
        memmove(out, plain.data, plain.len);
    }
    memcpy(out + plain.len, tag, sizeof tag);
}

static bool open_sealed(const rn_packet_key *key, uint8_t *out, rn_bytes sealed, rn_bytes nonce,
                        rn_bytes ad) {
    uint8_t tag[RN_PACKET_TAG_LEN];
    if (sealed.len < sizeof tag) {
        return false;
    }
    rn_bytes plain = rn_bytes_of(sealed.data, sealed.len - sizeof tag);
    tag_of(key, plain, nonce, ad, tag);
    if (memcmp(tag, sealed.data + plain.len, sizeof tag) != 0) {
        return false;
    }
    if (plain.len > 0) {
        memmove(out, plain.data, plain.len);
    }
    return true;
}

int rn_packet_key_new(rn_packet_key **out, uint16_t suite, const uint8_t *secret,
                      uint8_t iv[RN_PACKET_IV_LEN]) {
    if (suite != RN_NULL_SUITE) {
        return RPCNET_ERR_ARGUMENT;
    }
    *out = key_new(rn_bytes_of(secret, RN_NULL_SECRET_LEN), iv);
    return *out != NULL ? RPCNET_OK : RPCNET_ERR_MEMORY;
}

void rn_packet_key_del(rn_packet_key *key) {
    free(key);
}

/* The nonce is the IV with the packet number XORed into its end (RFC 9001, section 5.3). */
static void tell(const rn_packet_key *key, const uint8_t *nonce) {
    uint64_t number = 0;
    for (size_t i = RN_PACKET_IV_LEN - sizeof number; i < RN_PACKET_IV_LEN; i++) {
        number = number << 8 | (uint8_t)(nonce[i] ^ key->iv[i]);
    }
    watch_fn(key->start.a, number, watch_user);
}

int rn_packet_key_seal(rn_packet_key *key, uint8_t *out, const uint8_t *plain, size_t len,
                       const uint8_t *nonce, const uint8_t *ad, size_t ad_len) {
    if (watch_fn != NULL) {
        tell(key, nonce);
    }
    seal(key, out, rn_bytes_of(plain, len), rn_bytes_of(nonce, RN_PACKET_IV_LEN),
         rn_bytes_of(ad, ad_len));
    return RPCNET_OK;
}

int rn_packet_key_open(rn_packet_key *key, uint8_t *out, const uint8_t *sealed, size_t len,
                       const uint8_t *nonce, const uint8_t *ad, size_t ad_len) {
    return open_sealed(key, out, rn_bytes_of(sealed, len), rn_bytes_of(nonce, RN_PACKET_IV_LEN),
                       rn_bytes_of(ad, ad_len))
               ? RPCNET_OK
               : RPCNET_ERR_PROTOCOL;
}

int rn_tls_handshake_seal(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *plain, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad,
                          size_t ad_len) {
    (void)aead;
    seal(key->native_handle, out, rn_bytes_of(plain, len), rn_bytes_of(nonce, nonce_len),
         rn_bytes_of(ad, ad_len));
    return 0;
}

int rn_tls_handshake_open(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *sealed, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad,
                          size_t ad_len) {
    (void)aead;
    return open_sealed(key->native_handle, out, rn_bytes_of(sealed, len),
                       rn_bytes_of(nonce, nonce_len), rn_bytes_of(ad, ad_len))
               ? 0
               : NGTCP2_ERR_DECRYPT;
}

void rn_tls_handshake_key_del(ngtcp2_crypto_aead_ctx *key) {
    rn_packet_key_del(key->native_handle);
    key->native_handle = NULL;
}

/* ---- header protection ---- */

int rn_header_key_new(ngtcp2_crypto_cipher_ctx *out, uint16_t suite, const uint8_t *key) {
    if (suite != RN_NULL_SUITE) {
        return RPCNET_ERR_ARGUMENT;
    }
    rn_mix *start = malloc(sizeof *start);
    if (start == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    *start = (rn_mix)RN_MIX_START;
    rn_mix_add(start, key, RN_NULL_KEY_LEN);
    out->native_handle = start;
    return RPCNET_OK;
}

void rn_header_key_del(ngtcp2_crypto_cipher_ctx *key) {
    free(key->native_handle);
    key->native_handle = NULL;
}

int rn_header_key_mask(uint8_t *out, const ngtcp2_crypto_cipher *cipher,
                       const ngtcp2_crypto_cipher_ctx *key, const uint8_t *sample) {
    (void)cipher;
    rn_mix mix = *(const rn_mix *)key->native_handle;
    rn_mix_add(&mix, sample, SAMPLE_LEN);
    rn_mix_sum(&mix, out, MASK_LEN);
    return 0;
}

/* ---- keys for ngtcp2 ---- */

int rn_null_keys_init(rn_null_keys *keys, rn_bytes secret) {
    uint8_t header[RN_NULL_KEY_LEN];
    memset(keys, 0, sizeof *keys);
    rn_null_expand(secret, "quic hp", header, sizeof header);
    keys->packet.native_handle = key_new(secret, keys->iv);
    if (keys->packet.native_handle == NULL ||
        rn_header_key_new(&keys->header, RN_NULL_SUITE, header) != RPCNET_OK) {
        rn_null_keys_fini(keys);
        return RPCNET_ERR_MEMORY;
    }
    return RPCNET_OK;
}

void rn_null_keys_fini(rn_null_keys *keys) {
    rn_tls_handshake_key_del(&keys->packet);
    rn_header_key_del(&keys->header);
}

void rn_null_initial_secrets(const ngtcp2_cid *id, uint8_t client[RN_NULL_SECRET_LEN],
                             uint8_t server[RN_NULL_SECRET_LEN]) {
    rn_bytes secret = rn_bytes_of(id->data, id->datalen);
    rn_null_expand(secret, "client in", client, RN_NULL_SECRET_LEN);
    rn_null_expand(secret, "server in", server, RN_NULL_SECRET_LEN);
}

/* Usage limits are those of AES-128-GCM (RFC 9001, section 6.6). */
void rn_null_crypto(ngtcp2_crypto_ctx *out) {
    *out = (ngtcp2_crypto_ctx){.aead = {.max_overhead = RN_PACKET_TAG_LEN},
                               .max_encryption = UINT64_C(1) << 23,
                               .max_decryption_failure = UINT64_C(1) << 52};
}
