/* tls_null/handshake: the script, which is that of TLS 1.3 without its cryptography.
 *
 *   client                                    server
 *   ClientHello ──────────────────────────►            Initial
 *               ◄────────────────────────── ServerHello
 *                                           EncryptedExtensions, CertificateRequest (if asked),
 *               ◄────────────────────────── Certificate, CertificateVerify, Finished   Handshake
 *   Certificate, CertificateVerify (if asked),
 *   Finished    ──────────────────────────►
 *
 * A message is a type and a length of 3 bytes as in TLS; its body is a list of fields, each with a
 * tag of 1 byte and a length of 2. CertificateVerify shows the private number itself. */
#include <string.h>

#include <gnutls/gnutls.h>

#include "rpcnet/error.h"
#include "sim/tls_null/internal.h"
#include "sim/mix.h"

enum {
    CLIENT_HELLO = 1,
    SERVER_HELLO = 2,
    ENCRYPTED_EXTENSIONS = 8,
    CERTIFICATE = 11,
    CERTIFICATE_REQUEST = 13,
    CERTIFICATE_VERIFY = 15,
    FINISHED = 20
};

enum field { ALPN, PARAMS, SERVER_NAME, PAPER, PROOF, SUM, FIELD_COUNT };

enum { HEADER_LEN = 4, FIELD_HEADER_LEN = 3, PARAMS_MAX = 512 };

typedef struct fields {
    rn_bytes of[FIELD_COUNT];
    bool has[FIELD_COUNT];
} fields;

typedef struct message {
    uint8_t bytes[HEADER_LEN + RN_NULL_MESSAGE_MAX];
    size_t len;
} message;

static int fail(ngtcp2_conn *quic, gnutls_alert_description_t alert) {
    ngtcp2_conn_set_tls_alert(quic, (uint8_t)alert);
    return NGTCP2_ERR_CRYPTO;
}

static void remember(rn_tls_session *session, rn_bytes text) {
    rn_mix mix = RN_MIX_START;
    rn_mix_add(&mix, session->transcript, sizeof session->transcript);
    rn_mix_add(&mix, text.data, text.len);
    rn_mix_sum(&mix, session->transcript, sizeof session->transcript);
}

static void secret_of(const rn_tls_session *session, const char *label,
                      uint8_t out[RN_NULL_SECRET_LEN]) {
    rn_null_expand(rn_bytes_of(session->transcript, sizeof session->transcript), label, out,
                   RN_NULL_SECRET_LEN);
}

/* ---- saying ---- */

static void begin(message *out, uint8_t type) {
    memset(out->bytes, 0, HEADER_LEN);
    out->bytes[0] = type;
    out->len = HEADER_LEN;
}

/* What is said is ours and bounded: it fits. */
static void put(message *out, enum field tag, const void *data, size_t len) {
    out->bytes[out->len] = (uint8_t)tag;
    out->bytes[out->len + 1] = (uint8_t)(len >> 8);
    out->bytes[out->len + 2] = (uint8_t)len;
    memcpy(out->bytes + out->len + FIELD_HEADER_LEN, data, len);
    out->len += FIELD_HEADER_LEN + len;
}

static int say(rn_tls_session *session, ngtcp2_conn *quic, ngtcp2_encryption_level level,
               message *what) {
    size_t body = what->len - HEADER_LEN;
    what->bytes[2] = (uint8_t)(body >> 8);
    what->bytes[3] = (uint8_t)body;
    remember(session, rn_bytes_of(what->bytes, what->len));
    return ngtcp2_conn_submit_crypto_data(quic, level, what->bytes, what->len);
}

static int put_params(message *out, ngtcp2_conn *quic) {
    uint8_t params[PARAMS_MAX];
    ngtcp2_ssize len = ngtcp2_conn_encode_local_transport_params(quic, params, sizeof params);
    if (len < 0) {
        return (int)len;
    }
    put(out, PARAMS, params, (size_t)len);
    return 0;
}

int rn_null_say_hello(rn_tls_session *session, ngtcp2_conn *quic) {
    message out;
    begin(&out, CLIENT_HELLO);
    put(&out, ALPN, session->alpn, strlen(session->alpn));
    if (session->server_name != NULL) {
        put(&out, SERVER_NAME, session->server_name, strlen(session->server_name));
    }
    int result = put_params(&out, quic);
    return result != 0 ? result : say(session, quic, NGTCP2_ENCRYPTION_LEVEL_INITIAL, &out);
}

