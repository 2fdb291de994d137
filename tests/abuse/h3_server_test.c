/* HTTP/3 and QPACK as a client must not speak them, and what a server answers: RFC 9114 and RFC
 * 9204 name the error of each case. Beside all of them one honest client keeps its connection. */
#include "abuse/beside.h"

#define REQUEST                                                                                    \
    ":method=POST|:scheme=https|:authority=somebody|:path=/t/Echo|content-type=application/grpc"
#define HEADERS "F1{Q{" REQUEST "}} "
#define SETTINGS "u1: 00 F4{} ; "
#define ENCODER SETTINGS "u2: 02 "
#define DECODER SETTINGS "u2: 03 "
#define REQUEST_WITH(field) SETTINGS "r1: F1{Q{" REQUEST "|" field "}} FIN"

enum outcome {
    CONNECTION, /* closed with `code` */
    STREAM,     /* r1 is reset with `code`, the connection lives */
    ANSWERED,   /* r1 gets an answer, the connection lives */
    UNANSWERED  /* the connection lives; nobody waits for an answer */
};

typedef struct attack {
    const char *name;
    const char *script;
    enum outcome outcome;
    uint64_t code;
} attack;

/* RFC 9114, section 8.1, and RFC 9204, section 6. */
enum {
    STREAM_CREATION_ERROR = 0x103,
    CLOSED_CRITICAL_STREAM = 0x104,
    FRAME_UNEXPECTED = 0x105,
    FRAME_ERROR = 0x106,
    EXCESSIVE_LOAD = 0x107,
    ID_ERROR = 0x108,
    SETTINGS_ERROR = 0x109,
    MISSING_SETTINGS = 0x10a,
    REQUEST_INCOMPLETE = 0x10d,
    MESSAGE_ERROR = 0x10e,
    DECOMPRESSION_FAILED = 0x200,
    ENCODER_STREAM_ERROR = 0x201,
    DECODER_STREAM_ERROR = 0x202
};

