/* Status and timeout: codes, percent-encoding, mappings, and the grpc-timeout value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "grpc/status.h"
#include "grpc/timeout.h"
#include "h3/session.h"
#include "rpcnet/error.h"

static void code_names(void **state) {
    (void)state;
    assert_string_equal(rpcnet_grpc_code_name(RPCNET_GRPC_OK), "OK");
    assert_string_equal(rpcnet_grpc_code_name(RPCNET_GRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(rpcnet_grpc_code_name(17), "UNKNOWN");
    assert_string_equal(rpcnet_grpc_code_name(-1), "UNKNOWN");
}

static void codes_from_the_wire(void **state) {
    enum rpcnet_grpc_code code = RPCNET_GRPC_OK;
    (void)state;
    assert_true(rn_status_parse_code(rn_bytes_text("0"), &code));
    assert_int_equal(code, RPCNET_GRPC_OK);
    assert_true(rn_status_parse_code(rn_bytes_text("16"), &code));
    assert_int_equal(code, RPCNET_GRPC_UNAUTHENTICATED);
    assert_true(rn_status_parse_code(rn_bytes_text("17"), &code));
    assert_int_equal(code, RPCNET_GRPC_UNKNOWN);
    assert_true(rn_status_parse_code(rn_bytes_text("99999999999999999999999999999"), &code));
    assert_int_equal(code, RPCNET_GRPC_UNKNOWN);
    assert_false(rn_status_parse_code(rn_bytes_text(""), &code));
    assert_false(rn_status_parse_code(rn_bytes_text("-1"), &code));
    assert_false(rn_status_parse_code(rn_bytes_text("0 "), &code));
    assert_false(rn_status_parse_code(rn_bytes_text("x"), &code));
}

static void expect_encoded(const char *message, const char *wire) {
    char out[RN_STATUS_ENCODED_MAX];
    size_t len = rn_status_encode_message(out, rn_bytes_text(message));
    assert_true(rn_bytes_is(rn_bytes_of(out, len), wire));
    char back[RN_STATUS_MESSAGE_MAX];
    len = rn_status_decode_message(back, rn_bytes_of(out, len));
    assert_true(rn_bytes_is(rn_bytes_of(back, len), message));
}

static void messages_are_percent_encoded(void **state) {
    (void)state;
    expect_encoded("", "");
    expect_encoded("plain text, ~!", "plain text, ~!");
    expect_encoded("100%", "100%25");
    expect_encoded("a\nb", "a%0Ab");
    expect_encoded(" edge ", "%20edge%20");
    expect_encoded("\xc3\xa9", "%C3%A9");
    expect_encoded("\x7f\x01", "%7F%01");
}

static void expect_decoded(const char *wire, const char *message) {
    char out[RN_STATUS_MESSAGE_MAX];
    size_t len = rn_status_decode_message(out, rn_bytes_text(wire));
    assert_true(rn_bytes_is(rn_bytes_of(out, len), message));
}

static void broken_escapes_stay(void **state) {
    (void)state;
    expect_decoded("%", "%");
    expect_decoded("%4", "%4");
    expect_decoded("%zz", "%zz");
    expect_decoded("%4z%41", "%4zA");
    expect_decoded("a%%41", "a%A");
    expect_decoded("%c3%A9", "\xc3\xa9");
}

static void messages_are_cut(void **state) {
    static char message[RN_STATUS_MESSAGE_MAX + 10];
    char out[RN_STATUS_ENCODED_MAX];
    char back[RN_STATUS_MESSAGE_MAX];
    (void)state;
    memset(message, 'a', sizeof message);
    assert_int_equal(rn_status_encode_message(out, rn_bytes_of(message, RN_STATUS_MESSAGE_MAX - 1)),
                     RN_STATUS_MESSAGE_MAX - 1);
    assert_int_equal(rn_status_encode_message(out, rn_bytes_of(message, RN_STATUS_MESSAGE_MAX)),
                     RN_STATUS_MESSAGE_MAX);
    assert_int_equal(rn_status_encode_message(out, rn_bytes_of(message, RN_STATUS_MESSAGE_MAX + 1)),
                     RN_STATUS_MESSAGE_MAX);
    /* Not inside a character. */
    message[RN_STATUS_MESSAGE_MAX - 1] = (char)0xc3;
    message[RN_STATUS_MESSAGE_MAX] = (char)0xa9;
    assert_int_equal(rn_status_encode_message(out, rn_bytes_of(message, RN_STATUS_MESSAGE_MAX + 1)),
                     RN_STATUS_MESSAGE_MAX - 1);
    memset(message, 0x80, sizeof message);
    size_t len = rn_status_encode_message(out, rn_bytes_of(message, sizeof message));
    assert_true(len <= RN_STATUS_ENCODED_MAX && len >= (size_t)3 * (RN_STATUS_MESSAGE_MAX - 3));
    assert_true(rn_status_decode_message(back, rn_bytes_of(out, len)) <= RN_STATUS_MESSAGE_MAX);
    memset(message, 'a', sizeof message);
    assert_int_equal(rn_status_decode_message(back, rn_bytes_of(message, sizeof message)),
                     RN_STATUS_MESSAGE_MAX);
    static const uint8_t escaped[] = {'%', 'c', '3', '%', 'a', '9'};
    memcpy(message + RN_STATUS_MESSAGE_MAX - 1, escaped, sizeof escaped);
    assert_int_equal(rn_status_decode_message(back, rn_bytes_of(message, sizeof message)),
                     RN_STATUS_MESSAGE_MAX - 1);
}

