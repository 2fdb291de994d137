/* bad_worker: a worker with a certificate of the cluster that lies to its director.
 *
 *   bad_worker --certs DIR --director HOST:PORT [--probes-lie]
 *
 * It registers as worker-a and begins each stream well: Connected and five tokens, as the true
 * model makes them. Then the request's seed says which lie follows: seed 100 is the first of the
 * list below. A request with a smaller seed is served honestly. With --probes-lie it answers probes
 * that nobody has asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "rpcnet/loop.h"
#include "swap/frames.h"
#include "worker/generator.h"

enum {
    LIES_FROM = 100,
    HONEST_TOKENS = 5,
    LARGE = 64 << 10,
    MESSAGE_MAX = 4 << 20, /* of the protocol */
    WAITING_MAX = 2 * MESSAGE_MAX,
    PATH_MAX_LEN = 1024
};

typedef struct bad_worker {
    const char *certs;
    const char *director;
    bool probes_lie;
    rpcnet_loop *loop;
    rpcnet_credentials *credentials;
    rpcnet_server *user;
    rpcnet_server *mgmt;
    rpcnet_health *health;
    rpcnet_channel *channel;
    rpcnet_call *registering;
    rpcnet_call *report;
    uint64_t registration;
    rn_model *model;
} bad_worker;

/* One call of Serve. */
typedef struct serving {
    bad_worker *worker;
    rpcnet_call *call;
    rn_generator generator;
    rn_buffer message;
    rn_buffer waiting; /* frames that found no room, each behind its length */
    uint64_t stream_id;
    char connection_id[64];
    uint64_t next; /* number of the next message */
    rn_timer *timer;
    void (*lie)(struct serving *s); /* when the timer fires */
    bool assigned;
    bool started;
    bool late;         /* the client's end is what it waits for */
    unsigned repeated; /* times that a message was said again */
} serving;

static void need(int result, const char *what) {
    if (result != RPCNET_OK) {
        fprintf(stderr, "bad_worker: %s: %s\n", what, rpcnet_strerror(result));
        exit(EXIT_FAILURE);
    }
}

/* ---- frames ---- */

/* Sends what waits, as far as there is room. */
static void send_waiting(serving *s) {
    while (s->waiting.len > 0) {
        uint32_t len;
        memcpy(&len, s->waiting.data, sizeof len);
        int result = rpcnet_call_send(s->call, s->waiting.data + sizeof len, len);
        if (result == RPCNET_ERR_AGAIN) {
            return;
        }
        if (result != RPCNET_ERR_CLOSED) {
            need(result, "send");
        }
        rn_buffer_drop_front(&s->waiting, sizeof len + len);
    }
}

static void send_bytes(serving *s, const void *bytes, size_t len) {
    uint32_t length = (uint32_t)len;
    need(rn_buffer_append(&s->waiting, &length, sizeof length), "memory");
    need(rn_buffer_append(&s->waiting, bytes, len), "memory");
    send_waiting(s);
}

static void send_frame(serving *s, const rn_worker_frame *frame) {
    rn_buffer bytes;
    rn_buffer_init(&bytes, WAITING_MAX);
    need(rn_worker_frame_append(&bytes, frame), "frame");
    send_bytes(s, bytes.data, bytes.len);
    rn_buffer_fini(&bytes);
}

static void send_message(serving *s, uint64_t sequence, rn_bytes payload) {
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_MESSAGE,
                                     .message = {.sequence = sequence, .payload = payload}});
}

static void send_event(serving *s, rn_bytes payload) {
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_EVENT, .event = payload});
}

static void send_checkpoint(serving *s, uint64_t sequence, rn_bytes state) {
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_CHECKPOINT,
                                     .checkpoint = {.sequence = sequence, .payload = state}});
}

static void send_done(serving *s) {
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_DONE});
}

