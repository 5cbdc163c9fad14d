#include "agent/http/store_query.h"

#include <assert.h>

#include "agent/http/errand.h"
#include "agent/http/query.h"
#include "agent/http/routes.h"
#include "base/err.h"

bool store_query_admits(const struct http_api *api, struct http_exchange *x)
{
    if (api->store != NULL && api->store_trouble == NULL &&
        !store_is_restoring(api->store)) {
        return true;
    }
    if (api->store != NULL && api->store_trouble == NULL) {
        exchange_error(x, 500,
                       "the store is being restored; if nobody does so, do it again");
        return false;
    }
    exchange_error(x, 500, "%s",
                   api->store == NULL ? "No cluster leader" : api->store_trouble);
    return false;
}

/* All that was acknowledged before is in the mirror: from the start again. */
static void on_settled(struct http_api *api, struct http_exchange *x,
                       const struct store_outcome *outcome)
{
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
        query_failed_headers(x);
        return;
    }
    x->is_settled = true;
    routes_answer(api, x);
}

static void settle(struct http_api *api, struct http_exchange *x,
                   const struct store_view *view)
{
    struct errand *errand = errand_begin(api, x, on_settled);

    if (errand == NULL) {
        return;
    }
    int err = store_settle(api->store, api->now_ms, view, errand_done, errand);
    if (err != RC_OK) {
        errand_refused(errand, err);
        query_failed_headers(x);
    }
}

bool store_query_begin(struct http_api *api, struct http_exchange *x)
{
    return store_query_begin_keys(api, x, NULL);
}

bool store_query_begin_keys(struct http_api *api, struct http_exchange *x,
                            const struct store_view *view)
{
    if (!query_begin(api, x)) {
        return false;
    }
    if (!store_query_admits(api, x)) {
        query_failed_headers(x);
        return false;
    }
    if (x->is_settled) {
        return true;
    }
    if (x->query.consistency != QUERY_STALE) {
        settle(api, x, view);
        return false;
    }
    if (!store_freshness(api->store, api->now_ms).is_loaded) {
        exchange_error(x, 500,
                       "No cluster leader: nothing of the store is known here yet");
        query_failed_headers(x);
        return false;
    }
    x->is_settled = true; /* as it is; also after a wait */
    return true;
}

uint64_t store_query_index(const struct http_api *api, const struct store_view *view)
{
    uint64_t index = view->reach == STORE_ONE
                         ? store_key_index(api->store, view->table, view->name)
                         : store_prefix_index(api->store, view->table, view->name);
    return index > 0 ? index : 1;
}

uint64_t store_query_age_ms(const struct http_api *api, const struct http_exchange *x)
{
    return x->query.consistency == QUERY_STALE
               ? store_freshness(api->store, api->now_ms).age_ms
               : 0;
}

/* Whoever was given a settled answer has heard the leader through the engine. */
bool store_query_knows_leader(const struct http_api *api, const struct http_exchange *x)
{
    return x->query.consistency != QUERY_STALE ||
           store_freshness(api->store, api->now_ms).knows_leader;
}

void store_query_freshness(const struct http_api *api, struct http_exchange *x)
{
    bool known = store_query_knows_leader(api, x);

    exchange_header(x, "X-Consul-Knownleader", known ? "true" : "false");
    exchange_header_u64(x, "X-Consul-Lastcontact", store_query_age_ms(api, x));
}

bool store_query_must_wait(struct http_api *api, struct http_exchange *x,
                           const struct store_view *view)
{
    uint64_t index = store_query_index(api, view);

    if (!x->expired && x->query.index != 0 && index <= x->query.index) {
        uint64_t key = view->reach == STORE_ONE
                           ? waiters_store_key(view->table, view->name, api->seed)
                           : waiters_prefix_key(view->table, view->name, api->seed);
        x->waiter.prefix =
            view->reach == STORE_ONE ? 0 : waiters_prefix(view->table, view->name.size);
        query_wait_key(api, x, key);
        /* Who is answered after the wait, also because it is over, hears of the leader anew. */
        x->is_settled = x->query.consistency == QUERY_STALE;
        return true;
    }
    exchange_header_u64(x, "X-Consul-Index", index);
    store_query_freshness(api, x);
    return false;
}
