/* stream: the director's state machine of one client stream, from worker to worker.
 *
 *         open                    assign                  first frame
 * IDLE ─────────► WAITING ─────────────────► ASSIGNING ─────────────────► FLOWING ──► DONE
 *                    ▲   choose, or wait         │  refused, lost            │ lost
 *                    └───────────────────────────┴───────────────────────────┘
 *
 * Each input returns an action: what the caller has to do now. An action's bytes are views into
 * the input (payload, trailers, the worker's own status message) or into the stream (other
 * messages), valid until the next call on this stream. After RN_SWAP_END the stream ignores every
 * input, and holds no memory but itself.
 *
 * Every assignment has a pair (epoch, attempt). The caller tags each call to a worker with its
 * pair; what comes from another pair than the present one is stale, whatever it says.
 *
 * No input may be given between rn_swap_stream_assign and the building of the Assignment
 * (swap/assignment.h), which carries everything that came before. */
#ifndef RN_SWAP_STREAM_H
#define RN_SWAP_STREAM_H

#include "base/env.h"
#include "swap/frames.h"
#include "swap/journal.h"
#include "swap/reason.h"
#include "swap/requests.h"
#include "swap/sentence.h"

enum {
    RN_SWAP_MAX_ATTEMPTS = 3,
    RN_SWAP_TRIED_MAX = 32,            /* workers tried in one round */
    RN_SWAP_CREDIT_WINDOW = 256 << 10, /* most payload bytes that a worker may be ahead */
    RN_SWAP_EVENT_LIMIT = 64 << 10,    /* bytes of events, see rn_swap_stream.event_bytes */
    RN_SWAP_ACK_MESSAGES = 32,         /* an Ack is due after so many messages, */
    RN_SWAP_ACK_BYTES = 64 << 10       /* or so many bytes of payload */
};

#define RN_SWAP_PARK_NS (30 * RN_SECOND)
#define RN_SWAP_BACKOFF_MIN_NS (50 * RN_MILLISECOND)
#define RN_SWAP_BACKOFF_MAX_NS RN_SECOND

/* gRPC status codes that the stream itself ends with. */
enum rn_swap_code {
    RN_SWAP_CODE_OK = 0,
    RN_SWAP_CODE_CANCELLED = 1,
    RN_SWAP_CODE_UNKNOWN = 2,
    RN_SWAP_CODE_DEADLINE_EXCEEDED = 4,
    RN_SWAP_CODE_RESOURCE_EXHAUSTED = 8,
    RN_SWAP_CODE_UNIMPLEMENTED = 12,
    RN_SWAP_CODE_INTERNAL = 13,
    RN_SWAP_CODE_UNAVAILABLE = 14
};

typedef struct rn_swap_config {
    uint32_t max_attempts;   /* losses in a row, by proven death or failure, that end a stream */
    uint64_t park_ns;        /* how long a stream waits for a worker */
    uint64_t backoff_min_ns; /* after every worker has refused; doubles */
    uint64_t backoff_max_ns;
    size_t journal_limit;
    size_t checkpoint_limit;
    size_t requests_limit;
    size_t queue_limit; /* of the client's messages that wait, once the requests are given up */
    size_t event_limit;
    uint64_t credit_window;
} rn_swap_config;

void rn_swap_config_default(rn_swap_config *config);

/* Shared by all streams of a director; they only grow. */
typedef struct rn_swap_counters {
    uint64_t opened; /* also those that ended before rn_swap_stream_open */
    uint64_t assignments;
    uint64_t accepted; /* assignments whose first frame was no refusal */
    uint64_t refusals;
    uint64_t lost[RN_SWAP_REASONS]; /* assignments lost, by enum rn_swap_reason */
    uint64_t relayed;               /* messages */
    uint64_t duplicates;            /* messages dropped because they had been relayed */
    uint64_t stale;                 /* inputs of an assignment that is no longer the present one;
                                     * none, if the caller drops the calls that it leaves */
    uint64_t faults;                /* workers that broke the protocol */
    uint64_t checkpoints;
    uint64_t checkpoints_refused; /* too large, or of no use any more */
    uint64_t journals_given_up;
    uint64_t requests_given_up;
    uint64_t credit_used_up; /* times that a worker had used all its credit */
    uint64_t queues_full;    /* streams ended because more waited for the worker than may */
    uint64_t rounds_full;    /* rounds that ended because RN_SWAP_TRIED_MAX workers were tried */
    uint64_t ended_done;     /* ended by the worker's Done */
    uint64_t ended_failed;   /* by a Failure that is not to be retried */
    uint64_t ended_attempts; /* by the progress rule */
    uint64_t ended_unresumable;
    uint64_t ended_parked;    /* no worker in time */
    uint64_t ended_cancelled; /* by the client, or it is gone */
    uint64_t ended_deadline;
    uint64_t ended_exhausted; /* by a limit: memory, a queue, the length of a message */
    uint64_t ended_other;
} rn_swap_counters;

