/* tls: certificates, handshakes and packet keys, as the connection needs them.
 *
 * One implementation is linked. That of the product is *_gnutls.c. tests/sim/tls_null has another
 * one for the simulator, whose objects stand in for those: a scripted handshake and keys without
 * secrecy, in which nothing depends on chance. So whatever draws random bytes of its own, or reads
 * a clock of its own, belongs behind this header; the rest of quic uses the library for hashes
 * alone.
 *
 * Identities. A certificate of the cluster carries its role as a URI in the subject alternative
 * name: "rpcnet://role/director", "rpcnet://role/worker/<label>". A certificate without such a URI
 * (the public one of the director) is no identity of the cluster. */
#ifndef RN_QUIC_TLS_H
#define RN_QUIC_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "base/address.h"
#include "base/bytes.h"

typedef struct rn_tls_context rn_tls_context; /* credentials, shared by many connections */
typedef struct rn_tls_session rn_tls_session; /* the handshake of one connection */
typedef struct rn_packet_key rn_packet_key;   /* AEAD key of one direction and key phase */

enum {
    RN_TLS_IDENTITY_MAX = 256, /* bytes of a role URI */
    RN_TLS_SECRET_MAX = 48,    /* bytes of a traffic secret (SHA-384) */
    RN_TLS_ERROR_MAX = 640,
    RN_TLS_TOKEN_MAX = 256, /* bytes of an address token */
    /* What one step of a handshake, or reading certificates, may take. The implementation may end
     * the process without it (GnuTLS does), so it is asked for before (base/headroom.h). */
    RN_TLS_HEADROOM_BYTES = 256 * 1024,
    RN_PACKET_IV_LEN = 12,
    RN_PACKET_TAG_LEN = 16
};

enum rn_tls_client_auth {
    RN_TLS_CLIENT_AUTH_NONE,    /* clients are not asked for a certificate */
    RN_TLS_CLIENT_AUTH_REQUIRED /* a valid certificate of the CA, or no connection */
};

typedef struct rn_tls_config {
    const char *certificate_file; /* PEM, with chain; NULL: none (clients only) */
    const char *key_file;         /* PEM */
    const char *ca_file;          /* PEM; trusted for peers; NULL: peers are not verified, allowed
                                     only for servers without client authentication */
    enum rn_tls_client_auth client_auth; /* for connections that we accept */
} rn_tls_config;

/* Reads and checks the files. RPCNET_ERR_TLS with an explanation for people in `error` (what is
 * wrong with which file), RPCNET_ERR_MEMORY. The context is counted: `_del` frees it when the last
 * connection that uses it is gone. */
int rn_tls_context_new(rn_tls_context **out, const rn_tls_config *config,
                       char error[RN_TLS_ERROR_MAX]);
void rn_tls_context_del(rn_tls_context *context);
/* Takes another hold, to be let go with rn_tls_context_del. Returns `context`. */
rn_tls_context *rn_tls_context_hold(rn_tls_context *context);

/* The role URI of our own certificate; "" when it has none. */
const char *rn_tls_context_identity(const rn_tls_context *context);
/* Seconds since 1970 when our own certificate expires; 0 without a certificate. */
int64_t rn_tls_context_expiry(const rn_tls_context *context);

/* What a client demands of the server's certificate, beyond a chain to the CA. Exactly one is set.
 */
typedef struct rn_tls_expect {
    const char *server_name; /* DNS name or IP address that the certificate must bear */
    const char *identity;    /* role URI that it must bear */
} rn_tls_expect;

/* What the session tells its connection; called inside ngtcp2_conn_read_pkt/_writev_stream. */
typedef struct rn_tls_events {
    /* A 1-RTT secret is there (a direction at a time). RPCNET_OK or an error that ends the
     * handshake. */
    int (*secret)(void *user, bool transmit, const uint8_t *secret, size_t len);
    ngtcp2_conn *(*quic)(void *user);
    /* Nanoseconds since 1970, by which certificates are valid or not. GnuTLS asks the system. */
    uint64_t (*wall)(void *user);
    void *user;
} rn_tls_events;

int rn_tls_session_new(rn_tls_session **out, rn_tls_context *context, bool server,
                       const rn_tls_expect *expect, const char *alpn, const rn_tls_events *events);
/* A server may delete its session once the handshake is complete, and set ngtcp2's native handle to
 * NULL: TLS messages of the client end the connection (unexpected_message) either way. */
void rn_tls_session_del(rn_tls_session *session);
/* What ngtcp2_conn_set_tls_native_handle wants. */
void *rn_tls_session_native(rn_tls_session *session);
/* After the handshake: the role URI of the peer's certificate, "" when it has none or showed none.
 */
const char *rn_tls_session_peer_identity(const rn_tls_session *session);
/* After a failed handshake: why the peer's certificate was refused; "" when that was not it. */
const char *rn_tls_session_failure(const rn_tls_session *session);
/* What a TLS alert means, for people; "" when it has no name. */
const char *rn_tls_alert_name(uint8_t alert);
uint16_t rn_tls_session_suite(const rn_tls_session *session); /* TLS 1.3 cipher suite, 0x1301... */

