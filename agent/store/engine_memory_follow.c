/* engine_memory_follow.c - followers of the engine in memory: late, in order, with gaps. */
#include <stdlib.h>
#include <string.h>

#include "agent/store/engine_memory_state.h"

static struct rc_pack_bytes copy(uint8_t *to, struct rc_pack_bytes from)
{
    if (from.size > 0) {
        memcpy(to, from.at, from.size);
    }
    return (struct rc_pack_bytes){.at = to, .size = from.size};
}

void memory_note(struct engine_memory *memory, const struct engine_item *item,
                 bool is_removal)
{
    size_t value_size = is_removal ? 0 : item->value.size;
    size_t readers = 0;

    for (struct memory_client *c = memory->clients; c != NULL; c = c->next) {
        readers += c->follows && !c->needs_all;
    }
    if (readers == 0) {
        return;
    }
    struct memory_event *event =
        calloc(1, sizeof *event + item->key.size + value_size + 1);
    if (event == NULL) {
        abort();
    }
    event->readers = readers;
    event->is_removal = is_removal;
    event->item = *item;
    event->item.key = copy((uint8_t *)(event + 1), item->key);
    event->item.value = copy((uint8_t *)(event + 1) + item->key.size,
                             (struct rc_pack_bytes){item->value.at, value_size});
    *(memory->newest == NULL ? &memory->events : &memory->newest->next) = event;
    memory->newest = event;
    for (struct memory_client *c = memory->clients; c != NULL; c = c->next) {
        if (c->follows && !c->needs_all && c->next_event == NULL) {
            c->next_event = event;
            c->tell_at_ms =
                memory->now_ms + memory_draw_ms(memory, memory->faults.lag_max_ms);
        }
    }
}

/* Frees from the front what all have heard. */
static void trim(struct engine_memory *memory)
{
    while (memory->events != NULL && memory->events->readers == 0) {
        struct memory_event *event = memory->events;
        memory->events = event->next;
        memory->newest = memory->events == NULL ? NULL : memory->newest;
        free(event);
    }
}

static void skip_events(struct engine_memory *memory, struct memory_client *client)
{
    for (struct memory_event *e = client->next_event; e != NULL; e = e->next) {
        e->readers--;
    }
    client->next_event = NULL;
    trim(memory);
}

void memory_forget(struct engine_memory *memory, struct memory_client *client)
{
    skip_events(memory, client);
    client->follows = false;
}

static void tell_all(struct engine_memory *memory, struct memory_client *client)
{
    static const struct rc_pack_bytes everything = {.at = (const uint8_t *)"", .size = 0};
    const struct engine_follower *f = &client->follower;
    struct engine_item item = {.key = {NULL, 0}};

    skip_events(memory, client);
    client->needs_all = false;
    client->told_revision = memory->revision;
    f->begin(f->context);
    while (mirror_next(memory->keys, everything, item.key, &item)) {
        f->put(f->context, &item);
    }
    f->end(f->context, memory->revision);
}

static void tell_events(struct engine_memory *memory, struct memory_client *client)
{
    const struct engine_follower *f = &client->follower;

    while (client->next_event != NULL) {
        struct memory_event *event = client->next_event;
        uint64_t revision = event->item.mod_revision;
        if (event->is_removal) {
            f->removed(f->context, event->item.key, revision);
        } else {
            f->put(f->context, &event->item);
        }
        client->next_event = event->next;
        event->readers--;
        client->told_revision = revision;
        bool is_last = event->next == NULL || event->next->item.mod_revision != revision;
        if (is_last) {
            f->end(f->context, revision);
        }
        /* A follower that lags may hear some revisions only, and the others later. */
        if (is_last && client->next_event != NULL && memory->faults.lag_max_ms > 0 &&
            rc_random_chance(&memory->random, 300000)) {
            client->tell_at_ms =
                memory->now_ms + 1 + memory_draw_ms(memory, memory->faults.lag_max_ms);
            break;
        }
    }
    trim(memory);
}

void memory_tell(struct engine_memory *memory)
{
    for (struct memory_client *c = memory->clients; c != NULL; c = c->next) {
        bool has_news = c->follows && (c->needs_all || c->next_event != NULL);
        if (!has_news || c->tell_at_ms > memory->now_ms) {
            continue;
        }
        if (!c->needs_all && memory->has_faults &&
            rc_random_chance(&memory->random, memory->faults.gap)) {
            skip_events(memory, c);
            c->needs_all = true;
            c->tell_at_ms = memory->now_ms + 1 +
                            memory_draw_ms(memory, memory->faults.lag_max_ms) * 4;
            continue;
        }
        if (c->needs_all) {
            tell_all(memory, c);
        } else {
            tell_events(memory, c);
        }
    }
}

uint64_t memory_tell_deadline_ms(const struct engine_memory *memory)
{
    uint64_t deadline = UINT64_MAX;

    for (const struct memory_client *c = memory->clients; c != NULL; c = c->next) {
        if (c->follows && (c->needs_all || c->next_event != NULL) &&
            c->tell_at_ms < deadline) {
            deadline = c->tell_at_ms;
        }
    }
    return deadline;
}
