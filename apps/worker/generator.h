/* generator: Inference.Generate as a sequence of numbered messages that can begin anywhere.
 *
 * Messages 1 to n are the n tokens; message n + 1 is Done. What was delivered by another worker, or
 * that worker's checkpoint, brings a generator to the message that comes next. */
#ifndef APPS_WORKER_GENERATOR_H
#define APPS_WORKER_GENERATOR_H

#include "base/buffer.h"
#include "model/model.h"
#include "swap/frames.h"

enum {
    RN_GENERATOR_PROMPT_SHOWN = 64,      /* bytes of the prompt kept for the log, with the NUL */
    RN_GENERATOR_CHECKPOINT_EVERY = 256, /* tokens */
    RN_GENERATOR_MESSAGE_MAX = 256       /* bytes of any message made here */
};

typedef struct rn_generator {
    const rn_model *model; /* borrowed */
    rn_generation generation;
    uint64_t tokens;  /* how many in all; 0: without end */
    uint64_t pace_ns; /* 0: the request names none */
    bool done;        /* Done was made or delivered: nothing follows */
    char prompt[RN_GENERATOR_PROMPT_SHOWN];
} rn_generator;

/* Begins with a GenerateRequest. RPCNET_ERR_PARSE. */
int rn_generator_start(rn_generator *generator, const rn_model *model, rn_bytes request);

/* Goes on from where the assignment stands. RPCNET_ERR_PARSE: the checkpoint or what was delivered
 * does not belong to this request or is damaged. */
int rn_generator_resume(rn_generator *generator, const rn_assignment *assignment);

/* Number of the message that rn_generator_next makes. */
uint64_t rn_generator_sequence(const rn_generator *generator);

/* Is the message that comes next a token? (Else it is Done.) */
bool rn_generator_has_token(const rn_generator *generator);

/* Replaces `out` by the next GenerateResponse; not after `done`. RPCNET_ERR_MEMORY, and nothing is
 * changed. */
int rn_generator_next(rn_generator *generator, rn_buffer *out);

/* After a token: is a checkpoint due, which stands for all messages so far? */
bool rn_generator_checkpoint_due(const rn_generator *generator);

#endif
