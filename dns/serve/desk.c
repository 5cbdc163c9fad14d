#include "dns/serve/desk.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CACHE_LINE = 64 };

/* One thread puts in, the other takes out (Lamport 1983). As many places as there are slips,
 * so it is never full. */
struct queue {
    alignas(CACHE_LINE) atomic_size_t put; /* in all; written by the one side */
    alignas(CACHE_LINE) atomic_size_t got; /* in all; written by the other */
    struct dns_desk_slip *slips[DNS_DESK_SLIPS];
};

struct dns_desk {
    struct queue over;
    struct queue back;
    struct dns_desk_slip *free[DNS_DESK_SLIPS]; /* of the thread that asks */
    size_t free_count;
    struct dns_desk_slip slips[DNS_DESK_SLIPS];
};

static void put(struct queue *queue, struct dns_desk_slip *slip)
{
    size_t count = atomic_load_explicit(&queue->put, memory_order_relaxed);

    assert(count - atomic_load_explicit(&queue->got, memory_order_relaxed) <
           DNS_DESK_SLIPS);
    queue->slips[count % DNS_DESK_SLIPS] = slip;
    atomic_store_explicit(&queue->put, count + 1, memory_order_release);
}

static struct dns_desk_slip *get(struct queue *queue)
{
    size_t count = atomic_load_explicit(&queue->got, memory_order_relaxed);

    if (atomic_load_explicit(&queue->put, memory_order_acquire) == count) {
        return NULL;
    }
    struct dns_desk_slip *slip = queue->slips[count % DNS_DESK_SLIPS];
    atomic_store_explicit(&queue->got, count + 1, memory_order_release);
    return slip;
}

struct dns_desk *dns_desk_create(void)
{
    size_t size = (sizeof(struct dns_desk) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct dns_desk *desk = aligned_alloc(CACHE_LINE, size);

    if (desk == NULL) {
        return NULL;
    }
    atomic_init(&desk->over.put, 0);
    atomic_init(&desk->over.got, 0);
    atomic_init(&desk->back.put, 0);
    atomic_init(&desk->back.got, 0);
    desk->free_count = 0;
    for (size_t i = DNS_DESK_SLIPS; i > 0; i--) {
        desk->slips[i - 1].later = NULL;
        desk->slips[i - 1].answer = NULL;
        desk->free[desk->free_count++] = &desk->slips[i - 1];
    }
    return desk;
}

void dns_desk_destroy(struct dns_desk *desk)
{
    if (desk == NULL) {
        return;
    }
    for (size_t i = 0; i < DNS_DESK_SLIPS; i++) {
        free(desk->slips[i].answer);
        if (desk->slips[i].later != NULL) {
            dns_later_answer(desk->slips[i].later, NULL, 0);
        }
    }
    free(desk);
}

struct dns_desk_slip *dns_desk_take(struct dns_desk *desk)
{
    return desk->free_count > 0 ? desk->free[--desk->free_count] : NULL;
}

void dns_desk_ask(struct dns_desk *desk, struct dns_desk_slip *slip)
{
    assert(slip->later != NULL && slip->query_size <= DNS_DESK_QUERY_MAX);
    put(&desk->over, slip);
}

struct dns_desk_slip *dns_desk_collect(struct dns_desk *desk)
{
    return get(&desk->back);
}

void dns_desk_put_back(struct dns_desk *desk, struct dns_desk_slip *slip)
{
    assert(desk->free_count < DNS_DESK_SLIPS);
    free(slip->answer);
    slip->answer = NULL;
    slip->later = NULL;
    desk->free[desk->free_count++] = slip;
}

struct dns_desk_slip *dns_desk_next(struct dns_desk *desk)
{
    return get(&desk->over);
}

void dns_desk_return(struct dns_desk *desk, struct dns_desk_slip *slip)
{
    put(&desk->back, slip);
}
