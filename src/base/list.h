/* list: an intrusive doubly linked list. A link belongs to at most one list. */
#ifndef RN_BASE_LIST_H
#define RN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rn_list {
    struct rn_list *next;
    struct rn_list *prev;
} rn_list;

#define RN_CONTAINER_OF(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* `link` visits each member; `after` keeps the next one, so that `link` may be removed. */
#define RN_LIST_FOREACH(link, after, list)                                                         \
    for ((link) = (list)->next, (after) = (link)->next; (link) != (list);                          \
         (link) = (after), (after) = (link)->next)

static inline void rn_list_init(rn_list *list) {
    list->next = list->prev = list;
}
static inline bool rn_list_empty(const rn_list *list) {
    return list->next == list;
}
/* For a link that was initialised: is it in a list? */
static inline bool rn_list_linked(const rn_list *link) {
    return link->next != link;
}
static inline void rn_list_append(rn_list *list, rn_list *link) {
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}
static inline void rn_list_prepend(rn_list *list, rn_list *link) {
    link->next = list->next;
    link->prev = list;
    list->next->prev = link;
    list->next = link;
}
/* The link is initialised again; removing an initialised link that is in no list does nothing. */
static inline void rn_list_remove(rn_list *link) {
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = link;
}

#endif
