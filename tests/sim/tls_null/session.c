/* tls_null/session: credentials and who is let in. The words are GnuTLS' own, so that tests and
 * people read the same ones in either build. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gnutls/gnutls.h>

#include "base/file.h"
#include "rpcnet/error.h"
#include "sim/tls_null/internal.h"

/* ---- files ---- */

/* 0 or a GnuTLS error. */
static int read_file(const char *path, rn_buffer *out) {
    uint8_t bytes[RN_PAPER_FILE_MAX];
    size_t len = 0;
    if (rn_file_read(path, bytes, sizeof bytes, &len) != 0) {
        return GNUTLS_E_FILE_ERROR;
    }
    return rn_buffer_append(out, bytes, len) == RPCNET_OK ? 0 : GNUTLS_E_MEMORY_ERROR;
}

static int read_papers(const char *path, rn_paper papers[RN_PAPERS_MAX], rn_buffer *text) {
    int result = read_file(path, text);
    if (result != 0) {
        return result;
    }
    int count = rn_papers_parse(papers, rn_buffer_bytes(text));
    return count < 0 ? GNUTLS_E_BASE64_DECODING_ERROR : count;
}

static int read_key(const char *path, uint64_t *out) {
    rn_buffer text;
    rn_buffer_init(&text, RN_PAPER_FILE_MAX);
    int result = read_file(path, &text);
    if (result == 0 && !rn_paper_key_parse(out, rn_buffer_bytes(&text))) {
        result = GNUTLS_E_BASE64_DECODING_ERROR;
    }
    rn_buffer_fini(&text);
    return result;
}

static int load_own(rn_tls_context *context, const rn_tls_config *config,
                    char error[RN_TLS_ERROR_MAX]) {
    rn_paper papers[RN_PAPERS_MAX];
    int result = read_papers(config->certificate_file, papers, &context->own_text);
    if (result == 0) {
        result = GNUTLS_E_NO_CERTIFICATE_FOUND;
    } else if (result > 0) {
        context->own = papers[0];
        result = read_key(config->key_file, &context->key);
        if (result == 0 && rn_paper_public(context->key) != context->own.public_number) {
            result = GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
        }
    }
    if (result < 0) {
        snprintf(error, RN_TLS_ERROR_MAX, "cannot use certificate %s with key %s: %s",
                 config->certificate_file, config->key_file, gnutls_strerror(result));
        return RPCNET_ERR_TLS;
    }
    if (context->own.several_identities) {
        snprintf(error, RN_TLS_ERROR_MAX, "certificate %s bears more than one rpcnet:// name",
                 config->certificate_file);
        return RPCNET_ERR_TLS;
    }
    context->has_own = true;
    return RPCNET_OK;
}

static int load_authorities(rn_tls_context *context, const char *path,
                            char error[RN_TLS_ERROR_MAX]) {
    rn_paper papers[RN_PAPERS_MAX];
    rn_buffer text;
    rn_buffer_init(&text, RN_PAPER_FILE_MAX);
    int found = read_papers(path, papers, &text);
    rn_buffer_fini(&text);
    if (found <= 0) {
        snprintf(error, RN_TLS_ERROR_MAX, "cannot read CA certificates from %s: %s", path,
                 found < 0 ? gnutls_strerror(found) : "no certificate in it");
        return RPCNET_ERR_TLS;
    }
    context->verify = true;
    context->trusted_count = (size_t)found;
    for (int i = 0; i < found; i++) {
        context->trusted[i] = papers[i].public_number;
    }
    return RPCNET_OK;
}

int rn_tls_context_new(rn_tls_context **out, const rn_tls_config *config,
                       char error[RN_TLS_ERROR_MAX]) {
    error[0] = '\0';
    rn_tls_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        snprintf(error, RN_TLS_ERROR_MAX, "out of memory");
        return RPCNET_ERR_MEMORY;
    }
    context->count = 1;
    context->client_auth = config->client_auth;
    rn_buffer_init(&context->own_text, RN_PAPER_FILE_MAX);
    int result = RPCNET_OK;
    if (config->ca_file != NULL) {
        result = load_authorities(context, config->ca_file, error);
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
    rn_buffer_fini(&context->own_text);
    free(context);
}

