/* visible.h - what of the catalog and of this agent a token may see, and may change.
 *
 * The first few answer nothing: what is not visible is left out. The others answer 403. */
#ifndef AGENT_HTTP_VISIBLE_H
#define AGENT_HTTP_VISIBLE_H

#include "agent/catalog/catalog.h"
#include "agent/http/exchange.h"
#include "agent/http/permit.h"
#include "agent/local/local.h"

bool visible_node(struct http_api *api, struct http_exchange *x,
                  const struct catalog_node *node);

/* An instance: of a service and of a node. */
bool visible_service(struct http_api *api, struct http_exchange *x,
                     const struct catalog_service *service);

/* A name, if one of its instances is. */
bool visible_name(struct http_api *api, struct http_exchange *x,
                  const struct catalog_name *name);

/* A check: of its node, and of its service if it has one. */
bool visible_check(struct http_api *api, struct http_exchange *x,
                   const struct catalog_check *check);
bool visible_local_check(struct http_api *api, struct http_exchange *x,
                         const struct local_check *check);

/* This agent, as `agent` or as `node`. */
bool visible_self(struct http_api *api, struct http_exchange *x,
                  enum permit_resource resource, enum permit_access access);

/* Writing a service under this id and name: the one that has the id now must be writable
 * too. `name` NULL: that one alone. What is not there may be written. */
bool visible_may_write_service(struct http_api *api, struct http_exchange *x,
                               const char *id, const char *name);

/* The same for a check; `service_id` NULL: a check of the node. */
bool visible_may_write_check(struct http_api *api, struct http_exchange *x,
                             const char *id);
bool visible_may_add_check(struct http_api *api, struct http_exchange *x, const char *id,
                           const char *service_id);

#endif
