/* cancel_map.h - which server a PostgreSQL cancel request is meant for.
 *
 * A cancel request comes on a connection of its own, to any worker, and names a session by the
 * key that its server gave it. Sessions put their key here while they run. The one
 * structure that workers share by a lock: it is held for a table look-up, once when a session
 * starts, once when it ends. */
#ifndef PROXY_CANCEL_MAP_H
#define PROXY_CANCEL_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct cancel_map;

/* NULL when memory is out. */
struct cancel_map *cancel_map_create(uint64_t seed);
void cancel_map_destroy(struct cancel_map *map); /* NULL is allowed */

/* Any thread. A key that is known already is overwritten: servers do not repeat them. RC_OK or
 * RC_ENOMEM (then this session cannot be cancelled). */
int cancel_map_put(struct cancel_map *map, uint32_t pid, const void *key, size_t key_size,
                   const struct rc_address *server);
void cancel_map_remove(struct cancel_map *map, uint32_t pid, const void *key,
                       size_t key_size);

/* RC_OK with the server's address, or RC_ENOTFOUND. */
int cancel_map_find(struct cancel_map *map, uint32_t pid, const void *key,
                    size_t key_size, struct rc_address *out);

#endif
