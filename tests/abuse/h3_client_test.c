/* HTTP/3 as a server must not speak it: a worker's connection is one that the director has opened.
 * What the client answers is what RFC 9114 and RFC 9204 name, and its call never looks finished.
 * Beside all of them one call to an honest server goes on. */
#include "abuse/beside.h"
#include "abuse/forge.h"

#define BAD_HOST "10.0.0.3"
#define BAD_ADDRESS BAD_HOST ":61000"
#define SETTINGS "u1: 00 F4{} ; "
#define OK_HEADERS "F1{Q{:status=200|content-type=application/grpc}} "
#define OK_TRAILERS "F1{Q{grpc-status=0}} FIN"

enum outcome {
    CONNECTION, /* the client closes with `code`; the call ends with UNAVAILABLE */
    STREAM,     /* the client resets the request with `code` */
    STATUS      /* the connection lives */
};

typedef struct attack {
    const char *name;
    const char *script;
    enum outcome outcome;
    uint64_t code; /* of HTTP/3 */
    int status;    /* of gRPC; -1: none yet */
} attack;

enum {
    STREAM_CREATION_ERROR = 0x103,
    CLOSED_CRITICAL_STREAM = 0x104,
    FRAME_UNEXPECTED = 0x105,
    FRAME_ERROR = 0x106,
    EXCESSIVE_LOAD = 0x107,
    ID_ERROR = 0x108,
    SETTINGS_ERROR = 0x109,
    MISSING_SETTINGS = 0x10a,
    MESSAGE_ERROR = 0x10e,
    DECOMPRESSION_FAILED = 0x200,
    ENCODER_STREAM_ERROR = 0x201,
    DECODER_STREAM_ERROR = 0x202
};

