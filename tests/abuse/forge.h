/* forge: packets that no library would write, sealed with the right keys (RFC 9001, section 5). */
#ifndef TESTS_ABUSE_FORGE_H
#define TESTS_ABUSE_FORGE_H

#include "abuse/raw_peer.h"

enum { FORGE_DATAGRAM_MAX = 1452, FORGE_INITIAL_LEN = 1200 };

/* A 1-RTT packet of the peer's live connection with these frames, `ahead` packet numbers beyond the
 * next one. `first_bits` are XORed into the first byte before it is protected. Returns its length.
 */
size_t forge_short(const raw_peer *peer, unsigned first_bits, uint64_t ahead, rn_bytes frames,
                   uint8_t out[FORGE_DATAGRAM_MAX]);

typedef struct forge_initial_options {
    uint8_t destination[20]; /* the client's choice; Initial keys derive from it */
    size_t destination_len;
    uint8_t source[20];
    size_t source_len;
    rn_bytes token;
    rn_bytes frames; /* PADDING follows up to FORGE_INITIAL_LEN, if `pad` */
    bool pad;
    unsigned first_bits;
    uint32_t number;  /* of the packet */
    uint32_t version; /* 0: QUIC version 1 */
} forge_initial_options;

/* A client's Initial packet. Returns its length. */
size_t forge_initial(const forge_initial_options *options, uint8_t out[FORGE_DATAGRAM_MAX]);

/* The error code of the CONNECTION_CLOSE in the server's answer, an Initial packet. False: it is
 * something else. */
bool forge_read_close(const forge_initial_options *options, const uint8_t *packet, size_t len,
                      uint64_t *code);

/* Sends a datagram from the peer's own socket. */
void forge_send(raw_peer *peer, const uint8_t *data, size_t len);

#endif
