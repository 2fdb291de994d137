/* gRPC as a client must not speak it, and what docs/spec/protocol.md, section 2, says to each case.
 * Beside all of them one honest client keeps its connection. */
#include "abuse/beside.h"

#define START "u1: 00 F4{} ; "
#define BASE ":method=POST|:scheme=https|:authority=somebody|:path="
#define GRPC "|content-type=application/grpc"
#define CALL(path, more) START "r1: F1{Q{" BASE path GRPC more "}} "
#define ECHO CALL("/t/Echo", "")
#define TIMEOUT(value) CALL("/t/Echo", "|grpc-timeout=" value) "F0{M{}} FIN"
#define TYPE(type) START "r1: F1{Q{" BASE "/t/Echo|content-type=" type "}} F0{M{}} FIN"

typedef struct attack {
    const char *name;
    const char *script;
    const char *http; /* :status */
    const char *grpc; /* grpc-status; "": none */
} attack;

static const attack attacks[] = {
    {"nothing wrong", ECHO "F0{M{}} FIN", "200", "0"},
    /* messages */
    {"prefix flag 2", ECHO "F0{02 00000000} FIN", "200", "13"},
    {"prefix flag 255", ECHO "F0{ff 00000001 61} FIN", "200", "13"},
    {"a compressed message", ECHO "F0{01 00000001 61} FIN", "200", "12"},
    {"an empty compressed message", ECHO "F0{01 00000000} FIN", "200", "12"},
    {"a message of the greatest length", ECHO "F0{00 ffffffff 61}", "200", "8"},
    {"a message above the limit by one", ECHO "F0{00 00400001 61}", "200", "8"},
    {"the end inside a prefix", ECHO "F0{00 0000} FIN", "200", "13"},
    {"the end inside a message", ECHO "F0{00 00000005 6161} FIN", "200", "13"},
    {"the end instead of a message", ECHO "F0{00 00000001} FIN", "200", "13"},
    {"a good message and a bad one", ECHO "F0{M{}} F0{07 00000000}", "200", "13"},
    {"a prefix in five frames", ECHO "F0{00} F0{00} F0{00} F0{00} F0{00} FIN", "200", "0"},
    {"empty DATA between", ECHO "F0{} F0{00 0000} F0{} F0{0000} F0{} FIN", "200", "0"},
    {"a thousand empty messages", ECHO "F0{*00:5000} FIN", "200", "0"},
    {"trailers of a client", ECHO "F0{M{}} F1{Q{grpc-status=5|x=y}} FIN", "200", "0"},
    {"trailers of a client inside a message", ECHO "F0{00 0000} F1{Q{x=y}} FIN", "200", "13"},
    /* deadlines */
    {"grpc-timeout without unit", TIMEOUT("1"), "200", "13"},
    {"grpc-timeout without number", TIMEOUT("S"), "200", "13"},
    {"an empty grpc-timeout", TIMEOUT(""), "200", "13"},
    {"grpc-timeout of nine digits", TIMEOUT("123456789n"), "200", "13"},
    {"grpc-timeout with a sign", TIMEOUT("-1S"), "200", "13"},
    {"grpc-timeout with a point", TIMEOUT("1.5S"), "200", "13"},
    {"grpc-timeout of an unknown unit", TIMEOUT("10s"), "200", "13"},
    {"grpc-timeout with a blank", TIMEOUT("1 S"), "200", "13"},
    {"the longest grpc-timeout", TIMEOUT("99999999H"), "200", "0"},
    /* no call at all */
    {"GET", START "r1: F1{Q{:method=GET|:scheme=https|:authority=a|:path=/t/Echo}} FIN", "405", ""},
    {"PUT", START "r1: F1{Q{:method=PUT|:scheme=https|:authority=a|:path=/t/Echo" GRPC "}} FIN",
     "405", ""},
    {"CONNECT", START "r1: F1{Q{:method=CONNECT|:authority=a}} FIN", "405", ""},
    {"no content type", START "r1: F1{Q{" BASE "/t/Echo}} FIN", "415", ""},
    {"text/plain", TYPE("text/plain"), "415", ""},
    {"application/grpcx", TYPE("application/grpcx"), "415", ""},
    {"application/grpc-web", TYPE("application/grpc-web"), "415", ""},
    {"application/grpc+json", TYPE("application/grpc+json"), "415", ""},
    {"application/grpc+proto", TYPE("application/grpc+proto"), "200", "0"},
    {"APPLICATION/GRPC", TYPE("APPLICATION/GRPC"), "200", "0"},
    {"an unknown method", CALL("/t/Nothing", "") "F0{M{}} FIN", "200", "12"},
    {"the path /", CALL("/", "") "F0{M{}} FIN", "200", "12"},
    {"another kind of path", CALL("/a/b/c?d=e", "") "F0{M{}} FIN", "200", "12"},
    /* metadata */
    {"binary metadata that is no base64", CALL("/t/Echo", "|x-bin=!!!") "FIN", "200", "13"},
    {"binary metadata that is cut", CALL("/t/Echo", "|x-bin=YWJjZ") "FIN", "200", "13"},
    {"binary metadata with padding", CALL("/t/Echo", "|x-bin=YWI=,YWI") "FIN", "200", "0"},
    {"names that are not the client's", CALL("/t/Echo", "|grpc-status=9|grpc-message=x") "FIN",
     "200", "0"},
    {"grpc-encoding: gzip", CALL("/t/Echo", "|grpc-encoding=gzip") "F0{M{}} FIN", "200", "0"},
    {"97 fields of metadata", START "r1: F1{Q{" BASE "/t/Echo" GRPC "} *dd:97} FIN", "200", "8"},
    {"96 fields of metadata", START "r1: F1{Q{" BASE "/t/Echo" GRPC "} *dd:96} FIN", "200", "0"},
    /* 12 KiB and a few bytes in one field: 2161 is its name, then the length of its value */
    {"metadata above 12 KiB", START "r1: F1{Q{" BASE "/t/Echo" GRPC "} 2161 7f9161 *62:12560} FIN",
     "200", "8"},
};

