/* papers: see the header. */
#include "sim/papers.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/mix.h"
#include "sim/tls_null/paper.h"

#define YEAR_2026 INT64_C(1767225600) /* RN_SIM_WALL_START */
#define YEAR_2027 INT64_C(1798761600)

__attribute__((format(printf, 4, 5))) static int
write_file(const rn_papers *papers, const char *name, const char *suffix, const char *format, ...) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s%s", papers->folder, name, suffix);
    if (len < 0 || (size_t)len >= sizeof path) {
        return ENAMETOOLONG;
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return errno;
    }
    va_list arguments;
    va_start(arguments, format);
    int written = vfprintf(file, format, arguments);
    va_end(arguments);
    return fclose(file) == 0 && written >= 0 ? 0 : EIO;
}

/* The private number of a name. */
static uint64_t private_of(const rn_papers *papers, const char *name) {
    rn_mix mix = RN_MIX_START;
    rn_mix_word(&mix, papers->seed);
    rn_mix_add(&mix, name, strlen(name));
    return mix.a;
}

/* `rest`: lines of the certificate. */
static int write_pair(const rn_papers *papers, const char *name, const char *rest) {
    uint64_t key = private_of(papers, name);
    bool year = papers->from == 0 && papers->until == 0;
    int result = write_file(papers, name, ".key", RN_PAPER_KEY "\nprivate=%" PRIx64 "\n", key);
    if (result != 0) {
        return result;
    }
    return write_file(papers, name, ".crt",
                      RN_PAPER_CERTIFICATE "\nsubject=%s\npublic=%" PRIx64 "\nauthority=%" PRIx64
                                           "\nfrom=%" PRId64 "\nuntil=%" PRId64 "\n%s",
                      name, rn_paper_public(key), rn_paper_public(private_of(papers, "ca")),
                      year ? YEAR_2026 : papers->from, year ? YEAR_2027 : papers->until, rest);
}

static int write_identity(const rn_papers *papers, const char *name, const char *identity,
                          const char *uses) {
    char rest[RN_PAPER_TEXT_MAX + 64];
    int len = snprintf(rest, sizeof rest, "%s%s%s%s", uses, identity != NULL ? "identity=" : "",
                       identity != NULL ? identity : "", identity != NULL ? "\n" : "");
    if (len < 0 || (size_t)len >= sizeof rest) {
        return ENAMETOOLONG;
    }
    return write_pair(papers, name, rest);
}

int rn_papers_write_pair(const rn_papers *papers, const char *name, const char *identity) {
    return write_identity(papers, name, identity, "use=server\nuse=client\n");
}

static int write_secret(const rn_papers *papers) {
    uint8_t bytes[32];
    char digits[2 * sizeof bytes + 1];
    rn_mix mix = RN_MIX_START;
    rn_mix_word(&mix, papers->seed);
    rn_mix_sum(&mix, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
    }
    return write_file(papers, "cluster", ".secret", "%s\n", digits);
}

int rn_papers_write(const rn_papers *papers, const char *const *workers) {
    int result = write_pair(papers, "ca", "");
    if (result == 0) {
        result =
            write_pair(papers, "server", "use=server\nname=localhost\nname=127.0.0.1\nname=::1\n");
    }
    if (result == 0) {
        result = rn_papers_write_pair(papers, "director", "rpcnet://role/director");
    }
    if (result == 0) {
        result = write_identity(papers, "client", "rpcnet://role/client", "use=client\n");
    }
    for (; result == 0 && *workers != NULL; workers++) {
        char identity[RN_PAPER_TEXT_MAX];
        int len = snprintf(identity, sizeof identity, "rpcnet://role/worker/%s", *workers);
        result = len > 0 && (size_t)len < sizeof identity
                     ? rn_papers_write_pair(papers, *workers, identity)
                     : ENAMETOOLONG;
    }
    return result == 0 ? write_secret(papers) : result;
}
