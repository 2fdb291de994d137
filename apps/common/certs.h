/* certs: which certificate, key, authority and secret a program uses.
 *
 * Each has a setting of its own; without it the file is taken from one folder, which
 * scripts/make-certs.sh fills: ca.crt, server.crt, director.crt, <label>.crt, their keys, and
 * cluster.secret. */
#ifndef APPS_COMMON_CERTS_H
#define APPS_COMMON_CERTS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/program.h"
#include "rpcnet/rpcnet.h"

#define RN_ROLE_DIRECTOR "rpcnet://role/director"
#define RN_ROLE_WORKER "rpcnet://role/worker/" /* and the label */
#define RN_ROLE_CLIENT "rpcnet://role/client"  /* calls workers directly */

enum { RN_ROLE_MAX = 96, RN_LABEL_MAX = 63 };

/* 1 to 63 of A-Z a-z 0-9 . _ - that begin with a letter or digit. */
#define RN_LABEL_EXPECTED "expected letters, digits and . _ - that begin with a letter or digit"
bool rn_label_is_valid(const char *label);

/* Looks for a folder `certs` with a ca.crt: in `here`, in the folders above it, then in those above
 * `program` (a file). Folders above that everyone may write to are passed by: anyone could put an
 * authority there. False: none; `out` is unchanged. */
bool rn_certs_search(const char *here, const char *program, char out[PATH_MAX]);

typedef struct rn_certs {
    char folder[PATH_MAX]; /* "" when it was not found: every file must be named then */
} rn_certs;

/* Finds the folder: the setting, or by search from the working directory and /proc/self/exe. */
void rn_certs_find(rn_certs *certs, const rn_program *program);

/* Which pair to use and what it has to say. */
typedef struct rn_certs_pair {
    const char *cert;        /* a setting's value; NULL: <name>.crt in the folder */
    const char *key;         /* NULL: <name>.key */
    const char *cert_option; /* "cert", the setting's name */
    const char *key_option;
    const char *ca;        /* a setting's value; NULL: the cluster's */
    const char *ca_option; /* with `ca` */
    const char *name;      /* "director"; NULL with cert == NULL: show no certificate */
    const char *role;      /* the role URI that the certificate must bear; NULL: any or none */
    bool require_client_certificate;
} rn_certs_pair;

/* Reads the pair and the authority. On failure (a missing file, a certificate without the role, the
 * one pair of all programs) says on one line what is wrong and which command makes it right, and
 * returns RPCNET_ERR_STATE. */
int rn_certs_credentials(const rn_certs *certs, rn_program *program, const rn_certs_pair *pair,
                         rpcnet_credentials **out);

/* Is a certificate of `file` (PEM) among the cluster's authorities, too? False also when one of the
 * files cannot be read. */
bool rn_certs_is_cluster_ca(const rn_certs *certs, const rn_program *program, const char *file);

/* The cluster's secret, and for a while after a change the one before it. */
typedef struct rn_secret {
    uint8_t current[RPCNET_SECRET_LEN];
    bool changed; /* there is a previous one */
    uint8_t previous[RPCNET_SECRET_LEN];
} rn_secret;

/* Reads the cluster's secret; the same on failure. Wipe it after use: rn_secret_wipe. */
int rn_certs_secret(const rn_certs *certs, rn_program *program, rn_secret *out);
void rn_secret_wipe(rn_secret *secret);
/* One or two words of 64 hexadecimal digits, the current secret first, with white space around and
 * between them. */
bool rn_secret_parse(const char *text, size_t len, rn_secret *out);
/* For rpcnet_server_options.previous_secret. */
const uint8_t *rn_secret_previous(const rn_secret *secret);

#endif
