/* Parts one by one: what makes something gives RPCNET_ERR_MEMORY and leaves nothing; what changes
 * something leaves it as it was and of use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/census.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/settings.h"
#include "common/json.h"
#include "common/tokens.h"
#include "director/control/pool.h"
#include "grpc/framing.h"
#include "grpc/metadata.h"
#include "loop/loop.h"
#include "model/model.h"
#include "oom/oom.h"
#include "quic/send_ring.h"
#include "rpcnet/loop.h"
#include "support/assignment.h"
#include "swap/serving.h"

enum { RUNS = 200, MANY = 200 };

/* OK, or MEMORY and a failure was put in. */
static bool came(int result) {
    if (result != RPCNET_OK) {
        assert_int_equal(result, RPCNET_ERR_MEMORY);
        assert_true(rn_oom_failures() > 0);
    }
    return result == RPCNET_OK;
}

static void run(const char *name, void (*scenario)(void *user)) {
    rn_oom_each(
        &(rn_oom_case){.name = name, .kind = RN_OOM_OURS, .runs_max = RUNS, .run = scenario});
}

/* ---- base ---- */

static void use_map(void *user) {
    static const char long_key[] = "a key that is longer than what an entry holds by itself";
    rn_map *map = NULL;
    size_t put = 0;
    (void)user;
    rn_oom_begin();
    if (came(rn_map_new(&map, MANY + 1, 7))) {
        for (uint64_t i = 0; i < MANY; i++) {
            put += came(rn_map_put(map, rn_map_number(&i), map));
        }
        put += came(rn_map_put(map, rn_bytes_text(long_key), map));
        assert_int_equal(rn_map_len(map), put);
    }
    rn_oom_end();
    if (map != NULL) {
        (void)rn_map_remove(map, rn_bytes_text(long_key));
        assert_int_equal(rn_map_put(map, rn_bytes_text(long_key), map), RPCNET_OK);
        assert_ptr_equal(rn_map_get(map, rn_bytes_text(long_key)), map);
    }
    rn_map_del(map);
}

static void use_containers(void *user) {
    rn_heap heap;
    rn_heap_node nodes[MANY];
    rn_buffer buffer;
    rn_census *census = NULL;
    (void)user;
    rn_heap_init(&heap);
    memset(nodes, 0, sizeof nodes);
    rn_buffer_init(&buffer, 1 << 20);
    rn_oom_begin();
    size_t in_heap = 0;
    size_t bytes = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        in_heap += came(rn_heap_set(&heap, &nodes[i], MANY - i));
        bytes += came(rn_buffer_append(&buffer, "0123456789", 10)) ? 10 : 0;
    }
    assert_int_equal(buffer.len, bytes);
    if (came(rn_census_new(&census, 2, 100, 7))) {
        for (uint16_t i = 0; i < 50; i++) {
            char text[32];
            rn_address address;
            rn_census_place *place;
            snprintf(text, sizeof text, "10.0.%u.1:1", i);
            assert_int_equal(rn_address_parse(&address, text), RPCNET_OK);
            bool entered = came(rn_census_enter(census, &address, &place));
            assert_int_equal(rn_census_count(census, &address), entered);
        }
    }
    rn_oom_end();
    for (size_t i = 0; i < in_heap; i++) {
        rn_heap_remove(&heap, rn_heap_first(&heap));
    }
    assert_null(rn_heap_first(&heap));
    rn_heap_fini(&heap);
    rn_buffer_fini(&buffer);
    rn_census_del(census);
}

static uint64_t no_time(void *user) {
    (void)user;
    return 0;
}

static bool count_line(const char *line, size_t len, void *user) {
    (void)line;
    (void)len;
    ++*(size_t *)user;
    return true;
}

static void use_log(void *user) {
    size_t lines = 0;
    rn_log_sink sink = {.wall = no_time, .write = count_line, .user = &lines};
    rn_log *log = NULL;
    (void)user;
    rn_oom_begin();
    if (came(rn_log_new(&log, "warn,a::b=debug,c=trace/text", &sink, NULL))) {
        RN_ERROR(log, "a::b", "a text");
        assert_int_equal(lines, 1);
    }
    rn_oom_end();
    rn_log_del(log);
}

static void use_metrics(void *user) {
    static const uint64_t bounds[] = {1, 10, 100};
    rn_metrics *metrics = NULL;
    rn_histogram *histogram = NULL;
    uint64_t *value = NULL;
    rn_buffer page;
    (void)user;
    rn_buffer_init(&page, 1 << 20);
    rn_oom_begin();
    if (came(rn_metrics_new(&metrics, 4))) {
        rn_metric_spec spec = {.kind = RN_METRIC_COUNTER, .name = "a", .help = "A."};
        assert_int_equal(rn_metrics_add(metrics, &spec, &value), RPCNET_OK);
        spec = (rn_metric_spec){.kind = RN_METRIC_HISTOGRAM, .name = "b", .help = "B."};
        (void)came(rn_metrics_add_histogram(metrics, &spec, bounds, 3, &histogram));
        (void)came(rn_metrics_render(metrics, &page));
    }
    rn_oom_end();
    rn_metrics_del(metrics);
    rn_buffer_fini(&page);
}

