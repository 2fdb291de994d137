/* streams: connections first, then the streams, spread over a time, then the measuring. */
#include "streams.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"
#include "connection_swap.pb-c.h"

enum { LAST_WORDS_MS = 20 };

typedef struct bench_run bench_run;

typedef struct bench_stream {
    bench_run *run;
    rpcnet_call *call;
    uint64_t number; /* from 0, over all connections */
    uint64_t next;   /* sequence of the token to come */
    uint64_t due_ns; /* of a token numbered 0, as the earliest one so far tells it */
    uint64_t last_ns;
    uint64_t notice_ns; /* 0: no swap is under way */
    uint64_t reason;
    char from[BENCH_LABEL_SIZE];
    char worker[BENCH_LABEL_SIZE];
} bench_stream;

struct bench_run {
    bench_options options;
    bench_report report;
    rn_loop_stderr err;
    rn_log *log;
    rn_loop *loop;
    rn_env *env;
    rpcnet_credentials *credentials;
    rpcnet_channel **channels;
    bench_stream *streams; /* places, see at_once */
    uint64_t places;
    uint64_t filled; /* of them, for the first time */
    rn_timer *timer;
    uint64_t connecting; /* connections that were begun */
    uint64_t ready;      /* connections */
    uint64_t total;      /* streams */
    uint64_t started;
    uint64_t open;
    uint64_t connect_ns; /* the beginning */
    uint64_t start_ns;   /* of the first stream */
    bool measuring;
    bool ended;
};

static void end(bench_run *run) {
    if (!run->ended) {
        run->ended = true;
        run->report.end_ns = bench_now();
        rn_loop_stop(run->loop);
    }
}

/* ---- what arrives ---- */

static void copy_label(char out[BENCH_LABEL_SIZE], const char *label) {
    snprintf(out, BENCH_LABEL_SIZE, "%s", label != NULL ? label : "");
}

static void take_connected(bench_stream *stream, const ConnectionSwap__Connected *connected) {
    if (stream->worker[0] != '\0') {
        copy_label(stream->from, stream->worker);
        stream->notice_ns = bench_now();
        stream->reason = connected->swap != NULL ? connected->swap->reason : 0;
    } else if (stream->number == 0) {
        bench_report_first(stream->number, connected->worker);
    }
    copy_label(stream->worker, connected->worker);
}

static void take_swap(bench_stream *stream, uint64_t now) {
    bench_run *run = stream->run;
    run->report.swaps++;
    if (!run->options.quiet) {
        bench_report_swap(&(bench_swap){.stream = stream->number,
                                        .from = stream->from,
                                        .to = stream->worker,
                                        .reason = stream->reason,
                                        .last_ns = stream->last_ns,
                                        .notice_ns = stream->notice_ns,
                                        .first_ns = now});
    }
    stream->notice_ns = 0;
}

/* The text of a stamped token begins with the time in 16 hexadecimal digits. */
static uint64_t stamp_of(const char *text) {
    enum { DIGITS = 16 };
    char digits[DIGITS + 1] = "";
    char *end_of_digits;
    strncat(digits, text, DIGITS);
    uint64_t stamp = strtoull(digits, &end_of_digits, 16);
    return end_of_digits == digits + DIGITS ? stamp : 0;
}

/* How much later the token came than its pace demands. */
static uint64_t lateness(bench_stream *stream, uint64_t sequence, uint64_t now) {
    uint64_t zero = now - sequence * stream->run->options.pace_us * RN_MICROSECOND;
    if (stream->due_ns == 0 || zero < stream->due_ns) {
        stream->due_ns = zero;
    }
    return zero - stream->due_ns;
}

static void take_token(bench_stream *stream, const ConnectionSwap__Token *token) {
    bench_run *run = stream->run;
    bench_report *report = &run->report;
    uint64_t now = bench_now();
    if (stream->notice_ns > 0) {
        take_swap(stream, now);
    }
    stream->last_ns = now;
    if (token->sequence != stream->next) {
        report->lost++;
    }
    stream->next = token->sequence + 1;
    report->tokens++;
    uint64_t late = lateness(stream, token->sequence, now);
    if (run->measuring) {
        report->measured++;
        report->text_bytes += token->text != NULL ? strlen(token->text) : 0;
        uint64_t stamp = token->text != NULL ? stamp_of(token->text) : 0;
        if (stamp > 0) {
            bench_report_latency(report, now > stamp ? now - stamp : 0);
        } else if (run->options.pace_us > 0) {
            bench_report_latency(report, late);
        }
    }
}

