/* load: many paced streams on several connections of one process, measured where they arrive.
 * Times are CLOCK_MONOTONIC, in nanoseconds, so that they can be compared with those of other
 * processes. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdint.h>
#include <stdio.h>

#include "loop/loop.h"
#include "rpcnet/rpcnet.h"

enum { LOAD_LABEL_SIZE = 64, LOAD_SAMPLES_MAX = 8 << 20 };

typedef struct load_options {
    const char *target;
    const char *certs;    /* folder */
    const char *identity; /* role of a server that is called directly; NULL: its name is checked */
    const char *pair;     /* which <name>.crt to show; NULL: none */
    uint64_t connections;
    uint64_t streams; /* on each connection */
    uint64_t tokens;  /* of each stream; 0: without end */
    uint64_t pace_us;
    uint64_t spread_ms;  /* over which the streams start */
    uint64_t warm_up_ms; /* after the last start: latencies count from there on */
    uint64_t measure_ms; /* then the load ends; 0: at SIGTERM */
    bool quiet;          /* no line for each swap */
} load_options;

/* False: said on stderr what is wrong. */
bool load_options_read(load_options *options, int argc, char *argv[]);

typedef struct load_swap {
    uint64_t stream; /* over all connections */
    const char *from;
    const char *to;
    uint64_t reason;
    uint64_t last_ns;   /* the last token before */
    uint64_t notice_ns; /* when the client was told of the new worker */
    uint64_t first_ns;  /* the first token after */
} load_swap;

typedef struct load_report {
    uint32_t *latencies_ns; /* 4 s at the most */
    uint64_t samples;
    uint64_t latency_overflow; /* more than LOAD_SAMPLES_MAX */
    uint64_t tokens;           /* all */
    uint64_t measured;         /* those between warm-up and end */
    uint64_t begin_ns;         /* of measuring */
    uint64_t end_ns;
    uint64_t swaps;
    uint64_t lost; /* tokens missing, repeated or out of order */
    uint64_t failed;
    uint64_t text_bytes;
} load_report;

uint64_t load_now(void);
/* Lines on stdout. */
void load_report_started(uint64_t streams);
void load_report_measuring(void);
void load_report_first(uint64_t stream, const char *worker);
void load_report_swap(const load_swap *swap);
void load_report_latency(load_report *report, uint64_t ns);
void load_report_end(load_report *report);

#endif
