/* stale_lock.h - is the lock in a data folder held by a postmaster that is dead?
 *
 * PostgreSQL takes the process that its lock files name for alive as long as kill(pid, 0) finds
 * it, and refuses to start. A zombie is found too, and where nobody collects orphans (containers
 * whose first process waits for nobody) it is found for ever. */
#ifndef AGENT_WARDEN_STALE_LOCK_H
#define AGENT_WARDEN_STALE_LOCK_H

#include <sys/types.h>

/* If postmaster.pid in the working folder names a zombie, it names `parent` from now on, and the
 * lock of its socket is gone. `parent` is the process that starts PostgreSQL next: a lock that
 * names its own parent is stale for PostgreSQL (CreateLockFile() in miscinit.c), which then
 * looks for sessions that outlived the postmaster, as it does after any crash. Otherwise, and
 * when files cannot be read or written, nothing is changed. Call it as the folder's owner. */
void stale_lock_take_over(pid_t parent);

#endif
