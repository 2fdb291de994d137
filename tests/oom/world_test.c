/* The programs themselves, a director and two workers on the simulated network: streams flow,
 * others begin, a worker dies, and an allocation fails somewhere in one of the processes. What a
 * client gets is the right text, to its end or to a status; afterwards the cluster serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "model/model.h"
#include "oom/oom.h"
#include "sim/world/cluster.h"

enum { SEED = 22, RUNS = 25, CLIENTS = 2, TOKENS = 60, TOKEN_INTERVAL_MS = 5, HEAL_SECONDS = 40 };

static const char prompt[] = "the river";

typedef struct stream {
    rpcnet_call *call;
    rn_generation expected;
    uint64_t received;
    bool done;
    bool wrong;
    unsigned statuses;
    int code;
} stream;

typedef struct client {
    rn_env *env;
    rpcnet_channel *channel;
    stream streams[2]; /* one that flows, one that begins */
} client;

typedef struct world {
    rn_sim *sim;
    rn_plan plan;
    rn_verdict verdict;
    rn_cluster cluster;
    rn_model *model;
    rpcnet_credentials *trust;
    client clients[CLIENTS];
} world;

static world the; /* large */

/* ---- streams ---- */

static void take(stream *at, const ConnectionSwap__GenerateResponse *response) {
    rn_token expected;
    if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_TOKEN) {
        rn_generation_next(&at->expected, the.model, &expected);
        at->wrong |= response->token->sequence != expected.sequence ||
                     strcmp(response->token->text, expected.text) != 0 || at->done;
        at->received++;
    } else if (response->frame_case == CONNECTION_SWAP__GENERATE_RESPONSE__FRAME_DONE) {
        at->wrong |= at->done;
        at->done = true;
    }
}

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    bool counting = rn_oom_pause();
    ConnectionSwap__GenerateResponse *response =
        connection_swap__generate_response__unpack(NULL, len, data);
    assert_non_null(response);
    take(user, response);
    connection_swap__generate_response__free_unpacked(response, NULL);
    rn_oom_resume(counting);
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    stream *at = user;
    (void)call;
    (void)message;
    (void)trailers;
    at->statuses++;
    at->code = code;
}

static int ask(stream *at) {
    ConnectionSwap__GenerateRequest request = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    request.prompt = (char *)(uintptr_t)prompt;
    request.tokens = TOKENS;
    request.seed = SEED;
    int result = rn_message_send(at->call, &request.base);
    return result == RPCNET_OK ? rpcnet_call_half_close(at->call) : result;
}

static void begin(client *from, stream *at) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_message,
                                                    .on_status = on_status};
    memset(at, 0, sizeof *at);
    rn_generation_start(&at->expected, the.model, rn_bytes_text(prompt), SEED);
    int result = rpcnet_call_new(&at->call, from->channel, "/connection_swap.Inference/Generate",
                                 NULL, &callbacks, at);
    if (result == RPCNET_OK) {
        result = ask(at);
    }
    if (result != RPCNET_OK) {
        assert_true(result == RPCNET_ERR_MEMORY || result == RPCNET_ERR_CLOSED);
        assert_true(rn_oom_failures() > 0);
        rpcnet_call_del(at->call);
        *at = (stream){.statuses = 1, .code = RPCNET_GRPC_RESOURCE_EXHAUSTED};
    }
}

static void check(const stream *at) {
    assert_int_equal(at->statuses, 1);
    assert_false(at->wrong);
    if (at->code == RPCNET_GRPC_OK) {
        assert_true(at->done);
        assert_int_equal(at->received, TOKENS);
    } else if (at->code != RPCNET_GRPC_RESOURCE_EXHAUSTED && at->code != RPCNET_GRPC_UNAVAILABLE &&
               at->code != RPCNET_GRPC_INTERNAL) {
        fail_msg("code %d", at->code);
    }
}

static bool is_over(void *user) {
    return ((const stream *)user)->statuses > 0;
}

static bool flows(void *user) {
    const stream *at = user;
    return at->received >= TOKENS / 6 || at->statuses > 0;
}

static void run_until(stream *at, bool (*done)(void *user)) {
    assert_true(rn_sim_run_until_done(the.sim, done, at, rn_sim_now(the.sim) + 120 * RN_SECOND));
}

/* ---- world ---- */

static void connect_client(client *at, const char *host) {
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = the.trust;
    options.server_name = "localhost";
    at->env = rn_sim_host_new(the.sim, host);
    rn_oom_env(at->env);
    assert_int_equal(rpcnet_channel_new(&at->channel, at->env, RN_CLUSTER_USER_ADDR, &options),
                     RPCNET_OK);
}

static void world_begin(void) {
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials_options trust;
    memset(&the, 0, sizeof the);
    the.sim = rn_sim_new(SEED);
    rn_sim_set_log_filter(the.sim, getenv("RN_SIM_LOG") != NULL ? getenv("RN_SIM_LOG") : "off");
    the.plan = (rn_plan){.workers = 2,
                         .token_interval_ns = TOKEN_INTERVAL_MS * RN_MILLISECOND,
                         .park_ns = 10 * RN_SECOND,
                         .journal_max = 1 << 20,
                         .credit_window = RN_SWAP_CREDIT_WINDOW};
    rn_cluster_init(&the.cluster, the.sim, &the.plan, RN_TEST_CERTS, &the.verdict);
    rpcnet_credentials_options_init(&trust);
    trust.ca_file = RN_TEST_CERTS "/ca.crt";
    assert_int_equal(rpcnet_credentials_new(&the.trust, &trust, error), RPCNET_OK);
    assert_int_equal(rn_model_new(&the.model), RPCNET_OK);
}

