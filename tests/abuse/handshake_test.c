/* Handshakes as a client must not make them: frames and bits that a Handshake packet must not have,
 * TLS messages that have no place in QUIC, transport parameters that are not there, 0-RTT that was
 * not offered. Beside all of them one honest client keeps its connection. */
#include <dlfcn.h>

#include <gnutls/gnutls.h>

#include "abuse/beside.h"
#include "abuse/forge.h"
#include "quic/conn_internal.h"

/* RFC 9000, section 20.1; 0x100 and more are TLS alerts (RFC 9001, section 4.8). */
enum {
    IGNORED = 0,
    FRAME_ENCODING_ERROR = 0x7,
    PROTOCOL_VIOLATION = 0xa,
    CRYPTO_BUFFER_EXCEEDED = 0xd,
    UNEXPECTED_MESSAGE = 0x10a,
    DECRYPT_ERROR = 0x133,
    MISSING_EXTENSION = 0x16d
};

#define TOKEN "*77:16"

typedef struct forged {
    const char *name;
    const char *frames; /* in place of those that the client means to send; PADDING follows */
    uint64_t code;
    unsigned first_bits;
} forged;

static const forged handshake_packets[] = {
    {"reserved bit 0x04 in Handshake", "01", PROTOCOL_VIOLATION, 0x04},
    {"reserved bit 0x08 in Handshake", "01", PROTOCOL_VIOLATION, 0x08},
    {"PATH_CHALLENGE in Handshake", "1a *61:8", PROTOCOL_VIOLATION, 0},
    {"PATH_RESPONSE in Handshake", "1b *61:8", PROTOCOL_VIOLATION, 0},
    {"STREAM in Handshake", "0a v0 v1 61", PROTOCOL_VIOLATION, 0},
    {"RESET_STREAM in Handshake", "04 v0 v0 v0", PROTOCOL_VIOLATION, 0},
    {"STOP_SENDING in Handshake", "05 v0 v0", PROTOCOL_VIOLATION, 0},
    {"MAX_DATA in Handshake", "10 v9", PROTOCOL_VIOLATION, 0},
    {"MAX_STREAM_DATA in Handshake", "11 v0 v9", PROTOCOL_VIOLATION, 0},
    {"MAX_STREAMS in Handshake", "12 v9", PROTOCOL_VIOLATION, 0},
    {"DATA_BLOCKED in Handshake", "14 v9", PROTOCOL_VIOLATION, 0},
    {"STREAM_DATA_BLOCKED in Handshake", "15 v0 v9", PROTOCOL_VIOLATION, 0},
    {"STREAMS_BLOCKED in Handshake", "16 v9", PROTOCOL_VIOLATION, 0},
    {"NEW_CONNECTION_ID in Handshake", "18 v1 v0 08 *61:8 " TOKEN, PROTOCOL_VIOLATION, 0},
    {"RETIRE_CONNECTION_ID in Handshake", "19 v0", PROTOCOL_VIOLATION, 0},
    {"NEW_TOKEN in Handshake", "07 v1 61", PROTOCOL_VIOLATION, 0},
    {"HANDSHAKE_DONE in Handshake", "1e", PROTOCOL_VIOLATION, 0},
    {"an application's CONNECTION_CLOSE in Handshake", "1d v0 v0", PROTOCOL_VIOLATION, 0},
    {"an unknown frame in Handshake", "1f", FRAME_ENCODING_ERROR, 0},
    {"a frame that is cut in Handshake", "06 v0 v1000", FRAME_ENCODING_ERROR, 0},
    {"ACK of what was never sent in Handshake", "02 v100000 v0 v0 v0", PROTOCOL_VIOLATION, 0},
    {"CRYPTO that nobody can keep in Handshake", "06 v10000000 v1 61", CRYPTO_BUFFER_EXCEEDED, 0},
    {"a TLS KeyUpdate in Handshake", "06 v0 v5 1800000100", UNEXPECTED_MESSAGE, 0},
    {"a TLS EndOfEarlyData", "06 v0 v4 05000000", UNEXPECTED_MESSAGE, 0},
    {"a TLS Finished that is wrong", "06 v0 v36 14000020 *61:32", DECRYPT_ERROR, 0},
};

/* ---- what the client seals ---- */

static struct {
    const forged *forgery; /* NULL: nothing is changed */
    const raw_peer *peer;
} sealing;

