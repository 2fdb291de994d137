/* tls_gnutls: credentials and handshakes with GnuTLS, through ngtcp2's glue.
 *
 * The glue installs Initial and Handshake keys by itself. Our own secret function stands in front
 * of it and keeps the 1-RTT secrets for the connection: they are what a connection needs to be
 * written down. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "base/file.h"
#include "base/headroom.h"
#include "quic/tls.h"
#include "rpcnet/error.h"

static const char identity_scheme[] = "rpcnet://";

/* TLS 1.3 only. AES-128-GCM first: it costs a fraction of ChaCha20-Poly1305 on machines with AES
 * instructions. The compatibility mode of RFC 8446 has no place in QUIC (RFC 9001, section 8.4). */
static const char priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";

struct rn_tls_context {
    size_t count; /* the creator's hold, and one for each session */
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities; /* read once; sessions share it */
    bool verify;                  /* a CA is configured */
    enum rn_tls_client_auth client_auth;
    int64_t expiry;
    char identity[RN_TLS_IDENTITY_MAX];
};

struct rn_tls_session {
    gnutls_session_t gnutls;
    ngtcp2_crypto_conn_ref reference;
    rn_tls_context *context;
    rn_tls_events events;
    bool server;
    bool receive_done; /* the 1-RTT secret of this direction is there; there is only one */
    bool transmit_done;
    char *server_name;
    char expected_identity[RN_TLS_IDENTITY_MAX];
    char peer_identity[RN_TLS_IDENTITY_MAX];
    char failure[RN_TLS_ERROR_MAX];
};

/* ---- certificates ---- */

/* The one rpcnet:// URI of a certificate. RPCNET_ERR_TLS when it bears several, or one that does
 * not fit: nobody can say who that is. */
static int read_identity(gnutls_x509_crt_t certificate, char out[RN_TLS_IDENTITY_MAX]) {
    out[0] = '\0';
    for (unsigned i = 0;; i++) {
        char uri[RN_TLS_IDENTITY_MAX];
        size_t len = sizeof uri - 1;
        int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, uri, &len, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            return RPCNET_OK;
        }
        if (type == GNUTLS_E_SHORT_MEMORY_BUFFER) {
            return RPCNET_ERR_TLS;
        }
        if (type != GNUTLS_SAN_URI || len < sizeof identity_scheme - 1 ||
            memcmp(uri, identity_scheme, sizeof identity_scheme - 1) != 0) {
            continue;
        }
        uri[len] = '\0';
        if (out[0] != '\0' || strlen(uri) != len) {
            out[0] = '\0';
            return RPCNET_ERR_TLS;
        }
        memcpy(out, uri, len + 1);
    }
}

/* We read the files ourselves: the library would wait for a FIFO and follow a device without end.
 * `what` stands before the path in an error. Free it with free_file. */
static int read_file(const char *what, const char *path, gnutls_datum_t *out,
                     char error[RN_TLS_ERROR_MAX]) {
    size_t len = 0;
    uint8_t *bytes = malloc(RN_FILE_PEM_MAX);
    *out = (gnutls_datum_t){.data = NULL};
    if (bytes == NULL) {
        snprintf(error, RN_TLS_ERROR_MAX, "out of memory");
        return RPCNET_ERR_MEMORY;
    }
    int failure = rn_file_read(path, bytes, RN_FILE_PEM_MAX, &len);
    *out = (gnutls_datum_t){.data = bytes, .size = (unsigned)len};
    if (failure != 0) {
        snprintf(error, RN_TLS_ERROR_MAX, "cannot read %s%s: %s", what, path,
                 rn_file_error(failure));
        return RPCNET_ERR_TLS;
    }
    return RPCNET_OK;
}

static void free_file(gnutls_datum_t *file) {
    if (file->data != NULL) {
        explicit_bzero(file->data, file->size);
        free(file->data);
    }
}

