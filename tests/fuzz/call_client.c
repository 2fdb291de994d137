/* call_client: a server made of the input against gRPC's client side over HTTP/3: three calls, and
 * a program that does anything with them meanwhile. Below lies tests/support/fake_conn in place of
 * QUIC.
 *
 *   byte 0: sizes of windows, rings and chunks, and whether messages are given back by hand */
#include "fuzz/calls.h"

enum { CALLS = 3 };

static void start_call(calls *c) {
    rn_call_start start = {.path = rn_bytes_text("/t/Echo"),
                           .authority = rn_bytes_text("somebody"),
                           .deadline = RN_NEVER,
                           .options = &c->options};
    calls_ear *ear = &c->ears[c->count];
    if (rn_call_new(&ear->call, c->session, &start, &calls_handler, ear) == RPCNET_OK) {
        rn_bytes message = rn_bytes_text("hello");
        c->count++;
        rn_call_hold(ear->call, c->hold);
        (void)rn_call_send(ear->call, &message, 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const rn_h3_handler handler = {.closed = calls_session_closed};
    fuzz_input input = fuzz_input_of(data, size);
    uint8_t sizes = fuzz_byte(&input);
    fake_options options = {.ring = sizes & 1 ? 1500 : 0,
                            .window = sizes & 2 ? 3000 : 0,
                            .chunk = sizes & 4 ? 61 : 0,
                            .seed = sizes & 8 ? 1 : 0};
    calls *c = calloc(1, sizeof *c);
    assert(c != NULL);
    c->options = (rn_call_options){.receive_max = RECEIVE_MAX};
    c->hold = sizes & 16;
    c->link = fake_link_new(&options);
    assert(rn_h3_session_new(&c->session, fake_link_client(c->link), NULL, &handler, c) ==
           RPCNET_OK);
    fuzz_peer_init(&c->peer, fake_link_server(c->link));
    fake_link_establish(c->link);
    for (unsigned i = 0; i < CALLS && c->session != NULL; i++) {
        start_call(c);
    }
    fake_link_run(c->link);
    calls_play(c, &input);
    calls_end(c);
    return 0;
}
