/* Cut: calls that end in every way but the right one. None may look finished. */
#include "unit/grpc/pair.h"

static rn_h3_field field(const char *name, const char *value) {
    return (rn_h3_field){.name = rn_bytes_text(name), .value = rn_bytes_text(value)};
}

/* ---- a server that answers as the test says ---- */

typedef struct answer {
    pair *p;
    ear *c;
    rn_h3_stream *stream;
} answer;

static answer ask(size_t chunk) {
    answer a = {.p = pair_new(&(fake_options){.chunk = chunk})};
    a.p->raw_server = true;
    a.c = open_call(a.p);
    pair_run(a.p);
    a.stream = a.p->raw[0];
    assert_non_null(a.stream);
    return a;
}

static void headers(answer *a, const char *status, const char *type, bool end) {
    rn_h3_field fields[] = {field(":status", status), field("content-type", type)};
    assert_int_equal(rn_h3_respond(a->stream, fields, type[0] != '\0' ? 2 : 1, end), RPCNET_OK);
}

static void body(answer *a, const void *data, size_t len, bool end) {
    rn_bytes piece = rn_bytes_of(data, len);
    size_t taken = 0;
    assert_int_equal(rn_h3_send(a->stream, &piece, 1, end, &taken), RPCNET_OK);
    assert_int_equal(taken, len);
}

static void trailer(answer *a, const char *name, const char *value) {
    rn_h3_field fields[] = {field(name, value)};
    assert_int_equal(rn_h3_trailers(a->stream, fields, 1), RPCNET_OK);
}

static void expect(answer *a, enum rpcnet_grpc_code code, const char *part) {
    pair_run(a->p);
    expect_status(a->c, code);
    if (strstr(a->c->text, part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, a->c->text);
    }
    assert_int_equal(a->c->closes, 1);
    pair_del(a->p);
}

#define MESSAGE "\0\0\0\0\3abc"
enum { MESSAGE_LEN = 8 };

static void streams_that_end_early(void **state) {
    (void)state;
    for (size_t chunk = 0; chunk < 2; chunk++) {
        answer a = ask(chunk); /* the control: a good answer */
        headers(&a, "200", "application/grpc", false);
        body(&a, MESSAGE, MESSAGE_LEN, false);
        trailer(&a, "grpc-status", "0");
        expect(&a, RPCNET_GRPC_OK, "");

        a = ask(chunk);
        headers(&a, "200", "application/grpc", true);
        expect(&a, RPCNET_GRPC_INTERNAL, "without a status");

        a = ask(chunk);
        headers(&a, "200", "application/grpc", false);
        body(&a, MESSAGE, MESSAGE_LEN, true);
        pair_run(a.p);
        assert_int_equal(a.c->messages, 1);
        expect(&a, RPCNET_GRPC_INTERNAL, "without a status");

        for (size_t len = 1; len < MESSAGE_LEN; len++) {
            a = ask(chunk);
            headers(&a, "200", "application/grpc", false);
            body(&a, MESSAGE, len, true);
            expect(&a, RPCNET_GRPC_INTERNAL, "inside a message");

            a = ask(chunk);
            headers(&a, "200", "application/grpc", false);
            body(&a, MESSAGE, len, false);
            trailer(&a, "grpc-status", "0");
            expect(&a, RPCNET_GRPC_INTERNAL, "inside a message");
        }

        a = ask(chunk); /* an error that cuts a message stays the server's */
        headers(&a, "200", "application/grpc", false);
        body(&a, MESSAGE, 6, false);
        trailer(&a, "grpc-status", "10");
        expect(&a, RPCNET_GRPC_ABORTED, "");
    }
}

