/* Tests of what the programs log of others' texts: whatever those say, they are the value of one
 * key. */
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/client.h"
#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "director/data/relay_internal.h"
#include "rpcnet/error.h"
#include "support/fake_rpc.h"

enum { LOG_MAX = 1 << 16, OPEN = 8 };

#define FORGED "x\" reason=killed err=\"y\\"
#define QUOTED "\"x\\\" reason=killed err=\\\"y\\\\\""

typedef struct fixture {
    rn_buffer text;
    rn_log *log;
    fake_env env;
    rn_data data;
    rn_swap_config swap_config;
    rn_relay relay;
    rn_link at;
    rn_client client;
    rn_client_stream stream;
    int null;
} fixture;

static uint64_t wall(void *user) {
    (void)user;
    return 0;
}

static bool keep_line(const char *line, size_t len, void *user) {
    return rn_buffer_append(user, line, len) == RPCNET_OK;
}

static void no_flush(void *user) {
    (void)user;
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    fake_world_reset();
    rn_buffer_init(&f->text, LOG_MAX);
    rn_log_sink sink = {.wall = wall, .write = keep_line, .user = &f->text};
    assert_int_equal(rn_log_new(&f->log, "info", &sink, NULL), RPCNET_OK);
    fake_env_init(&f->env, f->log);
    f->data.env = &f->env.env;
    rn_swap_config_default(&f->swap_config);
    f->relay.data = &f->data;
    f->relay.client = fake_call_new("");
    f->relay.client->path = "/a.B/C";
    f->relay.stream_id = 1;
    strcpy(f->relay.connection_id, "conn-1");
    rn_swap_stream_init(&f->relay.swap, &f->swap_config, &f->data.counters, NULL, 1);
    strcpy(f->at.worker.label, "worker-a");
    strcpy(f->at.worker.user_addr, "127.0.0.1:1");
    rn_client *client = &f->client;
    client->program.env = &f->env.env;
    client->program.log = f->log;
    client->program.target = rn_client_spec()->target;
    client->config.streams = 1;
    client->channel = &fake_world_get()->channel;
    client->open = OPEN; /* it goes on when this one is over */
    client->streams = &f->stream;
    rn_deferred_init(&client->flush, no_flush, client);
    f->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_int_equal(rn_output_init(&client->out, NULL, f->null, NULL, NULL), RPCNET_OK);
    rn_report_init(&client->report, RN_PRINT_LOG, &client->out, &client->out);
    f->stream.client = client;
    f->stream.number = 1;
    rn_sequence_init(&f->stream.sequence);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    rn_deferred_cancel(&f->client.flush);
    rn_report_fini(&f->client.report);
    rn_output_fini(&f->client.out);
    close(f->null);
    rn_swap_stream_fini(&f->relay.swap);
    fake_call_free(f->relay.client);
    fake_world_reset();
    rn_log_del(f->log);
    rn_buffer_fini(&f->text);
    free(f);
    return 0;
}

/* The last line, from behind its target. */
static void last_line_is(fixture *f, const char *expected) {
    assert_int_equal(rn_buffer_append(&f->text, "", 1), RPCNET_OK);
    char *text = (char *)f->text.data;
    f->text.len -= 2;
    text[f->text.len] = '\0';
    const char *line = strrchr(text, '\n');
    line = strstr(line != NULL ? line : text, "] ");
    assert_non_null(line);
    assert_string_equal(line + 2, expected);
    rn_buffer_clear(&f->text);
}

/* ---- the director ---- */

static void a_lost_worker(void **state) {
    fixture *f = *state;
    rn_swap_action action = {
        .kind = RN_SWAP_END, .lost = RN_SWAP_FAILURE, .message = rn_bytes_text(FORGED)};
    rn_log_lost(&f->relay, &f->at, &action);
    last_line_is(f, "stream.id=1 connection.id=conn-1 reason=failure err=" QUOTED " worker lost");
    action.message = rn_bytes_text("worker-a simulated failure");
    rn_log_lost(&f->relay, &f->at, &action);
    last_line_is(f, "stream.id=1 connection.id=conn-1 reason=failure "
                    "err=\"worker-a simulated failure\" worker lost");
}

