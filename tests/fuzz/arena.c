/* arena: see the header. */
#include "fuzz/arena.h"

#include <stdio.h>

#include "rpcnet/error.h"

enum { STEPS_MAX = 300, TIME_MAX_MS = 4000, PAIRS_MAX = 8, PATH_TEXT_MAX = 1024 };

typedef struct pair {
    const char *name;
    rpcnet_credentials *credentials;
    rn_tls_context *tls;
} pair;

static void pair_files(const char *name, char crt[PATH_TEXT_MAX], char key[PATH_TEXT_MAX]) {
    (void)snprintf(crt, PATH_TEXT_MAX, "%s/%s.crt", RN_TEST_CERTS, name);
    (void)snprintf(key, PATH_TEXT_MAX, "%s/%s.key", RN_TEST_CERTS, name);
}

/* The names are literals, so their addresses are enough. */
static pair *find_pair(const char *name) {
    static pair pairs[PAIRS_MAX];
    static size_t count;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].name == name ||
            (name != NULL && pairs[i].name != NULL && strcmp(pairs[i].name, name) == 0)) {
            return &pairs[i];
        }
    }
    assert(count < PAIRS_MAX);
    pairs[count].name = name;
    return &pairs[count++];
}

const rpcnet_credentials *arena_credentials(const char *name) {
    pair *found = find_pair(name);
    if (found->credentials == NULL) {
        char crt[PATH_TEXT_MAX];
        char key[PATH_TEXT_MAX];
        char error[RPCNET_ERROR_TEXT_MAX];
        rpcnet_credentials_options options;
        rpcnet_credentials_options_init(&options);
        pair_files(name != NULL ? name : "", crt, key);
        options.certificate_file = name != NULL ? crt : NULL;
        options.key_file = name != NULL ? key : NULL;
        options.ca_file = RN_TEST_CERTS "/ca.crt";
        assert(rpcnet_credentials_new(&found->credentials, &options, error) == RPCNET_OK);
    }
    return found->credentials;
}

rn_tls_context *arena_tls(const char *name) {
    pair *found = find_pair(name);
    if (found->tls == NULL) {
        char crt[PATH_TEXT_MAX];
        char key[PATH_TEXT_MAX];
        char error[RN_TLS_ERROR_MAX];
        pair_files(name != NULL ? name : "", crt, key);
        rn_tls_config config = {.certificate_file = name != NULL ? crt : NULL,
                                .key_file = name != NULL ? key : NULL,
                                .ca_file = RN_TEST_CERTS "/ca.crt"};
        assert(rn_tls_context_new(&found->tls, &config, error) == RPCNET_OK);
    }
    return found->tls;
}

void arena_init(arena *a) {
    *a = (arena){.sim = rn_sim_new_quietly(1)};
    rn_sim_set_log_filter(a->sim, "info");
    a->env = rn_sim_host_new(a->sim, ARENA_PEER_HOST);
}

void arena_fini(arena *a) {
    rn_port_del(a->port);
    rn_sim_del(a->sim);
}

/* ---- the peer ---- */

static void on_accepted(rn_endpoint *endpoint, rn_conn *conn, void *user) {
    arena *a = user;
    (void)endpoint;
    if (a->peer.conn == NULL) {
        fuzz_peer_init(&a->peer, conn);
    }
}

static void open_port(arena *a, const char *alpn, const char *name) {
    bool server = name != NULL;
    rn_port_config config = {.endpoint = {.env = a->env,
                                          .tls = arena_tls(name),
                                          .alpn = alpn,
                                          .accept = server,
                                          .limits = RN_QUIC_LIMITS_DEFAULT,
                                          .accepted = on_accepted,
                                          .user = a}};
    rn_address *address = server ? &config.udp.bind : &config.udp.connect;
    const char *text = server ? ARENA_PEER_HOST ":61000" : ARENA_SERVER;
    memset(config.endpoint.secret, 7, sizeof config.endpoint.secret);
    assert(rn_address_parse(address, text) == RPCNET_OK);
    assert(rn_port_new(&a->port, &config) == RPCNET_OK);
}

void arena_peer_listen(arena *a, const char *alpn, const char *name) {
    open_port(a, alpn, name);
}

void arena_peer_connect(arena *a, const char *alpn) {
    rn_connect_options options = {.expect = {.identity = ARENA_IDENTITY}};
    rn_conn *conn = NULL;
    open_port(a, alpn, NULL);
    options.local = *rn_port_address(a->port);
    assert(rn_address_parse(&options.remote, ARENA_SERVER) == RPCNET_OK);
    assert(rn_endpoint_connect(rn_port_endpoint(a->port), &options, &conn) == RPCNET_OK);
    fuzz_peer_init(&a->peer, conn);
}

static bool is_established(void *user) {
    return ((arena *)user)->peer.established;
}

bool arena_establish(arena *a) {
    return rn_sim_run_until_done(a->sim, is_established, a, rn_sim_now(a->sim) + 5 * RN_SECOND);
}

/* ---- steps ---- */

static void set_network(arena *a, uint8_t what) {
    rn_sim_link link = {.latency_ns = 2 * RN_MILLISECOND,
                        .jitter_ns = what & 1 ? RN_MILLISECOND : 0,
                        .loss = what & 2 ? 0.2 : 0,
                        .duplicate = what & 4 ? 0.3 : 0,
                        .reorder = what & 8 ? 0.3 : 0,
                        .reorder_ns = 5 * RN_MILLISECOND,
                        .ecn_mark = what & 16 ? 0.5 : 0,
                        .mtu = what & 32 ? 1280 : 0};
    rn_sim_set_link(a->sim, ARENA_PEER_HOST, what & 64 ? ARENA_CLIENT_HOST : ARENA_SERVER_HOST,
                    &link);
}

static void rebind(arena *a) {
    char outer[RN_ADDRESS_TEXT_MAX];
    (void)snprintf(outer, sizeof outer, "203.0.113.7:%u", 4000 + a->rebinds++);
    (void)rn_sim_rebind(a->env, rn_address_port(rn_port_address(a->port)), outer);
}

void arena_play(arena *a, fuzz_input *input) {
    uint64_t left_ms = TIME_MAX_MS;
    for (unsigned turn = 0; turn < STEPS_MAX && input->len > 0; turn++) {
        unsigned step = fuzz_byte(input) % (FUZZ_PEER_STEPS + ARENA_STEPS);
        if (step < FUZZ_PEER_STEPS) {
            fuzz_peer_do(&a->peer, (enum fuzz_peer_step)step, input);
        } else if (step == FUZZ_PEER_STEPS + ARENA_TIME) {
            uint64_t ms = 2 * (uint64_t)fuzz_byte(input);
            ms = ms < left_ms ? ms : left_ms;
            left_ms -= ms;
            rn_sim_run_for(a->sim, ms * RN_MILLISECOND);
        } else if (step == FUZZ_PEER_STEPS + ARENA_NETWORK) {
            set_network(a, fuzz_byte(input));
        } else {
            rebind(a);
        }
    }
    rn_sim_run_for(a->sim, 200 * RN_MILLISECOND);
}
