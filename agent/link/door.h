/* door.h - who may stay at the door: connections that have not proven themselves yet.
 *
 * At most DOOR_WAITING_MAX of them, DOOR_PER_ADDRESS_MAX from one address, so that nobody
 * without the pool's key takes what members need (security.md L3). Pure. */
#ifndef AGENT_LINK_DOOR_H
#define AGENT_LINK_DOOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"

enum { DOOR_WAITING_MAX = 64, DOOR_PER_ADDRESS_MAX = 8 };

/* A zeroed struct is an empty door. */
struct door {
    struct rc_address waiting[DOOR_WAITING_MAX];
    size_t count;
};

/* False: there are too many. */
bool door_enter(struct door *door, const struct rc_address *address);

/* One from this address has proven itself, or gone. */
void door_leave(struct door *door, const struct rc_address *address);

#endif
