/* protection: see the header. ngtcp2's encrypt and decrypt callbacks carry no user pointer, so a
 * 1-RTT key is wrapped in a slot that knows its connection. */
#include "quic/protection.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "rpcnet/error.h"

enum { LONG_HEADER_BIT = 0x80 }; /* RFC 9000, section 17 */

void rn_protection_init(rn_protection *protection, rn_books *books, rn_books_delivered *delivered,
                        rn_puts_off *puts_off, void *user) {
    memset(protection, 0, sizeof *protection);
    rn_list_init(&protection->slots);
    protection->books = books;
    protection->delivered = delivered;
    protection->puts_off = puts_off;
    protection->user = user;
}

static void slot_del(rn_key_slot *slot) {
    rn_list_remove(&slot->link);
    rn_packet_key_del(slot->key);
    explicit_bzero(slot, sizeof *slot);
    free(slot);
}

void rn_protection_fini(rn_protection *protection) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &protection->slots) {
        slot_del(RN_CONTAINER_OF(link, rn_key_slot, link));
    }
    explicit_bzero(protection, sizeof *protection);
    rn_list_init(&protection->slots);
}

static int slot_new(rn_protection *protection, const uint8_t *secret, uint64_t generation,
                    rn_key_slot **out) {
    rn_key_slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    int result = rn_packet_key_new(&slot->key, protection->suite, secret, slot->iv);
    if (result != RPCNET_OK) {
        free(slot);
        return result;
    }
    slot->owner = protection;
    slot->generation = generation;
    rn_list_append(&protection->slots, &slot->link);
    *out = slot;
    return RPCNET_OK;
}

int rn_protection_install(rn_protection *protection, ngtcp2_conn *quic, uint16_t suite,
                          bool transmit, const uint8_t *secret, size_t len) {
    if (len == 0 || len != rn_tls_suite_secret_len(suite)) {
        return RPCNET_ERR_TLS;
    }
    protection->suite = suite;
    protection->secret_len = len;
    memcpy(transmit ? protection->phase[0].transmit : protection->phase[0].receive, secret, len);

    uint8_t *header = transmit ? protection->header_transmit : protection->header_receive;
    ngtcp2_crypto_cipher_ctx header_key = {0};
    rn_key_slot *slot;
    int result = rn_tls_expand_label(suite, secret, "quic hp", header, rn_tls_suite_key_len(suite));
    if (result == RPCNET_OK) {
        result = rn_header_key_new(&header_key, suite, header);
    }
    if (result != RPCNET_OK) {
        return result;
    }
    result = slot_new(protection, secret, 0, &slot);
    if (result != RPCNET_OK) {
        rn_header_key_del(&header_key);
        return result;
    }
    ngtcp2_crypto_aead_ctx key = {.native_handle = slot};
    int installed = transmit ? ngtcp2_conn_install_tx_key(quic, secret, len, &key, slot->iv,
                                                          RN_PACKET_IV_LEN, &header_key)
                             : ngtcp2_conn_install_rx_key(quic, secret, len, &key, slot->iv,
                                                          RN_PACKET_IV_LEN, &header_key);
    if (installed != 0) {
        slot_del(slot);
        rn_header_key_del(&header_key);
        return installed == NGTCP2_ERR_NOMEM ? RPCNET_ERR_MEMORY : RPCNET_ERR_TLS;
    }
    return RPCNET_OK;
}

/* The nonce is the IV with the packet number XORed into its end (RFC 9001, section 5.3). */
static uint64_t packet_number_of(const rn_key_slot *slot, const uint8_t *nonce) {
    uint64_t number = 0;
    for (size_t i = RN_PACKET_IV_LEN - 8; i < RN_PACKET_IV_LEN; i++) {
        number = number << 8 | (uint8_t)(nonce[i] ^ slot->iv[i]);
    }
    return number;
}