static void send_connected(serving *s) {
    char label[] = "worker-a";
    ConnectionSwap__GenerateResponse response = CONNECTION_SWAP__GENERATE_RESPONSE__INIT;
    ConnectionSwap__Connected connected = CONNECTION_SWAP__CONNECTED__INIT;
    connected.worker = label;
    connected.connection_id = s->connection_id;
    connected.stream_id = s->stream_id;
    response.frame_case = CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_CONNECTED;
    response.connected = &connected;
    need(rn_message_pack(&s->message, &response.base), "pack");
    send_event(s, rn_buffer_bytes(&s->message));
}

/* The next true message, with `padding` bytes of a field that nobody knows behind it. */
static void make_next(serving *s, size_t padding) {
    need(rn_generator_next(&s->generator, &s->message), "generator");
    if (padding > 0) {
        static uint8_t field[LARGE + 16];
        uint8_t *end = rn_wire_put_head(field, 1000, padding);
        need(rn_buffer_append(&s->message, field, (size_t)(end - field) + padding), "padding");
    }
}

static void send_true(serving *s, size_t padding) {
    make_next(s, padding);
    send_message(s, s->next++, rn_buffer_bytes(&s->message));
}

static void finish_truly(serving *s) {
    while (!s->generator.done) {
        send_true(s, 0);
    }
}

static rn_bytes false_token(void) {
    return rn_bytes_text("\x12\x09\x08\x01\x12\x05 lie!");
}

/* ---- lies ---- */

static void skip_one(serving *s) {
    send_message(s, s->next + 1, false_token());
}

static void skip_all(serving *s) {
    send_message(s, UINT64_MAX, false_token());
}

static void number_zero(serving *s) {
    send_message(s, 0, false_token());
    finish_truly(s);
    send_done(s);
}

static void repeat_each(serving *s) {
    while (!s->generator.done) {
        send_true(s, 0);
        send_message(s, s->next - 1, false_token());
    }
    send_done(s);
}

static void go_back(serving *s) {
    for (uint64_t sequence = 1; sequence < s->next; sequence++) {
        send_message(s, sequence, false_token());
    }
    finish_truly(s);
    send_done(s);
}

/* Calls `lie` in a moment, when what was sent so far has left. */
static void come_again(serving *s, void (*lie)(serving *s)) {
    rn_env *env = rpcnet_loop_env(s->worker->loop);
    s->lie = lie;
    env->ops->timer_set(s->timer, rn_env_now(env) + 20 * RN_MILLISECOND);
}

static void on_timer(void *user) {
    serving *s = user;
    s->lie(s);
}

/* The two that follow go on, whether there is credit or not, until the test has stopped the client.
 * Each call sends one frame. */
static void overdraw(serving *s) {
    if (!s->generator.done) {
        send_true(s, LARGE);
        come_again(s, overdraw);
    }
}

static void send_event_of(serving *s, size_t len) {
    static uint8_t event[LARGE + 16];
    uint8_t *end = rn_wire_put_head(event, 1000, len);
    send_event(s, rn_bytes_of(event, (size_t)(end - event) + len));
}

static void events_without_end(serving *s) {
    send_event_of(s, LARGE / 2);
    come_again(s, events_without_end);
}

/* Room at the client's side begins a new account. */
static void many_events(serving *s) {
    for (unsigned i = 0; i < 100; i++) {
        send_event_of(s, 1000);
    }
    for (unsigned i = 0; i < 2000; i++) {
        send_event(s, rn_bytes_of(NULL, 0));
    }
    finish_truly(s);
    send_done(s);
}

/* Each message buys events by what it is itself, and not anew as many as there may be. */
static void tokens_and_events(serving *s) {
    if (!s->generator.done) {
        send_true(s, 0);
        send_event_of(s, LARGE - 100);
        come_again(s, tokens_and_events);
    }
}

