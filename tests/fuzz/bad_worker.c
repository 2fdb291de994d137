/* bad_worker: a worker made of the input against the whole director, in the simulated network. It
 * has a certificate, registers, and gets the streams of two victims, since it is the preferred one.
 * An honest client's stream lies with an honest worker all the time: its text goes on, exactly, and
 * it is never moved. The victims' calls end once, and in the end the director keeps nothing.
 *
 *   byte 0: 0: the worker speaks gRPC, and says frames as it likes (enum step);
 *           1: it is an HTTP/3 server made of the input (fuzz/peer.h) */
#include "director/director.h"
#include "fuzz/station.h"
#include "rpcnet/error.h"
#include "support/links_memory.h"

#define DIRECTOR_USER ARENA_SERVER
#define DIRECTOR_MGMT ARENA_SERVER_HOST ":61001"

enum { VICTIMS = 2, STEPS_MAX = 150, TIME_MAX_MS = 6000 };

enum step {
    BYTES,   /* call, piece */
    MESSAGE, /* call, signed distance from what is due, piece */
    EVENT,
    CHECKPOINT,
    DONE,
    FAILURE,
    REFUSED,
    PROBE_REPLY,
    FINISH, /* call, code: without Done */
    CANCEL, /* call */
    MUTE,
    PAUSE,
    TIME,         /* units of 4 ms */
    REPORT_BYTES, /* piece */
    REPORT,       /* flags */
    REGISTER,     /* piece */
    DRAIN,
    RESTART,
    ASK, /* the victims say something */
    HANG_UP,
    STEPS
};

typedef struct ear {
    rpcnet_call *call;
    unsigned messages;
    unsigned statuses;
} ear;

typedef struct scene {
    arena arena; /* the bad worker's process */
    rn_director director;
    station honest;
    station bad;
    bool paused;
    rpcnet_channel *channel;
    ear loyal; /* the honest client's stream */
    ear victims[VICTIMS];
} scene;

/* ---- the director ---- */

static void start_director(scene *s) {
    static char options[][64] = {"director",
                                 "--user-addr=" DIRECTOR_USER,
                                 "--mgmt-addr=" DIRECTOR_MGMT,
                                 "--preferred-worker=worker-b",
                                 "--park-timeout=2s",
                                 "--journal-max=4096",
                                 "--request-max=4096"};
    static char certs[] = "--certs-dir=" RN_TEST_CERTS;
    enum { OPTIONS = sizeof options / sizeof options[0] };
    static char *argv[OPTIONS + 2];
    for (size_t i = 0; i < OPTIONS; i++) {
        argv[i] = options[i];
    }
    argv[OPTIONS] = certs;
    static char *envp[] = {NULL};
    rn_env *env = rn_sim_host_new(s->arena.sim, ARENA_SERVER_HOST);
    assert(rn_program_start_on(&s->director.program, &rn_director_program, &s->director.config,
                               OPTIONS + 1, argv, envp, env));
    assert(rn_director_open(&s->director) == RPCNET_OK);
}

static void stop_director(scene *s) {
    rn_director_close(&s->director);
    (void)rn_program_end(&s->director.program);
}

/* ---- clients ---- */

static void on_answer(rpcnet_call *call, const void *data, size_t len, void *user) {
    ear *e = user;
    (void)call;
    if (len == 1) { /* the other ones are events */
        e->messages++;
        assert(*(const uint8_t *)data == e->messages);
    }
}

static void on_words(rpcnet_call *call, const void *data, size_t len, void *user) {
    ear *e = user;
    (void)call;
    (void)data;
    (void)len;
    assert(e->statuses == 0);
    e->messages++;
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    ear *e = user;
    (void)call;
    (void)message;
    (void)trailers;
    assert(e->statuses++ == 0 && code >= 0 && code <= RPCNET_GRPC_UNAUTHENTICATED);
}

static void ask(ear *e) {
    (void)rpcnet_call_send(e->call, "?", 1);
}

static void open_call(scene *s, ear *e, const char *path, const rpcnet_call_callbacks *callbacks) {
    assert(rpcnet_call_new(&e->call, s->channel, path, NULL, callbacks, e) == RPCNET_OK);
    ask(e);
}

