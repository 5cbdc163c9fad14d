/* preference.h - does the whole pool panic, and are the near enough: decided once per snapshot.
 *
 * Panic: when fewer than `panic` percent of those who are there pass, choosing among the few would
 * drown them; then all are used. Near: the instances within `prefer near` of the nearest
 * usable one take all requests they can carry, if enough of them pass. Pure. */
#ifndef PROXY_UPSTREAM_PREFERENCE_H
#define PROXY_UPSTREAM_PREFERENCE_H

#include "proxy/upstream/snapshot.h"

/* Sets panic, prefer_near and the members' near from their states and distances. */
void preference_settle(struct snapshot_pool *pool);

#endif