/* More than the credit, of what the director does not need: it gives credit for that, too. */
static void repeat_much(serving *s) {
    static const uint8_t again[LARGE];
    enum { TIMES = 16 };
    if (s->repeated++ < TIMES) {
        send_message(s, s->next - 1, rn_bytes_of(again, sizeof again));
        come_again(s, repeat_much);
    } else {
        finish_truly(s);
        send_done(s);
    }
}

static void too_large(serving *s) {
    static const uint8_t message[MESSAGE_MAX + 1];
    send_message(s, s->next, rn_bytes_of(message, sizeof message));
}

static void read_on(serving *s) {
    rpcnet_call_hold(s->call, false);
}

/* No lie: it lets the client wait for a second, and serves it when it has heard all. */
static void read_late(serving *s) {
    rn_env *env = rpcnet_loop_env(s->worker->loop);
    rpcnet_call_hold(s->call, true);
    s->late = true;
    s->lie = read_on;
    env->ops->timer_set(s->timer, rn_env_now(env) + RN_SECOND);
}

static void one_huge_event(serving *s) {
    send_event_of(s, LARGE);
}

static void checkpoint_beyond(serving *s) {
    send_checkpoint(s, s->next, rn_bytes_text("state"));
}

static void checkpoint_far_beyond(serving *s) {
    send_checkpoint(s, UINT64_MAX, rn_bytes_text("state"));
}

static void checkpoint_behind(serving *s) {
    uint8_t state[RN_GENERATION_CHECKPOINT_LEN];
    rn_generation_checkpoint(&s->generator.generation, s->worker->model, state);
    send_checkpoint(s, s->next - 1, rn_bytes_of(state, sizeof state));
    send_checkpoint(s, 1, rn_bytes_of(state, sizeof state));
}

static void refuse_late(serving *s) {
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_REFUSED, .refused = rn_bytes_text("no")});
}

static void probe_reply(serving *s) {
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_PROBE_REPLY, .probe_reply = 1});
}

static void no_frame(serving *s) {
    send_bytes(s, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11);
}

static void a_cut_frame(serving *s) {
    send_bytes(s, "\x0a\x7f\x08", 3);
}

static void unknown_frames(serving *s) {
    send_bytes(s, NULL, 0);
    send_bytes(s, "\x9a\x06\x02hi", 5); /* field 99 */
    finish_truly(s);
    send_done(s);
}

static void done_twice(serving *s) {
    finish_truly(s);
    send_done(s);
    send_done(s);
}

static void go_on_behind_done(serving *s) {
    finish_truly(s);
    send_done(s);
    send_message(s, s->next, false_token());
    skip_one(s);
    no_frame(s);
}

static void fail_behind_done(serving *s) {
    finish_truly(s);
    send_done(s);
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_FAILURE,
                                     .failure = {.message = rn_bytes_text("x"), .retry = true}});
}

static void done_with_trailers(serving *s) {
    rn_buffer run;
    rn_buffer_init(&run, 1 << 16);
    finish_truly(s);
    const char *const names[] = {"Upper", "grpc-status", ":path", "a b", "", "good"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        need(rn_metadata_append(&run, RN_DONE_TRAILERS, rn_bytes_text(names[i]),
                                rn_bytes_text("line\nbreak")),
             "trailers");
    }
    need(rn_metadata_append(&run, RN_DONE_TRAILERS, rn_bytes_of("cut\0off", 7),
                            rn_bytes_of(NULL, 0)),
         "trailers");
    send_frame(s, &(rn_worker_frame){
                      .kind = RN_WORKER_DONE,
                      .done = {.message = rn_bytes_text("\x1b[31m\r\ngrpc-status: 5"),
                               .trailers = rn_metadata_list(rn_buffer_bytes(&run), RN_DONE_TRAILERS,
                                                            sizeof names / sizeof names[0] + 1)}});
    rn_buffer_fini(&run);
}

static void end_without_done(serving *s) {
    need(rpcnet_call_finish(s->call, RPCNET_GRPC_OK, NULL, NULL), "finish");
}