static int load_pair(rn_tls_context *context, const rn_tls_config *config,
                     char error[RN_TLS_ERROR_MAX]) {
    gnutls_datum_t certificate;
    gnutls_datum_t key = {.data = NULL};
    int result = read_file("certificate ", config->certificate_file, &certificate, error);
    if (result == RPCNET_OK) {
        result = read_file("key ", config->key_file, &key, error);
    }
    if (result == RPCNET_OK) {
        int failure = gnutls_certificate_set_x509_key_mem(context->credentials, &certificate, &key,
                                                          GNUTLS_X509_FMT_PEM);
        if (failure < 0) {
            snprintf(error, RN_TLS_ERROR_MAX, "cannot use certificate %s with key %s: %s",
                     config->certificate_file, config->key_file, gnutls_strerror(failure));
            result = RPCNET_ERR_TLS;
        }
    }
    free_file(&key);
    free_file(&certificate);
    return result;
}

static int load_ca(rn_tls_context *context, const char *path, char error[RN_TLS_ERROR_MAX]) {
    gnutls_datum_t file;
    int result = read_file("CA certificates from ", path, &file, error);
    if (result == RPCNET_OK) {
        int found =
            gnutls_certificate_set_x509_trust_mem(context->credentials, &file, GNUTLS_X509_FMT_PEM);
        if (found <= 0) {
            snprintf(error, RN_TLS_ERROR_MAX, "cannot read CA certificates from %s: %s", path,
                     found < 0 ? gnutls_strerror(found) : "no certificate in it");
            result = RPCNET_ERR_TLS;
        }
    }
    free_file(&file);
    return result;
}

static int load_own(rn_tls_context *context, const rn_tls_config *config,
                    char error[RN_TLS_ERROR_MAX]) {
    int result = load_pair(context, config, error);
    if (result != RPCNET_OK) {
        return result;
    }
    gnutls_x509_crt_t *chain = NULL;
    unsigned count = 0;
    result = gnutls_certificate_get_x509_crt(context->credentials, 0, &chain, &count);
    if (result < 0 || count == 0) {
        snprintf(error, RN_TLS_ERROR_MAX, "no certificate in %s", config->certificate_file);
        return RPCNET_ERR_TLS;
    }
    context->expiry = (int64_t)gnutls_x509_crt_get_expiration_time(chain[0]);
    result = read_identity(chain[0], context->identity);
    if (result != RPCNET_OK) {
        snprintf(error, RN_TLS_ERROR_MAX, "certificate %s bears more than one %s name",
                 config->certificate_file, identity_scheme);
    }
    for (unsigned i = 0; i < count; i++) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    gnutls_free(chain);
    return result;
}

int rn_tls_context_new(rn_tls_context **out, const rn_tls_config *config,
                       char error[RN_TLS_ERROR_MAX]) {
    error[0] = '\0';
    rn_tls_context *context =
        rn_headroom(RN_TLS_HEADROOM_BYTES) ? calloc(1, sizeof *context) : NULL;
    if (context == NULL) {
        snprintf(error, RN_TLS_ERROR_MAX, "out of memory");
        return RPCNET_ERR_MEMORY;
    }
    context->count = 1;
    if (gnutls_certificate_allocate_credentials(&context->credentials) < 0 ||
        gnutls_priority_init(&context->priorities, priorities, NULL) < 0) {
        rn_tls_context_del(context);
        snprintf(error, RN_TLS_ERROR_MAX, "out of memory");
        return RPCNET_ERR_MEMORY;
    }
    context->client_auth = config->client_auth;
    int result = RPCNET_OK;
    if (config->ca_file != NULL) {
        result = load_ca(context, config->ca_file, error);
        context->verify = true;
    } else if (config->client_auth == RN_TLS_CLIENT_AUTH_REQUIRED) {
        snprintf(error, RN_TLS_ERROR_MAX, "client certificates are required, but no CA is given");
        result = RPCNET_ERR_ARGUMENT;
    }
    if (result == RPCNET_OK && config->certificate_file != NULL) {
        result = load_own(context, config, error);
    }
    if (result != RPCNET_OK) {
        rn_tls_context_del(context);
        return result;
    }
    *out = context;
    return RPCNET_OK;
}

void rn_tls_context_del(rn_tls_context *context) {
    if (context == NULL || --context->count > 0) {
        return;
    }
    if (context->credentials != NULL) {
        gnutls_certificate_free_credentials(context->credentials);
    }
    if (context->priorities != NULL) {
        gnutls_priority_deinit(context->priorities);
    }
    free(context);
}

rn_tls_context *rn_tls_context_hold(rn_tls_context *context) {
    context->count++;
    return context;
}

