/* status: grpc-status and the percent-encoding of grpc-message, both ways. */
#include "grpc/status.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char encoded[RN_STATUS_ENCODED_MAX];
    char decoded[RN_STATUS_MESSAGE_MAX];
    enum rpcnet_grpc_code code;
    uint8_t *copy = fuzz_copy(rn_bytes_of(data, size));
    rn_bytes text = rn_bytes_of(copy, size);

    if (rn_status_parse_code(text, &code)) {
        assert(size > 0);
        assert((int)code >= 0 && (int)code <= RPCNET_GRPC_UNAUTHENTICATED);
    }
    assert(rn_status_decode_message(decoded, text) <= size);

    size_t len = rn_status_encode_message(encoded, text);
    assert(len <= sizeof encoded);
    for (size_t i = 0; i < len; i++) {
        assert(encoded[i] >= 0x20 && encoded[i] <= 0x7e);
    }
    size_t back = rn_status_decode_message(decoded, rn_bytes_of(encoded, len));
    assert(back <= size && memcmp(decoded, copy, back) == 0);
    assert(back == size || back + 3 >= RN_STATUS_MESSAGE_MAX);
    free(copy);
    return 0;
}
