/* data: the plane as a whole: its links and relays, and what happens when memory is short. */
#include "director/data/data.h"

#include <string.h>

#include "rpcnet/error.h"

static void pool_changed(void *user) {
    rn_data *data = user;
    rn_list *link;
    rn_list *after;
    rn_links_sync(data);
    RN_LIST_FOREACH(link, after, &data->relays) {
        rn_relay_retry(RN_CONTAINER_OF(link, rn_relay, link));
    }
}

static void shed(void *user) {
    rn_data_shed(user);
}

static void grown_over(void *user) {
    rn_data *data = user;
    rn_env_defer(data->env, &data->shed);
}

int rn_data_start(rn_data *data, const rn_data_options *options) {
    memset(data, 0, sizeof *data);
    data->options = *options;
    data->env = options->env;
    memcpy(data->secret, options->secret, sizeof data->secret);
    data->options.secret = data->secret;
    data->budget =
        (rn_budget){.limit = options->memory_max, .grown_over = grown_over, .user = data};
    data->cut_ns = RN_NEVER;
    rn_list_init(&data->links);
    rn_list_init(&data->relays);
    rn_deferred_init(&data->pool_changed, pool_changed, data);
    rn_deferred_init(&data->shed, shed, data);
    return RPCNET_OK;
}

void rn_data_stop(rn_data *data) {
    rn_list *link;
    rn_list *after;
    data->ending = true;
    data->budget.grown_over = NULL;
    rn_deferred_cancel(&data->pool_changed);
    rn_deferred_cancel(&data->shed);
    RN_LIST_FOREACH(link, after, &data->relays) {
        rn_relay_del(RN_CONTAINER_OF(link, rn_relay, link));
    }
    rn_links_stop(data);
    explicit_bzero(data->secret, sizeof data->secret);
}

void rn_data_drain(rn_data *data, uint64_t deadline_ns) {
    data->cut_ns = deadline_ns;
}

void rn_data_set_credentials(rn_data *data, const rpcnet_credentials *credentials) {
    data->options.credentials = credentials;
    for (rn_list *entry = data->links.next; entry != &data->links; entry = entry->next) {
        rpcnet_channel_set_credentials(RN_CONTAINER_OF(entry, rn_link, link)->channel, credentials);
    }
}

/* At the end of the turn: the pool may change while a link or a relay is at work. */
void rn_data_pool_changed(rn_data *data) {
    if (!data->ending) {
        rn_env_defer(data->env, &data->pool_changed);
    }
}
