/* Rumours: what changed lately, told to whoever a packet goes to. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/spread.h"
#include "base/err.h"

enum {
    BASE_LAG_MAX = 32, /* after so many versions told once, older ones are the sync's */
    SENT_MORE = 7,     /* transmissions on top of ln(nodes) */
    SENT_LEAST = 3,    /* in a storm: syncs carry the rest */
    CALM_MAX = 16      /* rumours at a time that fit one packet, about */
};

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
    c->rumour_count--;
    memmove(&c->rumours[place], &c->rumours[place + 1],
            (c->rumour_count - place) * sizeof(void *));
    if (c->rumour_at > place) {
        c->rumour_at--;
    }
}

static void forget(struct node_entry *entry)
{
    free(entry->rumour.bytes);
    entry->rumour = (struct rumour){0};
}

void rumour_drop(struct catalog *c, struct node_entry *entry)
{
    if (entry->rumour.queued) {
        remove_at(c, place_of(c, entry));
    }
    forget(entry);
}

/* Puts the entry behind all that were told as often. */
static void put(struct catalog *c, struct node_entry *entry)
{
    size_t place = c->rumour_count++;

    while (place > 0 && c->rumours[place - 1]->rumour.sent > entry->rumour.sent) {
        c->rumours[place] = c->rumours[place - 1];
        place--;
    }
    c->rumours[place] = entry;
}

static void put_first(struct catalog *c, struct node_entry *entry)
{
    if (c->rumour_count == STATE_RUMOURS_MAX) {
        c->counters.rumours_dropped++;
        rumour_drop(c,
                    c->rumours[c->rumour_count - 1]); /* told most; syncs do the rest */
    }
    memmove(&c->rumours[1], &c->rumours[0], c->rumour_count * sizeof(void *));
    c->rumours[0] = entry;
    c->rumour_count++;
    c->rumour_at = 0;
}

void rumour_queue(struct catalog *c, uint64_t now_ms, struct node_entry *entry,
                  uint64_t base, enum rumour_haste haste)
{
    bool urgent = haste == RUMOUR_URGENT || entry->rumour.urgent;
    uint64_t from = base;

    if (entry->rumour.queued) {
        bool told = entry->rumour.sent > 0 &&
                    entry->view.version - entry->rumour.base > BASE_LAG_MAX;
        if (entry->rumour.base < base && !told) {
            from = entry->rumour.base; /* a newer delta absorbs the older one */
        }
    }
    rumour_drop(c, entry);
    put_first(c, entry);
    entry->rumour =
        (struct rumour){.queued = true, .urgent = urgent, .base = from, .cursor = from};
    if (haste == RUMOUR_URGENT) {
        action_kick(c);
        c->again_ms = c->again_ms == 0 ? now_ms + SPREAD_AGAIN_MS : c->again_ms;
    }
}

void rumour_announce(struct catalog *c, uint64_t now_ms)
{
    rumour_drop(c, c->self); /* what waits is of the epoch before */
    rumour_queue(c, now_ms, c->self, 0, RUMOUR_URGENT);
}

/* One kick reaches some nodes only. Until a rumour was told often enough others follow, so
 * that a change is known by all before the next tick of gossip. */
void rumour_tick(struct catalog *c, uint64_t now_ms)
{
    bool urgent = false;

    if (c->again_ms == 0 || now_ms < c->again_ms) {
        return;
    }
    for (size_t i = 0; i < c->rumour_count; i++) {
        urgent |= c->rumours[i]->rumour.urgent;
    }
    c->again_ms = urgent ? now_ms + SPREAD_AGAIN_MS : 0;
    if (urgent) {
        action_kick(c);
    }
}

uint64_t rumour_deadline(const struct catalog *c)
{
    return c->again_ms == 0 ? UINT64_MAX : c->again_ms;
}

/* Of n nodes about n e^-k miss a rumour that each tells k times: ln(n) + 7 leaves one node
 * in a thousand rumours to the sync. In a storm all are told less often, and more is left
 * to syncs, so the lane costs no more than its packets. */
