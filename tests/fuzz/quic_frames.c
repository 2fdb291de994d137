/* quic_frames: QUIC frames made of the input, in packets with the right keys (RFC 9001, section 5),
 * against the library's server or its client. The peer has made an honest handshake; then its
 * connection falls silent and the packets come from a socket at its address.
 *
 *   byte 0: 0 against the server, 1 against the client. Then steps. */
#include "fuzz/honest.h"

#include "base/buffer.h"
#include "base/varint.h"
#include "quic/conn_internal.h"
#include "rpcnet/error.h"

enum { PACKETS_MAX = 60, NUMBER_LEN = 4, HEADER_MAX = 32, DATAGRAM_MAX = 1400, SAMPLE_LEN = 16 };

enum step {
    BYTES,     /* piece: frames as they stand */
    FRAME,     /* type, count of integers, those (a byte each, or eight behind 255), piece */
    LATER,     /* ten times units of ms */
    ELSEWHERE, /* a piece in a packet from another address */
    NUMBER,    /* the next packet number is that much higher */
    STEPS
};

/* What is needed to go on in a connection's place. */
typedef struct masked {
    uint16_t suite;
    uint8_t secret[RN_TLS_SECRET_MAX];
    uint8_t header[32];
    ngtcp2_cid id;
    uint64_t number;
    unsigned phase;
    rn_address local;
    rn_address remote;
    rn_udp *udp;
    rn_udp *other;
} masked;

static void read_nothing(const rn_datagram *datagram, void *user) {
    (void)datagram;
    (void)user;
}

/* Takes over from the peer. */
static void put_on(masked *m, arena *a) {
    static const rn_udp_handler handler = {.receive = read_nothing};
    const rn_conn *conn = a->peer.conn;
    const rn_protection *protection = &conn->protection;
    *m = (masked){.suite = protection->suite,
                  .id = *ngtcp2_conn_get_dcid(conn->quic),
                  .number = conn->books.packet_number_next,
                  .phase = (unsigned)protection->generation_transmit % 2,
                  .local = *rn_port_address(a->port),
                  .remote = *rn_conn_remote(conn)};
    memcpy(m->secret, protection->phase[m->phase].transmit, sizeof m->secret);
    memcpy(m->header, protection->header_transmit, sizeof m->header);
    rn_port_del(a->port); /* without a word */
    a->port = NULL;
    rn_udp_options options = {.bind = m->local};
    assert(rn_env_udp_open(a->env, &options, &handler, NULL, &m->udp) == RPCNET_OK);
    rn_address_set_port(&options.bind, 7);
    assert(rn_env_udp_open(a->env, &options, &handler, NULL, &m->other) == RPCNET_OK);
}

static void protect_header(const masked *m, uint8_t *packet, uint8_t *number_at) {
    ngtcp2_crypto_cipher_ctx key = {0};
    ngtcp2_crypto_cipher cipher = {0};
    uint8_t mask[SAMPLE_LEN];
    assert(rn_header_key_new(&key, m->suite, m->header) == RPCNET_OK);
    assert(rn_header_key_mask(mask, &cipher, &key, number_at + NUMBER_LEN) == 0);
    rn_header_key_del(&key);
    packet[0] ^= mask[0] & 0x1f;
    for (size_t i = 0; i < NUMBER_LEN; i++) {
        number_at[i] ^= mask[1 + i];
    }
}

static void send_frames(masked *m, arena *a, rn_bytes frames, rn_udp *udp) {
    uint8_t packet[DATAGRAM_MAX + RN_PACKET_TAG_LEN] = {0};
    uint8_t iv[RN_PACKET_IV_LEN];
    rn_packet_key *key = NULL;
    size_t number_offset = 1 + m->id.datalen;
    size_t header_len = number_offset + NUMBER_LEN;
    size_t room = DATAGRAM_MAX - header_len;
    size_t len = frames.len < room ? frames.len : room;
    packet[0] = (uint8_t)(0x43 | m->phase << 2);
    memcpy(packet + 1, m->id.data, m->id.datalen);
    for (size_t i = 0; i < NUMBER_LEN; i++) {
        packet[number_offset + i] = (uint8_t)(m->number >> (8 * (NUMBER_LEN - 1 - i)));
    }
    if (len > 0) {
        memcpy(packet + header_len, frames.data, len);
    }
    len = len < SAMPLE_LEN ? SAMPLE_LEN : len; /* PADDING */
    assert(rn_packet_key_new(&key, m->suite, m->secret, iv) == RPCNET_OK);
    for (size_t i = 0; i < sizeof m->number; i++) {
        iv[RN_PACKET_IV_LEN - 1 - i] ^= (uint8_t)(m->number >> (8 * i));
    }
    assert(rn_packet_key_seal(key, packet + header_len, packet + header_len, len, iv, packet,
                              header_len) == RPCNET_OK);
    rn_packet_key_del(key);
    protect_header(m, packet, packet + number_offset);
    m->number++;
    rn_transmit transmit = {.remote = m->remote, .data = packet};
    transmit.len = transmit.segment_size = header_len + len + RN_PACKET_TAG_LEN;
    (void)a->env->ops->udp_send(udp, &transmit);
}

