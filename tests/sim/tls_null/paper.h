/* paper: the certificates and keys of the simulator, small files of text.
 *
 *   rpcnet simulated certificate       rpcnet simulated key
 *   subject=worker-a                   private=9f00c3a1
 *   public=2c8e...
 *   authority=81f0...                  the public number of who signed it
 *   identity=rpcnet://role/worker/worker-a
 *   name=localhost                     DNS name or IP address; any number of them
 *   use=server                         and use=client
 *   from=1767225600                    seconds since 1970
 *   until=1798761600
 *
 * Numbers are hexadecimal but for times. A file may hold several certificates, one behind the
 * other; those of a CA file are trusted to sign others. Empty lines and lines that begin with '#'
 * are passed over, anything else is refused. */
#ifndef RN_TESTS_TLS_NULL_PAPER_H
#define RN_TESTS_TLS_NULL_PAPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "quic/tls.h"

enum {
    RN_PAPERS_MAX = 8,
    RN_PAPER_NAMES_MAX = 8,
    RN_PAPER_TEXT_MAX = 256,
    RN_PAPER_FILE_MAX = 8192
};

#define RN_PAPER_CERTIFICATE "rpcnet simulated certificate"
#define RN_PAPER_KEY "rpcnet simulated key"

typedef struct rn_paper {
    char subject[RN_PAPER_TEXT_MAX];
    char identity[RN_TLS_IDENTITY_MAX]; /* "": none */
    bool several_identities;
    char names[RN_PAPER_NAMES_MAX][RN_PAPER_TEXT_MAX];
    size_t name_count;
    uint64_t public_number;
    uint64_t authority;
    bool for_server;
    bool for_client;
    int64_t from;
    int64_t until;
} rn_paper;

/* How many certificates the text holds; -1: it is malformed, or too many. */
int rn_papers_parse(rn_paper papers[RN_PAPERS_MAX], rn_bytes text);
bool rn_paper_key_parse(uint64_t *private_number, rn_bytes text);
/* The public number that belongs to a private one. */
uint64_t rn_paper_public(uint64_t private_number);

#endif
