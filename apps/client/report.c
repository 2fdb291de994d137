/* report: lines for people and JSON lines for programs, one function for each thing said. */
#include "client/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "common/json.h"
#include "swap/reason.h"

enum {
    LINE_MAX = 4 << 20, /* bytes of a JSON line; a summary names up to RN_REPORT_SWAPS_MAX swaps */
    SHOWN_MAX = 512,    /* bytes of a peer's text on a line */
    TEXT_LINE_MAX = 8 * SHOWN_MAX
};

void rn_report_init(rn_report *report, enum rn_client_print print, rn_output *out,
                    rn_output *info) {
    *report = (rn_report){.print = print, .out = out, .info = info};
    rn_buffer_init(&report->line, LINE_MAX);
}

void rn_report_fini(rn_report *report) {
    rn_buffer_fini(&report->line);
    free(report->swaps);
    report->swaps = NULL;
}

/* Ends the JSON object in report->line and adds it. */
static void write_event(rn_report *report, rn_json *json, rn_output *output) {
    int result = rn_json_end(json);
    if (result == RPCNET_OK) {
        result = rn_buffer_append(&report->line, "\n", 1);
    }
    if (result == RPCNET_OK) {
        rn_output_add(output, report->line.data, report->line.len);
    } else {
        rn_output_fail(output, result == RPCNET_ERR_MEMORY ? ENOMEM : ENOBUFS);
    }
    rn_buffer_clear(&report->line);
}

static void begin_event(rn_report *report, rn_json *json, const char *event) {
    rn_buffer_clear(&report->line);
    rn_json_begin(json, &report->line);
    rn_json_text(json, "event", rn_bytes_text(event));
}

static void json_place(rn_json *json, const rn_report_place *place) {
    rn_json_text(json, "connection", rn_bytes_text(place->connection));
    rn_json_text(json, "worker", rn_bytes_text(place->worker));
    rn_json_number(json, "stream", place->stream);
}

