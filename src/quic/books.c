/* books: see the header. Nothing here judges the peer; ngtcp2 sees the same frames next and does.
 */
#include "quic/books.h"

#include <string.h>

#include "base/env.h"

void rn_books_init(rn_books *books, rn_blocks *blocks) {
    memset(books, 0, sizeof *books);
    books->blocks = blocks;
    rn_list_init(&books->pieces);
    books->pieces_complete = true;
}

static void drop_piece(rn_books *books, rn_stream_piece *piece) {
    rn_list_remove(&piece->link);
    rn_blocks_give_back(books->blocks, piece);
    books->pieces_count--;
}

void rn_books_fini(rn_books *books) {
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &books->pieces) {
        drop_piece(books, RN_CONTAINER_OF(link, rn_stream_piece, link));
    }
}

/* ---- sent ---- */

static void forget_peer_id(rn_books *books, uint64_t sequence) {
    for (size_t i = 0; i < books->peer_ids_count; i++) {
        if (books->peer_ids[i].sequence == sequence) {
            books->peer_ids[i] = books->peer_ids[--books->peer_ids_count];
            return;
        }
    }
}

void rn_books_sent(rn_books *books, uint64_t packet_number, const uint8_t *payload, size_t len) {
    const uint8_t *cursor = payload;
    rn_frame frame;
    if (packet_number >= books->packet_number_next) {
        books->packet_number_next = packet_number + 1;
    }
    books->packets_under_key++;
    books->dirty |= RN_DIRTY_PACKET_NUMBERS;
    while (rn_frame_next(&cursor, payload + len, &frame)) {
        switch (frame.type) {
        case RN_FRAME_ACK:
        case RN_FRAME_ACK_ECN:
            if (books->unacknowledged_input) {
                books->unacknowledged_input = false;
                books->dirty |= RN_DIRTY_ACKED_RECEIVED;
            }
            break;
        case RN_FRAME_STREAM:
            books->dirty |= RN_DIRTY_STREAM_BYTES;
            break;
        case RN_FRAME_MAX_DATA:
        case RN_FRAME_MAX_STREAM_DATA:
        case RN_FRAME_MAX_STREAMS_BIDI:
        case RN_FRAME_MAX_STREAMS_UNI:
            books->dirty |= RN_DIRTY_LIMITS;
            break;
        case RN_FRAME_NEW_CONNECTION_ID:
            books->dirty |= RN_DIRTY_IDS;
            break;
        case RN_FRAME_RETIRE_CONNECTION_ID:
            books->dirty |= RN_DIRTY_IDS;
            forget_peer_id(books, frame.id);
            break;
        case RN_FRAME_HANDSHAKE_DONE:
            if (books->handshake_done_count < RN_BOOKS_HANDSHAKE_DONE_MAX) {
                books->handshake_done[books->handshake_done_count++] = packet_number;
            }
            break;
        default:
            break;
        }
    }
}

/* ---- received ---- */

static void remove_range(rn_books *books, size_t at) {
    books->received_count--;
    memmove(&books->received[at], &books->received[at + 1],
            (books->received_count - at) * sizeof books->received[0]);
}

static void note_received(rn_books *books, uint64_t number) {
    rn_packet_range *ranges = books->received;
    size_t at = books->received_count;
    while (at > 0 && ranges[at - 1].low > number) {
        at--;
    }
    /* ranges[at - 1] begins at or below the number, ranges[at] above it. */
    if (at > 0 && number <= ranges[at - 1].high) {
        return;
    }
    bool joins_left = at > 0 && ranges[at - 1].high + 1 == number;
    bool joins_right = at < books->received_count && ranges[at].low == number + 1;
    if (joins_left && joins_right) {
        ranges[at - 1].high = ranges[at].high;
        remove_range(books, at);
    } else if (joins_left) {
        ranges[at - 1].high = number;
    } else if (joins_right) {
        ranges[at].low = number;
    } else {
        if (books->received_count == RN_BOOKS_RANGES_MAX) {
            if (at == 0) {
                return; /* older than all that is kept */
            }
            remove_range(books, 0);
            at--;
        }
        memmove(&ranges[at + 1], &ranges[at],
                (books->received_count - at) * sizeof books->received[0]);
        ranges[at] = (rn_packet_range){.low = number, .high = number};
        books->received_count++;
    }
}

static void note_ack(rn_books *books, const rn_frame *ack, const uint8_t *end) {
    rn_ack_walk walk = {0};
    uint64_t low;
    uint64_t high;
    while (rn_ack_next(&walk, ack, end, &low, &high)) {
        if (!books->any_acknowledged || high > books->largest_acknowledged) {
            books->largest_acknowledged = high;
            books->any_acknowledged = true;
        }
        if (books->handshake_done_acknowledged || books->handshake_done_count == 0) {
            return; /* the first range holds the largest; the rest is of no interest */
        }
        for (size_t i = 0; i < books->handshake_done_count; i++) {
            if (books->handshake_done[i] >= low && books->handshake_done[i] <= high) {
                books->handshake_done_acknowledged = true;
            }
        }
    }
}

