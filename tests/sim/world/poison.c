/* poison: see the header. */
#include "sim/world/poison.h"

#include <string.h>

void rn_poison_init(rn_poison *poison, rn_cluster *cluster, rn_verdict *verdict) {
    *poison = (rn_poison){.cluster = cluster, .verdict = verdict};
}

/* The task of a worker that is about to kill it; NULL: none. */
static const rn_task *find_task(const rn_worker *worker) {
    const rn_list *link;
    for (link = worker->tasks.next; link != &worker->tasks; link = link->next) {
        const rn_task *task = RN_CONTAINER_OF(link, const rn_task, link);
        if (task->running && strcmp(task->generator.prompt, "poison") == 0) {
            return task;
        }
    }
    return NULL;
}

/* Does the director still wait for that worker? Not when it has left it before: one that hung, say,
 * and has read its Assignment only now. */
static bool is_awaited(const rn_director *director, const rn_poison_death *death) {
    const rn_list *link;
    for (link = director->data.relays.next; link != &director->data.relays; link = link->next) {
        const rn_relay *relay = RN_CONTAINER_OF(link, const rn_relay, link);
        if (relay->stream_id == death->stream_id &&
            strcmp(relay->connection_id, death->connection_id) == 0) {
            return relay->at != NULL && relay->pair.epoch == death->pair.epoch &&
                   relay->pair.attempt == death->pair.attempt;
        }
    }
    return false;
}

/* The director has left the dead worker: it has seen that it died, or no more than its silence, as
 * behind a path that is broken. */
static void settle(rn_poison *poison, rn_poison_death *death, bool by_hang) {
    const rn_director *director = poison->cluster->director;
    if (!death->open || is_awaited(director, death)) {
        return;
    }
    death->open = false;
    if (by_hang || death->pair.epoch != director->data.options.epoch) {
        return;
    }
    poison->seen++;
    if (poison->seen > 2 * RN_SWAP_MAX_ATTEMPTS) {
        rn_violate(poison->verdict, "poison", "a stream has killed %u workers without progress",
                   poison->seen);
    }
}

static void settle_all(rn_poison *poison) {
    const rn_director *director = poison->cluster->director;
    if (director == NULL) {
        return;
    }
    uint64_t hung = director->data.counters.lost[RN_SWAP_HUNG];
    for (size_t i = 0; i < poison->cluster->plan->workers; i++) {
        settle(poison, &poison->deaths[i], hung > poison->hung);
    }
    poison->hung = hung;
}

static void let_die(rn_poison *poison, size_t worker, const rn_task *task) {
    const rn_director *director = poison->cluster->director;
    rn_poison_death death = {.open = true,
                             .stream_id = task->stream_id,
                             .pair = {task->serving.epoch, task->serving.attempt}};
    memcpy(death.connection_id, task->connection_id, sizeof death.connection_id);
    if (director != NULL && is_awaited(director, &death)) {
        poison->deaths[worker] = death;
    }
    rn_cluster_kill_worker(poison->cluster, worker);
    rn_cluster_start_worker(poison->cluster, worker);
}

void rn_poison_look(rn_poison *poison) {
    settle_all(poison);
    for (size_t i = 0; i < poison->cluster->plan->workers; i++) {
        const rn_cluster_worker *worker = &poison->cluster->workers[i];
        const rn_task *task = worker->program != NULL ? find_task(worker->program) : NULL;
        if (task != NULL && !worker->hanging) {
            let_die(poison, i, task);
        }
    }
}
