#include "agent/http/waiters.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"

struct waiter_list {
    uint64_t key;
    struct waiter *first; /* never NULL: an empty list is freed */
    bool is_called;       /* stands in the chain of those called, and in no table */
    struct waiter_list *previous;
    struct waiter_list *next;
};

/* How many wait for prefixes of this length. */
struct waiter_length {
    uint32_t prefix;
    uint32_t count;
};

/* The time stands beside, so that the others are not looked at when one leaves. */
struct waiter_due {
    uint64_t deadline_ms;
    struct waiter *waiter;
};

struct waiters {
    struct rc_table *lists; /* key, 8 bytes -> struct waiter_list */
    struct waiter_list *first_called;
    struct waiter_list *last_called;
    struct waiter_due *heap; /* earliest deadline first */
    size_t count;
    size_t capacity;
    struct waiter_length *lengths; /* few: there are not many ways to cut a key */
    size_t length_count;
    size_t length_capacity;
};

struct waiters *waiters_create(uint64_t seed)
{
    struct waiters *waiters = calloc(1, sizeof *waiters);

    if (waiters == NULL) {
        return NULL;
    }
    waiters->lists = rc_table_create(seed);
    if (waiters->lists == NULL) {
        free(waiters);
        return NULL;
    }
    return waiters;
}

void waiters_destroy(struct waiters *waiters)
{
    if (waiters == NULL) {
        return;
    }
    waiters_call_all(waiters);
    while (waiters->first_called != NULL) {
        struct waiter_list *list = waiters->first_called;
        waiters->first_called = list->next;
        free(list);
    }
    rc_table_destroy(waiters->lists);
    free(waiters->heap);
    free(waiters->lengths);
    free(waiters);
}

uint64_t waiters_key(enum catalog_topic topic, const char *name, uint64_t seed)
{
    unsigned char lower[256]; /* longer names share their first part */
    size_t size = 0;

    assert(topic < CATALOG_TOPIC_COUNT);
    for (; size < sizeof lower && name[size] != '\0'; size++) {
        unsigned char c = (unsigned char)name[size];
        lower[size] = c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
    }
    return rc_hash(lower, size, seed) + (uint64_t)topic;
}

uint64_t waiters_news_key(enum http_news news, uint64_t seed)
{
    assert(news < HTTP_NEWS_COUNT);
    return rc_hash("", 0, seed) + CATALOG_TOPIC_COUNT + (uint64_t)news;
}

/* ---- Of the store. */

enum { PREFIX_SIZES = STORE_KEY_MAX + 2, KEYS_OF_CATALOG = 64 };

uint64_t waiters_store_key(enum store_table table, struct rc_pack_bytes name,
                           uint64_t seed)
{
    return rc_hash(name.at, name.size, seed) + KEYS_OF_CATALOG + 2 * (uint64_t)table;
}

uint64_t waiters_prefix_key(enum store_table table, struct rc_pack_bytes prefix,
                            uint64_t seed)
{
    return waiters_store_key(table, prefix, seed) + 1;
}

uint32_t waiters_prefix(enum store_table table, size_t size)
{
    size = size < STORE_KEY_MAX ? size : STORE_KEY_MAX;
    return (uint32_t)table * PREFIX_SIZES + (uint32_t)size + 1;
}

bool waiters_next_prefix(const struct waiters *waiters, enum store_table table,
                         size_t *position, size_t *size)
{
    while (*position < waiters->length_count) {
        uint32_t prefix = waiters->lengths[(*position)++].prefix - 1;
        if (prefix / PREFIX_SIZES == (uint32_t)table) {
            *size = prefix % PREFIX_SIZES;
            return true;
        }
    }
    return false;
}

static struct waiter_length *length_of(const struct waiters *waiters, uint32_t prefix)
{
    for (size_t i = 0; i < waiters->length_count; i++) {
        if (waiters->lengths[i].prefix == prefix) {
            return &waiters->lengths[i];
        }
    }
    return NULL;
}

static int count_prefix(struct waiters *waiters, uint32_t prefix)
{
    struct waiter_length *length = length_of(waiters, prefix);

    if (prefix == 0 || length != NULL) {
        if (prefix != 0) {
            length->count++;
        }
        return RC_OK;
    }
    if (waiters->length_count == waiters->length_capacity) {
        size_t capacity = 2 * waiters->length_capacity + 8;
        struct waiter_length *lengths =
            realloc(waiters->lengths, capacity * sizeof *lengths);
        if (lengths == NULL) {
            return RC_ENOMEM;
        }
        waiters->lengths = lengths;
        waiters->length_capacity = capacity;
    }
    waiters->lengths[waiters->length_count++] = (struct waiter_length){prefix, 1};
    return RC_OK;
}

static void discount_prefix(struct waiters *waiters, uint32_t prefix)
{
    struct waiter_length *length = prefix != 0 ? length_of(waiters, prefix) : NULL;

    if (length != NULL && --length->count == 0) {
        *length = waiters->lengths[--waiters->length_count];
    }
}

/* ---- When they are due. */

static void place(struct waiters *waiters, size_t at, struct waiter_due due)
{
    waiters->heap[at] = due;
    due.waiter->heap_at = (uint32_t)at;
}

static void sift_up(struct waiters *waiters, struct waiter_due due)
{
    size_t at = due.waiter->heap_at;

    while (at > 0) {
        size_t above = (at - 1) / 2;
        if (waiters->heap[above].deadline_ms <= due.deadline_ms) {
            break;
        }
        place(waiters, at, waiters->heap[above]);
        at = above;
    }
    place(waiters, at, due);
}

