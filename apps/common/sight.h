/* sight: a look into a running program: a small HTTP/1.1 server for its metrics and health.
 *
 * It answers GET and HEAD on a loopback TCP address and nothing else, one for each connection; it
 * is for a collector or a person on this machine. The program registers its pages and fills them
 * when they are asked for, in the loop's thread. Everything about HTTP is libmicrohttpd's work. */
#ifndef APPS_COMMON_SIGHT_H
#define APPS_COMMON_SIGHT_H

#include "base/buffer.h"
#include "base/metrics.h"
#include "common/program.h"

enum {
    RN_SIGHT_PAGES_MAX = 16,
    RN_SIGHT_CONNECTIONS_MAX = 64,        /* more wait in the kernel until one has ended */
    RN_SIGHT_CONNECTIONS_OF_ONE_MAX = 32, /* of one address; more are closed at once */
    RN_SIGHT_TIMEOUT_SECONDS = 5,         /* of silence, then a connection is closed */
    RN_SIGHT_REQUEST_SECONDS = 10,        /* for request and answer, then likewise */
    RN_SIGHT_REQUEST_MAX = 32 * 1024,     /* bytes of memory for each connection */
    RN_SIGHT_PAGE_MAX = 8 << 20           /* bytes of a page */
};

#define RN_SIGHT_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define RN_SIGHT_TEXT_TYPE "text/plain; charset=utf-8"
#define RN_SIGHT_JSON_TYPE "application/json"

typedef struct rn_sight rn_sight;

/* Fills a page. Returns its HTTP status (200, 503), or a negative RPCNET_ERR_*, which becomes an
 * empty page with status 500. */
typedef int rn_sight_page_fn(rn_buffer *out, void *user);

/* Listens on the loopback TCP address "host:port" of the setting `name` and says so in the log:
 * "metrics.addr=127.0.0.1:9100 listening". An address that other machines can reach is refused as
 * wrong usage. Runs the loop while it resolves a name, so only before rn_program_run. Returns an
 * RPCNET_ERR_* after having said what is wrong; *out is NULL then. */
int rn_sight_new(rn_sight **out, rn_program *program, const char *name, const char *address);
/* Closes all connections. Not inside a page's function. NULL is fine. */
void rn_sight_del(rn_sight *sight);

/* `path` ("/metrics") and `type` are borrowed. RPCNET_ERR_LIMIT. */
int rn_sight_add(rn_sight *sight, const char *path, const char *type, rn_sight_page_fn *fill,
                 void *user);

const rn_program *rn_sight_program(const rn_sight *sight);
const char *rn_sight_address(const rn_sight *sight); /* with the port that was bound */

/* ---- what all programs tell of themselves (sight_process.c) ---- */

/* Memory, descriptors, processor time, start and version. */
typedef struct rn_sight_process {
    uint64_t *resident_bytes;
    uint64_t *virtual_bytes;
    uint64_t *open_fds;
    uint64_t *max_fds;
    uint64_t *cpu_ns;
    uint64_t *log_lines_lost;
    uint64_t *descriptors_out;
    uint64_t *qlogs_incomplete;
} rn_sight_process;

/* Registers them; the time is that of the start. Results of rn_metrics_add. */
int rn_sight_process_add(rn_sight_process *process, rn_metrics *metrics, rn_env *env);
/* Reads them anew. What cannot be read keeps its value. */
void rn_sight_process_sample(const rn_sight_process *process, const rn_sight *sight);

#endif
