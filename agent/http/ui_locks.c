/* ui_locks.c - the locked keys of the store, for the status page: who holds what, under which
 * term. Without the values, of which the page needs none and which may be large. */
#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/kv_pair.h"
#include "agent/http/permit.h"
#include "agent/http/store_query.h"

enum { NAME_SPACE = STORE_KEY_MAX + 1 };

static bool shows(struct http_api *api, struct http_exchange *x, struct rc_pack_bytes key)
{
    char name[NAME_SPACE];

    if (key.size >= sizeof name) {
        return false;
    }
    memcpy(name, key.at, key.size);
    name[key.size] = '\0';
    return permit_shows(api, x, PERMIT_KEY, name);
}

void ui_locks(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_KV, STORE_UNDER, rc_pack_text("")};
    struct rc_pack_bytes after = {0};
    struct store_pair pair;

    if (!store_query_begin(api, x) || store_query_must_wait(api, x, &view)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    while (store_next(api->store, STORE_KV, view.name, after, &pair)) {
        after = pair.key;
        if (pair.session != NULL && shows(api, x, pair.key)) {
            kv_pair_render(&json, &pair, KV_WITHOUT_VALUE);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}