static const attack control_streams[] = {
    {"nothing wrong", SETTINGS "r1: " HEADERS "F0{M{}} FIN", ANSWERED, 0},
    {"GOAWAY before SETTINGS", "u1: 00 F7{00}", CONNECTION, MISSING_SETTINGS},
    {"MAX_PUSH_ID before SETTINGS", "u1: 00 Fd{00}", CONNECTION, MISSING_SETTINGS},
    {"a reserved frame before SETTINGS", "u1: 00 F21{00}", CONNECTION, MISSING_SETTINGS},
    {"two SETTINGS", SETTINGS "u1: F4{}", CONNECTION, FRAME_UNEXPECTED},
    {"DATA on the control stream", SETTINGS "u1: F0{00}", CONNECTION, FRAME_UNEXPECTED},
    {"HEADERS on the control stream", SETTINGS "u1: " HEADERS, CONNECTION, FRAME_UNEXPECTED},
    {"PUSH_PROMISE on the control stream", SETTINGS "u1: F5{00}", CONNECTION, FRAME_UNEXPECTED},
    {"HTTP/2 PRIORITY", SETTINGS "u1: F2{00}", CONNECTION, FRAME_UNEXPECTED},
    {"HTTP/2 PING", SETTINGS "u1: F6{00}", CONNECTION, FRAME_UNEXPECTED},
    {"HTTP/2 WINDOW_UPDATE", SETTINGS "u1: F8{00}", CONNECTION, FRAME_UNEXPECTED},
    {"HTTP/2 CONTINUATION", SETTINGS "u1: F9{00}", CONNECTION, FRAME_UNEXPECTED},
    {"two control streams", SETTINGS "u2: 00 F4{}", CONNECTION, STREAM_CREATION_ERROR},
    {"a finished control stream", SETTINGS "u1: FIN", CONNECTION, CLOSED_CRITICAL_STREAM},
    {"a reset control stream", SETTINGS "u1: F21{} RESET:0x100", CONNECTION,
     CLOSED_CRITICAL_STREAM},
    {"a finished control stream, no SETTINGS", "u1: 00 FIN", CONNECTION, CLOSED_CRITICAL_STREAM},
    {"a push stream of a client", SETTINGS "u2: 01 00", CONNECTION, STREAM_CREATION_ERROR},
    {"reserved HTTP/2 setting 2", "u1: 00 F4{v2 v0}", CONNECTION, SETTINGS_ERROR},
    {"reserved HTTP/2 setting 3", "u1: 00 F4{v3 v0}", CONNECTION, SETTINGS_ERROR},
    {"reserved HTTP/2 setting 4", "u1: 00 F4{v4 v0}", CONNECTION, SETTINGS_ERROR},
    {"reserved HTTP/2 setting 5", "u1: 00 F4{v5 v0}", CONNECTION, SETTINGS_ERROR},
    /* RFC 9114, section 7.2.4, allows to refuse it. */
    {"one setting twice", "u1: 00 F4{v0x6 v9000 v0x6 v9000} ; r1: " HEADERS "F0{M{}} FIN", ANSWERED,
     0},
    {"ENABLE_CONNECT_PROTOCOL of 2", "u1: 00 F4{v8 v2}", CONNECTION, SETTINGS_ERROR},
    {"a setting without its value", "u1: 00 F4{v6}", CONNECTION, FRAME_ERROR},
    {"half a setting", "u1: 00 F4{v6 80}", CONNECTION, FRAME_ERROR},
    {"SETTINGS without end", "u1: 00 04 v0x3fffffff *21:20000", CONNECTION, EXCESSIVE_LOAD},
    {"an empty GOAWAY", SETTINGS "u1: F7{}", CONNECTION, FRAME_ERROR},
    {"a GOAWAY with more behind its id", SETTINGS "u1: F7{00 00}", CONNECTION, FRAME_ERROR},
    {"a GOAWAY above the last one", SETTINGS "u1: F7{v4} F7{v8}", CONNECTION, ID_ERROR},
    {"an empty MAX_PUSH_ID", SETTINGS "u1: Fd{}", CONNECTION, FRAME_ERROR},
    {"MAX_PUSH_ID with more behind it", SETTINGS "u1: Fd{00 00}", CONNECTION, FRAME_ERROR},
    /* RFC 9114 wants H3_ID_ERROR for the next two; the HTTP/3 library closes with another code. */
    {"MAX_PUSH_ID below the last one", SETTINGS "u1: Fd{v8} Fd{v4}", CONNECTION, FRAME_ERROR},
    {"CANCEL_PUSH of what was never promised", SETTINGS "u1: F3{v7}", CONNECTION, FRAME_UNEXPECTED},
    {"CANCEL_PUSH with more behind its id", SETTINGS "u1: F3{00 00}", CONNECTION, FRAME_ERROR},
    {"a GOAWAY of half an id", SETTINGS "u1: F7{80 00}", CONNECTION, FRAME_ERROR},
    {"PRIORITY_UPDATE of a push", SETTINGS "u1: Ff0701{v0 \"u=1\"}", CONNECTION, ID_ERROR},
    {"PRIORITY_UPDATE of no request stream", SETTINGS "u1: Ff0700{v2 \"u=1\"}", CONNECTION,
     ID_ERROR},
    {"PRIORITY_UPDATE beyond the limit of streams", SETTINGS "u1: Ff0700{v4000000 \"u=1\"}",
     CONNECTION, ID_ERROR},
    {"a PRIORITY_UPDATE that is cut behind its id",
     SETTINGS "u1: v0xf0700 v4 v0 ; wait ; u1: \"u=1\" ; wait ; u1: Ff0700{v0 \"u=2\"} v0xf0700 v8 "
              "V0 ; wait ; r1: " HEADERS "F0{M{}} FIN",
     ANSWERED, 0},
    {"a PRIORITY_UPDATE that ends behind its id, in pieces",
     SETTINGS "u1: v0xf0700 v9 c000 ; wait ; u1: 000000000000 ; wait ; u1: \"i\" ; wait ; u1: "
              "v0xf0700 v2 v0 ; wait ; u1: \"i\" ; r1: " HEADERS "F0{M{}} FIN",
     ANSWERED, 0},
    {"a control stream that ends behind the id of a PRIORITY_UPDATE",
     SETTINGS "u1: v0xf0700 v9 v0 ; wait ; u1: FIN", CONNECTION, CLOSED_CRITICAL_STREAM},
    {"a PRIORITY_UPDATE of a push, cut behind its id",
     SETTINGS "u1: v0xf0701 v4 v0 ; wait ; u1: 00", CONNECTION, ID_ERROR},
    {"an empty PRIORITY_UPDATE", SETTINGS "u1: Ff0700{}", CONNECTION, FRAME_ERROR},
    {"reserved frames, settings and streams",
     "u1: 00 F4{v0x21 v5 v0x40 v0} F21{0102} F40{} ; u2: v0x21 0102 FIN ; u3: v0x40 FIN ; r1: "
     "F21{00} " HEADERS "F21{} F0{M{}} F40{00} FIN",
     ANSWERED, 0},
    {"settings that nobody knows", "u1: 00 F4{v0x1000 v7 v0x3fff v8} ; r1: " HEADERS "FIN",
     ANSWERED, 0},
    {"a stream of a type that nobody knows, reset",
     SETTINGS "u2: v0x99 00 RESET:0x100 ; r1: " HEADERS "FIN", ANSWERED, 0},
};

