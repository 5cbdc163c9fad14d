/* sim_queue.c - what will happen, soonest first: a heap of small places. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_state.h"

enum { ARITY = 4, FIRST_PLACES = 1024 };

struct event *queue_event(enum event_type type, const uint8_t *bytes, size_t size)
{
    struct event *event = sim_memory(malloc(sizeof *event + size));

    *event = (struct event){.type = type, .line = NO_LINE, .size = size};
    if (size > 0) {
        memcpy(event->bytes, bytes, size);
    }
    return event;
}

static bool is_before(const struct queue_place *a, const struct queue_place *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void queue_push(struct queue *queue, uint64_t at_ns, struct event *event)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity == 0 ? FIRST_PLACES : 2 * queue->capacity;
        queue->heap =
            sim_memory(realloc(queue->heap, queue->capacity * sizeof *queue->heap));
    }
    struct queue_place new = {at_ns, queue->order++, event};
    size_t place = queue->count++;
    while (place > 0 && is_before(&new, &queue->heap[(place - 1) / ARITY])) {
        queue->heap[place] = queue->heap[(place - 1) / ARITY];
        place = (place - 1) / ARITY;
    }
    queue->heap[place] = new;
}

static size_t least_child(const struct queue *queue, size_t place)
{
    size_t first = place * ARITY + 1;
    size_t least = first;

    for (size_t i = first + 1; i < first + ARITY && i < queue->count; i++) {
        if (is_before(&queue->heap[i], &queue->heap[least])) {
            least = i;
        }
    }
    return least;
}

struct event *queue_pop(struct queue *queue, uint64_t until_ns, uint64_t *at_ns)
{
    if (queue->count == 0 || queue->heap[0].at_ns > until_ns) {
        return NULL;
    }
    struct event *event = queue->heap[0].event;
    *at_ns = queue->heap[0].at_ns;
    struct queue_place last = queue->heap[--queue->count];
    size_t place = 0;
    while (place * ARITY + 1 < queue->count) {
        size_t child = least_child(queue, place);
        if (!is_before(&queue->heap[child], &last)) {
            break;
        }
        queue->heap[place] = queue->heap[child];
        place = child;
    }
    queue->heap[place] = last;
    return event;
}

void queue_fini(struct queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        free(queue->heap[i].event);
    }
    free(queue->heap);
    *queue = (struct queue){0};
}