enum rn_swap_state {
    RN_SWAP_IDLE,
    RN_SWAP_WAITING,
    RN_SWAP_ASSIGNING,
    RN_SWAP_FLOWING,
    RN_SWAP_DONE
};

typedef struct rn_swap_pair {
    uint64_t epoch;
    uint32_t attempt; /* from 1 */
} rn_swap_pair;

typedef struct rn_swap_stream {
    const rn_swap_config *config;
    rn_swap_counters *counters;
    enum rn_swap_state state;
    rn_swap_pair pair; /* of the present or last assignment */

    rn_journal journal; /* journal.next is the sequence that is due */
    rn_requests requests;

    uint64_t worker; /* the present or last one */
    char worker_label[RN_SWAP_LABEL_SIZE];
    /* The last worker that had taken the stream, and why it lost it; empty: none. */
    char previous_label[RN_SWAP_LABEL_SIZE];
    enum rn_swap_reason swap_reason;
    char swap_text[RN_SWAP_SENTENCE_SIZE];
    char lost_text[RN_SWAP_SENTENCE_SIZE]; /* why the last loss or refusal was, taken or not */
    char end_text[RN_SWAP_SENTENCE_SIZE];

    uint32_t losses; /* in a row, see config.max_attempts */
    uint32_t doubts; /* in a row, see rn_swap_stream_lost */
    uint64_t deadline_ns;
    uint64_t park_deadline_ns;
    uint64_t retry_ns; /* WAITING: when to choose again; RN_NEVER: when the pool changes */
    uint64_t backoff_ns;
    uint64_t tried[RN_SWAP_TRIED_MAX];
    size_t tried_count;

    uint64_t granted; /* payload bytes since the assignment */
    uint64_t received;
    /* Cost of the events and empty messages since the last rn_swap_stream_grant, RN_RECORD_OVERHEAD
     * each with their bytes, less the payload of the messages among them: what uses no credit may
     * take no more than config.event_limit beyond what does. */
    size_t event_bytes;
    uint64_t acked; /* the last sequence that was acknowledged to the worker */
    uint64_t unacked_bytes;
} rn_swap_stream;

enum rn_swap_action_kind {
    RN_SWAP_NOTHING,
    RN_SWAP_STALE,              /* from an older assignment: dropped; reset the call it came from */
    RN_SWAP_DUPLICATE,          /* a message below the one that is due: dropped */
    RN_SWAP_RELAY,              /* send `payload`, message `sequence`, to the client */
    RN_SWAP_RELAY_EVENT,        /* send `payload` to the client */
    RN_SWAP_FORWARD,            /* send ClientMessage{sequence, payload} to the worker: it waits in
                                 * `requests`, behind what the worker has not got before */
    RN_SWAP_FORWARD_HALF_CLOSE, /* send HalfClose to the worker */
    RN_SWAP_CHOOSE,             /* choose a worker now: rn_swap_stream_assign or _nobody */
    RN_SWAP_WAIT,               /* choose again at _next_deadline or when the pool changes */
    RN_SWAP_END                 /* end the client's call with code, message and trailers */
};

typedef struct rn_swap_action {
    enum rn_swap_action_kind kind;
    bool accepted;     /* this was the worker's first frame: the stream flows */
    bool close_worker; /* cancel and reset the call of `closed`; it is no longer the present one */
    bool refused;      /* that worker refused the stream */
    bool fault;        /* that worker broke the protocol */
    bool given_up;     /* the journal or the requests were given up now: not resumable */
    enum rn_swap_reason
        lost; /* why the stream lost its worker just now; RN_SWAP_NONE: it did not */
    rn_swap_pair closed;
    uint64_t worker; /* of `closed` */
    uint64_t sequence;
    rn_bytes payload;
    uint32_t code;    /* gRPC status */
    rn_bytes message; /* END: the status message; else why the worker was lost or refused */
    rn_repeated trailers;
    bool message_from_worker; /* `message` is the worker's own: any bytes */
} rn_swap_action;

/* `config`, `counters` and `budget` (may be NULL) outlive the stream. */
void rn_swap_stream_init(rn_swap_stream *stream, const rn_swap_config *config,
                         rn_swap_counters *counters, rn_budget *budget, uint64_t epoch);
void rn_swap_stream_fini(rn_swap_stream *stream);

/* IDLE only. `deadline_ns`: the client's, or RN_NEVER. CHOOSE, or END when it has passed. */
rn_swap_action rn_swap_stream_open(rn_swap_stream *stream, uint64_t now_ns, uint64_t deadline_ns);

/* ── choosing a worker (WAITING only) ──
 * stream->tried holds the workers that are not to be chosen now. A caller may choose when told to,
 * and whenever the pool has changed. */

/* This worker gets the stream, and may send `credit` bytes at first. The caller starts the call
 * tagged with stream->pair and sends the Assignment. */
void rn_swap_stream_assign(rn_swap_stream *stream, uint64_t worker, rn_bytes label,
                           uint64_t credit);
