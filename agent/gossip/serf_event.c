/* serf_event.c - Serf's user events and queries: each is delivered and spread on once. */
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/carrier.h"
#include "agent/gossip/serf.h"
#include "base/err.h"

enum { FILTERS_MAX = 64, FILTER_NODES = 0, FILTER_TAG = 1 };

static void clear_slot(struct serf_ring *ring, struct serf_slot *slot)
{
    while (slot->seen != NULL) {
        struct serf_seen *seen = slot->seen;
        slot->seen = seen->next;
        ring->bytes -= sizeof *seen + seen->name_size + seen->payload_size;
        free(seen);
    }
    slot->count = 0;
}

static void free_ring(struct serf_ring *ring)
{
    for (size_t i = 0; ring->slots != NULL && i < SERF_RING_SIZE; i++) {
        clear_slot(ring, &ring->slots[i]);
    }
    free(ring->slots);
    ring->slots = NULL;
}

void serf_event_fini(struct gossip *g)
{
    free_ring(&g->serf.events);
    free_ring(&g->serf.queries);
}

static bool is_seen(const struct serf_slot *slot, uint32_t id, struct rc_pack_bytes name,
                    struct rc_pack_bytes payload)
{
    for (const struct serf_seen *seen = slot->seen; seen != NULL; seen = seen->next) {
        struct rc_pack_bytes its_name = {seen->bytes, seen->name_size};
        struct rc_pack_bytes its_payload = {seen->bytes + seen->name_size,
                                            seen->payload_size};
        if (seen->id == id && rc_pack_equals(its_name, name) &&
            rc_pack_equals(its_payload, payload)) {
            return true;
        }
    }
    return false;
}

static bool keep(struct serf_ring *ring, struct serf_slot *slot, uint32_t id,
                 struct rc_pack_bytes name, struct rc_pack_bytes payload)
{
    struct serf_seen *seen = malloc(sizeof *seen + name.size + payload.size);

    if (seen == NULL) {
        return false;
    }
    *seen = (struct serf_seen){.next = slot->seen,
                               .id = id,
                               .name_size = name.size,
                               .payload_size = payload.size,
                               .has_payload = payload.at != NULL};
    if (name.at != NULL) {
        memcpy(seen->bytes, name.at, name.size);
    }
    if (payload.at != NULL) {
        memcpy(seen->bytes + name.size, payload.at, payload.size);
    }
    slot->seen = seen;
    slot->count++;
    ring->bytes += sizeof *seen + name.size + payload.size;
    return true;
}

/* The slot of a Lamport time that is neither too old nor full; NULL otherwise. */
static struct serf_slot *slot_of(struct gossip *g, struct serf_ring *ring,
                                 enum serf_clock clock, uint64_t ltime)
{
    uint64_t now = g->serf.clocks[clock];

    if (now > SERF_RING_SIZE && ltime < now - SERF_RING_SIZE) {
        return NULL;
    }
    if (ring->slots == NULL) {
        ring->slots = calloc(SERF_RING_SIZE, sizeof *ring->slots);
    }
    if (ring->slots == NULL) {
        return NULL;
    }
    struct serf_slot *slot = &ring->slots[ltime % SERF_RING_SIZE];
    if (slot->ltime != ltime) {
        clear_slot(ring, slot);
        slot->ltime = ltime;
    }
    if (slot->count >= SERF_SLOT_MAX || ring->bytes > SERF_RING_BYTES_MAX) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        return NULL;
    }
    return slot;
}

static void spread_on(struct gossip *g, enum gossip_queue queue,
                      struct rc_pack_bytes message)
{
    rc_buffer_clear(&g->message);
    rc_buffer_byte(&g->message, WIRE_USER);
    rc_buffer_append(&g->message, message.at, message.size);
    if (g->message.err != RC_OK ||
        broadcast_add(&g->queues[queue], (struct rc_pack_bytes){NULL, 0},
                      (struct rc_pack_bytes){g->message.bytes, g->message.size},
                      NULL) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_BIG);
    }
}

static void tell(struct gossip *g, struct gossip_action *action,
                 struct rc_pack_bytes name, struct rc_pack_bytes payload)
{
    struct rc_buffer text = {0};

    rc_buffer_append(&text, name.at, name.size);
    action->name = rc_buffer_string(&text);
    action->bytes = payload.at;
    action->size = payload.size;
    gossip_tell(g, action);
    rc_buffer_fini(&text);
}

static bool is_name(struct rc_pack_bytes name)
{
    return name.size > 0 && memchr(name.at, '\0', name.size) == NULL;
}

/* ---- User events. */

void serf_on_event(struct gossip *g, const struct wire_event *event,
                   struct rc_pack_bytes message, enum serf_source source)
{
    struct gossip_action action = {.type = GOSSIP_USER_EVENT,
                                   .ltime = event->ltime,
                                   .coalesce =
                                       event->coalesce ? GOSSIP_COALESCE : GOSSIP_EACH};

