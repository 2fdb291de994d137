/* QUIC as a client must not speak it: RFC 9000, RFC 9001 and RFC 9221 name the error of each case.
 * The packets are forged and sealed with the right keys. Beside all of them one honest client keeps
 * its connection. */
#include <dlfcn.h>

#include "abuse/beside.h"
#include "abuse/forge.h"
#include "base/varint.h"
#include "quic/conn_internal.h"
#include "rpc/internal.h"

/* RFC 9000, section 20.1; 0x100 and more are TLS alerts (RFC 9001, section 4.8). */
enum {
    IGNORED = 0,
    FLOW_CONTROL_ERROR = 0x3,
    STREAM_LIMIT_ERROR = 0x4,
    STREAM_STATE_ERROR = 0x5,
    FINAL_SIZE_ERROR = 0x6,
    FRAME_ENCODING_ERROR = 0x7,
    TRANSPORT_PARAMETER_ERROR = 0x8,
    CONNECTION_ID_LIMIT_ERROR = 0x9,
    PROTOCOL_VIOLATION = 0xa,
    INVALID_TOKEN = 0xb,
    CRYPTO_BUFFER_EXCEEDED = 0xd,
    KEY_UPDATE_ERROR = 0xe,
    UNEXPECTED_MESSAGE = 0x10a,
    NO_APPLICATION_PROTOCOL = 0x178,
    MISSING_EXTENSION = 0x16d
};

enum { SMALL_STREAM = 20000, SMALL_CONNECTION = 50000 };

#define TOKEN "*77:16"
#define NEW_ID(sequence, byte) "18 v" #sequence " v0 08 *" #byte ":8 " TOKEN " "

typedef struct forged {
    const char *name;
    const char *frames;
    uint64_t code;
    unsigned first_bits;
} forged;

/* The server has opened the unidirectional streams 3, 7 and 11; it allows 128 bidirectional and 8
 * unidirectional ones, 256 KiB on each and 16 MiB in all. */
