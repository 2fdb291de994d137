/* datagrams: a server's endpoint and a client's, joined by hand: datagrams are delivered, changed,
 * cut, joined, repeated, held back, or made up with headers that are nearly right, from the
 * client's address and from others. Retry is asked for or not, and tokens are the input's.
 *
 * Limits hold; to an address that nothing was ever received at goes no more than three times what
 * came from there (RFC 9000, section 8); every connection ends, and nothing is left in the end.
 *
 *   byte 0: limits. Then steps (enum step). */
#include "fuzz/arena.h"
#include "base/buffer.h"
#include "quic/conn_internal.h"
#include "rpcnet/error.h"

enum {
    QUEUE_MAX = 64,
    DATAGRAM_MAX = 1500,
    STEPS_MAX = 300,
    ADDRESSES = 4, /* the client's, and three where nobody is */
    CLIENTS_MAX = 4,
    IDS_MAX = 8,
    INITIAL_LEN = 1200,
    CONNECTIONS_MAX = 6,
    HANDSHAKES_MAX = 4,
    AMPLIFICATION = 3
};

enum step {
    CONNECT,   /* piece: token */
    DELIVER,   /* index */
    CHANGE,    /* index, position (2), bits */
    CUT,       /* index, length (2) */
    REPEAT,    /* index */
    DROP,      /* index */
    ELSEWHERE, /* index, address */
    JOIN,      /* index, index */
    RAW,       /* to, address, piece */
    LONG,      /* address, first byte, version, id, then pieces: source id, token, rest */
    SHORT,     /* address, first byte, id, piece */
    RETRY,     /* index, then pieces: id, token */
    LATER,     /* units of 20 ms */
    CLOSE,     /* client */
    WRITE,     /* client, units of 64 bytes */
    STEPS
};

typedef struct packet {
    bool to_server;
    uint8_t address; /* where it seems to come from, or where it goes */
    size_t len;
    uint8_t data[DATAGRAM_MAX];
} packet;

typedef struct scene {
    rn_sim *sim;
    rn_endpoint *server;
    rn_endpoint *client;
    rn_address server_address;
    rn_address addresses[ADDRESSES];
    packet queue[QUEUE_MAX];
    size_t queued;
    uint64_t received[ADDRESSES];
    uint64_t sent[ADDRESSES];
    ngtcp2_cid ids[IDS_MAX]; /* that the server has issued, as its packets told */
    size_t id_count;
    rn_conn *clients[CLIENTS_MAX];
    unsigned opened; /* connections of the client */
    unsigned accepted;
    unsigned closed;
} scene;

/* ---- connections ---- */

static void on_data(rn_conn *conn, rn_stream *stream, const uint8_t *data, size_t len, bool fin,
                    void *user) {
    rn_bytes piece = rn_bytes_of(data, len);
    (void)user;
    if (rn_conn_is_server(conn)) {
        (void)rn_stream_write(stream, &piece, 1, fin);
    }
    rn_stream_consume(stream, len);
}

static void on_closed(rn_conn *conn, const rn_close *close, void *user) {
    scene *s = user;
    (void)close;
    s->closed++;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        s->clients[i] = s->clients[i] == conn ? NULL : s->clients[i];
    }
}

static const rn_conn_handler handler = {.stream_data = on_data, .closed = on_closed};

static void on_accepted(rn_endpoint *endpoint, rn_conn *conn, void *user) {
    scene *s = user;
    (void)endpoint;
    s->accepted++;
    rn_conn_set_handler(conn, &handler, s);
}

static void on_ready(rn_endpoint *endpoint, void *user) {
    (void)endpoint;
    (void)user;
}

/* ---- the wire ---- */

static size_t address_index(const scene *s, const rn_address *address) {
    size_t i = 0;
    while (i < ADDRESSES && !rn_address_equal(&s->addresses[i], address)) {
        i++;
    }
    assert(i < ADDRESSES); /* the server answers only where something came from */
    return i;
}

/* Packets with long headers tell the ids by which the server wants to be called. */
static void note_id(scene *s, const uint8_t *data, size_t len) {
    ngtcp2_version_cid ids;
    if (ngtcp2_pkt_decode_version_cid(&ids, data, len, RN_CONNECTION_ID_LEN) == 0 &&
        (data[0] & 0x80) != 0 && ids.scidlen > 0 && ids.scidlen <= NGTCP2_MAX_CIDLEN) {
        ngtcp2_cid_init(&s->ids[s->id_count++ % IDS_MAX], ids.scid, ids.scidlen);
    }
}

