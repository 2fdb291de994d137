/* Tests of the director's page /swaps: the ring of the last swaps, the list of streams. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "director/sight/swaps.h"
#include "rpcnet/error.h"
#include "support/fake_rpc.h"

typedef struct fixture {
    rn_data data;
    rn_swap_config config;
    rn_swap_history history;
    rn_buffer page;
} fixture;

static int setup(void **state) {
    fixture *at = calloc(1, sizeof *at);
    rn_list_init(&at->data.relays);
    rn_swap_config_default(&at->config);
    rn_buffer_init(&at->page, 1 << 20);
    *state = at;
    return 0;
}

static int teardown(void **state) {
    fixture *at = *state;
    while (!rn_list_empty(&at->data.relays)) {
        rn_relay *relay = RN_CONTAINER_OF(at->data.relays.next, rn_relay, link);
        rn_list_remove(&relay->link);
        rn_swap_stream_fini(&relay->swap);
        fake_call_free(relay->client);
        free(relay);
    }
    rn_buffer_fini(&at->page);
    free(at);
    return 0;
}

static rn_relay *add_relay(fixture *at, uint64_t stream_id, const char *path) {
    rn_relay *relay = calloc(1, sizeof *relay);
    relay->client = fake_call_new("");
    relay->client->path = path;
    relay->stream_id = stream_id;
    snprintf(relay->connection_id, sizeof relay->connection_id, "conn-7");
    rn_swap_stream_init(&relay->swap, &at->config, &at->data.counters, NULL, 1);
    rn_list_append(&at->data.relays, &relay->link);
    at->data.relays_count++;
    return relay;
}

static const char *page(fixture *at, size_t streams_max) {
    rn_buffer_clear(&at->page);
    assert_int_equal(rn_swaps_page(&at->page, &at->data, &at->history, streams_max), RPCNET_OK);
    assert_int_equal(rn_buffer_append(&at->page, "", 1), RPCNET_OK);
    return (const char *)at->page.data;
}

static void swap(fixture *at, rn_relay *relay, const char *from, const char *to, uint64_t wall_ns) {
    snprintf(relay->swap.previous_label, sizeof relay->swap.previous_label, "%s", from);
    snprintf(relay->swap.worker_label, sizeof relay->swap.worker_label, "%s", to);
    relay->swap.swap_reason = RN_SWAP_KILLED;
    rn_swap_history_add(&at->history, relay, wall_ns);
}

static void test_nothing(void **state) {
    assert_string_equal(page(*state, 10),
                        "{\"streams_total\":0,\"streams\":[],\"swaps_total\":0,\"swaps\":[]}\n");
}

static void test_stream_and_swap(void **state) {
    fixture *at = *state;
    rn_relay *relay = add_relay(at, 3, "/a.B/\"C\n");
    (void)rn_swap_stream_open(&relay->swap, 0, RN_NEVER);
    static const char head[] = "{\"streams_total\":1,\"streams\":[\n"
                               "{\"connection\":\"conn-7\",\"stream\":3,"
                               "\"method\":\"/a.B/\\u0022C\\u000a\",";
    const char *text = page(at, 10);
    assert_memory_equal(text, head, strlen(head));
    assert_string_equal(text + strlen(head),
                        "\"state\":\"waiting\",\"worker\":null,\"attempt\":0,\"delivered\":0,"
                        "\"resumable\":true,\"journal_bytes\":0,\"request_bytes\":0}],"
                        "\"swaps_total\":0,\"swaps\":[]}\n");

    rn_swap_stream_assign(&relay->swap, 1, rn_bytes_text("worker-a"), 100);
    text = page(at, 10) + strlen(head);
    static const char assigned[] = "\"state\":\"assigning\",\"worker\":\"worker-a\",\"attempt\":1,";
    assert_memory_equal(text, assigned, strlen(assigned));

    swap(at, relay, "worker-a", "worker\"b", 1500000000 * RN_SECOND + 250 * RN_MILLISECOND);
    static const char one[] = "\"swaps_total\":1,\"swaps\":[\n"
                              "{\"time\":1500000000.250,\"connection\":\"conn-7\",\"stream\":3,"
                              "\"from\":\"worker-a\",\"to\":\"worker\\u0022b\","
                              "\"reason\":\"killed\",\"gap_ms\":";
    text = strstr(page(at, 10), "\"swaps_total\"");
    assert_memory_equal(text, one, strlen(one));
    assert_string_equal(text + strlen(one), "null}]}\n");
    rn_swap_history_resumed(&at->history, relay, 1234567);
    text = strstr(page(at, 10), "\"gap_ms\"");
    assert_string_equal(text, "\"gap_ms\":1.235}]}\n");
}

static size_t count_of(const char *text, const char *what) {
    size_t count = 0;
    for (; (text = strstr(text, what)) != NULL; text++) {
        count++;
    }
    return count;
}

static void test_streams_are_limited(void **state) {
    fixture *at = *state;
    for (uint64_t i = 1; i <= 4; i++) {
        (void)add_relay(at, i, "/x/y");
        const char *text = page(at, 3);
        assert_int_equal(count_of(text, "\"method\""), i < 3 ? i : 3);
        char total[32];
        snprintf(total, sizeof total, "{\"streams_total\":%u,", (unsigned)i);
        assert_memory_equal(text, total, strlen(total));
    }
}

static void test_ring(void **state) {
    fixture *at = *state;
    rn_relay *relay = add_relay(at, 1, "/x/y");
    rn_relay *other = add_relay(at, 2, "/x/y");
    swap(at, other, "first", "b", 0);
    for (unsigned i = 2; i <= RN_SWAP_HISTORY + 1; i++) {
        char from[16];
        snprintf(from, sizeof from, "w%u", i);
        swap(at, relay, from, "b", 0);
        const char *text = page(at, 0);
        assert_int_equal(count_of(text, "\"from\""), i < RN_SWAP_HISTORY ? i : RN_SWAP_HISTORY);
        /* The youngest is the first, the oldest leaves. */
        char expected[32];
        snprintf(expected, sizeof expected, "\"from\":\"%s\"", from);
        assert_ptr_equal(strstr(text, "\"from\""), strstr(text, expected));
        assert_int_equal(count_of(text, "\"from\":\"first\""), i <= RN_SWAP_HISTORY);
    }
    /* Only the youngest of the stream is completed; of one that has left the ring, none. */
    rn_swap_history_resumed(&at->history, other, 1);
    assert_int_equal(count_of(page(at, 0), "\"gap_ms\":null"), RN_SWAP_HISTORY);
    rn_swap_history_resumed(&at->history, relay, 2 * RN_MILLISECOND);
    const char *text = page(at, 0);
    assert_int_equal(count_of(text, "\"gap_ms\":null"), RN_SWAP_HISTORY - 1);
    assert_ptr_equal(strstr(text, "\"gap_ms\""), strstr(text, "\"gap_ms\":2.000"));
}

static void test_page_without_room(void **state) {
    fixture *at = *state;
    (void)add_relay(at, 1, "/x/y");
    size_t len = strlen(page(at, 10));
    for (size_t limit = len - 1; limit <= len + 1; limit++) {
        rn_buffer out;
        rn_buffer_init(&out, limit);
        assert_int_equal(rn_swaps_page(&out, &at->data, &at->history, 10),
                         limit >= len ? RPCNET_OK : RPCNET_ERR_LIMIT);
        rn_buffer_fini(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_and_swap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_streams_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_without_room, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
