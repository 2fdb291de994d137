/* peers: two sessions over a fake connection, and what their handlers heard, for the tests here. */
#ifndef TESTS_UNIT_H3_PEERS_H
#define TESTS_UNIT_H3_PEERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "h3/session.h"
#include "rpcnet/error.h"
#include "support/fake_conn.h"

/* What one stream's handler heard. */
typedef struct heard {
    rn_h3_stream *stream; /* NULL once closed */
    struct side *side;
    unsigned headers;
    unsigned trailers;
    unsigned ends;
    unsigned resets;
    unsigned stops;
    unsigned rooms;
    unsigned closes;
    bool closed_by_connection;
    uint64_t code;
    size_t field_count;
    char first_value[64]; /* of the last section */
    rn_buffer body;
    bool hold_window;
    /* What to do inside the next callback of that kind. */
    void (*act)(struct heard *heard);
    const char *act_in;
} heard;

enum { STREAMS = 32 };

typedef struct side {
    rn_h3_session *session;
    unsigned established;
    unsigned goaways;
    unsigned closes;
    unsigned requests;
    unsigned excessive;
    rn_close close;
    heard streams[STREAMS]; /* a server's, in the order they came */
    void (*on_request)(heard *heard);
} side;

typedef struct peers {
    fake_link *link;
    side client;
    side server;
} peers;

static inline void maybe_act(heard *h, const char *where) {
    if (h->act != NULL && strcmp(h->act_in, where) == 0) {
        void (*act)(heard *) = h->act;
        h->act = NULL;
        act(h);
    }
}

static inline void note_section(heard *h, const rn_h3_field *fields, size_t count) {
    h->field_count = count;
    if (count > 0) {
        (void)snprintf(h->first_value, sizeof h->first_value, "%.*s", (int)fields[0].value.len,
                       (const char *)fields[0].value.data);
    }
}

static inline void heard_headers(rn_h3_stream *s, const rn_h3_field *f, size_t n, void *user) {
    heard *h = user;
    (void)s;
    h->headers++;
    note_section(h, f, n);
    maybe_act(h, "headers");
}
static inline void heard_data(rn_h3_stream *s, const uint8_t *data, size_t len, void *user) {
    heard *h = user;
    assert_int_equal(rn_buffer_append(&h->body, data, len), RPCNET_OK);
    if (!h->hold_window) {
        rn_h3_consume(s, len);
    }
    maybe_act(h, "data");
}
static inline void heard_trailers(rn_h3_stream *s, const rn_h3_field *f, size_t n, void *user) {
    heard *h = user;
    (void)s;
    h->trailers++;
    note_section(h, f, n);
    maybe_act(h, "trailers");
}
static inline void heard_end(rn_h3_stream *s, void *user) {
    heard *h = user;
    (void)s;
    h->ends++;
    maybe_act(h, "end");
}
static inline void heard_reset(rn_h3_stream *s, uint64_t code, void *user) {
    heard *h = user;
    (void)s;
    h->resets++;
    h->code = code;
    maybe_act(h, "reset");
}
static inline void heard_stopped(rn_h3_stream *s, uint64_t code, void *user) {
    heard *h = user;
    (void)s;
    h->stops++;
    h->code = code;
    maybe_act(h, "stopped");
}
static inline void heard_room(rn_h3_stream *s, void *user) {
    heard *h = user;
    (void)s;
    h->rooms++;
    maybe_act(h, "room");
}
static inline void heard_closed(rn_h3_stream *s, const rn_close *close, void *user) {
    heard *h = user;
    (void)s;
    h->closes++;
    h->closed_by_connection = close != NULL;
    maybe_act(h, "closed");
    h->stream = NULL;
}

static const rn_h3_stream_handler heard_handler = {
    .headers = heard_headers,
    .data = heard_data,
    .trailers = heard_trailers,
    .end = heard_end,
    .reset = heard_reset,
    .stopped = heard_stopped,
    .room = heard_room,
    .closed = heard_closed,
};

static inline heard *listen_to(side *s, rn_h3_stream *stream) {
    heard *h = &s->streams[s->requests++ % STREAMS];
    h->stream = stream;
    h->side = s;
    rn_h3_stream_set_handler(stream, &heard_handler, h);
    return h;
}