static const forged packets[] = {
    {"nothing wrong", "01", IGNORED, 0},
    {"STREAM on the server's unidirectional stream", "0a v3 v1 61", STREAM_STATE_ERROR, 0},
    {"STREAM on a server's stream that it never opened", "0a v1 v1 61", STREAM_STATE_ERROR, 0},
    {"RESET_STREAM of the server's unidirectional stream", "04 v3 v0 v0", STREAM_STATE_ERROR, 0},
    {"RESET_STREAM of a stream never opened", "04 v1 v0 v0", STREAM_STATE_ERROR, 0},
    {"STREAM_DATA_BLOCKED of the server's stream", "15 v3 v0", STREAM_STATE_ERROR, 0},
    {"STREAM_DATA_BLOCKED of a stream never opened", "15 v1 v0", STREAM_STATE_ERROR, 0},
    {"STOP_SENDING of the client's stream", "05 v2 v0", STREAM_STATE_ERROR, 0},
    {"STOP_SENDING of a stream never opened", "05 v1 v0", STREAM_STATE_ERROR, 0},
    {"STOP_SENDING of a unidirectional stream never opened", "05 v31 v0", STREAM_STATE_ERROR, 0},
    {"MAX_STREAM_DATA of the client's stream", "11 v2 v9", STREAM_STATE_ERROR, 0},
    {"MAX_STREAM_DATA of a stream never opened", "11 v1 v9", STREAM_STATE_ERROR, 0},
    {"MAX_STREAM_DATA of a unidirectional stream never opened", "11 v31 v9", STREAM_STATE_ERROR, 0},
    {"STREAM at the limit", "0a v508 v1 61", IGNORED, 0},
    {"STREAM beyond the limit", "0a v512 v1 61", STREAM_LIMIT_ERROR, 0},
    {"STREAM beyond the unidirectional limit", "0a v34 v1 61", STREAM_LIMIT_ERROR, 0},
    {"STREAM of the greatest number", "0a v0x3ffffffffffffffc v1 61", STREAM_LIMIT_ERROR, 0},
    {"RESET_STREAM beyond the limit", "04 v512 v0 v0", STREAM_LIMIT_ERROR, 0},
    {"STOP_SENDING beyond the limit", "05 v512 v0", STREAM_LIMIT_ERROR, 0},
    {"MAX_STREAM_DATA beyond the limit", "11 v512 v9", STREAM_LIMIT_ERROR, 0},
    {"STREAM_DATA_BLOCKED beyond the limit", "15 v512 v0", STREAM_LIMIT_ERROR, 0},
    {"the last byte but one of a stream's window", "0e v0 v262142 v1 61", IGNORED, 0},
    {"the last byte of a stream's window", "0e v0 v262143 v1 61", IGNORED, 0},
    {"a byte beyond a stream's window", "0e v0 v262144 v1 61", FLOW_CONTROL_ERROR, 0},
    {"RESET_STREAM beyond a stream's window", "04 v0 v0 v262145", FLOW_CONTROL_ERROR, 0},
    {"a stream beyond 2^62", "0e v0 v0x3fffffffffffffff v1 61", FLOW_CONTROL_ERROR, 0},
    {"bytes behind the end", "0b v0 v1 61 0e v0 v1 v1 62", FINAL_SIZE_ERROR, 0},
    {"an end before bytes that came", "0e v0 v9 v1 61 0b v0 v1 61", FINAL_SIZE_ERROR, 0},
    {"two ends", "0b v0 v1 61 0f v0 v5 v1 61", FINAL_SIZE_ERROR, 0},
    {"RESET_STREAM with another end", "0b v0 v2 6161 04 v0 v0 v5", FINAL_SIZE_ERROR, 0},
    {"RESET_STREAM before bytes that came", "0a v0 v5 *61:5 04 v0 v0 v2", FINAL_SIZE_ERROR, 0},
    {"two RESET_STREAM with two ends", "04 v0 v0 v2 04 v0 v0 v5", FINAL_SIZE_ERROR, 0},
    {"MAX_STREAMS above 2^60", "12 v0x1000000000000001", FRAME_ENCODING_ERROR, 0},
    {"MAX_STREAMS of unidirectional ones above 2^60", "13 v0x1000000000000001",
     FRAME_ENCODING_ERROR, 0},
    {"STREAMS_BLOCKED above 2^60", "16 v0x1000000000000001", FRAME_ENCODING_ERROR, 0},
    {"STREAMS_BLOCKED of unidirectional ones above 2^60", "17 v0x1000000000000001",
     FRAME_ENCODING_ERROR, 0},
    {"NEW_CONNECTION_ID without id", "18 v9 v0 00 " TOKEN, FRAME_ENCODING_ERROR, 0},
    {"NEW_CONNECTION_ID with an id of 21 bytes", "18 v9 v0 15 *61:21 " TOKEN, FRAME_ENCODING_ERROR,
     0},
    {"NEW_CONNECTION_ID that retires itself", "18 v9 v10 08 *61:8 " TOKEN, FRAME_ENCODING_ERROR, 0},
    {"NEW_CONNECTION_ID with two ids of one number", NEW_ID(1, 61), PROTOCOL_VIOLATION, 0},
    {"NEW_CONNECTION_ID with two numbers of one id",
     "18 v90 v90 08 *61:8 " TOKEN " 18 v91 v90 08 *61:8 " TOKEN, PROTOCOL_VIOLATION, 0},
    {"more connection ids than allowed",
     NEW_ID(20, 61) NEW_ID(21, 62) NEW_ID(22, 63) NEW_ID(23, 64) NEW_ID(24, 65) NEW_ID(25, 66)
         NEW_ID(26, 67) NEW_ID(27, 68) NEW_ID(28, 69),
     CONNECTION_ID_LIMIT_ERROR, 0},
    {"RETIRE_CONNECTION_ID that was never issued", "19 v1000", PROTOCOL_VIOLATION, 0},
    {"RETIRE_CONNECTION_ID of the packet's own id", "19 v0", PROTOCOL_VIOLATION, 0},
    {"HANDSHAKE_DONE of a client", "1e", PROTOCOL_VIOLATION, 0},
    {"NEW_TOKEN of a client", "07 v1 61", PROTOCOL_VIOLATION, 0},
    {"ACK of what was never sent", "02 v100000 v0 v0 v0", PROTOCOL_VIOLATION, 0},
    {"ACK below zero", "02 v0 v0 v0 v5", FRAME_ENCODING_ERROR, 0},
    {"ACK with a range below zero", "02 v0 v0 v1 v0 v5 v5", FRAME_ENCODING_ERROR, 0},
    {"ACK with more ranges than bytes", "02 v0 v0 v1000 v0", FRAME_ENCODING_ERROR, 0},
    {"PATH_RESPONSE that nobody asked for", "1b *61:8", IGNORED, 0},
    {"reserved bit 0x08", "01", PROTOCOL_VIOLATION, 0x08},
    {"reserved bit 0x10", "01", PROTOCOL_VIOLATION, 0x10},
    {"a packet without frames", "", PROTOCOL_VIOLATION, 0},
    {"an unknown frame", "1f", FRAME_ENCODING_ERROR, 0},
    {"an unknown frame of two bytes", "7abc", FRAME_ENCODING_ERROR, 0},
    {"a frame type that is longer than it need be", "4001", FRAME_ENCODING_ERROR, 0},
    {"DATAGRAM that was not agreed on", "30 61", PROTOCOL_VIOLATION, 0},
    {"a frame that is cut", "04 v0", FRAME_ENCODING_ERROR, 0},
    {"STREAM longer than its packet", "0a v0 v100 61", FRAME_ENCODING_ERROR, 0},
    {"CRYPTO beyond 2^62", "06 v0x3fffffffffffffff v1 61", FRAME_ENCODING_ERROR, 0},
    {"CRYPTO that nobody can keep", "06 v10000000 v1 61", CRYPTO_BUFFER_EXCEEDED, 0},
    {"a TLS KeyUpdate", "06 v0 v5 1800000100", UNEXPECTED_MESSAGE, 0},
    {"a TLS Finished once more", "06 v0 v4 14000000", UNEXPECTED_MESSAGE, 0},
    {"CONNECTION_CLOSE longer than its packet", "1c v0 v0 v100", FRAME_ENCODING_ERROR, 0},
    {"the fixed bit is missing", "01", IGNORED, 0x40},
};

