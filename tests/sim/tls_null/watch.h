/* watch: looks over the shoulder of tls_null. */
#ifndef RN_TESTS_TLS_NULL_WATCH_H
#define RN_TESTS_TLS_NULL_WATCH_H

#include <stdint.h>

/* A 1-RTT packet is sealed: under which key (equal for keys that were made from the same secret),
 * and with which packet number. */
typedef void rn_null_watch_fn(uint64_t key, uint64_t packet_number, void *user);

/* From now on `fn` is told of each; NULL: nobody. There is one watcher. */
void rn_null_watch(rn_null_watch_fn *fn, void *user);

#endif
