/* bound_sessions.h - which sessions end because of what the catalog says.
 *
 * A session hangs on its node's and services' checks, as it was made. A check that is critical
 * ends it at once: its own agent says so. That a node has failed is what others think, and a check
 * or node that is missing may be on its way: those end it only after a stated time. A
 * session with a TTL and without checks hangs on its holder alone, whatever gossip says. Pure.
 *
 * Rules: Consul's "Sessions", with the waiting time ours. */
#ifndef AGENT_BOUND_SESSIONS_H
#define AGENT_BOUND_SESSIONS_H

#include <stdint.h>

struct bound_sessions;
struct catalog;
struct store;

struct bound_sessions_options {
    const struct catalog *catalog; /* borrowed, like the store */
    const struct store *store;
    uint64_t node_timeout_ms;
    uint64_t seed;
    void (*end)(void *context, const char *id, const char *why); /* both borrowed */
    void *context;
};

/* NULL when memory is out. */
struct bound_sessions *
bound_sessions_create(const struct bound_sessions_options *options);
void bound_sessions_destroy(struct bound_sessions *bound); /* NULL is allowed */

/* Looks at all sessions, and asks to end those that must; one that is still there a few
 * seconds later is asked for again. Returns when to look again at the latest, UINT64_MAX: when
 * the catalog has changed. */
uint64_t bound_sessions_step(struct bound_sessions *bound, uint64_t now_ms);

#endif