/* Does the server still have the connection of the attacker? */
static bool is_served(world *w) {
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    return stats.connections_open == 2;
}

static bool judge_close(const char *name, const raw_peer *peer, uint64_t code) {
    bool right = peer->closed && peer->close.cause == RN_CLOSE_PEER && !peer->close.application &&
                 peer->close.code == code;
    if (!right) {
        print_error("%s: closed %d, cause %d, application %d, code 0x%llx (%s)\n", name,
                    peer->closed, peer->close.cause, peer->close.application,
                    (unsigned long long)peer->close.code, peer->close.text);
    }
    return right;
}

static void script_into(const char *text, rn_buffer *out) {
    rn_buffer_init(out, FORGE_DATAGRAM_MAX);
    script_bytes(text, out);
}

static bool run_packet(world *w, const forged *f) {
    static raw_peer peer;
    uint8_t packet[FORGE_DATAGRAM_MAX];
    rn_buffer frames;
    beside_attach(w, &peer, "h3");
    assert_true(peer.established);
    script_into(f->frames, &frames);
    /* The acknowledgement of a packet that our own side does not know would confuse it. */
    peer.deaf = f->code == IGNORED;
    forge_send(&peer, packet,
               forge_short(&peer, f->first_bits, 0, rn_buffer_bytes(&frames), packet));
    rn_buffer_fini(&frames);
    run_ms(w, 300);
    bool right = f->code == IGNORED ? is_served(w) : judge_close(f->name, &peer, f->code);
    if (!right && f->code == IGNORED) {
        print_error("%s: the connection is gone\n", f->name);
    }
    beside_detach(&peer);
    /* What is left of the connection goes with the idle timeout; the next case counts anew. */
    run_ms(w, 40000);
    return right;
}

static void frames_of_a_client(void **state) {
    probe honest;
    world *w = beside_start(&honest);
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        failures += !run_packet(w, &packets[i]);
        beside_check(w, &honest);
    }
    assert_int_equal(failures, 0);
    beside_end(w, &honest);
}

/* More than the connection's window, though no stream exceeds its own. */
static void the_window_of_all_streams(void **state) {
    static raw_peer peer;
    uint8_t packet[FORGE_DATAGRAM_MAX];
    probe honest;
    rn_buffer frames;
    world *w = beside_start(&honest);
    (void)state;
    beside_attach(w, &peer, "h3");
    rn_buffer_init(&frames, FORGE_DATAGRAM_MAX);
    for (unsigned i = 0; i < 65; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "0e v%u v262143 v1 61", 4 * i);
        script_bytes(text, &frames);
    }
    forge_send(&peer, packet, forge_short(&peer, 0, 0, rn_buffer_bytes(&frames), packet));
    rn_buffer_fini(&frames);
    run_ms(w, 300);
    assert_true(judge_close("65 streams", &peer, FLOW_CONTROL_ERROR));
    beside_check(w, &honest);
    beside_detach(&peer);
    beside_end(w, &honest);
}