static bool run_attack(world *w, const attack *a) {
    static raw_peer peer;
    char http[256];
    char grpc[256];
    beside_attach(w, &peer, "h3");
    assert_true(peer.established);
    raw_peer_play(&peer, a->script);
    run_ms(w, 200);
    const raw_stream *request = raw_peer_stream(&peer, 'r', 1);
    raw_stream_field(request, ":status", http);
    raw_stream_field(request, "grpc-status", grpc);
    bool right = !peer.closed && strcmp(http, a->http) == 0 && strcmp(grpc, a->grpc) == 0;
    if (!right) {
        print_error("%s: :status %s, grpc-status %s; reset %d, 0x%llx; closed %d, 0x%llx\n",
                    a->name, http, grpc, request->reset, (unsigned long long)request->reset_code,
                    peer.closed, (unsigned long long)peer.close.code);
    }
    beside_detach(&peer);
    return right;
}

static void calls_that_are_none(void **state) {
    probe honest;
    world *w = beside_start(&honest);
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        failures += !run_attack(w, &attacks[i]);
        beside_check(w, &honest);
    }
    assert_int_equal(failures, 0);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.headers_refused, 2); /* 97 fields, and more than 12 KiB */
    beside_end(w, &honest);
}

/* The window of a method that does not read stays closed, and what it holds is bounded. */
static void a_client_that_never_stops(void **state) {
    static raw_peer peer;
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    w->serve_held = true;
    beside_attach(w, &peer, "h3");
    raw_peer_play(&peer, CALL("/t/Sink", ""));
    run_ms(w, 100);
    const raw_stream *request = raw_peer_stream(&peer, 'r', 1);
    size_t sent = 0;
    for (unsigned i = 0; i < 200; i++) {
        static const uint8_t message[2 + 1 + 5 + 100] = {0x00, 0x40, 105, 0, 0, 0, 0, 100};
        rn_bytes piece = rn_bytes_of(message, sizeof message);
        while (rn_stream_write(request->stream, &piece, 1, false) == RPCNET_OK) {
            sent += sizeof message;
        }
        run_ms(w, 20);
    }
    /* The server's window of 256 KiB and the client's own ring of 256 KiB. */
    assert_in_range(sent, 256 * 1024, 2 * 256 * 1024 + 16384);
    beside_check(w, &honest);
    beside_detach(&peer);
    beside_end(w, &honest);
}

/* As many calls as are allowed, all at once, none of them ever finished; then the next ones. */
static void as_many_calls_as_allowed(void **state) {
    static raw_peer peer;
    probe honest;
    world *w = beside_start(&honest);
    rn_stream *stream;
    (void)state;
    beside_attach(w, &peer, "h3");
    raw_peer_play(&peer, START);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 1; i <= 128; i++) {
            char script[256];
            (void)snprintf(script, sizeof script,
                           "r%u: F1{Q{" BASE "/t/Sink" GRPC "}} F0{M{*61:100}}", i);
            raw_peer_play(&peer, script);
        }
        run_ms(w, 200);
        assert_int_equal(rn_conn_streams_left(peer.conn), 0);
        assert_int_equal(rn_conn_open_bidi(peer.conn, &stream), RPCNET_ERR_LIMIT);
        for (size_t i = 0; i < peer.stream_count; i++) {
            if (peer.streams[i].stream != NULL && (peer.streams[i].id & 2) == 0) {
                rn_stream_reset(peer.streams[i].stream, 0x10c);
            }
        }
        run_ms(w, 300);
        beside_check(w, &honest);
        for (size_t i = 1; i < peer.stream_count; i++) {
            rn_buffer_fini(&peer.streams[i].heard);
        }
        peer.stream_count = 1;
    }
    assert_false(peer.closed);
    beside_detach(&peer);
    beside_end(w, &honest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_are_none),
        cmocka_unit_test(a_client_that_never_stops),
        cmocka_unit_test(as_many_calls_as_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
