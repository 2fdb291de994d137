/* relay_log: what the director says about a stream. Wording, keys and their order are part of the
 * product: people and scripts look for these lines. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "director/data/relay_internal.h"
#include "rpcnet/error.h"
#include "swap/wire.h"

static const char target[] = "connection_swap::director";
static const char generate[] = "/connection_swap.Inference/Generate";

#define STREAM "stream.id=%llu connection.id=%s "
#define STREAM_OF(relay) (unsigned long long)(relay)->stream_id, (relay)->connection_id
#define WORKER "worker.addr=%s worker.label=%s "
#define WORKER_OF(link) (link)->worker.user_addr, (link)->worker.label

/* The director relays any method and knows no application's messages. For the log alone it looks
 * for the prompt of a GenerateRequest (field 1). */
void rn_log_peek(rn_relay *relay, rn_bytes message) {
    rn_wire_field field;
    rn_bytes prompt = rn_bytes_of(NULL, 0);
    if (strcmp(rpcnet_call_path(relay->client), generate) != 0) {
        return;
    }
    while (message.len > 0 && rn_wire_next(&message, &field) == RPCNET_OK) {
        if (field.number == 1 && field.type == RN_WIRE_BYTES) {
            prompt = field.bytes;
        }
    }
    rn_text_value(prompt, relay->prompt, sizeof relay->prompt);
}

void rn_log_opened(const rn_relay *relay) {
    rn_log *log = relay->data->env->log;
    if (strcmp(rpcnet_call_path(relay->client), generate) == 0) {
        RN_INFO(log, target, STREAM "prompt=%s client opened stream", STREAM_OF(relay),
                relay->prompt[0] != '\0' ? relay->prompt : "-");
    } else {
        RN_INFO(log, target, STREAM "method=%s client opened stream", STREAM_OF(relay),
                RN_TEXT_VALUE(rn_bytes_text(rpcnet_call_path(relay->client))));
    }
}

void rn_log_assigning(const rn_relay *relay, const rn_link *link) {
    rn_log *log = relay->data->env->log;
    RN_INFO(log, target, STREAM WORKER "assigning stream to worker", STREAM_OF(relay),
            WORKER_OF(link));
    RN_INFO(log, target, STREAM WORKER "attempt=%u connecting to worker", STREAM_OF(relay),
            WORKER_OF(link), (unsigned)relay->pair.attempt);
}

void rn_log_lost(const rn_relay *relay, const rn_link *link, const rn_swap_action *action) {
    rn_log *log = relay->data->env->log;
    if (link == NULL) {
        return;
    }
    if (action->refused) {
        RN_INFO(log, target, STREAM WORKER "err=%s worker refused stream", STREAM_OF(relay),
                WORKER_OF(link), RN_TEXT_QUOTE(action->message));
        return;
    }
    RN_WARN(log, target, STREAM WORKER "worker stream ended with error", STREAM_OF(relay),
            WORKER_OF(link));
    RN_INFO(log, target, STREAM "reason=%s err=%s worker lost", STREAM_OF(relay),
            rn_swap_reason_name(action->lost), RN_TEXT_QUOTE(action->message));
    if (action->kind != RN_SWAP_END) {
        RN_INFO(log, target, STREAM "asking client to retry on next worker", STREAM_OF(relay));
    }
}

void rn_log_flows(const rn_relay *relay, const rn_link *link) {
    rn_log *log = relay->data->env->log;
    if (relay->moved && link != NULL) {
        RN_INFO(log, target, STREAM WORKER "from=%s reason=%s swaps.total=%llu stream moved",
                STREAM_OF(relay), WORKER_OF(link), relay->swap.previous_label,
                rn_swap_reason_name(relay->swap.swap_reason),
                (unsigned long long)relay->data->swaps);
    }
}

void rn_log_ended(const rn_relay *relay, const rn_swap_action *action) {
    if (!relay->announced) {
        rn_log_opened(relay); /* it ended in the turn in which it came */
    }
    RN_INFO(relay->data->env->log, target, STREAM "code=%s messages=%llu err=%s stream ended",
            STREAM_OF(relay), rpcnet_grpc_code_name((int)action->code),
            (unsigned long long)(relay->swap.journal.next - RN_SEQUENCE_FIRST),
            RN_TEXT_QUOTE(action->message));
}