/* Sends frames to a server with small windows, which takes them or ends the connection. */
static void check_windows(const char *frames, bool taken) {
    static raw_peer peer;
    uint8_t packet[FORGE_DATAGRAM_MAX];
    rn_buffer bytes;
    world *w = world_new(1);
    w->server_limits.stream_window_bytes = SMALL_STREAM;
    w->server_limits.connection_window_bytes = SMALL_CONNECTION;
    world_serve(w);
    beside_attach(w, &peer, "h3");
    assert_true(peer.established);
    peer.deaf = taken; /* as in run_packet */
    script_into(frames, &bytes);
    forge_send(&peer, packet, forge_short(&peer, 0, 0, rn_buffer_bytes(&bytes), packet));
    rn_buffer_fini(&bytes);
    run_ms(w, 300);
    rpcnet_server_stats stats;
    rpcnet_server_get_stats(w->server, &stats);
    assert_int_equal(stats.connections_open, taken);
    assert_true(taken || judge_close(frames, &peer, FLOW_CONTROL_ERROR));
    beside_detach(&peer);
    world_del(w);
}

/* As the server was told: one below each window, at it, one above. */
static void windows_that_were_set(void **state) {
    char frames[128];
    (void)state;
    for (unsigned end = SMALL_STREAM - 1; end <= SMALL_STREAM + 1; end++) {
        (void)snprintf(frames, sizeof frames, "0e v0 v%u v1 61", end - 1);
        check_windows(frames, end <= SMALL_STREAM);
    }
    for (unsigned all = SMALL_CONNECTION - 1; all <= SMALL_CONNECTION + 1; all++) {
        unsigned rest = all - SMALL_STREAM; /* on two other streams */
        (void)snprintf(frames, sizeof frames, "0e v0 v%u v1 61 0e v4 v%u v1 61 0e v8 v%u v1 61",
                       SMALL_STREAM - 1U, rest / 2 - 1, rest - rest / 2 - 1);
        check_windows(frames, all <= SMALL_CONNECTION);
    }
}

/* The server's end of the attacker's connection, the youngest. */
static const rn_conn *end_at_server(const world *w) {
    const rn_endpoint *endpoint = rn_port_endpoint(w->server->port.port);
    return RN_CONTAINER_OF(endpoint->conns.prev, rn_conn, link);
}

/* A client that retires ids as soon as it has them gets new ones, however long it goes on; the
 * first id, which its packets bear, stays. What is kept of ids has its limit. */
static void connection_ids_without_end(void **state) {
    enum { TURNS = 400 };
    static raw_peer peer;
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    beside_attach(w, &peer, "h3");
    peer.deaf = true;
    for (unsigned turn = 0, retired = 0; turn < TURNS; turn++) {
        uint8_t packet[FORGE_DATAGRAM_MAX];
        char text[64];
        rn_buffer frames;
        assert_true(is_served(w));
        const rn_conn *end = end_at_server(w);
        retired += retired + 1 < end->own_ids[end->own_ids_count - 1].sequence;
        /* Acknowledges all, since a server that is not heard says nothing new. */
        unsigned last = (unsigned)end_at_server(w)->books.packet_number_next - 1;
        (void)snprintf(text, sizeof text, "02 v%u v0 v0 v%u 19 v%u", last, last, retired);
        script_into(text, &frames);
        forge_send(&peer, packet, forge_short(&peer, 0, turn, rn_buffer_bytes(&frames), packet));
        rn_buffer_fini(&frames);
        run_ms(w, 30);
    }
    const rn_conn *end = end_at_server(w);
    assert_int_equal(end->own_ids_count, RN_OWN_IDS_MAX);
    assert_true(end->own_ids[end->own_ids_count - 1].sequence > UINT64_C(2) * RN_OWN_IDS_MAX);
    assert_int_equal(end->own_ids[0].sequence, 0);
    assert_false(end->own_ids[0].retired);
    beside_check(w, &honest);
    beside_detach(&peer);
    beside_end(w, &honest);
}

/* Frames of a stream that is over, as a peer sends them that has not heard our last
 * acknowledgement. The library throws them away; so must whoever looks on. */