/* The ngtcp2 callbacks that the TLS library's glue provides (handshake, Initial keys, Retry). */
void rn_tls_callbacks(ngtcp2_callbacks *callbacks);

/* Protection of Initial and Handshake packets, whose keys belong to the TLS glue. 0 or a negative
 * ngtcp2 error. */
int rn_tls_handshake_seal(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *plain, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad, size_t ad_len);
int rn_tls_handshake_open(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *sealed, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad, size_t ad_len);
void rn_tls_handshake_key_del(ngtcp2_crypto_aead_ctx *key);

/* ---- answers without a connection, and address tokens (RFC 9000, section 8.1). QUIC version 1.
 * Those that write return the length, or a negative ngtcp2 error. ---- */

/* What a token is bound to. */
typedef struct rn_tls_token_scope {
    const uint8_t *key; /* 32 bytes, known to those who take the token */
    const rn_address *remote;
    uint64_t wall_ns;
} rn_tls_token_scope;

enum rn_tls_token_kind { RN_TLS_TOKEN_UNKNOWN, RN_TLS_TOKEN_RETRY, RN_TLS_TOKEN_REGULAR };

/* What a token says that it is; nothing is checked. */
enum rn_tls_token_kind rn_tls_token_kind_of(rn_bytes token);
/* A token for a Retry packet that makes `id` the client's new destination; it remembers the
 * client's first one. */
ngtcp2_ssize rn_tls_retry_token_write(uint8_t out[RN_TLS_TOKEN_MAX],
                                      const rn_tls_token_scope *scope, const ngtcp2_cid *id,
                                      const ngtcp2_cid *original_id);
/* RPCNET_ERR_PROTOCOL: not made under this key, for this address and id, in the last life_ns. */
int rn_tls_retry_token_read(ngtcp2_cid *original_id, rn_bytes token,
                            const rn_tls_token_scope *scope, const ngtcp2_cid *id,
                            uint64_t life_ns);
/* A token for a later connection from the same host. */
ngtcp2_ssize rn_tls_regular_token_write(uint8_t out[RN_TLS_TOKEN_MAX],
                                        const rn_tls_token_scope *scope);
int rn_tls_regular_token_check(rn_bytes token, const rn_tls_token_scope *scope, uint64_t life_ns);

/* A Retry packet that answers `header`: use `id`, and bring the token. */
ngtcp2_ssize rn_tls_retry_write(uint8_t *out, size_t size, const ngtcp2_pkt_hd *header,
                                const ngtcp2_cid *id, rn_bytes token);
/* CONNECTION_CLOSE in an Initial packet that answers `header`. */
ngtcp2_ssize rn_tls_close_write(uint8_t *out, size_t size, const ngtcp2_pkt_hd *header,
                                uint64_t code);

/* ---- 1-RTT keys (RFC 9001, section 5), independent of any session so that they can be made again
 * from written-down secrets ---- */

size_t rn_tls_suite_secret_len(uint16_t suite); /* 0: unknown suite */
size_t rn_tls_suite_key_len(uint16_t suite);
/* HKDF-Expand-Label(secret, label, "", len) with the suite's hash (RFC 8446, section 7.1). */
int rn_tls_expand_label(uint16_t suite, const uint8_t *secret, const char *label, uint8_t *out,
                        size_t len);

/* Key and IV derived from a traffic secret. The IV is copied to `iv`. */
int rn_packet_key_new(rn_packet_key **out, uint16_t suite, const uint8_t *secret,
                      uint8_t iv[RN_PACKET_IV_LEN]);
void rn_packet_key_del(rn_packet_key *key);
/* `out` takes len + RN_PACKET_TAG_LEN bytes; it may be `plain`. */
int rn_packet_key_seal(rn_packet_key *key, uint8_t *out, const uint8_t *plain, size_t len,
                       const uint8_t *nonce, const uint8_t *ad, size_t ad_len);
/* `out` takes len - RN_PACKET_TAG_LEN bytes. RPCNET_ERR_PROTOCOL when the tag is wrong. */
int rn_packet_key_open(rn_packet_key *key, uint8_t *out, const uint8_t *sealed, size_t len,
                       const uint8_t *nonce, const uint8_t *ad, size_t ad_len);

/* Header protection (RFC 9001, section 5.4). ngtcp2 does not tell for which kind of packet it wants
 * a mask, so keys of all kinds, the glue's and ours, have one representation. */
int rn_header_key_new(ngtcp2_crypto_cipher_ctx *out, uint16_t suite, const uint8_t *key);
void rn_header_key_del(ngtcp2_crypto_cipher_ctx *key);
/* Five bytes of mask from a 16-byte sample. */
int rn_header_key_mask(uint8_t *out, const ngtcp2_crypto_cipher *cipher,
                       const ngtcp2_crypto_cipher_ctx *key, const uint8_t *sample);

#endif
