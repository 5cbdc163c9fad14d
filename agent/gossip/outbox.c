/* outbox.c - the actions that wait for the owner. */
#include "agent/gossip/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { KEEP_BYTES = 16384, KEEP_ITEMS = 64 };

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){.bytes = {.max = OUTBOX_BYTES_MAX}};
}

void outbox_fini(struct outbox *outbox)
{
    free(outbox->items);
    rc_buffer_fini(&outbox->bytes);
    *outbox = (struct outbox){0};
}

static int make_room(struct outbox *outbox)
{
    if (outbox->count < outbox->capacity) {
        return RC_OK;
    }
    if (outbox->count >= OUTBOX_ACTIONS_MAX) {
        return RC_ETOOBIG;
    }
    size_t capacity = outbox->capacity > 0 ? 2 * outbox->capacity : 8;
    struct outbox_item *items = realloc(outbox->items, capacity * sizeof *items);
    if (items == NULL) {
        return RC_ENOMEM;
    }
    outbox->items = items;
    outbox->capacity = capacity;
    return RC_OK;
}

size_t outbox_mark(const struct outbox *outbox)
{
    return outbox->bytes.size;
}

int outbox_add_written(struct outbox *outbox, const struct gossip_action *action,
                       size_t mark)
{
    int err = outbox->bytes.err;

    if (err == RC_OK) {
        err = make_room(outbox);
    }
    size_t size = outbox->bytes.size - mark;
    if (action->name != NULL) {
        rc_buffer_append(&outbox->bytes, action->name, strlen(action->name) + 1);
    }
    size_t asker_at = outbox->bytes.size;
    if (action->asker != NULL) {
        rc_buffer_append(&outbox->bytes, action->asker, strlen(action->asker) + 1);
    }
    err = err == RC_OK ? outbox->bytes.err : err;
    if (err != RC_OK) {
        outbox->bytes.size = mark;
        outbox->bytes.err = RC_OK;
        return err;
    }
    struct outbox_item *item = &outbox->items[outbox->count++];
    item->action = *action;
    item->action.size = size;
    item->bytes_at = mark;
    item->name_at = mark + size;
    item->asker_at = asker_at;
    return RC_OK;
}

int outbox_add(struct outbox *outbox, const struct gossip_action *action)
{
    size_t mark = outbox_mark(outbox);

    if (action->size > 0) {
        rc_buffer_append(&outbox->bytes, action->bytes, action->size);
    }
    return outbox_add_written(outbox, action, mark);
}

static void give_back(struct outbox *outbox)
{
    outbox->count = 0;
    outbox->taken = 0;
    if (outbox->bytes.capacity > KEEP_BYTES) {
        rc_buffer_fini(&outbox->bytes);
    } else {
        rc_buffer_clear(&outbox->bytes);
    }
    if (outbox->capacity > KEEP_ITEMS) {
        free(outbox->items);
        outbox->items = NULL;
        outbox->capacity = 0;
    }
}

bool outbox_take(struct outbox *outbox, struct gossip_action *out)
{
    if (outbox->taken == outbox->count) {
        give_back(outbox);
        return false;
    }
    const struct outbox_item *item = &outbox->items[outbox->taken++];
    *out = item->action;
    out->bytes =
        outbox->bytes.bytes == NULL ? NULL : outbox->bytes.bytes + item->bytes_at;
    if (out->name != NULL) {
        out->name = (const char *)outbox->bytes.bytes + item->name_at;
    }
    if (out->asker != NULL) {
        out->asker = (const char *)outbox->bytes.bytes + item->asker_at;
    }
    return true;
}
