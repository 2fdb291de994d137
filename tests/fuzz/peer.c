/* peer: see the header. */
#include "fuzz/peer.h"

#include "base/buffer.h"
#include "base/varint.h"
#include "grpc/framing.h"
#include "rpcnet/error.h"

enum { WRITE_MAX = 1 << 17, LARGE_PART = 256 };

/* ---- the connection ---- */

static void note_stream(struct fuzz_peer_streams *streams, rn_stream *stream) {
    if (streams->count < FUZZ_PEER_STREAMS_MAX) {
        rn_stream **slot = &streams->at[streams->count++];
        *slot = stream;
        rn_stream_set_user(stream, slot);
    }
}

static void on_established(rn_conn *conn, void *user) {
    (void)conn;
    ((fuzz_peer *)user)->established = true;
}

static void on_data(rn_conn *conn, rn_stream *stream, const uint8_t *data, size_t len, bool fin,
                    void *user) {
    fuzz_peer *peer = user;
    (void)conn;
    (void)data;
    (void)fin;
    if (rn_stream_user(stream) == NULL) {
        bool unidirectional = (rn_stream_id(stream) & 2) != 0;
        note_stream(unidirectional ? &peer->uni : &peer->requests, stream);
    }
    if (!peer->hold) {
        rn_stream_consume(stream, len);
    }
}

static void on_stream_closed(rn_conn *conn, rn_stream *stream, void *user) {
    rn_stream **slot = rn_stream_user(stream);
    (void)conn;
    (void)user;
    if (slot != NULL) {
        *slot = NULL;
    }
}

static void on_closed(rn_conn *conn, const rn_close *close, void *user) {
    fuzz_peer *peer = user;
    (void)conn;
    (void)close;
    peer->conn = NULL;
    peer->own.count = 0;
    peer->requests.count = 0;
    peer->uni.count = 0;
}

static const rn_conn_handler handler = {.established = on_established,
                                        .stream_data = on_data,
                                        .stream_closed = on_stream_closed,
                                        .closed = on_closed};

void fuzz_peer_init(fuzz_peer *peer, rn_conn *conn) {
    *peer = (fuzz_peer){.conn = conn};
    rn_conn_set_handler(conn, &handler, peer);
}

/* ---- bytes ---- */

static void put(rn_buffer *out, rn_bytes bytes) {
    assert(rn_buffer_append(out, bytes.data, bytes.len) == RPCNET_OK);
}

static void put_byte(rn_buffer *out, unsigned byte) {
    uint8_t value = (uint8_t)byte;
    put(out, rn_bytes_of(&value, 1));
}

static void put_varint(rn_buffer *out, uint64_t value) {
    uint8_t bytes[8];
    put(out, rn_bytes_of(bytes, (size_t)(rn_varint_write(bytes, value) - bytes)));
}

static void put_frame(rn_buffer *out, uint64_t type, uint64_t len, rn_bytes payload) {
    put_varint(out, type);
    put_varint(out, len);
    put(out, payload);
}

/* RFC 9204, section 4.1.1. */
static void put_prefixed(rn_buffer *out, unsigned first, unsigned prefix_max, size_t value) {
    put_byte(out, first | (unsigned)(value < prefix_max ? value : prefix_max));
    if (value >= prefix_max) {
        for (value -= prefix_max; value >= 128; value /= 128) {
            put_byte(out, 128 + (unsigned)(value % 128));
        }
        put_byte(out, (unsigned)value);
    }
}

/* Literal name and value, no Huffman code (section 4.5.6). */
static void put_field(rn_buffer *out, rn_bytes name, rn_bytes value) {
    put_prefixed(out, 0x20, 7, name.len);
    put(out, name);
    put_prefixed(out, 0, 127, value.len);
    put(out, value);
}

/* ---- field sections ---- */

static const char *const names[] = {
    "grpc-status", "grpc-message", "grpc-timeout", "content-type",   ":status", ":path",
    ":method",     ":authority",   "te",           "content-length", "x-a-bin", "grpc-encoding",
    "priority",    "expect",       "cookie",       "authorization"};
enum { NAMES = sizeof names / sizeof names[0], OWN_NAME = 255 };

static void put_template(rn_buffer *out, uint8_t which) {
    static const char *const request[] = {
        ":method", "POST",    ":scheme", "https",    ":authority",   "somebody",
        ":path",   "/t/Echo", "te",      "trailers", "content-type", "application/grpc"};
    static const char *const response[] = {":status", "200", "content-type", "application/grpc"};
    static const char *const trailers[] = {"grpc-status", "0"};
    static const char *const informational[] = {":status", "103"};
    static const struct {
        const char *const *texts;
        size_t count;
    } templates[] = {{request, sizeof request / sizeof request[0]},
                     {response, sizeof response / sizeof response[0]},
                     {trailers, sizeof trailers / sizeof trailers[0]},
                     {informational, sizeof informational / sizeof informational[0]},
                     {NULL, 0}};
    size_t index = which % (sizeof templates / sizeof templates[0]);
    for (size_t i = 0; i < templates[index].count; i += 2) {
        put_field(out, rn_bytes_text(templates[index].texts[i]),
                  rn_bytes_text(templates[index].texts[i + 1]));
    }
}

static void put_section(rn_buffer *out, fuzz_input *input) {
    rn_buffer section;
    rn_buffer_init(&section, WRITE_MAX);
    put(&section, rn_bytes_of("\0", 2));
    put_template(&section, fuzz_byte(input));
    for (unsigned count = fuzz_byte(input) % 8; count > 0; count--) {
        uint8_t index = fuzz_byte(input);
        rn_bytes name = index == OWN_NAME ? fuzz_piece(input) : rn_bytes_text(names[index % NAMES]);
        put_field(&section, name, fuzz_piece(input));
    }
    put_frame(out, 1, section.len, rn_buffer_bytes(&section));
    rn_buffer_fini(&section);
}

