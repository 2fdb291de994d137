/* h3_server: a client made of the input against the library's server, after a real handshake in the
 * simulated network. Beside it an honest client has a stream on a connection of its own, and
 * nothing happens to it. */
#include "fuzz/honest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    arena *a = malloc(sizeof *a);
    honest *h = malloc(sizeof *h);
    assert(a != NULL && h != NULL);
    arena_init(a);
    honest_start(h, a->sim);
    arena_peer_connect(a, "h3");
    assert(arena_establish(a));
    arena_play(a, &input);
    honest_check(h);
    honest_end(h);
    arena_fini(a);
    free(h);
    free(a);
    return 0;
}
