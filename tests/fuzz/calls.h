/* calls: what call_server and call_client share: calls under test, and what each of them heard. */
#ifndef TESTS_FUZZ_CALLS_H
#define TESTS_FUZZ_CALLS_H

#include "fuzz/peer.h"
#include "grpc/call.h"
#include "rpcnet/error.h"
#include "support/fake_conn.h"

enum { CALLS_MAX = 24, RECEIVE_MAX = 4096, STEPS_MAX = 400, REPLY_MAX = 70000 };

/* What a program does with a call. */
enum calls_step {
    CALLS_SEND, /* call, length in units of 257 */
    CALLS_HEADERS,
    CALLS_FINISH, /* server: status; client: half-close */
    CALLS_CANCEL,
    CALLS_EXPIRE,
    CALLS_HOLD,
    CALLS_DELETE,
    CALLS_RUN, /* the connection carries what was written */
    CALLS_STEP,
    CALLS_GOAWAY,
    CALLS_STEPS
};

typedef struct calls_ear {
    rn_call *call; /* NULL: deleted, or never there */
    bool server;
    unsigned headers;
    unsigned messages;
    unsigned half_closes;
    unsigned ends; /* status, or cancelled */
    unsigned closes;
} calls_ear;

typedef struct calls {
    fake_link *link;
    rn_h3_session *session; /* NULL once closed */
    bool server;
    rn_call_options options;
    bool hold; /* calls begin held */
    calls_ear ears[CALLS_MAX];
    size_t count;
    fuzz_peer peer;
} calls;

static inline void calls_headers(rn_call *call, const rn_metadata *metadata, void *user) {
    calls_ear *ear = user;
    (void)call;
    assert(rn_metadata_count(metadata) <= RN_METADATA_FIELDS_MAX);
    assert(ear->headers++ == 0 && ear->messages == 0 && ear->ends == 0);
}
static inline void calls_message(rn_call *call, const uint8_t *data, size_t len, void *user) {
    calls_ear *ear = user;
    (void)call;
    assert(len <= RECEIVE_MAX && (len == 0 || data != NULL));
    assert(ear->ends == 0 && ear->half_closes == 0 && ear->closes == 0);
    assert(ear->server || ear->headers == 1);
    ear->messages++;
}
static inline void calls_half_close(rn_call *call, void *user) {
    calls_ear *ear = user;
    (void)call;
    assert(ear->half_closes++ == 0 && ear->ends == 0 && ear->closes == 0);
}
static inline void calls_status(rn_call *call, const rn_status *status, const rn_metadata *trailers,
                                void *user) {
    calls_ear *ear = user;
    (void)call;
    assert(ear->ends++ == 0 && ear->closes == 0);
    assert((int)status->code >= 0 && (int)status->code <= RPCNET_GRPC_UNAUTHENTICATED);
    assert(status->message.len <= RN_STATUS_MESSAGE_MAX);
    assert(rn_metadata_count(trailers) <= RN_METADATA_FIELDS_MAX);
}
static inline void calls_cancelled(rn_call *call, enum rpcnet_grpc_code code, void *user) {
    calls_ear *ear = user;
    (void)call;
    (void)code;
    assert(ear->ends++ == 0 && ear->closes == 0);
}
static inline void calls_writable(rn_call *call, void *user) {
    calls_ear *ear = user;
    (void)call;
    assert(ear->closes == 0);
}
static inline void calls_closed(rn_call *call, void *user) {
    calls_ear *ear = user;
    (void)call;
    assert(ear->closes++ == 0);
    assert(ear->server || ear->ends == 1);
}

static const rn_call_handler calls_handler = {.headers = calls_headers,
                                              .message = calls_message,
                                              .half_close = calls_half_close,
                                              .status = calls_status,
                                              .cancelled = calls_cancelled,
                                              .writable = calls_writable,
                                              .closed = calls_closed};

static inline void calls_session_closed(rn_h3_session *session, const rn_close *close, void *user) {
    calls *c = user;
    (void)session;
    (void)close;
    c->session = NULL;
}

static inline void calls_act(calls *c, enum calls_step step, fuzz_input *input) {
    static const uint8_t zeros[REPLY_MAX];
    uint8_t index = fuzz_byte(input);
    calls_ear *ear = c->count > 0 ? &c->ears[index % c->count] : NULL;
    rn_call *call = ear != NULL ? ear->call : NULL;
    rn_status status = {.code = (enum rpcnet_grpc_code)(index % 17),
                        .message = rn_bytes_text("100% \n")};
    rn_bytes reply = rn_bytes_of(zeros, (size_t)fuzz_byte(input) * 257);
    if (call == NULL) {
        return;
    }
    switch (step) {
    case CALLS_SEND:
        (void)rn_call_send(call, &reply, 1);
        break;
    case CALLS_HEADERS:
        if (c->server) {
            (void)rn_call_send_headers(call, NULL);
        }
        break;
    case CALLS_FINISH:
        (void)(c->server ? rn_call_finish(call, &status, NULL) : rn_call_half_close(call));
        break;
    case CALLS_CANCEL:
        rn_call_cancel(call);
        break;
    case CALLS_EXPIRE:
        rn_call_expire(call);
        break;
    case CALLS_HOLD:
        rn_call_hold(call, reply.len % 2 != 0);
        break;
    default: /* CALLS_DELETE */
        ear->call = NULL;
        rn_call_del(call);
        break;
    }
}

/* The steps of the peer, of the program and of the connection. */
static inline void calls_play(calls *c, fuzz_input *input) {
    for (unsigned turn = 0; turn < STEPS_MAX && input->len > 0; turn++) {
        unsigned step = fuzz_byte(input) % (FUZZ_PEER_STEPS + CALLS_STEPS);
        if (step < FUZZ_PEER_STEPS) {
            fuzz_peer_do(&c->peer, (enum fuzz_peer_step)step, input);
        } else if (step == FUZZ_PEER_STEPS + CALLS_RUN) {
            fake_link_run(c->link);
        } else if (step == FUZZ_PEER_STEPS + CALLS_STEP) {
            (void)fake_link_step(c->link);
        } else if (step == FUZZ_PEER_STEPS + CALLS_GOAWAY) {
            if (c->session != NULL) {
                (void)rn_h3_session_goaway(c->session, fuzz_byte(input) & 1);
            }
        } else {
            calls_act(c, (enum calls_step)(step - FUZZ_PEER_STEPS), input);
        }
    }
    fake_link_run(c->link);
}

/* Everything that was open hears of the end. */
static inline void calls_end(calls *c) {
    fake_link_del(c->link);
    assert(c->session == NULL && c->peer.conn == NULL);
    for (size_t i = 0; i < c->count; i++) {
        assert(c->ears[i].call == NULL || c->ears[i].closes == 1);
        rn_call_del(c->ears[i].call);
    }
    free(c);
}

#endif