static void note_peer_id(rn_books *books, const rn_frame *frame) {
    size_t id_len = frame->data[0];
    if (id_len == 0 || id_len > NGTCP2_MAX_CIDLEN ||
        books->peer_ids_count == RN_BOOKS_PEER_IDS_MAX) {
        return;
    }
    for (size_t i = 0; i < books->peer_ids_count; i++) {
        if (books->peer_ids[i].sequence == frame->id) {
            return;
        }
    }
    rn_peer_id *peer = &books->peer_ids[books->peer_ids_count++];
    peer->sequence = frame->id;
    ngtcp2_cid_init(&peer->id, frame->data + 1, id_len);
    memcpy(peer->reset_token, frame->data + 1 + id_len, sizeof peer->reset_token);
}

static bool is_kept(const rn_books *books, const rn_frame *frame) {
    const rn_list *link;
    for (link = books->pieces.next; link != &books->pieces; link = link->next) {
        const rn_stream_piece *piece = RN_CONTAINER_OF(link, rn_stream_piece, link);
        if (piece->stream_id == (int64_t)frame->id && piece->offset <= frame->offset &&
            piece->offset + piece->len >= frame->offset + frame->len) {
            return true;
        }
    }
    return false;
}

static void note_stream_bytes(rn_books *books, const rn_frame *frame, rn_books_delivered *delivered,
                              void *user) {
    uint64_t next = 0;
    bool known = delivered(user, (int64_t)frame->id, &next);
    if (frame->len == 0 || frame->offset <= next || (!known && frame->offset == 0)) {
        return; /* in order, or old: ngtcp2 delivers it at once */
    }
    if (is_kept(books, frame)) {
        return;
    }
    rn_stream_piece *piece = NULL;
    if (books->pieces_count < RN_BOOKS_PIECES_MAX) {
        piece = rn_blocks_take(books->blocks, sizeof *piece + frame->len);
    }
    if (piece == NULL) {
        books->pieces_complete = false;
        return;
    }
    piece->stream_id = (int64_t)frame->id;
    piece->offset = frame->offset;
    piece->len = frame->len;
    memcpy(piece->data, frame->data, frame->len);
    rn_list_append(&books->pieces, &piece->link);
    books->pieces_count++;
    books->strangers |= !known;
}

/* The two lowest bits tell who has opened a stream, and whether one side alone sends on it (RFC
 * 9000, section 2.1). */
static bool is_send_only(const rn_books *books, uint64_t stream_id) {
    return (stream_id & 3) == (books->server ? 3 : 2);
}

static void note_stop(rn_books *books, const rn_frame *frame) {
    if (books->stops_count < RN_BOOKS_STOPS_MAX) {
        books->stops[books->stops_count++] = (int64_t)frame->id;
    } else {
        books->stops_missed = true;
    }
}

void rn_books_received(rn_books *books, uint64_t packet_number, const uint8_t *payload, size_t len,
                       rn_books_delivered *delivered, void *user) {
    const uint8_t *cursor = payload;
    const uint8_t *end = payload + len;
    rn_frame frame;
    note_received(books, packet_number);
    while (rn_frame_next(&cursor, end, &frame)) {
        if (rn_frame_is_ack_eliciting(frame.type)) {
            books->unacknowledged_input = true;
        }
        switch (frame.type) {
        case RN_FRAME_ACK:
        case RN_FRAME_ACK_ECN:
            note_ack(books, &frame, end);
            break;
        case RN_FRAME_STREAM:
            note_stream_bytes(books, &frame, delivered, user);
            break;
        case RN_FRAME_NEW_CONNECTION_ID:
            note_peer_id(books, &frame);
            break;
        case RN_FRAME_RESET_STREAM:
            books->wrong_reset |= is_send_only(books, frame.id);
            break;
        case RN_FRAME_STOP_SENDING:
            note_stop(books, &frame);
            break;
        case RN_FRAME_PATH_CHALLENGE:
            books->challenged = true;
            break;
        default:
            break;
        }
    }
}

void rn_books_stream_delivered(rn_books *books, int64_t stream_id, uint64_t offset) {
    if (books->pieces_count > 0) {
        rn_list *link;
        rn_list *after;
        RN_LIST_FOREACH(link, after, &books->pieces) {
            rn_stream_piece *piece = RN_CONTAINER_OF(link, rn_stream_piece, link);
            if (piece->stream_id == stream_id && piece->offset + piece->len <= offset) {
                drop_piece(books, piece);
            }
        }
    }
}

void rn_books_settle(rn_books *books, rn_books_delivered *delivered, void *user) {
    if (books->strangers) {
        rn_list *link;
        rn_list *after;
        books->strangers = false;
        RN_LIST_FOREACH(link, after, &books->pieces) {
            rn_stream_piece *piece = RN_CONTAINER_OF(link, rn_stream_piece, link);
            uint64_t offset;
            if (!delivered(user, piece->stream_id, &offset)) {
                drop_piece(books, piece);
            }
        }
    }
}

bool rn_books_hold(const rn_books *books, int64_t stream_id) {
    for (const rn_list *link = books->pieces.next; link != &books->pieces; link = link->next) {
        if (RN_CONTAINER_OF(link, const rn_stream_piece, link)->stream_id == stream_id) {
            return true;
        }
    }
    return false;
}

void rn_books_key_changed(rn_books *books) {
    books->packets_under_key = 0;
    books->dirty |= RN_DIRTY_KEYS;
}
