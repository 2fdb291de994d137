/* keys: the key schedule against the test vectors of RFC 9001 (appendix A), and what derives from
 * the cluster's secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "quic/secrets.h"
#include "quic/tls.h"
#include "rpcnet/error.h"

/* RFC 9001, appendix A.1: the client's Initial secret and what follows from it. */
static const uint8_t client_secret[32] = {
    0xc0, 0x0c, 0xf1, 0x51, 0xca, 0x5b, 0xe0, 0x75, 0xed, 0x0e, 0xbf, 0xb5, 0xc8, 0x03, 0x23, 0xc4,
    0x2d, 0x6b, 0x7d, 0xb6, 0x78, 0x81, 0x28, 0x9a, 0xf4, 0x00, 0x8f, 0x1f, 0x6c, 0x35, 0x7a, 0xea};
static const uint8_t client_key[16] = {0x1f, 0x36, 0x96, 0x13, 0xdd, 0x76, 0xd5, 0x46,
                                       0x77, 0x30, 0xef, 0xcb, 0xe3, 0xb1, 0xa2, 0x2d};
static const uint8_t client_iv[12] = {0xfa, 0x04, 0x4b, 0x2f, 0x42, 0xa3,
                                      0xfd, 0x3b, 0x46, 0xfb, 0x25, 0x5c};

static void labels_expand_as_in_rfc_9001(void **state) {
    (void)state;
    uint8_t out[16];
    assert_int_equal(rn_tls_expand_label(0x1301, client_secret, "quic key", out, 16), RPCNET_OK);
    assert_memory_equal(out, client_key, 16);
    assert_int_equal(rn_tls_expand_label(0x1301, client_secret, "quic iv", out, 12), RPCNET_OK);
    assert_memory_equal(out, client_iv, 12);
    assert_int_equal(rn_tls_expand_label(0x1399, client_secret, "quic iv", out, 12),
                     RPCNET_ERR_ARGUMENT);
}

static void every_suite_seals_and_opens(void **state) {
    (void)state;
    static const uint16_t suites[] = {0x1301, 0x1302, 0x1303};
    for (size_t i = 0; i < 3; i++) {
        uint8_t secret[RN_TLS_SECRET_MAX] = {(uint8_t)i, 9};
        uint8_t iv[RN_PACKET_IV_LEN];
        uint8_t sealed[5 + RN_PACKET_TAG_LEN];
        uint8_t opened[5];
        rn_packet_key *key;
        assert_int_equal(rn_packet_key_new(&key, suites[i], secret, iv), RPCNET_OK);
        assert_int_equal(rn_packet_key_seal(key, sealed, (const uint8_t *)"hello", 5, iv,
                                            (const uint8_t *)"ad", 2),
                         RPCNET_OK);
        assert_int_equal(
            rn_packet_key_open(key, opened, sealed, sizeof sealed, iv, (const uint8_t *)"ad", 2),
            RPCNET_OK);
        assert_memory_equal(opened, "hello", 5);
        for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
            sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_int_equal(rn_packet_key_open(key, opened, sealed, sizeof sealed, iv,
                                                (const uint8_t *)"ad", 2),
                             RPCNET_ERR_PROTOCOL);
            sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        assert_int_equal(rn_packet_key_open(key, opened, sealed, RN_PACKET_TAG_LEN - 1, iv,
                                            (const uint8_t *)"ad", 2),
                         RPCNET_ERR_PROTOCOL);
        rn_packet_key_del(key);
    }
}

static void count_up(rn_env *env, void *out, size_t len) {
    static const uint8_t first = 1;
    (void)env;
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)out)[i] = (uint8_t)(first + i);
    }
}

static void ids_are_known_to_all_who_share_the_secret(void **state) {
    (void)state;
    const rn_env_ops ops = {.random = count_up};
    rn_env env = {.ops = &ops};
    uint8_t secret[RN_SECRET_KEY_LEN] = {42};
    uint8_t other_secret[RN_SECRET_KEY_LEN] = {43};
    rn_secrets one;
    rn_secrets same;
    rn_secrets other;
    ngtcp2_cid id;
    uint8_t token[16];
    uint8_t token_again[16];
    assert_int_equal(rn_secrets_init(&one, secret), RPCNET_OK);
    assert_int_equal(rn_secrets_init(&same, secret), RPCNET_OK);
    assert_int_equal(rn_secrets_init(&other, other_secret), RPCNET_OK);
    assert_int_equal(rn_secrets_new_connection_id(&one, &env, 7, &id), RPCNET_OK);
    assert_int_equal(id.datalen, RN_CONNECTION_ID_LEN);
    assert_int_equal(id.data[0], 7);
    assert_true(rn_secrets_owns_connection_id(&same, id.data, id.datalen));
    assert_false(rn_secrets_owns_connection_id(&other, id.data, id.datalen));
    assert_false(rn_secrets_owns_connection_id(&same, id.data, id.datalen - 1));
    assert_int_equal(rn_secrets_reset_token(&one, &id, token), RPCNET_OK);
    assert_int_equal(rn_secrets_reset_token(&same, &id, token_again), RPCNET_OK);
    assert_memory_equal(token, token_again, sizeof token);
    assert_int_equal(rn_secrets_reset_token(&other, &id, token_again), RPCNET_OK);
    assert_memory_not_equal(token, token_again, sizeof token);
    id.data[3] ^= 1;
    assert_false(rn_secrets_owns_connection_id(&same, id.data, id.datalen));
    rn_secrets_fini(&one);
    rn_secrets wiped;
    memset(&wiped, 0, sizeof wiped);
    assert_memory_equal(&one, &wiped, sizeof one);
    rn_secrets_fini(&same);
    rn_secrets_fini(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_expand_as_in_rfc_9001),
        cmocka_unit_test(every_suite_seals_and_opens),
        cmocka_unit_test(ids_are_known_to_all_who_share_the_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