static const attack attacks[] = {
    {"nothing wrong", SETTINGS "r1: " OK_HEADERS "F0{M{}} " OK_TRAILERS, STATUS, 0, 0},
    /* the control stream */
    {"no SETTINGS", "u1: 00 F7{00}", CONNECTION, MISSING_SETTINGS, 14},
    {"two SETTINGS", SETTINGS "u1: F4{}", CONNECTION, FRAME_UNEXPECTED, 14},
    {"two control streams", SETTINGS "u2: 00 F4{}", CONNECTION, STREAM_CREATION_ERROR, 14},
    {"a finished control stream", SETTINGS "u1: FIN", CONNECTION, CLOSED_CRITICAL_STREAM, 14},
    {"a reserved setting", "u1: 00 F4{v2 v1}", CONNECTION, SETTINGS_ERROR, 14},
    {"DATA on the control stream", SETTINGS "u1: F0{00}", CONNECTION, FRAME_UNEXPECTED, 14},
    {"MAX_PUSH_ID of a server", SETTINGS "u1: Fd{00}", CONNECTION, FRAME_UNEXPECTED, 14},
    {"GOAWAY with the id of a server's stream", SETTINGS "u1: F7{v1}", CONNECTION, ID_ERROR, 14},
    {"GOAWAY above the last one", SETTINGS "u1: F7{v4} F7{v8}", CONNECTION, ID_ERROR, 14},
    {"GOAWAY with more behind its id", SETTINGS "u1: F7{00 00}", CONNECTION, FRAME_ERROR, 14},
    {"GOAWAY that refuses the request", SETTINGS "u1: F7{00}", STATUS, 0, 14},
    {"PRIORITY_UPDATE of a server", SETTINGS "u1: Ff0700{v0 \"u=1\"}", CONNECTION, FRAME_UNEXPECTED,
     14},
    /* Push was never allowed. RFC 9114 wants H3_ID_ERROR; the HTTP/3 library has no push and closes
     * with other codes. */
    {"a push stream", SETTINGS "u2: 01 00", CONNECTION, STREAM_CREATION_ERROR, 14},
    {"PUSH_PROMISE", SETTINGS "r1: F5{00 Q{a=b}}", CONNECTION, FRAME_UNEXPECTED, 14},
    {"CANCEL_PUSH", SETTINGS "u1: F3{00}", CONNECTION, FRAME_UNEXPECTED, 14},
    /* streams */
    {"a stream of unknown type", SETTINGS "u2: v0x99 00 ; r1: " OK_HEADERS OK_TRAILERS, STATUS, 0,
     0},
    {"an instruction to a table of size zero", SETTINGS "u2: 02 3f01", CONNECTION,
     ENCODER_STREAM_ERROR, 14},
    {"an acknowledgement of no section", SETTINGS "u2: 03 80", CONNECTION, DECODER_STREAM_ERROR,
     14},
    /* the answer */
    {"DATA before HEADERS", SETTINGS "r1: F0{00}", CONNECTION, FRAME_UNEXPECTED, 14},
    {"SETTINGS on a request", SETTINGS "r1: F4{}", CONNECTION, FRAME_UNEXPECTED, 14},
    /* RFC 9114, section 4.1, wants H3_FRAME_UNEXPECTED. */
    {"HEADERS behind the trailers",
     SETTINGS "r1: " OK_HEADERS "F1{Q{grpc-status=0}} F1{Q{grpc-status=0}}", CONNECTION,
     MESSAGE_ERROR, 14},
    {"the end inside a frame", SETTINGS "r1: " OK_HEADERS "00 v100 00 FIN", CONNECTION, FRAME_ERROR,
     14},
    {"a reference to the dynamic table", SETTINGS "r1: F1{0000 80}", CONNECTION,
     DECOMPRESSION_FAILED, 14},
    {"no :status", SETTINGS "r1: F1{Q{content-type=application/grpc}}", STREAM, MESSAGE_ERROR, 13},
    {"a :status that is no number", SETTINGS "r1: F1{Q{:status=abc}}", STREAM, MESSAGE_ERROR, 13},
    {"two :status", SETTINGS "r1: F1{Q{:status=200|:status=200}}", STREAM, MESSAGE_ERROR, 13},
    {"a request's pseudo-header", SETTINGS "r1: F1{Q{:status=200|:path=/}}", STREAM, MESSAGE_ERROR,
     13},
    {"connection", SETTINGS "r1: F1{Q{:status=200|connection=close}}", STREAM, MESSAGE_ERROR, 13},
    {"an upper-case name", SETTINGS "r1: F1{Q{:status=200|X-A=1}}", STREAM, MESSAGE_ERROR, 13},
    {"a pseudo-header in trailers",
     SETTINGS "r1: " OK_HEADERS "F1{Q{grpc-status=0|:status=200}} FIN", STREAM, MESSAGE_ERROR, 13},
    {"only 1xx", SETTINGS "r1: F1{Q{:status=100}} FIN", STATUS, 0, 13},
    {":status 101", SETTINGS "r1: F1{Q{:status=101}}", STREAM, MESSAGE_ERROR, 13},
    {"HEADERS above any limit", SETTINGS "r1: 01 v0x3fffffffffffffff 0000", STREAM, EXCESSIVE_LOAD,
     8},
    {"fields without end", SETTINGS "r1: F1{Q{:status=200} *dd:2000}", STREAM, EXCESSIVE_LOAD, 8},
    {"the end before anything", SETTINGS "r1: FIN", STATUS, 0, 13},
    {"the end behind a reserved frame", SETTINGS "r1: F21{00} FIN", STATUS, 0, 13},
    /* a call that was cut never looks finished */
    {"the end without status", SETTINGS "r1: " OK_HEADERS "F0{M{}} FIN", STATUS, 0, 13},
    {"the end inside a message", SETTINGS "r1: " OK_HEADERS "F0{00 00000005 61} " OK_TRAILERS,
     STATUS, 0, 13},
    {"a status that is no number", SETTINGS "r1: " OK_HEADERS "F1{Q{grpc-status=ok}} FIN", STATUS,
     0, 13},
    {"an empty status", SETTINGS "r1: " OK_HEADERS "F1{Q{grpc-status=}} FIN", STATUS, 0, 13},
    {"a status above 16", SETTINGS "r1: " OK_HEADERS "F1{Q{grpc-status=17}} FIN", STATUS, 0, 2},
    {"HTTP 503", SETTINGS "r1: F1{Q{:status=503}} FIN", STATUS, 0, 14},
    {"another content type", SETTINGS "r1: F1{Q{:status=200|content-type=text/html}} FIN", STATUS,
     0, 2},
    {"a reset with H3_REQUEST_CANCELLED", SETTINGS "r1: " OK_HEADERS "RESET:0x10c", STATUS, 0, 1},
    {"a reset with no known code", SETTINGS "r1: " OK_HEADERS "RESET:0x4242", STATUS, 0, 13},
    {"a prefix flag of 2", SETTINGS "r1: " OK_HEADERS "F0{02 00000000}", STATUS, 0, 13},
    {"a compressed message", SETTINGS "r1: " OK_HEADERS "F0{01 00000000}", STATUS, 0, 12},
    {"a message above the limit", SETTINGS "r1: " OK_HEADERS "F0{00 00400001 61}", STATUS, 0, 8},
};

typedef struct victim {
    raw_peer peer; /* the server */
    rpcnet_channel *channel;
    probe call;
    enum rpcnet_loss loss;
} victim;

static void victim_state(rpcnet_channel *channel, enum rpcnet_channel_state state,
                         enum rpcnet_loss loss, const char *text, void *user) {
    (void)channel;
    (void)state;
    (void)text;
    ((victim *)user)->loss = loss;
}

