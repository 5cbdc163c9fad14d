/* sqlite_engine.h - the store's truth in one SQLite database of this server.
 *
 * A folder of its own (0700) with store.db, its write-ahead log and a lock file (0600 each); no
 * two processes have it open at once. All SQL runs on one thread. What arrives while a commit is
 * being synced goes into the next one together, and is answered after that one's fsync: WAL,
 * synchronous=FULL.
 *
 * Leases run by the monotonic clock and end in the commit that deletes their keys. After
 * a restart each has its whole time again.
 *
 * A full or failing disk: writes are refused (RC_ENOSPC, RC_EIO) and nothing that was answered is
 * lost; the status has an alarm; it tries by itself every second and goes on when it can. After
 * an fsync that failed nobody knows what is on the disk: that commit is answered RC_EUNKNOWN, the
 * database is closed, the kernel's cached pages of it are dropped, and it is opened and checked
 * anew; the follower begins anew too. */
#ifndef AGENT_ENGINE_SQLITE_ENGINE_H
#define AGENT_ENGINE_SQLITE_ENGINE_H

#include "agent/store/engine.h"

struct uv_loop_s;

struct sqlite_engine_options {
    struct uv_loop_s *loop; /* borrowed; answers and the follower are called on it */
    const char *folder;     /* made if it is not there; copied */
    const char *name;       /* of this server, for the status; copied; NULL: "" */
};

/* Opens the store in `folder`, making it when there is none, checks it when it was not closed
 * properly, and starts its thread. Blocks; only for starting. It ends by the class's close().
 *
 * RC_OK with `*out`, else `error` has one line that says what to do: RC_ENOTFOUND (libsqlite3 is
 * not installed), RC_EEXISTS (another process has it open), RC_EMALFORMED (damaged; nothing was
 * overwritten), RC_EUNSUPPORTED (of a newer version), RC_EDENIED, RC_ENOSPC, RC_EIO, RC_ENOMEM; and the loop has
 * handles to close in its next turn. */
int sqlite_engine_open(const struct sqlite_engine_options *options, struct engine **out,
                       char error[ENGINE_ERROR_MAX]);

#endif