/* There was nobody to choose. WAIT, or END when the stream has waited too long. */
rn_swap_action rn_swap_stream_nobody(rn_swap_stream *stream, uint64_t now_ns);

/* ── from the worker's side ── */

/* A frame of the call tagged `pair`. */
rn_swap_action rn_swap_stream_frame(rn_swap_stream *stream, uint64_t now_ns, rn_swap_pair pair,
                                    const rn_worker_frame *frame);
/* The worker is lost to this stream. `text` says why to people (the peer's, made safe here);
 * empty: the default sentence. RN_SWAP_FAILURE and RN_SWAP_KILLED count as proven, unless the
 * worker had the stream and no credit to make progress with. A request might kill so, though: after
 * config.max_attempts deaths in a row that were no proof each further one counts, so no request
 * kills more than twice as many workers that are seen to die. */
rn_swap_action rn_swap_stream_lost(rn_swap_stream *stream, uint64_t now_ns, rn_swap_pair pair,
                                   enum rn_swap_reason reason, rn_bytes text);
/* The worker was dead already when the stream was given to it: KILLED, but no proof against the
 * request. It might have killed so fast, though; so this counts like a death without credit. */
rn_swap_action rn_swap_stream_absent(rn_swap_stream *stream, uint64_t now_ns, rn_swap_pair pair);
/* The worker broke the protocol in a way that the caller saw: bytes that are no frame, or a call
 * that ended without Done. `how` goes behind "worker-a broke the protocol: ". Counts as proven; the
 * reason is RN_SWAP_LOST. */
rn_swap_action rn_swap_stream_fault(rn_swap_stream *stream, uint64_t now_ns, rn_swap_pair pair,
                                    const char *how);

/* ── from the client's side ── */

/* FORWARD, NOTHING (kept for the next worker), or END: RESOURCE_EXHAUSTED when the message is more
 * than can be kept and no worker has the stream, or too much waits for it already; INTERNAL after
 * the half close. Who sends to the worker says what it has got, with rn_requests_note_... */
rn_swap_action rn_swap_stream_client_message(rn_swap_stream *stream, rn_bytes payload);
rn_swap_action rn_swap_stream_half_close(rn_swap_stream *stream);
rn_swap_action rn_swap_stream_cancel(rn_swap_stream *stream);
/* Its connection has ended. END with UNAVAILABLE, for nobody, or NOTHING when the stream has ended.
 */
rn_swap_action rn_swap_stream_client_lost(rn_swap_stream *stream);
/* The client's call cannot go on for another reason; `text` says which. END with `code`, or NOTHING
 * when the stream has ended. */
rn_swap_action rn_swap_stream_fail(rn_swap_stream *stream, enum rn_swap_code code,
                                   const char *text);
/* A limit has been passed that the stream itself knows nothing of; `text` says which. END with
 * RESOURCE_EXHAUSTED, or NOTHING when the stream has ended. */
rn_swap_action rn_swap_stream_exhaust(rn_swap_stream *stream, const char *text);
/* Somebody else has found the deadline passed. END, or NOTHING when the stream has ended. */
rn_swap_action rn_swap_stream_expire(rn_swap_stream *stream);

/* ── time and memory ── */

/* When rn_swap_stream_tick is due; RN_NEVER: not. */
uint64_t rn_swap_stream_next_deadline(const rn_swap_stream *stream);
/* NOTHING before then; END when the client's deadline has passed or the stream has waited too long
 * for a worker; CHOOSE when a new round begins. */
rn_swap_action rn_swap_stream_tick(rn_swap_stream *stream, uint64_t now_ns);

/* Memory is short: gives up the journal or, when that holds nothing, the client's messages. END
 * when the stream cannot go on and has no worker just now. */
rn_swap_action rn_swap_stream_give_up(rn_swap_stream *stream);

/* Could the stream go to another worker now? */
bool rn_swap_stream_resumable(const rn_swap_stream *stream);

/* ── credit and acknowledgement (ASSIGNING and FLOWING; false in other states) ──
 * A message may be sent while any credit is left, so one message may go beyond the grant by what
 * it is longer; else a message larger than the window could never be sent. */

/* The client's side has room for `room` bytes beyond what was received. True: send Credit{*total}.
 * The grant never shrinks, and small steps are saved up. */
bool rn_swap_stream_grant(rn_swap_stream *stream, uint64_t room, uint64_t *total);
/* May the worker send now? (The progress detector counts only such time.) */
bool rn_swap_stream_has_credit(const rn_swap_stream *stream);
/* True: send Ack{*sequence}. Only when enough has come together. */
bool rn_swap_stream_take_ack(rn_swap_stream *stream, uint64_t *sequence);

static inline bool rn_swap_stream_live(const rn_swap_stream *stream) {
    return stream->state == RN_SWAP_ASSIGNING || stream->state == RN_SWAP_FLOWING;
}

#endif