static bool is_handshake_of(const raw_peer *peer, const uint8_t *header, size_t len) {
    const ngtcp2_cid *own = &peer->conn->own_ids[0].id;
    size_t destination_len = header[5];
    size_t at = 6 + destination_len;
    return (header[0] & 0xf0) == 0xe0 && at + 1 + own->datalen <= len &&
           header[at] == own->datalen && memcmp(header + at + 1, own->data, own->datalen) == 0;
}

typedef int seal_fn(uint8_t *out, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *key,
                    const uint8_t *plain, size_t len, const uint8_t *nonce, size_t nonce_len,
                    const uint8_t *ad, size_t ad_len);
seal_fn __real_rn_tls_handshake_seal;
seal_fn __wrap_rn_tls_handshake_seal;

/* The linker leads the product's calls here. The header lies in the packet that is being made. */
int __wrap_rn_tls_handshake_seal(uint8_t *out, const ngtcp2_crypto_aead *aead,
                                 const ngtcp2_crypto_aead_ctx *key, const uint8_t *plain,
                                 size_t len, const uint8_t *nonce, size_t nonce_len,
                                 const uint8_t *ad, size_t ad_len) {
    uint8_t changed[FORGE_DATAGRAM_MAX] = {0};
    const forged *f = sealing.forgery;
    if (f != NULL && sealing.peer->conn != NULL && (ad[0] & 0x80) != 0 && len > 0 &&
        is_handshake_of(sealing.peer, ad, ad_len)) {
        rn_buffer frames;
        rn_buffer_init(&frames, sizeof changed);
        script_bytes(f->frames, &frames);
        assert_true(frames.len <= len && len <= sizeof changed);
        memcpy(changed, frames.data, frames.len);
        rn_buffer_fini(&frames);
        *(uint8_t *)(uintptr_t)ad ^= (uint8_t)f->first_bits;
        plain = changed;
    }
    return __real_rn_tls_handshake_seal(out, aead, key, plain, len, nonce, nonce_len, ad, ad_len);
}

static void start(world *w, raw_peer *peer) {
    raw_options options = {
        .alpn = "h3", .connect = SERVER_ADDRESS, .expect = {.identity = IDENTITY}};
    raw_peer_start(peer, w->sim, rn_sim_host_new(w->sim, CLIENT_HOST), &options);
}

static bool judge(const char *name, const raw_peer *peer, uint64_t code) {
    bool right = peer->closed && peer->close.cause == RN_CLOSE_PEER && !peer->close.application &&
                 peer->close.code == code;
    if (!right) {
        print_error("%s: closed %d, cause %d, application %d, code 0x%llx (%s)\n", name,
                    peer->closed, peer->close.cause, peer->close.application,
                    (unsigned long long)peer->close.code, peer->close.text);
    }
    return right;
}

static void frames_in_handshake_packets(void **state) {
    probe honest;
    world *w = beside_start(&honest);
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof handshake_packets / sizeof handshake_packets[0]; i++) {
        static raw_peer peer;
        start(w, &peer);
        sealing.peer = &peer;
        sealing.forgery = &handshake_packets[i];
        /* The client may think that it is connected: it has sent its last word. */
        run_ms(w, 300);
        sealing.forgery = NULL;
        failures += !judge(handshake_packets[i].name, &peer, handshake_packets[i].code);
        beside_detach(&peer);
        beside_check(w, &honest);
    }
    assert_int_equal(failures, 0);
    beside_end(w, &honest);
}

/* ---- the extension that carries the transport parameters ---- */

typedef struct extension {
    const char *name;
    int id; /* in place of the right one; 0: it is left out */
    uint64_t code;
} extension;

static const extension extensions[] = {
    {"no transport parameters", 0, MISSING_EXTENSION},
    {"transport parameters under the number of a draft", 0xffa5, MISSING_EXTENSION},
};

/* What becomes of the extension of the session that is being made; NULL: nothing. */
static const extension *registering;

static int send_nothing(gnutls_session_t session, gnutls_buffer_t out) {
    (void)session;
    (void)out;
    return 0;
}

