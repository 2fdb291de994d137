/* generator: Inference.Generate and Inference.Chat as sequences of numbered messages that can begin
 * anywhere.
 *
 * Messages 1 to n are the n tokens; message n + 1 is Done. What was delivered by another worker, or
 * that worker's checkpoint, brings a generator to the message that comes next.
 *
 * In a chat n grows with each message of the client. The first one's text is the prompt; a later
 * one's is mixed in right before the first token that answers it is made or fed, never earlier: so
 * it does not matter when a message comes, only between which tokens it stands. */
#ifndef APPS_WORKER_GENERATOR_H
#define APPS_WORKER_GENERATOR_H

#include "base/buffer.h"
#include "model/model.h"
#include "swap/frames.h"

enum {
    RN_GENERATOR_PROMPT_SHOWN = 64,      /* bytes of the prompt kept for the log, with the NUL */
    RN_GENERATOR_CHECKPOINT_EVERY = 256, /* tokens */
    RN_GENERATOR_MESSAGE_MAX = 256,      /* bytes of any message made here */
    RN_GENERATOR_TEXTS_MAX = 8 << 20     /* bytes of a chat's messages that wait for their turn */
};

typedef struct rn_generator {
    const rn_model *model; /* borrowed */
    rn_generation generation;
    bool chat;
    uint64_t tokens;  /* how many in all (of a chat: until now); 0: without end (a chat: none) */
    uint64_t pace_ns; /* 0: the request names none */
    bool done;        /* Done was made or delivered: nothing follows */
    bool begun;       /* of a chat: a message has come */
    bool half_closed; /* of a chat: its last message has come */
    rn_buffer texts;  /* of a chat: to be mixed in, see generator.c */
    char prompt[RN_GENERATOR_PROMPT_SHOWN];
    char prompt_value[RN_GENERATOR_PROMPT_SHOWN]; /* the same as a value of a log line */
} rn_generator;

/* Begins with a GenerateRequest. RPCNET_ERR_PARSE, RPCNET_ERR_MEMORY. */
int rn_generator_start(rn_generator *generator, const rn_model *model, rn_bytes request);

/* Begins a chat; what the client has said comes next. */
void rn_generator_start_chat(rn_generator *generator, const rn_model *model);
/* Takes a ChatMessage. RPCNET_ERR_PARSE; RPCNET_ERR_LIMIT: too much waits for its turn;
 * RPCNET_ERR_MEMORY. */
int rn_generator_chat(rn_generator *generator, rn_bytes bytes);
/* That was the last one. */
void rn_generator_half_close(rn_generator *generator);

/* Of a generator that was started, or that is all zero. */
void rn_generator_fini(rn_generator *generator);

/* Goes on from where the assignment stands, of a chat after all messages of the client that the
 * assignment has. RPCNET_ERR_PARSE: the checkpoint or what was delivered
 * does not belong to this request or is damaged. RPCNET_ERR_MEMORY. */
int rn_generator_resume(rn_generator *generator, const rn_assignment *assignment);

/* Number of the message that rn_generator_next makes. */
uint64_t rn_generator_sequence(const rn_generator *generator);

/* Is the message that comes next a token? (Else it is Done, or the generator waits.) */
bool rn_generator_has_token(const rn_generator *generator);
/* Is it the client's turn? */
bool rn_generator_waits(const rn_generator *generator);

/* Replaces `out` by the next GenerateResponse; not after `done` or while it waits.
 * RPCNET_ERR_MEMORY, and nothing is changed. */
int rn_generator_next(rn_generator *generator, rn_buffer *out);

/* After a token: is a checkpoint due, which stands for all messages so far? */
bool rn_generator_checkpoint_due(const rn_generator *generator);

#endif
