/* peer: the other end of an HTTP/3 connection, whose words come from a fuzzer's input.
 *
 * It speaks through quic/conn.h alone, so it works with the real connection of src/quic and with
 * that of tests/support/fake_conn. An input is a row of steps, each a byte with what it needs
 * behind it; most of them make something that is nearly right, since noise gets no further than the
 * first frame. tests/fuzz/seeds.py writes such rows. */
#ifndef TESTS_FUZZ_PEER_H
#define TESTS_FUZZ_PEER_H

#include "fuzz/fuzz.h"
#include "quic/conn.h"

/* Streams are named by a byte: from 0 on our own, from 128 on the other side's requests, from 192
 * on its unidirectional ones, each in the order they came. */
enum { FUZZ_PEER_STREAMS_MAX = 24, FUZZ_PEER_REQUESTS = 128, FUZZ_PEER_UNI = 192 };

enum fuzz_peer_step {
    FUZZ_OPEN_UNI,    /* piece: what it begins with */
    FUZZ_OPEN_BIDI,   /* */
    FUZZ_CONTROL,     /* a control stream with empty SETTINGS, as it has to be */
    FUZZ_RAW,         /* stream, piece: these bytes */
    FUZZ_FRAME,       /* stream, type, piece: a frame of that length */
    FUZZ_LYING_FRAME, /* stream, type, two bytes of length, piece: a frame of another length */
    FUZZ_HEADERS,     /* stream, template, count, then name and value of each: a field section */
    FUZZ_MESSAGE,     /* stream, flag, piece: a gRPC message in a DATA frame */
    FUZZ_LARGE,       /* stream, units of 256 bytes: a DATA frame of zeros */
    FUZZ_FIN,         /* stream */
    FUZZ_RESET,       /* stream, code */
    FUZZ_STOP,        /* stream, code */
    FUZZ_HOLD,        /* from now on windows are (not) given back */
    FUZZ_CLOSE,       /* code */
    FUZZ_PEER_STEPS
};

typedef struct fuzz_peer {
    rn_conn *conn; /* NULL once closed */
    bool established;
    bool hold;
    struct fuzz_peer_streams {
        rn_stream *at[FUZZ_PEER_STREAMS_MAX]; /* NULL: closed */
        size_t count;
    } own, requests, uni;
} fuzz_peer;

/* Becomes the handler of `conn`. */
void fuzz_peer_init(fuzz_peer *peer, rn_conn *conn);
/* `step` < FUZZ_PEER_STEPS. Nothing happens where it makes no sense. */
void fuzz_peer_do(fuzz_peer *peer, enum fuzz_peer_step step, fuzz_input *input);

#endif
