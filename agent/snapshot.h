/* snapshot.h - whom an agent knew and how far its clocks were, kept over restarts.
 *
 * A log in the format of Serf's snapshot file (libserf reads the same lines): "alive: NAME
 * ADDRESS", "not-alive: NAME", "clock: N", "event-clock: N", "query-clock: N", "leave". A log,
 * because in a pool of thousands somebody always comes and goes: a line costs forty bytes
 * where a whole file, written anew each second, costs megabytes. It is written anew only
 * when it has outgrown what it says. No line needs another, so a torn file loses what is
 * torn: unfinished or unreadable lines are skipped.
 *
 * Unlike Serf's, a member that failed is still known: an agent that is cut off and then loses
 * power must not have forgotten whom to look for. Who left or was reaped is forgotten.
 *
 * The caller says when to write (snapshot_is_changed(), snapshot_write()). Every function takes
 * NULL, which is an agent without a data folder: nothing is kept. */
#ifndef AGENT_SNAPSHOT_H
#define AGENT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/gossip/gossip.h"
#include "base/address.h"

enum { SNAPSHOT_MEMBERS_MAX = 20000, SNAPSHOT_FILE_MAX = 16 * 1024 * 1024 };

struct snapshot;

/* What a "leave" in the file means: we went on purpose and start afresh, or come back. */
enum snapshot_after { SNAPSHOT_FORGET_AFTER_LEAVE, SNAPSHOT_REJOIN_AFTER_LEAVE };

/* Reads `folder`/gossip.snapshot, if it is there. One that cannot be read (too large, not a
 * file) is set aside as gossip.snapshot.broken and counts as empty. `seed` protects the
 * table of names. RC_OK, or RC_ETOOBIG (the path), RC_ENOMEM. */
int snapshot_open(const char *folder, enum snapshot_after after, uint64_t seed,
                  struct snapshot **out);

/* Frees it; what was not written is lost. */
void snapshot_close(struct snapshot *s);

/* ---- What is to be kept. Nothing more after snapshot_leave(). */

/* `name` lives at `address`. A name with a line break cannot be kept. */
void snapshot_member(struct snapshot *s, const char *name,
                     const struct rc_address *address);
void snapshot_forget(struct snapshot *s, const char *name);
/* As gossip_clocks() gives them. */
void snapshot_clocks(struct snapshot *s, const uint64_t next[GOSSIP_CLOCK_COUNT]);
void snapshot_leave(struct snapshot *s);

bool snapshot_is_changed(const struct snapshot *s);

/* Appends what has changed, or, when the file has outgrown max(128 KiB, 256 bytes for each
 * member), writes it anew. RC_OK; RC_EIO or RC_ENOMEM: it stays changed, try again later. */
int snapshot_write(struct snapshot *s);

/* ---- What was kept. */

/* For gossip_options; 0: unknown. */
void snapshot_last_clocks(const struct snapshot *s, uint64_t out[GOSSIP_CLOCK_COUNT]);

size_t snapshot_count(const struct snapshot *s);

/* Copies at most `max` addresses, each once for each name; returns how many. */
size_t snapshot_addresses(const struct snapshot *s, struct rc_address *out, size_t max);

#endif