/* Certificate and CertificateVerify; a client that has none shows an empty one. */
static int say_who(rn_tls_session *session, ngtcp2_conn *quic) {
    const rn_tls_context *context = session->context;
    message out;
    begin(&out, CERTIFICATE);
    if (context->has_own) {
        put(&out, PAPER, context->own_text.data, context->own_text.len);
    }
    int result = say(session, quic, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE, &out);
    if (result != 0 || !context->has_own) {
        return result;
    }
    begin(&out, CERTIFICATE_VERIFY);
    put(&out, PROOF, &context->key, sizeof context->key);
    return say(session, quic, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE, &out);
}

static const char *finished_label(bool server) {
    return server ? "server finished" : "client finished";
}

static int say_finished(rn_tls_session *session, ngtcp2_conn *quic) {
    uint8_t sum[RN_NULL_SECRET_LEN];
    message out;
    secret_of(session, finished_label(session->server), sum);
    begin(&out, FINISHED);
    put(&out, SUM, sum, sizeof sum);
    return say(session, quic, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE, &out);
}

/* ---- keys ---- */

static int install(ngtcp2_conn *quic, bool transmit, const uint8_t secret[RN_NULL_SECRET_LEN]) {
    rn_null_keys keys;
    if (rn_null_keys_init(&keys, rn_bytes_of(secret, RN_NULL_SECRET_LEN)) != RPCNET_OK) {
        return NGTCP2_ERR_NOMEM;
    }
    int result = transmit ? ngtcp2_conn_install_tx_handshake_key(quic, &keys.packet, keys.iv,
                                                                 RN_PACKET_IV_LEN, &keys.header)
                          : ngtcp2_conn_install_rx_handshake_key(quic, &keys.packet, keys.iv,
                                                                 RN_PACKET_IV_LEN, &keys.header);
    if (result != 0) {
        rn_null_keys_fini(&keys);
    }
    return result;
}

static int install_handshake(const rn_tls_session *session, ngtcp2_conn *quic) {
    uint8_t secrets[2][RN_NULL_SECRET_LEN]; /* the client's, the server's */
    ngtcp2_crypto_ctx crypto;
    rn_null_crypto(&crypto);
    ngtcp2_conn_set_crypto_ctx(quic, &crypto);
    secret_of(session, "c hs traffic", secrets[0]);
    secret_of(session, "s hs traffic", secrets[1]);
    int result = install(quic, false, secrets[!session->server]);
    return result != 0 ? result : install(quic, true, secrets[session->server]);
}

static int give_secret(const rn_tls_session *session, ngtcp2_conn *quic, bool transmit,
                       const uint8_t secret[RN_NULL_SECRET_LEN]) {
    return session->events.secret(session->events.user, transmit, secret, RN_NULL_SECRET_LEN) ==
                   RPCNET_OK
               ? 0
               : fail(quic, GNUTLS_A_INTERNAL_ERROR);
}

/* ---- what both sides hear ---- */

static int hear_extensions(const rn_tls_session *session, ngtcp2_conn *quic, const fields *in) {
    if (!in->has[ALPN] || !rn_bytes_is(in->of[ALPN], session->alpn)) {
        return fail(quic, GNUTLS_A_NO_APPLICATION_PROTOCOL);
    }
    if (!in->has[PARAMS]) {
        return fail(quic, GNUTLS_A_MISSING_EXTENSION);
    }
    int result = ngtcp2_conn_decode_and_set_remote_transport_params(quic, in->of[PARAMS].data,
                                                                    in->of[PARAMS].len);
    if (result != 0) {
        ngtcp2_conn_set_tls_error(quic, result);
    }
    return result;
}

static int hear_certificate(rn_tls_session *session, ngtcp2_conn *quic, const fields *in) {
    if (!in->has[PAPER]) {
        return fail(quic, session->server ? GNUTLS_A_CERTIFICATE_REQUIRED : GNUTLS_A_DECODE_ERROR);
    }
    if (!rn_null_check_peer(session, in->of[PAPER])) {
        return fail(quic, GNUTLS_A_BAD_CERTIFICATE);
    }
    session->state = RN_NULL_PROOF;
    return 0;
}

