/* target_uv.h - a connection to "host:port", whichever of its addresses takes it.
 *
 * Names are looked up in libuv's thread pool; every address is tried in turn. For tcp_uv.c and
 * redis_uv.c; dial_uv.h is the part that knows one address. */
#ifndef AGENT_CHECKS_TARGET_UV_H
#define AGENT_CHECKS_TARGET_UV_H

#include "agent/checks/dial_uv.h"

enum { TARGET_NAME_MAX = 300 };

/* Embedded in a run; zeroed, then the loop and the three calls are set. */
struct target {
    struct dial dial; /* its `data` of uv handles is the dial; loop is set by the owner */

    /* Connected: target->dial.socket is ready. */
    void (*on_connected)(struct target *target);
    /* No address took it; `reason` is one line, borrowed. Neither follows target_end(). */
    void (*on_failed)(struct target *target, const char *reason);
    /* After target_end(), once libuv has let go of everything. */
    void (*on_free)(struct target *target);

    char name[TARGET_NAME_MAX];   /* as given, cut */
    char reason[TARGET_NAME_MAX]; /* why the last address failed */
    uv_getaddrinfo_t lookup;
    struct addrinfo *addresses; /* of the lookup; owned */
    const struct addrinfo *next;
};

/* Begins; on_connected() or on_failed() follows, maybe from inside. */
void target_connect(struct target *target, const char *name);

/* on_free() follows, maybe at once. */
void target_end(struct target *target);

#endif
