/* disk_faults.h - the C library's way to the disk, with faults.
 *
 * fsync, fdatasync, pwrite and ftruncate of the program stand before the C library's, for SQLite
 * too. Only files of a store are touched. For any thread. */
#ifndef TESTS_CRASH_DISK_FAULTS_H
#define TESTS_CRASH_DISK_FAULTS_H

#include <stdint.h>

enum disk_fault {
    DISK_WORKS,
    DISK_SYNC_FAILS, /* EIO, and what was not synced yet is lost: the kernel forgets it */
    DISK_WRITE_FAILS, /* EIO */
    DISK_IS_FULL,     /* ENOSPC */
    DISK_IS_READ_ONLY /* EROFS */
};

/* From now on, until set again. */
void disk_faults_set(enum disk_fault fault);

/* A sync takes so long instead of being one; 0: it is one. */
void disk_faults_sync_takes(uint64_t microseconds);

/* From now on, what is written and not synced yet can be taken back, also from another process. No
 * sync reaches the disk any more. NULL when memory is out. */
struct disk_journal;
struct disk_journal *disk_faults_journal(void);

/* What a power cut does, after the writing process was killed: of all that was written and not
 * synced, some is there and some is not, by `seed`. Returns how much is not. */
uint64_t disk_faults_cut(struct disk_journal *place, uint64_t seed);

/* How many syncs and writes there have been. */
struct disk_counts {
    uint64_t syncs;
    uint64_t writes;
    uint64_t bytes;
};
struct disk_counts disk_faults_counts(void);

#endif