static void check_loyal(scene *s) {
    assert(s->loyal.statuses == 0);
    unsigned before = s->loyal.messages;
    ask(&s->loyal);
    rn_sim_run_for(s->arena.sim, 100 * RN_MILLISECOND);
    assert(s->loyal.messages == before + 1 && s->loyal.statuses == 0);
    assert(s->honest.honest_assigned == 1 && s->bad.honest_assigned == 0);
}

static void start_clients(scene *s) {
    static const rpcnet_call_callbacks loyal = {.on_message = on_answer, .on_status = on_status};
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = arena_credentials(NULL);
    options.server_name = "localhost";
    assert(rpcnet_channel_new(&s->channel, rn_sim_host_new(s->arena.sim, ARENA_CLIENT_HOST),
                              DIRECTOR_USER, &options) == RPCNET_OK);
    open_call(s, &s->loyal, "/t/Honest", &loyal);
    rn_sim_run_for(s->arena.sim, 100 * RN_MILLISECOND);
    assert(s->loyal.messages == 1);
}

static void start_victims(scene *s) {
    static const rpcnet_call_callbacks victim = {.on_message = on_words, .on_status = on_status};
    for (size_t i = 0; i < VICTIMS; i++) {
        open_call(s, &s->victims[i], "/t/Victim", &victim);
    }
    rn_sim_run_for(s->arena.sim, 60 * RN_MILLISECOND);
}

/* ---- the bad worker ---- */

static void frame_step(scene *s, enum step step, fuzz_input *input) {
    station_call *call = &s->bad.calls[fuzz_byte(input) % STATION_CALLS_MAX];
    rn_worker_frame frame = {.kind = RN_WORKER_NONE};
    switch (step) {
    case BYTES:
        station_send_bytes(call->call, fuzz_piece(input));
        return;
    case MESSAGE:
    case CHECKPOINT: {
        uint64_t sequence = call->next + (uint64_t)(int8_t)fuzz_byte(input);
        frame.kind = step == MESSAGE ? RN_WORKER_MESSAGE : RN_WORKER_CHECKPOINT;
        frame.message = (rn_numbered){sequence, fuzz_piece(input)};
        call->next += step == MESSAGE && sequence == call->next;
        break;
    }
    case EVENT:
        frame.kind = RN_WORKER_EVENT;
        frame.event = fuzz_piece(input);
        break;
    case DONE:
        frame.kind = RN_WORKER_DONE;
        frame.done = (rn_done){.code = fuzz_byte(input), .message = fuzz_piece(input)};
        break;
    case FAILURE: {
        uint8_t flags = fuzz_byte(input);
        frame.kind = RN_WORKER_FAILURE;
        frame.failure = (rn_failure){fuzz_piece(input), (flags & 1) != 0, (flags & 2) != 0};
        break;
    }
    case REFUSED:
        frame.kind = RN_WORKER_REFUSED;
        frame.refused = fuzz_piece(input);
        break;
    default: /* PROBE_REPLY */
        frame.kind = RN_WORKER_PROBE_REPLY;
        frame.probe_reply = fuzz_byte(input);
        break;
    }
    station_send(call, &frame);
}

static void end_step(scene *s, enum step step, fuzz_input *input) {
    station_call *call = &s->bad.calls[fuzz_byte(input) % STATION_CALLS_MAX];
    if (call->call == NULL) {
        return;
    }
    if (step == FINISH) {
        (void)rpcnet_call_finish(call->call, fuzz_byte(input) % 17, "\xff no words \n", NULL);
    } else {
        rpcnet_call_cancel(call->call);
    }
}

static void pause_or_resume(scene *s) {
    s->paused = !s->paused;
    if (s->paused) {
        rn_sim_host_pause(s->arena.env);
    } else {
        rn_sim_host_resume(s->arena.env);
    }
}

static void victim_step(scene *s, enum step step, fuzz_input *input) {
    uint8_t choice = fuzz_byte(input);
    ear *e = &s->victims[choice % VICTIMS];
    if (step == ASK) {
        ask(e);
    } else if (choice & 2) {
        rpcnet_call_cancel(e->call);
    } else {
        (void)rpcnet_call_half_close(e->call);
    }
}

