/* ui_proxies.c - the proxies of the pool, and what each says of itself. */
#include "agent/http/endpoints.h"
#include "agent/http/permit.h"
#include "agent/http/proxy_book.h"

enum { WAIT_MS = 2 * PROXY_BOOK_LIMIT_MS };

static bool is_fresh(const struct http_api *api)
{
    const struct proxy_book *book = api->proxies;

    return book->at_ms != 0 && api->now_ms < book->at_ms + PROXY_BOOK_FRESH_MS;
}

static bool shows(struct http_api *api, struct http_exchange *x,
                  const struct proxy_entry *entry)
{
    return permit_shows(api, x, PERMIT_NODE, entry->node) &&
           permit_shows(api, x, PERMIT_SERVICE, PROXY_BOOK_SERVICE);
}

void ui_proxies(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x)) {
        return;
    }
    if (api->proxies == NULL || api->operations.ask_proxies == NULL) {
        exchange_error(x, 501, "This agent was started without that operation");
        return;
    }
    if (!x->expired && !is_fresh(api)) {
        x->query.wait_ms = WAIT_MS;
        api->operations.ask_proxies(api->operations.context);
        query_wait_news(api, x, HTTP_NEWS_PROXIES);
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    for (size_t i = 0; i < api->proxies->count; i++) {
        if (shows(api, x, &api->proxies->entries[i])) {
            proxy_book_render(&json, &api->proxies->entries[i]);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}
