/* relay_fixture: a director's relay without a network: its data plane over calls that a test plays,
 * and short words for what either side says. */
#ifndef TESTS_UNIT_APPS_RELAY_FIXTURE_H
#define TESTS_UNIT_APPS_RELAY_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "director/data/data.h"
#include "grpc/status.h"
#include "rpcnet/error.h"
#include "support/fake_rpc.h"
#include "swap/frames.h"

enum { WORKERS = 2, LOG_MAX = 1 << 20, WINDOW = 1 << 18, MIB = 1 << 20 };

typedef struct fixture {
    fake_env env;
    rn_data data;
    rn_data_options options;
    rn_pool_snapshot snapshot;
    rn_log *logs;
    rn_buffer log;
    rpcnet_call *client;
    uint8_t secret[RPCNET_SECRET_LEN];
} fixture;

static inline uint64_t wall(void *user) {
    (void)user;
    return 0;
}

static inline bool keep_line(const char *line, size_t len, void *user) {
    return rn_buffer_append(user, line, len) == RPCNET_OK;
}

static inline void observe(void *user, uint64_t worker, enum rn_pool_sight sight) {
    (void)user;
    (void)worker;
    (void)sight;
}

static inline void start(fixture *f) {
    assert_int_equal(rn_data_start(&f->data, &f->options), RPCNET_OK);
    rn_data_pool_changed(&f->data);
    fake_env_advance(&f->env, 0);
}

static inline int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    rn_buffer_init(&f->log, LOG_MAX);
    rn_log_sink sink = {.wall = wall, .write = keep_line, .user = &f->log};
    assert_int_equal(rn_log_new(&f->logs, "info", &sink, NULL), RPCNET_OK);
    fake_world_reset();
    fake_env_init(&f->env, f->logs);
    f->snapshot.count = WORKERS;
    for (size_t i = 0; i < WORKERS; i++) {
        rn_pool_worker *worker = &f->snapshot.workers[i];
        *worker = (rn_pool_worker){.id = i + 1, .state = RN_PICK_READY};
        strcpy(worker->label, i == 0 ? "worker-a" : "worker-b");
        strcpy(worker->user_addr, "127.0.0.1:1");
    }
    f->options = (rn_data_options){.env = &f->env.env,
                                   .credentials = &fake_world_get()->credentials,
                                   .secret = f->secret,
                                   .epoch = 1,
                                   .stall_min_ns = RN_SECOND,
                                   .assign_timeout_ns = RN_SECOND,
                                   .memory_max = UINT64_C(64) * MIB,
                                   .queue_max = UINT64_C(8) * MIB,
                                   .waiting_max = 10,
                                   .message_max = RN_RELAY_MESSAGE_MAX,
                                   .snapshot = &f->snapshot,
                                   .observe = observe};
    rn_swap_config_default(&f->options.swap);
    rn_detector_config_default(&f->options.detector);
    *state = f;
    start(f);
    return 0;
}

static inline int teardown(void **state) {
    fixture *f = *state;
    rn_data_stop(&f->data);
    assert_int_equal(f->data.budget.used, 0);
    assert_int_equal(fake_env_timers(&f->env), 0);
    rn_log_del(f->logs);
    rn_buffer_fini(&f->log);
    if (f->client != NULL) {
        assert_true(f->client->deleted);
        fake_call_free(f->client);
    }
    fake_world_reset();
    free(f);
    return 0;
}

static inline bool logged(fixture *f, const char *text) {
    assert_int_equal(rn_buffer_append(&f->log, "", 1), RPCNET_OK);
    f->log.len--;
    return strstr((const char *)f->log.data, text) != NULL;
}

/* ---- the two sides ---- */

static inline void client_says(fixture *f, size_t len) {
    uint8_t *bytes = calloc(1, len + 1);
    f->client->callbacks->on_message(f->client, bytes, len, f->client->user);
    free(bytes);
}

static inline void client_ends_its_request(fixture *f) {
    f->client->callbacks->on_half_close(f->client, f->client->user);
}

static inline void client_ends(fixture *f, int code) {
    f->client->callbacks->on_cancelled(f->client, code, f->client->user);
}

static inline void call(fixture *f) {
    f->client = fake_call_new("");
    rn_data_serve(&fake_world_get()->servers[0], f->client, &f->data);
}

static inline rn_relay *relay_of(const fixture *f) {
    assert_int_equal(f->data.relays_count, 1);
    return RN_CONTAINER_OF(f->data.relays.next, rn_relay, link);
}

/* The present attempt's call. */
static inline rpcnet_call *worker_of(const fixture *f) {
    rpcnet_call *worker = relay_of(f)->worker;
    assert_non_null(worker);
    return worker;
}

static inline void worker_call_says(rpcnet_call *worker, const rn_worker_frame *frame) {
    rn_buffer bytes;
    rn_buffer_init(&bytes, (size_t)8 * MIB);
    assert_int_equal(rn_worker_frame_append(&bytes, frame), RPCNET_OK);
    worker->callbacks->on_message(worker, bytes.data, bytes.len, worker->user);
    rn_buffer_fini(&bytes);
}

static inline void worker_says(const fixture *f, const rn_worker_frame *frame) {
    worker_call_says(worker_of(f), frame);
}

static inline void worker_call_sends(rpcnet_call *worker, uint64_t sequence, size_t len) {
    uint8_t *payload = calloc(1, len + 1);
    worker_call_says(worker, &(rn_worker_frame){.kind = RN_WORKER_MESSAGE,
                                                .message = {sequence, rn_bytes_of(payload, len)}});
    free(payload);
}

static inline void worker_sends(const fixture *f, uint64_t sequence, size_t len) {
    worker_call_sends(worker_of(f), sequence, len);
}

static inline void worker_is_done(const fixture *f, rn_bytes message) {
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_DONE, .done = {.message = message}});
}

/* The fake counts all that it ever got as a call's memory; a real one has it acknowledged. */
static inline void all_is_acknowledged(fixture *f) {
    for (rn_list *link = f->data.relays.next; link != &f->data.relays; link = link->next) {
        rn_relay *relay = RN_CONTAINER_OF(link, rn_relay, link);
        if (relay->worker != NULL) {
            rn_buffer_fini(&relay->worker->bytes);
        }
        rn_buffer_fini(&relay->client->bytes);
    }
}

static inline void restart_with(fixture *f, size_t requests, size_t queue) {
    rn_data_stop(&f->data);
    f->options.swap.requests_limit = requests;
    f->options.swap.queue_limit = queue;
    start(f);
}

/* A stream that flows from its first worker, with one message of the client. */
static inline void flow(fixture *f) {
    call(f);
    client_says(f, 10);
    fake_env_advance(&f->env, 0);
    worker_says(f, &(rn_worker_frame){.kind = RN_WORKER_EVENT, .event = rn_bytes_text("hello")});
    assert_int_equal(f->client->sent, 1);
}

/* The last frame that the present worker got. */
static inline rn_director_frame last_frame(const fixture *f) {
    rn_director_frame frame;
    const rpcnet_call *worker = worker_of(f);
    assert_int_equal(rn_director_frame_parse(&frame, fake_call_message(worker, worker->sent - 1)),
                     RPCNET_OK);
    return frame;
}

#endif
