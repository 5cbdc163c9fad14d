#include "tests/crash/disk_faults.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"

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

static void wait_us(uint64_t us)
{
    struct timespec wait = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
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

/* ---- Writes that can be taken back. */

enum {
    JOURNAL_BYTES = 64 << 20,
    JOURNAL_WRITES = 8192,
    JOURNAL_FILES = 8,
    NAME_SIZE = 256,
    SYNC_US = 2000
};

struct disk_write {
    uint64_t id; /* of its file: device and inode would do, the inode does */
    off_t at;
    size_t size;
    off_t size_before; /* of the file */
    size_t old_at;     /* in `bytes`: what was there; the file's end cuts it short */
    size_t old_size;
    int is_open; /* not synced yet */
};

struct disk_file {
    uint64_t id;
    char path[NAME_SIZE];
};

struct disk_journal {
    struct disk_file files[JOURNAL_FILES];
    size_t file_count;
    struct disk_write writes[JOURNAL_WRITES];
    size_t count;
    size_t used;
    uint8_t bytes[JOURNAL_BYTES];
};

static struct disk_journal *journal;

struct disk_journal *disk_faults_journal(void)
{
    void *place = mmap(NULL, sizeof(struct disk_journal), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    journal = place == MAP_FAILED ? NULL : place;
    return journal;
}

static uint64_t id_of(int file)
{
    struct stat there;
    return fstat(file, &there) == 0 ? there.st_ino : 0;
}

/* So that the file is found again after the process has gone. */
static void note_file(int file, uint64_t id)
{
    char link[64];

    for (size_t i = 0; i < journal->file_count; i++) {
        if (journal->files[i].id == id) {
            return;
        }
    }
    assert(journal->file_count < JOURNAL_FILES);
    struct disk_file *entry = &journal->files[journal->file_count];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, entry->path, sizeof entry->path - 1);
    assert(size > 0);
    entry->path[size] = '\0';
    entry->id = id;
    journal->file_count++;
}

/* Before it is written: what was there. The entry counts from the moment that it is whole. */
static void note_write(int file, size_t size, off_t at)
{
    struct stat there;

    if (fstat(file, &there) != 0) {
        return;
    }
    note_file(file, there.st_ino);
    assert(journal->count < JOURNAL_WRITES && size <= JOURNAL_BYTES - journal->used);
    struct disk_write *entry = &journal->writes[journal->count];
    ssize_t old = pread(file, journal->bytes + journal->used, size, at);
    *entry = (struct disk_write){.id = there.st_ino,
                                 .at = at,
                                 .size = size,
                                 .size_before = there.st_size,
                                 .old_at = journal->used,
                                 .old_size = old > 0 ? (size_t)old : 0,
                                 .is_open = 1};
    journal->used += entry->old_size;
    atomic_thread_fence(memory_order_seq_cst);
    journal->count++;
}

/* All of a file that was written before is on the disk now. */
static void note_sync(int file)
{
    uint64_t id = id_of(file);
    size_t open_count = 0;

    for (size_t i = 0; i < journal->count; i++) {
        if (journal->writes[i].id == id) {
            journal->writes[i].is_open = 0;
        }
        open_count += journal->writes[i].is_open ? 1 : 0;
    }
    if (open_count == 0) {
        journal->count = 0;
        journal->used = 0;
    }
}

static void take_back(const struct disk_write *entry, const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    const uint8_t *old = journal->bytes + entry->old_at;
    struct stat there;

    if (file < 0) {
        return;
    }
    if (entry->old_size > 0) {
        (void)syscall(SYS_pwrite64, file, old, entry->old_size, entry->at);
    }
    /* Behind the old end: shorter when it was the last, else nothing but zeros. */
    off_t end = entry->at + (off_t)entry->size;
    if (end > entry->size_before && fstat(file, &there) == 0) {
        off_t first_new = entry->at + (off_t)entry->old_size;
        (void)syscall(SYS_ftruncate, file,
                      there.st_size <= end ? first_new : there.st_size);
        if (there.st_size > end) {
            static const char zeros[1 << 17];
            size_t size = (size_t)(end - first_new);
            (void)syscall(SYS_pwrite64, file, zeros,
                          size < sizeof zeros ? size : sizeof zeros, first_new);
        }
    }
    (void)close(file);
}

static const char *path_of(uint64_t id)
{
    for (size_t i = 0; i < journal->file_count; i++) {
        if (journal->files[i].id == id) {
            return journal->files[i].path;
        }
    }
    return NULL;
}

uint64_t disk_faults_cut(struct disk_journal *place, uint64_t seed)
{
    struct rc_random random;
    uint64_t lost = 0;

    journal = place;
    rc_random_init(&random, seed);
    uint64_t kept_of_four = rc_random_below(&random, 4); /* 0: nothing is kept */
    for (size_t i = journal->count; i > 0; i--) {
        const struct disk_write *entry = &journal->writes[i - 1];
        const char *path = path_of(entry->id);
        if (entry->is_open && path != NULL &&
            rc_random_below(&random, 4) >= kept_of_four) {
            take_back(entry, path);
            lost++;
        }
    }
    journal->count = journal->used = journal->file_count = 0;
    return lost;
}

static int sync_by(long call, int file)
{
    syncs++;
    if (journal != NULL && is_store_file(file)) {
        wait_us(SYNC_US); /* the cut often comes meanwhile */
        note_sync(file);
        return 0;
    }
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
    if (journal != NULL && is_store_file(file)) {
        note_write(file, size, at);
    }
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
