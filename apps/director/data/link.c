/* link: the data plane's connection to one worker, and its probes.
 *
 * Each link has a socket of its own, connected to the worker: the kernel tells it that the worker's
 * port is closed. While streams are open a probe goes out in a steady rhythm, so a dead process is
 * noticed at the next probe and a hanging one by its silence. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "common/cluster.h"
#include "director/data/data.h"
#include "rpcnet/error.h"
#include "swap/frames.h"

static const char target[] = "connection_swap::director";

rn_link *rn_link_find(const rn_data *data, uint64_t worker) {
    for (const rn_list *entry = data->links.next; entry != &data->links; entry = entry->next) {
        rn_link *link = RN_CONTAINER_OF(entry, rn_link, link);
        if (link->worker.id == worker) {
            return link;
        }
    }
    return NULL;
}

static void link_del(rn_link *link) {
    rn_list_remove(&link->link);
    rn_deferred_cancel(&link->check);
    rpcnet_call_del(link->probes);
    if (link->channel != NULL) {
        rpcnet_channel_del(link->channel);
    }
    link->data->env->ops->timer_del(link->timer);
    free(link);
}

/* Every stream of the link moves. */
static void lose_streams(rn_link *link, enum rn_swap_reason reason) {
    rn_list moving;
    rn_list_init(&moving);
    /* A stream that finds no other worker may come back to this link. */
    while (!rn_list_empty(&link->relays)) {
        rn_list *entry = link->relays.next;
        rn_list_remove(entry);
        rn_list_append(&moving, entry);
    }
    while (!rn_list_empty(&moving)) {
        rn_list *entry = moving.next;
        rn_list_remove(entry);
        rn_list_append(&link->relays, entry);
        rn_relay_lost(RN_CONTAINER_OF(entry, rn_relay, link_entry), reason);
    }
}

static void observe(rn_link *link, enum rn_pool_sight sight) {
    link->data->options.observe(link->data->options.observe_user, link->worker.id, sight);
}

/* ---- probes ---- */

/* At the next probe, or when the silence is found to be too long. Frames that are heard meanwhile
 * put that off, and cost nothing: it is looked at anew when the timer rings. */
static void set_timer(rn_link *link) {
    uint64_t deadline = rn_detector_deadline(&link->detector);
    link->data->env->ops->timer_set(link->timer,
                                    link->probe_ns < deadline ? link->probe_ns : deadline);
}

static void probe_reply(rpcnet_call *call, const void *bytes, size_t len, void *user) {
    rn_link *link = user;
    rn_worker_frame frame;
    if (rn_worker_frame_parse(&frame, rn_bytes_of(bytes, len)) != RPCNET_OK ||
        frame.kind != RN_WORKER_PROBE_REPLY) {
        rpcnet_call_cancel(call);
        return;
    }
    switch (rn_detector_reply(&link->detector, frame.probe_reply, rn_env_now(link->data->env))) {
    case RN_DETECTOR_CLEARED:
        link->data->false_suspicions++;
        RN_WARN(link->data->env->log, target,
                "worker.addr=%s worker.label=%s false_suspicions=%llu worker was suspected wrongly",
                link->worker.user_addr, link->worker.label,
                (unsigned long long)link->data->false_suspicions);
        observe(link, RN_POOL_SEEN_ALIVE);
        break;
    case RN_DETECTOR_BOGUS:
        rpcnet_call_cancel(call);
        return;
    case RN_DETECTOR_ALIVE:
    case RN_DETECTOR_OLD:
        break;
    }
    if (link->untaken < RN_LINK_STRAIN_STREAMS) {
        /* Here alone: a worker that has taken the last of them is busy with them all. */
        rn_detector_strain(&link->detector, false);
    }
}

static void probes_ended(rpcnet_call *call, int code, const char *message,
                         const rpcnet_metadata *trailers, void *user) {
    rn_link *link = user;
    (void)trailers;
    RN_DEBUG(link->data->env->log, target, "worker.label=%s code=%s err=%s probe channel ended",
             link->worker.label, rpcnet_grpc_code_name(code),
             RN_TEXT_QUOTE(rn_bytes_text(message)));
    link->probes = NULL;
    rpcnet_call_del(call);
}

