/* event_log.h - the last user events that were for this agent, oldest first.
 *
 * Consul keeps 256 (GET /v1/event/list). All in memory; an event is at most about a
 * kilobyte. Pure. */
#ifndef AGENT_EVENT_EVENT_LOG_H
#define AGENT_EVENT_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "agent/event/user_event.h"

enum { EVENT_LOG_MAX = 256 };

struct event_log;

struct event_log *event_log_create(void); /* NULL when memory is out */
void event_log_destroy(struct event_log *log);

/* Keeps a copy; the oldest gives way. RC_OK or RC_ENOMEM (it is lost). */
int event_log_add(struct event_log *log, const struct user_event *event);

size_t event_log_count(const struct event_log *log);

/* Number `i`, 0 is the oldest; borrowed until the next event_log_add(). */
const struct user_event *event_log_at(const struct event_log *log, size_t i);

#endif
