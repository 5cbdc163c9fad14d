/* disk.h - what is done to files of a server: called from a thread, for a disk may be slow.
 *
 * All return RC_OK, or an error with one line in `job->text`. Nothing here runs while the
 * server does, but disk_configure(). */
#ifndef AGENT_POSTGRES_DISK_H
#define AGENT_POSTGRES_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/keeper/keeper.h"
#include "agent/postgres/fragment.h"

enum { DISK_TEXT_MAX = 256 };

struct disk_job {
    const struct postgres_place *place; /* lives longer than the thread's work */
    char text[DISK_TEXT_MAX];

    /* disk_configure() */
    bool sets_conninfo; /* and `fragment.slot` */
    bool sets_names;
    struct fragment fragment;

    /* disk_look() */
    enum keeper_disk disk;

    /* disk_begin_rewind() */
    uint64_t term;
    uint32_t tli;
    uint64_t fork_lsn; /* saved: what of `tli` lies behind it */
};

/* Writes what `sets_` says into the fragment, keeps the rest, and sees that it is included. */
int disk_configure(struct disk_job *job);

/* Whether there is a data folder, and a whole one: KEEPER_DISK_EMPTY, _BROKEN, or, to be asked
 * pg_controldata about, _UNREADY (a backup_label) and _CLEAN. */
int disk_look(struct disk_job *job);

/* The mark that stands from before a repair until after it. */
int disk_mark(struct disk_job *job);
int disk_unmark(struct disk_job *job);

/* Saves the segments that will be lost to <data_dir>.diverged/<term>/, sets the mark and removes
 * standby.signal, with which pg_rewind could not finish a crash's recovery. */
int disk_begin_rewind(struct disk_job *job);

/* An empty folder beside the data folder; and that one put in its place, the old one kept, and
 * configured. The mark stands meanwhile and after. */
int disk_begin_copy(struct disk_job *job);
int disk_end_copy(struct disk_job *job);
const char *disk_copy_suffix(void); /* static: of that folder's name */

/* The folder for initdb, marked; and the rules of who may connect to what it made. */
int disk_begin_initdb(struct disk_job *job);
int disk_end_initdb(struct disk_job *job);

#endif