int rn_protection_encrypt(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *plain, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad,
                          size_t ad_len) {
    /* The tag of a Retry packet (RFC 9001, section 5.8) comes through here, too: it seals nothing,
     * while a 1-RTT payload is never empty. */
    if ((ad[0] & LONG_HEADER_BIT) != 0 || len == 0) {
        return rn_tls_handshake_seal(out, aead, key, plain, len, nonce, nonce_len, ad, ad_len);
    }
    rn_key_slot *slot = key->native_handle;
    rn_protection *protection = slot->owner;
    if (slot->generation > protection->generation_transmit) {
        protection->generation_transmit = slot->generation;
        rn_books_key_changed(protection->books);
    }
    rn_books_sent(protection->books, packet_number_of(slot, nonce), plain, len);
    return rn_packet_key_seal(slot->key, out, plain, len, nonce, ad, ad_len) == RPCNET_OK
               ? 0
               : NGTCP2_ERR_CALLBACK_FAILURE;
}

int rn_protection_decrypt(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *sealed, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad,
                          size_t ad_len) {
    if ((ad[0] & LONG_HEADER_BIT) != 0) {
        return rn_tls_handshake_open(out, aead, key, sealed, len, nonce, nonce_len, ad, ad_len);
    }
    rn_key_slot *slot = key->native_handle;
    rn_protection *protection = slot->owner;
    if (rn_packet_key_open(slot->key, out, sealed, len, nonce, ad, ad_len) != RPCNET_OK) {
        return NGTCP2_ERR_DECRYPT;
    }
    if (protection->puts_off(protection->user, out, len - RN_PACKET_TAG_LEN)) {
        return NGTCP2_ERR_DECRYPT; /* as if it had been lost: the peer sends it again */
    }
    if (slot->generation > protection->generation_receive) {
        protection->generation_receive = slot->generation;
        protection->books->dirty |= RN_DIRTY_KEYS;
    }
    rn_books_received(protection->books, packet_number_of(slot, nonce), out,
                      len - RN_PACKET_TAG_LEN, protection->delivered, protection->user);
    /* ngtcp2 has another code for it than RFC 9000, section 19.4: rn_conn_fail tells the right one.
     */
    return protection->books->wrong_reset ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

int rn_protection_update(rn_protection *protection, uint8_t *receive_secret,
                         uint8_t *transmit_secret, ngtcp2_crypto_aead_ctx *receive_key,
                         uint8_t *receive_iv, ngtcp2_crypto_aead_ctx *transmit_key,
                         uint8_t *transmit_iv, const uint8_t *receive_secret_now,
                         const uint8_t *transmit_secret_now, size_t len) {
    uint64_t generation = protection->generation_ready + 1;
    rn_key_slot *receive;
    rn_key_slot *transmit;
    if (len != protection->secret_len ||
        rn_tls_expand_label(protection->suite, receive_secret_now, "quic ku", receive_secret,
                            len) != RPCNET_OK ||
        rn_tls_expand_label(protection->suite, transmit_secret_now, "quic ku", transmit_secret,
                            len) != RPCNET_OK ||
        slot_new(protection, receive_secret, generation, &receive) != RPCNET_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (slot_new(protection, transmit_secret, generation, &transmit) != RPCNET_OK) {
        slot_del(receive);
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    receive_key->native_handle = receive;
    transmit_key->native_handle = transmit;
    memcpy(receive_iv, receive->iv, RN_PACKET_IV_LEN);
    memcpy(transmit_iv, transmit->iv, RN_PACKET_IV_LEN);
    rn_traffic_secrets *phase = &protection->phase[generation % 2];
    memcpy(phase->receive, receive_secret, len);
    memcpy(phase->transmit, transmit_secret, len);
    protection->generation_ready = generation;
    return 0;
}

void rn_protection_delete_key(rn_protection *protection, ngtcp2_crypto_aead_ctx *key) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &protection->slots) {
        rn_key_slot *slot = RN_CONTAINER_OF(link, rn_key_slot, link);
        if (slot == key->native_handle) {
            slot_del(slot);
            key->native_handle = NULL;
            return;
        }
    }
    rn_tls_handshake_key_del(key); /* of an Initial or Handshake packet */
}