const char *rn_tls_context_identity(const rn_tls_context *context) {
    return context->identity;
}

int64_t rn_tls_context_expiry(const rn_tls_context *context) {
    return context->expiry;
}

/* The glue takes the session's pointer for its own; ours hangs behind it. */
static rn_tls_session *session_of(gnutls_session_t gnutls) {
    const ngtcp2_crypto_conn_ref *reference = gnutls_session_get_ptr(gnutls);
    return reference->user_data;
}

/* ---- the peer's certificate ---- */

static int refuse(rn_tls_session *session, const char *why) {
    snprintf(session->failure, sizeof session->failure, "%s", why);
    return GNUTLS_E_CERTIFICATE_ERROR;
}

static int read_peer_identity(rn_tls_session *session) {
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session->gnutls, &count);
    gnutls_x509_crt_t certificate;
    if (chain == NULL || count == 0 || gnutls_x509_crt_init(&certificate) < 0) {
        return RPCNET_ERR_TLS;
    }
    int result = RPCNET_ERR_TLS;
    if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) == 0) {
        result = read_identity(certificate, session->peer_identity);
    }
    gnutls_x509_crt_deinit(certificate);
    return result;
}

/* Called by GnuTLS when the peer's certificate has arrived; 0 accepts it. */
static int verify_peer(gnutls_session_t gnutls) {
    rn_tls_session *session = session_of(gnutls);
    gnutls_typed_vdata_st data[2];
    unsigned count = 0;
    data[count].type = GNUTLS_DT_KEY_PURPOSE_OID;
    data[count].data =
        (unsigned char *)(session->server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER);
    data[count++].size = 0;
    if (session->server_name != NULL) {
        data[count].type = GNUTLS_DT_DNS_HOSTNAME;
        data[count].data = (unsigned char *)session->server_name;
        data[count++].size = 0;
    }
    unsigned status = 0;
    int result = gnutls_certificate_verify_peers(gnutls, data, count, &status);
    if (result < 0) {
        return refuse(session, gnutls_strerror(result));
    }
    if (status != 0) {
        gnutls_datum_t text = {0};
        if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0) {
            refuse(session, (const char *)text.data);
            gnutls_free(text.data);
        } else {
            refuse(session, "the certificate is not valid");
        }
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    if (read_peer_identity(session) != RPCNET_OK) {
        return refuse(session, "the certificate's role cannot be read");
    }
    if (session->expected_identity[0] != '\0' &&
        strcmp(session->expected_identity, session->peer_identity) != 0) {
        char why[RN_TLS_ERROR_MAX];
        snprintf(why, sizeof why, "the peer is %s%s, not %s",
                 session->peer_identity[0] != '\0' ? "" : "without a role", session->peer_identity,
                 session->expected_identity);
        return refuse(session, why);
    }
    return 0;
}

/* ---- sessions ---- */

/* A second secret for a direction would be TLS's own key update, which QUIC does not have: ngtcp2
 * asserts that there is none. */
static int take_application_secret(rn_tls_session *session, bool transmit, const void *secret,
                                   size_t len) {
    bool *done = transmit ? &session->transmit_done : &session->receive_done;
    if (secret == NULL) {
        return RPCNET_OK;
    }
    if (*done) {
        return RPCNET_ERR_TLS;
    }
    *done = true;
    return session->events.secret(session->events.user, transmit, secret, len);
}

/* RFC 9001, section 6: a TLS KeyUpdate is answered with the alert unexpected_message. */
static int refuse_key_update(gnutls_session_t gnutls, unsigned type, unsigned when,
                             unsigned incoming, const gnutls_datum_t *message) {
    (void)gnutls;
    (void)type;
    (void)when;
    (void)message;
    return incoming != 0 ? GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET : 0;
}

/* RFC 9001, section 8.2: without the peer's transport parameters there is no connection. The glue
 * hears of those that come, and of nothing when none do; ngtcp2 then stops at an assertion. */
static bool has_peer_parameters(ngtcp2_conn *quic, ngtcp2_encryption_level level) {
    /* A ClientHello holds the client's, EncryptedExtensions the server's. */
    bool due = ngtcp2_conn_is_server(quic) || level == NGTCP2_ENCRYPTION_LEVEL_1RTT;
    return !due || ngtcp2_conn_get_remote_transport_params(quic) != NULL;
}

