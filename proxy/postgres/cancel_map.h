/* cancel_map.h - which server a PostgreSQL cancel request is meant for.
 *
 * A cancel request comes on a connection of its own, to any worker, and names a session by the
 * key that its server gave it. Sessions put their key here while they run. The one
 * structure that workers share by a lock: it is held for a table look-up, once when a session
 * starts, once when it ends. */
#ifndef PROXY_POSTGRES_CANCEL_MAP_H
#define PROXY_POSTGRES_CANCEL_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum { CANCEL_MAP_GUESSES_MAX = 8 };

/* Where a session runs: the server, and the term under which it may be written (0 = none). */
struct cancel_place {
    struct rc_address server;
    uint64_t term;
};

struct cancel_map;

/* NULL when memory is out. */
struct cancel_map *cancel_map_create(uint64_t seed);
void cancel_map_destroy(struct cancel_map *map); /* NULL is allowed */

/* Any thread. A key that is known already is overwritten: servers do not repeat them. RC_OK or
 * RC_ENOMEM (then this session cannot be cancelled). */
int cancel_map_put(struct cancel_map *map, uint32_t pid, const void *key, size_t key_size,
                   const struct cancel_place *place);
void cancel_map_remove(struct cancel_map *map, uint32_t pid, const void *key,
                       size_t key_size);

/* RC_OK with the place, or RC_ENOTFOUND. */
int cancel_map_find(struct cancel_map *map, uint32_t pid, const void *key,
                    size_t key_size, struct cancel_place *out);

/* Sessions whose key is hidden in TLS: all that is known is from which address (the port does not
 * count) one was made to which server. A client may have several. RC_OK or RC_ENOMEM. */
int cancel_map_note(struct cancel_map *map, const struct rc_address *client,
                    const struct cancel_place *place);
void cancel_map_unnote(struct cancel_map *map, const struct rc_address *client,
                       const struct cancel_place *place);

/* Where sessions of this client run, each place once; returns how many. A server ignores a key that it
 * did not give out. */
size_t cancel_map_guess(struct cancel_map *map, const struct rc_address *client,
                        struct cancel_place out[CANCEL_MAP_GUESSES_MAX]);

#endif
