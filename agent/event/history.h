/* history.h - what has changed in the pool lately, as this agent saw it, oldest first.
 *
 * Told by the catalog, gossip, the keeper and the store as it happens; kept in memory only, so
 * it begins anew with the agent. Bounded three ways: by number, by bytes and by age. What is rare
 * and matters most (who came and went, who leads) has room of its own: a check that flips all
 * day pushes out other checks' changes, but not the last failover. Adding copies into memory that
 * is there already. Pure: time comes in. */
#ifndef AGENT_EVENT_HISTORY_H
#define AGENT_EVENT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HISTORY_MAX =
        4096, /* events, of which HISTORY_RARE_MAX are kept for the rare kinds */
    HISTORY_RARE_MAX = 1024,
    HISTORY_BYTES_MAX = 768 * 1024, /* of their texts */
    HISTORY_AGE_MAX_MS = 24 * 3600 * 1000,
    HISTORY_TEXT_MAX = 255, /* of each text, in bytes: longer ones are cut */
};

enum history_kind {
    HISTORY_CHECK, /* went from one status to another */
    HISTORY_REGISTER,
    HISTORY_DEREGISTER,
    HISTORY_JOIN, /* the first of the rare kinds */
    HISTORY_LEAVE,
    HISTORY_FAILED,
    HISTORY_REAP,
    HISTORY_PROMOTION,
    HISTORY_LEADER,
    HISTORY_MAINTENANCE,
    HISTORY_RESTART, /* a service that was restarted, or not */
    HISTORY_KIND_COUNT
};

/* All texts may be NULL when they are given, and are "" when they are read. */
struct history_event {
    uint64_t index; /* larger than that of the event before; not read by history_add() */
    uint64_t at_ms; /* since 1970 */
    enum history_kind kind;
    const char *node;
    const char *service; /* its name, */
    const char *service_id;
    const char *check; /* id */
    const char *from;  /* "passing", a node's name, ... as the kind wants it */
    const char *to;
    const char *text; /* for people */
};

struct history;

/* `index`: what the first event's must exceed, such as the time in ms, so that indexes grow over
 * restarts too. NULL when memory is out. */
struct history *history_create(uint64_t index);
void history_destroy(struct history *history); /* NULL is allowed */

/* Keeps a copy; what is too old, and the oldest of its like where room is short, gives way. */
void history_add(struct history *history, const struct history_event *event);

/* Of the newest event; what history_create() was given when there was none yet. */
uint64_t history_index(const struct history *history);

/* How many there were of a kind, since the start. */
uint64_t history_count(const struct history *history, enum history_kind kind);

/* Walks through all that are younger than HISTORY_AGE_MAX_MS, oldest first: start with a zeroed
 * walk. Texts are borrowed until the next history_add(). False at the end. */
struct history_walk {
    size_t at[2];
};
bool history_next(const struct history *history, uint64_t now_ms,
                  struct history_walk *walk, struct history_event *out);

const char *history_kind_name(enum history_kind kind); /* "check", "join", ... */
/* RC_OK or RC_ENOTFOUND. */
int history_kind_parse(const char *name, enum history_kind *out);

#endif