static int secret_function(gnutls_session_t gnutls, gnutls_record_encryption_level_t gnutls_level,
                           const void *receive, const void *transmit, size_t len) {
    rn_tls_session *session = session_of(gnutls);
    ngtcp2_conn *quic = session->events.quic(session->events.user);
    ngtcp2_encryption_level level =
        ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(gnutls_level);
    if (!has_peer_parameters(quic, level)) {
        return GNUTLS_E_MISSING_EXTENSION; /* and its alert */
    }
    if (level == NGTCP2_ENCRYPTION_LEVEL_1RTT) {
        return take_application_secret(session, false, receive, len) == RPCNET_OK &&
                       take_application_secret(session, true, transmit, len) == RPCNET_OK
                   ? 0
                   : -1;
    }
    if (receive != NULL &&
        ngtcp2_crypto_derive_and_install_rx_key(quic, NULL, NULL, NULL, level, receive, len) != 0) {
        return -1;
    }
    if (transmit != NULL && ngtcp2_crypto_derive_and_install_tx_key(quic, NULL, NULL, NULL, level,
                                                                    transmit, len) != 0) {
        return -1;
    }
    return 0;
}

static ngtcp2_conn *quic_of(ngtcp2_crypto_conn_ref *reference) {
    rn_tls_session *session = reference->user_data;
    return session->events.quic(session->events.user);
}