static uint32_t sent_max(const struct catalog *c)
{
    uint32_t most = SENT_MORE;

    for (size_t n = c->peer_count; n > 1; n = n * 1000 / 2718) {
        most++;
    }
    if (c->rumour_count > CALM_MAX) {
        most = most * CALM_MAX / (uint32_t)c->rumour_count;
    }
    return most < SENT_LEAST ? SENT_LEAST : most;
}

/* Writes a rumour of at most `size` bytes into c->out. RC_ETOOBIG: not in this packet. */
static int encode(struct catalog *c, struct node_entry *entry, size_t size)
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

/* Keeps what is told whole, for the transmissions to come, unless an output in it may have
 * been cut for want of room that another packet has. */
static void keep(struct catalog *c, struct node_entry *entry, uint64_t from, size_t room)
{
    bool uncut = room >= SPREAD_PACKET || c->out.size <= RECORD_RUMOUR_TEXT;
    struct rumour *rumour = &entry->rumour;

    free(rumour->bytes);
    rumour->bytes = NULL;
    if (uncut && from == rumour->base && rumour->cursor == entry->view.version) {
        rumour->bytes = malloc(c->out.size); /* NULL: written anew each time */
        rumour->size = c->out.size;
        rumour->version = entry->view.version;
    }
    if (rumour->bytes != NULL) {
        memcpy(rumour->bytes, c->out.bytes, c->out.size);
    }
}

/* Puts the next part of a rumour into `space`; 0: it does not fit. */
static size_t write_rumour(struct catalog *c, struct node_entry *entry, void *space,
                           size_t size)
{
    struct rumour *rumour = &entry->rumour;
    uint64_t from = rumour->cursor;

    if (rumour->bytes == NULL || rumour->version != entry->view.version) {
        if (!scrub_may_tell(c, entry) || encode(c, entry, size) != RC_OK) {
            return 0;
        }
        keep(c, entry, from, size);
        memcpy(space, c->out.bytes, c->out.size);
        return c->out.size;
    }
    if (rumour->size > size) {
        return 0;
    }
    rumour->cursor = rumour->version;
    memcpy(space, rumour->bytes, rumour->size);
    return rumour->size;
}

static void begin_packet(struct catalog *c)
{
    c->rumour_at = 0;
    c->packet_left = 0;
    c->packet_mark++;
}

/* After a transmission: the next round, another turn or none. */
static void count_sent(struct catalog *c, size_t place)
{
    struct node_entry *entry = c->rumours[place];
    struct rumour rumour = entry->rumour;

    rumour.packet = c->packet_mark;
    if (rumour.cursor < entry->view.version) { /* the rest follows in the next packet */
        entry->rumour = rumour;
        return;
    }
    rumour.cursor = rumour.base;
    rumour.sent++;
    entry->rumour = rumour;
    remove_at(c, place);
    if (rumour.sent < sent_max(c)) {
        put(c, entry);
    } else {
        forget(entry);
    }
}

size_t catalog_fill(struct catalog *c, uint64_t now_ms, void *space, size_t size)
{
    own_tick(c, now_ms);
    if (size > c->packet_left) { /* more room than was left: another packet */
        begin_packet(c);
    }
    while (size > RECORD_TRAILER && c->rumour_at < c->rumour_count) {
        struct node_entry *entry = c->rumours[c->rumour_at];
        size_t written = entry->rumour.packet == c->packet_mark
                             ? 0
                             : write_rumour(c, entry, space, size);
        if (written > 0) {
            count_sent(c, c->rumour_at);
            c->counters.rumours_sent++;
            c->packet_left = size - written;
            return written;
        }
        c->rumour_at++;
    }
    begin_packet(c);
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

static void pass_on(struct catalog *c, uint64_t now_ms, const struct delta *delta,
                    const struct applied *applied)
{
    struct node_entry *entry = listing_find(c, delta->owner);

    if (entry == c->self) {
        rumour_announce(c, now_ms);
    } else if (entry != NULL) {
        rumour_queue(c, now_ms, entry, delta->whole ? 0 : delta->base,
                     applied->urgent ? RUMOUR_URGENT : RUMOUR_IDLE);
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
        pass_on(c, now_ms, &delta, &applied);
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
