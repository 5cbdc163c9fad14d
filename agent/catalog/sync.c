/* When to compare with whom, and the streams on which it happens. */
#include <assert.h>
#include <string.h>

#include "agent/catalog/spread.h"
#include "base/err.h"
#include "base/text.h"

enum {
    SOON_MS = 20,        /* a gap may still be filled by a rumour on its way */
    SPACING_MS = 200,    /* between two syncs that we start */
    DIFFERENCE_MS = 300, /* so long summaries may differ while rumours travel */
    BEHIND_MAX = 50,     /* versions; further behind we ask at once */
    EVERY_MIN_MS = 1000, /* by size of the pool */
    EVERY_MAX_MS = 10000,
    EVERY_NODE_MS = 2,
    OUTPUT_MIN_MS = 500,
    OUTPUT_SPREAD_MS = 2000,
    OUTPUT_NODE_MS = 20,
    OUTPUT_LATER = 10 /* times that wait: whose outputs were cut cannot tell them now */
};

/* ---- the summary */

static void put_u64(uint8_t *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * (7 - i)));
    }
}

void catalog_summary(const struct catalog *c, uint8_t out[CATALOG_SUMMARY_SIZE])
{
    put_u64(out, c->sum_versions);
    put_u64(out + 8, c->sum_owners);
    put_u64(out + 16, c->sum_prints);
}

static uint64_t every_ms(const struct catalog *c)
{
    uint64_t every = c->options.sync_every_ms;

    if (every == 0) {
        every = EVERY_NODE_MS * c->peer_count;
        every = every < EVERY_MIN_MS ? EVERY_MIN_MS : every;
        every = every > EVERY_MAX_MS ? EVERY_MAX_MS : every;
    }
    return every;
}

void catalog_peer_summary(struct catalog *c, uint64_t now_ms, const char *member,
                          const uint8_t in[CATALOG_SUMMARY_SIZE])
{
    uint8_t ours[CATALOG_SUMMARY_SIZE];
    struct rc_cursor cursor = rc_cursor_over(in, CATALOG_SUMMARY_SIZE);

    catalog_summary(c, ours);
    if (memcmp(ours, in, sizeof ours) == 0) {
        return;
    }
    uint64_t ahead = rc_cursor_u64(&cursor) - c->sum_versions; /* mod 2^64 */
    if (ahead > UINT64_MAX / 2) {
        return; /* the peer lacks more than we: it is to ask, and so is told our summary */
    }
    bool far = ahead > BEHIND_MAX;
    enum sync_reason reason = far ? SYNC_FAR : SYNC_SUMMARY;
    if (reason > c->sync_reason) {
        memcpy(c->sync_summary, in, sizeof c->sync_summary);
        sync_want(c, now_ms, reason, member);
    }
}

/* ---- when */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t due_for(struct catalog *c, uint64_t now_ms, enum sync_reason reason)
{
    uint64_t spaced = c->sync_last_ms == 0 ? now_ms : c->sync_last_ms + SPACING_MS;

    if (c->sync_last_ms == 0) {
        return later(now_ms, spaced);
    }
    if (reason == SYNC_GAP || reason == SYNC_FAR) {
        return later(now_ms + SOON_MS + rc_random_below(&c->random, SOON_MS), spaced);
    }
    uint64_t wait = DIFFERENCE_MS + rc_random_below(&c->random, SPACING_MS);
    return later(now_ms + wait, c->sync_last_ms + every_ms(c));
}

void sync_want(struct catalog *c, uint64_t now_ms, enum sync_reason reason,
               const char *member)
{
    if (reason <= c->sync_reason || strcmp(member, c->self->name) == 0 ||
        rc_text_put(c->sync_member, sizeof c->sync_member, member) != RC_OK) {
        return;
    }
    c->sync_reason = reason;
    c->sync_due_ms = due_for(c, now_ms, reason);
}

static bool has_cut_outputs(const struct node_entry *entry)
{
    return entry->cut_below != 0 && entry->listed && entry->peer &&
           entry->view.liveness < CATALOG_FAILED;
}

static struct node_entry *next_cut(const struct catalog *c)
{
    size_t position = 0;
    struct node_entry *entry = NULL;

    while ((entry = rc_table_next(c->by_name, &position, NULL)) != NULL) {
        if (has_cut_outputs(entry)) {
            return entry;
        }
    }
    return NULL;
}