    if (!is_name(event->name)) {
        gossip_refuse(g, GOSSIP_REFUSED_NAME);
        return;
    }
    serf_witness(g, CLOCK_EVENT, event->ltime);
    struct serf_slot *slot = slot_of(g, &g->serf.events, CLOCK_EVENT, event->ltime);
    if (slot == NULL || is_seen(slot, 0, event->name, event->payload) ||
        !keep(&g->serf.events, slot, 0, event->name, event->payload)) {
        return;
    }
    if (source == SERF_FROM_PACKET) {
        spread_on(g, QUEUE_EVENTS, message);
    }
    tell(g, &action, event->name, event->payload);
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
    if (event.name.size + size > GOSSIP_EVENT_SIZE_MAX) {
        return RC_ETOOBIG;
    }
    g->now_ns = now_ns > g->now_ns ? now_ns : g->now_ns;
    event.ltime = serf_use_time(g, CLOCK_EVENT);
    rc_buffer_byte(&message, WIRE_SERF_EVENT);
    wire_write(&wire_format_event, &event, &message);
    int err = message.err;
    if (err == RC_OK && message.size > GOSSIP_EVENT_SIZE_MAX) {
        err = RC_ETOOBIG;
    }
    if (err == RC_OK) {
        serf_on_event(g, &event, (struct rc_pack_bytes){message.bytes, message.size},
                      SERF_FROM_PACKET);
    }
    rc_buffer_fini(&message);
    return err;
}

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
        serf_on_event(g, &event, (struct rc_pack_bytes){NULL, 0}, SERF_FROM_STATE);
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

/* ---- Queries. */

static bool names_us(const struct gossip *g, struct rc_cursor *in)
{
    uint32_t count = rc_pack_read_array(in);

    for (uint32_t i = 0; i < count && in->err == RC_OK; i++) {
        if (rc_pack_equals(rc_pack_read_bytes(in), gossip_own_name(g)) &&
            in->err == RC_OK) {
            return true;
        }
    }
    return false;
}

/* Expressions are RE2's in Serf. Plain text with or without anchors is understood here, and
 * ".*"; everything else matches nothing, which is the safe side. */
static bool matches(struct rc_pack_bytes expression, const char *value)
{
    const char *text = (const char *)expression.at;
    size_t size = expression.size;
    size_t length = strlen(value);

    bool at_start = size > 0 && text[0] == '^';
    bool at_end = size > (size_t)at_start && text[size - 1] == '$';
    text += at_start;
    size -= (size_t)at_start + at_end;
    if (size == 2 && memcmp(text, ".*", 2) == 0) {
        return true;
    }
    for (size_t i = 0; i < size; i++) {
        if (strchr("\\.+*?()|[]{}^$", text[i]) != NULL) {
            return false;
        }
    }
    if (size > length || (at_start && at_end && size != length)) {
        return false;
    }
    if (at_start || at_end) {
        return memcmp(value + (at_start ? 0 : length - size), text, size) == 0;
    }
    return size == 0 || memmem(value, length, text, size) != NULL;
}

static bool fits_tag(const struct gossip *g, struct rc_cursor *in)
{
    struct wire_filter_tag filter;

    if (wire_read(&wire_format_filter_tag, in, &filter) != RC_OK) {
        return false;
    }
    const struct gossip_member *self = &g->self->view;
    for (size_t i = 0; i < self->tag_count; i++) {
        if (rc_pack_equals(rc_pack_text(self->tags[i].key), filter.tag)) {
            return matches(filter.expression, self->tags[i].value);
        }
    }
    return matches(filter.expression, "");
}

/* RC_OK: it is for us; RC_ENOTFOUND: not for us; RC_EMALFORMED: must not even be spread on,
 * because an empty filter crashes Serf. */
static int check_filters(const struct gossip *g, struct rc_pack_bytes raw)
{
    struct rc_cursor in = rc_cursor_over(raw.at, raw.size);
    uint32_t count = raw.size == 0 ? 0 : rc_pack_read_array(&in);
    int verdict = RC_OK;

    if (count > FILTERS_MAX) {
        return RC_EMALFORMED;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct rc_pack_bytes filter = rc_pack_read_bytes(&in);
        struct rc_cursor body = rc_cursor_over(filter.at, filter.size);
        if (in.err != RC_OK || filter.size == 0) {
            return RC_EMALFORMED;
        }
        uint8_t type = rc_cursor_u8(&body);
        bool fits = (type == FILTER_NODES && names_us(g, &body)) ||
                    (type == FILTER_TAG && fits_tag(g, &body));
        if (!fits) {
            verdict = RC_ENOTFOUND;
        }
    }
    return verdict;
}

static void respond(struct gossip *g, const struct wire_query *query, uint32_t flags,
                    struct rc_pack_bytes payload)
{
    const struct wire_response response = {
        .ltime = query->ltime,
        .id = query->id,
        .from = gossip_own_name(g),
        .flags = flags,
        .payload = payload,
    };
    struct rc_address address;