static const attack request_streams[] = {
    {"DATA before HEADERS", SETTINGS "r1: F0{00}", CONNECTION, FRAME_UNEXPECTED},
    {"HEADERS behind the trailers", SETTINGS "r1: " HEADERS "F1{Q{a=b}} F1{Q{c=d}}", CONNECTION,
     FRAME_UNEXPECTED},
    {"DATA behind the trailers", SETTINGS "r1: " HEADERS "F1{Q{a=b}} F0{00}", CONNECTION,
     FRAME_UNEXPECTED},
    {"SETTINGS on a request", SETTINGS "r1: F4{}", CONNECTION, FRAME_UNEXPECTED},
    {"GOAWAY on a request", SETTINGS "r1: F7{00}", CONNECTION, FRAME_UNEXPECTED},
    {"CANCEL_PUSH on a request", SETTINGS "r1: F3{00}", CONNECTION, FRAME_UNEXPECTED},
    {"MAX_PUSH_ID on a request", SETTINGS "r1: Fd{00}", CONNECTION, FRAME_UNEXPECTED},
    {"PRIORITY_UPDATE on a request", SETTINGS "r1: Ff0700{v0 \"u=1\"}", CONNECTION,
     FRAME_UNEXPECTED},
    {"PUSH_PROMISE of a client", SETTINGS "r1: " HEADERS "F5{00 Q{a=b}}", CONNECTION,
     FRAME_UNEXPECTED},
    {"HTTP/2 PING on a request", SETTINGS "r1: " HEADERS "F6{00}", CONNECTION, FRAME_UNEXPECTED},
    {"HTTP/2 CONTINUATION on a request", SETTINGS "r1: " HEADERS "F9{00}", CONNECTION,
     FRAME_UNEXPECTED},
    {"FIN inside HEADERS", SETTINGS "r1: 01 v100 0000 FIN", CONNECTION, FRAME_ERROR},
    {"FIN inside DATA", SETTINGS "r1: " HEADERS "00 v100 00 FIN", CONNECTION, FRAME_ERROR},
    {"FIN inside a reserved frame", SETTINGS "r1: " HEADERS "21 v100 00 FIN", CONNECTION,
     FRAME_ERROR},
    {"FIN inside a frame's length", SETTINGS "r1: " HEADERS "00 80 FIN", CONNECTION, FRAME_ERROR},
    {"FIN before anything", SETTINGS "r1: FIN", STREAM, REQUEST_INCOMPLETE},
    {"FIN behind a reserved frame only", SETTINGS "r1: F21{0102} FIN", STREAM, REQUEST_INCOMPLETE},
    {"HEADERS above any limit", SETTINGS "r1: 01 v0x3fffffffffffffff 0000", STREAM, EXCESSIVE_LOAD},
    {"HEADERS above the limit by one", SETTINGS "r1: 01 v16385 0000", STREAM, EXCESSIVE_LOAD},
    {"a huge field section", SETTINGS "r1: F1{Q{" REQUEST "} 2161 7f977d *62:16150}", STREAM,
     EXCESSIVE_LOAD},
    {"fields without end", SETTINGS "r1: F1{Q{" REQUEST "} *dd:2000}", STREAM, EXCESSIVE_LOAD},
    {"DATA of the greatest length",
     SETTINGS "r1: " HEADERS "00 v0x3fffffffffffffff *00:5 ; wait ; "
              "r2: " HEADERS "F0{M{}} FIN",
     UNANSWERED, 0},
    {"empty frames without end", SETTINGS "r1: " HEADERS "*00:40000 ; wait ; r1: F0{M{}} FIN",
     ANSWERED, 0},
    {"a request that is reset", SETTINGS "r1: " HEADERS "RESET:0x10c ; wait ; r2: " HEADERS "FIN",
     UNANSWERED, 0},
    {"a request whose answer nobody wants", SETTINGS "r1: " HEADERS "F0{M{*00:100}} STOP:0x10c",
     UNANSWERED, 0},
};

