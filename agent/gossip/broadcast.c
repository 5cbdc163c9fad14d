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

static struct rc_table_key subject_of(const void *value)
{
    const struct broadcast *item = value;

    return (struct rc_table_key){item->bytes, item->subject_size};
}

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
    rc_table_destroy(queue->by_subject);
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

/* Where `item` is or belongs: behind all that is to be sent later. */
static size_t place_of(const struct broadcast_queue *queue, const struct broadcast *item)
{
    size_t low = 0;
    size_t high = queue->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (goes_before(item, queue->items[middle])) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Puts `item` where it belongs; there is room. */
static void insert(struct broadcast_queue *queue, struct broadcast *item)
{
    size_t place = place_of(queue, item);

    memmove(&queue->items[place + 1], &queue->items[place],
            (queue->count - place) * sizeof(struct broadcast *));
    queue->items[place] = item;
    queue->count++;
}

static void take_out(struct broadcast_queue *queue, size_t place)
{
    queue->count--;
    memmove(&queue->items[place], &queue->items[place + 1],
            (queue->count - place) * sizeof(struct broadcast *));
}

/* It is out of the list: out of the table too, and freed. */
static void drop(struct broadcast_queue *queue, struct broadcast *item)
{
    if (item->subject_size > 0) {
        (void)rc_table_remove_bytes(queue->by_subject, item->bytes, item->subject_size);
    }
    free(item);
}

static void drop_subject(struct broadcast_queue *queue, struct rc_pack_bytes subject)
{
    struct broadcast *item =
        subject.size == 0
            ? NULL
            : rc_table_get_bytes(queue->by_subject, subject.at, subject.size);

    if (item != NULL) {
        size_t place = place_of(queue, item);
        assert(queue->items[place] == item);
        take_out(queue, place);
        drop(queue, item);
    }
}

static int make_room(struct broadcast_queue *queue)
{
    if (queue->by_subject == NULL &&
        (queue->by_subject = rc_table_create_lean(0, subject_of)) == NULL) {
        return RC_ENOMEM;
    }
    if (queue->count == queue->max) {
        struct broadcast *last = queue->items[0];
        take_out(queue, 0);
        drop(queue, last);
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
    if (queue->count > 0) {
        drop_subject(queue, subject);
    }
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
    if (subject.size > 0 && rc_table_put_bytes(queue->by_subject, subject.at,
                                               subject.size, item, NULL) != RC_OK) {
        free(item);
        return RC_ENOMEM;
    }
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

    for (size_t i = queue->count;
         i > 0 && parts->count < parts->max && again_count < AGAIN_MAX &&
         parts->room > parts->cost + LEAST_MESSAGE;
         i--) {
        struct broadcast *item = queue->items[i - 1];
        bool is_in = parts->packet != 0 && item->packet == parts->packet;
        if (is_in || parts->cost + item->message_size > parts->room) {
            continue;
        }
        put_part(parts, item);
        take_out(queue, i - 1);
        item->transmits += !parts->is_extra;
        item->packet = parts->packet;
        if (item->transmits >= limit) {
            drop(queue, item);
        } else {
            again[again_count++] = item; /* not in the same packet twice */
        }
    }
    for (size_t k = 0; k < again_count; k++) {
        insert(queue, again[k]); /* the places they had are still there */
    }
}