static void open_probes(rn_link *link) {
    static const rpcnet_call_callbacks callbacks = {.on_message = probe_reply,
                                                    .on_status = probes_ended};
    if (link->probes == NULL && !link->lost) {
        rpcnet_call_options options;
        rn_cluster_call_options(&options);
        options.urgency = 0;
        if (rpcnet_call_new(&link->probes, link->channel, "/rpcnet.v1.Worker/Serve", &options,
                            &callbacks, link) != RPCNET_OK) {
            link->probes = NULL;
        } else if (link->detector.suspect) {
            /* It answers nothing that was asked before it, and a reply is all that clears the
             * worker. One that is not suspect could win time by ending its channel. */
            rn_detector_rest(&link->detector);
        }
    }
}

static void send_probe(rn_link *link) {
    uint8_t frame[RN_FRAME_PREFIX_MAX];
    uint64_t now = rn_env_now(link->data->env);
    link->probe_ns = now + link->data->options.detector.interval_ns;
    open_probes(link);
    if (link->probes == NULL) {
        return;
    }
    uint64_t n = rn_detector_probe(&link->detector, now);
    if (n != 0) {
        (void)rpcnet_call_send(link->probes, frame, rn_frame_probe(frame, n));
    }
}

/* At the end of the turn, so that replies that have arrived already are counted first. */
static void check(void *user) {
    rn_link *link = user;
    rn_data *data = link->data;
    uint64_t now = rn_env_now(data->env);
    if (rn_detector_check(&link->detector, now)) {
        data->suspicions++;
        RN_WARN(data->env->log, target, "worker.addr=%s worker.label=%s worker does not answer",
                link->worker.user_addr, link->worker.label);
        observe(link, RN_POOL_SEEN_HUNG);
        lose_streams(link, RN_SWAP_HUNG);
    }
    if (link->streams == 0 && !link->detector.suspect) {
        rn_detector_rest(&link->detector);
        link->probe_ns = RN_NEVER;
    } else if (now >= link->probe_ns) {
        send_probe(link);
    }
    set_timer(link);
}

static void on_timer(void *user) {
    rn_link *link = user;
    rn_env_defer(link->data->env, &link->check);
}

/* ---- the channel ---- */

static enum rn_swap_reason reason_of(enum rpcnet_loss loss) {
    switch (loss) {
    case RPCNET_LOSS_UNREACHABLE:
    case RPCNET_LOSS_RESET:
        return RN_SWAP_KILLED;
    case RPCNET_LOSS_TIMEOUT:
        return RN_SWAP_HUNG;
    default:
        return RN_SWAP_LOST;
    }
}

static void channel_changed(rpcnet_channel *channel, enum rpcnet_channel_state state,
                            enum rpcnet_loss loss, const char *text, void *user) {
    rn_link *link = user;
    rn_data *data = link->data;
    (void)channel;
    if (state == RPCNET_CHANNEL_READY) {
        if (link->lost) {
            rn_detector_rest(&link->detector); /* what is out went with the old connection */
            rn_data_pool_changed(data);        /* for streams that wait: nothing else may change */
        }
        link->lost = false;
        RN_DEBUG(data->env->log, target, "worker.addr=%s worker.label=%s connected to worker",
                 link->worker.user_addr, link->worker.label);
        return;
    }
    if (state == RPCNET_CHANNEL_CONNECTING) {
        return;
    }
    bool first = !link->lost;
    link->lost = true;
    if (first && loss == RPCNET_LOSS_PEER) {
        RN_INFO(data->env->log, target, "worker.addr=%s worker.label=%s err=%s worker closed link",
                link->worker.user_addr, link->worker.label, RN_TEXT_QUOTE(rn_bytes_text(text)));
    } else if (first) {
        RN_WARN(data->env->log, target, "worker.addr=%s worker.label=%s err=%s worker link lost",
                link->worker.user_addr, link->worker.label, RN_TEXT_QUOTE(rn_bytes_text(text)));
    }
    if (loss != RPCNET_LOSS_PEER) {
        /* After a goodbye its streams end one by one: handed back, finished, or cut. */
        lose_streams(link, reason_of(loss));
    }
    if (reason_of(loss) == RN_SWAP_KILLED) {
        observe(link, RN_POOL_SEEN_DEAD);
    }
}