static const attack messages[] = {
    {"connection", REQUEST_WITH("connection=close"), STREAM, MESSAGE_ERROR},
    {"keep-alive", REQUEST_WITH("keep-alive=1"), STREAM, MESSAGE_ERROR},
    {"proxy-connection", REQUEST_WITH("proxy-connection=close"), STREAM, MESSAGE_ERROR},
    {"transfer-encoding", REQUEST_WITH("transfer-encoding=chunked"), STREAM, MESSAGE_ERROR},
    {"upgrade", REQUEST_WITH("upgrade=h2c"), STREAM, MESSAGE_ERROR},
    {"te other than trailers", REQUEST_WITH("te=gzip"), STREAM, MESSAGE_ERROR},
    {"an upper-case name", REQUEST_WITH("X-Thing=1"), STREAM, MESSAGE_ERROR},
    /* Fields that cannot be fields are left out, and nobody hears of them. */
    {"a name with a blank", REQUEST_WITH("x thing=1"), ANSWERED, 0},
    {"an empty name", REQUEST_WITH("=1"), ANSWERED, 0},
    {"a value with a line feed", REQUEST_WITH("x=a\\0ab"), ANSWERED, 0},
    {"a value with a zero", REQUEST_WITH("x=a\\00b"), ANSWERED, 0},
    {"a pseudo-header behind a field", REQUEST_WITH(":path=/t/Sink"), STREAM, MESSAGE_ERROR},
    {"two :method", SETTINGS "r1: F1{Q{:method=POST|" REQUEST "}} FIN", STREAM, MESSAGE_ERROR},
    {"two :path", SETTINGS "r1: F1{Q{:path=/t/Echo|" REQUEST "}} FIN", STREAM, MESSAGE_ERROR},
    {"an unknown pseudo-header", SETTINGS "r1: F1{Q{:protocol2=x|" REQUEST "}} FIN", STREAM,
     MESSAGE_ERROR},
    {"a response's pseudo-header", SETTINGS "r1: F1{Q{:status=200|" REQUEST "}} FIN", STREAM,
     MESSAGE_ERROR},
    {"no :path", SETTINGS "r1: F1{Q{:method=POST|:scheme=https|:authority=a}} FIN", STREAM,
     MESSAGE_ERROR},
    {"no :method", SETTINGS "r1: F1{Q{:scheme=https|:authority=a|:path=/t/Echo}} FIN", STREAM,
     MESSAGE_ERROR},
    {"no :scheme", SETTINGS "r1: F1{Q{:method=POST|:authority=a|:path=/t/Echo}} FIN", STREAM,
     MESSAGE_ERROR},
    {"no :authority and no host",
     SETTINGS "r1: F1{Q{:method=POST|:scheme=https|:path=/t/Echo}} FIN", STREAM, MESSAGE_ERROR},
    {"an empty :path", SETTINGS "r1: F1{Q{:method=POST|:scheme=https|:authority=a|:path=}} FIN",
     STREAM, MESSAGE_ERROR},
    {"an empty section", SETTINGS "r1: F1{0000} FIN", STREAM, MESSAGE_ERROR},
    {"trailers before headers", SETTINGS "r1: F1{Q{x-checksum=1}} " HEADERS "FIN", STREAM,
     MESSAGE_ERROR},
    {"a pseudo-header in trailers",
     SETTINGS "r1: F1{Q{:method=POST|:scheme=https|:authority=a|:path=/t/Sink|content-type="
              "application/grpc}} F1{Q{:path=/t/Echo}} FIN",
     STREAM, MESSAGE_ERROR},
    /* RFC 9114, section 8, allows to take an error of a stream for one of the connection. */
    {"less content than content-length says",
     SETTINGS "r1: F1{Q{:method=POST|:scheme=https|:authority=a|:path=/t/Sink|content-type="
              "application/grpc|content-length=100}} F0{M{}} FIN",
     CONNECTION, MESSAGE_ERROR},
    {"more content than content-length says",
     SETTINGS "r1: F1{Q{:method=POST|:scheme=https|:authority=a|:path=/t/Sink|content-type="
              "application/grpc|content-length=2}} F0{M{}} FIN",
     CONNECTION, MESSAGE_ERROR},
    {"a content-length that is no number", REQUEST_WITH("content-length=x"), STREAM, MESSAGE_ERROR},
    {"two content-lengths", REQUEST_WITH("content-length=0|content-length=1"), STREAM,
     MESSAGE_ERROR},
    {"CONNECT with a :path", SETTINGS "r1: F1{Q{:method=CONNECT|:authority=a|:path=/t/Echo}} FIN",
     STREAM, MESSAGE_ERROR},
};

