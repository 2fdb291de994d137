/* report: what the client has seen, and how it is said. */
#ifndef APPS_CLIENT_REPORT_H
#define APPS_CLIENT_REPORT_H

#include "base/buffer.h"
#include "base/env.h"
#include "client/config.h"
#include "client/output.h"
#include "rpcnet/rpcnet.h"
#include "swap/sentence.h"

enum { RN_REPORT_SWAPS_MAX = 1000 }; /* swaps told one by one; more are only counted */

typedef struct rn_report_swap {
    uint64_t stream;
    uint64_t sequence; /* of the first token after it; 0: none came */
    uint64_t gap_ns;   /* from the last token before it */
    uint32_t reason;
    char from[RN_SWAP_LABEL_SIZE];
    char to[RN_SWAP_LABEL_SIZE];
    char message[RN_SWAP_SENTENCE_SIZE];
} rn_report_swap;

typedef struct rn_report {
    enum rn_client_print print;
    rn_output *out;  /* frames */
    rn_output *info; /* the summary; may be the same */
    rn_buffer line;  /* a JSON object */
    rn_report_swap *swaps;
    size_t swap_kept;
    size_t swap_capacity;
    uint64_t swap_count;
    uint64_t tokens;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t reordered;
    uint64_t streams;
    uint64_t streams_failed;
} rn_report;

/* The outputs are borrowed. Lines are added to them whole, and what fails is their error. */
void rn_report_init(rn_report *report, enum rn_client_print print, rn_output *out, rn_output *info);
void rn_report_fini(rn_report *report);

/* Where a stream is served; texts of the peer are escaped here. */
typedef struct rn_report_place {
    const char *connection;
    const char *worker;
    uint64_t stream;
} rn_report_place;

void rn_report_connected(rn_report *report, const rn_report_place *place);
/* `first`: of the first stream, the one that text is printed of. */
void rn_report_token(rn_report *report, const rn_report_place *place, uint64_t sequence,
                     const char *text, uint32_t id, bool first);
void rn_report_done(rn_report *report, const rn_report_place *place, const char *reason);
/* Returns the index to fill in sequence and gap later (rn_report_swap_at), or SIZE_MAX when it is
 * only counted. */
size_t rn_report_add_swap(rn_report *report, const rn_report_swap *swap);
rn_report_swap *rn_report_swap_at(rn_report *report, size_t index); /* NULL for SIZE_MAX */

bool rn_report_is_clean(const rn_report *report);
void rn_report_summary(rn_report *report, const rpcnet_channel_stats *stats, bool interrupted);

#endif
