#include "agent/event/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum {
    TEXTS = 7, /* of an event, in the order of its fields */
    EVENT_BYTES_MAX = TEXTS * (HISTORY_TEXT_MAX + 1),
    RARE_BYTES = HISTORY_BYTES_MAX / 4,
    LANES = 2 /* what is frequent, and what is rare */
};

struct slot {
    uint64_t index;
    uint64_t at_ms;
    uint32_t offset; /* of its texts, one behind the other, each with its NUL */
    uint16_t size;
    uint8_t kind;
};

/* Slots in a ring, and their texts in a ring of bytes in which nothing is torn at the end. */
struct lane {
    struct slot *slots;
    size_t slots_max;
    size_t first;
    size_t count;
    char *bytes;
    size_t bytes_max;
    size_t end; /* where the next texts go */
};

struct history {
    uint64_t index;
    uint64_t counts[HISTORY_KIND_COUNT];
    struct lane lanes[LANES];
};

static int open_lane(struct lane *lane, size_t slots, size_t bytes)
{
    lane->slots_max = slots;
    lane->bytes_max = bytes;
    lane->slots = malloc(slots * sizeof *lane->slots); /* touched when it is filled */
    lane->bytes = malloc(bytes);
    return lane->slots != NULL && lane->bytes != NULL ? RC_OK : RC_ENOMEM;
}

struct history *history_create(uint64_t index)
{
    struct history *history = calloc(1, sizeof *history);

    if (history == NULL) {
        return NULL;
    }
    history->index = index;
    if (open_lane(&history->lanes[0], HISTORY_MAX - HISTORY_RARE_MAX,
                  HISTORY_BYTES_MAX - RARE_BYTES) != RC_OK ||
        open_lane(&history->lanes[1], HISTORY_RARE_MAX, RARE_BYTES) != RC_OK) {
        history_destroy(history);
        return NULL;
    }
    return history;
}

void history_destroy(struct history *history)
{
    for (size_t i = 0; history != NULL && i < LANES; i++) {
        free(history->lanes[i].slots);
        free(history->lanes[i].bytes);
    }
    free(history);
}

static struct slot *slot_at(const struct lane *lane, size_t place)
{
    return &lane->slots[(lane->first + place) % lane->slots_max];
}

static void drop_oldest(struct lane *lane)
{
    assert(lane->count > 0);
    lane->first = (lane->first + 1) % lane->slots_max;
    lane->count--;
}

static bool is_old(const struct slot *slot, uint64_t now_ms)
{
    return now_ms > slot->at_ms && now_ms - slot->at_ms > HISTORY_AGE_MAX_MS;
}

/* Makes room for `size` bytes behind the newest, or at the beginning; returns where. The oldest
 * lie ahead in the ring. */
static size_t make_room(struct lane *lane, size_t size)
{
    size_t begin = lane->end;

    if (lane->end + size > lane->bytes_max) {
        while (lane->count > 0 && slot_at(lane, 0)->offset >= lane->end) {
            drop_oldest(lane);
        }
        begin = 0;
    }
    while (lane->count > 0 && slot_at(lane, 0)->offset >= begin &&
           slot_at(lane, 0)->offset < begin + size) {
        drop_oldest(lane);
    }
    if (lane->count == lane->slots_max) {
        drop_oldest(lane);
    }
    return begin;
}

/* Cut where a character begins: UTF-8 that was whole stays so. */
static size_t fit(const char *text)
{
    size_t size = strnlen(text, HISTORY_TEXT_MAX + 1);

    if (size <= HISTORY_TEXT_MAX) {
        return size;
    }
    size = HISTORY_TEXT_MAX;
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
        size--;
    }
    return size;
}

