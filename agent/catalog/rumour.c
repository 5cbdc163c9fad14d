/* Rumours: what changed lately, told to whoever a packet goes to. */
#include <assert.h>
#include <string.h>

#include "agent/catalog/spread.h"
#include "base/err.h"

/* After so many versions that were told once, older ones are left to the sync. */
enum { BASE_LAG_MAX = 32 };

static size_t place_of(const struct catalog *c, const struct node_entry *entry)
{
    size_t place = 0;

    while (place < c->rumour_count && c->rumours[place] != entry) {
        place++;
    }
    return place;
}

static void remove_at(struct catalog *c, size_t place)
{
    assert(place < c->rumour_count);
    c->rumours[place]->rumour = (struct rumour){0};
    c->rumour_count--;
    memmove(&c->rumours[place], &c->rumours[place + 1],
            (c->rumour_count - place) * sizeof(void *));
    if (c->rumour_at > place) {
        c->rumour_at--;
    }
}

void rumour_drop(struct catalog *c, struct node_entry *entry)
{
    if (entry->rumour.queued) {
        remove_at(c, place_of(c, entry));
    }
}

void rumour_queue(struct catalog *c, struct node_entry *entry, uint64_t base)
{
    uint64_t from = base;

    if (entry->rumour.queued) {
        bool told = entry->rumour.sent > 0 &&
                    entry->view.version - entry->rumour.base > BASE_LAG_MAX;
        if (entry->rumour.base < base && !told) {
            from = entry->rumour.base; /* a newer delta absorbs the older one */
        }
        remove_at(c, place_of(c, entry));
    }
    if (c->rumour_count == STATE_RUMOURS_MAX) {
        remove_at(c, c->rumour_count - 1); /* the oldest; syncs will tell it */
    }
    memmove(&c->rumours[1], &c->rumours[0], c->rumour_count * sizeof(void *));
    c->rumours[0] = entry;
    c->rumour_count++;
    c->rumour_at = 0;
    entry->rumour = (struct rumour){.queued = true, .base = from, .cursor = from};
}

void rumour_announce(struct catalog *c)
{
    rumour_drop(c, c->self);
    rumour_queue(c, c->self, 0);
    action_kick(c);
}

/* 2 x ceil(log10(n + 1)), memberlist's formula with a factor of 2, but at least 4. */
static uint32_t sent_max(const struct catalog *c)
{
    uint32_t digits = 1;

    for (size_t n = c->peer_count; n >= 10; n /= 10) {
        digits++;
    }
    return 2 * digits > SPREAD_SENT_MIN ? 2 * digits : SPREAD_SENT_MIN;
}

/* Writes a rumour of at most `size` bytes into c->out. RC_ETOOBIG: not in this packet. */
static int write_rumour(struct catalog *c, struct node_entry *entry, size_t size)
{
    uint64_t reached = 0;

    if (entry->rumour.cursor > entry->view.version) { /* of a former epoch */
        entry->rumour.base = 0;
        entry->rumour.cursor = 0;
    }
    rc_buffer_clear(&c->out);
    rc_buffer_byte(&c->out, RECORD_FORMAT);
    rc_pack_write_array(&c->out, 1);
    int err = record_write(c, entry, entry->rumour.cursor, size - 2, &reached);
    if (err == RC_ETOOBIG && size >= SPREAD_PACKET) {
        record_write_hint(c, entry); /* it fits into no packet: let them ask */
        reached = entry->view.version;
        err = c->out.err != RC_OK ? c->out.err : RC_OK;
    }
    if (err != RC_OK || c->out.size > size) {
        return RC_ETOOBIG;
    }
    entry->rumour.cursor = reached;
    return RC_OK;
}

size_t catalog_fill(struct catalog *c, uint64_t now_ms, void *space, size_t size)
{
    own_tick(c, now_ms);
    if (size > c->packet_left) { /* more room than was left: another packet */
        c->rumour_at = 0;
    }
    c->packet_left = size;
    while (size > RECORD_TRAILER && c->rumour_at < c->rumour_count) {
        struct node_entry *entry = c->rumours[c->rumour_at++];
        if (write_rumour(c, entry, size) != RC_OK) {
            continue;
        }
        if (entry->rumour.cursor == entry->view.version) { /* a whole round is told */
            entry->rumour.cursor = entry->rumour.base;
            entry->rumour.sent++;
        }
        if (entry->rumour.sent >= sent_max(c)) {
            rumour_drop(c, entry);
        }
        c->counters.rumours_sent++;
        c->packet_left = size - c->out.size;
        memcpy(space, c->out.bytes, c->out.size);
        return c->out.size;
    }
    c->rumour_at = 0; /* the next call begins a packet */
    c->packet_left = 0;
    return 0;
}

/* Remembers that there is something newer, and asks for it. */
static void note_gap(struct catalog *c, uint64_t now_ms, const char *from,
                     const struct delta *delta)
{
    struct node_entry *entry = listing_find(c, delta->owner);

    c->counters.rumours_gap++;
    if (entry != NULL &&
        (delta->epoch > entry->want_epoch ||
         (delta->epoch == entry->want_epoch && delta->version > entry->want_version))) {
        entry->want_epoch = delta->epoch;
        entry->want_version = delta->version;
    }
    sync_want(c, now_ms, SYNC_GAP, from == NULL ? delta->owner : from);
}

static void pass_on(struct catalog *c, const struct delta *delta,
                    const struct applied *applied)
{
    struct node_entry *entry = listing_find(c, delta->owner);

    if (entry == c->self) {
        rumour_announce(c);
    } else if (entry != NULL) {
        rumour_queue(c, entry, delta->whole ? 0 : delta->base);
        if (applied->urgent) {
            action_kick(c);
        }
    }
}

static int read_rumour(struct catalog *c, uint64_t now_ms, const char *from,
                       struct rc_cursor *in)
{
    struct rc_pack_items list = rc_pack_open(in);
    struct delta delta;
    struct applied applied;

    if (list.left == 0) {
        return in->err != RC_OK ? in->err : RC_EMALFORMED;
    }
    int err = record_read(in, &list, &delta);
    if (err != RC_OK) {
        return err;
    }
    step_begin(c);
    err = record_apply(c, now_ms, &delta, &applied);
    step_end(c);
    if (applied.gap) {
        note_gap(c, now_ms, from, &delta);
    } else if (applied.news) {
        pass_on(c, &delta, &applied);
    } else if (err == RC_OK) {
        c->counters.rumours_stale++;
    }
    sync_want_outputs(c, now_ms);
    return err;
}

int catalog_receive(struct catalog *c, uint64_t now_ms, const char *from,
                    const void *bytes, size_t size)
{
    struct rc_cursor in = rc_cursor_over(bytes, size);

    c->counters.rumours_received++;
    uint8_t format = rc_cursor_u8(&in);
    if (in.err == RC_OK && format != RECORD_FORMAT) {
        c->counters.messages_version++;
        return RC_EUNSUPPORTED;
    }
    int err = read_rumour(c, now_ms, from, &in);
    if (err == RC_EMALFORMED || err == RC_ETRUNCATED) {
        c->counters.messages_malformed++;
    }
    return err;
}
