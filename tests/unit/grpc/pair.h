/* pair: a client and a server of calls over a fake connection, for the tests of calls. */
#ifndef TESTS_UNIT_GRPC_PAIR_H
#define TESTS_UNIT_GRPC_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "grpc/call.h"
#include "rpcnet/error.h"
#include "support/fake_conn.h"

enum { CALLS = 16, SEEN_MAX = 64, TEXT_MAX = 400 };

typedef struct ear {
    rn_call *call;
    struct pair *pair;
    unsigned headers;
    unsigned messages;
    unsigned half_closes;
    unsigned statuses;
    unsigned cancels;
    unsigned writables;
    unsigned closes;
    unsigned after_end; /* callbacks that must not come any more */
    size_t bytes;
    size_t lengths[SEEN_MAX];
    uint32_t sum; /* of all bytes, by position */
    char last[TEXT_MAX];
    enum rpcnet_grpc_code code;
    char text[TEXT_MAX];
    size_t text_len;
    size_t trailers;
    char trailer[TEXT_MAX]; /* value of "x-trailer" */
    char header[TEXT_MAX];  /* value of "x-header" */
    void (*act)(struct ear *ear);
    const char *act_in;
} ear;

typedef struct pair {
    fake_link *link;
    rn_h3_session *client;
    rn_h3_session *server;
    rn_call_options options; /* of accepted calls */
    int accept_result;
    unsigned requests;
    ear calls[CALLS];  /* the client's, in order */
    ear served[CALLS]; /* the server's, in order */
    size_t opened;
    size_t accepted;
    void (*on_accept)(ear *ear);
    bool raw_server; /* requests are not accepted; the test answers on these streams */
    rn_h3_stream *raw[CALLS];
} pair;

static inline void act_in(ear *e, const char *where) {
    if (e->act != NULL && strcmp(e->act_in, where) == 0) {
        void (*act)(ear *) = e->act;
        e->act = NULL;
        act(e);
    }
}

static inline void note_ended(ear *e) {
    e->after_end += e->statuses + e->cancels + e->closes;
}

static inline void copy_value(char *out, const rn_metadata *metadata, const char *name) {
    rn_bytes value;
    if (rn_metadata_find(metadata, name, &value)) {
        (void)snprintf(out, TEXT_MAX, "%.*s", (int)value.len, (const char *)value.data);
    }
}

static inline void ear_headers(rn_call *call, const rn_metadata *metadata, void *user) {
    ear *e = user;
    (void)call;
    note_ended(e);
    e->after_end += e->messages;
    e->headers++;
    copy_value(e->header, metadata, "x-header");
    act_in(e, "headers");
}
static inline void ear_message(rn_call *call, const uint8_t *data, size_t len, void *user) {
    ear *e = user;
    (void)call;
    note_ended(e);
    e->after_end += e->half_closes;
    if (e->messages < SEEN_MAX) {
        e->lengths[e->messages] = len;
    }
    e->messages++;
    e->bytes += len;
    for (size_t i = 0; i < len; i++) {
        e->sum = e->sum * 31 + data[i];
    }
    (void)snprintf(e->last, sizeof e->last, "%.*s", (int)(len < 300 ? len : 300),
                   (const char *)data);
    act_in(e, "message");
}
static inline void ear_half_close(rn_call *call, void *user) {
    ear *e = user;
    (void)call;
    note_ended(e);
    e->half_closes++;
    act_in(e, "half_close");
}
static inline void ear_status(rn_call *call, const rn_status *status, const rn_metadata *trailers,
                              void *user) {
    ear *e = user;
    (void)call;
    note_ended(e);
    e->statuses++;
    e->code = status->code;
    (void)snprintf(e->text, sizeof e->text, "%.*s", (int)status->message.len,
                   status->message.len > 0 ? (const char *)status->message.data : "");
    e->text_len = status->message.len;
    e->trailers = rn_metadata_count(trailers);
    copy_value(e->trailer, trailers, "x-trailer");
    act_in(e, "status");
}
static inline void ear_cancelled(rn_call *call, enum rpcnet_grpc_code code, void *user) {
    ear *e = user;
    (void)call;
    note_ended(e);
    e->cancels++;
    e->code = code;
    act_in(e, "cancelled");
}
static inline void ear_writable(rn_call *call, void *user) {
    ear *e = user;
    (void)call;
    note_ended(e);
    e->writables++;
    act_in(e, "writable");
}
static inline void ear_closed(rn_call *call, void *user) {
    ear *e = user;
    (void)call;
    e->after_end += e->closes;
    e->closes++;
    act_in(e, "closed");
}

