/* streams: many paced streams on several connections of one process, measured where they arrive.
 * Times are CLOCK_MONOTONIC, in nanoseconds, so that they can be compared with those of other
 * processes. */
#ifndef BENCH_STREAMS_H
#define BENCH_STREAMS_H

#include <stdint.h>
#include <stdio.h>

#include "loop/loop.h"
#include "rpcnet/rpcnet.h"

enum { BENCH_LABEL_SIZE = 64, BENCH_SAMPLES_MAX = 8 << 20 };

typedef struct bench_options {
    const char *target;
    const char *certs;    /* folder */
    const char *identity; /* role of a server that is called directly; NULL: its name is checked */
    const char *pair;     /* which <name>.crt to show; NULL: none */
    uint64_t connections;
    uint64_t connecting; /* handshakes under way at once; 0: all */
    uint64_t streams;    /* on each connection */
    uint64_t at_once;    /* of them; the next one begins when one ends; 0: all */
    uint64_t tokens;     /* of each stream; 0: without end */
    uint64_t pace_us;
    uint64_t spread_ms;  /* over which the streams start */
    uint64_t warm_up_ms; /* after the last start: latencies count from there on */
    uint64_t measure_ms; /* then the load ends; 0: at SIGTERM */
    uint64_t tell_every; /* ended streams; 0: never */
    bool quiet;          /* no line for each swap */
    bool wait;           /* connected, the streams begin at SIGUSR1 */
} bench_options;

/* False: said on stderr what is wrong. */
bool bench_options_read(bench_options *options, int argc, char *argv[]);

typedef struct bench_swap {
    uint64_t stream; /* over all connections */
    const char *from;
    const char *to;
    uint64_t reason;
    uint64_t last_ns;   /* the last token before */
    uint64_t notice_ns; /* when the client was told of the new worker */
    uint64_t first_ns;  /* the first token after */
} bench_swap;

typedef struct bench_report {
    /* From when the token was made, if it says so, or else from when it was due: so long after the
     * one before as the pace demands, counted from the stream's earliest token. 4 s at the most. */
    uint32_t *latencies_ns;
    uint64_t samples;
    uint64_t latency_overflow; /* more than BENCH_SAMPLES_MAX */
    uint64_t tokens;           /* all */
    uint64_t measured;         /* those between warm-up and end */
    uint64_t begin_ns;         /* of measuring */
    uint64_t end_ns;
    uint64_t swaps;
    uint64_t lost; /* tokens missing, repeated or out of order */
    uint64_t ended;
    uint64_t failed;
    uint64_t text_bytes;
} bench_report;

uint64_t bench_now(void);
/* Lines on stdout. */
void bench_report_connected(uint64_t connections, double seconds);
void bench_report_started(uint64_t streams);
void bench_report_ended(uint64_t streams);
void bench_report_measuring(void);
void bench_report_first(uint64_t stream, const char *worker);
void bench_report_swap(const bench_swap *swap);
void bench_report_latency(bench_report *report, uint64_t ns);
void bench_report_end(bench_report *report);

#endif