typedef struct values {
    const char *address;
    uint64_t wait_ns;
} values;

static void use_settings(void *user) {
    static const rn_setting table[] = {{.option = "addr",
                                        .variable = "ADDR",
                                        .kind = RN_SETTING_ADDRESS,
                                        .value = "127.0.0.1:1",
                                        .help = "Where.",
                                        .offset = offsetof(values, address)},
                                       {.option = "wait",
                                        .kind = RN_SETTING_DURATION,
                                        .value = "1s",
                                        .help = "How long.",
                                        .offset = offsetof(values, wait_ns)}};
    static const rn_settings_spec spec = {
        .program = "p", .version = "1", .summary = "A program.", .table = table, .count = 2};
    static char *argv[] = {"p", "--wait=2s", NULL};
    static char *none[] = {NULL};
    static rn_settings settings;
    values got;
    rn_buffer text;
    (void)user;
    rn_buffer_init(&text, 1 << 20);
    rn_oom_begin();
    assert_int_equal(rn_settings_read(&settings, &spec, &got, 2, argv, none), RPCNET_OK);
    (void)came(rn_settings_help(&spec, &text));
    (void)came(rn_settings_markdown(&spec, &text));
    (void)came(rn_settings_man(&spec, &text));
    rn_oom_end();
    rn_buffer_fini(&text);
}

/* ---- quic, grpc, swap ---- */

static void use_send_ring(void *user) {
    static const uint8_t bytes[10000];
    rn_send_ring ring;
    (void)user;
    rn_send_ring_init(&ring, 1 << 20, NULL);
    rn_oom_begin();
    for (size_t len = 1; len < sizeof bytes; len += 997) {
        rn_bytes piece = rn_bytes_of(bytes, len);
        uint64_t end = ring.end;
        bool done = came(rn_send_ring_append(&ring, &piece, 1));
        assert_int_equal(ring.end - end, done ? len : 0);
        if (came(rn_send_ring_reserve(&ring, len))) {
            uint64_t failures = rn_oom_failures();
            assert_int_equal(rn_send_ring_append(&ring, &piece, 1), RPCNET_OK);
            assert_int_equal(rn_oom_failures(), failures);
        }
        rn_send_ring_sent(&ring, rn_send_ring_unsent(&ring));
        rn_send_ring_release(&ring, ring.next);
    }
    rn_oom_end();
    rn_send_ring_fini(&ring);
}

static void use_public_metadata(void *user) {
    rpcnet_metadata *metadata = NULL;
    (void)user;
    rn_oom_begin();
    if (came(rpcnet_metadata_new(&metadata))) {
        size_t count = 0;
        for (int i = 0; i < 40; i++) {
            char name[32];
            snprintf(name, sizeof name, "name-%d", i);
            count += came(rpcnet_metadata_add(metadata, name, "a value", 7));
        }
        assert_int_equal(rpcnet_metadata_count(metadata), count);
    }
    rn_oom_end();
    rpcnet_metadata_del(metadata);
}

/* A journal that had no memory has given up, and says so. */
static void use_journal(void *user) {
    rn_budget budget = {.limit = 1 << 20};
    rn_journal journal;
    rn_requests requests;
    (void)user;
    rn_journal_init(&journal, 1 << 20, 1 << 18, &budget);
    rn_requests_init(&requests, 1 << 20, 1 << 20, &budget);
    rn_oom_begin();
    for (int i = 0; i < MANY; i++) {
        int kept = rn_journal_append(&journal, rn_bytes_text("a message of some length"));
        assert_true(kept == RPCNET_ERR_STATE || came(kept) || journal.given_up);
        kept = rn_requests_append(&requests, rn_bytes_text("a request"));
        assert_true(kept == RPCNET_ERR_STATE || came(kept) || requests.given_up);
    }
    int result = rn_journal_checkpoint(&journal, journal.next - 1, rn_bytes_text("a state"));
    assert_true(came(result) ? rn_journal_resumable(&journal) : true);
    rn_oom_end();
    assert_int_equal(budget.used, rn_journal_memory(&journal) + rn_requests_memory(&requests));
    rn_journal_fini(&journal);
    rn_requests_fini(&requests);
    assert_int_equal(budget.used, 0);
}

