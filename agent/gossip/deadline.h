/* deadline.h - what is due when: one binary heap for all timers of a gossip object.
 *
 * A deadline is embedded in what it belongs to and finds its place in the heap again, so
 * setting and clearing cost log n and nothing is allocated for it. Equal instants fire in the
 * order they were set: runs can be replayed. */
#ifndef AGENT_GOSSIP_DEADLINE_H
#define AGENT_GOSSIP_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum deadline_kind {
    DEADLINE_PROBE_ROUND,
    DEADLINE_PROBE_TIMEOUT, /* owner: struct probe_call, as of the next */
    DEADLINE_PROBE_END,
    DEADLINE_GOSSIP,
    DEADLINE_PUSH_PULL,
    DEADLINE_REAP,
    DEADLINE_RECONNECT,
    DEADLINE_LEAVE,
    DEADLINE_KICK,
    DEADLINE_NEWS,
    DEADLINE_JOIN_CHECK,
    DEADLINE_PRUNE,
    DEADLINE_CONFLICT,
    DEADLINE_SUSPICION, /* owner: struct suspicion */
    DEADLINE_RELAY,     /* owner: struct probe_relay */
    DEADLINE_STREAM,    /* owner: struct gossip_stream */
    DEADLINE_QUERY,     /* owner: struct query */
    DEADLINE_KIND_COUNT
};

struct deadline {
    uint64_t at_ns;
    uint64_t order;
    size_t place; /* in the heap, from 1; 0: not set */
    enum deadline_kind kind;
    void *owner; /* its type follows from `kind` */
};

struct deadline_heap {
    struct deadline **items; /* items[1] is the first due */
    size_t count;
    size_t capacity;
    uint64_t next_order;
};

void deadline_heap_fini(struct deadline_heap *heap);

/* Makes sure that `count` deadlines can be set at once. RC_OK or RC_ENOMEM. */
int deadline_heap_reserve(struct deadline_heap *heap, size_t count);

/* Sets or moves. A full heap that cannot grow leaves it unset and returns RC_ENOMEM. */
int deadline_set(struct deadline_heap *heap, struct deadline *deadline, uint64_t at_ns);
void deadline_clear(struct deadline_heap *heap, struct deadline *deadline);
bool deadline_is_set(const struct deadline *deadline);

/* The first due at or before `now_ns`, taken out; NULL if there is none. */
struct deadline *deadline_take(struct deadline_heap *heap, uint64_t now_ns);

/* When the first is due; UINT64_MAX if none is set. */
uint64_t deadline_first(const struct deadline_heap *heap);

#endif