static void bytes_of_streams_that_are_over(void **state) {
    static raw_peer peer;
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    beside_attach(w, &peer, "h3");
    raw_peer_play(&peer, "r1: 00 RESET:0x10c ; wait ; wait");
    assert_null(raw_peer_stream(&peer, 'r', 1)->stream);
    const rn_conn *end = end_at_server(w);
    peer.deaf = true;
    for (unsigned i = 0; i < RN_BOOKS_PIECES_MAX; i++) {
        uint8_t packet[FORGE_DATAGRAM_MAX];
        char text[64];
        rn_buffer frames;
        (void)snprintf(text, sizeof text, "0e v0 v%u v1000 *61:1000", 1000 + 1000 * i);
        script_into(text, &frames);
        forge_send(&peer, packet, forge_short(&peer, 0, i, rn_buffer_bytes(&frames), packet));
        rn_buffer_fini(&frames);
        run_ms(w, 1);
    }
    assert_true(is_served(w));
    const rn_packet_range *range = &end->books.received[end->books.received_count - 1];
    assert_true(range->high - range->low >= RN_BOOKS_PIECES_MAX - 1);
    assert_int_equal(end->books.pieces_count, 0);
    assert_true(end->books.pieces_complete);
    beside_check(w, &honest);
    beside_detach(&peer);
    beside_end(w, &honest);
}

/* ---- Initial packets ---- */

/* Anybody who has seen the client's first packet can forge the next one, so a wrong one is no error
 * of the client's: it is thrown away, and the handshake goes on. */
static void forged_initial_packets(void **state) {
    static const forged initials[] = {
        {"STREAM in Initial", "0a v0 v1 61", IGNORED, 0},
        {"HANDSHAKE_DONE in Initial", "1e", IGNORED, 0},
        {"MAX_DATA in Initial", "10 v9", IGNORED, 0},
        {"NEW_CONNECTION_ID in Initial", NEW_ID(1, 61), IGNORED, 0},
        {"an application's CONNECTION_CLOSE in Initial", "1d v0 v0", IGNORED, 0},
        {"an unknown frame in Initial", "1f", IGNORED, 0},
        {"CRYPTO beyond 2^62 in Initial", "06 v0x3fffffffffffffff v1 61", IGNORED, 0},
        {"CRYPTO that nobody can keep in Initial", "06 v10000000 v1 61", IGNORED, 0},
        {"ACK of what was never sent in Initial", "02 v500 v0 v0 v0", IGNORED, 0},
        {"reserved bit 0x04 in Initial", "01", IGNORED, 0x04},
        {"reserved bit 0x08 in Initial", "01", IGNORED, 0x08},
    };
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    for (size_t i = 0; i < sizeof initials / sizeof initials[0]; i++) {
        static raw_peer peer;
        uint8_t packet[FORGE_DATAGRAM_MAX];
        rn_buffer frames;
        raw_options connect = {
            .alpn = "h3", .connect = SERVER_ADDRESS, .expect = {.identity = IDENTITY}};
        raw_peer_start(&peer, w->sim, rn_sim_host_new(w->sim, CLIENT_HOST), &connect);
        run_ms(w, 1);
        script_into(initials[i].frames, &frames);
        const ngtcp2_cid *destination = ngtcp2_conn_get_client_initial_dcid(peer.conn->quic);
        const ngtcp2_cid *source = &peer.conn->own_ids[0].id;
        forge_initial_options options = {.destination_len = destination->datalen,
                                         .source_len = source->datalen,
                                         .frames = rn_buffer_bytes(&frames),
                                         .pad = true,
                                         .number = 50,
                                         .first_bits = initials[i].first_bits};
        memcpy(options.destination, destination->data, destination->datalen);
        memcpy(options.source, source->data, source->datalen);
        forge_send(&peer, packet, forge_initial(&options, packet));
        rn_buffer_fini(&frames);
        raw_peer_settle(&peer);
        if (!peer.established || peer.closed) {
            fail_msg("%s ended the handshake", initials[i].name);
        }
        beside_detach(&peer);
        beside_check(w, &honest);
    }
    beside_end(w, &honest);
}

/* What anybody could have sent in anybody's name gets no answer that says why, and leaves nothing
 * behind. */
static void a_first_packet_that_is_none(void **state) {
    static const char *const first[] = {
        "01", "0a v0 v1 61", "1f", "06 v10 v4 01000000", "06 v0 v4 14000000", "06 v10000000 v1 61",
    };
    static raw_peer peer;
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    beside_attach(w, &peer, "h3");
    peer.deaf = true;
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        uint8_t packet[FORGE_DATAGRAM_MAX];
        rn_buffer frames;
        script_into(first[i], &frames);
        forge_initial_options options = {
            .destination_len = 8, .source_len = 8, .frames = rn_buffer_bytes(&frames), .pad = true};
        memset(options.destination, (int)(0x10 + i), options.destination_len);
        forge_send(&peer, packet, forge_initial(&options, packet));
        rn_buffer_fini(&frames);
        beside_check(w, &honest);
    }
    beside_detach(&peer);
    beside_end(w, &honest);
}

