/* certs: where certificates lie and what is said when they are missing or the wrong ones. */
#include "common/certs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum {
    SECRET_FILE_MAX = 256, /* bytes; a file of twice 64 digits and white space */
    COMMAND_MAX = PATH_MAX + 160
};

static bool join(char out[PATH_MAX], const char *folder, const char *name, const char *suffix) {
    int len = snprintf(out, PATH_MAX, "%s/%s%s", folder, name, suffix);
    return len > 0 && len < PATH_MAX;
}

void rn_certs_find(rn_certs *certs, const rn_program *program) {
    certs->folder[0] = '\0';
    if (program->common->certs_dir != NULL) {
        snprintf(certs->folder, sizeof certs->folder, "%s", program->common->certs_dir);
        return;
    }
    char here[PATH_MAX];
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    if (rn_certs_search(getcwd(here, sizeof here), self, certs->folder)) {
        RN_DEBUG(program->log, program->target, "certs=%s certificates found", certs->folder);
    }
}

/* The command that makes what a role needs, in the folder that was given. */
static const char *make_command(const rn_program *program, const char *role,
                                char out[COMMAND_MAX]) {
    const char *folder = program->common->certs_dir;
    size_t prefix = strlen(RN_ROLE_WORKER);
    bool is_worker = role != NULL && strncmp(role, RN_ROLE_WORKER, prefix) == 0;
    snprintf(out, COMMAND_MAX, "scripts/make-certs.sh%s%s%s%s", folder != NULL ? " --dir " : "",
             folder != NULL ? folder : "", is_worker ? " --worker " : "",
             is_worker ? role + prefix : "");
    return out;
}

/* A file that a setting names or that lies in the folder; says what is wrong with it otherwise. */
static int choose(const rn_certs *certs, rn_program *program, const char *given, const char *option,
                  const char *name, const char *suffix, const char *role, char out[PATH_MAX]) {
    char command[COMMAND_MAX];
    if (given == NULL && certs->folder[0] == '\0') {
        return rn_program_fail(program,
                               "no certificates found: there is no certs/ with a ca.crt here, in a "
                               "folder above or above the program; run %s or name the folder with "
                               "--certs-dir",
                               make_command(program, role, command));
    }
    bool fits;
    if (given != NULL) {
        int len = snprintf(out, PATH_MAX, "%s", given);
        fits = len < PATH_MAX;
    } else {
        fits = join(out, certs->folder, name, suffix);
    }
    struct stat status;
    if (!fits) {
        errno = ENAMETOOLONG;
    } else if (access(out, R_OK) == 0 && stat(out, &status) == 0) {
        if (!S_ISDIR(status.st_mode)) {
            return RPCNET_OK;
        }
        errno = EISDIR;
    }
    const char *reason = strerror(errno);
    if (given != NULL) {
        return rn_program_fail_setting(program, option, "cannot read %s: %s", given, reason);
    }
    return rn_program_fail(program, "cannot read %s: %s; run %s", out, reason,
                           make_command(program, role, command));
}

/* Does the certificate say who we are? */
static int check_role(rn_program *program, const rn_certs_pair *pair, const char *file,
                      const rpcnet_credentials *credentials) {
    const char *identity = rpcnet_credentials_identity(credentials);
    if (pair->role == NULL || strcmp(identity, pair->role) == 0) {
        return RPCNET_OK;
    }
    char command[COMMAND_MAX];
    char bears[2 * RN_ROLE_MAX];
    if (identity[0] == '\0') {
        snprintf(bears, sizeof bears, "bears no role");
    } else {
        snprintf(bears, sizeof bears, "bears the role %s", identity);
    }
    make_command(program, pair->role, command);
    if (pair->cert != NULL) {
        return rn_program_fail_setting(
            program, pair->cert_option,
            "%s %s, but %s is needed: every program of the cluster has a certificate of its own; "
            "make it with %s and leave --%s and --%s unset",
            file, bears, pair->role, command, pair->cert_option, pair->key_option);
    }
    return rn_program_fail(program, "%s %s, but %s is needed; make it with %s", file, bears,
                           pair->role, command);
}

int rn_certs_credentials(const rn_certs *certs, rn_program *program, const rn_certs_pair *pair,
                         rpcnet_credentials **out) {
    char cert[PATH_MAX];
    char key[PATH_MAX];
    char ca[PATH_MAX];
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials_options options;
    rpcnet_credentials_options_init(&options);
    options.require_client_certificate = pair->require_client_certificate;
    if ((pair->cert == NULL) != (pair->key == NULL)) {
        const char *lone = pair->cert != NULL ? pair->cert_option : pair->key_option;
        const char *missing = pair->cert != NULL ? pair->key_option : pair->cert_option;
        return rn_program_fail_usage(program, lone, "needs --%s, too", missing);
    }
    bool own_ca = pair->ca != NULL;
    int result = choose(certs, program, own_ca ? pair->ca : program->common->ca,
                        own_ca ? pair->ca_option : "ca", "ca", ".crt", pair->role, ca);
    if (result != RPCNET_OK) {
        return result;
    }
    options.ca_file = ca;
    if (pair->cert != NULL || pair->name != NULL) {
        result = choose(certs, program, pair->cert, pair->cert_option, pair->name, ".crt",
                        pair->role, cert);
        if (result == RPCNET_OK) {
            result = choose(certs, program, pair->key, pair->key_option, pair->name, ".key",
                            pair->role, key);
        }
        if (result != RPCNET_OK) {
            return result;
        }
        options.certificate_file = cert;
        options.key_file = key;
    }
    rpcnet_credentials *credentials = NULL;
    error[0] = '\0';
    result = rpcnet_credentials_new(&credentials, &options, error);
    if (result != RPCNET_OK) {
        return rn_program_fail(program, "%s", error[0] != '\0' ? error : rpcnet_strerror(result));
    }
    result = check_role(program, pair, cert, credentials);
    if (result != RPCNET_OK) {
        rpcnet_credentials_del(credentials);
        return result;
    }
    *out = credentials;
    return RPCNET_OK;
}

int rn_certs_secret(const rn_certs *certs, rn_program *program, rn_secret *out) {
    char file[PATH_MAX];
    const char *given = program->common->secret_file;
    int result = choose(certs, program, given, "secret-file", "cluster", ".secret", NULL, file);
    if (result != RPCNET_OK) {
        return result;
    }
    char text[SECRET_FILE_MAX];
    char command[COMMAND_MAX];
    size_t len = 0;
    int error = rn_file_read(file, text, sizeof text, &len);
    bool parsed = error == 0 && rn_secret_parse(text, len, out);
    explicit_bzero(text, sizeof text);
    if (error != 0 && error != EFBIG) {
        return rn_program_fail(program, "cannot read %s: %s", file, rn_file_error(error));
    }
    if (!parsed) {
        return rn_program_fail(program,
                               "%s is no cluster secret (64 hexadecimal digits, and perhaps those "
                               "of the secret before it on a second line); make one with %s",
                               file, make_command(program, NULL, command));
    }
    return RPCNET_OK;
}