void history_add(struct history *history, const struct history_event *event)
{
    const char *texts[TEXTS] = {event->node,  event->service, event->service_id,
                                event->check, event->from,    event->to,
                                event->text};
    char space[EVENT_BYTES_MAX];
    size_t size = 0;

    assert(event->kind < HISTORY_KIND_COUNT);
    for (size_t i = 0; i < TEXTS; i++) {
        size_t length = texts[i] != NULL ? fit(texts[i]) : 0;
        if (length > 0) {
            memcpy(space + size, texts[i], length);
        }
        space[size + length] = '\0';
        size += length + 1;
    }
    struct lane *lane = &history->lanes[event->kind >= HISTORY_JOIN];
    while (lane->count > 0 && is_old(slot_at(lane, 0), event->at_ms)) {
        drop_oldest(lane);
    }
    size_t offset = make_room(lane, size);
    memcpy(lane->bytes + offset, space, size);
    lane->end = offset + size;
    *slot_at(lane, lane->count++) = (struct slot){.index = ++history->index,
                                                  .at_ms = event->at_ms,
                                                  .offset = (uint32_t)offset,
                                                  .size = (uint16_t)size,
                                                  .kind = (uint8_t)event->kind};
    history->counts[event->kind]++;
}

uint64_t history_index(const struct history *history)
{
    return history->index;
}

uint64_t history_count(const struct history *history, enum history_kind kind)
{
    assert(kind < HISTORY_KIND_COUNT);
    return history->counts[kind];
}

static void show(const struct lane *lane, const struct slot *slot,
                 struct history_event *out)
{
    const char *texts[TEXTS];
    const char *at = lane->bytes + slot->offset;

    for (size_t i = 0; i < TEXTS; i++) {
        texts[i] = at;
        at += strlen(at) + 1;
    }
    assert(at == lane->bytes + slot->offset + slot->size);
    *out = (struct history_event){.index = slot->index,
                                  .at_ms = slot->at_ms,
                                  .kind = (enum history_kind)slot->kind,
                                  .node = texts[0],
                                  .service = texts[1],
                                  .service_id = texts[2],
                                  .check = texts[3],
                                  .from = texts[4],
                                  .to = texts[5],
                                  .text = texts[6]};
}

bool history_next(const struct history *history, uint64_t now_ms,
                  struct history_walk *walk, struct history_event *out)
{
    const struct slot *next = NULL;
    size_t of = 0;

    for (size_t i = 0; i < LANES; i++) {
        const struct lane *lane = &history->lanes[i];
        while (walk->at[i] < lane->count && is_old(slot_at(lane, walk->at[i]), now_ms)) {
            walk->at[i]++;
        }
        if (walk->at[i] < lane->count &&
            (next == NULL || slot_at(lane, walk->at[i])->index < next->index)) {
            next = slot_at(lane, walk->at[i]);
            of = i;
        }
    }
    if (next == NULL) {
        return false;
    }
    walk->at[of]++;
    show(&history->lanes[of], next, out);
    return true;
}

static const char *const names[HISTORY_KIND_COUNT] = {
    [HISTORY_CHECK] = "check",
    [HISTORY_REGISTER] = "register",
    [HISTORY_DEREGISTER] = "deregister",
    [HISTORY_JOIN] = "join",
    [HISTORY_LEAVE] = "leave",
    [HISTORY_FAILED] = "failed",
    [HISTORY_REAP] = "reap",
    [HISTORY_PROMOTION] = "promotion",
    [HISTORY_LEADER] = "leader",
    [HISTORY_MAINTENANCE] = "maintenance",
    [HISTORY_RESTART] = "restart",
};

const char *history_kind_name(enum history_kind kind)
{
    assert(kind < HISTORY_KIND_COUNT);
    return names[kind];
}

int history_kind_parse(const char *name, enum history_kind *out)
{
    for (unsigned i = 0; i < HISTORY_KIND_COUNT; i++) {
        if (rc_text_equals(name, names[i])) {
            *out = (enum history_kind)i;
            return RC_OK;
        }
    }
    return RC_ENOTFOUND;
}