static void end_with_a_status(serving *s) {
    need(rpcnet_call_finish(s->call, RPCNET_GRPC_PERMISSION_DENIED, "no\nway", NULL), "finish");
}

static void cancel(serving *s) {
    rpcnet_call_cancel(s->call);
}

/* A reset takes back what has not left yet. */
static void reset(serving *s) {
    come_again(s, cancel);
}

/* Leaves all to the probes, see --probes-lie. */
static void say_nothing_more(serving *s) {
    (void)s;
}

static void fail_with_control_characters(serving *s) {
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_FAILURE,
                                     .failure = {.message = rn_bytes_text("\x1b[2J\n\xff\xfe boo"),
                                                 .retry = true}});
}

/* The test knows them by their names. */
static const struct {
    const char *name;
    void (*tell)(serving *s);
} lies[] = {
    {"skip-one", skip_one},
    {"skip-all", skip_all},
    {"number-zero", number_zero},
    {"repeat-each", repeat_each},
    {"go-back", go_back},
    {"overdraw", overdraw},
    {"events-without-end", events_without_end},
    {"tokens-and-events", tokens_and_events},
    {"repeat-much", repeat_much},
    {"too-large", too_large},
    {"read-late", read_late},
    {"many-events", many_events},
    {"one-huge-event", one_huge_event},
    {"checkpoint-beyond", checkpoint_beyond},
    {"checkpoint-far-beyond", checkpoint_far_beyond},
    {"checkpoint-behind", checkpoint_behind},
    {"refuse-late", refuse_late},
    {"probe-reply", probe_reply},
    {"no-frame", no_frame},
    {"a-cut-frame", a_cut_frame},
    {"unknown-frames", unknown_frames},
    {"done-twice", done_twice},
    {"go-on-behind-done", go_on_behind_done},
    {"fail-behind-done", fail_behind_done},
    {"done-with-trailers", done_with_trailers},
    {"end-without-done", end_without_done},
    {"end-with-a-status", end_with_a_status},
    {"reset", reset},
    {"fail-with-control-characters", fail_with_control_characters},
    {"say-nothing-more", say_nothing_more},
};

enum { LIES = sizeof lies / sizeof lies[0] };

/* ---- Serve ---- */

static void start(serving *s, rn_bytes request) {
    ConnectionSwap__GenerateRequest *message =
        connection_swap__generate_request__unpack(NULL, request.len, request.data);
    if (message == NULL || s->started ||
        rn_generator_start(&s->generator, s->worker->model, request) != RPCNET_OK) {
        need(RPCNET_ERR_PARSE, "request");
        return;
    }
    uint64_t lie = message->seed - LIES_FROM;
    connection_swap__generate_request__free_unpacked(message, NULL);
    s->started = true;
    send_connected(s);
    if (lie >= LIES) {
        finish_truly(s);
        send_done(s);
        return;
    }
    for (unsigned i = 0; i < HONEST_TOKENS; i++) {
        send_true(s, 0);
    }
    printf("lie %s\n", lies[lie].name);
    fflush(stdout);
    lies[lie].tell(s);
}

/* A stream that comes back to us is given back at once: the next worker shall end it. */
static void give_back(serving *s) {
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_REFUSED, .refused = rn_bytes_text("again")});
}

static void take_assignment(serving *s, const rn_assignment *assignment) {
    rn_repeated walk = assignment->client_messages;
    rn_bytes request;
    s->assigned = true;
    s->next = assignment->next_sequence;
    s->stream_id = assignment->stream_id;
    (void)snprintf(s->connection_id, sizeof s->connection_id, "%.*s",
                   (int)assignment->connection_id.len,
                   (const char *)assignment->connection_id.data);
    if (assignment->attempt > 1) {
        give_back(s);
    } else if (rn_repeated_next(&walk, &request)) {
        start(s, request);
    }
}

