/* A binary heap by deadline, and a table by number. */
#include "agent/engine/lease_set.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/table.h"

struct lease {
    uint64_t number;
    uint64_t ttl_ms;
    uint64_t ends_ms;
    size_t place; /* in the heap */
};

struct lease_set {
    struct rc_table *by_number;
    struct lease **heap;
    size_t count;
    size_t capacity;
};

struct lease_set *lease_set_create(void)
{
    struct lease_set *set = calloc(1, sizeof *set);

    if (set == NULL) {
        return NULL;
    }
    set->by_number = rc_table_create(0); /* numbers are our own: nobody chooses them */
    if (set->by_number == NULL) {
        free(set);
        return NULL;
    }
    return set;
}

void lease_set_destroy(struct lease_set *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        free(set->heap[i]);
    }
    free(set->heap);
    rc_table_destroy(set->by_number);
    free(set);
}

size_t lease_set_count(const struct lease_set *set)
{
    return set->count;
}

/* By the deadline, then by the number, so that the order depends on nothing else. */
static bool is_before(const struct lease *a, const struct lease *b)
{
    return a->ends_ms != b->ends_ms ? a->ends_ms < b->ends_ms : a->number < b->number;
}

static void place(struct lease_set *set, size_t at, struct lease *lease)
{
    set->heap[at] = lease;
    lease->place = at;
}

static void rise(struct lease_set *set, struct lease *lease)
{
    size_t at = lease->place;

    while (at > 0 && is_before(lease, set->heap[(at - 1) / 2])) {
        place(set, at, set->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(set, at, lease);
}

static void sink(struct lease_set *set, struct lease *lease)
{
    size_t at = lease->place;

    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < set->count && is_before(set->heap[child + 1], set->heap[child])) {
            child++;
        }
        if (child >= set->count || !is_before(set->heap[child], lease)) {
            break;
        }
        place(set, at, set->heap[child]);
        at = child;
    }
    place(set, at, lease);
}

static uint64_t add(uint64_t at_ms, uint64_t ttl_ms)
{
    return ttl_ms > UINT64_MAX - at_ms ? UINT64_MAX : at_ms + ttl_ms;
}

static uint64_t end_of(struct lease_moment moment, uint64_t ttl_ms)
{
    uint64_t ends_ms = add(moment.asked_ms, ttl_ms);
    uint64_t least_ms = add(moment.now_ms, ttl_ms / 2);

    return ends_ms > least_ms ? ends_ms : least_ms;
}

static struct lease *find(const struct lease_set *set, uint64_t number)
{
    return rc_table_get_bytes(set->by_number, &number, sizeof number);
}

static int reserve(struct lease_set *set)
{
    if (set->count < set->capacity) {
        return RC_OK;
    }
    size_t capacity = set->capacity == 0 ? 16 : 2 * set->capacity;
    struct lease **heap = realloc(set->heap, capacity * sizeof(struct lease *));
    if (heap == NULL) {
        return RC_ENOMEM;
    }
    set->heap = heap;
    set->capacity = capacity;
    return RC_OK;
}

int lease_set_add(struct lease_set *set, struct lease_moment moment, uint64_t lease,
                  uint64_t ttl_ms)
{
    if (find(set, lease) != NULL) {
        return RC_EEXISTS;
    }
    struct lease *entry = calloc(1, sizeof *entry);
    if (entry == NULL || reserve(set) != RC_OK ||
        rc_table_put_bytes(set->by_number, &lease, sizeof lease, entry, NULL) != RC_OK) {
        free(entry);
        return RC_ENOMEM;
    }
    entry->number = lease;
    entry->ttl_ms = ttl_ms;
    entry->ends_ms = end_of(moment, ttl_ms);
    entry->place = set->count++;
    rise(set, entry);
    return RC_OK;
}

bool lease_set_renew(struct lease_set *set, struct lease_moment moment, uint64_t lease)
{
    struct lease *entry = find(set, lease);

    if (entry == NULL) {
        return false;
    }
    uint64_t ends_ms = end_of(moment, entry->ttl_ms);
    if (ends_ms > entry->ends_ms) { /* half of its time, after a wait, may be less */
        entry->ends_ms = ends_ms;
        sink(set, entry);
    }
    return true;
}

void lease_set_remove(struct lease_set *set, uint64_t lease)
{
    struct lease *entry = rc_table_remove_bytes(set->by_number, &lease, sizeof lease);

    if (entry == NULL) {
        return;
    }
    struct lease *last = set->heap[--set->count];
    if (last != entry) {
        place(set, entry->place, last);
        rise(set, last);
        sink(set, last);
    }
    free(entry);
}

uint64_t lease_set_deadline_ms(const struct lease_set *set)
{
    return set->count == 0 ? UINT64_MAX : set->heap[0]->ends_ms;
}

size_t lease_set_due(struct lease_set *set, uint64_t now_ms, uint64_t *leases, size_t max)
{
    size_t count = 0;
    size_t full = set->count;

    /* Taken out of the heap one after the other behind its shrinking end, then put back. */
    while (count < max && set->count > 0 && set->heap[0]->ends_ms <= now_ms) {
        struct lease *first = set->heap[0];
        struct lease *last = set->heap[--set->count];
        leases[count++] = first->number;
        if (set->count > 0) {
            place(set, 0, last);
            sink(set, last);
        }
        place(set, set->count, first);
    }
    while (set->count < full) {
        struct lease *back = set->heap[set->count++];
        rise(set, back);
    }
    return count;
}
