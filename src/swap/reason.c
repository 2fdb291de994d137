/* reason: names for metrics and logs, and sentences for people. */
#include "swap/reason.h"

#include "swap/sentence.h"

static const struct {
    const char *name;
    const char *sentence; /* behind the worker's label */
} reasons[RN_SWAP_REASONS] = {
    [RN_SWAP_NONE] = {"unknown", "lost the stream"},
    [RN_SWAP_FAILURE] = {"failure", "failed"},
    [RN_SWAP_KILLED] = {"killed", "was killed"},
    [RN_SWAP_HUNG] = {"hung", "stopped answering"},
    [RN_SWAP_STALLED] = {"stalled", "stopped making progress"},
    [RN_SWAP_DRAIN] = {"drain", "is draining"},
    [RN_SWAP_LOST] = {"lost", "was lost"},
};

static uint32_t known(uint32_t reason) {
    return reason < RN_SWAP_REASONS ? reason : RN_SWAP_NONE;
}

const char *rn_swap_reason_name(uint32_t reason) {
    return reasons[known(reason)].name;
}

size_t rn_swap_reason_text(char *out, size_t size, uint32_t reason, rn_bytes label) {
    char name[RN_SWAP_LABEL_SIZE];
    rn_sentence_copy(name, sizeof name, label.len > 0 ? label : rn_bytes_text("the worker"));
    return rn_sentence_format(out, size, "%s %s", name, reasons[known(reason)].sentence);
}
