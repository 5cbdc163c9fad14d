/* timeline.h - a timeline's history, as TIMELINE_HISTORY of the replication protocol gives it. Pure. */
#ifndef AGENT_POSTGRES_TIMELINE_H
#define AGENT_POSTGRES_TIMELINE_H

#include <stddef.h>

#include "agent/keeper/keeper.h"

/* Lines of "parent <tab> where it was left <tab> why"; comments and empty lines are passed over.
 * RC_OK, RC_EMALFORMED, or RC_ETOOBIG: more than KEEPER_FORKS_MAX. */
int timeline_read(const char *text, struct keeper_fork *out, size_t *count);

/* The name of the WAL file that `lsn` stands in: 24 characters and a NUL. */
void timeline_file_name(uint32_t tli, uint64_t lsn, uint64_t segment_size, char out[25]);

#endif