static const attack qpack[] = {
    {"a section that needs inserts", SETTINGS "r1: F1{0200 d1}", CONNECTION, DECOMPRESSION_FAILED},
    {"a section with a base below zero", SETTINGS "r1: F1{0080 d1}", CONNECTION,
     DECOMPRESSION_FAILED},
    {"a reference to the dynamic table", SETTINGS "r1: F1{0000 80}", CONNECTION,
     DECOMPRESSION_FAILED},
    {"a reference behind the base", SETTINGS "r1: F1{0000 10}", CONNECTION, DECOMPRESSION_FAILED},
    {"a name of the dynamic table", SETTINGS "r1: F1{0000 40 0161}", CONNECTION,
     DECOMPRESSION_FAILED},
    {"a name behind the base", SETTINGS "r1: F1{0000 00 0161}", CONNECTION, DECOMPRESSION_FAILED},
    {"a static index of 99", SETTINGS "r1: F1{0000 ff24}", CONNECTION, DECOMPRESSION_FAILED},
    {"a static name of index 99", SETTINGS "r1: F1{0000 5f54 0161}", CONNECTION,
     DECOMPRESSION_FAILED},
    {"a section that is cut", SETTINGS "r1: F1{0000 27ff}", CONNECTION, DECOMPRESSION_FAILED},
    {"a section without its prefix", SETTINGS "r1: F1{00}", CONNECTION, DECOMPRESSION_FAILED},
    {"an empty HEADERS", SETTINGS "r1: F1{}", CONNECTION, MESSAGE_ERROR},
    {"an integer without end", SETTINGS "r1: F1{0000 ff *ff:20}", CONNECTION, DECOMPRESSION_FAILED},
    {"Huffman code with a wrong padding", SETTINGS "r1: F1{0000 2161 8100}", CONNECTION,
     DECOMPRESSION_FAILED},
    {"Huffman code with EOS", SETTINGS "r1: F1{0000 2161 84ffffffff}", CONNECTION,
     DECOMPRESSION_FAILED},
    {"a capacity above the limit", ENCODER "3f01", CONNECTION, ENCODER_STREAM_ERROR},
    {"a capacity without end", ENCODER "3f *ff:20", CONNECTION, ENCODER_STREAM_ERROR},
    {"an insert without capacity", ENCODER "c0 0161", CONNECTION, ENCODER_STREAM_ERROR},
    {"an insert with a literal name", ENCODER "4161 0162", CONNECTION, ENCODER_STREAM_ERROR},
    {"an insert with a static name of 99", ENCODER "ff24 0161", CONNECTION, ENCODER_STREAM_ERROR},
    {"an insert with a dynamic name", ENCODER "80 0161", CONNECTION, ENCODER_STREAM_ERROR},
    {"a duplicate of nothing", ENCODER "00", CONNECTION, ENCODER_STREAM_ERROR},
    {"an insert without end", ENCODER "5f *ff:20", CONNECTION, ENCODER_STREAM_ERROR},
    {"two encoder streams", ENCODER "; u3: 02", CONNECTION, STREAM_CREATION_ERROR},
    {"a finished encoder stream", ENCODER "FIN", CONNECTION, CLOSED_CRITICAL_STREAM},
    {"a reset encoder stream", ENCODER "RESET:0x100", CONNECTION, CLOSED_CRITICAL_STREAM},
    {"a capacity of zero", ENCODER "20 ; r1: " HEADERS "FIN", ANSWERED, 0},
    {"an increment of zero", DECODER "00", CONNECTION, DECODER_STREAM_ERROR},
    {"an increment beyond what was inserted", DECODER "01", CONNECTION, DECODER_STREAM_ERROR},
    {"an acknowledgement of no section", DECODER "80", CONNECTION, DECODER_STREAM_ERROR},
    {"an increment without end", DECODER "3f *ff:20", CONNECTION, DECODER_STREAM_ERROR},
    {"two decoder streams", DECODER "; u3: 03", CONNECTION, STREAM_CREATION_ERROR},
    {"a finished decoder stream", DECODER "FIN", CONNECTION, CLOSED_CRITICAL_STREAM},
    {"a reset decoder stream", DECODER "RESET:0x100", CONNECTION, CLOSED_CRITICAL_STREAM},
    {"cancellation of a stream that never was", DECODER "44 ; r1: " HEADERS "FIN", ANSWERED, 0},
};

