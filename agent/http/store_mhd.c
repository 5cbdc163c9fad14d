/* store_mhd.c - what the store's news do to connections: who waited is answered. */
#include <stddef.h>

#include "agent/http/server_mhd.h"
#include "base/err.h"

/* ---- Errands. */

static void go_on_waiting(struct http *http, struct http_exchange *x)
{
    if (waiters_add(http->waiters, &x->waiter) == RC_OK) {
        answer_return(http, x);
        if (x->served == NULL) {
            connection_leave(connection_of(&x->waiter));
            crowd_disperse(connection_of(&x->waiter));
        }
        return;
    }
    exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
    http_answered(x);
}

void http_go_on(void *context, struct http_exchange *x)
{
    if (x->outcome == EXCHANGE_WAITING) {
        go_on_waiting(context, x);
    } else {
        http_answered(x);
    }
}

/* ---- Changes. */

void http_store_changed(struct http *http, enum store_table table,
                        struct rc_pack_bytes key)
{
    uint64_t seed = http->api.seed;
    size_t position = 0;
    size_t size;

    http_wake(http, waiters_store_key(table, key, seed));
    while (waiters_next_prefix(http->waiters, table, &position, &size)) {
        if (size <= key.size) {
            const struct rc_pack_bytes prefix = {key.at, size};
            http_wake(http, waiters_prefix_key(table, prefix, seed));
        }
    }
}

void http_store_reloaded(struct http *http)
{
    http_wake_all(http);
}

void http_store_trouble(struct http *http, const char *words)
{
    http->api.store_trouble = words;
    http_wake_all(http);
}
