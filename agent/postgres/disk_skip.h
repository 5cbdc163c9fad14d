/* disk_skip.h - timelines that nobody was ever on.
 *
 * A keeper claims a timeline in the store before it promotes; an attempt that failed leaves a
 * number that nobody may take again. PostgreSQL takes the first one that pg_wal has no history
 * of, so those below the claimed one get a history that no server is a child of: a fork of the
 * first timeline at 0/1. Blocks, as disk.h. */
#ifndef AGENT_POSTGRES_DISK_SKIP_H
#define AGENT_POSTGRES_DISK_SKIP_H

#include "agent/postgres/disk.h"

/* Before a promotion to `job->tli`, while the server is in recovery: histories for all below it
 * that have none. */
int disk_skip_timelines(struct disk_job *job);

/* Before a start: those that no real one follows are removed, as PostgreSQL would look for a way
 * to the newest, and end. */
int disk_unskip_timelines(struct disk_job *job);

#endif
