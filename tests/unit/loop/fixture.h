/* A loop with a log in memory, and a socket that remembers what it received. */
#ifndef RN_TESTS_LOOP_FIXTURE_H
#define RN_TESTS_LOOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop/loop.h"
#include "rpcnet/error.h"

enum { FIXTURE_LOG_MAX = 8192, PEER_DATAGRAMS_MAX = 1024, PEER_BYTES_MAX = 2048 };

typedef struct fixture {
    rn_loop *loop;
    rn_env *env;
    rn_log *log;
    size_t log_len;
    char log_text[FIXTURE_LOG_MAX];
} fixture;

static inline uint64_t fixture_wall(void *user) {
    (void)user;
    return 0;
}

static inline bool fixture_write(const char *line, size_t len, void *user) {
    fixture *at = user;
    assert_true(at->log_len + len < FIXTURE_LOG_MAX);
    memcpy(at->log_text + at->log_len, line, len);
    at->log_len += len;
    at->log_text[at->log_len] = '\0';
    return true;
}

static inline fixture *fixture_new(rn_loop_options options) {
    fixture *at = calloc(1, sizeof *at);
    assert_non_null(at);
    rn_log_sink sink = {.wall = fixture_wall, .write = fixture_write, .user = at};
    assert_int_equal(rn_log_new(&at->log, "trace", &sink, NULL), RPCNET_OK);
    options.log = at->log;
    assert_int_equal(rn_loop_new(&at->loop, &options), RPCNET_OK);
    at->env = rn_loop_env(at->loop);
    return at;
}

static inline void fixture_del(fixture *at) {
    rn_loop_del(at->loop);
    rn_log_del(at->log);
    free(at);
}

typedef struct peer {
    fixture *at;
    rn_udp *udp;
    size_t stop_at;  /* stops the loop when so many datagrams are there; 0: never */
    size_t close_at; /* closes itself inside the callback of this datagram; 0: never */
    bool echo;
    bool stop_when_writable;
    size_t count;
    size_t batches;
    size_t unreachable;
    size_t before_unreachable; /* datagrams that had come by then */
    size_t writable;
    rn_datagram last;
    size_t lens[PEER_DATAGRAMS_MAX];
    uint8_t ecns[PEER_DATAGRAMS_MAX];
    uint8_t first_bytes[PEER_DATAGRAMS_MAX];
} peer;

static inline int peer_send(peer *from, const rn_address *remote, const void *data, size_t len,
                            size_t segment_size, uint8_t ecn) {
    rn_transmit transmit = {
        .remote = *remote, .ecn = ecn, .data = data, .len = len, .segment_size = segment_size};
    return from->at->env->ops->udp_send(from->udp, &transmit);
}

static inline void peer_receive(const rn_datagram *datagram, void *user) {
    peer *at = user;
    assert_true(at->count < PEER_DATAGRAMS_MAX);
    at->lens[at->count] = datagram->len;
    at->ecns[at->count] = datagram->ecn;
    at->first_bytes[at->count] = datagram->len > 0 ? datagram->data[0] : 0;
    at->last = *datagram;
    at->count++;
    if (at->echo) {
        assert_int_equal(peer_send(at, &datagram->remote, datagram->data, datagram->len,
                                   datagram->len, datagram->ecn),
                         RPCNET_OK);
    }
    memset(datagram->data, 0xee, datagram->len); /* the callback may overwrite the bytes */
    if (at->count == at->stop_at) {
        rn_loop_stop(at->at->loop);
    }
    if (at->count == at->close_at) {
        at->at->env->ops->udp_close(at->udp);
        at->udp = NULL;
    }
}

static inline void peer_batch_end(void *user) {
    ((peer *)user)->batches++;
}

static inline void peer_unreachable(void *user) {
    peer *at = user;
    at->unreachable++;
    at->before_unreachable = at->count;
    rn_loop_stop(at->at->loop);
}

static inline void peer_writable(void *user) {
    peer *at = user;
    at->writable++;
    if (at->stop_when_writable) {
        rn_loop_stop(at->at->loop);
    }
}

static inline int peer_try_open(peer *out, fixture *at, const char *bind_to,
                                const rn_address *connect_to) {
    *out = (peer){.at = at};
    rn_udp_options options = {0};
    if (bind_to != NULL) {
        assert_int_equal(rn_address_parse(&options.bind, bind_to), RPCNET_OK);
    }
    if (connect_to != NULL) {
        options.connect = *connect_to;
    }
    rn_udp_handler handler = {.receive = peer_receive,
                              .batch_end = peer_batch_end,
                              .unreachable = peer_unreachable,
                              .writable = peer_writable};
    return rn_env_udp_open(at->env, &options, &handler, out, &out->udp);
}

static inline void peer_open(peer *out, fixture *at, const char *bind_to,
                             const rn_address *connect_to) {
    assert_int_equal(peer_try_open(out, at, bind_to, connect_to), RPCNET_OK);
}

static inline const rn_address *peer_address(const peer *at) {
    return at->at->env->ops->udp_address(at->udp);
}

/* A machine without IPv6 cannot run the tests about it. */
static inline void skip_without(fixture *at, const char *bind_to) {
    peer probe;
    if (peer_try_open(&probe, at, bind_to, NULL) == RPCNET_ERR_ADDRESS) {
        fixture_del(at);
        skip();
        abort(); /* skip does not return */
    }
    at->env->ops->udp_close(probe.udp);
}

#endif
