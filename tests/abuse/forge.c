/* forge: see the header. */
#include "abuse/forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <gnutls/crypto.h>

#include "base/varint.h"
#include "quic/conn_internal.h"
#include "rpcnet/error.h"

enum {
    SHORT_FIRST = 0x43,   /* fixed bit; packet numbers of four bytes */
    INITIAL_FIRST = 0xc3, /* the same in a long header, type Initial */
    NUMBER_LEN = 4,
    SAMPLE_OFFSET = 4, /* behind the beginning of the packet number */
    SUITE = 0x1301,    /* TLS_AES_128_GCM_SHA256, which a client offers first */
    SECRET_LEN = 32,
    KEY_LEN = 16
};

typedef struct seal_keys {
    const uint8_t *secret;
    const uint8_t *header_key;
} seal_keys;

/* One block of AES-128-ECB (RFC 9001, section 5.4.3). */
static void make_mask(const uint8_t *header_key, const uint8_t *sample, uint8_t mask[KEY_LEN]) {
    gnutls_cipher_hd_t cipher;
    uint8_t key_bytes[KEY_LEN];
    uint8_t zero[KEY_LEN] = {0};
    gnutls_datum_t key = {.data = key_bytes, .size = KEY_LEN};
    gnutls_datum_t iv = {.data = zero, .size = KEY_LEN};
    memcpy(key_bytes, header_key, KEY_LEN);
    assert_int_equal(gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &key, &iv), 0);
    assert_int_equal(gnutls_cipher_encrypt2(cipher, sample, KEY_LEN, mask, KEY_LEN), 0);
    gnutls_cipher_deinit(cipher);
}

/* Protects the packet in place: header of `header_len` bytes that ends with the packet number,
 * frames behind it. Returns the whole length. */
static size_t seal(const seal_keys *keys, uint8_t *packet, size_t header_len, size_t frames_len,
                   uint32_t number) {
    uint8_t iv[RN_PACKET_IV_LEN];
    uint8_t mask[KEY_LEN];
    rn_packet_key *key;
    assert_int_equal(rn_packet_key_new(&key, SUITE, keys->secret, iv), RPCNET_OK);
    for (unsigned i = 0; i < NUMBER_LEN; i++) {
        iv[RN_PACKET_IV_LEN - 1 - i] ^= (uint8_t)(number >> (8 * i));
    }
    assert_int_equal(rn_packet_key_seal(key, packet + header_len, packet + header_len, frames_len,
                                        iv, packet, header_len),
                     RPCNET_OK);
    rn_packet_key_del(key);

    uint8_t *number_at = packet + header_len - NUMBER_LEN;
    make_mask(keys->header_key, number_at + SAMPLE_OFFSET, mask);
    packet[0] ^= mask[0] & ((packet[0] & 0x80) != 0 ? 0x0f : 0x1f);
    for (unsigned i = 0; i < NUMBER_LEN; i++) {
        number_at[i] ^= mask[1 + i];
    }
    return header_len + frames_len + RN_PACKET_TAG_LEN;
}

static uint8_t *put_number(uint8_t *at, uint32_t number) {
    for (unsigned i = 0; i < 4; i++) {
        *at++ = (uint8_t)(number >> (24 - 8 * i));
    }
    return at;
}

size_t forge_short(const raw_peer *peer, unsigned first_bits, uint64_t ahead, rn_bytes frames,
                   uint8_t out[FORGE_DATAGRAM_MAX]) {
    const rn_conn *conn = peer->conn;
    const rn_protection *protection = &conn->protection;
    const ngtcp2_cid *id = ngtcp2_conn_get_dcid(conn->quic);
    uint64_t generation = protection->generation_transmit;
    uint32_t number = (uint32_t)(conn->books.packet_number_next + ahead);
    out[0] = (uint8_t)((SHORT_FIRST | (generation % 2) << 2) ^ first_bits);
    memcpy(out + 1, id->data, id->datalen);
    uint8_t *at = put_number(out + 1 + id->datalen, number);
    size_t header_len = (size_t)(at - out);
    assert_true(header_len + frames.len + RN_PACKET_TAG_LEN <= FORGE_DATAGRAM_MAX);
    if (frames.len > 0) {
        memcpy(at, frames.data, frames.len);
    }
    assert_int_equal(protection->suite, SUITE);
    seal_keys keys = {.secret = protection->phase[generation % 2].transmit,
                      .header_key = protection->header_transmit};
    return seal(&keys, out, header_len, frames.len, number);
}

/* RFC 9001, section 5.2. `label`: "client in" or "server in". */
static void derive_initial(const forge_initial_options *options, const char *label,
                           uint8_t secret[SECRET_LEN], uint8_t header_key[KEY_LEN]) {
    static const uint8_t salt_bytes[] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
                                         0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                                         0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    uint8_t id[sizeof options->destination];
    uint8_t salt_copy[sizeof salt_bytes];
    uint8_t initial[SECRET_LEN];
    memcpy(id, options->destination, sizeof id);
    memcpy(salt_copy, salt_bytes, sizeof salt_copy);
    gnutls_datum_t input = {.data = id, .size = (unsigned)options->destination_len};
    gnutls_datum_t salt = {.data = salt_copy, .size = sizeof salt_copy};
    assert_int_equal(gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &input, &salt, initial), 0);
    assert_int_equal(rn_tls_expand_label(SUITE, initial, label, secret, SECRET_LEN), RPCNET_OK);
    assert_int_equal(rn_tls_expand_label(SUITE, secret, "quic hp", header_key, KEY_LEN), RPCNET_OK);
}

