/* deadline.c - what is due when. */
#include "agent/gossip/deadline.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"

void deadline_heap_fini(struct deadline_heap *heap)
{
    free(heap->items);
    *heap = (struct deadline_heap){0};
}

int deadline_heap_reserve(struct deadline_heap *heap, size_t count)
{
    if (heap->items != NULL && count < heap->capacity) {
        return RC_OK;
    }
    size_t capacity = heap->capacity > 0 ? 2 * heap->capacity : 16;
    while (capacity <= count) {
        capacity *= 2;
    }
    struct deadline **items = realloc(heap->items, capacity * sizeof(struct deadline *));
    if (items == NULL) {
        return RC_ENOMEM;
    }
    heap->items = items;
    heap->capacity = capacity;
    return RC_OK;
}

static bool is_earlier(const struct deadline *a, const struct deadline *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void put(struct deadline_heap *heap, size_t place, struct deadline *deadline)
{
    heap->items[place] = deadline;
    deadline->place = place;
}

static void sift(struct deadline_heap *heap, struct deadline *deadline, size_t place)
{
    while (place > 1 && is_earlier(deadline, heap->items[place / 2])) {
        put(heap, place, heap->items[place / 2]);
        place /= 2;
    }
    for (;;) {
        size_t child = 2 * place;
        if (child > heap->count) {
            break;
        }
        if (child < heap->count &&
            is_earlier(heap->items[child + 1], heap->items[child])) {
            child++;
        }
        if (!is_earlier(heap->items[child], deadline)) {
            break;
        }
        put(heap, place, heap->items[child]);
        place = child;
    }
    put(heap, place, deadline);
}

int deadline_set(struct deadline_heap *heap, struct deadline *deadline, uint64_t at_ns)
{
    if (deadline->place == 0) {
        int err = deadline_heap_reserve(heap, heap->count + 1);
        if (err != RC_OK) {
            return err;
        }
        heap->count++;
        put(heap, heap->count, deadline);
    }
    deadline->at_ns = at_ns;
    deadline->order = heap->next_order++;
    sift(heap, deadline, deadline->place);
    return RC_OK;
}

void deadline_clear(struct deadline_heap *heap, struct deadline *deadline)
{
    size_t place = deadline->place;

    if (place == 0) {
        return;
    }
    assert(heap->items[place] == deadline);
    struct deadline *last = heap->items[heap->count];
    heap->count--;
    deadline->place = 0;
    if (last != deadline) {
        sift(heap, last, place);
    }
}

bool deadline_is_set(const struct deadline *deadline)
{
    return deadline->place != 0;
}

struct deadline *deadline_take(struct deadline_heap *heap, uint64_t now_ns)
{
    if (heap->count == 0 || heap->items[1]->at_ns > now_ns) {
        return NULL;
    }
    struct deadline *first = heap->items[1];
    deadline_clear(heap, first);
    return first;
}

uint64_t deadline_first(const struct deadline_heap *heap)
{
    return heap->count == 0 ? UINT64_MAX : heap->items[1]->at_ns;
}
