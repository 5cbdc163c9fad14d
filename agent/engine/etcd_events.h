/* etcd_events.h - the events of one revision, kept until the whole of it has come.
 *
 * A watch may split a revision over several messages; its follower is told each at once. */
#ifndef AGENT_ENGINE_ETCD_EVENTS_H
#define AGENT_ENGINE_ETCD_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/store/engine.h"
#include "base/buffer.h"

enum etcd_event_kind { ETCD_EVENT_PUT, ETCD_EVENT_REMOVED };

struct etcd_event {
    enum etcd_event_kind kind;
    struct engine_item item; /* its bytes are copied: see `at` */
    size_t at;               /* where its key is in `bytes`; the value follows */
};

struct etcd_events {
    struct etcd_event *items; /* owned */
    size_t count;
    size_t capacity;
    struct rc_buffer bytes;
};

void etcd_events_fini(struct etcd_events *events);
void etcd_events_clear(struct etcd_events *events);

/* Copies the item. RC_OK or RC_ENOMEM. */
int etcd_events_add(struct etcd_events *events, enum etcd_event_kind kind,
                    const struct engine_item *item);

/* Tells all and forgets them. */
void etcd_events_tell(struct etcd_events *events, const struct engine_follower *to);

#endif