static void sift_down(struct waiters *waiters, struct waiter_due due)
{
    size_t at = due.waiter->heap_at;

    for (size_t below = 2 * at + 1; below < waiters->count; below = 2 * at + 1) {
        if (below + 1 < waiters->count &&
            waiters->heap[below + 1].deadline_ms < waiters->heap[below].deadline_ms) {
            below++;
        }
        if (due.deadline_ms <= waiters->heap[below].deadline_ms) {
            break;
        }
        place(waiters, at, waiters->heap[below]);
        at = below;
    }
    place(waiters, at, due);
}

static int grow(struct waiters *waiters)
{
    if (waiters->count < waiters->capacity) {
        return RC_OK;
    }
    size_t capacity = waiters->capacity == 0 ? 16 : 2 * waiters->capacity;
    struct waiter_due *heap = realloc(waiters->heap, capacity * sizeof *heap);
    if (heap == NULL) {
        return RC_ENOMEM;
    }
    waiters->heap = heap;
    waiters->capacity = capacity;
    return RC_OK;
}

static struct waiter_list *list_of(struct waiters *waiters, uint64_t key)
{
    struct waiter_list *list = rc_table_get_bytes(waiters->lists, &key, sizeof key);

    if (list != NULL) {
        return list;
    }
    list = calloc(1, sizeof *list);
    if (list == NULL) {
        return NULL;
    }
    list->key = key;
    if (rc_table_put_bytes(waiters->lists, &key, sizeof key, list, NULL) != RC_OK) {
        free(list);
        return NULL;
    }
    return list;
}

static void leave_called(struct waiters *waiters, struct waiter_list *list)
{
    if (list->previous != NULL) {
        list->previous->next = list->next;
    } else {
        waiters->first_called = list->next;
    }
    if (list->next != NULL) {
        list->next->previous = list->previous;
    } else {
        waiters->last_called = list->previous;
    }
}

static void drop_empty(struct waiters *waiters, struct waiter_list *list)
{
    if (list == NULL || list->first != NULL) {
        return;
    }
    if (list->is_called) {
        leave_called(waiters, list);
    } else {
        rc_table_remove_bytes(waiters->lists, &list->key, sizeof list->key);
    }
    free(list);
}

int waiters_add(struct waiters *waiters, struct waiter *waiter)
{
    assert(waiter->list == NULL);

    if (grow(waiters) != RC_OK) {
        return RC_ENOMEM;
    }
    struct waiter_list *list = list_of(waiters, waiter->key);
    if (list == NULL || count_prefix(waiters, waiter->prefix) != RC_OK) {
        drop_empty(waiters, list);
        return RC_ENOMEM;
    }
    waiter->list = list;
    waiter->previous = NULL;
    waiter->next = list->first;
    if (list->first != NULL) {
        list->first->previous = waiter;
    }
    list->first = waiter;
    const struct waiter_due due = {waiter->deadline_ms, waiter};
    place(waiters, waiters->count++, due);
    sift_up(waiters, due);
    return RC_OK;
}

static void leave_heap(struct waiters *waiters, const struct waiter *waiter)
{
    size_t at = waiter->heap_at;

    assert(waiters->heap[at].waiter == waiter);
    struct waiter_due last = waiters->heap[--waiters->count];
    if (last.waiter != waiter) {
        place(waiters, at, last);
        sift_up(waiters, last);
        sift_down(waiters, last);
    }
}

void waiters_remove(struct waiters *waiters, struct waiter *waiter)
{
    struct waiter_list *list = waiter->list;

    if (list == NULL) {
        return;
    }
    if (waiter->next != NULL) {
        waiter->next->previous = waiter->previous;
    }
    if (waiter->previous != NULL) {
        waiter->previous->next = waiter->next;
    } else {
        list->first = waiter->next;
    }
    drop_empty(waiters, list);
    discount_prefix(waiters, waiter->prefix);
    leave_heap(waiters, waiter);
    waiter->list = NULL;
}

static void call(struct waiters *waiters, struct waiter_list *list)
{
    rc_table_remove_bytes(waiters->lists, &list->key, sizeof list->key);
    list->is_called = true;
    list->previous = waiters->last_called;
    if (waiters->last_called != NULL) {
        waiters->last_called->next = list;
    } else {
        waiters->first_called = list;
    }
    waiters->last_called = list;
}

void waiters_call(struct waiters *waiters, uint64_t key)
{
    struct waiter_list *list = rc_table_get_bytes(waiters->lists, &key, sizeof key);

    if (list != NULL) {
        call(waiters, list);
    }
}

void waiters_call_all(struct waiters *waiters)
{
    size_t position = 0;
    struct waiter_list *list = rc_table_next(waiters->lists, &position, NULL);

    while (list != NULL) {
        call(waiters, list);
        list = rc_table_next(waiters->lists, &position, NULL);
    }
}

struct waiter *waiters_next(struct waiters *waiters)
{
    if (waiters->first_called == NULL) {
        return NULL;
    }
    struct waiter *waiter = waiters->first_called->first;
    waiters_remove(waiters, waiter);
    return waiter;
}

bool waiters_has_called(const struct waiters *waiters)
{
    return waiters->first_called != NULL;
}

struct waiter *waiters_expire(struct waiters *waiters, uint64_t now_ms)
{
    if (waiters->count == 0 || waiters->heap[0].deadline_ms > now_ms) {
        return NULL;
    }
    struct waiter *waiter = waiters->heap[0].waiter;
    waiters_remove(waiters, waiter);
    return waiter;
}

size_t waiters_count(const struct waiters *waiters)
{
    return waiters->count;
}

uint64_t waiters_deadline_ms(const struct waiters *waiters)
{
    return waiters->count == 0 ? UINT64_MAX : waiters->heap[0].deadline_ms;
}