static void a_refusal(void **state) {
    fixture *f = *state;
    rn_swap_action action = {.refused = true, .message = rn_bytes_text(FORGED)};
    rn_log_lost(&f->relay, &f->at, &action);
    last_line_is(f, "stream.id=1 connection.id=conn-1 worker.addr=127.0.0.1:1 "
                    "worker.label=worker-a err=" QUOTED " worker refused stream");
    action.message = rn_bytes_text("full");
    rn_log_lost(&f->relay, &f->at, &action);
    last_line_is(f, "stream.id=1 connection.id=conn-1 worker.addr=127.0.0.1:1 "
                    "worker.label=worker-a err=\"full\" worker refused stream");
}

static void the_end_of_a_stream(void **state) {
    fixture *f = *state;
    rn_swap_action action = {.message = rn_bytes_text(FORGED)};
    rn_log_ended(&f->relay, &action);
    last_line_is(f,
                 "stream.id=1 connection.id=conn-1 code=OK messages=0 err=" QUOTED " stream ended");
    action.message = rn_bytes_text("");
    rn_log_ended(&f->relay, &action);
    last_line_is(f, "stream.id=1 connection.id=conn-1 code=OK messages=0 err=\"\" stream ended");
}

static void a_method(void **state) {
    fixture *f = *state;
    f->relay.client->path = "/a.B/C code=OK";
    rn_log_opened(&f->relay);
    last_line_is(f, "stream.id=1 connection.id=conn-1 method=\"/a.B/C code=OK\" client opened "
                    "stream");
    f->relay.client->path = "/a.B/C";
    rn_log_opened(&f->relay);
    last_line_is(f, "stream.id=1 connection.id=conn-1 method=/a.B/C client opened stream");
}

/* ---- the client ---- */

static void end_with(fixture *f, int code, const char *message) {
    rpcnet_call *call = f->stream.call;
    call->callbacks->on_status(call, code, message, NULL, call->user);
}

static void a_status(void **state) {
    fixture *f = *state;
    rn_client_stream_start(&f->stream);
    end_with(f, RPCNET_GRPC_UNKNOWN, FORGED);
    last_line_is(f, "connection.id=\"\" stream.id=0 code=UNKNOWN err=" QUOTED " stream failed");
    rn_client_stream_start(&f->stream);
    end_with(f, RPCNET_GRPC_UNAVAILABLE, "no worker took the stream");
    last_line_is(f, "connection.id=\"\" stream.id=0 code=UNAVAILABLE "
                    "err=\"no worker took the stream\" stream failed");
}

static void say_connected(fixture *f, char *worker, char *previous, char *message) {
    char connection_id[] = "conn-1 code=OK";
    ConnectionSwap__GenerateResponse response = CONNECTION_SWAP__GENERATE_RESPONSE__INIT;
    ConnectionSwap__Connected connected = CONNECTION_SWAP__CONNECTED__INIT;
    ConnectionSwap__Swap swap = CONNECTION_SWAP__SWAP__INIT;
    connected.worker = worker;
    connected.connection_id = connection_id;
    connected.stream_id = 1;
    if (message != NULL) {
        swap.previous_worker = previous;
        swap.message = message;
        connected.swap = &swap;
    }
    response.frame_case = CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_CONNECTED;
    response.connected = &connected;
    rn_buffer packed;
    rn_buffer_init(&packed, LOG_MAX);
    assert_int_equal(rn_message_pack(&packed, &response.base), RPCNET_OK);
    rpcnet_call *call = f->stream.call;
    call->callbacks->on_message(call, packed.data, packed.len, call->user);
    rn_buffer_fini(&packed);
}

static bool logged(fixture *f, const char *text) {
    return memmem(f->text.data, f->text.len, text, strlen(text)) != NULL;
}

static void a_swap(void **state) {
    fixture *f = *state;
    char worker[] = "worker-b seq=1";
    char previous[] = "worker-a";
    char forged[] = FORGED;
    char plain[] = "worker-a simulated failure";
    rn_client_stream_start(&f->stream);
    say_connected(f, worker, previous, plain);
    assert_true(logged(f, "] stream ended; requesting another worker "
                          "err=StreamError(\"worker-a simulated failure\")\n"));
    say_connected(f, worker, previous, forged);
    assert_true(
        logged(f, "] stream ended; requesting another worker err=StreamError(" QUOTED ")\n"));
    last_line_is(f, "connection.id=\"conn-1 code=OK\" worker=\"worker-b seq=1\" stream.id=1 worker "
                    "assigned to stream");
    end_with(f, RPCNET_GRPC_UNKNOWN, "why");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lost_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(a_method, setup, teardown),
        cmocka_unit_test_setup_teardown(a_status, setup, teardown),
        cmocka_unit_test_setup_teardown(a_swap, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
