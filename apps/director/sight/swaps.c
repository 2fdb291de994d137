/* swaps: see the header. Labels and methods come from others, so all text goes through the JSON
 * writer's escaping. */
#include "director/sight/swaps.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "rpcnet/error.h"

void rn_swap_history_add(rn_swap_history *history, const rn_relay *relay, uint64_t wall_ns) {
    rn_swap_record *record = &history->records[history->count++ % RN_SWAP_HISTORY];
    *record = (rn_swap_record){.wall_ns = wall_ns,
                               .stream_id = relay->stream_id,
                               .reason = relay->swap.swap_reason,
                               .gap_ns = RN_NEVER};
    memcpy(record->connection_id, relay->connection_id, sizeof record->connection_id);
    memcpy(record->from, relay->swap.previous_label, sizeof record->from);
    memcpy(record->to, relay->swap.worker_label, sizeof record->to);
}

/* The n-th youngest, from 0. */
static size_t index_of(const rn_swap_history *history, size_t n) {
    return (history->count - 1 - n) % RN_SWAP_HISTORY;
}

static size_t kept(const rn_swap_history *history) {
    return history->count < RN_SWAP_HISTORY ? (size_t)history->count : RN_SWAP_HISTORY;
}

void rn_swap_history_resumed(rn_swap_history *history, const rn_relay *relay, uint64_t gap_ns) {
    for (size_t n = 0; n < kept(history); n++) {
        rn_swap_record *record = &history->records[index_of(history, n)];
        if (record->stream_id == relay->stream_id &&
            strcmp(record->connection_id, relay->connection_id) == 0) {
            record->gap_ns = gap_ns;
            return;
        }
    }
}

static const char *state_name(enum rn_swap_state state) {
    switch (state) {
    case RN_SWAP_WAITING:
        return "waiting";
    case RN_SWAP_ASSIGNING:
        return "assigning";
    case RN_SWAP_FLOWING:
        return "flowing";
    case RN_SWAP_DONE:
        return "ending";
    case RN_SWAP_IDLE:
        break;
    }
    return "new";
}

static void put(rn_json *json, const char *text) {
    if (json->result == RPCNET_OK) {
        json->result = rn_buffer_append(json->out, text, strlen(text));
    }
}

static void put_text_or_null(rn_json *json, const char *key, const char *text) {
    if (text != NULL) {
        rn_json_text(json, key, rn_bytes_text(text));
    } else {
        rn_json_key(json, key);
        put(json, "null");
    }
}

static int put_stream(rn_buffer *out, const rn_relay *relay) {
    const rn_swap_stream *swap = &relay->swap;
    rn_json json;
    rn_json_begin(&json, out);
    rn_json_text(&json, "connection", rn_bytes_text(relay->connection_id));
    rn_json_number(&json, "stream", relay->stream_id);
    rn_json_text(&json, "method", rn_bytes_text(rpcnet_call_path(relay->client)));
    rn_json_text(&json, "state", rn_bytes_text(state_name(swap->state)));
    put_text_or_null(&json, "worker", rn_swap_stream_live(swap) ? swap->worker_label : NULL);
    rn_json_number(&json, "attempt", swap->pair.attempt);
    rn_json_number(&json, "delivered", swap->journal.next - RN_SEQUENCE_FIRST);
    rn_json_bool(&json, "resumable", rn_swap_stream_resumable(swap));
    rn_json_number(&json, "journal_bytes", rn_journal_memory(&swap->journal));
    rn_json_number(&json, "request_bytes", rn_requests_memory(&swap->requests));
    return rn_json_end(&json);
}

static int put_swap(rn_buffer *out, const rn_swap_record *record) {
    rn_json json;
    rn_json_begin(&json, out);
    rn_json_real(&json, "time", (double)record->wall_ns / (double)RN_SECOND);
    rn_json_text(&json, "connection", rn_bytes_text(record->connection_id));
    rn_json_number(&json, "stream", record->stream_id);
    rn_json_text(&json, "from", rn_bytes_text(record->from));
    rn_json_text(&json, "to", rn_bytes_text(record->to));
    rn_json_text(&json, "reason", rn_bytes_text(rn_swap_reason_name(record->reason)));
    if (record->gap_ns != RN_NEVER) {
        rn_json_real(&json, "gap_ms", (double)record->gap_ns / (double)RN_MILLISECOND);
    } else {
        put_text_or_null(&json, "gap_ms", NULL);
    }
    return rn_json_end(&json);
}

static void put_streams(rn_json *json, const rn_data *data, size_t streams_max) {
    size_t shown = 0;
    rn_json_key(json, "streams");
    put(json, "[");
    for (const rn_list *link = data->relays.next;
         link != &data->relays && shown < streams_max && json->result == RPCNET_OK;
         link = link->next) {
        put(json, shown++ > 0 ? ",\n" : "\n");
        if (json->result == RPCNET_OK) {
            json->result = put_stream(json->out, RN_CONTAINER_OF(link, const rn_relay, link));
        }
    }
    put(json, "]");
}

static void put_swaps(rn_json *json, const rn_swap_history *history) {
    rn_json_key(json, "swaps");
    put(json, "[");
    for (size_t n = 0; n < kept(history) && json->result == RPCNET_OK; n++) {
        put(json, n > 0 ? ",\n" : "\n");
        if (json->result == RPCNET_OK) {
            json->result = put_swap(json->out, &history->records[index_of(history, n)]);
        }
    }
    put(json, "]");
}

int rn_swaps_page(rn_buffer *out, const rn_data *data, const rn_swap_history *history,
                  size_t streams_max) {
    rn_json json;
    rn_json_begin(&json, out);
    rn_json_number(&json, "streams_total", data->relays_count);
    put_streams(&json, data, streams_max);
    rn_json_number(&json, "swaps_total", history->count);
    put_swaps(&json, history);
    int result = rn_json_end(&json);
    return result == RPCNET_OK ? rn_buffer_append(out, "\n", 1) : result;
}