/* What the server has of connections, those that only answer late packets included. */
static const rn_endpoint_stats *endpoint_stats(const world *w) {
    return rn_endpoint_get_stats(rn_port_endpoint(w->server->port.port));
}

/* Takes the id and the token of a Retry packet (RFC 9000, section 17.2.5). */
static bool read_retry(const uint8_t *packet, size_t len, forge_initial_options *options) {
    enum { RETRY = 0xf0, TAG_LEN = 16, ID_AT = 5 };
    if (len < ID_AT + 1 || (packet[0] & 0xf0) != RETRY) {
        return false;
    }
    const uint8_t *source = packet + ID_AT + 1 + packet[ID_AT];
    options->destination_len = *source++;
    assert_true(options->destination_len <= sizeof options->destination);
    memcpy(options->destination, source, options->destination_len);
    source += options->destination_len;
    options->token = rn_bytes_of(source, len - (size_t)(source - packet) - TAG_LEN);
    return true;
}

/* A ClientHello may need two datagrams, and the second may come first. Nothing is kept of what may
 * be forged: the client is asked to prove its address, and then it is kept. */
static void a_hello_that_begins_in_its_middle(void **state) {
    static raw_peer peer;
    uint8_t packet[FORGE_DATAGRAM_MAX];
    probe honest;
    rn_buffer frames;
    world *w = beside_start(&honest);
    (void)state;
    beside_attach(w, &peer, "h3");
    peer.deaf = true;
    size_t connections = endpoint_stats(w)->connections;
    script_into("06 v10 v4 01000000", &frames);
    forge_initial_options options = {
        .destination_len = 8, .source_len = 8, .frames = rn_buffer_bytes(&frames), .pad = true};
    memset(options.destination, 0x10, options.destination_len);
    forge_send(&peer, packet, forge_initial(&options, packet));
    run_ms(w, 30);
    assert_int_equal(endpoint_stats(w)->retries_sent, 1);
    assert_int_equal(endpoint_stats(w)->connections, connections);
    assert_true(read_retry(peer.last, peer.last_len, &options));
    forge_send(&peer, packet, forge_initial(&options, packet));
    run_ms(w, 30);
    assert_int_equal(endpoint_stats(w)->retries_sent, 1);
    assert_int_equal(endpoint_stats(w)->connections, connections + 1);
    rn_buffer_fini(&frames);
    beside_check(w, &honest);
    beside_detach(&peer);
    beside_end(w, &honest);
}

/* Two servers that answer each other would not end. */
static void version_negotiation_is_not_answered(void **state) {
    static const forged datagrams[] = {
        {"Version Negotiation to a server", "c0 00000000 08 *61:8 04 *62:4 00000001 *00:1200",
         IGNORED, 0},
        {"Version Negotiation to a server, without a version", "80 00000000 08 *61:8 00 *00:1200",
         IGNORED, 0},
    };
    static raw_peer peer;
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    beside_attach(w, &peer, "h3");
    for (size_t i = 0; i < sizeof datagrams / sizeof datagrams[0]; i++) {
        rn_buffer bytes;
        uint64_t dropped = endpoint_stats(w)->datagrams_dropped;
        script_into(datagrams[i].frames, &bytes);
        forge_send(&peer, bytes.data, bytes.len);
        rn_buffer_fini(&bytes);
        run_ms(w, 30);
        assert_int_equal(endpoint_stats(w)->version_negotiations_sent, 0);
        assert_int_equal(endpoint_stats(w)->datagrams_dropped, dropped + 1);
        beside_check(w, &honest);
    }
    beside_detach(&peer);
    beside_end(w, &honest);
}