static void other_step(scene *s, enum step step, fuzz_input *input) {
    switch (step) {
    case MUTE:
        s->bad.mute = !s->bad.mute;
        break;
    case PAUSE:
        pause_or_resume(s);
        break;
    case REPORT_BYTES:
        station_send_bytes(s->bad.report, fuzz_piece(input));
        break;
    case REPORT: {
        uint8_t flags = fuzz_byte(input);
        station_report(&s->bad, flags & 1, flags & 2);
        break;
    }
    case REGISTER:
        station_register_bytes(&s->bad, fuzz_piece(input));
        break;
    case DRAIN:
        rpcnet_server_drain(s->bad.user, rn_sim_now(s->arena.sim) + RN_SECOND);
        break;
    default: /* RESTART */
        station_restart(&s->bad);
        break;
    }
}

static void play_frames(scene *s, fuzz_input *input) {
    uint64_t left_ms = TIME_MAX_MS;
    for (unsigned turn = 0; turn < STEPS_MAX && input->len > 0; turn++) {
        enum step step = (enum step)(fuzz_byte(input) % STEPS);
        if (step <= PROBE_REPLY) {
            frame_step(s, step, input);
        } else if (step <= CANCEL) {
            end_step(s, step, input);
        } else if (step == TIME) {
            uint64_t ms = 4 * (uint64_t)fuzz_byte(input);
            ms = ms < left_ms ? ms : left_ms;
            left_ms -= ms;
            rn_sim_run_for(s->arena.sim, ms * RN_MILLISECOND);
        } else if (step >= ASK) {
            victim_step(s, step, input);
        } else {
            other_step(s, step, input);
        }
    }
    rn_sim_run_for(s->arena.sim, 200 * RN_MILLISECOND);
}

/* ---- */

static void start_bad(scene *s, bool raw) {
    s->bad = (station){.env = s->arena.env,
                       .label = "worker-b",
                       .user_addr = ARENA_PEER_HOST ":61000",
                       .mgmt_addr = ARENA_PEER_HOST ":63001",
                       .serves = !raw};
    if (raw) {
        arena_peer_listen(&s->arena, "h3", "worker-b");
    }
    station_open(&s->bad, DIRECTOR_MGMT);
    rn_sim_run_for(s->arena.sim, 100 * RN_MILLISECOND);
    start_victims(s);
}

static void end(scene *s) {
    if (s->paused) {
        pause_or_resume(s);
    }
    rpcnet_call_cancel(s->loyal.call);
    for (size_t i = 0; i < VICTIMS; i++) {
        rpcnet_call_cancel(s->victims[i].call);
        assert(s->victims[i].statuses == 1);
        rpcnet_call_del(s->victims[i].call);
    }
    rpcnet_call_del(s->loyal.call);
    rn_sim_run_for(s->arena.sim, 100 * RN_MILLISECOND);
    assert(s->director.data.relays_count == 0 && links_excess(&s->director.data) == 0);
    rpcnet_channel_del(s->channel);
    station_close(&s->bad);
    station_close(&s->honest);
    rn_sim_run_for(s->arena.sim, 20 * RN_MILLISECOND);
    stop_director(s);
    rn_sim_run_for(s->arena.sim, 20 * RN_MILLISECOND);
    arena_fini(&s->arena);
    free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    scene *s = calloc(1, sizeof *s);
    assert(s != NULL);
    bool raw = fuzz_byte(&input) & 1;
    arena_init(&s->arena);
    start_director(s);
    s->honest = (station){.env = rn_sim_host_new(s->arena.sim, "10.0.0.4"),
                          .label = "worker-a",
                          .user_addr = "10.0.0.4:62001",
                          .mgmt_addr = "10.0.0.4:63001",
                          .serves = true,
                          .honest = true};
    station_open(&s->honest, DIRECTOR_MGMT);
    rn_sim_run_for(s->arena.sim, 60 * RN_MILLISECOND);
    start_clients(s);
    start_bad(s, raw);
    if (raw) {
        arena_play(&s->arena, &input);
    } else {
        play_frames(s, &input);
    }
    check_loyal(s);
    end(s);
    return 0;
}