static void use_assignment(void *user) {
    rn_swap_config config;
    rn_swap_counters counters = {0};
    rn_swap_stream stream;
    rn_buffer out;
    (void)user;
    rn_swap_config_default(&config);
    rn_swap_stream_init(&stream, &config, &counters, NULL, 1);
    rn_buffer_init(&out, 1 << 20);
    rn_oom_begin();
    (void)rn_swap_stream_open(&stream, 0, RN_NEVER);
    rn_swap_action action = rn_swap_stream_client_message(&stream, rn_bytes_text("request"));
    if (action.kind != RN_SWAP_END) {
        rn_assignment_call call = {.method = rn_bytes_text("/a/B")};
        rn_swap_stream_assign(&stream, 1, rn_bytes_text("worker"), 1000);
        if (!came(test_assignment_append(&out, &stream, &call, 0))) {
            assert_int_equal(out.len, 0);
        }
    } else {
        assert_int_equal(action.code, RN_SWAP_CODE_RESOURCE_EXHAUSTED);
    }
    rn_oom_end();
    rn_buffer_fini(&out);
    rn_swap_stream_fini(&stream);
}

/* ---- apps ---- */

static void use_json(void *user) {
    rn_buffer out;
    rn_json json;
    (void)user;
    rn_buffer_init(&out, 1 << 20);
    rn_oom_begin();
    rn_json_begin(&json, &out);
    for (int i = 0; i < MANY; i++) {
        rn_json_text(&json, "key", rn_bytes_text("a \"value\""));
        rn_json_number(&json, "n", 12345);
    }
    (void)came(rn_json_end(&json));
    rn_oom_end();
    rn_buffer_fini(&out);
}

static void use_tokens(void *user) {
    static const char text[] =
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 one\n"
        "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7 two\n";
    char error[RN_TOKENS_ERROR_MAX];
    rn_tokens *tokens = NULL;
    (void)user;
    rn_oom_begin();
    if (came(rn_tokens_parse(&tokens, rn_bytes_text(text), error))) {
        assert_string_equal(rn_tokens_match(tokens, rn_bytes_text("hello")), "one");
    }
    rn_oom_end();
    rn_tokens_del(tokens);
}

static void use_model(void *user) {
    rn_model *model = NULL;
    (void)user;
    rn_oom_begin();
    (void)came(rn_model_new(&model));
    rn_oom_end();
    rn_model_del(model);
}

/* ---- loop ---- */

static void on_time(void *user) {
    rpcnet_loop_stop(user);
}

static void receive(const rn_datagram *datagram, void *user) {
    assert_int_equal(datagram->len, 5);
    ++*(size_t *)user;
}

static void open_socket(rn_env *env, rn_udp **out, size_t *received) {
    static const rn_udp_handler handler = {.receive = receive};
    rn_udp_options options = {0};
    assert_int_equal(rn_address_parse(&options.bind, "127.0.0.1:0"), RPCNET_OK);
    if (!came(rn_env_udp_open(env, &options, &handler, received, out))) {
        *out = NULL;
    }
}

/* A datagram from one socket to the other, and the time. What the kernel loses is sent again. */
static void use_loop(void *user) {
    rpcnet_loop *loop = NULL;
    rn_timer *timer = NULL;
    rn_udp *sockets[2] = {NULL};
    size_t received = 0;
    (void)user;
    rn_oom_begin();
    int result = rpcnet_loop_new(&loop, "off");
    if (came(result)) {
        rn_env *env = rpcnet_loop_env(loop);
        open_socket(env, &sockets[0], &received);
        open_socket(env, &sockets[1], &received);
        if (came(rn_env_timer_new(env, on_time, loop, &timer))) {
            if (sockets[0] != NULL && sockets[1] != NULL) {
                rn_transmit transmit = {.remote = *env->ops->udp_address(sockets[1]),
                                        .data = (const uint8_t *)"12345",
                                        .len = 5,
                                        .segment_size = 5};
                (void)env->ops->udp_send(sockets[0], &transmit);
            }
            env->ops->timer_set(timer, rn_env_now(env) + RN_MILLISECOND);
            rpcnet_loop_run(loop);
        }
        for (size_t i = 0; i < 2; i++) {
            if (sockets[i] != NULL) {
                env->ops->udp_close(sockets[i]);
            }
        }
        env->ops->timer_del(timer);
    }
    rn_oom_end();
    rpcnet_loop_del(loop);
}

#define PART(name)                                                                                 \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        run(#name, use_##name);                                                                    \
    }

PART(map)
PART(containers)
PART(log)
PART(metrics)
PART(settings)
PART(send_ring)
PART(public_metadata)
PART(journal)
PART(assignment)
PART(json)
PART(tokens)
PART(model)
PART(loop)

int main(void) {
    const struct CMUnitTest tests[] = {RN_OOM_TEST(test_map),
                                       RN_OOM_TEST(test_containers),
                                       RN_OOM_TEST(test_log),
                                       RN_OOM_TEST(test_metrics),
                                       RN_OOM_TEST(test_settings),
                                       RN_OOM_TEST(test_send_ring),
                                       RN_OOM_TEST(test_public_metadata),
                                       RN_OOM_TEST(test_journal),
                                       RN_OOM_TEST(test_assignment),
                                       RN_OOM_TEST(test_json),
                                       RN_OOM_TEST(test_tokens),
                                       RN_OOM_TEST(test_model),
                                       RN_OOM_TEST(test_loop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