static void streams_that_are_reset(void **state) {
    static const struct {
        uint64_t wire;
        enum rpcnet_grpc_code code;
    } codes[] = {{RN_H3_NO_ERROR, RPCNET_GRPC_INTERNAL},
                 {RN_H3_INTERNAL_ERROR, RPCNET_GRPC_INTERNAL},
                 {RN_H3_REQUEST_CANCELLED, RPCNET_GRPC_CANCELLED},
                 {RN_H3_REQUEST_REJECTED, RPCNET_GRPC_UNAVAILABLE},
                 {RN_H3_EXCESSIVE_LOAD, RPCNET_GRPC_RESOURCE_EXHAUSTED},
                 {77, RPCNET_GRPC_INTERNAL}};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        for (int stage = 0; stage < 4; stage++) {
            answer a = ask(0);
            if (stage > 0) {
                headers(&a, "200", "application/grpc", false);
            }
            if (stage > 1) {
                body(&a, MESSAGE, MESSAGE_LEN, false);
            }
            if (stage == 3) {
                body(&a, MESSAGE, 6, false);
            }
            pair_run(a.p);
            rn_h3_reset(a.stream, codes[i].wire);
            expect(&a, codes[i].code, "reset");
        }
    }
}

static void a_status_without_the_end_is_none(void **state) {
    (void)state;
    answer a = ask(1);
    headers(&a, "200", "application/grpc", false);
    trailer(&a, "grpc-status", "0");
    while (rn_h3_stream_book(rn_call_stream(a.c->call))->left == 0 && a.c->headers == 0) {
        assert_true(fake_link_step(a.p->link));
    }
    fake_conn_lose(fake_link_client(a.p->link), RN_CLOSE_IDLE, "idle timeout");
    expect_status(a.c, RPCNET_GRPC_UNAVAILABLE);
    assert_non_null(strstr(a.c->text, "idle timeout"));
    assert_int_equal(a.c->closes, 1);
    pair_del(a.p);
}

static void broken_statuses(void **state) {
    (void)state;
    answer a = ask(0);
    headers(&a, "200", "application/grpc", false);
    trailer(&a, "x-other", "0");
    expect(&a, RPCNET_GRPC_INTERNAL, "no grpc-status");

    a = ask(0);
    headers(&a, "200", "application/grpc", false);
    trailer(&a, "grpc-status", "zero");
    expect(&a, RPCNET_GRPC_INTERNAL, "not a number");

    a = ask(0);
    headers(&a, "200", "application/grpc", false);
    trailer(&a, "grpc-status", "99");
    expect(&a, RPCNET_GRPC_UNKNOWN, "");

    a = ask(0);
    headers(&a, "200", "application/grpc", false);
    rn_h3_field bad[] = {field("grpc-status", "0"), field("k-bin", "!!!")};
    assert_int_equal(rn_h3_trailers(a.stream, bad, 2), RPCNET_OK);
    expect(&a, RPCNET_GRPC_INTERNAL, "metadata");

    /* A status in the headers, and then more. */
    rn_h3_field early[] = {field(":status", "200"), field("content-type", "application/grpc"),
                           field("grpc-status", "0")};
    a = ask(0);
    assert_int_equal(rn_h3_respond(a.stream, early, 3, false), RPCNET_OK);
    body(&a, MESSAGE, MESSAGE_LEN, true);
    expect(&a, RPCNET_GRPC_INTERNAL, "behind the status");

    a = ask(0);
    assert_int_equal(rn_h3_respond(a.stream, early, 3, false), RPCNET_OK);
    trailer(&a, "grpc-status", "0");
    expect(&a, RPCNET_GRPC_INTERNAL, "two statuses");

    a = ask(0);
    assert_int_equal(rn_h3_respond(a.stream, early, 3, false), RPCNET_OK);
    pair_run(a.p);
    assert_int_equal(a.c->statuses, 0);
    body(&a, "", 0, true);
    expect(&a, RPCNET_GRPC_OK, "");
}