static int hear_proof(rn_tls_session *session, ngtcp2_conn *quic, const fields *in) {
    uint64_t number;
    if (!in->has[PROOF] || in->of[PROOF].len != sizeof number) {
        return fail(quic, GNUTLS_A_DECODE_ERROR);
    }
    memcpy(&number, in->of[PROOF].data, sizeof number);
    if (rn_paper_public(number) != session->peer.public_number) {
        return fail(quic, GNUTLS_A_DECRYPT_ERROR);
    }
    session->state = RN_NULL_FINISHED;
    return 0;
}

/* Before the message is remembered. */
static bool finished_is_right(const rn_tls_session *session, const fields *in) {
    uint8_t sum[RN_NULL_SECRET_LEN];
    secret_of(session, finished_label(!session->server), sum);
    return in->has[SUM] && rn_bytes_equal(in->of[SUM], rn_bytes_of(sum, sizeof sum));
}

/* ---- the server ---- */

static int hear_client_hello(rn_tls_session *session, ngtcp2_conn *quic, const fields *in) {
    const rn_tls_context *context = session->context;
    uint8_t secret[RN_NULL_SECRET_LEN];
    message out;
    if (!context->has_own) {
        return fail(quic, GNUTLS_A_HANDSHAKE_FAILURE);
    }
    int result = hear_extensions(session, quic, in);
    if (result != 0) {
        return result;
    }
    begin(&out, SERVER_HELLO);
    result = say(session, quic, NGTCP2_ENCRYPTION_LEVEL_INITIAL, &out);
    if (result == 0) {
        result = install_handshake(session, quic);
    }
    if (result == 0) {
        begin(&out, ENCRYPTED_EXTENSIONS);
        put(&out, ALPN, session->alpn, strlen(session->alpn));
        result = put_params(&out, quic);
    }
    if (result == 0) {
        result = say(session, quic, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE, &out);
    }
    session->certificate_asked = context->client_auth == RN_TLS_CLIENT_AUTH_REQUIRED;
    if (result == 0 && session->certificate_asked) {
        begin(&out, CERTIFICATE_REQUEST);
        result = say(session, quic, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE, &out);
    }
    if (result == 0) {
        result = say_who(session, quic);
    }
    if (result == 0) {
        result = say_finished(session, quic);
    }
    session->state = session->certificate_asked ? RN_NULL_WHO : RN_NULL_FINISHED;
    if (result != 0) {
        return result;
    }
    secret_of(session, "c ap traffic", session->receive_secret);
    secret_of(session, "s ap traffic", secret);
    return give_secret(session, quic, true, secret);
}

static int hear_as_server(rn_tls_session *session, ngtcp2_conn *quic, uint8_t type,
                          const fields *in) {
    switch (type) {
    case CLIENT_HELLO:
        return hear_client_hello(session, quic, in);
    case CERTIFICATE:
        return hear_certificate(session, quic, in);
    case CERTIFICATE_VERIFY:
        return hear_proof(session, quic, in);
    default:
        session->state = RN_NULL_DONE;
        if (give_secret(session, quic, false, session->receive_secret) != 0) {
            return NGTCP2_ERR_CRYPTO;
        }
        ngtcp2_conn_tls_handshake_completed(quic);
        return 0;
    }
}

/* ---- the client ---- */

static int hear_server_finished(rn_tls_session *session, ngtcp2_conn *quic) {
    uint8_t receive[RN_NULL_SECRET_LEN];
    uint8_t transmit[RN_NULL_SECRET_LEN];
    int result = 0;
    secret_of(session, "s ap traffic", receive);
    secret_of(session, "c ap traffic", transmit);
    if (session->certificate_asked) {
        result = say_who(session, quic);
    }
    if (result == 0) {
        result = say_finished(session, quic);
    }
    if (result == 0) {
        result = give_secret(session, quic, false, receive);
    }
    if (result == 0) {
        result = give_secret(session, quic, true, transmit);
    }
    if (result == 0) {
        session->state = RN_NULL_DONE;
        ngtcp2_conn_tls_handshake_completed(quic);
    }
    return result;
}

