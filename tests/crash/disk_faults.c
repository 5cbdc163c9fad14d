#include "tests/crash/disk_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int current_fault;
static _Atomic uint64_t sync_us;
static _Atomic uint64_t syncs;
static _Atomic uint64_t writes;
static _Atomic uint64_t bytes_written;

void disk_faults_set(enum disk_fault fault)
{
    current_fault = (int)fault;
}

void disk_faults_sync_takes(uint64_t microseconds)
{
    sync_us = microseconds;
}

struct disk_counts disk_faults_counts(void)
{
    return (struct disk_counts){syncs, writes, bytes_written};
}

/* Files of a store by their names, so that pipes and logs stay whole. */
static int is_store_file(int file)
{
    char link[64];
    char path[512];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) {
        return 0;
    }
    path[size] = '\0';
    return strstr(path, "/store.db") != NULL;
}

static int is_log(int file)
{
    char link[64];
    char path[512];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    return size > 4 && memcmp(path + size - 4, "-wal", 4) == 0;
}

/* The end of the log that no sync has confirmed is written over with zeros, as if it had never
 * come to the disk. */
static off_t first;   /* byte written since syncs fail; only the store's thread writes */
static off_t written; /* one past the last of them; 0: none */

static void lose(int file)
{
    static const char zeros[4096];

    for (off_t at = first; at < written; at += (off_t)sizeof zeros) {
        off_t left = written - at;
        size_t size = left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros;
        (void)syscall(SYS_pwrite64, file, zeros, size, at);
    }
}

static void wait_us(uint64_t us)
{
    struct timespec wait = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
}

static int sync_by(long call, int file)
{
    syncs++;
    if (current_fault == DISK_SYNC_FAILS && is_store_file(file)) {
        if (is_log(file)) {
            lose(file);
            first = written = 0;
        }
        errno = EIO;
        return -1;
    }
    if (sync_us > 0) {
        wait_us(sync_us);
        return 0;
    }
    return (int)syscall(call, file);
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the library's have underscores */
int fsync(int file)
{
    return sync_by(SYS_fsync, file);
}

int fdatasync(int file)
{
    return sync_by(SYS_fdatasync, file);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static int fault_of_write(void)
{
    switch ((enum disk_fault)current_fault) {
    case DISK_WORKS:
    case DISK_SYNC_FAILS:
        return 0;
    case DISK_WRITE_FAILS:
        return EIO;
    case DISK_IS_FULL:
        return ENOSPC;
    case DISK_IS_READ_ONLY:
        return EROFS;
    }
    return 0;
}

static ssize_t write_at(int file, const void *bytes, size_t size, off_t at)
{
    int fault = fault_of_write();

    if (fault != 0 && is_store_file(file)) {
        errno = fault;
        return -1;
    }
    writes++;
    bytes_written += size;
    if (current_fault == DISK_SYNC_FAILS && is_log(file)) {
        first = written == 0 || at < first ? at : first;
        written = at + (off_t)size > written ? at + (off_t)size : written;
    }
    return (ssize_t)syscall(SYS_pwrite64, file, bytes, size, at);
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): as above */
ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    return write_at(file, bytes, size, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at)
{
    return write_at(file, bytes, size, at);
}

int ftruncate64(int file, off64_t size)
{
    int fault = fault_of_write();

    if (fault != 0 && is_store_file(file)) {
        errno = fault;
        return -1;
    }
    return (int)syscall(SYS_ftruncate, file, size);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
