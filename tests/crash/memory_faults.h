/* memory_faults.h - an allocator that fails when it is told to: each so manieth time.
 *
 * Stands before the C library's, for SQLite too; not with a sanitizer, which has one of its own. */
#ifndef TESTS_CRASH_MEMORY_FAULTS_H
#define TESTS_CRASH_MEMORY_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* False when it cannot fail. */
bool memory_faults_can(void);

/* From now on each `nth` allocation fails, in any thread; 0: none. */
void memory_faults_set(uint64_t nth);

/* How many have failed. */
uint64_t memory_faults_count(void);

#endif