static void victim_start(world *w, victim *v) {
    raw_options options = {.alpn = "h3", .bind = BAD_ADDRESS, .certificate = "director"};
    rpcnet_channel_options channel;
    memset(v, 0, sizeof *v);
    raw_peer_start(&v->peer, w->sim, rn_sim_host_new(w->sim, BAD_HOST), &options);
    rpcnet_channel_options_init(&channel);
    channel.credentials = w->client_credentials;
    channel.identity = IDENTITY;
    channel.reconnect = false;
    channel.callbacks.on_state = victim_state;
    channel.user = v;
    assert_int_equal(rpcnet_channel_new(&v->channel, w->client_env, BAD_ADDRESS, &channel),
                     RPCNET_OK);
    v->call.world = w;
    assert_int_equal(
        rpcnet_call_new(&v->call.call, v->channel, "/t/Echo", NULL, &client_callbacks, &v->call),
        RPCNET_OK);
    assert_int_equal(rpcnet_call_send(v->call.call, NULL, 0), RPCNET_OK);
    raw_peer_settle(&v->peer);
}

static void victim_end(world *w, victim *v) {
    probe_del(&v->call);
    rpcnet_channel_del(v->channel);
    run_ms(w, 50);
    beside_detach(&v->peer);
}

static bool judge(const attack *a, victim *v) {
    const raw_peer *peer = &v->peer;
    raw_stream *request = raw_peer_stream(&v->peer, 'r', 1);
    int status = v->call.statuses > 0 ? v->call.code : -1;
    bool closed = peer->closed && peer->close.cause == RN_CLOSE_PEER && peer->close.application &&
                  peer->close.code == a->code;
    bool right = false;
    switch (a->outcome) {
    case CONNECTION:
        right =
            closed && (a->status == -1 || status == a->status) && v->loss == RPCNET_LOSS_PROTOCOL;
        break;
    case STREAM:
        right = !peer->closed && status == a->status && request != NULL && request->reset &&
                request->reset_code == a->code;
        break;
    case STATUS:
        right = !peer->closed && status == a->status;
        break;
    }
    if (!right) {
        print_error(
            "%s: status %d (%s), loss %d, closed %d with 0x%llx (%s), reset %d with 0x%llx\n",
            a->name, status, v->call.text, v->loss, peer->closed,
            (unsigned long long)peer->close.code, peer->close.text,
            request != NULL && request->reset,
            (unsigned long long)(request != NULL ? request->reset_code : 0));
    }
    return right;
}

static void answers_of_a_broken_server(void **state) {
    probe honest;
    world *w = beside_start(&honest);
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        static victim v;
        victim_start(w, &v);
        raw_peer_play(&v.peer, attacks[i].script);
        run_ms(w, 300);
        failures += !judge(&attacks[i], &v);
        victim_end(w, &v);
        beside_check(w, &honest);
    }
    assert_int_equal(failures, 0);
    beside_end(w, &honest);
}

/* A TLS KeyUpdate (RFC 9001, section 6) and what else a server may not send. */
static void packets_of_a_broken_server(void **state) {
    static const struct {
        const char *frames;
        uint64_t code;
    } cases[] = {
        {"06 v0 v5 1800000100", 0x10a},   /* TLS KeyUpdate: unexpected_message */
        {"06 v0 v5 1800000101", 0x10a},   /* the same, and an answer is asked for */
        {"07 v0", 0x07},                  /* an empty NEW_TOKEN: FRAME_ENCODING_ERROR */
        {"0a v2 v1 61", 0x05},            /* STREAM on a stream of the client's: STREAM_STATE */
        {"0a v1 v1 61", 0x04},            /* a bidirectional stream: STREAM_LIMIT_ERROR */
        {"12 v0x1000000000000001", 0x07}, /* MAX_STREAMS above 2^60 */
        {"0e v1000 v0 v1 61", 0x05},      /* STREAM on a request that was never made */
        {"02 v100000 v0 v0 v0", 0x0a},    /* ACK of what was never sent */
        {"", 0x0a},                       /* nothing at all */
        {"1f", 0x07},                     /* an unknown frame */
        {"0e v3 v300000 v1 61", 0x03},    /* beyond the window */
        {"19 v1000", 0x0a},               /* RETIRE_CONNECTION_ID that was never issued */
    };
    probe honest;
    world *w = beside_start(&honest);
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static victim v;
        uint8_t packet[FORGE_DATAGRAM_MAX];
        rn_buffer frames;
        victim_start(w, &v);
        rn_buffer_init(&frames, FORGE_DATAGRAM_MAX);
        script_bytes(cases[i].frames, &frames);
        v.peer.remote = *rn_conn_remote(v.peer.conn);
        forge_send(&v.peer, packet, forge_short(&v.peer, 0, 0, rn_buffer_bytes(&frames), packet));
        rn_buffer_fini(&frames);
        run_ms(w, 300);
        const rn_close *close = &v.peer.close;
        if (!v.peer.closed || close->application || close->code != cases[i].code ||
            v.call.statuses != 1 || v.call.code != RPCNET_GRPC_UNAVAILABLE) {
            failures++;
            print_error("%s: closed %d with 0x%llx (%s), status %d\n", cases[i].frames,
                        v.peer.closed, (unsigned long long)close->code, close->text, v.call.code);
        }
        victim_end(w, &v);
        beside_check(w, &honest);
    }
    assert_int_equal(failures, 0);
    beside_end(w, &honest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_a_broken_server),
        cmocka_unit_test(packets_of_a_broken_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