static void start_stream(bench_run *run, bench_stream *stream);

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    bench_stream *stream = user;
    ConnectionSwap__GenerateResponse *response =
        connection_swap__generate_response__unpack(NULL, len, data);
    (void)call;
    if (response == NULL) {
        stream->run->report.failed++;
        return;
    }
    if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_CONNECTED) {
        take_connected(stream, response->connected);
    } else if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN) {
        take_token(stream, response->token);
    }
    connection_swap__generate_response__free_unpacked(response, NULL);
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    bench_stream *stream = user;
    bench_run *run = stream->run;
    (void)trailers;
    if (code != RPCNET_GRPC_OK) {
        run->report.failed++;
        fprintf(stderr, "streams: stream %" PRIu64 ": %s: %s\n", stream->number,
                rpcnet_grpc_code_name(code), message);
    } else if (run->options.tokens > 0 && stream->next != run->options.tokens + 1) {
        run->report.lost++;
    }
    rpcnet_call_del(call);
    stream->call = NULL;
    run->open--;
    run->report.ended++;
    if (run->options.tell_every > 0 && run->report.ended % run->options.tell_every == 0) {
        bench_report_ended(run->report.ended);
    }
    if (run->started < run->total && run->options.at_once > 0) {
        start_stream(run, stream);
    } else if (run->open == 0 && run->started == run->total) {
        end(run);
    }
}

/* ---- the start ---- */

static void start_stream(bench_run *run, bench_stream *stream) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_message,
                                                    .on_status = on_status};
    rpcnet_channel *channel =
        run->channels[(size_t)(stream - run->streams) % run->options.connections];
    ConnectionSwap__GenerateRequest request = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    char prompt[] = "measured";
    *stream = (bench_stream){.run = run, .number = run->started, .next = 1};
    request.prompt = prompt;
    request.tokens = run->options.tokens;
    request.seed = stream->number;
    request.pace_us = run->options.pace_us;
    run->started++;
    int result = rpcnet_call_new(&stream->call, channel, "/connection_swap.Inference/Generate",
                                 NULL, &callbacks, stream);
    if (result == RPCNET_OK) {
        run->open++;
        result = rn_message_send(stream->call, &request.base);
    }
    if (result == RPCNET_OK) {
        result = rpcnet_call_half_close(stream->call);
    }
    if (result != RPCNET_OK) {
        run->report.failed++;
        fprintf(stderr, "streams: stream %" PRIu64 ": %s\n", stream->number,
                rpcnet_strerror(result));
    }
}

static uint64_t start_of(const bench_run *run, uint64_t number) {
    return run->start_ns + run->options.spread_ms * RN_MILLISECOND * number / run->places;
}

/* Starts what is due; then measures; then ends. */
static void on_timer(void *user) {
    bench_run *run = user;
    const bench_options *options = &run->options;
    uint64_t now = bench_now();
    if (run->ended) {
        rn_loop_stop(run->loop);
        return;
    }
    uint64_t measure_ns = start_of(run, run->places) + options->warm_up_ms * RN_MILLISECOND;
    uint64_t end_ns = measure_ns + options->measure_ms * RN_MILLISECOND;
    uint64_t next = RN_NEVER;
    bool all_before = run->filled == run->places;
    while (run->filled < run->places && start_of(run, run->filled) <= now) {
        start_stream(run, &run->streams[run->filled++]);
    }
    if (run->filled < run->places) {
        next = start_of(run, run->filled);
    } else if (now < measure_ns) {
        next = measure_ns;
    } else {
        if (!run->measuring) {
            run->measuring = true;
            run->report.begin_ns = now;
            bench_report_measuring();
        }
        if (options->measure_ms > 0) {
            next = end_ns;
        }
    }
    if (!all_before && run->filled == run->places) {
        bench_report_started(run->places);
    }
    if (run->measuring && options->measure_ms > 0 && now >= end_ns) {
        end(run);
        return;
    }
    run->env->ops->timer_set(run->timer, next);
}

static void start_streams(bench_run *run) {
    run->start_ns = bench_now();
    run->env->ops->timer_set(run->timer, run->start_ns);
}

static bool connect_next(bench_run *run);

static void on_ready(bench_run *run) {
    run->ready++;
    if (run->connecting < run->options.connections) {
        if (!connect_next(run)) {
            run->report.failed++;
            end(run);
        }
    } else if (run->ready == run->options.connections) {
        bench_report_connected(run->ready, (double)(bench_now() - run->connect_ns) / 1e9);
        if (!run->options.wait) {
            start_streams(run);
        }
    }
}

static void on_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                     enum rpcnet_loss loss, const char *text, void *user) {
    bench_run *run = user;
    (void)channel;
    (void)loss;
    if (run->ended) {
        return;
    }
    if (state == RPCNET_CHANNEL_READY && run->start_ns == 0) {
        on_ready(run);
    } else if (state == RPCNET_CHANNEL_WAITING || state == RPCNET_CHANNEL_CLOSED) {
        run->report.failed++;
        fprintf(stderr, "streams: a connection was lost: %s\n", text);
        end(run);
    }
}

