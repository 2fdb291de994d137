/* links_memory: what a director without streams may have in its budget. */
#ifndef TESTS_SUPPORT_LINKS_MEMORY_H
#define TESTS_SUPPORT_LINKS_MEMORY_H

#include "director/data/data.h"
#include "rpc/internal.h"

/* Bytes beyond what probe channels hold, and what came out of order on connections to workers. A
 * stream that was reset waits for its peer alone, perhaps for one without memory. */
static inline size_t links_excess(const rn_data *data) {
    size_t memory = 0;
    for (const rn_list *at = data->links.next; at != &data->links; at = at->next) {
        const rn_link *link = RN_CONTAINER_OF(at, const rn_link, link);
        const rn_channel_link *connection = link->channel->link;
        if (link->probes != NULL) {
            memory += rpcnet_call_memory(link->probes);
        }
        if (connection != NULL && connection->session != NULL) {
            memory += rn_conn_memory(rn_h3_session_conn(connection->session));
        }
    }
    return data->budget.used - data->budget.leaving - memory;
}

#endif
