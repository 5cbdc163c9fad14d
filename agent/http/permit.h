/* permit.h - may the one who asks do this?
 *
 * One question for every handler: a resource, its name, what is wanted. Without tokens in use
 * everything is allowed. */
#ifndef AGENT_HTTP_PERMIT_H
#define AGENT_HTTP_PERMIT_H

#include <stdbool.h>

struct http_api;
struct http_exchange;

enum permit_resource {
    PERMIT_ACL,
    PERMIT_AGENT,
    PERMIT_EVENT,
    PERMIT_KEY,
    PERMIT_KEYRING,
    PERMIT_NODE,
    PERMIT_OPERATOR,
    PERMIT_QUERY,
    PERMIT_SERVICE,
    PERMIT_SESSION,
    PERMIT_RESOURCE_COUNT
};

enum permit_access { PERMIT_READ, PERMIT_LIST, PERMIT_WRITE };

/* True, or false with 403 answered. `name` is "" for resources without names. */
bool permit(struct http_api *api, struct http_exchange *x, enum permit_resource resource,
            const char *name, enum permit_access access);

/* For what is left out of lists instead of refused: answers nothing. */
bool permit_shows(struct http_api *api, struct http_exchange *x,
                  enum permit_resource resource, const char *name);

/* The same for writing all names under a prefix (recursive deletes): every rule that could
 * match a name under it must allow it. */
bool permit_prefix(struct http_api *api, struct http_exchange *x,
                   enum permit_resource resource, const char *prefix,
                   enum permit_access access);

#endif
