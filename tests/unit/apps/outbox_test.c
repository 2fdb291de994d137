/* Tests of the outbox: what a call does not take is kept in order, and nothing is passed over. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "common/outbox.h"
#include "rpcnet/error.h"
#include "support/fake_rpc.h"

enum { LIMIT = 100, LENGTH = sizeof(uint32_t) };

static int send_text(rn_outbox *outbox, rpcnet_call *call, const char *head, const char *text) {
    return rn_outbox_send(outbox, call, rn_bytes_text(head), rn_bytes_text(text));
}

static void sent_is(const rpcnet_call *call, size_t index, const char *text) {
    assert_true(rn_bytes_is(fake_call_message(call, index), text));
}

static void test_order(void **state) {
    (void)state;
    rn_budget budget = {.limit = SIZE_MAX};
    rn_outbox outbox;
    rpcnet_call *call = fake_call_new("");
    rn_outbox_init(&outbox, LIMIT, &budget);
    call->room = 1;
    assert_int_equal(send_text(&outbox, call, "a", "bc"), RPCNET_OK);
    assert_true(rn_outbox_empty(&outbox));
    assert_int_equal(budget.used, 0); /* nothing was taken for it */
    assert_int_equal(send_text(&outbox, call, "d", "ef"), RPCNET_OK);
    call->room = 1; /* but what is kept goes first */
    assert_int_equal(send_text(&outbox, call, "", ""), RPCNET_OK);
    assert_int_equal(send_text(&outbox, call, "", "g"), RPCNET_OK);
    assert_int_equal(call->sent, 1);
    assert_int_equal(outbox.bytes.len, 3 * LENGTH + 4);
    assert_int_equal(budget.used, rn_outbox_memory(&outbox));
    assert_int_equal(rn_outbox_flush(&outbox, call), RPCNET_OK);
    assert_int_equal(call->sent, 2);
    assert_false(rn_outbox_empty(&outbox));
    call->room = 9;
    assert_int_equal(rn_outbox_flush(&outbox, call), RPCNET_OK);
    assert_true(rn_outbox_empty(&outbox));
    static const char *const texts[] = {"abc", "def", "", "g"};
    assert_int_equal(call->sent, 4);
    for (size_t i = 0; i < 4; i++) {
        sent_is(call, i, texts[i]);
    }
    rn_outbox_fini(&outbox);
    assert_int_equal(budget.used, 0);
    fake_call_free(call);
}

/* One byte below the limit, at it, one above. */
static void test_limit(void **state) {
    (void)state;
    static const uint8_t memory[LIMIT];
    for (size_t len = LIMIT - LENGTH - 2; len <= LIMIT - LENGTH; len++) {
        rn_outbox outbox;
        rpcnet_call *call = fake_call_new("");
        rn_outbox_init(&outbox, LIMIT, NULL);
        call->room = 0;
        int result = rn_outbox_send(&outbox, call, rn_bytes_text("h"), rn_bytes_of(memory, len));
        assert_int_equal(result, len + 1 + LENGTH <= LIMIT ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(rn_outbox_empty(&outbox), result != RPCNET_OK);
        rn_outbox_fini(&outbox);
        fake_call_free(call);
    }
}

/* What the call does not take for another reason than room stays, with what is behind it. */
static void test_nothing_is_passed_over(void **state) {
    (void)state;
    static const int errors[] = {RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY, RPCNET_ERR_CLOSED};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        rn_outbox outbox;
        rpcnet_call *call = fake_call_new("");
        rn_outbox_init(&outbox, LIMIT, NULL);
        call->room = 0;
        assert_int_equal(send_text(&outbox, call, "", "one"), RPCNET_OK);
        assert_int_equal(send_text(&outbox, call, "", "two"), RPCNET_OK);
        call->room = 9;
        call->send_error = errors[i];
        assert_int_equal(rn_outbox_flush(&outbox, call), errors[i]);
        assert_int_equal(outbox.bytes.len, 2 * LENGTH + 6);
        call->send_error = RPCNET_OK;
        assert_int_equal(rn_outbox_flush(&outbox, call), RPCNET_OK);
        sent_is(call, 0, "one");
        sent_is(call, 1, "two");
        /* And what is sent right away is told the same way. */
        call->send_error = errors[i];
        assert_int_equal(send_text(&outbox, call, "", "three"), errors[i]);
        assert_true(rn_outbox_empty(&outbox));
        rn_outbox_fini(&outbox);
        fake_call_free(call);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_nothing_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