    if (gossip_read_address(g, query->address, query->port, &address) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_ADDRESS);
        return;
    }
    const struct carrier_to to = {&address, NULL, CARRIER_ALONE};
    rc_buffer_clear(&g->message);
    wire_write_serf(WIRE_SERF_RESPONSE, &wire_format_response, &response, &g->message);
    struct rc_pack_bytes message = {g->message.bytes, g->message.size};
    if (g->message.err == RC_OK) {
        (void)carrier_send(g, &to, &message, 1);
    }
}

/* Somebody asks where the member of that name is: two use it. All but the one named answer. */
static void answer_conflict(struct gossip *g, const struct wire_query *query)
{
    const struct member *member = roster_find(&g->roster, query->payload);
    struct rc_buffer payload = {0};
    struct rc_buffer tags = {0};

    if (member == g->self || member == NULL || member->serf == SERF_NONE) {
        return;
    }
    struct wire_conflict conflict = {
        .name = rc_pack_text(member->name),
        .address = gossip_ip_bytes(&member->view.address),
        .port = member->view.address.port,
        .status =
            (uint8_t)member->serf, /* Serf's numbers: alive 1, leaving, left, failed */
    };
    rc_pack_write_map(&tags, member->view.tag_count);
    for (size_t i = 0; i < member->view.tag_count; i++) {
        rc_pack_write_text(&tags, member->view.tags[i].key);
        rc_pack_write_text(&tags, member->view.tags[i].value);
    }
    conflict.raw_tags = (struct rc_pack_bytes){tags.bytes, tags.size};
    memcpy(conflict.versions, member->view.versions, WIRE_VERSIONS_SIZE);
    rc_buffer_byte(&payload, WIRE_SERF_CONFLICT);
    wire_write(&wire_format_conflict, &conflict, &payload);
    if (payload.err == RC_OK && tags.err == RC_OK) {
        respond(g, query, 0, (struct rc_pack_bytes){payload.bytes, payload.size});
    }
    rc_buffer_fini(&payload);
    rc_buffer_fini(&tags);
}

static bool is_internal(struct rc_pack_bytes name)
{
    return name.size >= 6 && memcmp(name.at, "_serf_", 6) == 0;
}

static bool is_dangerous(const struct wire_query *query)
{
    /* Key queries without a payload crash Serf; we never pass one on. */
    return is_internal(query->name) && query->payload.size == 0 &&
           !rc_pack_equals(query->name, rc_pack_text("_serf_ping")) &&
           !rc_pack_equals(query->name, rc_pack_text("_serf_list-keys"));
}

static void serve_query(struct gossip *g, const struct wire_query *query)
{
    struct gossip_action action = {
        .type = GOSSIP_QUERY, .ltime = query->ltime, .id = query->id};

    if ((query->flags & WIRE_QUERY_ACK) != 0) {
        respond(g, query, WIRE_RESPONSE_ACK, (struct rc_pack_bytes){NULL, 0});
    }
    if (!is_internal(query->name)) {
        tell(g, &action, query->name, query->payload);
    } else if (rc_pack_equals(query->name, rc_pack_text("_serf_conflict"))) {
        answer_conflict(g, query);
    }
}

void serf_on_query(struct gossip *g, const struct wire_query *query,
                   struct rc_pack_bytes message)
{
    int verdict = check_filters(g, query->raw_filters);

    if (!is_name(query->name) || verdict == RC_EMALFORMED || is_dangerous(query)) {
        gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
        return;
    }
    serf_witness(g, CLOCK_QUERY, query->ltime);
    struct serf_slot *slot = slot_of(g, &g->serf.queries, CLOCK_QUERY, query->ltime);
    struct rc_pack_bytes none = {NULL, 0};
    if (slot == NULL || is_seen(slot, query->id, none, none) ||
        !keep(&g->serf.queries, slot, query->id, none, none)) {
        return;
    }
    if ((query->flags & WIRE_QUERY_NO_BROADCAST) == 0) {
        spread_on(g, QUEUE_QUERIES, message);
    }
    if (verdict == RC_OK) {
        serve_query(g, query);
    }
}

/* Somebody could not reach the asker directly: we pass its answer on, if it is one. */
void serf_on_relay(struct gossip *g, struct rc_cursor *in)
{
    struct wire_relay relay;
    struct wire_udp_address wire;
    struct wire_response response;
    struct rc_address address;

    if (wire_read(&wire_format_relay, in, &relay) != RC_OK) {
        return;
    }
    struct rc_cursor nested =
        rc_cursor_over(relay.raw_address.at, relay.raw_address.size);
    if (wire_read(&wire_format_udp_address, &nested, &wire) != RC_OK ||
        gossip_read_address(g, wire.ip, wire.port, &address) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_ADDRESS);
        return;
    }
    if (rc_cursor_u8(in) != WIRE_SERF_RESPONSE ||
        wire_read(&wire_format_response, in, &response) != RC_OK) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return;
    }
    const struct carrier_to to = {&address, NULL, CARRIER_ALONE};
    rc_buffer_clear(&g->message);
    wire_write_serf(WIRE_SERF_RESPONSE, &wire_format_response, &response, &g->message);
    struct rc_pack_bytes message = {g->message.bytes, g->message.size};
    if (g->message.err == RC_OK) {
        (void)carrier_send(g, &to, &message, 1);
    }
}