/* Stands before GnuTLS' function of this name, which ngtcp2's glue calls. */
int gnutls_session_ext_register(gnutls_session_t session, const char *name, int type,
                                gnutls_ext_parse_type_t parse_point, gnutls_ext_recv_func recv_func,
                                gnutls_ext_send_func send_func,
                                gnutls_ext_deinit_data_func deinit_func,
                                gnutls_ext_pack_func pack_func, gnutls_ext_unpack_func unpack_func,
                                unsigned flags) {
    int (*real)(gnutls_session_t, const char *, int, gnutls_ext_parse_type_t, gnutls_ext_recv_func,
                gnutls_ext_send_func, gnutls_ext_deinit_data_func, gnutls_ext_pack_func,
                gnutls_ext_unpack_func, unsigned);
    void *symbol = dlsym(RTLD_NEXT, "gnutls_session_ext_register");
    memcpy(&real, &symbol, sizeof real);
    if (registering != NULL && registering->id == 0) {
        send_func = send_nothing;
    } else if (registering != NULL) {
        type = registering->id;
    }
    return real(session, name, type, parse_point, recv_func, send_func, deinit_func, pack_func,
                unpack_func, flags);
}

static void missing_transport_parameters(void **state) {
    probe honest;
    world *w = beside_start(&honest);
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        static raw_peer peer;
        registering = &extensions[i];
        start(w, &peer);
        registering = NULL;
        raw_peer_settle(&peer);
        failures += !judge(extensions[i].name, &peer, extensions[i].code);
        beside_detach(&peer);
        beside_check(w, &honest);
    }
    assert_int_equal(failures, 0);
    beside_end(w, &honest);
}

/* A server that sends none: the client ends the handshake. */
static void a_server_without_transport_parameters(void **state) {
    static raw_peer server;
    static raw_peer client;
    rn_sim *sim = rn_sim_new(rn_sim_seed(2));
    raw_options listen = {.certificate = "director", .alpn = "h3", .bind = SERVER_ADDRESS};
    raw_options connect = {
        .alpn = "h3", .connect = SERVER_ADDRESS, .expect = {.identity = IDENTITY}};
    (void)state;
    raw_peer_start(&server, sim, rn_sim_host_new(sim, SERVER_HOST), &listen);
    raw_peer_start(&client, sim, rn_sim_host_new(sim, CLIENT_HOST), &connect);
    registering = &extensions[0]; /* the client's session is made already */
    raw_peer_settle(&client);
    registering = NULL;
    assert_true(client.closed && !client.established);
    assert_int_equal(client.close.cause, RN_CLOSE_HANDSHAKE_FAILED);
    assert_int_equal(client.close.code, MISSING_EXTENSION);
    raw_peer_stop(&client);
    raw_peer_stop(&server);
    rn_sim_del(sim);
}

/* The server offers no 0-RTT, so it has no keys for such a packet, and whatever is in it is thrown
 * away (RFC 9001, section 4.6.2): CRYPTO frames, too. */
static void early_data(void **state) {
    static raw_peer peer;
    uint8_t packet[FORGE_INITIAL_LEN];
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    start(w, &peer);
    run_ms(w, 1);
    const ngtcp2_cid *destination = ngtcp2_conn_get_client_initial_dcid(peer.conn->quic);
    const ngtcp2_cid *source = &peer.conn->own_ids[0].id;
    rn_buffer bytes;
    rn_buffer_init(&bytes, sizeof packet);
    script_bytes("d3 00000001", &bytes);
    uint8_t len = (uint8_t)destination->datalen;
    assert_int_equal(rn_buffer_append(&bytes, &len, 1), RPCNET_OK);
    assert_int_equal(rn_buffer_append(&bytes, destination->data, len), RPCNET_OK);
    len = (uint8_t)source->datalen;
    assert_int_equal(rn_buffer_append(&bytes, &len, 1), RPCNET_OK);
    assert_int_equal(rn_buffer_append(&bytes, source->data, len), RPCNET_OK);
    script_bytes("v100 *61:100", &bytes);
    forge_send(&peer, bytes.data, bytes.len);
    rn_buffer_fini(&bytes);
    raw_peer_settle(&peer);
    assert_true(peer.established && !peer.closed);
    beside_detach(&peer);
    beside_check(w, &honest);
    beside_end(w, &honest);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(frames_in_handshake_packets),
                                       cmocka_unit_test(missing_transport_parameters),
                                       cmocka_unit_test(a_server_without_transport_parameters),
                                       cmocka_unit_test(early_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
