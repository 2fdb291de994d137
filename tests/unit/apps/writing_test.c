/* Tests of client/writing: streams are held back while the reader of standard output is slow, and
 * the time of that is none of theirs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/client.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "support/fake_rpc.h"

enum { STREAMS = 3, PACKED_MAX = 4096 };

typedef struct fixture {
    rn_log *log;
    fake_env env;
    rn_client client;
    rn_client_stream streams[STREAMS];
} fixture;

static uint64_t wall(void *user) {
    (void)user;
    return 0;
}

static bool drop_line(const char *line, size_t len, void *user) {
    (void)line, (void)len, (void)user;
    return true;
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    const rn_log_sink sink = {.wall = wall, .write = drop_line};
    assert_non_null(f);
    fake_world_reset();
    assert_int_equal(rn_log_new(&f->log, "off", &sink, NULL), RPCNET_OK);
    fake_env_init(&f->env, f->log);
    rn_client *client = &f->client;
    client->program.spec = rn_client_spec();
    client->program.env = &f->env.env;
    client->program.log = f->log;
    client->program.target = rn_client_spec()->target;
    client->config.streams = STREAMS;
    client->channel = &fake_world_get()->channel;
    client->open = UINT64_C(2) * STREAMS; /* it goes on when these are over */
    client->streams = f->streams;
    assert_int_equal(rn_client_outputs_open(client), RPCNET_OK);
    for (uint64_t i = 0; i < STREAMS; i++) {
        rn_client_stream *stream = &f->streams[i];
        stream->client = client;
        stream->number = i + 1;
        rn_sequence_init(&stream->sequence);
        rn_client_stream_start(stream);
    }
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    rn_client_outputs_close(&f->client);
    fake_world_reset();
    rn_log_del(f->log);
    free(f);
    return 0;
}

/* As when nobody reads; what comes with the next message is too much. */
static void block(fixture *f) {
    static const char waiting[RN_OUTPUT_FULL_BYTES - 1];
    f->client.out.blocked = true;
    rn_output_add(&f->client.out, waiting, sizeof waiting);
}

/* As when all of it was read. */
static void settle(fixture *f) {
    f->client.out.blocked = false;
    rn_buffer_clear(&f->client.out.bytes);
    f->client.out.settled(f->client.out.user);
}

static void say(fixture *f, const ConnectionSwap__GenerateResponse *response) {
    uint8_t packed[PACKED_MAX];
    rpcnet_call *call = f->streams[0].call;
    size_t len = connection_swap__generate_response__pack(response, packed);
    call->callbacks->on_message(call, packed, len, call->user);
}

static void say_token(fixture *f, uint64_t sequence) {
    char text[] = " word";
    ConnectionSwap__Token token = CONNECTION_SWAP__TOKEN__INIT;
    ConnectionSwap__GenerateResponse response = CONNECTION_SWAP__GENERATE_RESPONSE__INIT;
    token.sequence = sequence;
    token.text = text;
    response.frame_case = CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN;
    response.token = &token;
    say(f, &response);
}

static void say_connected(fixture *f, const char *label) {
    char worker[32];
    char connection_id[] = "conn-1";
    ConnectionSwap__Connected connected = CONNECTION_SWAP__CONNECTED__INIT;
    ConnectionSwap__GenerateResponse response = CONNECTION_SWAP__GENERATE_RESPONSE__INIT;
    strcpy(worker, label);
    connected.worker = worker;
    connected.connection_id = connection_id;
    connected.stream_id = 1;
    response.frame_case = CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_CONNECTED;
    response.connected = &connected;
    say(f, &response);
}

static void all_are(const fixture *f, bool held) {
    for (size_t i = 0; i < STREAMS; i++) {
        if (f->streams[i].call != NULL) {
            assert_true(f->streams[i].call->held == held);
        }
    }
}

static void test_all_streams_are_held(void **state) {
    fixture *f = *state;
    say_connected(f, "worker-a");
    say_token(f, 1);
    all_are(f, false);
    block(f);
    all_are(f, false);
    say_token(f, 2);
    all_are(f, true);
    /* One ends meanwhile. */
    rpcnet_call *call = f->streams[1].call;
    call->callbacks->on_status(call, RPCNET_GRPC_UNKNOWN, "", NULL, call->user);
    say_token(f, 3); /* what was on its way is taken */
    assert_int_equal(f->client.report.tokens, 3);
    settle(f);
    all_are(f, false);
    say_token(f, 4);
    all_are(f, false);
}

static void test_the_clock_stands_still(void **state) {
    fixture *f = *state;
    uint64_t begin = rn_client_stream_clock(&f->client);
    fake_env_advance(&f->env, 10);
    assert_int_equal(rn_client_stream_clock(&f->client), begin + 10);
    for (uint64_t i = 1; i <= 2; i++) {
        block(f);
        say_token(f, i);
        fake_env_advance(&f->env, RN_SECOND);
        assert_int_equal(rn_client_stream_clock(&f->client), begin + 10 * i);
        settle(f);
        fake_env_advance(&f->env, 10);
        assert_int_equal(rn_client_stream_clock(&f->client), begin + 10 * (i + 1));
    }
}

static void test_the_gap_is_without_it(void **state) {
    fixture *f = *state;
    say_connected(f, "worker-a");
    say_token(f, 1);
    fake_env_advance(&f->env, 3 * RN_MILLISECOND);
    block(f);
    say_connected(f, "worker-b");
    all_are(f, true);
    fake_env_advance(&f->env, RN_SECOND);
    settle(f);
    fake_env_advance(&f->env, 4 * RN_MILLISECOND);
    say_token(f, 2);
    const rn_report_swap *swap = rn_report_swap_at(&f->client.report, 0);
    assert_non_null(swap);
    assert_int_equal(swap->sequence, 2);
    assert_int_equal(swap->gap_ns, 7 * RN_MILLISECOND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_streams_are_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_stands_still, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_gap_is_without_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