static void link_new(rn_data *data, const rn_pool_worker *worker) {
    rn_link *link = calloc(1, sizeof *link);
    char identity[RN_ROLE_MAX];
    if (link == NULL) {
        return; /* the worker gets no streams; the next change of the pool tries again */
    }
    link->data = data;
    link->worker = *worker;
    link->probe_ns = RN_NEVER;
    rn_list_init(&link->link);
    rn_list_init(&link->relays);
    rn_deferred_init(&link->check, check, link);
    rn_detector_init(&link->detector, &data->options.detector, rn_env_now(data->env));
    snprintf(identity, sizeof identity, "%s%s", RN_ROLE_WORKER, worker->label);
    rpcnet_channel_options options;
    rpcnet_limits limits;
    rpcnet_channel_options_init(&options);
    rpcnet_limits_init(&limits);
    limits.keep_alive_ns = 5 * RN_SECOND;
    limits.memory = &data->budget;
    options.limits = &limits;
    options.credentials = data->options.credentials;
    options.identity = identity;
    options.secret = data->secret;
    options.reconnect_when_drained = false; /* a worker that drains gets no new streams */
    options.calls_waiting_max = data->options.waiting_max + 1; /* the probe channel waits, too */
    options.callbacks.on_state = channel_changed;
    options.user = link;
    if (rn_env_timer_new(data->env, on_timer, link, &link->timer) != RPCNET_OK ||
        rpcnet_channel_new(&link->channel, data->env, worker->user_addr, &options) != RPCNET_OK) {
        RN_ERROR(data->env->log, target, "worker.addr=%s worker.label=%s cannot connect to worker",
                 worker->user_addr, worker->label);
        link_del(link);
        return;
    }
    rn_list_append(&data->links, &link->link);
}

static bool in_snapshot(const rn_pool_snapshot *snapshot, uint64_t worker) {
    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot->workers[i].id == worker) {
            return true;
        }
    }
    return false;
}

void rn_links_sync(rn_data *data) {
    const rn_pool_snapshot *snapshot = data->options.snapshot;
    rn_list *entry;
    rn_list *after;
    RN_LIST_FOREACH(entry, after, &data->links) {
        rn_link *link = RN_CONTAINER_OF(entry, rn_link, link);
        link->gone = !in_snapshot(snapshot, link->worker.id);
        if (link->gone && link->streams == 0) {
            link_del(link);
        }
    }
    for (size_t i = 0; i < snapshot->count; i++) {
        if (rn_link_find(data, snapshot->workers[i].id) == NULL) {
            link_new(data, &snapshot->workers[i]);
        }
    }
}

void rn_links_stop(rn_data *data) {
    while (!rn_list_empty(&data->links)) {
        link_del(RN_CONTAINER_OF(data->links.next, rn_link, link));
    }
}

void rn_link_attach(rn_link *link, rn_relay *relay) {
    rn_list_append(&link->relays, &relay->link_entry);
    link->streams++;
    if (link->probe_ns == RN_NEVER) {
        send_probe(link);
        set_timer(link);
    }
}

static void taken(rn_link *link, rn_relay *relay) {
    link->untaken -= relay->untaken;
    relay->untaken = false;
}

void rn_link_await(rn_link *link, rn_relay *relay) {
    relay->untaken = true;
    link->untaken++;
    if (link->untaken >= RN_LINK_STRAIN_STREAMS) {
        rn_detector_strain(&link->detector, true);
    }
}

void rn_link_heard(rn_link *link, rn_relay *relay) {
    taken(link, relay);
    rn_detector_heard(&link->detector, rn_env_now(link->data->env));
}

void rn_link_detach(rn_link *link, rn_relay *relay) {
    rn_list_remove(&relay->link_entry);
    taken(link, relay);
    link->streams--;
    if (link->gone && link->streams == 0) {
        /* Not at once: the link may be at work in a caller. */
        rn_data_pool_changed(link->data);
    }
}
