/* serf_event.c - Serf's user events: each is delivered and spread on once. */
#include <string.h>

#include "agent/gossip/serf.h"
#include "agent/gossip/serf_ring.h"
#include "base/err.h"

void serf_event_fini(struct gossip *g)
{
    serf_ring_fini(&g->serf.events);
}

bool serf_is_name(struct rc_pack_bytes name)
{
    return name.size > 0 && memchr(name.at, '\0', name.size) == NULL;
}

void serf_tell(struct gossip *g, struct gossip_action *action, struct rc_pack_bytes name,
               struct rc_pack_bytes payload)
{
    struct rc_buffer text = {0};

    rc_buffer_append(&text, name.at, name.size);
    action->name = rc_buffer_string(&text);
    action->bytes = payload.at;
    action->size = payload.size;
    gossip_tell(g, action);
    rc_buffer_fini(&text);
}

void serf_spread(struct gossip *g, enum gossip_queue queue, enum wire_serf_type type,
                 const struct wire_format *format, const void *message)
{
    rc_buffer_clear(&g->message);
    wire_write_serf(type, format, message, &g->message);
    if (g->message.err != RC_OK ||
        broadcast_add(&g->queues[queue], (struct rc_pack_bytes){NULL, 0},
                      (struct rc_pack_bytes){g->message.bytes, g->message.size},
                      NULL) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_BIG);
    }
}

void serf_on_event(struct gossip *g, const struct wire_event *event,
                   enum serf_source source)
{
    const struct serf_item item = {
        .ltime = event->ltime, .name = event->name, .payload = event->payload};
    struct gossip_action action = {.type = GOSSIP_USER_EVENT,
                                   .ltime = event->ltime,
                                   .coalesce =
                                       event->coalesce ? GOSSIP_COALESCE : GOSSIP_EACH};

    if (!serf_is_name(event->name) || event->ltime > SERF_LTIME_MAX) {
        gossip_refuse(g, GOSSIP_REFUSED_NAME);
        return;
    }
    serf_witness(g, GOSSIP_CLOCK_EVENT, event->ltime);
    if (event->ltime < g->serf.event_min ||
        !serf_ring_add(g, &g->serf.events, GOSSIP_CLOCK_EVENT, &item)) {
        return;
    }
    if (source == SERF_FROM_PACKET) {
        serf_spread(g, QUEUE_EVENTS, WIRE_SERF_EVENT, &wire_format_event, event);
    }
    serf_tell(g, &action, event->name, event->payload);
}

int gossip_user_event(struct gossip *g, uint64_t now_ns, const char *name,
                      const uint8_t *payload, size_t size, enum gossip_coalesce coalesce)
{
    struct wire_event event = {.name = rc_pack_text(name),
                               .payload = {payload, size},
                               .coalesce = coalesce == GOSSIP_COALESCE};
    struct rc_buffer message = {0};

    if (event.name.size == 0) {
        return RC_EINVAL;
    }
    if (g->leave.stage != LEAVE_NOT) {
        return RC_ECLOSED;
    }
    if (event.name.size + size > GOSSIP_EVENT_SIZE_MAX) {
        return RC_ETOOBIG;
    }
    g->now_ns = now_ns > g->now_ns ? now_ns : g->now_ns;
    event.ltime = g->serf.clocks[GOSSIP_CLOCK_EVENT];
    rc_buffer_byte(&message, WIRE_SERF_EVENT);
    wire_write(&wire_format_event, &event, &message);
    int err = message.err;
    if (err == RC_OK && message.size > GOSSIP_EVENT_SIZE_MAX) {
        err = RC_ETOOBIG;
    }
    rc_buffer_fini(&message);
    if (err == RC_OK) {
        (void)serf_use_time(g, GOSSIP_CLOCK_EVENT);
        serf_on_event(g, &event, SERF_FROM_PACKET);
    }
    return err;
}

/* ---- In a push/pull. */

/* One slot of the ring as Serf's state has it; empty slots are simply left out. */
static void write_slot(const struct serf_slot *slot, struct rc_buffer *out)
{
    struct rc_buffer items = {0};
    struct wire_event_slot wire = {.ltime = slot->ltime};

    rc_pack_write_array(&items, slot->count);
    for (const struct serf_seen *seen = slot->seen; seen != NULL; seen = seen->next) {
        const struct wire_event_item item = {
            .name = {seen->bytes, seen->name_size},
            .payload = {seen->has_payload ? seen->bytes + seen->name_size : NULL,
                        seen->payload_size},
        };
        wire_write(&wire_format_event_item, &item, &items);
    }
    wire.raw_events = (struct rc_pack_bytes){items.bytes, items.size};
    wire_write(&wire_format_event_slot, &wire, out);
    if (items.err != RC_OK) {
        out->err = items.err;
    }
    rc_buffer_fini(&items);
}

void serf_write_events(const struct gossip *g, struct rc_buffer *out)
{
    const struct serf_slot *slots = g->serf.events.slots;
    size_t count = 0;

    for (size_t i = 0; slots != NULL && i < SERF_RING_SIZE; i++) {
        count += slots[i].count > 0;
    }
    rc_pack_write_array(out, count);
    for (size_t i = 0; slots != NULL && i < SERF_RING_SIZE; i++) {
        if (slots[i].count > 0) {
            write_slot(&slots[i], out);
        }
    }
}

static void merge_slot(struct gossip *g, const struct wire_event_slot *slot)
{
    struct rc_cursor in = rc_cursor_over(slot->raw_events.at, slot->raw_events.size);
    uint32_t count = rc_pack_read_array(&in);

    for (uint32_t i = 0; i < count; i++) {
        struct wire_event_item item;
        if (wire_read(&wire_format_event_item, &in, &item) != RC_OK) {
            return;
        }
        const struct wire_event event = {
            .ltime = slot->ltime, .name = item.name, .payload = item.payload};
        serf_on_event(g, &event, SERF_FROM_STATE);
    }
}

void serf_merge_events(struct gossip *g, struct rc_pack_bytes raw)
{
    struct rc_cursor in = rc_cursor_over(raw.at, raw.size);
    uint32_t count = rc_pack_read_array(&in);

    for (uint32_t i = 0; i < count && in.err == RC_OK; i++) {
        struct wire_event_slot slot;
        if (wire_read(&wire_format_event_slot, &in, &slot) == RC_OK &&
            slot.raw_events.size > 0) {
            merge_slot(g, &slot);
        }
    }
}