static void retry_tokens(void **state) {
    static const struct {
        const char *token;
        uint64_t code;                  /* IGNORED: the server goes on without the token */
    } cases[] = {{"b7", INVALID_TOKEN}, /* the first byte of our Retry tokens */
                 {"b7 *61:16", INVALID_TOKEN},  {"b7 *61:64", INVALID_TOKEN},
                 {"b7 *61:500", INVALID_TOKEN}, {"36", IGNORED}, /* of NEW_TOKEN */
                 {"36 *61:64", IGNORED},        {"00 *61:64", IGNORED}};
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static raw_peer peer;
        uint8_t packet[FORGE_DATAGRAM_MAX];
        uint64_t code = IGNORED;
        rn_buffer token;
        beside_attach(w, &peer, "h3");
        script_into(cases[i].token, &token);
        static const uint8_t ping[] = {0x01};
        forge_initial_options options = {.destination_len = 8,
                                         .source_len = 8,
                                         .token = rn_buffer_bytes(&token),
                                         .frames = rn_bytes_of(ping, sizeof ping),
                                         .pad = true};
        memset(options.destination, (int)(0x10 + i), options.destination_len);
        peer.deaf = true;
        forge_send(&peer, packet, forge_initial(&options, packet));
        rn_buffer_fini(&token);
        run_ms(w, 30);
        bool answered = forge_read_close(&options, peer.last, peer.last_len, &code);
        assert_int_equal(answered, cases[i].code != IGNORED);
        assert_int_equal(code, cases[i].code);
        beside_detach(&peer);
        beside_check(w, &honest);
    }
    beside_end(w, &honest);
}

/* A client chooses an id of eight bytes at least (RFC 9000, section 7.2), whatever it brings along.
 * With one that is empty all such clients would be one connection. */
static void first_ids_that_are_too_short(void **state) {
    static const uint8_t token[] = {0x01};
    static const uint8_t ping[] = {0x01};
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        static raw_peer peer;
        static const size_t lengths[] = {0, 1, 7, 8};
        uint8_t packet[FORGE_DATAGRAM_MAX];
        rpcnet_server_stats before;
        rpcnet_server_stats after;
        beside_attach(w, &peer, "h3");
        peer.deaf = true;
        forge_initial_options options = {.destination_len = lengths[i],
                                         .source_len = 8,
                                         .token = rn_bytes_of(token, sizeof token),
                                         .frames = rn_bytes_of(ping, sizeof ping),
                                         .pad = true};
        rpcnet_server_get_stats(w->server, &before);
        for (unsigned again = 0; again < 2; again++) {
            forge_send(&peer, packet, forge_initial(&options, packet));
            run_ms(w, 20000); /* the handshake's timeout */
        }
        rpcnet_server_get_stats(w->server, &after);
        bool taken = lengths[i] >= 8;
        assert_int_equal(after.connections_accepted - before.connections_accepted, taken ? 2 : 0);
        assert_int_equal(after.datagrams_dropped - before.datagrams_dropped, taken ? 0 : 2);
        beside_detach(&peer);
        beside_check(w, &honest);
    }
    beside_end(w, &honest);
}

/* ---- transport parameters ---- */

typedef struct parameters {
    const char *name;
    const char *drop; /* id of a parameter that is left out, hexadecimal; "": none */
    const char *add;
    uint64_t code;
} parameters;

static const parameters tables[] = {
    {"nothing wrong", "", "", IGNORED},
    {"an unknown parameter", "", "v0x7f7f v2 6161", IGNORED},
    {"no initial_source_connection_id", "0f", "", TRANSPORT_PARAMETER_ERROR},
    {"another initial_source_connection_id", "0f", "0f v4 61616161", TRANSPORT_PARAMETER_ERROR},
    {"original_destination_connection_id of a client", "", "00 v4 61616161",
     TRANSPORT_PARAMETER_ERROR},
    {"retry_source_connection_id of a client", "", "10 v4 61616161", TRANSPORT_PARAMETER_ERROR},
    {"stateless_reset_token of a client", "", "02 v16 " TOKEN, TRANSPORT_PARAMETER_ERROR},
    {"preferred_address of a client", "", "0d v45 *00:24 04 61616161 " TOKEN,
     TRANSPORT_PARAMETER_ERROR},
    {"max_udp_payload_size of 1199", "03", "03 v2 v1199", TRANSPORT_PARAMETER_ERROR},
    {"ack_delay_exponent of 21", "0a", "0a v1 v21", TRANSPORT_PARAMETER_ERROR},
    {"max_ack_delay of 2^14", "0b", "0b v4 v16384", TRANSPORT_PARAMETER_ERROR},
    {"active_connection_id_limit of 1", "0e", "0e v1 v1", TRANSPORT_PARAMETER_ERROR},
    {"initial_max_streams_bidi above 2^60", "08", "08 v8 v0x1000000000000001",
     TRANSPORT_PARAMETER_ERROR},
    {"initial_max_streams_uni above 2^60", "09", "09 v8 v0x1000000000000001",
     TRANSPORT_PARAMETER_ERROR},
    {"disable_active_migration with a value", "0c", "0c v1 61", TRANSPORT_PARAMETER_ERROR},
    {"an integer that is cut", "04", "04 v1 80", TRANSPORT_PARAMETER_ERROR},
    {"an integer with more behind it", "04", "04 v2 0101", TRANSPORT_PARAMETER_ERROR},
    {"a parameter longer than all", "", "v0x7f7f v100 61", TRANSPORT_PARAMETER_ERROR},
    {"a connection id of 21 bytes", "0f", "0f v21 *61:21", TRANSPORT_PARAMETER_ERROR},
};