static void queue_datagram(scene *s, bool to_server, size_t address, const uint8_t *data,
                           size_t len) {
    if (s->queued == QUEUE_MAX) {
        return; /* lost */
    }
    packet *p = &s->queue[s->queued++];
    assert(len <= sizeof p->data);
    *p = (packet){.to_server = to_server, .address = (uint8_t)address, .len = len};
    memcpy(p->data, data, len);
}

/* What the endpoints have to send goes into the queue; what goes to nobody is counted. */
static void pump(scene *s) {
    rn_transmit flight;
    while (rn_endpoint_transmit(s->server, &flight)) {
        size_t address = address_index(s, &flight.remote);
        s->sent[address] += flight.len;
        assert(address == 0 || s->sent[address] <= AMPLIFICATION * s->received[address]);
        for (size_t at = 0; at < flight.len; at += flight.segment_size) {
            size_t left = flight.len - at;
            size_t len = left < flight.segment_size ? left : flight.segment_size;
            note_id(s, flight.data + at, len);
            if (address == 0) {
                queue_datagram(s, false, 0, flight.data + at, len);
            }
        }
    }
    while (rn_endpoint_transmit(s->client, &flight)) {
        for (size_t at = 0; at < flight.len; at += flight.segment_size) {
            size_t left = flight.len - at;
            queue_datagram(s, true, 0, flight.data + at,
                           left < flight.segment_size ? left : flight.segment_size);
        }
    }
}

static void deliver(scene *s, bool to_server, size_t address, rn_bytes bytes) {
    rn_datagram datagram = {.ecn = RN_ECN_ECT0, .data = fuzz_copy(bytes), .len = bytes.len};
    if (to_server) {
        datagram.local = s->server_address;
        datagram.remote = s->addresses[address];
        s->received[address] += bytes.len;
        rn_endpoint_receive(s->server, &datagram);
    } else {
        datagram.local = s->addresses[0];
        datagram.remote = s->server_address;
        rn_endpoint_receive(s->client, &datagram);
    }
    free(datagram.data);
}

static void take(scene *s, size_t index) {
    s->queued--;
    memmove(&s->queue[index], &s->queue[index + 1], (s->queued - index) * sizeof s->queue[0]);
}

/* ---- steps ---- */

static void connect_client(scene *s, rn_bytes token) {
    size_t i = 0;
    while (i < CLIENTS_MAX && s->clients[i] != NULL) {
        i++;
    }
    rn_connect_options options = {.local = s->addresses[0],
                                  .remote = s->server_address,
                                  .expect = {.identity = ARENA_IDENTITY},
                                  .token = token.data,
                                  .token_len = token.len < 256 ? token.len : 256};
    if (i < CLIENTS_MAX && rn_endpoint_connect(s->client, &options, &s->clients[i]) == RPCNET_OK) {
        s->opened++;
        rn_conn_set_handler(s->clients[i], &handler, s);
    }
}

static void queue_step(scene *s, enum step step, fuzz_input *input) {
    size_t index = fuzz_byte(input);
    if (s->queued == 0) {
        return;
    }
    index %= s->queued;
    packet *p = &s->queue[index];
    bool keep = step == REPEAT;
    size_t address = p->address;
    switch (step) {
    case CHANGE: {
        size_t position = (size_t)fuzz_number(input, 2);
        p->data[position % p->len] ^= fuzz_byte(input);
        break;
    }
    case CUT: {
        size_t len = (size_t)fuzz_number(input, 2);
        p->len = len % p->len + 1;
        break;
    }
    case ELSEWHERE:
        address = fuzz_byte(input) % ADDRESSES;
        break;
    case JOIN: {
        const packet *more = &s->queue[fuzz_byte(input) % s->queued];
        size_t len = sizeof p->data - p->len < more->len ? sizeof p->data - p->len : more->len;
        memmove(p->data + p->len, more->data, len);
        p->len += len;
        break;
    }
    default:
        break;
    }
    if (step != DROP) {
        deliver(s, p->to_server, address, rn_bytes_of(p->data, p->len));
    }
    if (!keep) {
        take(s, index);
    }
}

static void append_piece(rn_buffer *out, rn_bytes piece) {
    uint8_t len = (uint8_t)piece.len;
    (void)rn_buffer_append(out, &len, 1);
    (void)rn_buffer_append(out, piece.data, len);
}