static void plan_outputs(struct catalog *c, uint64_t now_ms, uint64_t stretch)
{
    uint64_t spread = OUTPUT_SPREAD_MS + OUTPUT_NODE_MS * (uint64_t)c->peer_count;

    c->outputs_due_ms =
        now_ms + stretch * (OUTPUT_MIN_MS + rc_random_below(&c->random, spread));
}

void sync_want_outputs(struct catalog *c, uint64_t now_ms)
{
    if (c->outputs_due_ms == 0 && c->cut_count > 0) {
        plan_outputs(c, now_ms, 1);
    }
}

/* ---- streams */

static struct stream *find_stream(struct catalog *c, uint64_t id)
{
    for (size_t i = 0; i < STATE_STREAMS_MAX; i++) {
        if (c->streams[i].used && c->streams[i].id == id) {
            return &c->streams[i];
        }
    }
    return NULL;
}

enum stream_side { STREAM_OURS, STREAM_THEIRS };

/* Ours and theirs are counted apart, so neither keeps the other from starting. */
static struct stream *take_stream(struct catalog *c, uint64_t now_ms,
                                  enum stream_side side)
{
    size_t most = side == STREAM_OURS ? STATE_STREAMS_OURS : STATE_STREAMS_THEIRS;
    struct stream *unused = NULL;

    for (size_t i = 0; i < STATE_STREAMS_MAX; i++) {
        struct stream *stream = &c->streams[i];
        if (!stream->used) {
            unused = stream;
        } else if (stream->mine == (side == STREAM_OURS) && --most == 0) {
            c->counters.syncs_refused++;
            return NULL;
        }
    }
    assert(unused != NULL);
    *unused = (struct stream){.used = true,
                              .mine = side == STREAM_OURS,
                              .idle_until_ms = now_ms + SPREAD_STREAM_IDLE_MS};
    return unused;
}

static void open_stream(struct catalog *c, uint64_t now_ms, const char *member,
                        enum stream_aim aim)
{
    struct stream *stream = take_stream(c, now_ms, STREAM_OURS);

    if (stream == NULL) {
        return;
    }
    stream->aim = aim;
    (void)rc_text_put(stream->member, sizeof stream->member, member); /* it fitted once */
    c->counters.syncs_started++;
    action_open(c, member);
}

/* Writes what a stream of ours begins with. False: its reason is gone. */
static bool write_question(struct catalog *c, const struct stream *mine)
{
    rc_buffer_clear(&c->out);
    switch (mine->aim) {
    case STREAM_GAPS:
        return sync_write_gaps(c);
    case STREAM_OUTPUTS:
        return sync_write_outputs(c, mine->member);
    case STREAM_COMPARE:
        break;
    }
    sync_write_first(c);
    return true;
}

static void finish(struct catalog *c, struct stream *stream)
{
    action_close(c, stream->id);
    stream->used = false;
}

static void ask(struct catalog *c, struct stream *mine)
{
    mine->more = false;
    mine->rounds++;
    if (write_question(c, mine)) {
        action_send(c, mine->id);
    } else {
        finish(c, mine);
    }
}

void catalog_stream_opened(struct catalog *c, uint64_t now_ms, const char *member,
                           uint64_t stream)
{
    for (size_t i = 0; i < STATE_STREAMS_MAX; i++) {
        struct stream *mine = &c->streams[i];
        if (mine->used && mine->mine && mine->id == 0 &&
            strcmp(mine->member, member) == 0) {
            mine->id = stream;
            mine->idle_until_ms = now_ms + SPREAD_STREAM_IDLE_MS;
            ask(c, mine);
            return;
        }
    }
    action_close(c, stream); /* nobody waits for it any more */
}

/* Sends the reply; who opened the stream asks again, or closes it when all is said. */
static void go_on(struct catalog *c, struct stream *stream, const struct sync_next *next)
{
    stream->more |= next->more;
    if (next->replies) {
        action_send(c, stream->id);
    }
    if (!stream->mine || (next->replies && next->asks)) {
        return; /* the other side is to speak */
    }
    if (stream->more && stream->rounds < SPREAD_ROUNDS_MAX) {
        ask(c, stream);
    } else {
        finish(c, stream);
    }
}

