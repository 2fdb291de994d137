/* stamping: puts into each token the time at which it was made, so that whoever receives it on the
 * same machine knows how long it took. Linked around rn_generation_next (--wrap): all else is the
 * worker as it is. Tokens get 32 bytes. They are no words of the vocabulary any more, so another
 * worker cannot go on from them. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "model/model.h"

enum { STAMPED_LEN = 32 };

void __real_rn_generation_next(rn_generation *generation, const rn_model *model, rn_token *token);
void __wrap_rn_generation_next(rn_generation *generation, const rn_model *model, rn_token *token);

void __wrap_rn_generation_next(rn_generation *generation, const rn_model *model, rn_token *token) {
    /* The generator copies the text before it asks for the next; the worker has one thread. */
    static char text[STAMPED_LEN + 1];
    struct timespec now;
    __real_rn_generation_next(generation, model, token);
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    snprintf(text, sizeof text, "%016" PRIx64 "%-16.16s", ns, token->text);
    token->text = text;
}
