/* store_query.h - what all reads of the store share: consistency, waiting, headers. */
#ifndef AGENT_HTTP_STORE_QUERY_H
#define AGENT_HTTP_STORE_QUERY_H

#include <stdbool.h>

#include "agent/http/exchange.h"
#include "agent/store/store.h"

/* Whether the store may be asked at all. False: answered, in words for the operator. */
bool store_query_admits(const struct http_api *api, struct http_exchange *x);

/* Reads the options of `x`; unless a stale answer will do, waits until the mirror shows all
 * that was acknowledged before. False: answered or pending, the handler must return.
 * The second is for reads of keys, which wait for the locks in `view` to be settled too. */
bool store_query_begin(struct http_api *api, struct http_exchange *x);
bool store_query_begin_keys(struct http_api *api, struct http_exchange *x,
                            const struct store_view *view);

uint64_t store_query_index(const struct http_api *api, const struct store_view *view);

/* True when the client knows this index already and its wait is not over: the handler must
 * return. Otherwise the four headers of a read are set. */
bool store_query_must_wait(struct http_api *api, struct http_exchange *x,
                           const struct store_view *view);

/* The headers that tell how fresh an answer is; `consistency` matters for stale reads. */
void store_query_freshness(const struct http_api *api, struct http_exchange *x);

bool store_query_knows_leader(const struct http_api *api, const struct http_exchange *x);

/* How old a stale answer may be, in ms; 0 for all others. */
uint64_t store_query_age_ms(const struct http_api *api, const struct http_exchange *x);

#endif