/* ---- running them ---- */

static const char *judge(const attack *a, raw_peer *peer) {
    static char text[512];
    char value[256];
    raw_stream *request = raw_peer_stream(peer, 'r', 1);
    if (a->outcome == CONNECTION) {
        bool right = peer->closed && peer->close.cause == RN_CLOSE_PEER &&
                     peer->close.application && peer->close.code == a->code;
        (void)snprintf(text, sizeof text, "closed %d, cause %d, application %d, code 0x%llx (%s)",
                       peer->closed, peer->close.cause, peer->close.application,
                       (unsigned long long)peer->close.code, peer->close.text);
        return right ? NULL : text;
    }
    if (peer->closed) {
        (void)snprintf(text, sizeof text, "the connection was closed: 0x%llx (%s)",
                       (unsigned long long)peer->close.code, peer->close.text);
        return text;
    }
    if (a->outcome == STREAM) {
        (void)snprintf(text, sizeof text, "reset %d, code 0x%llx", request->reset,
                       (unsigned long long)request->reset_code);
        return request->reset && request->reset_code == a->code ? NULL : text;
    }
    if (a->outcome == ANSWERED &&
        strcmp(raw_stream_field(request, "grpc-status", value), "0") != 0) {
        (void)snprintf(text, sizeof text, "no answer; reset %d, code 0x%llx", request->reset,
                       (unsigned long long)request->reset_code);
        return text;
    }
    return NULL;
}

static bool run_attack(world *w, const attack *a) {
    static raw_peer peer;
    beside_attach(w, &peer, "h3");
    assert_true(peer.established);
    raw_peer_play(&peer, a->script);
    run_ms(w, 300);
    const char *wrong = judge(a, &peer);
    if (wrong != NULL) {
        print_error("%s: %s\n", a->name, wrong);
    }
    beside_detach(&peer);
    return wrong == NULL;
}

static void run_attacks(const attack *attacks, size_t count) {
    probe honest;
    world *w = beside_start(&honest);
    unsigned failures = 0;
    unsigned excessive = 0;
    for (size_t i = 0; i < count; i++) {
        failures += !run_attack(w, &attacks[i]);
        excessive += attacks[i].outcome == STREAM && attacks[i].code == EXCESSIVE_LOAD;
        beside_check(w, &honest);
    }
    assert_int_equal(failures, 0);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.headers_refused, excessive);
    beside_end(w, &honest);
}

#define RUN(table) run_attacks(table, sizeof(table) / sizeof(table)[0])

static void attacks_on_the_control_stream(void **state) {
    (void)state;
    RUN(control_streams);
}

static void attacks_on_request_streams(void **state) {
    (void)state;
    RUN(request_streams);
}

static void malformed_messages(void **state) {
    (void)state;
    RUN(messages);
}

static void attacks_on_qpack(void **state) {
    (void)state;
    RUN(qpack);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attacks_on_the_control_stream),
        cmocka_unit_test(attacks_on_request_streams),
        cmocka_unit_test(malformed_messages),
        cmocka_unit_test(attacks_on_qpack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