/* The server's id of that number, or the next piece. */
static rn_bytes take_id(const scene *s, fuzz_input *input) {
    uint8_t which = fuzz_byte(input);
    if (s->id_count > 0 && which < 128) {
        const ngtcp2_cid *id = &s->ids[which % (s->id_count < IDS_MAX ? s->id_count : IDS_MAX)];
        return rn_bytes_of(id->data, id->datalen);
    }
    return fuzz_piece(input);
}

static void made_up(scene *s, bool long_header, fuzz_input *input) {
    static const uint8_t zeros[INITIAL_LEN];
    static const uint8_t versions[4][4] = {
        {0, 0, 0, 1}, {0, 0, 0, 0}, {0x6b, 0x33, 0x43, 0xcf}, {0x1a, 0x2a, 0x3a, 0x4a}};
    rn_buffer out;
    rn_buffer_init(&out, DATAGRAM_MAX);
    size_t address = fuzz_byte(input) % ADDRESSES;
    uint8_t first = fuzz_byte(input);
    first = long_header ? first | 0x80 : first & 0x7f;
    (void)rn_buffer_append(&out, &first, 1);
    if (long_header) {
        uint8_t version = fuzz_byte(input);
        (void)rn_buffer_append(&out, versions[version % 4], 4);
        append_piece(&out, take_id(s, input));
        append_piece(&out, fuzz_piece(input));
        append_piece(&out, fuzz_piece(input)); /* a token shorter than 64 bytes */
        rn_bytes rest = fuzz_piece(input);
        (void)rn_buffer_append(&out, rest.data, rest.len);
        if (version < 128 && out.len < INITIAL_LEN) {
            (void)rn_buffer_append(&out, zeros, INITIAL_LEN - out.len);
        }
    } else {
        rn_bytes id = take_id(s, input);
        (void)rn_buffer_append(&out, id.data, id.len);
        rn_bytes rest = fuzz_piece(input);
        (void)rn_buffer_append(&out, rest.data, rest.len);
    }
    deliver(s, true, address, rn_buffer_bytes(&out));
    rn_buffer_fini(&out);
}

/* A Retry with the right tag, as anybody who sees the client's Initial can make it. */
static void retry(scene *s, fuzz_input *input) {
    size_t index = fuzz_byte(input);
    rn_bytes id_bytes = fuzz_piece(input);
    rn_bytes token = fuzz_piece(input);
    uint8_t out[DATAGRAM_MAX];
    ngtcp2_pkt_hd header;
    ngtcp2_cid id;
    if (s->queued == 0 || token.len == 0) {
        return;
    }
    const packet *p = &s->queue[index % s->queued];
    if (ngtcp2_accept(&header, p->data, p->len) != 0) {
        return;
    }
    ngtcp2_cid_init(&id, id_bytes.data, id_bytes.len < 20 ? id_bytes.len : 20);
    if (ngtcp2_cid_eq(&id, &header.dcid)) {
        return; // ngtcp2 would assert: it never writes such a Retry (RFC 9000, section 17.2.5.1)
    }
    ngtcp2_ssize len = rn_tls_retry_write(out, sizeof out, &header, &id, token);
    if (len > 0) {
        deliver(s, false, 0, rn_bytes_of(out, (size_t)len));
    }
}

static void tick(scene *s, uint64_t ns) {
    rn_sim_run_for(s->sim, ns);
    if (rn_endpoint_deadline(s->server) <= rn_sim_now(s->sim)) {
        rn_endpoint_tick(s->server);
    }
    if (rn_endpoint_deadline(s->client) <= rn_sim_now(s->sim)) {
        rn_endpoint_tick(s->client);
    }
}

static void write_stream(rn_conn *conn, size_t len) {
    static const uint8_t zeros[64 * 255];
    rn_stream *stream = NULL;
    rn_bytes piece = rn_bytes_of(zeros, len);
    if (conn != NULL && rn_conn_open_bidi(conn, &stream) == RPCNET_OK) {
        (void)rn_stream_write(stream, &piece, 1, true);
    }
}

