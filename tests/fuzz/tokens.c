/* tokens: address tokens of Retry and NEW_TOKEN (RFC 9000, section 8.1), read by the product's TLS.
 * Any bytes are refused, and so is a token of our own that was changed, is shown from another
 * address or too late.
 *
 *   byte 0: how the token is shown; 1 to 4: where it is changed; the rest: a token of the input's
 */
#include "fuzz/fuzz.h"
#include "quic/tls.h"
#include "rpcnet/error.h"

#define LIFE_NS (UINT64_C(10) * 1000000000)
#define MADE_NS (UINT64_C(1767225600) * 1000000000)

static const uint8_t key[32] = {1, 2, 3};
static const uint8_t other_key[32] = {1, 2, 4};

typedef struct shown {
    rn_address address;
    rn_tls_token_scope scope;
    ngtcp2_cid id;
    bool wrong; /* not as it was made */
} shown;

/* A server sees the token with this in hand. */
static void show(shown *s, uint8_t how) {
    ngtcp2_cid_init(&s->id, (const uint8_t *)"0123456789abcdef", 16);
    assert(rn_address_parse(&s->address, how & 1 ? "10.0.0.9:4000" : "10.0.0.1:4000") == RPCNET_OK);
    s->scope = (rn_tls_token_scope){.key = how & 2 ? other_key : key,
                                    .remote = &s->address,
                                    .wall_ns = MADE_NS + (how & 4 ? LIFE_NS + 2000000000 : 0)};
    s->id.data[3] ^= how & 8 ? 1 : 0;
    s->wrong = (how & 7) != 0;
}

static void check_retry(const shown *made, const shown *s, bool changed, const uint8_t flip[4]) {
    uint8_t token[RN_TLS_TOKEN_MAX];
    ngtcp2_cid original;
    ngtcp2_cid back;
    ngtcp2_cid_init(&original, (const uint8_t *)"firstone", 8);
    ngtcp2_ssize len = rn_tls_retry_token_write(token, &made->scope, &made->id, &original);
    assert(len > 0 && (size_t)len <= sizeof token);
    token[(size_t)(flip[0] << 8 | flip[1]) % (size_t)len] ^= flip[2];
    size_t shown_len = (size_t)len - flip[3] % 4;
    int rv =
        rn_tls_retry_token_read(&back, rn_bytes_of(token, shown_len), &s->scope, &s->id, LIFE_NS);
    bool other_id = !ngtcp2_cid_eq(&made->id, &s->id);
    if (changed || s->wrong || other_id) {
        assert(rv == RPCNET_ERR_PROTOCOL);
    } else {
        assert(rv == RPCNET_OK && ngtcp2_cid_eq(&back, &original));
        assert(rn_tls_token_kind_of(rn_bytes_of(token, shown_len)) == RN_TLS_TOKEN_RETRY);
    }
}

static void check_regular(const shown *made, const shown *s, bool changed, const uint8_t flip[4]) {
    uint8_t token[RN_TLS_TOKEN_MAX];
    ngtcp2_ssize len = rn_tls_regular_token_write(token, &made->scope);
    assert(len > 0 && (size_t)len <= sizeof token);
    token[(size_t)(flip[0] << 8 | flip[1]) % (size_t)len] ^= flip[2];
    size_t shown_len = (size_t)len - flip[3] % 4;
    int rv = rn_tls_regular_token_check(rn_bytes_of(token, shown_len), &s->scope, LIFE_NS);
    assert(rv == (changed || s->wrong ? RPCNET_ERR_PROTOCOL : RPCNET_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    shown made;
    shown s;
    ngtcp2_cid original;
    uint8_t flip[4];
    show(&made, 0);
    show(&s, fuzz_byte(&input));
    for (size_t i = 0; i < sizeof flip; i++) {
        flip[i] = fuzz_byte(&input);
    }
    bool changed = flip[2] != 0 || flip[3] % 4 != 0;
    check_retry(&made, &s, changed, flip);
    check_regular(&made, &s, changed, flip);

    rn_bytes rest = fuzz_rest(&input);
    uint8_t *copy = fuzz_copy(rest);
    rn_bytes token = rn_bytes_of(copy, rest.len);
    (void)rn_tls_token_kind_of(token);
    assert(rn_tls_retry_token_read(&original, token, &s.scope, &s.id, LIFE_NS) ==
           RPCNET_ERR_PROTOCOL);
    assert(rn_tls_regular_token_check(token, &s.scope, LIFE_NS) == RPCNET_ERR_PROTOCOL);
    free(copy);
    return 0;
}
