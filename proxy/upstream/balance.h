/* balance.h - which instance of a pool takes the next request.
 *
 * Smooth weighted round robin (as nginx does it), least request (all up to eight,
 * else the better of two: Mitzenmacher 2001) and rendezvous hashing (Thaler,
 * Ravishankar 1998) with bounded load (Mirrokni et al. 2018). Pure; one
 * `struct balance` per worker and pool keeps the round robin's state. */
#ifndef PROXY_UPSTREAM_BALANCE_H
#define PROXY_UPSTREAM_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "proxy/upstream/snapshot.h"

struct balance;

/* What one request asks for. A zeroed struct asks for anybody. */
struct balance_request {
    uint64_t key;    /* of `balance hash`, by balance_key; 0 = as round robin */
    uint64_t sticky; /* the instance that the client's cookie names; 0 = none */
    const struct instance *const *excluded; /* tried already: never chosen again */
    size_t excluded_count;
    uint64_t now_ms; /* monotonic, for slow start */
};

/* What a text to be hashed comes down to; never 0, but of no bytes. */
uint64_t balance_key(const void *bytes, size_t size);

/* The same of a client's address, whatever its port. */
uint64_t balance_source(const struct rc_address *peer);

/* NULL when memory is out. */
struct balance *balance_create(uint64_t seed);
void balance_destroy(struct balance *balance); /* NULL is allowed */

/* Takes over a new snapshot of the pool, keeping the turn of those who stay. RC_OK or
 * RC_ENOMEM (then round robin starts anew). */
int balance_sync(struct balance *balance, const struct snapshot_pool *pool);

/* The member to use, or NULL when none is left. The one that the cookie names comes first, if it is
 * usable; then those who are near, if the pool prefers them; then all who are up or warming; then
 * those who drain; then the ejected (counted as panic). Who fails its checks is used only when the
 * pool panics, but then like everybody. A TRIAL member is chosen when its one
 * slot is free, and the slot is taken: instance_end gives it back. `pool` must be the one of
 * the last balance_sync. Borrowed from the snapshot. */
const struct snapshot_member *balance_pick(struct balance *balance,
                                           const struct snapshot_pool *pool,
                                           const struct balance_request *request);

/* Picks among those who do not pass because nothing else was left, since creation. */
uint64_t balance_panics(const struct balance *balance);

/* The weight slow start grants now: from a tenth to all of `weight`, at least 1. */
uint32_t balance_weight(const struct snapshot_member *member, uint32_t slow_start_ms,
                        uint64_t now_ms);

#endif
