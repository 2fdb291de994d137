/* shed: what goes when memory is over its limit. All holdings compete by their size, so that who
 * holds little keeps his stream, and its journal, whatever others do. */
#include "director/data/data.h"

enum { SMALL = 64 << 10 }; /* bytes that any stream may come to hold, if only for a moment */

typedef struct holding {
    rn_relay *relay;
    size_t bytes;
    size_t spare; /* that it could give up */
} holding;

static size_t calls_memory(const rn_relay *relay) {
    size_t worker = relay->worker != NULL ? rpcnet_call_memory(relay->worker) : 0;
    return worker + rpcnet_call_memory(relay->client);
}

/* Relays come in the order of their age: of small ones, which are all alike here, the youngest
 * goes, so that newcomers do not push out who is there. */
static void compare(holding *most, rn_relay *relay, size_t bytes, size_t spare) {
    bool both_small = bytes <= SMALL && most->bytes <= SMALL;
    if (bytes > 0 && (bytes > most->bytes || both_small)) {
        *most = (holding){.relay = relay, .bytes = bytes, .spare = spare};
    }
}

static void find_largest(const rn_data *data, holding *spare, holding *needed) {
    *spare = *needed = (holding){.relay = NULL};
    for (const rn_list *link = data->relays.next; link != &data->relays; link = link->next) {
        rn_relay *relay = RN_CONTAINER_OF(link, rn_relay, link);
        size_t kept;
        size_t own;
        rn_relay_memory(relay, &kept, &own);
        compare(spare, relay, kept, kept);
        compare(needed, relay, own + calls_memory(relay), kept);
    }
}

/* False: that freed nothing. */
static bool give_up(rn_data *data, rn_relay *relay) {
    size_t before = data->budget.used;
    (void)rn_relay_handle(relay, rn_swap_stream_give_up(&relay->swap));
    return data->budget.used < before;
}

static void shed_largest(rn_data *data) {
    holding spare;
    holding needed;
    find_largest(data, &spare, &needed);
    size_t live = spare.bytes > needed.bytes ? spare.bytes : needed.bytes;
    if (data->server != NULL && rpcnet_server_shed(data->server, live + 1) > 0) {
        data->hit.others_shed++;
        return;
    }
    if (spare.relay != NULL && spare.bytes >= needed.bytes && give_up(data, spare.relay)) {
        return;
    }
    /* A stream is ended when it has nothing left to give up. */
    if (needed.relay != NULL && needed.spare > SMALL && give_up(data, needed.relay)) {
        return;
    }
    if (needed.relay != NULL) {
        data->hit.streams_shed++;
        rn_relay_abort(needed.relay,
                       "the memory for streams is used up, and this one holds most of it "
                       "(CONNECTION_SWAP_MEMORY_MAX)");
    }
}

/* New streams are refused as long as what is leaving is over the limit, too. */
static void shed_late(rn_data *data) {
    if (data->server != NULL && rpcnet_server_shed(data->server, 0) > 0) {
        data->hit.others_shed++;
    }
}

void rn_data_shed(rn_data *data) {
    size_t excess = rn_budget_excess(&data->budget);
    while (excess > 0) {
        shed_largest(data);
        size_t left = rn_budget_excess(&data->budget);
        if (left >= excess) {
            return; /* nothing of it is held by streams */
        }
        excess = left;
    }
    if (rn_budget_over(&data->budget)) {
        shed_late(data);
    }
}
