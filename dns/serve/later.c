#include "dns/serve/later.h"

#include <assert.h>
#include <stdlib.h>

struct dns_laters {
    struct dns_later *free;
    size_t waiting;
    uint64_t refused;
    struct dns_later items[];
};

struct dns_laters *dns_laters_create(size_t count)
{
    struct dns_laters *pool = calloc(1, sizeof *pool + count * sizeof pool->items[0]);

    if (pool == NULL) {
        return NULL;
    }
    for (size_t i = count; i > 0; i--) {
        pool->items[i - 1].pool = pool;
        pool->items[i - 1].next = pool->free;
        pool->free = &pool->items[i - 1];
    }
    return pool;
}

void dns_laters_destroy(struct dns_laters *pool)
{
    assert(pool == NULL || pool->waiting == 0);
    free(pool);
}

size_t dns_laters_waiting(const struct dns_laters *pool)
{
    return pool->waiting;
}

uint64_t dns_laters_refused(const struct dns_laters *pool)
{
    return pool->refused;
}

struct dns_later *dns_later_take(struct dns_laters *pool, struct dns_outlet *outlet,
                                 const struct dns_client *client)
{
    struct dns_later *later = pool->free;

    if (later == NULL) {
        pool->refused++;
        return NULL;
    }
    pool->free = later->next;
    pool->waiting++;
    *later = (struct dns_later){
        .client = *client, .outlet = outlet, .pool = pool, .next = outlet->waiting};
    if (later->next != NULL) {
        later->next->previous = later;
    }
    outlet->waiting = later;
    outlet->waiting_count++;
    return later;
}

static void unlink_from(struct dns_outlet *outlet, struct dns_later *later)
{
    assert(outlet->waiting_count > 0);
    if (later->previous != NULL) {
        later->previous->next = later->next;
    } else {
        outlet->waiting = later->next;
    }
    if (later->next != NULL) {
        later->next->previous = later->previous;
    }
    outlet->waiting_count--;
}

void dns_later_answer(struct dns_later *later, const uint8_t *bytes, size_t size)
{
    struct dns_laters *pool = later->pool;
    struct dns_outlet *outlet = later->outlet;

    assert(pool->waiting > 0);
    if (outlet != NULL) {
        unlink_from(outlet, later);
        outlet->send(outlet, later, bytes, size);
    }
    later->next = pool->free;
    pool->free = later;
    pool->waiting--;
}

void dns_outlet_close(struct dns_outlet *outlet)
{
    while (outlet->waiting != NULL) {
        struct dns_later *later = outlet->waiting;
        unlink_from(outlet, later);
        later->outlet = NULL;
    }
}
