/* broadcast.c - messages waiting to be spread, each a limited number of times. */
#include "agent/gossip/broadcast.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct broadcast {
    uint64_t id;
    uint64_t packet; /* that took it last */
    uint32_t transmits;
    uint16_t subject_size;
    uint16_t message_size;
    uint8_t bytes[]; /* subject, then message */
};

void broadcast_init(struct broadcast_queue *queue, size_t max, size_t size_max)
{
    bool is_less = size_max > 0 && size_max < BROADCAST_SIZE_MAX;

    *queue = (struct broadcast_queue){
        .max = max,
        .next_id = 1,
        .size_max = is_less ? size_max : BROADCAST_SIZE_MAX,
    };
}

void broadcast_fini(struct broadcast_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        free(queue->items[i]);
    }
    free(queue->items);
    *queue = (struct broadcast_queue){.max = queue->max};
}

/* Fewest transmissions first, then longest, then newest. */
static bool goes_before(const struct broadcast *a, const struct broadcast *b)
{
    if (a->transmits != b->transmits) {
        return a->transmits < b->transmits;
    }
    if (a->message_size != b->message_size) {
        return a->message_size > b->message_size;
    }
    return a->id > b->id;
}

/* Puts `item` where it belongs among the first `count` items, which are in order. */
static void insert(struct broadcast_queue *queue, struct broadcast *item)
{
    size_t low = 0;
    size_t high = queue->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (goes_before(queue->items[middle], item)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    memmove(&queue->items[low + 1], &queue->items[low],
            (queue->count - low) * sizeof(struct broadcast *));
    queue->items[low] = item;
    queue->count++;
}

static void take_out(struct broadcast_queue *queue, size_t place)
{
    queue->count--;
    memmove(&queue->items[place], &queue->items[place + 1],
            (queue->count - place) * sizeof(struct broadcast *));
}

static void drop_subject(struct broadcast_queue *queue, struct rc_pack_bytes subject)
{
    for (size_t i = 0; i < queue->count && subject.size > 0; i++) {
        struct broadcast *item = queue->items[i];
        struct rc_pack_bytes other = {item->bytes, item->subject_size};
        if (rc_pack_equals(subject, other)) {
            take_out(queue, i);
            free(item);
            return;
        }
    }
}

static int make_room(struct broadcast_queue *queue)
{
    if (queue->count == queue->max) {
        free(queue->items[queue->count - 1]);
        queue->count--;
        queue->dropped++;
    }
    if (queue->count < queue->capacity) {
        return RC_OK;
    }
    size_t capacity = queue->capacity > 0 ? 2 * queue->capacity : 8;
    struct broadcast **items =
        realloc(queue->items, capacity * sizeof(struct broadcast *));
    if (items == NULL) {
        return RC_ENOMEM;
    }
    queue->items = items;
    queue->capacity = capacity;
    return RC_OK;
}

int broadcast_add(struct broadcast_queue *queue, struct rc_pack_bytes subject,
                  struct rc_pack_bytes message, uint64_t *id)
{
    assert(message.size > 0); /* an empty part crashes memberlist before 0.2.4 */
    if (message.size > queue->size_max || subject.size > BROADCAST_SUBJECT_MAX) {
        queue->refused++;
        return RC_ETOOBIG;
    }
    drop_subject(queue, subject);
    if (make_room(queue) != RC_OK) {
        return RC_ENOMEM;
    }
    struct broadcast *item = malloc(sizeof *item + subject.size + message.size);
    if (item == NULL) {
        return RC_ENOMEM;
    }
    item->id = queue->next_id++;
    item->packet = 0;
    item->transmits = 0;
    item->subject_size = (uint16_t)subject.size;
    item->message_size = (uint16_t)message.size;
    if (subject.size > 0) {
        memcpy(item->bytes, subject.at, subject.size);
    }
    memcpy(item->bytes + subject.size, message.at, message.size);
    insert(queue, item);
    if (id != NULL) {
        *id = item->id;
    }
    return RC_OK;
}

bool broadcast_is_waiting(const struct broadcast_queue *queue, uint64_t id)
{
    for (size_t i = 0; i < queue->count; i++) {
        if (queue->items[i]->id == id) {
            return true;
        }
    }
    return false;
}

static void put_part(struct broadcast_parts *parts, const struct broadcast *item)
{
    rc_buffer_append(parts->bytes, item->bytes + item->subject_size, item->message_size);
    parts->sizes[parts->count++] = item->message_size;
    parts->room -= parts->cost + item->message_size;
}

void broadcast_fill(struct broadcast_queue *queue, uint32_t limit,
                    struct broadcast_parts *parts)
{
    enum { AGAIN_MAX = 128, LEAST_MESSAGE = 8 };
    struct broadcast *again[AGAIN_MAX];
    size_t again_count = 0;
    size_t i = 0;

    while (i < queue->count && parts->count < parts->max && again_count < AGAIN_MAX &&
           parts->room > parts->cost + LEAST_MESSAGE) {
        struct broadcast *item = queue->items[i];
        bool is_in = parts->packet != 0 && item->packet == parts->packet;
        if (is_in || parts->cost + item->message_size > parts->room) {
            i++;
            continue;
        }
        put_part(parts, item);
        take_out(queue, i);
        item->transmits += !parts->is_extra;
        item->packet = parts->packet;
        if (item->transmits >= limit) {
            free(item);
        } else {
            again[again_count++] = item; /* not in the same packet twice */
        }
    }
    for (size_t k = 0; k < again_count; k++) {
        insert(queue, again[k]); /* the places they had are still there */
    }
}
