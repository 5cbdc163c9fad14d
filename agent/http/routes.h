/* routes.h - which path and method leads to which handler: the one table.
 *
 * A path is exact, or a prefix when it ends with '/'; then the rest of the path, slashes
 * included, is the handler's argument. The longest match wins. */
#ifndef AGENT_HTTP_ROUTES_H
#define AGENT_HTTP_ROUTES_H

#include <stddef.h>

#include "agent/http/exchange.h"

/* Answers `x`, or lets it wait (x->outcome). Run again after a wait, from the start. */
typedef void http_handler(struct http_api *api, struct http_exchange *x);

/* What a token must allow, told to people (rollcall acl explain); the handlers ask for it by
 * permit.h, because only they know the names. Lists are filtered instead. */
enum route_permission {
    ROUTE_OPEN,  /* nothing: not even a token that exists */
    ROUTE_TOKEN, /* any token, or none */
    ROUTE_ACL_READ,
    ROUTE_ACL_WRITE,
    ROUTE_AGENT_READ,
    ROUTE_AGENT_WRITE,
    ROUTE_NODE_READ,
    ROUTE_NODE_WRITE,
    ROUTE_SERVICE_READ,
    ROUTE_SERVICE_WRITE,
    ROUTE_EVENT_READ,
    ROUTE_EVENT_WRITE,
    ROUTE_OPERATOR_READ,
    ROUTE_OPERATOR_WRITE,
    ROUTE_KEYRING_READ,
    ROUTE_KEYRING_WRITE,
    ROUTE_KEY_READ,
    ROUTE_KEY_WRITE,
    ROUTE_SESSION_READ,
    ROUTE_SESSION_WRITE,
    ROUTE_QUERY_READ,
    ROUTE_QUERY_WRITE,
    ROUTE_PERMISSION_COUNT
};

enum route_namespaces { ROUTE_IGNORES_NS, ROUTE_REFUSES_NS };

/* Who knows the answer: every agent, or those with the store's engine, to which an agent
 * without one forwards the request. */
enum route_place { ROUTE_HERE, ROUTE_AT_SERVER };

/* In the order in which a row reads. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct route {
    const char *path;
    enum http_method method;
    http_handler *answer;
    enum route_permission permission;
    enum route_namespaces namespaces; /* what ?ns= gets here */
    enum route_place place;
};

/* The table, for tests and documentation. */
const struct route *routes_all(size_t *count);

/* The row that answers a path (only up to its '?') and method; NULL: none. */
const struct route *routes_find(const char *path, enum http_method method);

/* Does everything between a parsed request and its answer. */
void routes_answer(struct http_api *api, struct http_exchange *x);

/* How long the body of a request to `path` (NULL: unclear) may be, where others may have
 * `others`; and what a longer one of `size` bytes is answered. */
uint64_t routes_body_max(const char *path, uint64_t others);
void routes_refuse_body(struct http_exchange *x, uint64_t size);

/* The path of the route that `x` takes, for metrics; static. "" when there is none. */
const char *routes_label(struct http_exchange *x);

#endif