static uint64_t frame_type(fuzz_input *input) {
    static const uint64_t types[] = {0x0, 0x1, 0x2, 0x3,  0x4,     0x5,     0x6,  0x7,
                                     0x8, 0x9, 0xd, 0x21, 0xf0700, 0xf0701, 0x41, 0x3fffffff};
    return types[fuzz_byte(input) % (sizeof types / sizeof types[0])];
}

static void put_message(rn_buffer *out, fuzz_input *input) {
    uint8_t flag = fuzz_byte(input);
    rn_bytes message = fuzz_piece(input);
    uint8_t prefix[RN_FRAME_PREFIX_LEN];
    rn_frame_prefix(prefix, (uint32_t)message.len);
    prefix[0] = flag < 8 ? flag : 0;
    put_frame(out, 0, sizeof prefix + message.len, rn_bytes_of(prefix, sizeof prefix));
    put(out, message);
}

static void put_large(rn_buffer *out, size_t parts) {
    static const uint8_t zeros[LARGE_PART];
    put_frame(out, 0, parts * sizeof zeros, rn_bytes_of(zeros, 0));
    for (size_t i = 0; i < parts; i++) {
        put(out, rn_bytes_of(zeros, sizeof zeros));
    }
}

/* ---- steps ---- */

static rn_stream *choose(fuzz_peer *peer, fuzz_input *input) {
    uint8_t name = fuzz_byte(input);
    struct fuzz_peer_streams *streams = &peer->own;
    if (name >= FUZZ_PEER_UNI) {
        streams = &peer->uni;
        name -= FUZZ_PEER_UNI;
    } else if (name >= FUZZ_PEER_REQUESTS) {
        streams = &peer->requests;
        name -= FUZZ_PEER_REQUESTS;
    }
    return streams->count > 0 ? streams->at[name % streams->count] : NULL;
}

static void say(rn_stream *stream, rn_bytes bytes, bool fin) {
    size_t room = rn_stream_room(stream);
    bytes.len = bytes.len < room ? bytes.len : room;
    (void)rn_stream_write(stream, &bytes, 1, fin);
}

static void open_stream(fuzz_peer *peer, bool unidirectional, rn_bytes bytes) {
    rn_stream *stream = NULL;
    int rv = unidirectional ? rn_conn_open_uni(peer->conn, &stream)
                            : rn_conn_open_bidi(peer->conn, &stream);
    if (rv == RPCNET_OK) {
        note_stream(&peer->own, stream);
        say(stream, bytes, false);
    }
}

static uint64_t code_of(fuzz_input *input) {
    return 0x100 + fuzz_byte(input);
}

/* Steps that write to a stream, which may be none: they take their part of the input all the same,
 * so that what follows keeps its meaning. */
static void write_step(rn_stream *stream, enum fuzz_peer_step step, fuzz_input *input) {
    rn_buffer out;
    rn_buffer_init(&out, WRITE_MAX);
    switch (step) {
    case FUZZ_RAW:
        put(&out, fuzz_piece(input));
        break;
    case FUZZ_FRAME: {
        uint64_t type = frame_type(input);
        rn_bytes payload = fuzz_piece(input);
        put_frame(&out, type, payload.len, payload);
        break;
    }
    case FUZZ_LYING_FRAME: {
        uint64_t type = frame_type(input);
        uint64_t len = fuzz_number(input, 2);
        put_frame(&out, type, len, fuzz_piece(input));
        break;
    }
    case FUZZ_HEADERS:
        put_section(&out, input);
        break;
    case FUZZ_MESSAGE:
        put_message(&out, input);
        break;
    default: /* FUZZ_LARGE */
        put_large(&out, fuzz_byte(input));
        break;
    }
    if (stream != NULL) {
        say(stream, rn_buffer_bytes(&out), false);
    }
    rn_buffer_fini(&out);
}

static void end_step(fuzz_peer *peer, enum fuzz_peer_step step, fuzz_input *input) {
    rn_stream *stream = choose(peer, input);
    if (stream == NULL) {
        return;
    }
    if (step == FUZZ_FIN) {
        say(stream, rn_bytes_of(NULL, 0), true);
    } else if (step == FUZZ_RESET) {
        rn_stream_reset(stream, code_of(input));
    } else {
        rn_stream_stop_sending(stream, code_of(input));
    }
}

void fuzz_peer_do(fuzz_peer *peer, enum fuzz_peer_step step, fuzz_input *input) {
    static const uint8_t control[] = {0x00, 0x04, 0x00};
    if (peer->conn == NULL) {
        return;
    }
    switch (step) {
    case FUZZ_OPEN_UNI:
        open_stream(peer, true, fuzz_piece(input));
        break;
    case FUZZ_OPEN_BIDI:
        open_stream(peer, false, rn_bytes_of(NULL, 0));
        break;
    case FUZZ_CONTROL:
        open_stream(peer, true, rn_bytes_of(control, sizeof control));
        break;
    case FUZZ_FIN:
    case FUZZ_RESET:
    case FUZZ_STOP:
        end_step(peer, step, input);
        break;
    case FUZZ_HOLD:
        peer->hold = !peer->hold;
        break;
    case FUZZ_CLOSE:
        rn_conn_close(peer->conn, code_of(input), "enough");
        break;
    case FUZZ_PEER_STEPS:
        break;
    default:
        write_step(choose(peer, input), step, input);
        break;
    }
}