static void write_text(rn_output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void write_text(rn_output *output, const char *format, ...) {
    char line[TEXT_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (len > 0 && (size_t)len < sizeof line) {
        rn_output_add(output, line, (size_t)len);
    }
}

/* "[token] connection=conn-1 worker=worker-a stream=1" and the rest */
static void write_line(rn_report *report, const char *tag, const rn_report_place *place,
                       const char *rest) {
    char connection[SHOWN_MAX];
    char worker[SHOWN_MAX];
    rn_text_value(rn_bytes_text(place->connection), connection, sizeof connection);
    rn_text_value(rn_bytes_text(place->worker), worker, sizeof worker);
    write_text(report->out, "[%s] connection=%s worker=%s stream=%" PRIu64 "%s\n", tag, connection,
               worker, place->stream, rest);
}

void rn_report_connected(rn_report *report, const rn_report_place *place) {
    if (report->print == RN_PRINT_LOG) {
        write_line(report, "connected", place, "");
    } else if (report->print == RN_PRINT_JSON) {
        rn_json json;
        begin_event(report, &json, "connected");
        json_place(&json, place);
        write_event(report, &json, report->out);
    }
}

void rn_report_token(rn_report *report, const rn_report_place *place, uint64_t sequence,
                     const char *text, uint32_t id, bool first) {
    char shown[SHOWN_MAX];
    report->tokens++;
    if (report->print == RN_PRINT_LOG) {
        char rest[SHOWN_MAX + 64];
        /* A word brings its leading space along, which separates it from the number. */
        rn_text_escape(rn_bytes_text(text), shown, sizeof shown);
        snprintf(rest, sizeof rest, " seq=%" PRIu64 "%s%s", sequence, text[0] == ' ' ? "" : " ",
                 shown);
        write_line(report, "token", place, rest);
    } else if (report->print == RN_PRINT_JSON) {
        rn_json json;
        begin_event(report, &json, "token");
        json_place(&json, place);
        rn_json_number(&json, "sequence", sequence);
        rn_json_text(&json, "text", rn_bytes_text(text));
        rn_json_number(&json, "id", id);
        write_event(report, &json, report->out);
    } else if (first) {
        rn_text_escape(rn_bytes_text(text), shown, sizeof shown);
        rn_output_add(report->out, shown, strlen(shown));
    }
}

void rn_report_done(rn_report *report, const rn_report_place *place, const char *reason) {
    if (report->print == RN_PRINT_LOG) {
        char shown[SHOWN_MAX];
        char rest[SHOWN_MAX + 1];
        rn_text_escape(rn_bytes_text(reason), shown, sizeof shown);
        snprintf(rest, sizeof rest, " %s", shown);
        write_line(report, "done", place, rest);
    } else if (report->print == RN_PRINT_JSON) {
        rn_json json;
        begin_event(report, &json, "done");
        json_place(&json, place);
        rn_json_text(&json, "reason", rn_bytes_text(reason));
        write_event(report, &json, report->out);
    }
}

size_t rn_report_add_swap(rn_report *report, const rn_report_swap *swap) {
    report->swap_count++;
    if (report->swap_kept == report->swap_capacity) {
        size_t capacity = report->swap_capacity == 0 ? 16 : 2 * report->swap_capacity;
        capacity = capacity < RN_REPORT_SWAPS_MAX ? capacity : RN_REPORT_SWAPS_MAX;
        rn_report_swap *grown = capacity > report->swap_capacity
                                    ? realloc(report->swaps, capacity * sizeof *grown)
                                    : NULL;
        if (grown == NULL) {
            return SIZE_MAX;
        }
        report->swaps = grown;
        report->swap_capacity = capacity;
    }
    report->swaps[report->swap_kept] = *swap;
    return report->swap_kept++;
}

rn_report_swap *rn_report_swap_at(rn_report *report, size_t index) {
    return index < report->swap_kept ? &report->swaps[index] : NULL;
}

bool rn_report_is_clean(const rn_report *report) {
    return report->lost == 0 && report->duplicated == 0 && report->reordered == 0;
}

static double milliseconds(uint64_t ns) {
    return (double)ns / (double)RN_MILLISECOND;
}

static void json_swaps(rn_report *report, rn_json *json) {
    rn_json_key(json, "swaps");
    for (size_t i = 0; i < report->swap_kept && json->result == RPCNET_OK; i++) {
        const rn_report_swap *swap = &report->swaps[i];
        rn_json one;
        json->result = rn_buffer_append(&report->line, i == 0 ? "[" : ",", 1);
        rn_json_begin(&one, &report->line);
        rn_json_number(&one, "stream", swap->stream);
        rn_json_text(&one, "from", rn_bytes_text(swap->from));
        rn_json_text(&one, "to", rn_bytes_text(swap->to));
        rn_json_text(&one, "reason", rn_bytes_text(rn_swap_reason_name(swap->reason)));
        rn_json_text(&one, "message", rn_bytes_text(swap->message));
        rn_json_number(&one, "sequence", swap->sequence);
        rn_json_real(&one, "gap_ms", milliseconds(swap->gap_ns));
        int result = rn_json_end(&one);
        json->result = json->result == RPCNET_OK ? result : json->result;
    }
    if (json->result == RPCNET_OK) {
        const char *end = report->swap_kept == 0 ? "[]" : "]";
        json->result = rn_buffer_append(&report->line, end, strlen(end));
    }
}

static void summary_json(rn_report *report, const rpcnet_channel_stats *stats, bool interrupted) {
    rn_json json;
    begin_event(report, &json, "summary");
    rn_json_number(&json, "streams", report->streams);
    rn_json_number(&json, "streams_failed", report->streams_failed);
    rn_json_bool(&json, "interrupted", interrupted);
    rn_json_number(&json, "tokens", report->tokens);
    rn_json_number(&json, "lost", report->lost);
    rn_json_number(&json, "duplicated", report->duplicated);
    rn_json_number(&json, "reordered", report->reordered);
    rn_json_number(&json, "connections", stats->connections_opened);
    rn_json_number(&json, "handshakes", stats->handshakes_completed);
    rn_json_number(&json, "swap_count", report->swap_count);
    json_swaps(report, &json);
    write_event(report, &json, report->info);
}

static void summary_text(rn_report *report, const rpcnet_channel_stats *stats, bool interrupted) {
    for (size_t i = 0; i < report->swap_kept; i++) {
        const rn_report_swap *swap = &report->swaps[i];
        write_text(report->info,
                   "[swap] stream=%" PRIu64 " %s → %s reason=%s gap=%.1fms seq=%" PRIu64 " %s\n",
                   swap->stream, RN_TEXT_VALUE(rn_bytes_text(swap->from)),
                   RN_TEXT_VALUE(rn_bytes_text(swap->to)), rn_swap_reason_name(swap->reason),
                   milliseconds(swap->gap_ns), swap->sequence, swap->message);
    }
    if (report->swap_count > report->swap_kept) {
        write_text(report->info, "[swap] and %" PRIu64 " more\n",
                   report->swap_count - report->swap_kept);
    }
    write_text(report->info,
               "[summary] tokens=%" PRIu64 " lost=%" PRIu64 " duplicated=%" PRIu64
               " reordered=%" PRIu64 " swaps=%" PRIu64 " connections=%" PRIu64
               " handshakes=%" PRIu64 " streams=%" PRIu64 " failed=%" PRIu64 "%s\n",
               report->tokens, report->lost, report->duplicated, report->reordered,
               report->swap_count, stats->connections_opened, stats->handshakes_completed,
               report->streams, report->streams_failed, interrupted ? " interrupted" : "");
}

void rn_report_summary(rn_report *report, const rpcnet_channel_stats *stats, bool interrupted) {
    if (report->print == RN_PRINT_TEXT && report->tokens > 0) {
        rn_output_add(report->out, "\n", 1);
    }
    rn_output_flush(report->out); /* above the summary, where both go to a terminal */
    if (report->print == RN_PRINT_JSON) {
        summary_json(report, stats, interrupted);
    } else {
        summary_text(report, stats, interrupted);
    }
}
