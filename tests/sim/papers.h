/* papers: a folder of simulated certificates, as scripts/make-certs.sh makes one of real ones:
 * ca.crt, server, director, client and workers with .crt and .key, and cluster.secret. For programs
 * that are linked with tls_null; see tls_null/paper.h for what the files look like. */
#ifndef RN_TESTS_SIM_PAPERS_H
#define RN_TESTS_SIM_PAPERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct rn_papers {
    const char *folder; /* is there */
    uint64_t seed;      /* another one is another authority and another secret */
    int64_t from; /* seconds since 1970; both 0: the year that the simulated clock begins in */
    int64_t until;
} rn_papers;

/* All of the functions return 0 or an errno. */

/* The whole folder; the list of workers ends with NULL. */
int rn_papers_write(const rn_papers *papers, const char *const *workers);
/* NAME.crt and NAME.key with one role (NULL: none) that both clients and servers may show. */
int rn_papers_write_pair(const rn_papers *papers, const char *name, const char *identity);

#endif