static bool is_ip_address(const char *name) {
    uint8_t bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static int set_expectations(rn_tls_session *session, const rn_tls_expect *expect) {
    assert((expect->server_name != NULL) != (expect->identity != NULL));
    if (expect->identity != NULL) {
        if (strlen(expect->identity) >= sizeof session->expected_identity) {
            return RPCNET_ERR_ARGUMENT;
        }
        snprintf(session->expected_identity, sizeof session->expected_identity, "%s",
                 expect->identity);
        return RPCNET_OK;
    }
    session->server_name = strdup(expect->server_name);
    if (session->server_name == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    /* RFC 6066, section 3: literal addresses are not sent as server names. */
    if (!is_ip_address(expect->server_name) &&
        gnutls_server_name_set(session->gnutls, GNUTLS_NAME_DNS, expect->server_name,
                               strlen(expect->server_name)) < 0) {
        return RPCNET_ERR_TLS;
    }
    return RPCNET_OK;
}

static int configure(rn_tls_session *session, const rn_tls_expect *expect, const char *alpn) {
    const rn_tls_context *context = session->context;
    gnutls_session_t gnutls = session->gnutls;
    if (gnutls_priority_set(gnutls, context->priorities) < 0 ||
        gnutls_credentials_set(gnutls, GNUTLS_CRD_CERTIFICATE, context->credentials) < 0) {
        return RPCNET_ERR_TLS;
    }
    int glue = session->server ? ngtcp2_crypto_gnutls_configure_server_session(gnutls)
                               : ngtcp2_crypto_gnutls_configure_client_session(gnutls);
    if (glue != 0) {
        return RPCNET_ERR_TLS;
    }
    gnutls_handshake_set_secret_function(gnutls, secret_function);
    gnutls_handshake_set_hook_function(gnutls, GNUTLS_HANDSHAKE_KEY_UPDATE, GNUTLS_HOOK_PRE,
                                       refuse_key_update);
    gnutls_datum_t protocol = {.data = (unsigned char *)alpn, .size = (unsigned)strlen(alpn)};
    if (gnutls_alpn_set_protocols(gnutls, &protocol, 1, GNUTLS_ALPN_MANDATORY) < 0) {
        return RPCNET_ERR_TLS;
    }
    if (session->server) {
        if (context->client_auth == RN_TLS_CLIENT_AUTH_REQUIRED) {
            gnutls_certificate_server_set_request(gnutls, GNUTLS_CERT_REQUIRE);
            gnutls_session_set_verify_function(gnutls, verify_peer);
        }
        return RPCNET_OK;
    }
    if (!context->verify) {
        return RPCNET_ERR_ARGUMENT; /* a client that trusts everybody is never meant */
    }
    gnutls_session_set_verify_function(gnutls, verify_peer);
    return set_expectations(session, expect);
}

int rn_tls_session_new(rn_tls_session **out, rn_tls_context *context, bool server,
                       const rn_tls_expect *expect, const char *alpn, const rn_tls_events *events) {
    rn_tls_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    /* No session tickets: there is no resumption and no 0-RTT. */
    unsigned flags = server ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT;
    if (gnutls_init(&session->gnutls, flags | GNUTLS_NO_TICKETS) < 0) {
        free(session);
        return RPCNET_ERR_MEMORY;
    }
    session->server = server;
    session->events = *events;
    session->context = rn_tls_context_hold(context);
    session->reference.get_conn = quic_of;
    session->reference.user_data = session;
    gnutls_session_set_ptr(session->gnutls, &session->reference);
    int result = configure(session, expect, alpn);
    if (result != RPCNET_OK) {
        rn_tls_session_del(session);
        return result;
    }
    *out = session;
    return RPCNET_OK;
}

void rn_tls_session_del(rn_tls_session *session) {
    if (session == NULL) {
        return;
    }
    gnutls_deinit(session->gnutls);
    rn_tls_context_del(session->context);
    free(session->server_name);
    free(session);
}

void *rn_tls_session_native(rn_tls_session *session) {
    return session->gnutls;
}

const char *rn_tls_session_peer_identity(const rn_tls_session *session) {
    return session->peer_identity;
}

const char *rn_tls_session_failure(const rn_tls_session *session) {
    return session->failure;
}

const char *rn_tls_alert_name(uint8_t alert) {
    const char *name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
    return name != NULL ? name : "";
}

uint16_t rn_tls_session_suite(const rn_tls_session *session) {
    switch (gnutls_cipher_get(session->gnutls)) {
    case GNUTLS_CIPHER_AES_128_GCM:
        return 0x1301;
    case GNUTLS_CIPHER_AES_256_GCM:
        return 0x1302;
    case GNUTLS_CIPHER_CHACHA20_POLY1305:
        return 0x1303;
    default:
        return 0;
    }
}

/* ---- what ngtcp2 gets from the glue ---- */

/* Behind the handshake a client has nothing to say in TLS: no KeyUpdate (RFC 9001, section 6), no
 * certificate that was not asked for. The server's session may be gone by then. */
static int receive_crypto(ngtcp2_conn *quic, ngtcp2_encryption_level level, uint64_t offset,
                          const uint8_t *data, size_t len, void *user) {
    bool over = ngtcp2_conn_get_tls_native_handle(quic) == NULL;
    if (over || (level == NGTCP2_ENCRYPTION_LEVEL_1RTT && ngtcp2_conn_is_server(quic) != 0)) {
        ngtcp2_conn_set_tls_alert(quic, GNUTLS_A_UNEXPECTED_MESSAGE);
        return NGTCP2_ERR_CRYPTO;
    }
    return ngtcp2_crypto_recv_crypto_data_cb(quic, level, offset, data, len, user);
}

void rn_tls_callbacks(ngtcp2_callbacks *callbacks) {
    callbacks->client_initial = ngtcp2_crypto_client_initial_cb;
    callbacks->recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    callbacks->recv_crypto_data = receive_crypto;
    callbacks->recv_retry = ngtcp2_crypto_recv_retry_cb;
    callbacks->version_negotiation = ngtcp2_crypto_version_negotiation_cb;
}

int rn_tls_handshake_seal(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *plain, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad,
                          size_t ad_len) {
    return ngtcp2_crypto_encrypt(out, aead, key, plain, len, nonce, nonce_len, ad, ad_len) == 0
               ? 0
               : NGTCP2_ERR_CALLBACK_FAILURE;
}

int rn_tls_handshake_open(uint8_t *out, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *key, const uint8_t *sealed, size_t len,
                          const uint8_t *nonce, size_t nonce_len, const uint8_t *ad,
                          size_t ad_len) {
    return ngtcp2_crypto_decrypt(out, aead, key, sealed, len, nonce, nonce_len, ad, ad_len) == 0
               ? 0
               : NGTCP2_ERR_DECRYPT;
}

void rn_tls_handshake_key_del(ngtcp2_crypto_aead_ctx *key) {
    ngtcp2_crypto_aead_ctx_free(key);
}
