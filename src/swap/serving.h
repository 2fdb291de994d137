/* serving: one attempt to serve one stream, on the worker's side.
 *
 * NEW ──Assignment──► SERVING ──Done, Failure, Refused or Cancel──► ENDED
 *
 * It checks what the director sends, numbers the messages, keeps them until they are acknowledged
 * and knows how much may be sent. It does not keep the Assignment: its bytes are the caller's. */
#ifndef RN_SWAP_SERVING_H
#define RN_SWAP_SERVING_H

#include "swap/frames.h"
#include "swap/records.h"

enum {
    RN_SERVING_UNACKED_LIMIT = 1 << 20, /* default: payload + RN_RECORD_OVERHEAD a message */
    RN_SERVING_MESSAGE_LIMIT = 4 << 20, /* default: bytes of one message */
    RN_SERVING_METHOD_MAX = 1024        /* bytes of ":path" */
};

enum rn_serving_state { RN_SERVING_NEW, RN_SERVING_SERVING, RN_SERVING_ENDED };

typedef struct rn_serving {
    enum rn_serving_state state;
    uint64_t epoch;
    uint32_t attempt;
    uint64_t next;         /* sequence of the next message to send */
    uint64_t acked;        /* all messages up to this one are safe with the director */
    uint64_t checkpointed; /* the last checkpoint's sequence */
    uint64_t credit;       /* payload bytes allowed since the assignment */
    uint64_t sent;         /* payload bytes sent since the assignment */
    uint64_t client_next;  /* sequence of the client's next message */
    bool half_closed;
    bool cancelled;
    bool answered; /* a frame was sent: it is too late to refuse */
    size_t unacked_limit;
    size_t message_limit;
    rn_records unacked;
} rn_serving;

/* Limits: see the defaults above. `budget` may be NULL. */
void rn_serving_init(rn_serving *serving, size_t unacked_limit, size_t message_limit,
                     rn_budget *budget);
void rn_serving_fini(rn_serving *serving);

enum rn_serving_verdict {
    RN_SERVING_IGNORE,         /* nothing to do: repeated, or it crossed the end of the call */
    RN_SERVING_ASSIGNED,       /* read frame->assignment */
    RN_SERVING_CLIENT_MESSAGE, /* hand frame->client_message to the method */
    RN_SERVING_HALF_CLOSED,    /* the client has sent its last message */
    RN_SERVING_ROOM,           /* an Ack or Credit: rn_serving_may_send may have become true */
    RN_SERVING_CANCELLED,      /* end the method; nothing more is to be sent */
    RN_SERVING_FAULT           /* the director broke the protocol: reset the call; it has ended */
};

/* Takes a frame of the director. `*why` (may be NULL) gets a static text with FAULT. */
enum rn_serving_verdict rn_serving_frame(rn_serving *serving, const rn_director_frame *frame,
                                         const char **why);

/* May a message be sent now? While any credit is left, and the unacknowledged ones are below their
 * limit; so one message may go beyond either by what it is longer. An empty message needs no
 * credit. */
bool rn_serving_may_send(const rn_serving *serving, size_t len);

/* Numbers a message and keeps a copy until it is acknowledged; the caller sends it as *sequence.
 * RPCNET_ERR_AGAIN: not now; RPCNET_ERR_LIMIT: larger than a message may be; RPCNET_ERR_STATE: not
 * serving; RPCNET_ERR_MEMORY. Nothing is changed in these cases. */
int rn_serving_send(rn_serving *serving, rn_bytes payload, uint64_t *sequence);

/* An Event is about to be sent. RPCNET_ERR_STATE: not serving. */
int rn_serving_event(rn_serving *serving);

/* A Checkpoint for everything up to `sequence` is about to be sent. RPCNET_ERR_ARGUMENT: not below
 * the next message, or below the last checkpoint; RPCNET_ERR_STATE: not serving. */
int rn_serving_checkpoint(rn_serving *serving, uint64_t sequence);

/* Refused is about to be sent. RPCNET_ERR_STATE: not serving, or something was sent already. */
int rn_serving_refuse(rn_serving *serving);

/* Done or Failure is about to be sent. RPCNET_ERR_STATE: not serving. */
int rn_serving_end(rn_serving *serving);

/* Messages that are not acknowledged: acked + 1 to next - 1. Valid until the next call; empty once
 * the call has ended. */
static inline rn_repeated rn_serving_unacked(const rn_serving *serving) {
    return rn_records_list(&serving->unacked);
}

#endif
