/* books: what a live connection must know about itself to be written down, and what ngtcp2 does not
 * tell: packet numbers sent, packet numbers received, stream bytes that were acknowledged but wait
 * for a gap to close, the connection ids of both sides.
 *
 * They are kept by looking at packets where they are sealed and opened (quic/protection.h), from
 * the first packet of every connection. Much of it nothing reads yet (packet numbers, ids, pieces'
 * bytes; in quic/protection.h `phase` and `header_*`): it is for whoever writes a connection down.
 */
#ifndef RN_QUIC_BOOKS_H
#define RN_QUIC_BOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ngtcp2/ngtcp2.h>

#include "base/list.h"
#include "quic/blocks.h"
#include "quic/frame_walk.h"

enum {
    RN_BOOKS_RANGES_MAX = 64,   /* ranges of received packet numbers; the oldest are let go */
    RN_BOOKS_PEER_IDS_MAX = 16, /* active ids of the peer (we allow 8 at once) */
    RN_BOOKS_HANDSHAKE_DONE_MAX = 8,
    RN_BOOKS_PIECES_MAX = 256, /* out-of-order pieces of a connection */
    RN_BOOKS_STOPS_MAX = 16    /* STOP_SENDING frames of a datagram that are told at once */
};

typedef struct rn_packet_range {
    uint64_t low;
    uint64_t high;
} rn_packet_range;

typedef struct rn_peer_id {
    uint64_t sequence;
    ngtcp2_cid id;
    uint8_t reset_token[NGTCP2_STATELESS_RESET_TOKENLEN];
} rn_peer_id;

/* Stream bytes beyond a gap: acknowledged by us, not delivered yet. */
typedef struct rn_stream_piece {
    rn_list link;
    int64_t stream_id;
    uint64_t offset;
    size_t len;
    uint8_t data[];
} rn_stream_piece;

typedef struct rn_books {
    uint64_t packet_number_next;   /* above all 1-RTT packet numbers that we have sent */
    uint64_t packets_under_key;    /* sealed with the present transmit key (AEAD limits) */
    uint64_t largest_acknowledged; /* by the peer */
    bool any_acknowledged;

    rn_packet_range received[RN_BOOKS_RANGES_MAX]; /* ascending, apart from one another */
    size_t received_count;

    rn_peer_id peer_ids[RN_BOOKS_PEER_IDS_MAX];
    size_t peer_ids_count;

    uint64_t handshake_done[RN_BOOKS_HANDSHAKE_DONE_MAX]; /* packets that carried it */
    size_t handshake_done_count;
    bool handshake_done_acknowledged;

    rn_blocks *blocks; /* where the memory of the pieces is counted */
    rn_list pieces;
    size_t pieces_count;
    bool strangers;       /* some may be of streams that are not there, or not yet */
    bool pieces_complete; /* false: at some time more than we keep were held */

    unsigned dirty;            /* enum rn_dirty: not committed yet */
    bool unacknowledged_input; /* ack-eliciting packets came in since the last ACK we sent */
    bool server;               /* whose books these are: set by who knows, after rn_books_init */
    bool wrong_reset;          /* the peer has reset a stream on which we alone send */
    int64_t stops[RN_BOOKS_STOPS_MAX]; /* ids from STOP_SENDING frames that came; */
    size_t stops_count;                /* whoever tells the streams clears this, */
    bool stops_missed;                 /* and this: there were more */
    bool challenged; /* a PATH_CHALLENGE came in; whoever answers to it clears this */
} rn_books;

/* How far a stream has been delivered: the offset of its next byte. False: no such stream. */
typedef bool rn_books_delivered(void *user, int64_t stream_id, uint64_t *offset);

/* `blocks` outlive the books. */
void rn_books_init(rn_books *books, rn_blocks *blocks);
void rn_books_fini(rn_books *books);

/* A 1-RTT packet is about to be sealed. */
void rn_books_sent(rn_books *books, uint64_t packet_number, const uint8_t *payload, size_t len);
/* A 1-RTT packet was opened. May come twice for one packet number. */
void rn_books_received(rn_books *books, uint64_t packet_number, const uint8_t *payload, size_t len,
                       rn_books_delivered *delivered, void *user);
/* What rn_books_received has seen was judged: streams that it opened are there. What it holds of
 * others, which are over, is let go. */
void rn_books_settle(rn_books *books, rn_books_delivered *delivered, void *user);
/* A stream was delivered up to `offset`; UINT64_MAX: it is closed. */
void rn_books_stream_delivered(rn_books *books, int64_t stream_id, uint64_t offset);
/* Are bytes of the stream held beyond a gap, as far as is known? */
bool rn_books_hold(const rn_books *books, int64_t stream_id);
/* The transmit key was replaced (key update). */
void rn_books_key_changed(rn_books *books);

#endif
