/* route: which worker gets a stream. */
#include "director/data/data.h"

rn_link *rn_route(rn_data *data, const rn_swap_stream *stream) {
    rn_pick_worker workers[RN_POOL_MAX];
    rn_link *links[RN_POOL_MAX] = {NULL};
    const rn_pool_snapshot *snapshot = data->options.snapshot;
    size_t count = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        rn_link *link = rn_link_find(data, snapshot->workers[i].id);
        if (link == NULL || link->lost || link->detector.suspect) {
            continue;
        }
        links[count] = link;
        workers[count++] = (rn_pick_worker){.id = snapshot->workers[i].id,
                                            .load = link->streams,
                                            .state = snapshot->workers[i].state,
                                            .preferred = snapshot->workers[i].preferred};
    }
    size_t chosen = rn_pick(workers, count, stream->tried, stream->tried_count, &data->picked_last);
    return chosen == RN_PICK_NONE ? NULL : links[chosen];
}