static void other_step(scene *s, enum step step, fuzz_input *input) {
    switch (step) {
    case CONNECT:
        connect_client(s, fuzz_piece(input));
        break;
    case RAW: {
        bool to_server = fuzz_byte(input) & 1;
        size_t address = fuzz_byte(input) % ADDRESSES;
        deliver(s, to_server, address, fuzz_piece(input));
        break;
    }
    case LONG:
    case SHORT:
        made_up(s, step == LONG, input);
        break;
    case RETRY:
        retry(s, input);
        break;
    case LATER:
        tick(s, 20 * (uint64_t)fuzz_byte(input) * RN_MILLISECOND);
        break;
    case CLOSE: {
        rn_conn *conn = s->clients[fuzz_byte(input) % CLIENTS_MAX];
        if (conn != NULL) {
            rn_conn_close(conn, 0x100, "enough");
        }
        break;
    }
    default: { /* WRITE */
        rn_conn *conn = s->clients[fuzz_byte(input) % CLIENTS_MAX];
        write_stream(conn, 64 * (size_t)fuzz_byte(input));
        break;
    }
    }
}

static void check(const scene *s) {
    const rn_endpoint_stats *stats = rn_endpoint_get_stats(s->server);
    assert(stats->connections <= CONNECTIONS_MAX && stats->handshakes <= HANDSHAKES_MAX);
    assert(stats->handshakes <= stats->connections);
    size_t open = stats->connections + rn_endpoint_get_stats(s->client)->connections;
    /* One that is closed stays for a while, to answer what comes late. */
    assert(s->closed <= s->opened + s->accepted && s->opened + s->accepted <= s->closed + open);
}

/* ---- */

static void begin(scene *s, uint8_t limits) {
    rn_endpoint_config config = {.tls = arena_tls("director"),
                                 .alpn = "fuzz",
                                 .accept = true,
                                 .limits = RN_QUIC_LIMITS_DEFAULT,
                                 .accepted = on_accepted,
                                 .ready = on_ready,
                                 .user = s,
                                 .process = 3};
    s->sim = rn_sim_new_quietly(1);
    memset(config.secret, 1, sizeof config.secret);
    memset(config.previous_secret, 2, sizeof config.previous_secret);
    config.limits.connections_max = CONNECTIONS_MAX;
    config.limits.handshakes_max = HANDSHAKES_MAX;
    config.limits.retry_above = limits & 1 ? 0 : HANDSHAKES_MAX;
    config.limits.connections_per_address = limits & 2 ? 3 : 0;
    config.limits.handshakes_per_address = limits & 2 ? 2 : 0;
    config.has_previous_secret = limits & 4;
    config.env = rn_sim_host_new(s->sim, ARENA_SERVER_HOST);
    assert(rn_endpoint_new(&s->server, &config) == RPCNET_OK);
    config.env = rn_sim_host_new(s->sim, ARENA_CLIENT_HOST);
    config.tls = arena_tls(NULL);
    config.accept = false;
    config.limits = (rn_quic_limits)RN_QUIC_LIMITS_DEFAULT;
    memset(config.secret, limits & 8 ? 1 : 9, sizeof config.secret);
    assert(rn_endpoint_new(&s->client, &config) == RPCNET_OK);
    assert(rn_address_parse(&s->server_address, ARENA_SERVER) == RPCNET_OK);
    static const char *const addresses[ADDRESSES] = {"10.0.0.1:4000", "10.0.0.8:4000",
                                                     "[2001:db8::1]:4000", "10.0.0.9:53"};
    for (size_t i = 0; i < ADDRESSES; i++) {
        assert(rn_address_parse(&s->addresses[i], addresses[i]) == RPCNET_OK);
    }
}

/* With nobody left to hear from, all connections end by themselves. */
static void end(scene *s) {
    for (unsigned i = 0; i < 200 && rn_endpoint_get_stats(s->server)->connections > 0; i++) {
        pump(s);
        s->queued = 0;
        tick(s, RN_SECOND);
    }
    pump(s);
    assert(rn_endpoint_get_stats(s->server)->connections == 0);
    assert(rn_endpoint_get_stats(s->server)->handshakes == 0);
    rn_endpoint_del(s->client);
    rn_endpoint_del(s->server);
    assert(s->closed == s->opened + s->accepted);
    rn_sim_del(s->sim);
    free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    scene *s = calloc(1, sizeof *s);
    assert(s != NULL);
    begin(s, fuzz_byte(&input));
    for (unsigned turn = 0; turn < STEPS_MAX && input.len > 0; turn++) {
        enum step step = (enum step)(fuzz_byte(&input) % STEPS);
        if (step >= DELIVER && step <= JOIN) {
            queue_step(s, step, &input);
        } else {
            other_step(s, step, &input);
        }
        pump(s);
        check(s);
    }
    end(s);
    return 0;
}
