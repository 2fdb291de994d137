/* net_world: a simulated world of two machines with a socket each, which remember what came, for
 * the tests of the simulation itself. */
#ifndef RN_TESTS_SIM_NET_WORLD_H
#define RN_TESTS_SIM_NET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpcnet/error.h"
#include "sim/net.h"

enum { SEEN_MAX = 4096 };

typedef struct peer {
    rn_env *env;
    rn_udp *udp;
    bool echo;
    size_t close_at;
    size_t kill_at;
    size_t count;
    size_t batches;
    size_t unreachable;
    uint64_t unreachable_time;
    size_t writable;
    rn_datagram last;
    uint32_t numbers[SEEN_MAX];
    uint64_t times[SEEN_MAX];
    size_t marked;
    size_t last_len;
} peer;

static inline int send_bytes(peer *from, const rn_address *to, const void *data, size_t len,
                             size_t segment_size, uint8_t ecn) {
    rn_transmit transmit = {
        .remote = *to, .ecn = ecn, .data = data, .len = len, .segment_size = segment_size};
    return from->env->ops->udp_send(from->udp, &transmit);
}

static inline int send_number(peer *from, const rn_address *to, uint32_t number) {
    return send_bytes(from, to, &number, sizeof number, sizeof number, RN_ECN_ECT0);
}

static inline void on_receive(const rn_datagram *datagram, void *user) {
    peer *at = user;
    assert_true(at->count < SEEN_MAX);
    if (datagram->len >= sizeof(uint32_t)) {
        memcpy(&at->numbers[at->count], datagram->data, sizeof(uint32_t));
    }
    at->times[at->count] = rn_env_now(at->env);
    at->last = *datagram;
    at->last_len = datagram->len;
    at->marked += datagram->ecn == RN_ECN_CE;
    at->count++;
    if (at->echo) {
        send_bytes(at, &datagram->remote, datagram->data, datagram->len, datagram->len, 0);
    }
    memset(datagram->data, 0xee, datagram->len);
    if (at->count == at->close_at) {
        at->env->ops->udp_close(at->udp);
        at->udp = NULL;
    }
    if (at->count == at->kill_at) {
        rn_sim_host_kill(at->env);
    }
}

static inline void on_batch_end(void *user) {
    ((peer *)user)->batches++;
}

static inline void on_unreachable(void *user) {
    peer *at = user;
    at->unreachable++;
    at->unreachable_time = rn_env_now(at->env);
}

static inline void on_writable(void *user) {
    ((peer *)user)->writable++;
}

static inline int try_open(peer *out, rn_env *env, const char *bind_to,
                           const rn_address *connect_to) {
    memset(out, 0, sizeof *out);
    out->env = env;
    rn_udp_options options = {0};
    if (bind_to != NULL) {
        assert_int_equal(rn_address_parse(&options.bind, bind_to), RPCNET_OK);
    }
    if (connect_to != NULL) {
        options.connect = *connect_to;
    }
    rn_udp_handler handler = {.receive = on_receive,
                              .batch_end = on_batch_end,
                              .unreachable = on_unreachable,
                              .writable = on_writable};
    return rn_env_udp_open(env, &options, &handler, out, &out->udp);
}

/* A world of two machines with a socket each. */
typedef struct world {
    rn_sim *sim;
    peer a; /* 10.0.0.1:1000 */
    peer b; /* 10.0.0.2:2000 */
    rn_address a_address;
    rn_address b_address;
} world;

static inline world *world_new(uint64_t seed) {
    world *in = calloc(1, sizeof *in);
    assert_non_null(in);
    in->sim = rn_sim_new(seed);
    assert_int_equal(try_open(&in->a, rn_sim_host_new(in->sim, "10.0.0.1"), "10.0.0.1:1000", NULL),
                     RPCNET_OK);
    assert_int_equal(try_open(&in->b, rn_sim_host_new(in->sim, "10.0.0.2"), "0.0.0.0:2000", NULL),
                     RPCNET_OK);
    assert_int_equal(rn_address_parse(&in->a_address, "10.0.0.1:1000"), RPCNET_OK);
    assert_int_equal(rn_address_parse(&in->b_address, "10.0.0.2:2000"), RPCNET_OK);
    return in;
}

static inline void world_del(world *in) {
    rn_sim_del(in->sim);
    free(in);
}

static inline void run_all(world *in) {
    assert_true(rn_sim_run_until_idle(in->sim, UINT64_MAX));
}

static inline void send_numbers(world *in, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(send_number(&in->a, &in->b_address, i), RPCNET_OK);
        rn_sim_run_for(in->sim, 10 * RN_MICROSECOND);
    }
}

static inline bool in_order(const peer *at) {
    for (size_t i = 1; i < at->count; i++) {
        if (at->numbers[i] < at->numbers[i - 1]) {
            return false;
        }
    }
    return true;
}

typedef struct alarm_clock {
    rn_env *env;
    rn_timer *timer;
    int name;
    int *calls;
    size_t *count;
    struct alarm_clock *victim;
    unsigned again;
    uint64_t time; /* of the last call, by its own clock */
} alarm_clock;

static inline void on_alarm(void *user) {
    alarm_clock *at = user;
    at->calls[(*at->count)++] = at->name;
    at->time = rn_env_now(at->env);
    if (at->victim != NULL) {
        at->env->ops->timer_del(at->victim->timer);
        at->victim->timer = NULL;
    }
    if (at->again > 0) {
        at->again--;
        at->env->ops->timer_set(at->timer, 0);
    }
}

#endif
