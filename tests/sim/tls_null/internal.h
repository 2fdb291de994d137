/* Inside of tls_null, the implementation of quic/tls.h for the simulator.
 *
 * Nothing here is secret: a packet travels in plain text behind a checksum under its key. What it
 * keeps of the real thing is what the layers above can see: which packets open and which do not,
 * who is let in, with which alert and which words somebody is refused, and the lengths of tags and
 * tokens. All of it follows from what goes in, so the same run has the same bytes. */
#ifndef RN_TESTS_TLS_NULL_INTERNAL_H
#define RN_TESTS_TLS_NULL_INTERNAL_H

#include "base/buffer.h"
#include "quic/tls.h"
#include "sim/tls_null/paper.h"

enum {
    RN_NULL_SUITE = 0x1301, /* the only one; its lengths are those of the real suite */
    RN_NULL_SECRET_LEN = 32,
    RN_NULL_KEY_LEN = 16,
    RN_NULL_MESSAGE_MAX = 16384, /* bytes of a handshake message's body */
    RN_NULL_INPUT_MAX = 65536    /* bytes of CRYPTO frames that wait for the end of a message */
};

/* What a Retry packet's tag is made with (RFC 9001, section 5.8: everybody knows it). */
#define RN_NULL_RETRY_SECRET "the tag of a Retry packet is no secret"

/* ---- keys.c ---- */

/* `secret` of any length; `label` as in rn_tls_expand_label. */
void rn_null_expand(rn_bytes secret, const char *label, uint8_t *out, size_t len);

typedef struct rn_null_keys { /* of one direction; the caller gives them to ngtcp2 or frees them */
    ngtcp2_crypto_aead_ctx packet;
    ngtcp2_crypto_cipher_ctx header;
    uint8_t iv[RN_PACKET_IV_LEN];
} rn_null_keys;

int rn_null_keys_init(rn_null_keys *keys, rn_bytes secret); /* RPCNET_ERR_MEMORY */
void rn_null_keys_fini(rn_null_keys *keys);

/* Secrets of Initial packets, which follow from the client's first destination. */
void rn_null_initial_secrets(const ngtcp2_cid *id, uint8_t client[RN_NULL_SECRET_LEN],
                             uint8_t server[RN_NULL_SECRET_LEN]);
void rn_null_crypto(ngtcp2_crypto_ctx *out);

/* ---- session.c ---- */

enum rn_null_state {
    RN_NULL_HELLO, /* server: of the client; client: of the server */
    RN_NULL_SETUP, /* client: EncryptedExtensions */
    RN_NULL_WHO,   /* CertificateRequest or Certificate; server: Certificate */
    RN_NULL_PROOF, /* CertificateVerify */
    RN_NULL_FINISHED,
    RN_NULL_DONE
};

struct rn_tls_context {
    size_t count;
    bool verify;
    enum rn_tls_client_auth client_auth;
    bool has_own;
    rn_paper own;
    rn_buffer own_text; /* as it is shown to peers */
    uint64_t key;
    uint64_t trusted[RN_PAPERS_MAX]; /* public numbers of authorities */
    size_t trusted_count;
};

struct rn_tls_session {
    rn_tls_context *context;
    rn_tls_events events;
    bool server;
    enum rn_null_state state;
    bool certificate_asked;
    const char *alpn;
    char *server_name;
    char expected_identity[RN_TLS_IDENTITY_MAX];
    rn_paper peer;
    char failure[RN_TLS_ERROR_MAX];
    rn_buffer input[2];                         /* Initial, Handshake: less than a message each */
    uint8_t transcript[RN_NULL_SECRET_LEN];     /* of all messages so far, in their order */
    uint8_t receive_secret[RN_NULL_SECRET_LEN]; /* server: 1-RTT, until the client has finished */
};

/* Is the peer's paper good? Otherwise says why in `failure`. */
bool rn_null_check_peer(rn_tls_session *session, rn_bytes text);

/* ---- handshake.c: the script. 0 or a negative ngtcp2 error, with the alert set. ---- */

int rn_null_say_hello(rn_tls_session *session, ngtcp2_conn *quic);
int rn_null_receive(rn_tls_session *session, ngtcp2_conn *quic, ngtcp2_encryption_level level,
                    rn_bytes data);

#endif
