/* protection: packet protection of one connection, and the place where packets are seen in clear.
 *
 * Initial and Handshake packets go through the TLS glue. 1-RTT keys are ours: made from the traffic
 * secrets, which are kept (two key phases of each direction, RFC 9001, section 6) so that the
 * connection can be written down, and wiped at the end. */
#ifndef RN_QUIC_PROTECTION_H
#define RN_QUIC_PROTECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <ngtcp2/ngtcp2.h>

#include "quic/books.h"
#include "quic/tls.h"

typedef struct rn_protection rn_protection;

/* A 1-RTT key as it hangs behind ngtcp2_crypto_aead_ctx.native_handle. */
typedef struct rn_key_slot {
    rn_list link;
    rn_protection *owner;
    rn_packet_key *key;
    uint64_t generation; /* how many key updates came before it */
    uint8_t iv[RN_PACKET_IV_LEN];
} rn_key_slot;

typedef struct rn_traffic_secrets {
    uint8_t receive[RN_TLS_SECRET_MAX];
    uint8_t transmit[RN_TLS_SECRET_MAX];
} rn_traffic_secrets;

/* Is a packet with this 1-RTT payload better received later? It is treated as lost then. */
typedef bool rn_puts_off(void *user, const uint8_t *payload, size_t len);

struct rn_protection {
    rn_list slots;
    uint16_t suite; /* 0 until the first 1-RTT secret */
    size_t secret_len;
    rn_traffic_secrets phase[2]; /* by generation modulo 2: present, and previous or next */
    uint8_t header_receive[32];  /* header protection keys outlive key updates */
    uint8_t header_transmit[32];
    uint64_t generation_receive; /* of the last packet opened, sealed */
    uint64_t generation_transmit;
    uint64_t generation_ready; /* the newest one that was derived */
    rn_books *books;
    rn_books_delivered *delivered;
    rn_puts_off *puts_off;
    void *user;
};

void rn_protection_init(rn_protection *protection, rn_books *books, rn_books_delivered *delivered,
                        rn_puts_off *puts_off, void *user);
void rn_protection_fini(rn_protection *protection); /* after ngtcp2_conn_del; wipes */

/* Derives and installs a direction's first 1-RTT key. RPCNET_ERR_TLS, RPCNET_ERR_MEMORY. */
int rn_protection_install(rn_protection *protection, ngtcp2_conn *quic, uint16_t suite,
                          bool transmit, const uint8_t *secret, size_t len);

/* ngtcp2's callbacks. */
int rn_protection_encrypt(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *plain, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad, size_t ad_len);
int rn_protection_decrypt(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *sealed, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad, size_t ad_len);
int rn_protection_update(rn_protection *protection, uint8_t *receive_secret,
                         uint8_t *transmit_secret, ngtcp2_crypto_aead_ctx *receive_key,
                         uint8_t *receive_iv, ngtcp2_crypto_aead_ctx *transmit_key,
                         uint8_t *transmit_iv, const uint8_t *receive_secret_now,
                         const uint8_t *transmit_secret_now, size_t len);
void rn_protection_delete_key(rn_protection *protection, ngtcp2_crypto_aead_ctx *key);

#endif