rn_tls_context *rn_tls_context_hold(rn_tls_context *context) {
    context->count++;
    return context;
}

const char *rn_tls_context_identity(const rn_tls_context *context) {
    return context->own.identity;
}

int64_t rn_tls_context_expiry(const rn_tls_context *context) {
    return context->has_own ? context->own.until : 0;
}

/* ---- the peer's certificate ---- */

static bool bears_name(const rn_paper *paper, const char *name) {
    for (size_t i = 0; i < paper->name_count; i++) {
        if (strcasecmp(paper->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Flags of gnutls_certificate_status_t; 0: it is valid. */
static unsigned judge(const rn_tls_session *session, const rn_paper *paper) {
    int64_t now = (int64_t)(session->events.wall(session->events.user) / UINT64_C(1000000000));
    const rn_tls_context *context = session->context;
    unsigned status = GNUTLS_CERT_SIGNER_NOT_FOUND;
    for (size_t i = 0; i < context->trusted_count; i++) {
        if (context->trusted[i] == paper->authority) {
            status = 0;
        }
    }
    status |= now < paper->from ? GNUTLS_CERT_NOT_ACTIVATED : 0;
    status |= now > paper->until ? GNUTLS_CERT_EXPIRED : 0;
    status |= !(session->server ? paper->for_client : paper->for_server)
                  ? GNUTLS_CERT_PURPOSE_MISMATCH
                  : 0;
    if (session->server_name != NULL && !bears_name(paper, session->server_name)) {
        status |= GNUTLS_CERT_UNEXPECTED_OWNER;
    }
    return status != 0 ? status | GNUTLS_CERT_INVALID : 0;
}

static bool refuse(rn_tls_session *session, const char *why) {
    snprintf(session->failure, sizeof session->failure, "%s", why);
    return false;
}

bool rn_null_check_peer(rn_tls_session *session, rn_bytes text) {
    rn_paper papers[RN_PAPERS_MAX];
    if (rn_papers_parse(papers, text) <= 0) {
        return refuse(session, gnutls_strerror(GNUTLS_E_BASE64_DECODING_ERROR));
    }
    unsigned status = judge(session, &papers[0]);
    if (status != 0) {
        gnutls_datum_t words = {0};
        if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0) == 0) {
            refuse(session, (const char *)words.data);
            gnutls_free(words.data);
            return false;
        }
        return refuse(session, "the certificate is not valid");
    }
    if (papers[0].several_identities) {
        return refuse(session, "the certificate's role cannot be read");
    }
    session->peer = papers[0];
    const char *identity = session->peer.identity;
    if (session->expected_identity[0] != '\0' &&
        strcmp(session->expected_identity, identity) != 0) {
        char why[RN_TLS_ERROR_MAX];
        snprintf(why, sizeof why, "the peer is %s%s, not %s",
                 identity[0] != '\0' ? "" : "without a role", identity, session->expected_identity);
        return refuse(session, why);
    }
    return true;
}

/* ---- sessions ---- */

static int set_expectations(rn_tls_session *session, const rn_tls_expect *expect) {
    assert((expect->server_name != NULL) != (expect->identity != NULL));
    if (!session->context->verify) {
        return RPCNET_ERR_ARGUMENT;
    }
    if (expect->identity != NULL) {
        if (strlen(expect->identity) >= sizeof session->expected_identity) {
            return RPCNET_ERR_ARGUMENT;
        }
        strcpy(session->expected_identity, expect->identity);
        return RPCNET_OK;
    }
    session->server_name = strdup(expect->server_name);
    return session->server_name != NULL ? RPCNET_OK : RPCNET_ERR_MEMORY;
}

int rn_tls_session_new(rn_tls_session **out, rn_tls_context *context, bool server,
                       const rn_tls_expect *expect, const char *alpn, const rn_tls_events *events) {
    rn_tls_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    session->server = server;
    session->events = *events;
    session->alpn = alpn;
    session->context = rn_tls_context_hold(context);
    rn_buffer_init(&session->input[0], RN_NULL_INPUT_MAX);
    rn_buffer_init(&session->input[1], RN_NULL_INPUT_MAX);
    int result = server ? RPCNET_OK : set_expectations(session, expect);
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
    rn_tls_context_del(session->context);
    rn_buffer_fini(&session->input[0]);
    rn_buffer_fini(&session->input[1]);
    free(session->server_name);
    free(session);
}

void *rn_tls_session_native(rn_tls_session *session) {
    return session;
}

const char *rn_tls_session_peer_identity(const rn_tls_session *session) {
    return session->peer.identity;
}

const char *rn_tls_session_failure(const rn_tls_session *session) {
    return session->failure;
}

const char *rn_tls_alert_name(uint8_t alert) {
    const char *name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
    return name != NULL ? name : "";
}

uint16_t rn_tls_session_suite(const rn_tls_session *session) {
    return session->state != RN_NULL_HELLO ? RN_NULL_SUITE : 0;
}

/* ---- what ngtcp2 gets ---- */

static int install_initial(ngtcp2_conn *quic, const ngtcp2_cid *id, bool server) {
    uint8_t secrets[2][RN_NULL_SECRET_LEN]; /* the client's, the server's */
    rn_null_keys receive;
    rn_null_keys transmit;
    ngtcp2_crypto_ctx crypto;
    rn_null_crypto(&crypto);
    ngtcp2_conn_set_initial_crypto_ctx(quic, &crypto);
    rn_null_initial_secrets(id, secrets[0], secrets[1]);
    if (rn_null_keys_init(&receive, rn_bytes_of(secrets[!server], RN_NULL_SECRET_LEN)) !=
        RPCNET_OK) {
        return NGTCP2_ERR_NOMEM;
    }
    if (rn_null_keys_init(&transmit, rn_bytes_of(secrets[server], RN_NULL_SECRET_LEN)) !=
        RPCNET_OK) {
        rn_null_keys_fini(&receive);
        return NGTCP2_ERR_NOMEM;
    }
    int result = ngtcp2_conn_install_initial_key(quic, &receive.packet, receive.iv, &receive.header,
                                                 &transmit.packet, transmit.iv, &transmit.header,
                                                 RN_PACKET_IV_LEN);
    if (result != 0) {
        rn_null_keys_fini(&receive);
        rn_null_keys_fini(&transmit);
    }
    return result;
}

static int client_initial(ngtcp2_conn *quic, void *user) {
    (void)user;
    rn_null_keys retry;
    ngtcp2_crypto_ctx crypto;
    int result = install_initial(quic, ngtcp2_conn_get_dcid(quic), false);
    if (result != 0 ||
        rn_null_keys_init(&retry, rn_bytes_text(RN_NULL_RETRY_SECRET)) != RPCNET_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    rn_header_key_del(&retry.header); /* a Retry packet's header is not protected */
    rn_null_crypto(&crypto);
    ngtcp2_conn_set_retry_aead(quic, &crypto.aead, &retry.packet);
    return rn_null_say_hello(ngtcp2_conn_get_tls_native_handle(quic), quic) == 0
               ? 0
               : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int receive_client_initial(ngtcp2_conn *quic, const ngtcp2_cid *id, void *user) {
    (void)user;
    return install_initial(quic, id, true) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int receive_retry(ngtcp2_conn *quic, const ngtcp2_pkt_hd *header, void *user) {
    (void)user;
    return install_initial(quic, &header->scid, false) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

/* Nobody has anything to say behind the handshake; a server's session is gone by then. */
static int receive_crypto(ngtcp2_conn *quic, ngtcp2_encryption_level level, uint64_t offset,
                          const uint8_t *data, size_t len, void *user) {
    (void)offset;
    (void)user;
    rn_tls_session *session = ngtcp2_conn_get_tls_native_handle(quic);
    if (session == NULL || session->state == RN_NULL_DONE) {
        ngtcp2_conn_set_tls_alert(quic, GNUTLS_A_UNEXPECTED_MESSAGE);
        return NGTCP2_ERR_CRYPTO;
    }
    return rn_null_receive(session, quic, level, rn_bytes_of(data, len));
}

/* Version negotiation within a handshake (RFC 9368) does not happen with one version. */
void rn_tls_callbacks(ngtcp2_callbacks *callbacks) {
    callbacks->client_initial = client_initial;
    callbacks->recv_client_initial = receive_client_initial;
    callbacks->recv_crypto_data = receive_crypto;
    callbacks->recv_retry = receive_retry;
}
