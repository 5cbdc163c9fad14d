#include "tests/crash/memory_faults.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OTHER_ALLOCATOR
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OTHER_ALLOCATOR
#endif

static _Atomic uint64_t every;
static _Atomic uint64_t failed;

void memory_faults_set(uint64_t nth)
{
    every = nth;
}

uint64_t memory_faults_count(void)
{
    return failed;
}

#ifdef HAS_OTHER_ALLOCATOR

bool memory_faults_can(void)
{
    return false;
}

#else

bool memory_faults_can(void)
{
    return true;
}

/* glibc's own, under the names that it keeps for this.
 * NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);

static _Atomic uint64_t asked;

static bool fails(void)
{
    uint64_t nth = every;

    if (nth == 0 || ++asked % nth != 0) {
        return false;
    }
    failed++;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

#endif