/* What the client's parameters become on their way into the ClientHello; NULL: nothing. */
static const parameters *mutation;

static size_t drop_parameter(uint8_t *data, size_t len, uint64_t drop) {
    const uint8_t *cursor = data;
    const uint8_t *end = data + len;
    uint8_t *out = data;
    while (cursor < end) {
        const uint8_t *begin = cursor;
        uint64_t id = 0;
        uint64_t value_len = 0;
        assert_int_equal(rn_varint_read(&cursor, end, &id), RPCNET_OK);
        assert_int_equal(rn_varint_read(&cursor, end, &value_len), RPCNET_OK);
        cursor += value_len;
        if (id != drop) {
            memmove(out, begin, (size_t)(cursor - begin));
            out += cursor - begin;
        }
    }
    return (size_t)(out - data);
}

/* Stands before the QUIC library's function of this name, which the TLS glue calls. */
ngtcp2_ssize ngtcp2_conn_encode_local_transport_params(ngtcp2_conn *conn, uint8_t *dest,
                                                       size_t destlen) {
    ngtcp2_ssize (*real)(ngtcp2_conn *, uint8_t *, size_t);
    void *symbol = dlsym(RTLD_NEXT, "ngtcp2_conn_encode_local_transport_params");
    memcpy(&real, &symbol, sizeof real);
    ngtcp2_ssize len = real(conn, dest, destlen);
    if (mutation == NULL || ngtcp2_conn_is_server(conn) || len < 0) {
        return len;
    }
    rn_buffer added;
    rn_buffer_init(&added, 256);
    script_bytes(mutation->add, &added);
    if (mutation->drop[0] != '\0') {
        len = (ngtcp2_ssize)drop_parameter(dest, (size_t)len, strtoull(mutation->drop, NULL, 16));
    }
    assert_true((size_t)len + added.len <= destlen);
    if (added.len > 0) {
        memcpy(dest + len, added.data, added.len);
    }
    len += (ngtcp2_ssize)added.len;
    rn_buffer_fini(&added);
    return len;
}

static void transport_parameters(void **state) {
    probe honest;
    world *w = beside_start(&honest);
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        static raw_peer peer;
        mutation = &tables[i];
        beside_attach(w, &peer, "h3");
        mutation = NULL;
        if (tables[i].code == IGNORED) {
            failures += !peer.established;
        } else {
            failures += !judge_close(tables[i].name, &peer, tables[i].code);
        }
        beside_detach(&peer);
        beside_check(w, &honest);
    }
    assert_int_equal(failures, 0);
    beside_end(w, &honest);
}

static void no_common_protocol(void **state) {
    static raw_peer peer;
    probe honest;
    world *w = beside_start(&honest);
    (void)state;
    beside_attach(w, &peer, "nothing");
    assert_true(judge_close("another protocol", &peer, NO_APPLICATION_PROTOCOL));
    beside_check(w, &honest);
    beside_detach(&peer);
    beside_end(w, &honest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_a_client),
        cmocka_unit_test(the_window_of_all_streams),
        cmocka_unit_test(connection_ids_without_end),
        cmocka_unit_test(forged_initial_packets),
        cmocka_unit_test(a_first_packet_that_is_none),
        cmocka_unit_test(retry_tokens),
        cmocka_unit_test(first_ids_that_are_too_short),
        cmocka_unit_test(transport_parameters),
        cmocka_unit_test(no_common_protocol),
        cmocka_unit_test(windows_that_were_set),
        cmocka_unit_test(bytes_of_streams_that_are_over),
        cmocka_unit_test(a_hello_that_begins_in_its_middle),
        cmocka_unit_test(version_negotiation_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
