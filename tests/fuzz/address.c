/* address: addresses, numbers, durations and sizes as people write them. What is accepted can be
 * written and read again. */
#include "base/address.h"

#include "base/units.h"
#include "fuzz/fuzz.h"
#include "rpcnet/error.h"

static void check_address(const char *text) {
    rn_address address;
    rn_address again;
    char host[RN_HOST_MAX + 1];
    char written[RN_ADDRESS_TEXT_MAX];
    uint16_t port = 0;
    int split = rn_address_split(text, host, &port);
    int parsed = rn_address_parse(&address, text);
    assert(split == RPCNET_OK || split == RPCNET_ERR_ADDRESS);
    if (parsed == RPCNET_OK) {
        assert(split == RPCNET_OK && rn_address_port(&address) == port);
        assert(rn_address_parse(&again, rn_address_format(&address, written)) == RPCNET_OK);
        assert(rn_address_equal(&address, &again));
        assert(rn_address_from_sockaddr(&again, &address.sa, address.len) == RPCNET_OK);
        assert(rn_address_equal(&address, &again));
    } else {
        assert(parsed == RPCNET_ERR_ADDRESS && address.len == 0);
    }
}

static void check_units(const char *text) {
    char written[RN_UNITS_TEXT_MAX];
    uint64_t value = 1;
    uint64_t again = 0;
    if (rn_duration_parse(text, &value) == RPCNET_OK) {
        assert(rn_duration_parse(rn_duration_format(value, written), &again) == RPCNET_OK);
        assert(again == value);
    }
    value = 1;
    if (rn_size_parse(text, &value) == RPCNET_OK) {
        assert(rn_size_parse(rn_size_format(value, written), &again) == RPCNET_OK);
        assert(again == value);
    }
    value = 1;
    if (rn_number_parse(text, &value) == RPCNET_OK) {
        assert(rn_size_parse(text, &again) == RPCNET_OK && again == value); /* bytes */
    } else {
        assert(value == 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(rn_bytes_of(data, size));
    check_address(text);
    check_units(text);
    free(text);
    return 0;
}
