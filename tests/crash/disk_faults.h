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

/* How many syncs and writes there have been. */
struct disk_counts {
    uint64_t syncs;
    uint64_t writes;
    uint64_t bytes;
};
struct disk_counts disk_faults_counts(void);

#endif
