/* query.h - the options that reads share: index, wait, consistency, datacenter, filter.
 *
 * Names, defaults, maxima and error texts are Consul's (HTTP API, "Features: blocking
 * queries, consistency, filtering"). */
#ifndef AGENT_HTTP_QUERY_H
#define AGENT_HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/catalog.h"
#include "agent/http/http.h"

struct http_api;
struct http_exchange;
struct filter;
struct filter_schema;

enum query_consistency {
    QUERY_LEADER,
    QUERY_STALE,
    QUERY_CONSISTENT,
    QUERY_CONSISTENCY_COUNT
};

enum {
    QUERY_WAIT_DEFAULT_MS = 300 * 1000,
    QUERY_WAIT_MAX_MS = 600 * 1000,
    QUERY_JITTER_PART = 16, /* up to wait / 16 is added */
};

struct query {
    uint64_t index; /* 0: answer at once */
    uint64_t wait_ms;
    enum query_consistency consistency;
    const char *filter; /* NULL: none; borrowed from the target */
    bool cached;
};

/* Reads the shared options of `x` into x->query. False when one is wrong: then the error is
 * answered already. Writes nothing into the answer otherwise. */
bool query_begin(const struct http_api *api, struct http_exchange *x);

/* True when the client already knows the index of this topic and its wait is not over: the
 * outcome is set to EXCHANGE_WAITING and the handler must return. */
bool query_must_wait(struct http_api *api, struct http_exchange *x,
                     enum catalog_topic topic, const char *name);

/* The same for what is not in the catalog; the caller has looked at the index. */
void query_wait_news(struct http_api *api, struct http_exchange *x, enum http_news news);

/* The same for any key of waiters.h. */
void query_wait_key(struct http_api *api, struct http_exchange *x, uint64_t key);

/* Waits without looking at an index: for reads that the client knows by a hash. */
void query_wait(struct http_api *api, struct http_exchange *x, enum catalog_topic topic,
                const char *name);

/* Reads ?filter=. False when it is wrong: then the error is answered already. On true the
 * caller owns `*out`, which is NULL without a filter. */
bool query_filter(struct http_exchange *x, const struct filter_schema *schema,
                  struct filter **out);

/* Says in a header which consistency the answer has: the one that was asked for. */
void query_consistency_header(struct http_exchange *x);

/* Sets the four X-Consul-* headers of a read. */
void query_headers(struct http_exchange *x, uint64_t index);

/* Answers with a body that was made for the same question since the last change of the
 * catalog. False if there is none: then make one and call query_keep(). */
bool query_recall(struct http_api *api, struct http_exchange *x);
void query_keep(struct http_api *api, const struct http_exchange *x);

/* Headers as Consul sends them with a failed read (index 1, no leader). */
void query_failed_headers(struct http_exchange *x);

/* True if the instance counts under every `tag` parameter (catalog_service_has_tag()). */
bool query_tags_match(const struct http_api *api, const struct http_exchange *x,
                      const struct catalog_service *service);

/* True if the node has every `node-meta` parameter, "key:value". */
bool query_node_matches(const struct http_exchange *x, const struct catalog_node *node);

#endif