size_t forge_initial(const forge_initial_options *options, uint8_t out[FORGE_DATAGRAM_MAX]) {
    uint8_t secret[SECRET_LEN];
    uint8_t header_key[KEY_LEN];
    uint8_t *at = out;
    *at++ = (uint8_t)(INITIAL_FIRST ^ options->first_bits);
    at = put_number(at, options->version != 0 ? options->version : NGTCP2_PROTO_VER_V1);
    *at++ = (uint8_t)options->destination_len;
    memcpy(at, options->destination, options->destination_len);
    at += options->destination_len;
    *at++ = (uint8_t)options->source_len;
    memcpy(at, options->source, options->source_len);
    at += options->source_len;
    *at++ = (uint8_t)(0x40 | options->token.len >> 8);
    *at++ = (uint8_t)options->token.len;
    if (options->token.len > 0) {
        memcpy(at, options->token.data, options->token.len);
    }
    at += options->token.len;
    size_t header_len = (size_t)(at - out) + 2 + NUMBER_LEN;
    size_t frames_len = options->frames.len;
    if (options->pad && header_len + frames_len + RN_PACKET_TAG_LEN < FORGE_INITIAL_LEN) {
        frames_len = FORGE_INITIAL_LEN - header_len - RN_PACKET_TAG_LEN;
    }
    assert_true(header_len + frames_len + RN_PACKET_TAG_LEN <= FORGE_DATAGRAM_MAX);
    size_t rest = NUMBER_LEN + frames_len + RN_PACKET_TAG_LEN;
    *at++ = (uint8_t)(0x40 | rest >> 8);
    *at++ = (uint8_t)rest;
    at = put_number(at, options->number);
    memset(at, 0, frames_len);
    if (options->frames.len > 0) {
        memcpy(at, options->frames.data, options->frames.len);
    }
    derive_initial(options, "client in", secret, header_key);
    seal_keys keys = {.secret = secret, .header_key = header_key};
    return seal(&keys, out, header_len, frames_len, options->number);
}

/* Where the packet number of the Initial packet begins, and what follows it. NULL: no such packet.
 */
static uint8_t *find_number(uint8_t *packet, size_t len, uint64_t *rest) {
    const uint8_t *at = packet + 5;
    const uint8_t *end = packet + len;
    uint64_t token_len;
    if (len < 7 || (packet[0] & 0xf0) != 0xc0) {
        return NULL;
    }
    for (int ids = 0; ids < 2; ids++) {
        if (at == end || (size_t)(end - at) <= *at) {
            return NULL;
        }
        at += 1 + *at;
    }
    if (rn_varint_read(&at, end, &token_len) != RPCNET_OK || token_len != 0 ||
        rn_varint_read(&at, end, rest) != RPCNET_OK || *rest > (uint64_t)(end - at) ||
        *rest < SAMPLE_OFFSET + KEY_LEN) {
        return NULL;
    }
    return packet + (at - packet);
}

/* Such a packet holds nothing else, but for PADDING. */
static bool find_close(const uint8_t *at, const uint8_t *end, uint64_t *code) {
    while (at < end && *at == RN_FRAME_PADDING) {
        at++;
    }
    return at < end && *at++ == RN_FRAME_CONNECTION_CLOSE &&
           rn_varint_read(&at, end, code) == RPCNET_OK;
}

bool forge_read_close(const forge_initial_options *options, const uint8_t *packet, size_t len,
                      uint64_t *code) {
    uint8_t copy[RAW_DATAGRAM_MAX];
    uint8_t secret[SECRET_LEN];
    uint8_t header_key[KEY_LEN];
    uint8_t mask[KEY_LEN];
    uint8_t iv[RN_PACKET_IV_LEN];
    uint64_t rest = 0;
    memcpy(copy, packet, len);
    uint8_t *number_at = find_number(copy, len, &rest);
    if (number_at == NULL) {
        return false;
    }
    derive_initial(options, "server in", secret, header_key);
    make_mask(header_key, number_at + SAMPLE_OFFSET, mask);
    copy[0] ^= mask[0] & 0x0f;
    size_t number_len = (copy[0] & 3U) + 1;
    rn_packet_key *key;
    assert_int_equal(rn_packet_key_new(&key, SUITE, secret, iv), RPCNET_OK);
    for (size_t i = 0; i < number_len; i++) {
        number_at[i] ^= mask[1 + i];
        iv[RN_PACKET_IV_LEN - number_len + i] ^= number_at[i];
    }
    uint8_t *sealed = number_at + number_len;
    size_t sealed_len = (size_t)rest - number_len;
    int rv = rn_packet_key_open(key, sealed, sealed, sealed_len, iv, copy, (size_t)(sealed - copy));
    rn_packet_key_del(key);
    return rv == RPCNET_OK && find_close(sealed, sealed + sealed_len - RN_PACKET_TAG_LEN, code);
}

void forge_send(raw_peer *peer, const uint8_t *data, size_t len) {
    rn_transmit transmit = {.remote = peer->remote, .data = data, .len = len, .segment_size = len};
    assert_int_equal(peer->env->ops->udp_send(peer->udp, &transmit), RPCNET_OK);
}