static void mappings(void **state) {
    (void)state;
    assert_int_equal(rn_status_of_http(400), RPCNET_GRPC_INTERNAL);
    assert_int_equal(rn_status_of_http(401), RPCNET_GRPC_UNAUTHENTICATED);
    assert_int_equal(rn_status_of_http(403), RPCNET_GRPC_PERMISSION_DENIED);
    assert_int_equal(rn_status_of_http(404), RPCNET_GRPC_UNIMPLEMENTED);
    assert_int_equal(rn_status_of_http(429), RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(rn_status_of_http(502), RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(rn_status_of_http(503), RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(rn_status_of_http(504), RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(rn_status_of_http(500), RPCNET_GRPC_UNKNOWN);
    assert_int_equal(rn_status_of_http(200), RPCNET_GRPC_UNKNOWN);
    assert_int_equal(rn_status_of_http(0), RPCNET_GRPC_UNKNOWN);
    assert_int_equal(rn_status_of_h3(RN_H3_NO_ERROR), RPCNET_GRPC_INTERNAL);
    assert_int_equal(rn_status_of_h3(RN_H3_REQUEST_REJECTED), RPCNET_GRPC_UNAVAILABLE);
    assert_int_equal(rn_status_of_h3(RN_H3_REQUEST_CANCELLED), RPCNET_GRPC_CANCELLED);
    assert_int_equal(rn_status_of_h3(RN_H3_EXCESSIVE_LOAD), RPCNET_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(rn_status_of_h3(12345), RPCNET_GRPC_INTERNAL);
}

static void expect_timeout(const char *text, uint64_t ns) {
    uint64_t parsed = 1;
    assert_int_equal(rn_timeout_parse(rn_bytes_text(text), &parsed), RPCNET_OK);
    assert_true(parsed == ns);
}

static void timeouts_are_parsed(void **state) {
    static const char *const bad[] = {"",    "1",    "S",   "123456789S", "1s",
                                      "-1S", "1.5S", " 1S", "1S "};
    (void)state;
    expect_timeout("0n", 0);
    expect_timeout("1n", 1);
    expect_timeout("2u", 2000);
    expect_timeout("3m", 3000000);
    expect_timeout("4S", UINT64_C(4000000000));
    expect_timeout("5M", UINT64_C(300000000000));
    expect_timeout("6H", UINT64_C(21600000000000));
    expect_timeout("99999999n", 99999999);
    expect_timeout("00000001S", UINT64_C(1000000000));
    expect_timeout("5124095H", UINT64_C(5124095) * 3600000000000u);
    expect_timeout("5124096H", UINT64_MAX);
    expect_timeout("99999999H", UINT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t ns = 0;
        assert_int_equal(rn_timeout_parse(rn_bytes_text(bad[i]), &ns), RPCNET_ERR_PARSE);
    }
}

static void expect_format(uint64_t ns, const char *expected) {
    char out[RN_TIMEOUT_TEXT_MAX];
    assert_true(rn_bytes_is(rn_bytes_of(out, rn_timeout_format(out, ns)), expected));
}

static void timeouts_are_formatted(void **state) {
    (void)state;
    expect_format(0, "0n");
    expect_format(99999999, "99999999n");
    expect_format(100000000, "100000u");
    expect_format(100000001, "100001u");
    expect_format(UINT64_C(30000000000), "30000000u");
    expect_format(UINT64_C(100000000000), "100000m");
    expect_format(UINT64_MAX, "5124096H");
    srand(9);
    for (int i = 0; i < 10000; i++) {
        uint64_t ns =
            ((uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand()) >> (rand() % 60);
        char out[RN_TIMEOUT_TEXT_MAX];
        uint64_t back = 0;
        size_t len = rn_timeout_format(out, ns);
        assert_int_equal(rn_timeout_parse(rn_bytes_of(out, len), &back), RPCNET_OK);
        assert_true(back >= ns); /* rounded up, by less than a part in ten thousand */
        assert_true(back - ns <= ns / 10000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_names),
        cmocka_unit_test(codes_from_the_wire),
        cmocka_unit_test(messages_are_percent_encoded),
        cmocka_unit_test(broken_escapes_stay),
        cmocka_unit_test(messages_are_cut),
        cmocka_unit_test(mappings),
        cmocka_unit_test(timeouts_are_parsed),
        cmocka_unit_test(timeouts_are_formatted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
