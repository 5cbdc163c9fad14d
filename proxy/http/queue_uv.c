/* queue_uv.c - requests of one pool that wait for an instance: first come, first served.
 *
 * Only the first of a queue looks for an instance: when one becomes free on this worker, when the
 * snapshot changes, and every HTTP_REPICK_MS, because other workers free some, too. How many wait
 * at all workers together is counted at the pool. */
#include <assert.h>
#include <stdlib.h>

#include "base/text.h"
#include "proxy/http/http_state_uv.h"

struct http_queue {
    TAILQ_ENTRY(http_queue) link;
    TAILQ_HEAD(http_queue_list, exchange) waiting;
    char pool[CONFIG_NAME_MAX];
    char service[64];
    bool woken; /* the first may look again */
};

static bool is_of(const struct http_queue *queue, const struct exchange *x)
{
    return rc_text_equals(queue->pool, x->pool->name) &&
           rc_text_equals(queue->service, x->service);
}

static struct http_queue *find(const struct exchange *x)
{
    struct http_queue *queue = NULL;
    TAILQ_FOREACH(queue, &x->http->queues, link)
    {
        if (is_of(queue, x)) {
            return queue;
        }
    }
    return NULL;
}

static struct http_queue *make(struct exchange *x)
{
    struct http_queue *queue = calloc(1, sizeof *queue);
    if (queue != NULL) {
        TAILQ_INIT(&queue->waiting);
        (void)rc_text_put(queue->pool, sizeof queue->pool, x->pool->name);
        (void)rc_text_put(queue->service, sizeof queue->service, x->service);
        TAILQ_INSERT_TAIL(&x->http->queues, queue, link);
    }
    return queue;
}

bool queue_is_behind(const struct exchange *x)
{
    if (x->http->queued == 0) {
        return false; /* nearly always */
    }
    const struct http_queue *queue = x->queue != NULL ? x->queue : find(x);
    return queue != NULL && TAILQ_FIRST(&queue->waiting) != x;
}

enum queue_place queue_enter(struct exchange *x, struct pool_counts *counts)
{
    assert(x->queue == NULL);
    struct http_queue *queue = find(x);
    if (queue == NULL) {
        queue = make(x);
    }
    if (queue == NULL ||
        (counts != NULL && !pool_counts_enter(counts, x->pool->queue_max))) {
        if (queue != NULL && TAILQ_EMPTY(&queue->waiting)) {
            TAILQ_REMOVE(&x->http->queues, queue, link);
            free(queue);
        }
        return QUEUE_FULL;
    }
    x->queue = queue;
    x->queue_counts = counts != NULL ? pool_counts_retain(counts) : NULL;
    TAILQ_INSERT_TAIL(&queue->waiting, x, queue_link);
    x->http->queued++;
    return QUEUE_ENTERED;
}

void queue_leave(struct exchange *x)
{
    struct http_queue *queue = x->queue;
    if (queue == NULL) {
        return;
    }
    TAILQ_REMOVE(&queue->waiting, x, queue_link);
    x->queue = NULL;
    assert(x->http->queued > 0);
    x->http->queued--;
    if (x->queue_counts != NULL) {
        pool_counts_leave(x->queue_counts);
        pool_counts_release(x->queue_counts);
        x->queue_counts = NULL;
    }
    if (TAILQ_EMPTY(&queue->waiting)) {
        TAILQ_REMOVE(&x->http->queues, queue, link);
        free(queue);
    } else {
        queue->woken = true; /* whoever is first now has not looked yet */
    }
}

void queue_wake(const struct exchange *x)
{
    struct http_queue *queue = x->http->queued > 0 ? find(x) : NULL;
    if (queue != NULL) {
        queue->woken = true;
    }
}

static struct http_queue *find_woken(struct http *http)
{
    struct http_queue *queue = NULL;
    TAILQ_FOREACH(queue, &http->queues, link)
    {
        if (queue->woken) {
            return queue;
        }
    }
    return NULL;
}

void queue_serve(struct http *http)
{
    struct http_queue *queue = NULL;
    /* Each round either finds an instance for the first one, who leaves, or puts the queue to sleep. */
    while (http->queued > 0 && (queue = find_woken(http)) != NULL) {
        queue->woken = false;
        attempt_start(TAILQ_FIRST(&queue->waiting));
    }
}
