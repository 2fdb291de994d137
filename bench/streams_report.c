/* The lines that streams prints: JSON objects, each with an "event". */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "streams.h"

uint64_t bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * RN_SECOND + (uint64_t)now.tv_nsec;
}

void bench_report_connected(uint64_t connections, double seconds) {
    printf("{\"event\":\"connected\",\"connections\":%" PRIu64 ",\"seconds\":%.3f}\n", connections,
           seconds);
    fflush(stdout);
}

void bench_report_started(uint64_t streams) {
    printf("{\"event\":\"started\",\"streams\":%" PRIu64 "}\n", streams);
    fflush(stdout);
}

void bench_report_ended(uint64_t streams) {
    printf("{\"event\":\"ended\",\"streams\":%" PRIu64 "}\n", streams);
    fflush(stdout);
}

void bench_report_measuring(void) {
    printf("{\"event\":\"measuring\"}\n");
    fflush(stdout);
}

void bench_report_first(uint64_t stream, const char *worker) {
    printf("{\"event\":\"first\",\"stream\":%" PRIu64 ",\"worker\":\"%s\"}\n", stream, worker);
    fflush(stdout);
}

void bench_report_swap(const bench_swap *swap) {
    printf("{\"event\":\"swap\",\"stream\":%" PRIu64 ",\"from\":\"%s\",\"to\":\"%s\""
           ",\"reason\":%" PRIu64 ",\"last_ns\":%" PRIu64 ",\"notice_ns\":%" PRIu64
           ",\"first_ns\":%" PRIu64 "}\n",
           swap->stream, swap->from, swap->to, swap->reason, swap->last_ns, swap->notice_ns,
           swap->first_ns);
    fflush(stdout);
}

void bench_report_latency(bench_report *report, uint64_t ns) {
    if (report->samples == BENCH_SAMPLES_MAX) {
        report->latency_overflow++;
        return;
    }
    report->latencies_ns[report->samples++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static int compare(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static double quantile_us(const bench_report *report, double part) {
    if (report->samples == 0) {
        return 0;
    }
    uint64_t index = (uint64_t)(part * (double)(report->samples - 1));
    return (double)report->latencies_ns[index] / 1000;
}

void bench_report_end(bench_report *report) {
    if (report->samples > 0) {
        qsort(report->latencies_ns, report->samples, sizeof *report->latencies_ns, compare);
    }
    uint64_t span = report->end_ns > report->begin_ns ? report->end_ns - report->begin_ns : 0;
    printf("{\"event\":\"summary\",\"tokens\":%" PRIu64 ",\"measured\":%" PRIu64
           ",\"seconds\":%.3f,\"swaps\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"ended\":%" PRIu64
           ",\"failed\":%" PRIu64 ",\"text_bytes\":%" PRIu64 ",\"samples\":%" PRIu64
           ",\"overflow\":%" PRIu64 ",\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
           report->tokens, report->measured, (double)span / 1e9, report->swaps, report->lost,
           report->ended, report->failed, report->text_bytes, report->samples,
           report->latency_overflow, quantile_us(report, 0.5), quantile_us(report, 0.99),
           quantile_us(report, 1));
    fflush(stdout);
}
