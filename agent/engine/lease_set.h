/* lease_set.h - when leases end: their times left, by a clock that is told.
 *
 * Pure. Only times: what a lease takes with it is in the database. Times are of a monotonic
 * clock in ms. */
#ifndef AGENT_ENGINE_LEASE_SET_H
#define AGENT_ENGINE_LEASE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lease_set;

/* NULL when memory is out. */
struct lease_set *lease_set_create(void);
void lease_set_destroy(struct lease_set *set);

size_t lease_set_count(const struct lease_set *set);

/* When the time of a lease began: when it was asked for, which is later than its holder counts
 * from, however long the disk took since. But at least half of it is left. */
struct lease_moment {
    uint64_t asked_ms;
    uint64_t now_ms;
};

/* A lease that ends `ttl_ms` after that, if it is not renewed. RC_OK, RC_EEXISTS or RC_ENOMEM. */
int lease_set_add(struct lease_set *set, struct lease_moment moment, uint64_t lease,
                  uint64_t ttl_ms);

/* It has its whole time again, from that moment on. False when there is no such lease. */
bool lease_set_renew(struct lease_set *set, struct lease_moment moment, uint64_t lease);

/* Nothing happens when there is no such lease. */
void lease_set_remove(struct lease_set *set, uint64_t lease);

/* When the next one ends; UINT64_MAX: none. */
uint64_t lease_set_deadline_ms(const struct lease_set *set);

/* Those whose time is over, the longest over first, at most `max`; they stay in the set. Returns how
 * many. */
size_t lease_set_due(struct lease_set *set, uint64_t now_ms, uint64_t *leases,
                     size_t max);

#endif
