/* worker_fixture: a worker as a whole, without a network: a director's frames in, a worker's out.
 */
#ifndef TESTS_UNIT_APPS_WORKER_FIXTURE_H
#define TESTS_UNIT_APPS_WORKER_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/message.h"
#include "connection_swap.pb-c.h"
#include "support/fake_rpc.h"
#include "swap/reason.h"
#include "worker/worker.h"

enum { INTERVAL_MS = 100, LOG_MAX = 1 << 20, FOREVER_CREDIT = 1 << 30 };

typedef struct fixture {
    fake_env env;
    rn_worker worker;
    rn_buffer log;
    char certs[64];
    char option[96];
} fixture;

static inline uint64_t wall(void *user) {
    (void)user;
    return 0;
}

static inline bool keep_line(const char *line, size_t len, void *user) {
    return rn_buffer_append(user, line, len) == RPCNET_OK;
}

static inline void make_file(const char *folder, const char *name, const char *text) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *const files[] = {"ca.crt", "worker-a.crt", "worker-a.key", "cluster.secret"};

static inline int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    rn_program *program = &f->worker.program;
    const rn_program_spec *spec = rn_worker_spec();
    rn_buffer_init(&f->log, LOG_MAX);
    snprintf(f->certs, sizeof f->certs, "/tmp/rpcnet-worker-XXXXXX");
    assert_non_null(mkdtemp(f->certs));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        make_file(f->certs, files[i],
                  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
    }
    fake_world_reset();
    strcpy(fake_world_get()->credentials.identity, "rpcnet://role/worker/worker-a");
    /* What rn_program_start does, on the fake env. */
    char name[] = "worker";
    snprintf(f->option, sizeof f->option, "--certs-dir=%s", f->certs);
    char max[] = "--streams-max=2";
    char *argv[] = {name, f->option, max, NULL};
    char *envp[] = {NULL};
    assert_int_equal(
        rn_settings_read(&program->settings, spec->settings, &f->worker.config, 3, argv, envp),
        RPCNET_OK);
    program->spec = spec;
    program->target = spec->target;
    program->common = &f->worker.config.common;
    rn_log_sink sink = {.wall = wall, .write = keep_line, .user = &f->log};
    assert_int_equal(rn_log_new(&program->log, "info", &sink, NULL), RPCNET_OK);
    fake_env_init(&f->env, program->log);
    program->env = &f->env.env;
    assert_int_equal(rn_worker_open(&f->worker), RPCNET_OK);
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    fixture *f = *state;
    char path[160];
    rn_worker_close(&f->worker);
    assert_int_equal(fake_env_timers(&f->env), 0);
    rn_log_del(f->worker.program.log);
    rn_buffer_fini(&f->log);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", f->certs, files[i]);
        unlink(path);
    }
    rmdir(f->certs);
    fake_world_reset();
    free(f);
    return 0;
}

static inline bool logged(fixture *f, const char *text) {
    rn_buffer_append(&f->log, "", 1);
    f->log.len--;
    return strstr((const char *)f->log.data, text) != NULL;
}

static inline rpcnet_call *serve(fixture *f) {
    rpcnet_call *call = fake_call_new(RN_ROLE_DIRECTOR);
    rn_task_serve(f->worker.user, call, &f->worker);
    return call;
}

static inline void give(rpcnet_call *call, const rn_director_frame *frame) {
    rn_buffer bytes;
    rn_buffer_init(&bytes, 16 << 20);
    assert_int_equal(rn_director_frame_append(&bytes, frame), RPCNET_OK);
    call->callbacks->on_message(call, bytes.data, bytes.len, call->user);
    rn_buffer_fini(&bytes);
}

/* An assignment of a stream of `tokens` tokens, of which nothing was delivered. */
static inline void assign(rpcnet_call *call, uint64_t tokens, uint64_t credit,
                          rn_director_frame *out) {
    char prompt[] = "prompt-7";
    ConnectionSwap__GenerateRequest request = CONNECTION_SWAP__GENERATE_REQUEST__INIT;
    request.prompt = prompt;
    request.tokens = tokens;
    rn_buffer packed;
    rn_records records;
    rn_buffer_init(&packed, 4096);
    rn_message_pack(&packed, &request.base);
    rn_records_init(&records, RN_ASSIGNMENT_CLIENT_MESSAGES, 4096, NULL);
    rn_records_append(&records, rn_buffer_bytes(&packed));
    *out = (rn_director_frame){
        .kind = RN_DIRECTOR_ASSIGNMENT,
        .assignment = {.connection_id = rn_bytes_text("conn-1"),
                       .stream_id = 1,
                       .director_epoch = 1,
                       .attempt = 1,
                       .method = rn_bytes_text("/connection_swap.Inference/Generate"),
                       .client_messages = rn_records_list(&records),
                       .half_closed = true,
                       .next_sequence = 1,
                       .delivered_from = 1,
                       .credit = credit}};
    if (call != NULL) {
        give(call, out);
    }
    rn_records_fini(&records);
    rn_buffer_fini(&packed);
}

static inline rn_worker_frame frame_at(const rpcnet_call *call, size_t index) {
    rn_worker_frame frame;
    assert_int_equal(rn_worker_frame_parse(&frame, fake_call_message(call, index)), RPCNET_OK);
    return frame;
}

static inline void end_call(rpcnet_call *call) {
    if (!call->deleted) {
        call->callbacks->on_closed(call, call->user);
    }
    assert_true(call->deleted);
    fake_call_free(call);
}

#endif
