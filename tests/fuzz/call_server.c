/* call_server: a client made of the input against gRPC's server side over HTTP/3, with a program
 * that does anything with its calls meanwhile. Below lies tests/support/fake_conn in place of QUIC.
 *
 *   byte 0: sizes of windows, rings and chunks, and whether messages are given back by hand */
#include "fuzz/calls.h"

static void on_request(rn_h3_session *session, rn_h3_stream *stream, const rn_h3_field *fields,
                       size_t count, void *user) {
    calls *c = user;
    rn_call *call = NULL;
    (void)session;
    assert(count > 0 && count <= RN_H3_FIELDS_MAX);
    if (c->count == CALLS_MAX) {
        return; /* without a handler its bytes are dropped */
    }
    int rv = rn_call_accept(&call, stream, fields, count, &c->options);
    assert((rv == RPCNET_OK) == (call != NULL));
    assert(rv == RPCNET_OK || rv == RPCNET_ERR_PROTOCOL);
    if (rv == RPCNET_OK) {
        calls_ear *ear = &c->ears[c->count++];
        *ear = (calls_ear){.call = call, .server = true};
        assert(rn_call_path(call).len > 0 && rn_call_path(call).len <= RN_CALL_PATH_MAX);
        rn_call_set_handler(call, &calls_handler, ear);
        rn_call_hold(call, c->hold);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const rn_h3_handler handler = {.request = on_request, .closed = calls_session_closed};
    fuzz_input input = fuzz_input_of(data, size);
    uint8_t sizes = fuzz_byte(&input);
    fake_options options = {.ring = sizes & 1 ? 1500 : 0,
                            .window = sizes & 2 ? 3000 : 0,
                            .chunk = sizes & 4 ? 61 : 0,
                            .seed = sizes & 8 ? 1 : 0};
    calls *c = calloc(1, sizeof *c);
    assert(c != NULL);
    c->server = true;
    c->options = (rn_call_options){.receive_max = RECEIVE_MAX};
    c->hold = sizes & 16;
    c->link = fake_link_new(&options);
    assert(rn_h3_session_new(&c->session, fake_link_server(c->link), NULL, &handler, c) ==
           RPCNET_OK);
    fuzz_peer_init(&c->peer, fake_link_client(c->link));
    fake_link_establish(c->link);
    calls_play(c, &input);
    calls_end(c);
    return 0;
}
