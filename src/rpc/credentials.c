/* credentials: certificates for channels and servers. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "rpc/internal.h"

static_assert((int)RPCNET_ERROR_TEXT_MAX == (int)RN_TLS_ERROR_MAX, "one size of explanations");

struct rpcnet_credentials {
    rn_tls_context *tls;
    bool have_certificate;
};

static int refuse(char *error, const char *text) {
    (void)snprintf(error, RPCNET_ERROR_TEXT_MAX, "%s", text);
    return RPCNET_ERR_ARGUMENT;
}

int rpcnet_credentials_new(rpcnet_credentials **out, const rpcnet_credentials_options *options,
                           char *error) {
    rpcnet_credentials_options given;
    rpcnet_credentials_options_init(&given);
    error[0] = '\0';
    if (rn_rpc_take_options(&given, sizeof given, options) != RPCNET_OK) {
        return refuse(error, "the options were not initialised");
    }
    if ((given.certificate_file == NULL) != (given.key_file == NULL)) {
        return refuse(error, "a certificate and its key go together");
    }
    if (given.require_client_certificate && given.ca_file == NULL) {
        return refuse(error, "client certificates need a CA to check them against");
    }
    rpcnet_credentials *credentials = calloc(1, sizeof *credentials);
    if (credentials == NULL) {
        (void)refuse(error, "out of memory");
        return RPCNET_ERR_MEMORY;
    }
    rn_tls_config config = {.certificate_file = given.certificate_file,
                            .key_file = given.key_file,
                            .ca_file = given.ca_file,
                            .client_auth = given.require_client_certificate
                                               ? RN_TLS_CLIENT_AUTH_REQUIRED
                                               : RN_TLS_CLIENT_AUTH_NONE};
    int rv = rn_tls_context_new(&credentials->tls, &config, error);
    if (rv != RPCNET_OK) {
        free(credentials);
        return rv;
    }
    credentials->have_certificate = given.certificate_file != NULL;
    *out = credentials;
    return RPCNET_OK;
}

void rpcnet_credentials_del(rpcnet_credentials *credentials) {
    if (credentials != NULL) {
        rn_tls_context_del(credentials->tls);
        free(credentials);
    }
}

const char *rpcnet_credentials_identity(const rpcnet_credentials *credentials) {
    return rn_tls_context_identity(credentials->tls);
}

int64_t rpcnet_credentials_expiry(const rpcnet_credentials *credentials) {
    return rn_tls_context_expiry(credentials->tls);
}

rn_tls_context *rn_credentials_tls(const rpcnet_credentials *credentials) {
    return credentials->tls;
}

bool rn_credentials_have_certificate(const rpcnet_credentials *credentials) {
    return credentials->have_certificate;
}
