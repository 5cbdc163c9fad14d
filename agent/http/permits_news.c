/* permits_news.c - whether what servers said of tokens still holds: tells at a server, and asks
 * as an agent without an engine.
 *
 * One blocking query to a server is open as long as tokens are used here. It is answered when any
 * token, policy or role has changed: then all that is known here is asked for again when it is
 * next needed. While none is open, what is known counts for a moment only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "agent/http/endpoints.h"
#include "agent/http/permits_state.h"
#include "base/text.h"

enum {
    WAIT_S = 60,
    AGAIN_MS = 1000, /* after a server could not be asked */
    USED_MS = 60 * 1000
};

/* ---- At a server. */

static const enum store_table tables[] = {STORE_TOKENS, STORE_POLICIES, STORE_ROLES,
                                          STORE_SETTINGS};

/* Of all that a token may hang on. */
static uint64_t index_here(const struct http_api *api)
{
    uint64_t highest = 1;

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        uint64_t index = store_prefix_index(api->store, tables[i], rc_pack_text(""));
        highest = index > highest ? index : highest;
    }
    return highest;
}

/* GET /v1/internal/acl/changes, blocking. */
void acl_changes(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x)) {
        return;
    }
    if (!store_is_loaded(api->store) || store_is_restoring(api->store)) {
        exchange_error(x, 500, "No cluster leader: nothing is known of tokens now");
        return;
    }
    uint64_t index = index_here(api);
    if (!x->expired && x->query.index != 0 && index == x->query.index) {
        query_wait_news(api, x, HTTP_NEWS_TOKENS);
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    rc_json_put_u64(&json, "Index", index);
    rc_json_object_end(&json);
    exchange_json_end(x);
}

/* ---- At an agent without an engine. */

bool permits_news_come(const struct permits *permits)
{
    return permits->news.ticket != 0 && permits->news.index != 0;
}

void permits_want_news(struct http_api *api)
{
    struct permits *permits = api->permits;
    char target[96];

    permits->news.wanted_ms = api->now_ms;
    if (permits->news.ticket != 0 || api->operations.forward == NULL ||
        (permits->news.failed_ms != 0 &&
         api->now_ms - permits->news.failed_ms < AGAIN_MS)) {
        return;
    }
    (void)snprintf(target, sizeof target, PERMITS_CHANGES_PATH "?wait=%ds&index=%" PRIu64,
                   WAIT_S, permits->news.index);
    const struct http_relay relay = {
        .method = "GET",
        .target = target,
        .token = "",
        .node = api->facts.node_name,
    };
    http_ticket ticket = ++api->last_ticket;
    permits->news.ticket = ticket; /* stands first: the reply may come from inside */
    permits->news.is_starting = true;
    api->operations.forward(api->operations.context, &relay, ticket);
    permits->news.is_starting = false;
}

static uint64_t index_of(const struct http_reply *reply)
{
    json_t *body =
        reply->status == 200 ? json_loadb(reply->body, reply->body_size, 0, NULL) : NULL;
    json_int_t index = json_integer_value(json_object_get(body, "Index"));

    json_decref(body);
    return index > 0 ? (uint64_t)index : 0;
}

bool permits_told_news(struct http_api *api, http_ticket ticket,
                       const struct http_reply *reply)
{
    struct permits *permits = api->permits;

    if (ticket != permits->news.ticket || ticket == 0) {
        return false;
    }
    uint64_t index = index_of(reply);
    permits->news.ticket = 0;
    permits->news.failed_ms = index == 0 ? (api->now_ms > 0 ? api->now_ms : 1) : 0;
    if (index != 0 &&
        index != permits->news.index) { /* the first time, too: what was told
                                                         before may be older */
        permits->news.index = index;
        permits_doubt_remotes(permits);
    }
    uint64_t quiet_ms = api->now_ms - permits->news.wanted_ms;
    if (index != 0 && quiet_ms < USED_MS && !permits->news.is_starting) {
        uint64_t wanted_ms = permits->news.wanted_ms;
        permits_want_news(api);
        permits->news.wanted_ms = wanted_ms;
    }
    return true;
}