static void answer_probe(serving *s, uint64_t n) {
    uint64_t answer = s->worker->probes_lie ? n + 1000 : n;
    send_frame(s, &(rn_worker_frame){.kind = RN_WORKER_PROBE_REPLY, .probe_reply = answer});
}

static void on_frame(rpcnet_call *call, const void *data, size_t len, void *user) {
    serving *s = user;
    rn_director_frame frame;
    (void)call;
    need(rn_director_frame_parse(&frame, rn_bytes_of(data, len)), "the director's frame");
    if (frame.kind == RN_DIRECTOR_ASSIGNMENT) {
        take_assignment(s, &frame.assignment);
    } else if (frame.kind == RN_DIRECTOR_PROBE) {
        answer_probe(s, frame.probe);
    } else if (frame.kind == RN_DIRECTOR_CLIENT_MESSAGE && s->assigned && !s->started) {
        start(s, frame.client_message.payload);
    } else if (frame.kind == RN_DIRECTOR_HALF_CLOSE && s->late) {
        finish_truly(s);
        send_done(s);
    }
}

static void on_writable(rpcnet_call *call, void *user) {
    (void)call;
    send_waiting(user);
}

static void on_half_close(rpcnet_call *call, void *user) {
    (void)user;
    (void)rpcnet_call_finish(call, RPCNET_GRPC_OK, NULL, NULL);
}

static void on_closed(rpcnet_call *call, void *user) {
    serving *s = user;
    rpcnet_loop_env(s->worker->loop)->ops->timer_del(s->timer);
    rpcnet_call_del(call);
    rn_generator_fini(&s->generator);
    rn_buffer_fini(&s->message);
    rn_buffer_fini(&s->waiting);
    free(s);
}

static void serve(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_frame,
                                                    .on_half_close = on_half_close,
                                                    .on_writable = on_writable,
                                                    .on_closed = on_closed};
    serving *s = calloc(1, sizeof *s);
    (void)server;
    need(s != NULL ? RPCNET_OK : RPCNET_ERR_MEMORY, "serve");
    s->worker = user;
    s->call = call;
    rn_buffer_init(&s->message, 4 << 20);
    rn_buffer_init(&s->waiting, WAITING_MAX);
    need(rn_env_timer_new(rpcnet_loop_env(s->worker->loop), on_timer, s, &s->timer), "timer");
    rpcnet_call_options options;
    rpcnet_call_options_init(&options);
    options.send_max = WAITING_MAX;
    rpcnet_call_set_options(call, &options);
    rpcnet_call_set_callbacks(call, &callbacks, s);
}

/* ---- registration ---- */

static void on_report_status(rpcnet_call *call, int code, const char *message,
                             const rpcnet_metadata *trailers, void *user) {
    (void)call;
    (void)trailers;
    (void)user;
    fprintf(stderr, "bad_worker: report ended: %s: %s\n", rpcnet_grpc_code_name(code), message);
    exit(EXIT_FAILURE);
}

static void on_registered(rpcnet_call *call, const void *data, size_t len, void *user) {
    bad_worker *w = user;
    (void)call;
    ConnectionSwap__RegisterResponse *response =
        connection_swap__register_response__unpack(NULL, len, data);
    need(response != NULL ? RPCNET_OK : RPCNET_ERR_PARSE, "RegisterResponse");
    w->registration = response->registration;
    connection_swap__register_response__free_unpacked(response, NULL);
}

static void on_register_status(rpcnet_call *call, int code, const char *message,
                               const rpcnet_metadata *trailers, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_status = on_report_status};
    bad_worker *w = user;
    (void)call;
    (void)trailers;
    if (code != RPCNET_GRPC_OK) {
        fprintf(stderr, "bad_worker: not registered: %s\n", message);
        exit(EXIT_FAILURE);
    }
    need(rpcnet_call_new(&w->report, w->channel, "/connection_swap.DirectorRegistry/Report", NULL,
                         &callbacks, w),
         "report");
    ConnectionSwap__WorkerReport report = CONNECTION_SWAP__WORKER_REPORT__INIT;
    report.registration = w->registration;
    report.streams_max = 1000;
    need(rn_message_send(w->report, &report.base), "report");
}