static const rn_call_handler ear_handler = {
    .headers = ear_headers,
    .message = ear_message,
    .half_close = ear_half_close,
    .status = ear_status,
    .cancelled = ear_cancelled,
    .writable = ear_writable,
    .closed = ear_closed,
};

static inline void pair_request(rn_h3_session *session, rn_h3_stream *stream,
                                const rn_h3_field *fields, size_t count, void *user) {
    pair *p = user;
    rn_call *call = NULL;
    (void)session;
    if (p->raw_server) {
        p->raw[p->requests++] = stream;
        return;
    }
    p->requests++;
    p->accept_result = rn_call_accept(&call, stream, fields, count, &p->options);
    if (p->accept_result != RPCNET_OK) {
        assert_null(call);
        return;
    }
    ear *e = &p->served[p->accepted++];
    e->call = call;
    e->pair = p;
    rn_call_set_handler(call, &ear_handler, e);
    if (p->on_accept != NULL) {
        p->on_accept(e);
    }
}

static inline void pair_client_closed(rn_h3_session *s, const rn_close *close, void *user) {
    (void)s;
    (void)close;
    ((pair *)user)->client = NULL;
}
static inline void pair_server_closed(rn_h3_session *s, const rn_close *close, void *user) {
    (void)s;
    (void)close;
    ((pair *)user)->server = NULL;
}

static const rn_h3_handler pair_client_handler = {.closed = pair_client_closed};
static const rn_h3_handler pair_server_handler = {.request = pair_request,
                                                  .closed = pair_server_closed};

static inline pair *pair_new(const fake_options *options) {
    pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->link = fake_link_new(options);
    assert_int_equal(
        rn_h3_session_new(&p->client, fake_link_client(p->link), NULL, &pair_client_handler, p),
        RPCNET_OK);
    assert_int_equal(
        rn_h3_session_new(&p->server, fake_link_server(p->link), NULL, &pair_server_handler, p),
        RPCNET_OK);
    fake_link_establish(p->link);
    fake_link_run(p->link);
    return p;
}

static inline void pair_run(pair *p) {
    fake_link_run(p->link);
}

static inline void ear_drop(ear *e) {
    rn_call_del(e->call);
    e->call = NULL;
}

static inline void pair_del(pair *p) {
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(p->calls[i].after_end, 0);
        assert_int_equal(p->served[i].after_end, 0);
        ear_drop(&p->calls[i]);
        ear_drop(&p->served[i]);
    }
    fake_link_del(p->link);
    free(p);
}

static inline ear *open_call_with(pair *p, const rn_call_start *start) {
    ear *e = &p->calls[p->opened++];
    e->pair = p;
    assert_int_equal(rn_call_new(&e->call, p->client, start, &ear_handler, e), RPCNET_OK);
    return e;
}

#define START_DEFAULT                                                                              \
    {                                                                                              \
        .path = rn_bytes_text("/test.Service/Method"), .authority = rn_bytes_text("localhost:1"),  \
        .deadline = RN_NEVER                                                                       \
    }

static inline ear *open_call(pair *p) {
    rn_call_start plain = START_DEFAULT;
    return open_call_with(p, &plain);
}

static inline int say(ear *e, const char *text) {
    rn_bytes piece = rn_bytes_text(text);
    return rn_call_send(e->call, &piece, 1);
}

static inline int say_bytes(ear *e, size_t len) {
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 253 + len);
    }
    rn_bytes piece = rn_bytes_of(bytes, len);
    int rv = rn_call_send(e->call, &piece, 1);
    free(bytes);
    return rv;
}

static inline int finish(ear *e, enum rpcnet_grpc_code code, const char *text) {
    rn_status status = {.code = code, .message = rn_bytes_text(text)};
    return rn_call_finish(e->call, &status, NULL);
}

static inline void expect_status(const ear *e, enum rpcnet_grpc_code code) {
    assert_int_equal(e->statuses, 1);
    assert_string_equal(rpcnet_grpc_code_name(e->code), rpcnet_grpc_code_name(code));
}

#endif
