/* waiters.h - who waits for a change of what, and until when.
 *
 * Waiters are kept by what they watch, so a change wakes those concerned and nobody else,
 * whatever their number. What is watched is kept as a hash of its name: two names
 * that share one wake each other's waiters, who then look and wait on. Pure: time comes in. */
#ifndef AGENT_HTTP_WAITERS_H
#define AGENT_HTTP_WAITERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/catalog.h"
#include "agent/http/http.h"
#include "agent/store/store.h"

struct waiters;
struct waiter_list;

/* Embedded in whatever waits. A zeroed struct does not wait. */
struct waiter {
    struct waiter_list *list; /* NULL: does not wait */
    struct waiter *previous;
    struct waiter *next;
    uint64_t key;
    uint64_t deadline_ms;
    uint32_t heap_at;
    uint32_t prefix; /* of waiters_prefix(); 0: it does not wait for all under a prefix */
};

/* NULL when memory is out. `seed` keys the hashes. */
struct waiters *waiters_create(uint64_t seed);

/* Forgets every waiter, touching none, and frees. NULL is allowed. */
void waiters_destroy(struct waiters *waiters);

/* The key of a thing to watch. `name` is compared without regard to ASCII letter case, as
 * the catalog does; "" for topics without one. */
uint64_t waiters_key(enum catalog_topic topic, const char *name, uint64_t seed);

/* The key of what is not in the catalog. */
uint64_t waiters_news_key(enum http_news news, uint64_t seed);

/* The key of one name in the store, and that of all names under a prefix: case counts. */
uint64_t waiters_store_key(enum store_table table, struct rc_pack_bytes name,
                           uint64_t seed);
uint64_t waiters_prefix_key(enum store_table table, struct rc_pack_bytes prefix,
                            uint64_t seed);

/* What stands in waiter.prefix for a prefix of `size` bytes, at most STORE_KEY_MAX. */
uint32_t waiters_prefix(enum store_table table, size_t size);

/* The lengths of prefixes in `table` that anybody waits for, so that a change of a key costs one
 * hash for each: start with `*position` = 0. False at the end. */
bool waiters_next_prefix(const struct waiters *waiters, enum store_table table,
                         size_t *position, size_t *size);

/* Lets `waiter` wait for its `key` until its `deadline_ms`. RC_OK or RC_ENOMEM. */
int waiters_add(struct waiters *waiters, struct waiter *waiter);

/* Ends a wait; nothing happens if it does not wait. */
void waiters_remove(struct waiters *waiters, struct waiter *waiter);

/* Calls all who wait for `key` now, or all: at once, however many they are. They still count,
 * until each is taken out by waiters_next(); whoever comes to wait later is not among them. */
void waiters_call(struct waiters *waiters, uint64_t key);
void waiters_call_all(struct waiters *waiters);

/* Takes out one that was called, those of the earliest call first; NULL when there is none. */
struct waiter *waiters_next(struct waiters *waiters);

/* Takes out one whose deadline has come, called or not; NULL when there is none. */
struct waiter *waiters_expire(struct waiters *waiters, uint64_t now_ms);

size_t waiters_count(const struct waiters *waiters);
bool waiters_has_called(const struct waiters *waiters);

/* The earliest deadline, or UINT64_MAX. */
uint64_t waiters_deadline_ms(const struct waiters *waiters);

#endif
