/* timeout: the value of grpc-timeout. What is read and written again is never shorter. */
#include "grpc/timeout.h"

#include "fuzz/fuzz.h"
#include "rpcnet/error.h"

static void check_written(uint64_t timeout_ns) {
    char text[RN_TIMEOUT_TEXT_MAX];
    uint64_t back = 0;
    size_t len = rn_timeout_format(text, timeout_ns);
    assert(len >= 2 && len <= sizeof text);
    assert(rn_timeout_parse(rn_bytes_of(text, len), &back) == RPCNET_OK);
    assert(back >= timeout_ns);
    /* The next unit is at most a thousand times longer, so five digits are left at least. */
    assert(back - timeout_ns <= timeout_ns / 100000 + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    uint64_t timeout_ns = 7;
    uint8_t *copy = fuzz_copy(rn_bytes_of(data, size));
    if (rn_timeout_parse(rn_bytes_of(copy, size), &timeout_ns) == RPCNET_OK) {
        assert(size >= 2 && size <= RN_TIMEOUT_TEXT_MAX);
        check_written(timeout_ns);
    } else {
        assert(timeout_ns == 7);
    }
    free(copy);
    check_written(fuzz_number(&input, 8));
    return 0;
}