static bool read_credentials(bench_run *run) {
    const bench_options *options = &run->options;
    char ca[PATH_MAX];
    char certificate[PATH_MAX];
    char key[PATH_MAX];
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials_options pair;
    rpcnet_credentials_options_init(&pair);
    snprintf(ca, sizeof ca, "%s/ca.crt", options->certs);
    pair.ca_file = ca;
    if (options->pair != NULL) {
        snprintf(certificate, sizeof certificate, "%s/%s.crt", options->certs, options->pair);
        snprintf(key, sizeof key, "%s/%s.key", options->certs, options->pair);
        pair.certificate_file = certificate;
        pair.key_file = key;
    }
    if (rpcnet_credentials_new(&run->credentials, &pair, error) != RPCNET_OK) {
        fprintf(stderr, "streams: %s\n", error);
        return false;
    }
    return true;
}

static bool connect_next(bench_run *run) {
    rpcnet_channel_options channel;
    rpcnet_channel_options_init(&channel);
    channel.credentials = run->credentials;
    channel.identity = run->options.identity;
    channel.callbacks.on_state = on_state;
    channel.user = run;
    int result = rpcnet_channel_new(&run->channels[run->connecting++], run->env,
                                    run->options.target, &channel);
    if (result != RPCNET_OK) {
        fprintf(stderr, "streams: %s: %s\n", run->options.target, rpcnet_strerror(result));
    }
    return result == RPCNET_OK;
}

static bool connect_first(bench_run *run) {
    uint64_t most = run->options.connecting;
    run->connect_ns = bench_now();
    while (run->connecting < run->options.connections && (most == 0 || run->connecting < most)) {
        if (!connect_next(run)) {
            return false;
        }
    }
    return true;
}

static void on_signal(int signal_number, void *user) {
    bench_run *run = user;
    if (signal_number == SIGTERM) {
        end(run);
    } else if (run->start_ns == 0 && run->ready == run->options.connections) {
        start_streams(run);
    }
}

static bool make_loop(bench_run *run) {
    rn_log_sink sink = rn_loop_stderr_sink(&run->err);
    if (rn_log_new(&run->log, "error", &sink, NULL) != RPCNET_OK ||
        rn_loop_new(&run->loop, &(rn_loop_options){.log = run->log}) != RPCNET_OK) {
        return false;
    }
    run->env = rn_loop_env(run->loop);
    return rn_env_timer_new(run->env, on_timer, run, &run->timer) == RPCNET_OK &&
           rn_loop_signal(run->loop, SIGTERM, on_signal, run) == RPCNET_OK &&
           rn_loop_signal(run->loop, SIGUSR1, on_signal, run) == RPCNET_OK;
}

static bool make(bench_run *run) {
    run->total = run->options.connections * run->options.streams;
    run->channels = calloc(run->options.connections, sizeof(rpcnet_channel *));
    run->places =
        run->options.at_once > 0 ? run->options.connections * run->options.at_once : run->total;
    run->streams = calloc(run->places, sizeof(bench_stream));
    run->report.latencies_ns = malloc(BENCH_SAMPLES_MAX * sizeof(uint32_t));
    if (run->channels == NULL || run->streams == NULL || run->report.latencies_ns == NULL ||
        !make_loop(run)) {
        fprintf(stderr, "streams: out of memory\n");
        return false;
    }
    return read_credentials(run) && connect_first(run);
}

static void unmake(bench_run *run) {
    for (uint64_t i = 0; run->streams != NULL && i < run->places; i++) {
        rpcnet_call_del(run->streams[i].call);
    }
    for (uint64_t i = 0; run->channels != NULL && i < run->options.connections; i++) {
        if (run->channels[i] != NULL) {
            rpcnet_channel_del(run->channels[i]);
        }
    }
    if (run->timer != NULL) {
        /* The peer is told that the connections are closed. */
        run->env->ops->timer_set(run->timer, bench_now() + LAST_WORDS_MS * RN_MILLISECOND);
        rn_loop_run(run->loop);
        run->env->ops->timer_del(run->timer);
    }
    rpcnet_credentials_del(run->credentials);
    rn_loop_del(run->loop);
    rn_log_del(run->log);
    rn_loop_stderr_fini(&run->err);
    free(run->report.latencies_ns);
    free(run->streams);
    free(run->channels);
}

int main(int argc, char *argv[]) {
    bench_run run = {0};
    if (!bench_options_read(&run.options, argc, argv)) {
        return 2;
    }
    bool made = make(&run);
    if (made) {
        rn_loop_run(run.loop);
        bench_report_end(&run.report);
    }
    run.ended = true;
    unmake(&run);
    return made && run.report.failed == 0 && run.report.lost == 0 ? 0 : 1;
}
