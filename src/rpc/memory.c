/* memory: the account of calls as the program sees it, and what it may do when that is over. */
#include <assert.h>
#include <stdlib.h>

#include "rpc/internal.h"

int rpcnet_memory_new(rpcnet_memory **out, size_t limit_bytes) {
    rn_budget *budget = calloc(1, sizeof *budget);
    if (budget == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    budget->limit = limit_bytes;
    *out = budget;
    return RPCNET_OK;
}

void rpcnet_memory_del(rpcnet_memory *memory) {
    free(memory);
}

void rpcnet_memory_on_over(rpcnet_memory *memory, void (*on_over)(void *user), void *user) {
    memory->grown_over = on_over;
    memory->user = user;
}

void rpcnet_memory_get_stats(const rpcnet_memory *memory, rpcnet_memory_stats *out) {
    *out = (rpcnet_memory_stats){.used = memory->used,
                                 .peak = memory->peak,
                                 .limit = memory->limit,
                                 .excess = rn_budget_excess(memory),
                                 .refusals = memory->refusals};
}

/* ---- calls ---- */

size_t rpcnet_call_memory(const rpcnet_call *call) {
    size_t stream = call->inner != NULL ? rn_call_memory(call->inner) : 0;
    return stream + call->kept.capacity;
}

bool rpcnet_call_is_starved(const rpcnet_call *call) {
    return call->starved || (call->inner != NULL && rn_call_is_starved(call->inner));
}

void rpcnet_call_abort(rpcnet_call *call, int code, const char *message) {
    assert(call->server);
    if (call->over) {
        return;
    }
    rn_rpc_call_enter(call);
    rn_call_abort(call->inner, rn_rpc_code(code), message != NULL ? message : "");
    rn_rpc_call_server_over(call);
    rn_rpc_call_leave(call);
}

/* ---- what no call of the program answers for ---- */

typedef struct holding {
    rn_h3_stream *stream;   /* that was finished and has still to be sent; or */
    rn_h3_session *session; /* whose bytes came out of order */
    size_t bytes;
} holding;

static void look_at(holding *most, rn_h3_session *session) {
    size_t bytes = rn_conn_memory(rn_h3_session_conn(session));
    if (bytes > most->bytes) {
        *most = (holding){.session = session, .bytes = bytes};
    }
    for (rn_h3_stream *stream = rn_h3_session_next_stream(session, NULL); stream != NULL;
         stream = rn_h3_session_next_stream(session, stream)) {
        bytes = rn_call_forsaken_memory(stream);
        if (bytes > most->bytes) {
            *most = (holding){.stream = stream, .bytes = bytes};
        }
    }
}

/* What is leaving goes when the peer lets it go. A peer that never does keeps everybody out. */
static void look_at_late(holding *most, rn_h3_session *session) {
    const rn_conn *conn = rn_h3_session_conn(session);
    uint64_t now = rn_conn_now(conn);
    size_t bytes =
        now > RPCNET_LEAVING_NS ? rn_conn_overdue_memory(conn, now - RPCNET_LEAVING_NS) : 0;
    if (bytes > most->bytes) {
        *most = (holding){.session = session, .bytes = bytes};
    }
}

size_t rpcnet_server_shed(rpcnet_server *server, size_t bytes_min) {
    holding most = {.bytes = 0};
    bool all_leaves = server->budget != NULL && rn_budget_excess(server->budget) == 0;
    for (const rn_list *at = server->conns.next; at != &server->conns; at = at->next) {
        rn_h3_session *session = RN_CONTAINER_OF(at, const rn_server_conn, link)->session;
        if (all_leaves) {
            look_at_late(&most, session);
        } else {
            look_at(&most, session);
        }
    }
    if (most.bytes == 0 || most.bytes < bytes_min) {
        return 0;
    }
    if (most.stream != NULL) {
        rn_call_forsaken_drop(most.stream);
    } else {
        rn_h3_session_close(most.session, RN_H3_EXCESSIVE_LOAD,
                            "memory is used up, and this connection holds most of it");
    }
    return most.bytes;
}