static void answers_that_are_not_grpc(void **state) {
    static const struct {
        const char *http;
        enum rpcnet_grpc_code code;
    } statuses[] = {{"400", RPCNET_GRPC_INTERNAL},      {"401", RPCNET_GRPC_UNAUTHENTICATED},
                    {"404", RPCNET_GRPC_UNIMPLEMENTED}, {"503", RPCNET_GRPC_UNAVAILABLE},
                    {"500", RPCNET_GRPC_UNKNOWN},       {"204", RPCNET_GRPC_UNKNOWN}};
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        answer a = ask(0);
        headers(&a, statuses[i].http, "text/html", false);
        expect(&a, statuses[i].code, statuses[i].http);
    }
    answer a = ask(0);
    headers(&a, "200", "text/html", false);
    body(&a, "hello", 5, true);
    expect(&a, RPCNET_GRPC_UNKNOWN, "text/html");

    a = ask(0);
    headers(&a, "200", "", true);
    expect(&a, RPCNET_GRPC_UNKNOWN, "content-type");

    a = ask(0);
    headers(&a, "200", "application/grpc-web", true);
    expect(&a, RPCNET_GRPC_UNKNOWN, "grpc-web");

    a = ask(0);
    headers(&a, "200", "application/grpc+proto", false);
    trailer(&a, "grpc-status", "0");
    expect(&a, RPCNET_GRPC_OK, "");

    a = ask(0); /* a gRPC status counts more than HTTP's */
    rn_h3_field both[] = {field(":status", "503"), field("grpc-status", "7")};
    assert_int_equal(rn_h3_respond(a.stream, both, 2, true), RPCNET_OK);
    expect(&a, RPCNET_GRPC_PERMISSION_DENIED, "");
}

static void broken_messages(void **state) {
    (void)state;
    answer a = ask(0);
    headers(&a, "200", "application/grpc", false);
    body(&a, "\1\0\0\0\1x", 6, false);
    expect(&a, RPCNET_GRPC_UNIMPLEMENTED, "compressed");

    a = ask(0);
    headers(&a, "200", "application/grpc", false);
    body(&a, "\2\0\0\0\1x", 6, false);
    expect(&a, RPCNET_GRPC_INTERNAL, "prefix");

    a = ask(0);
    headers(&a, "200", "application/grpc", false);
    body(&a, "\0\0\x40\0\1", 5, false);
    expect(&a, RPCNET_GRPC_RESOURCE_EXHAUSTED, "limit");
}

static void lost_connections(void **state) {
    (void)state;
    for (int stage = 0; stage < 3; stage++) {
        pair *p = pair_new(NULL);
        ear *c = open_call(p);
        ear *idle = open_call(p);
        pair_run(p);
        ear *s = &p->served[0];
        if (stage == 1) {
            assert_int_equal(say(s, "some"), RPCNET_OK);
            pair_run(p);
        }
        if (stage == 2) {
            assert_int_equal(finish(s, RPCNET_GRPC_OK, ""), RPCNET_OK); /* not delivered */
        }
        rn_h3_session_close(p->server, RN_H3_NO_ERROR, "going down");
        pair_run(p);
        expect_status(c, RPCNET_GRPC_UNAVAILABLE);
        expect_status(idle, RPCNET_GRPC_UNAVAILABLE);
        assert_non_null(strstr(c->text, "going down"));
        assert_int_equal(s->cancels, stage == 2 ? 0 : 1);
        assert_int_equal(p->served[1].cancels, 1);
        assert_int_equal(p->served[1].code, RPCNET_GRPC_UNAVAILABLE);
        assert_int_equal(s->closes, 1);
        assert_int_equal(c->closes, 1);
        assert_int_equal(say(c, "x"), RPCNET_ERR_CLOSED);
        assert_int_equal(say(&p->served[1], "x"), RPCNET_ERR_CLOSED);
        assert_int_equal(finish(&p->served[1], RPCNET_GRPC_OK, ""), RPCNET_ERR_CLOSED);
        pair_del(p);
    }
}

