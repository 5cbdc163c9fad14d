/* mirror.h - what the engine has said so far: keys in order of bytes, and what has gone.
 *
 * A map from byte strings to values with their revisions. Each part of the tree knows the
 * highest revision in it, so the index of a prefix costs no walk. What is removed leaves
 * a tombstone, so that indexes do not fall; when there are too many the oldest goes and the
 * `floor`, below which no index of what is not there lies, rises to it.
 *
 * A treap (Seidel, Aragon 1996) whose priorities come from a counter: the same calls give the
 * same tree. Knows nothing of tables or rules. */
#ifndef AGENT_STORE_MIRROR_H
#define AGENT_STORE_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/store/engine.h"

struct mirror;

/* Keeps up to `tombstones_max` of them, 0: none (then nothing raises the floor). NULL when
 * memory is out. */
struct mirror *mirror_create(size_t tombstones_max);

/* NULL is allowed. */
void mirror_destroy(struct mirror *mirror);

/* How many keys there are, without tombstones. */
size_t mirror_count(const struct mirror *mirror);

/* Puts or replaces. Key and value are copied. RC_OK or RC_ENOMEM (nothing changed). */
int mirror_put(struct mirror *mirror, const struct engine_item *item);

/* Takes `key` away at `revision`. Nothing happens when it is not there. */
void mirror_remove(struct mirror *mirror, struct rc_pack_bytes key, uint64_t revision);

/* False when it is not there. `out` is borrowed until the key is written again. */
bool mirror_get(const struct mirror *mirror, struct rc_pack_bytes key,
                struct engine_item *out);

/* The first key behind `after` (nil: the first at all) that starts with `prefix`. */
bool mirror_next(const struct mirror *mirror, struct rc_pack_bytes prefix,
                 struct rc_pack_bytes after, struct engine_item *out);

/* The revision that last changed this key, or any under the prefix; its tombstone's; the floor
 * when it is not there (a prefix: never below the floor). */
uint64_t mirror_key_index(const struct mirror *mirror, struct rc_pack_bytes key);
uint64_t mirror_prefix_index(const struct mirror *mirror, struct rc_pack_bytes prefix);

uint64_t mirror_floor(const struct mirror *mirror);
/* Never lowers it. */
void mirror_raise_floor(struct mirror *mirror, uint64_t revision);

/* Whether `key` starts with `prefix`, and how two keys are ordered (<0, 0, >0). */
bool mirror_starts_with(struct rc_pack_bytes key, struct rc_pack_bytes prefix);
int mirror_compare(struct rc_pack_bytes a, struct rc_pack_bytes b);

#endif