static void build_frame(fuzz_input *input, rn_buffer *out) {
    uint8_t bytes[8];
    uint8_t type = fuzz_byte(input);
    rn_buffer_clear(out);
    (void)rn_buffer_append(out, &type, 1);
    for (unsigned count = fuzz_byte(input) % 8; count > 0; count--) {
        uint64_t value = fuzz_byte(input);
        value = value == 255 ? fuzz_number(input, 8) >> 2 : value;
        size_t len = (size_t)(rn_varint_write(bytes, value) - bytes);
        (void)rn_buffer_append(out, bytes, len);
    }
    rn_bytes rest = fuzz_piece(input);
    (void)rn_buffer_append(out, rest.data, rest.len);
}

static void play(masked *m, arena *a, fuzz_input *input) {
    rn_buffer frame;
    rn_buffer_init(&frame, DATAGRAM_MAX);
    for (unsigned turn = 0; turn < PACKETS_MAX && input->len > 0; turn++) {
        switch ((enum step)(fuzz_byte(input) % STEPS)) {
        case BYTES:
            send_frames(m, a, fuzz_piece(input), m->udp);
            break;
        case FRAME:
            build_frame(input, &frame);
            send_frames(m, a, rn_buffer_bytes(&frame), m->udp);
            break;
        case LATER:
            rn_sim_run_for(a->sim, 10 * (uint64_t)(fuzz_byte(input) % 50) * RN_MILLISECOND);
            break;
        case ELSEWHERE:
            send_frames(m, a, fuzz_piece(input), m->other);
            break;
        default: /* NUMBER */
            m->number += fuzz_byte(input);
            break;
        }
    }
    rn_sim_run_for(a->sim, 100 * RN_MILLISECOND);
    rn_buffer_fini(&frame);
}

static void take_off(masked *m, arena *a) {
    a->env->ops->udp_close(m->udp);
    a->env->ops->udp_close(m->other);
}

static void against_server(arena *a, fuzz_input *input) {
    masked m;
    honest *h = malloc(sizeof *h);
    assert(h != NULL);
    honest_start(h, a->sim);
    arena_peer_connect(a, "h3");
    assert(arena_establish(a));
    rn_sim_run_for(a->sim, 20 * RN_MILLISECOND);
    put_on(&m, a);
    play(&m, a, input);
    take_off(&m, a);
    honest_check(h);
    honest_end(h);
    free(h);
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    (void)call;
    (void)code;
    (void)message;
    (void)trailers;
    assert((*(unsigned *)user)++ == 0);
}

static void against_client(arena *a, fuzz_input *input) {
    static const rpcnet_call_callbacks callbacks = {.on_status = on_status};
    masked m;
    unsigned statuses = 0;
    rpcnet_channel *channel = NULL;
    rpcnet_call *call = NULL;
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = arena_credentials(NULL);
    options.identity = ARENA_IDENTITY;
    arena_peer_listen(a, "h3", "director");
    assert(rpcnet_channel_new(&channel, rn_sim_host_new(a->sim, ARENA_CLIENT_HOST),
                              ARENA_PEER_HOST ":61000", &options) == RPCNET_OK);
    assert(rpcnet_call_new(&call, channel, "/t/Echo", NULL, &callbacks, &statuses) == RPCNET_OK);
    assert(arena_establish(a));
    rn_sim_run_for(a->sim, 20 * RN_MILLISECOND);
    put_on(&m, a);
    play(&m, a, input);
    take_off(&m, a);
    rpcnet_channel_del(channel);
    assert(statuses == 1);
    rpcnet_call_del(call);
    rn_sim_run_for(a->sim, 20 * RN_MILLISECOND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    arena *a = malloc(sizeof *a);
    assert(a != NULL);
    arena_init(a);
    if (fuzz_byte(&input) & 1) {
        against_client(a, &input);
    } else {
        against_server(a, &input);
    }
    arena_fini(a);
    free(a);
    return 0;
}
