/* watch_question.h - what a watch looks at, and which request of the API answers it.
 *
 * Consul's types of watches (its documentation, "Watches"), and two of ours: members, and query,
 * which looks at nothing but answers Serf's queries. Shared by the command line, which asks an
 * agent, and the agent, which asks itself. Pure. */
#ifndef AGENT_WATCH_WATCH_QUESTION_H
#define AGENT_WATCH_WATCH_QUESTION_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buffer.h"

enum watch_type {
    WATCH_NODES,
    WATCH_SERVICES,
    WATCH_SERVICE,
    WATCH_CHECKS,
    WATCH_EVENT,
    WATCH_MEMBERS,
    WATCH_QUERY,
    WATCH_KEY,
    WATCH_KEY_PREFIX,
    WATCH_TYPE_COUNT
};

enum { WATCH_FAULT_MAX = 192 };

/* Strings are borrowed, NULL or "" when not given. */
struct watch_question {
    enum watch_type type;
    const char *name;        /* event, query */
    const char *service;     /* service, checks */
    const char *state;       /* checks */
    const char *key;         /* key: its name; keyprefix: the prefix */
    const char *token;       /* of the agent's watches: that of key and keyprefix */
    const char *const *tags; /* service: it must have all of them */
    size_t tag_count;
    bool passing_only; /* service */
};

const char *watch_type_name(enum watch_type type);

/* RC_OK; RC_EINVAL with words in `fault` for types that there are not, and for Consul's
 * that need what rollcall has not. */
int watch_type_parse(const char *text, enum watch_type *out, char fault[WATCH_FAULT_MAX]);

/* Whether the parts go together. RC_OK, or RC_EINVAL with Consul's words in `fault`. */
int watch_question_check(const struct watch_question *question,
                         char fault[WATCH_FAULT_MAX]);

/* Appends the request's path and parameters, escaped; not for WATCH_QUERY. */
void watch_question_target(const struct watch_question *question, struct rc_buffer *out);

/* Takes from a list of events all up to and including the one with that index, as Consul
 * does: what is left is new. Without such an event all are. */
void watch_drop_known_events(json_t *events, unsigned long long index);

#endif