static void begin_registration(bad_worker *w) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_registered,
                                                    .on_status = on_register_status};
    char label[] = "worker-a";
    char user[128];
    char mgmt[128];
    (void)snprintf(user, sizeof user, "%s", rpcnet_server_address(w->user));
    (void)snprintf(mgmt, sizeof mgmt, "%s", rpcnet_server_address(w->mgmt));
    ConnectionSwap__RegisterRequest request = CONNECTION_SWAP__REGISTER_REQUEST__INIT;
    request.label = label;
    request.user_addr = user;
    request.mgmt_addr = mgmt;
    request.incarnation = rpcnet_now(rpcnet_loop_env(w->loop));
    need(rpcnet_call_new(&w->registering, w->channel, "/connection_swap.DirectorRegistry/Register",
                         NULL, &callbacks, w),
         "register");
    need(rn_message_send(w->registering, &request.base), "register");
    need(rpcnet_call_half_close(w->registering), "register");
}

/* ---- program ---- */

static void load_credentials(bad_worker *w) {
    char paths[3][PATH_MAX_LEN];
    char error[RPCNET_ERROR_TEXT_MAX];
    static const char *const names[] = {"worker-a.crt", "worker-a.key", "ca.crt"};
    rpcnet_credentials_options options;
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%s/%s", w->certs, names[i]);
    }
    rpcnet_credentials_options_init(&options);
    options.certificate_file = paths[0];
    options.key_file = paths[1];
    options.ca_file = paths[2];
    options.require_client_certificate = true;
    need(rpcnet_credentials_new(&w->credentials, &options, error), error);
}

static void open_servers(bad_worker *w) {
    rpcnet_env *env = rpcnet_loop_env(w->loop);
    rpcnet_server_options options;
    rpcnet_server_options_init(&options);
    options.credentials = w->credentials;
    need(rpcnet_server_new(&w->user, env, "127.0.0.1:0", &options), "USER server");
    need(rpcnet_server_add_method(w->user, "/rpcnet.v1.Worker/Serve", serve, w), "Serve");
    need(rpcnet_server_new(&w->mgmt, env, "127.0.0.1:0", &options), "MGMT server");
    need(rpcnet_health_new(&w->health, w->mgmt), "health");
}

static void open_channel(bad_worker *w) {
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = w->credentials;
    options.identity = "rpcnet://role/director";
    need(rpcnet_channel_new(&w->channel, rpcnet_loop_env(w->loop), w->director, &options),
         "channel");
}

int main(int argc, char *argv[]) {
    bad_worker w = {.certs = NULL};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--probes-lie") == 0) {
            w.probes_lie = true;
        } else if (strcmp(argv[i], "--certs") == 0 && i + 1 < argc) {
            w.certs = argv[++i];
        } else if (strcmp(argv[i], "--director") == 0 && i + 1 < argc) {
            w.director = argv[++i];
        }
    }
    if (w.certs == NULL || w.director == NULL) {
        fprintf(stderr, "usage: bad_worker --certs DIR --director HOST:PORT [--probes-lie]\n");
        return EXIT_FAILURE;
    }
    need(rpcnet_loop_new(&w.loop, NULL), "loop");
    need(rn_model_new(&w.model), "model");
    load_credentials(&w);
    open_servers(&w);
    open_channel(&w);
    begin_registration(&w);
    for (unsigned i = 0; i < LIES; i++) {
        printf("knows %s\n", lies[i].name);
    }
    fflush(stdout);
    rpcnet_loop_run(w.loop); /* until it is killed */
    return EXIT_SUCCESS;
}