int catalog_stream_message(struct catalog *c, uint64_t now_ms, uint64_t stream,
                           const void *bytes, size_t size)
{
    struct stream *known = find_stream(c, stream);
    struct sync_next next = {0};

    if (known == NULL) {
        known = take_stream(c, now_ms, STREAM_THEIRS);
        if (known == NULL) {
            action_close(c, stream);
            return RC_ETOOBIG;
        }
        known->id = stream;
        c->counters.syncs_served++;
    }
    known->idle_until_ms = now_ms + SPREAD_STREAM_IDLE_MS;
    c->counters.sync_bytes_received += size;
    int err = sync_read(c, now_ms, bytes, size, &next);
    if (err != RC_OK) {
        c->counters.syncs_failed++;
        c->counters.messages_malformed += err == RC_EUNSUPPORTED ? 0 : 1;
        c->counters.messages_version += err == RC_EUNSUPPORTED ? 1 : 0;
        finish(c, known);
        return err;
    }
    go_on(c, known, &next);
    return RC_OK;
}

void catalog_stream_closed(struct catalog *c, uint64_t now_ms, uint64_t stream)
{
    struct stream *known = find_stream(c, stream);

    (void)now_ms;
    if (known != NULL) {
        c->counters.syncs_failed += stream == 0 ? 1 : 0; /* it could not be opened */
        known->used = false;
    }
}

/* ---- time */

bool sync_is_behind(const struct node_entry *entry)
{
    return entry->want_epoch > entry->view.epoch ||
           (entry->want_epoch == entry->view.epoch &&
            entry->want_version > entry->view.version);
}

static bool is_behind(const struct catalog *c)
{
    size_t position = 0;
    const struct node_entry *entry = NULL;

    while ((entry = rc_table_next(c->by_name, &position, NULL)) != NULL) {
        if (sync_is_behind(entry)) {
            return true;
        }
    }
    return false;
}

/* What made us want a sync may have been put right by a rumour meanwhile. */
static bool is_still_wanted(const struct catalog *c)
{
    uint8_t ours[CATALOG_SUMMARY_SIZE];

    catalog_summary(c, ours);
    switch (c->sync_reason) {
    case SYNC_SUMMARY:
    case SYNC_FAR:
        return memcmp(ours, c->sync_summary, sizeof ours) != 0;
    case SYNC_GAP:
        return is_behind(c);
    case SYNC_NONE:
        break;
    }
    return false;
}

static void close_idle(struct catalog *c, uint64_t now_ms)
{
    for (size_t i = 0; i < STATE_STREAMS_MAX; i++) {
        struct stream *stream = &c->streams[i];
        if (stream->used && now_ms >= stream->idle_until_ms) {
            c->counters.syncs_failed++;
            if (stream->id != 0) {
                action_close(c, stream->id);
            }
            stream->used = false;
        }
    }
}

void sync_tick(struct catalog *c, uint64_t now_ms)
{
    close_idle(c, now_ms);
    if (c->sync_reason != SYNC_NONE && now_ms >= c->sync_due_ms) {
        bool wanted = is_still_wanted(c);
        bool gap = c->sync_reason == SYNC_GAP;
        c->sync_reason = SYNC_NONE;
        if (wanted) {
            c->sync_last_ms = now_ms;
            open_stream(c, now_ms, c->sync_member, gap ? STREAM_GAPS : STREAM_COMPARE);
        }
    }
    if (c->outputs_due_ms != 0 && now_ms >= c->outputs_due_ms) {
        const struct node_entry *entry = next_cut(c);
        c->outputs_due_ms = 0;
        if (entry != NULL) {
            open_stream(c, now_ms, entry->name, STREAM_OUTPUTS);
        }
        if (c->cut_count > 0) {
            plan_outputs(c, now_ms, entry != NULL ? 1 : OUTPUT_LATER);
        }
    }
}

uint64_t sync_deadline(const struct catalog *c)
{
    uint64_t due = c->sync_reason == SYNC_NONE ? UINT64_MAX : c->sync_due_ms;

    if (c->outputs_due_ms != 0 && c->outputs_due_ms < due) {
        due = c->outputs_due_ms;
    }
    for (size_t i = 0; i < STATE_STREAMS_MAX; i++) {
        if (c->streams[i].used && c->streams[i].idle_until_ms < due) {
            due = c->streams[i].idle_until_ms;
        }
    }
    return due;
}
