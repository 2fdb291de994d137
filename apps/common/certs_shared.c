/* certs_shared: whether two files of authorities have one in common. */
#include <stdio.h>
#include <stdlib.h>

#include <gnutls/x509.h>

#include "base/file.h"
#include "common/certs.h"

typedef struct authorities {
    gnutls_x509_crt_t *list;
    unsigned count;
} authorities;

/* None of a file that cannot be read. */
static authorities read_authorities(const char *path) {
    authorities found = {.count = 0};
    size_t len = 0;
    unsigned char *bytes = malloc(RN_FILE_PEM_MAX);
    if (bytes != NULL && rn_file_read(path, bytes, RN_FILE_PEM_MAX, &len) == 0) {
        const gnutls_datum_t text = {.data = bytes, .size = (unsigned)len};
        if (gnutls_x509_crt_list_import2(&found.list, &found.count, &text, GNUTLS_X509_FMT_PEM, 0) <
            0) {
            found = (authorities){.count = 0};
        }
    }
    free(bytes);
    return found;
}

static void free_authorities(authorities *found) {
    for (unsigned i = 0; i < found->count; i++) {
        gnutls_x509_crt_deinit(found->list[i]);
    }
    gnutls_free(found->list);
}

bool rn_certs_is_cluster_ca(const rn_certs *certs, const rn_program *program, const char *file) {
    char folder_ca[PATH_MAX];
    const char *ca = program->common->ca;
    if (ca == NULL) {
        int len = snprintf(folder_ca, sizeof folder_ca, "%s/ca.crt", certs->folder);
        if (len >= (int)sizeof folder_ca) {
            return false;
        }
        ca = folder_ca;
    }
    authorities ours = read_authorities(ca);
    authorities theirs = read_authorities(file);
    bool shared = false;
    for (unsigned i = 0; i < ours.count && !shared; i++) {
        for (unsigned j = 0; j < theirs.count && !shared; j++) {
            shared = gnutls_x509_crt_equals(ours.list[i], theirs.list[j]) != 0;
        }
    }
    free_authorities(&theirs);
    free_authorities(&ours);
    return shared;
}
