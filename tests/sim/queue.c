/* The queue of events: a binary heap by (time, sequence), so that events of the same time happen in
 * the order in which they were made. */
#include <assert.h>
#include <stdlib.h>

#include "sim/internal.h"

static bool before(const rn_sim_event *a, const rn_sim_event *b) {
    return a->time != b->time ? a->time < b->time : a->sequence < b->sequence;
}

static void place(rn_sim_queue *queue, size_t at, rn_sim_event *event) {
    queue->events[at] = event;
    event->index = at + 1;
}

static void move_up(rn_sim_queue *queue, size_t at, rn_sim_event *event) {
    while (at > 0 && before(event, queue->events[(at - 1) / 2])) {
        place(queue, at, queue->events[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(queue, at, event);
}

static void move_down(rn_sim_queue *queue, size_t at, rn_sim_event *event) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->len) {
            break;
        }
        if (child + 1 < queue->len && before(queue->events[child + 1], queue->events[child])) {
            child++;
        }
        if (!before(queue->events[child], event)) {
            break;
        }
        place(queue, at, queue->events[child]);
        at = child;
    }
    place(queue, at, event);
}

void rn_sim_event_init(rn_sim_event *event, rn_sim_host *host,
                       void (*fire)(rn_sim_event *event, rn_sim *sim),
                       void (*drop)(rn_sim_event *event)) {
    *event = (rn_sim_event){.host = host, .fire = fire, .drop = drop};
    rn_list_init(&event->held);
}

void rn_sim_event_set(rn_sim *sim, rn_sim_event *event, uint64_t time) {
    rn_sim_queue *queue = &sim->queue;
    rn_sim_event_cancel(sim, event);
    event->time = time > sim->now ? time : sim->now;
    event->sequence = queue->sequence_next++;
    if (queue->len == queue->capacity) {
        queue->capacity = queue->capacity > 0 ? 2 * queue->capacity : 64;
        queue->events = realloc(queue->events, queue->capacity * sizeof(rn_sim_event *));
        rn_sim_require(queue->events != NULL, "memory");
    }
    assert(queue->events != NULL);
    queue->len++;
    move_up(queue, queue->len - 1, event);
}

void rn_sim_event_cancel(rn_sim *sim, rn_sim_event *event) {
    rn_sim_queue *queue = &sim->queue;
    rn_list_remove(&event->held);
    if (event->index == 0) {
        return;
    }
    assert(queue->events != NULL && event->index <= queue->len);
    size_t at = event->index - 1;
    event->index = 0;
    rn_sim_event *last = queue->events[--queue->len];
    if (last == event) {
        return;
    }
    if (at > 0 && before(last, queue->events[(at - 1) / 2])) {
        move_up(queue, at, last);
    } else {
        move_down(queue, at, last);
    }
}

rn_sim_event *rn_sim_queue_first(const rn_sim_queue *queue) {
    return queue->len > 0 ? queue->events[0] : NULL;
}
