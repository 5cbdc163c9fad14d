/* etcd_events.c - keeping and telling events. */
#include "agent/engine/etcd_events.h"

#include <stdlib.h>

#include "base/err.h"

enum { EVENTS_FIRST = 16 };

void etcd_events_fini(struct etcd_events *events)
{
    free(events->items);
    rc_buffer_fini(&events->bytes);
    *events = (struct etcd_events){0};
}

void etcd_events_clear(struct etcd_events *events)
{
    events->count = 0;
    rc_buffer_clear(&events->bytes);
}

int etcd_events_add(struct etcd_events *events, enum etcd_event_kind kind,
                    const struct engine_item *item)
{
    if (events->count == events->capacity) {
        size_t capacity = events->capacity == 0 ? EVENTS_FIRST : events->capacity * 2;
        struct etcd_event *items =
            reallocarray(events->items, capacity, sizeof *events->items);
        if (items == NULL) {
            return RC_ENOMEM;
        }
        events->items = items;
        events->capacity = capacity;
    }
    struct etcd_event *event = &events->items[events->count];
    *event = (struct etcd_event){.kind = kind, .item = *item, .at = events->bytes.size};
    rc_buffer_append(&events->bytes, item->key.at, item->key.size);
    rc_buffer_append(&events->bytes, item->value.at, item->value.size);
    if (events->bytes.err != RC_OK) {
        return RC_ENOMEM;
    }
    events->count++;
    return RC_OK;
}

void etcd_events_tell(struct etcd_events *events, const struct engine_follower *to)
{
    for (size_t i = 0; i < events->count; i++) {
        struct engine_item *item = &events->items[i].item;
        item->key.at = events->bytes.bytes + events->items[i].at;
        item->value.at = item->key.at + item->key.size;
        if (events->items[i].kind == ETCD_EVENT_PUT) {
            to->put(to->context, item);
        } else {
            to->removed(to->context, item->key, item->mod_revision);
        }
    }
    etcd_events_clear(events);
}