static inline void side_established(rn_h3_session *session, void *user) {
    side *s = user;
    (void)session;
    s->established++;
}
static inline void side_request(rn_h3_session *session, rn_h3_stream *stream, const rn_h3_field *f,
                                size_t n, void *user) {
    side *s = user;
    (void)session;
    heard *h = listen_to(s, stream);
    h->headers++;
    note_section(h, f, n);
    if (s->on_request != NULL) {
        s->on_request(h);
    }
}
static inline void side_excessive(rn_h3_session *session, void *user) {
    side *s = user;
    (void)session;
    s->excessive++;
}
static inline void side_goaway(rn_h3_session *session, void *user) {
    side *s = user;
    (void)session;
    s->goaways++;
}
static inline void side_closed(rn_h3_session *session, const rn_close *close, void *user) {
    side *s = user;
    (void)session;
    s->closes++;
    s->close = *close;
    s->session = NULL;
}

static const rn_h3_handler side_handler = {
    .established = side_established,
    .request = side_request,
    .excessive = side_excessive,
    .goaway = side_goaway,
    .closed = side_closed,
};

static inline void init_side(side *s) {
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < STREAMS; i++) {
        rn_buffer_init(&s->streams[i].body, (size_t)16 * 1024 * 1024);
    }
}

static inline void fini_side(side *s) {
    for (size_t i = 0; i < STREAMS; i++) {
        rn_buffer_fini(&s->streams[i].body);
    }
}

/* `with_client`, `with_server`: that end gets a session; otherwise the test plays it. */
static inline peers *peers_make(const fake_options *options, const rn_h3_options *h3,
                                bool with_client, bool with_server) {
    peers *p = calloc(1, sizeof *p);
    assert_non_null(p);
    init_side(&p->client);
    init_side(&p->server);
    p->link = fake_link_new(options);
    if (with_client) {
        assert_int_equal(rn_h3_session_new(&p->client.session, fake_link_client(p->link), h3,
                                           &side_handler, &p->client),
                         RPCNET_OK);
    }
    if (with_server) {
        assert_int_equal(rn_h3_session_new(&p->server.session, fake_link_server(p->link), h3,
                                           &side_handler, &p->server),
                         RPCNET_OK);
    }
    return p;
}

static inline peers *peers_new(const fake_options *options) {
    peers *p = peers_make(options, NULL, true, true);
    fake_link_establish(p->link);
    fake_link_run(p->link);
    assert_int_equal(p->client.established, 1);
    assert_int_equal(p->server.established, 1);
    return p;
}

static inline void peers_del(peers *p) {
    fake_link_del(p->link);
    fini_side(&p->client);
    fini_side(&p->server);
    free(p);
}

static inline rn_h3_field field(const char *name, const char *value) {
    return (rn_h3_field){.name = rn_bytes_text(name), .value = rn_bytes_text(value)};
}

enum { REQUEST_FIELDS = 4 };

static inline void request_fields(rn_h3_field out[REQUEST_FIELDS]) {
    out[0] = field(":method", "POST");
    out[1] = field(":scheme", "https");
    out[2] = field(":authority", "localhost");
    out[3] = field(":path", "/service/method");
}

static inline heard *send_request(peers *p, bool end) {
    rn_h3_field fields[REQUEST_FIELDS];
    rn_h3_stream *stream = NULL;
    request_fields(fields);
    assert_int_equal(rn_h3_request(p->client.session, fields, REQUEST_FIELDS, end, &heard_handler,
                                   NULL, &stream),
                     RPCNET_OK);
    return listen_to(&p->client, stream);
}

static inline void respond(heard *h, bool end) {
    rn_h3_field fields[] = {field(":status", "200")};
    assert_int_equal(rn_h3_respond(h->stream, fields, 1, end), RPCNET_OK);
}

static inline int send_text(heard *h, const char *text, bool end) {
    rn_bytes piece = rn_bytes_text(text);
    size_t taken = 0;
    int rv = rn_h3_send(h->stream, &piece, 1, end, &taken);
    if (rv == RPCNET_OK) {
        assert_int_equal(taken, piece.len);
    }
    return rv;
}

static inline void assert_body(const heard *h, const char *text) {
    assert_int_equal(h->body.len, strlen(text));
    assert_memory_equal(h->body.data, text, h->body.len);
}

#endif