static void start_cluster(void) {
    rn_cluster_start_director(&the.cluster);
    rn_oom_env(the.cluster.env);
    for (size_t i = 0; i < the.plan.workers; i++) {
        rn_cluster_start_worker(&the.cluster, i);
        rn_oom_env(the.cluster.workers[i].env);
    }
    rn_sim_run_for(the.sim, RN_SECOND);
}

static void world_end(void) {
    for (size_t i = 0; i < CLIENTS; i++) {
        for (size_t j = 0; j < 2; j++) {
            rpcnet_call_del(the.clients[i].streams[j].call);
        }
        rpcnet_channel_del(the.clients[i].channel);
    }
    rn_sim_run_for(the.sim, 50 * RN_MILLISECOND);
    rn_cluster_fini(&the.cluster);
    rpcnet_credentials_del(the.trust);
    rn_model_del(the.model);
    rn_sim_del(the.sim);
}

static void check_serves(void) {
    stream at;
    begin(&the.clients[0], &at);
    run_until(&at, is_over);
    check(&at);
    assert_int_equal(at.code, RPCNET_GRPC_OK);
    rpcnet_call_del(at.call);
    rn_sim_run_for(the.sim, RN_SECOND);
    rn_cluster_check_empty(&the.cluster);
    if (the.verdict.violations > 0) {
        fail_msg("%s", the.verdict.text);
    }
}

/* ---- scenarios ---- */

static void relay(void *user) {
    (void)user;
    world_begin();
    start_cluster();
    for (size_t i = 0; i < CLIENTS; i++) {
        connect_client(&the.clients[i], i == 0 ? "10.0.2.1" : "10.0.2.2");
        begin(&the.clients[i], &the.clients[i].streams[0]);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        run_until(&the.clients[i].streams[0], flows);
    }
    rn_oom_begin();
    for (size_t i = 0; i < CLIENTS; i++) {
        begin(&the.clients[i], &the.clients[i].streams[1]);
    }
    run_until(&the.clients[1].streams[1], flows);
    bool counting = rn_oom_pause();
    rn_cluster_kill_worker(&the.cluster, 0);
    rn_oom_resume(counting);
    size_t lost = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        for (size_t j = 0; j < 2; j++) {
            run_until(&the.clients[i].streams[j], is_over);
            check(&the.clients[i].streams[j]);
        }
        lost += the.clients[i].streams[0].code != RPCNET_GRPC_OK ||
                the.clients[i].streams[1].code != RPCNET_GRPC_OK;
    }
    rn_oom_end();
    assert_true(lost <= rn_oom_failures());
    rn_sim_run_for(the.sim, HEAL_SECONDS * RN_SECOND);
    check_serves();
    world_end();
}

static void open_director(void *user) {
    static rn_director director;
    (void)user;
    world_begin();
    memset(&director, 0, sizeof director);
    rn_env *env = rn_sim_host_new(the.sim, RN_CLUSTER_DIRECTOR_HOST);
    static char *none[] = {NULL};
    rn_oom_env(env);
    rn_oom_begin();
    bool open = rn_program_start_on(&director.program, &rn_director_program, &director.config,
                                    the.cluster.options.argc, the.cluster.options.argv, none, env);
    if (open) {
        open = rn_director_open(&director) == RPCNET_OK;
        rn_director_close(&director);
    }
    (void)rn_program_end(&director.program);
    rn_oom_end();
    assert_true(open || rn_oom_failures() > 0);
    world_end();
}

static void open_worker(void *user) {
    static rn_worker worker;
    (void)user;
    world_begin();
    memset(&worker, 0, sizeof worker);
    rn_cluster_options *options = &the.cluster.workers[0].options;
    rn_env *env = rn_sim_host_new(the.sim, the.cluster.workers[0].host);
    static char *none[] = {NULL};
    rn_oom_env(env);
    rn_oom_begin();
    bool open = rn_program_start_on(&worker.program, rn_worker_spec(), &worker.config,
                                    options->argc, options->argv, none, env);
    if (open) {
        open = rn_worker_open(&worker) == RPCNET_OK;
        rn_worker_close(&worker);
    }
    (void)rn_program_end(&worker.program);
    rn_oom_end();
    assert_true(open || rn_oom_failures() > 0);
    world_end();
}

static void test_open_director(void **state) {
    (void)state;
    rn_oom_each(&(rn_oom_case){
        .name = "director opens", .kind = RN_OOM_OURS, .runs_max = RUNS, .run = open_director});
}

static void test_open_worker(void **state) {
    (void)state;
    rn_oom_each(&(rn_oom_case){
        .name = "worker opens", .kind = RN_OOM_OURS, .runs_max = RUNS, .run = open_worker});
}

static void test_relay(void **state) {
    (void)state;
    rn_oom_each(
        &(rn_oom_case){.name = "relay", .kind = RN_OOM_OURS, .runs_max = RUNS, .run = relay});
}

static void test_relay_libraries(void **state) {
    (void)state;
    rn_oom_each(&(rn_oom_case){.name = "relay, libraries",
                               .kind = RN_OOM_LIBRARIES,
                               .libraries = RN_OOM_SANS_IO,
                               .runs_max = RUNS,
                               .run = relay});
}

int main(void) {
    const struct CMUnitTest tests[] = {RN_OOM_TEST(test_open_director),
                                       RN_OOM_TEST(test_open_worker), RN_OOM_TEST(test_relay),
                                       RN_OOM_TEST(test_relay_libraries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
