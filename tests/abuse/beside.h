/* beside: the honest client that lives through all attacks of a test, on one connection and one
 * stream. */
#ifndef TESTS_ABUSE_BESIDE_H
#define TESTS_ABUSE_BESIDE_H

#include "abuse/raw_peer.h"
#include "sim/rpc_world.h"

static inline world *beside_start(probe *honest) {
    world *w = world_start(1);
    *honest = (probe){.piece = 100};
    call_to(w, honest, "/t/Echo");
    run_ms(w, 500);
    return w;
}

/* The stream goes on, on the connection that it has had from the beginning. */
static inline void beside_check(world *w, probe *honest) {
    rpcnet_channel_stats stats;
    unsigned before = honest->messages;
    honest->to_send += honest->piece;
    probe_pump(honest);
    run_ms(w, 100);
    rpcnet_channel_get_stats(w->channel, &stats);
    assert_int_equal(honest->messages, before + 1);
    assert_false(honest->wrong);
    assert_int_equal(stats.handshakes_completed, 1);
    assert_int_equal(honest->statuses, 0);
}

/* What the attackers left behind has gone with their connections. */
static inline void beside_end(world *w, probe *honest) {
    rpcnet_server_stats stats;
    run_ms(w, 60000);
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.connections_open, 1);
    assert_int_equal(stats.calls_open, 1);
    probe_del(honest);
    world_del(w);
}

/* An attacker on the client's machine. Its process is gone after beside_detach. */
static inline void beside_attach(world *w, raw_peer *peer, const char *alpn) {
    raw_options options = {
        .alpn = alpn, .connect = SERVER_ADDRESS, .expect = {.identity = IDENTITY}};
    raw_peer_start(peer, w->sim, rn_sim_host_new(w->sim, CLIENT_HOST), &options);
    raw_peer_settle(peer);
}

static inline void beside_detach(raw_peer *peer) {
    raw_peer_stop(peer);
    rn_sim_host_kill(peer->env);
}

#endif