static int hear_as_client(rn_tls_session *session, ngtcp2_conn *quic, uint8_t type,
                          const fields *in) {
    switch (type) {
    case SERVER_HELLO:
        session->state = RN_NULL_SETUP;
        return install_handshake(session, quic);
    case ENCRYPTED_EXTENSIONS:
        session->state = RN_NULL_WHO;
        return hear_extensions(session, quic, in);
    case CERTIFICATE_REQUEST:
        session->certificate_asked = true;
        return 0;
    case CERTIFICATE:
        return hear_certificate(session, quic, in);
    case CERTIFICATE_VERIFY:
        return hear_proof(session, quic, in);
    default:
        return hear_server_finished(session, quic);
    }
}

/* ---- messages out of bytes ---- */

/* Is this the time for such a message? */
static bool is_due(const rn_tls_session *session, uint8_t type) {
    switch (session->state) {
    case RN_NULL_HELLO:
        return type == (session->server ? CLIENT_HELLO : SERVER_HELLO);
    case RN_NULL_SETUP:
        return type == ENCRYPTED_EXTENSIONS;
    case RN_NULL_WHO:
        return type == CERTIFICATE ||
               (type == CERTIFICATE_REQUEST && !session->server && !session->certificate_asked);
    case RN_NULL_PROOF:
        return type == CERTIFICATE_VERIFY;
    case RN_NULL_FINISHED:
        return type == FINISHED;
    default:
        return false;
    }
}

/* Unknown fields are passed over, as TLS does with extensions. */
static bool split(rn_bytes body, fields *out) {
    memset(out, 0, sizeof *out);
    while (body.len > 0) {
        if (body.len < FIELD_HEADER_LEN) {
            return false;
        }
        uint8_t tag = body.data[0];
        size_t len = (size_t)body.data[1] << 8 | body.data[2];
        body = rn_bytes_of(body.data + FIELD_HEADER_LEN, body.len - FIELD_HEADER_LEN);
        if (len > body.len || (tag < FIELD_COUNT && out->has[tag])) {
            return false;
        }
        if (tag < FIELD_COUNT) {
            out->has[tag] = true;
            out->of[tag] = rn_bytes_of(body.data, len);
        }
        body = rn_bytes_of(body.data + len, body.len - len);
    }
    return true;
}

static int hear(rn_tls_session *session, ngtcp2_conn *quic, rn_bytes whole) {
    uint8_t type = whole.data[0];
    fields in;
    if (!is_due(session, type)) {
        return fail(quic, GNUTLS_A_UNEXPECTED_MESSAGE);
    }
    if (!split(rn_bytes_of(whole.data + HEADER_LEN, whole.len - HEADER_LEN), &in)) {
        return fail(quic, GNUTLS_A_DECODE_ERROR);
    }
    if (type == FINISHED && !finished_is_right(session, &in)) {
        return fail(quic, GNUTLS_A_DECRYPT_ERROR);
    }
    remember(session, whole);
    return session->server ? hear_as_server(session, quic, type, &in)
                           : hear_as_client(session, quic, type, &in);
}

int rn_null_receive(rn_tls_session *session, ngtcp2_conn *quic, ngtcp2_encryption_level level,
                    rn_bytes data) {
    ngtcp2_encryption_level due = session->state == RN_NULL_HELLO
                                      ? NGTCP2_ENCRYPTION_LEVEL_INITIAL
                                      : NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE;
    if (level != due) {
        return fail(quic, GNUTLS_A_UNEXPECTED_MESSAGE);
    }
    rn_buffer *input = &session->input[level == NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE];
    if (rn_buffer_append(input, data.data, data.len) != RPCNET_OK) {
        return NGTCP2_ERR_NOMEM;
    }
    while (input->len >= HEADER_LEN) {
        size_t body = (size_t)input->data[1] << 16 | (size_t)input->data[2] << 8 | input->data[3];
        if (body > RN_NULL_MESSAGE_MAX) {
            return fail(quic, GNUTLS_A_DECODE_ERROR);
        }
        if (input->len < HEADER_LEN + body) {
            break;
        }
        int result = hear(session, quic, rn_bytes_of(input->data, HEADER_LEN + body));
        if (result != 0) {
            return result;
        }
        rn_buffer_drop_front(input, HEADER_LEN + body);
        /* Each level's last message is followed by nothing. */
        bool over = level == NGTCP2_ENCRYPTION_LEVEL_INITIAL || session->state == RN_NULL_DONE;
        if (over && input->len > 0) {
            return fail(quic, GNUTLS_A_UNEXPECTED_MESSAGE);
        }
    }
    return 0;
}
