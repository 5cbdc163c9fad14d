/* wishes_uv.c - see wishes_uv.h. */
#include "proxy/wishes_uv.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/text.h"
#include "proxy/config/config.h"

struct wish {
    struct wish *next;
    char pattern[CONFIG_NAME_MAX];
    char service[CONFIG_NAME_MAX];
};

struct wishes {
    struct wishes_options options;
    uv_async_t wake;
    _Atomic(struct wish *) waiting; /* newest first */
    _Atomic unsigned count;
    _Atomic bool closed;
};

enum hearing { HEARD, DROPPED };

static void take(struct wishes *w, enum hearing hearing)
{
    struct wish *wish = atomic_exchange(&w->waiting, NULL);
    while (wish != NULL) {
        struct wish *next = wish->next;
        if (hearing == HEARD) {
            w->options.wanted(w->options.context, wish->pattern, wish->service);
        }
        (void)atomic_fetch_sub(&w->count, 1);
        free(wish);
        wish = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    struct wishes *w = wake->data;
    take(w, HEARD);
    w->options.done(w->options.context);
}

struct wishes *wishes_start(const struct wishes_options *options)
{
    struct wishes *w = calloc(1, sizeof *w);
    if (w == NULL || uv_async_init(options->loop, &w->wake, on_wake) != 0) {
        free(w);
        return NULL;
    }
    w->options = *options;
    w->wake.data = w;
    return w;
}

void wishes_post(struct wishes *wishes, const char *pattern, const char *service)
{
    if (atomic_load(&wishes->closed)) {
        return;
    }
    if (atomic_fetch_add(&wishes->count, 1) >= WISHES_MAX) {
        (void)atomic_fetch_sub(&wishes->count, 1);
        return;
    }
    struct wish *wish = calloc(1, sizeof *wish);
    if (wish == NULL) {
        (void)atomic_fetch_sub(&wishes->count, 1);
        return;
    }
    (void)rc_text_put(wish->pattern, sizeof wish->pattern, pattern);
    (void)rc_text_put(wish->service, sizeof wish->service, service);
    wish->next = atomic_load(&wishes->waiting);
    while (!atomic_compare_exchange_weak(&wishes->waiting, &wish->next, wish)) {
    }
    (void)uv_async_send(&wishes->wake);
}

void wishes_close(struct wishes *wishes)
{
    atomic_store(&wishes->closed, true);
    uv_close((uv_handle_t *)&wishes->wake, NULL);
}

void wishes_free(struct wishes *wishes)
{
    if (wishes != NULL) {
        take(wishes, DROPPED);
        free(wishes);
    }
}
