/* user_event.h - a user event: what somebody fired, for whom, and how it travels.
 *
 * Consul's users name an event, give it a payload and say by regular expressions whom it is
 * for (node, service, tag); Serf's users name it and give it a payload. Both meet in one pool,
 * so ours travel as plain Serf events under the name the user gave, and nothing is made of
 * Consul's own form (`consul:event:NAME`, a MessagePack body), which would tell a Serf handler
 * nothing:
 *
 *  - without filters the payload goes as it is. A real serf sees exactly what was fired, and
 *    what a real serf fires is an event here;
 *  - filters, if any, go behind the payload in a trailer that ends with its own sizes and a
 *    magic, so they are taken off from the end, whatever the payload holds. A real serf,
 *    which knows no filters, sees them as the end of the payload;
 *  - the ID does not travel: it is made from what names an event in Serf's own eyes (Lamport
 *    time, name, payload), so every agent finds the same one, for events of real serfs too.
 *    (A pool that starts from nothing, clocks included, may make an ID again.)
 *
 *    payload, node, service, tag, 3 x u16 (sizes, big-endian), NUL "rollcall:1"
 *
 * Pure; bounded by Serf's 512 bytes an event. */
#ifndef AGENT_EVENT_USER_EVENT_H
#define AGENT_EVENT_USER_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    USER_EVENT_SIZE_MAX = 512, /* name and what travels as payload: Serf's limit */
    USER_EVENT_VERSION = 1,    /* Consul's */
    USER_EVENT_ID_SIZE = 37,
    USER_EVENT_FAULT_MAX = 256,
};

/* Strings are never NULL ("" when not given) and borrowed. */
struct user_event {
    const char *name;
    const uint8_t *payload;
    size_t size;
    const char *node_filter; /* regular expressions (base/pattern.h), searched for */
    const char *service_filter;
    const char *tag_filter;
    uint64_t ltime;
    char id[USER_EVENT_ID_SIZE];
};

/* Whether it may be fired. RC_OK, or RC_EINVAL with Consul's words in `fault`. */
int user_event_check(const struct user_event *event, char fault[USER_EVENT_FAULT_MAX]);

/* Appends what travels as the payload. RC_OK, RC_ETOOBIG (more than Serf takes) or RC_ENOMEM. */
int user_event_pack(const struct user_event *event, struct rc_buffer *out);

/* The other way: the event of this name and Lamport time whose payload travelled as `bytes`. A
 * trailer that is not ours is payload. `space` keeps the filters; `out` borrows all three. */
struct user_event_space {
    char text[USER_EVENT_SIZE_MAX + 3];
};
void user_event_read(const char *name, uint64_t ltime, const uint8_t *bytes, size_t size,
                     struct user_event_space *space, struct user_event *out);

/* The ID of an event whose payload travels as `bytes`. */
void user_event_id(const char *name, uint64_t ltime, const uint8_t *bytes, size_t size,
                   char out[USER_EVENT_ID_SIZE]);

/* Consul's index of an event: the two halves of its ID, one XOR the other. 0 if `id` is none. */
uint64_t user_event_index(const char *id);

/* A service of this node, for filters. */
struct user_event_service {
    const char *name;
    const char *const *tags;
    size_t tag_count;
};

/* Whom an event is for is asked of a node by its name and its services. */
struct user_event_node {
    const char *name;
    /* The next service, as rc_table_next(). False at the end. */
    bool (*next_service)(void *context, size_t *position, struct user_event_service *out);
    void *context;
};

/* True if the filters fit the node; a filter that is no expression fits nothing. */
bool user_event_is_for(const struct user_event *event,
                       const struct user_event_node *node);

#endif