static void rejected_by_goaway(void **state) {
    (void)state;
    pair *p = pair_new(NULL);
    assert_int_equal(rn_h3_session_goaway(p->server, true), RPCNET_OK);
    ear *c = open_call(p);
    pair_run(p);
    expect_status(c, RPCNET_GRPC_UNAVAILABLE);
    rn_call_start start = START_DEFAULT;
    rn_call *call = NULL;
    assert_int_equal(rn_call_new(&call, p->client, &start, &ear_handler, NULL), RPCNET_ERR_CLOSED);
    assert_null(call);
    pair_del(p);
}

/* ---- clients that misbehave ---- */

static void cut_requests(void **state) {
    (void)state;
    for (size_t len = 1; len < MESSAGE_LEN; len++) {
        pair *p = pair_new(&(fake_options){.chunk = len % 2});
        ear *c = open_call(p);
        rn_bytes piece = rn_bytes_of(MESSAGE, len);
        size_t taken = 0;
        assert_int_equal(rn_h3_send(rn_call_stream(c->call), &piece, 1, true, &taken), RPCNET_OK);
        pair_run(p);
        ear *s = &p->served[0];
        assert_int_equal(s->half_closes, 0);
        assert_int_equal(s->messages, 0);
        assert_int_equal(s->cancels, 1);
        assert_int_equal(s->code, RPCNET_GRPC_INTERNAL);
        expect_status(c, RPCNET_GRPC_INTERNAL);
        pair_del(p);
    }
}

static void broken_requests(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
        enum rpcnet_grpc_code code;
    } broken[] = {{"\1\0\0\0\1x", 6, RPCNET_GRPC_UNIMPLEMENTED},
                  {"\7\0\0\0\1x", 6, RPCNET_GRPC_INTERNAL},
                  {"\0\x7f\0\0\1x", 6, RPCNET_GRPC_RESOURCE_EXHAUSTED}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        pair *p = pair_new(NULL);
        ear *c = open_call(p);
        rn_bytes piece = rn_bytes_of(broken[i].bytes, broken[i].len);
        size_t taken = 0;
        assert_int_equal(rn_h3_send(rn_call_stream(c->call), &piece, 1, false, &taken), RPCNET_OK);
        pair_run(p);
        assert_int_equal(p->served[0].cancels, 1);
        assert_int_equal(p->served[0].code, broken[i].code);
        expect_status(c, broken[i].code);
        assert_int_equal(p->served[0].closes, 1);
        pair_del(p);
    }
}

typedef struct reply {
    char status[8];
    char grpc_status[8];
    unsigned ends;
} reply;

static void reply_headers(rn_h3_stream *stream, const rn_h3_field *fields, size_t count,
                          void *user) {
    reply *r = user;
    (void)stream;
    for (size_t i = 0; i < count; i++) {
        char *out = rn_bytes_is(fields[i].name, ":status")       ? r->status
                    : rn_bytes_is(fields[i].name, "grpc-status") ? r->grpc_status
                                                                 : NULL;
        if (out != NULL) {
            (void)snprintf(out, 8, "%.*s", (int)fields[i].value.len,
                           (const char *)fields[i].value.data);
        }
    }
}
static void reply_end(rn_h3_stream *stream, void *user) {
    (void)stream;
    ((reply *)user)->ends++;
}

static const rn_h3_stream_handler reply_handler = {.headers = reply_headers, .end = reply_end};

