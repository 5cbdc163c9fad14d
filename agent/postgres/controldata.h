/* controldata.h - what pg_controldata says of a server that does not run.
 *
 * Its output in English (LC_ALL=C), PostgreSQL 12 to 18. Pure. */
#ifndef AGENT_POSTGRES_CONTROLDATA_H
#define AGENT_POSTGRES_CONTROLDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct controldata {
    bool is_clean;    /* "shut down", also in recovery */
    bool was_primary; /* "shut down" or "in production": not in recovery */
    uint32_t tli;     /* the later of the checkpoint's and that of the recovery's end */
    uint64_t lsn; /* after a clean stop of a primary: behind the last record; else how far
                       * recovery must go at least, or 0 */
    char sysid[24];
    bool
        is_backup; /* recovery of a copy or rewind has begun, and is not consistent yet */
    bool can_rewind; /* data checksums or wal_log_hints */
};

/* RC_OK; RC_EMALFORMED: it is no such output. */
int controldata_read(const char *text, size_t size, struct controldata *out);

/* Where the record of a shutdown checkpoint that begins at `start` ends: page headers lie
 * between (access/xlog_internal.h). */
uint64_t controldata_checkpoint_end(uint64_t start, uint64_t segment_size);

#endif
