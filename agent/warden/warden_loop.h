/* warden_loop.h - the warden as a program: `rollcall warden`.
 *
 * Parent and subreaper of the postmaster, one loop over poll(2), memory locked, nothing allocated
 * and nothing looked up once it turns; it writes to its log only while no server runs, so that
 * a full or stalled disk cannot hold it. Whoever connects last is the keeper. Without a keeper and
 * without a server it ends after a while; with a server it stays. */
#ifndef AGENT_WARDEN_WARDEN_LOOP_H
#define AGENT_WARDEN_WARDEN_LOOP_H

#include "agent/warden/launch.h"

struct warden_options {
    const char *socket;   /* path */
    const char *user;     /* whom PostgreSQL belongs to; "": ourselves */
    const char *watchdog; /* device; "": none */
    const char
        *cgroup; /* a folder of cgroup v2 for PostgreSQL, made if missing; "": none */
};

/* Turns until it is told to end. Returns the exit status; trouble at the start is told on
 * stderr. */
int warden_run(const struct warden_options *options);

/* The command line behind "warden". */
int warden_main(int count, char **words, const char *usage);

#endif