/* A request with these fields; what comes back. */
static reply request(const char *method, const char *path, const char *type, const char *extra,
                     const char *value) {
    pair *p = pair_new(&(fake_options){.chunk = 20});
    rn_h3_field fields[] = {field(":method", method),    field(":scheme", "https"),
                            field(":authority", "x"),    field(":path", path),
                            field("content-type", type), field(extra, value)};
    rn_h3_stream *stream = NULL;
    reply r = {.ends = 0};
    size_t count = extra[0] != '\0' ? 6 : 5;
    assert_int_equal(rn_h3_request(p->client, fields, count, false, &reply_handler, &r, &stream),
                     RPCNET_OK);
    rn_bytes piece = rn_bytes_of("\0\0\0\0\0", 5);
    size_t taken = 0;
    assert_int_equal(rn_h3_send(stream, &piece, 1, false, &taken), RPCNET_OK);
    pair_run(p);
    bool refused = r.ends > 0;
    assert_int_equal(p->accept_result, refused ? RPCNET_ERR_PROTOCOL : RPCNET_OK);
    assert_int_equal(p->accepted, refused ? 0 : 1);
    assert_int_equal(fake_conn_unconsumed(fake_link_server(p->link)), 0);
    /* It has told the client to stop sending, and waits for nothing. */
    assert_int_equal(rn_h3_session_streams(p->server), refused ? 0 : 1);
    pair_del(p);
    return r;
}

static void requests_that_are_not_grpc(void **state) {
    static char long_path[RN_CALL_PATH_MAX + 2];
    (void)state;
    reply r = request("GET", "/a/b", "application/grpc", "", "");
    assert_string_equal(r.status, "405");
    r = request("POST", "/a/b", "application/json", "", "");
    assert_string_equal(r.status, "415");
    r = request("POST", "/a/b", "application/grpcx", "", "");
    assert_string_equal(r.status, "415");
    r = request("POST", "/", "application/grpc", "", "");
    assert_string_equal(r.status, "200");
    assert_string_equal(r.grpc_status, "12");
    memset(long_path, 'p', sizeof long_path - 1);
    long_path[0] = '/';
    r = request("POST", long_path, "application/grpc", "", "");
    assert_string_equal(r.grpc_status, "12");
    r = request("POST", "/a/b", "application/grpc", "grpc-timeout", "soon");
    assert_string_equal(r.grpc_status, "13");
    r = request("POST", "/a/b", "application/grpc", "k-bin", "*");
    assert_string_equal(r.grpc_status, "13");
    /* Good ones: no `te`, a subtype, parameters, capitals. */
    r = request("POST", "/a/b", "application/grpc", "", "");
    assert_int_equal(r.ends, 0);
    r = request("POST", "/a/b", "application/grpc+proto", "te", "trailers");
    assert_int_equal(r.ends, 0);
    r = request("POST", "/a/b", "Application/gRPC;charset=utf-8", "grpc-timeout", "10S");
    assert_int_equal(r.ends, 0);
}

static void random_answers(void **state) {
    (void)state;
    srand(21);
    for (int round = 0; round < 300; round++) {
        answer a = ask((size_t)(rand() % 5));
        uint8_t noise[64];
        for (size_t i = 0; i < sizeof noise; i++) {
            noise[i] = (uint8_t)(rand() % 3 == 0 ? rand() : 0);
        }
        headers(&a, "200", "application/grpc", false);
        body(&a, noise, 1 + (size_t)rand() % 63, false);
        pair_run(a.p);
        if (rand() % 2 == 0 && rn_h3_session_streams(a.p->server) > 0) {
            body(&a, "", 0, true);
        } else {
            rn_h3_session_close(a.p->server, RN_H3_NO_ERROR, "x");
        }
        pair_run(a.p);
        assert_int_equal(a.c->statuses, 1);
        assert_int_not_equal(a.c->code, RPCNET_GRPC_OK);
        assert_int_equal(a.c->closes, 1);
        pair_del(a.p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_that_end_early),
        cmocka_unit_test(streams_that_are_reset),
        cmocka_unit_test(a_status_without_the_end_is_none),
        cmocka_unit_test(broken_statuses),
        cmocka_unit_test(answers_that_are_not_grpc),
        cmocka_unit_test(broken_messages),
        cmocka_unit_test(lost_connections),
        cmocka_unit_test(rejected_by_goaway),
        cmocka_unit_test(cut_requests),
        cmocka_unit_test(broken_requests),
        cmocka_unit_test(requests_that_are_not_grpc),
        cmocka_unit_test(random_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
