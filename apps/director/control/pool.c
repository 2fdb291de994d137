/* pool: the table of workers and its snapshot. */
#include "director/control/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpcnet/error.h"

static const char target[] = "connection_swap::director";

void rn_pool_init(rn_pool *pool, rn_env *env, const char *preferred_label, size_t max) {
    memset(pool, 0, sizeof *pool);
    pool->env = env;
    pool->preferred_label = preferred_label;
    pool->max = max;
    rn_list_init(&pool->entries);
}

void rn_pool_fini(rn_pool *pool) {
    pool->changed = NULL;
    while (!rn_list_empty(&pool->entries)) {
        rn_pool_remove(pool, RN_CONTAINER_OF(pool->entries.next, rn_pool_entry, link));
    }
}

rn_pool_entry *rn_pool_find_label(const rn_pool *pool, const char *label) {
    for (const rn_list *link = pool->entries.next; link != &pool->entries; link = link->next) {
        rn_pool_entry *entry = RN_CONTAINER_OF(link, rn_pool_entry, link);
        if (strcmp(entry->row.label, label) == 0) {
            return entry;
        }
    }
    return NULL;
}

rn_pool_entry *rn_pool_find(const rn_pool *pool, uint64_t id) {
    for (const rn_list *link = pool->entries.next; link != &pool->entries; link = link->next) {
        rn_pool_entry *entry = RN_CONTAINER_OF(link, rn_pool_entry, link);
        if (entry->row.id == id) {
            return entry;
        }
    }
    return NULL;
}

static void drop_silent(rn_pool *pool) {
    uint64_t now = rn_env_now(pool->env);
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &pool->entries) {
        rn_pool_entry *entry = RN_CONTAINER_OF(link, rn_pool_entry, link);
        if (!entry->reporting && now - entry->since_ns >= RN_POOL_REPORT_NS) {
            rn_pool_remove(pool, entry);
        }
    }
}

int rn_pool_add(rn_pool *pool, const char *label, const char *user_addr, const char *mgmt_addr,
                uint64_t incarnation, rn_pool_entry **out) {
    rn_pool_entry *same = rn_pool_find_label(pool, label);
    if (same != NULL) {
        if (strcmp(same->row.user_addr, user_addr) != 0 && same->reporting && !same->hung &&
            same->incarnation != incarnation) {
            return RPCNET_ERR_EXISTS;
        }
        rn_pool_remove(pool, same);
    }
    drop_silent(pool);
    if (pool->count >= pool->max) {
        pool->refused++;
        return RPCNET_ERR_LIMIT;
    }
    rn_pool_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    entry->row.id = ++pool->ids;
    entry->row.preferred =
        pool->preferred_label != NULL && strcmp(label, pool->preferred_label) == 0;
    entry->incarnation = incarnation;
    entry->since_ns = rn_env_now(pool->env);
    snprintf(entry->row.label, sizeof entry->row.label, "%s", label);
    snprintf(entry->row.user_addr, sizeof entry->row.user_addr, "%s", user_addr);
    snprintf(entry->mgmt_addr, sizeof entry->mgmt_addr, "%s", mgmt_addr);
    rn_list_append(&pool->entries, &entry->link);
    pool->count++;
    *out = entry;
    return RPCNET_OK;
}

void rn_pool_remove(rn_pool *pool, rn_pool_entry *entry) {
    bool was_visible = entry->reporting;
    rn_list_remove(&entry->link);
    pool->count--;
    if (pool->removed != NULL) {
        pool->removed(entry, pool->user);
    }
    free(entry);
    if (was_visible) {
        rn_pool_publish(pool);
    }
}

static enum rn_pick_state state_of(const rn_pool_entry *entry) {
    if (entry->hung || entry->unhealthy) {
        return RN_PICK_SUSPECT;
    }
    return entry->draining     ? RN_PICK_DRAINING
           : entry->recovering ? RN_PICK_RECOVERING
                               : RN_PICK_READY;
}

void rn_pool_publish(rn_pool *pool) {
    pool->snapshot.count = 0;
    for (const rn_list *link = pool->entries.next; link != &pool->entries; link = link->next) {
        rn_pool_entry *entry = RN_CONTAINER_OF(link, rn_pool_entry, link);
        if (entry->reporting) {
            entry->row.state = state_of(entry);
            pool->snapshot.workers[pool->snapshot.count++] = entry->row;
        }
    }
    if (pool->changed != NULL) {
        pool->changed(pool->user);
    }
}

void rn_pool_observe(rn_pool *pool, uint64_t id, enum rn_pool_sight sight) {
    rn_pool_entry *entry = rn_pool_find(pool, id);
    if (entry == NULL) {
        return;
    }
    if (sight == RN_POOL_SEEN_DEAD) {
        RN_WARN(pool->env->log, target, "worker.addr=%s worker.label=%s worker is dead",
                entry->row.user_addr, entry->row.label);
        entry->dead = true;
        rn_pool_remove(pool, entry);
        return;
    }
    bool hung = sight == RN_POOL_SEEN_HUNG;
    if (entry->hung != hung) {
        entry->hung = hung;
        RN_WARN(pool->env->log, target, "worker.addr=%s worker.label=%s %s", entry->row.user_addr,
                entry->row.label, hung ? "worker hangs" : "worker answers again");
        rn_pool_publish(pool);
    }
}
